import json
from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from gateway.redact_command import redact

APP = typer.Typer()
APP.command()(redact)

POLICY = """
apiVersion: penstock/v1
kind: Privacy
metadata: {name: bank}
spec:
  default: {action: replace}
  entities:
    US_SSN: {action: block}
    CREDIT_CARD: {action: mask, keepLast: 4}
"""


def run(text: str | bytes, *arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments), input=text)


def test_lines_come_out_redacted() -> None:
    result = run("hello\nto bob@example.com\n\nlast")
    assert result.stdout == "hello\nto [EMAIL]\n\nlast\n"
    assert result.exit_code == 0


def test_spans_are_json_lines_in_code_points() -> None:
    text = "😀 bob@example.com"
    (line,) = run(text + "\n", "--spans").stdout.splitlines()
    assert json.loads(line) == {
        "text": "😀 [EMAIL]",
        "spans": [{"start": 2, "end": 17, "entity": "EMAIL", "score": 0.95}],
    }


def test_a_key_on_several_lines_is_hidden_and_the_lines_stay_lines() -> None:
    key = "-----BEGIN EC PRIVATE KEY-----\nAb12Ab12Ab12Ab12\n-----END EC PRIVATE KEY-----"
    text = f"to bob@example.com: {key} from me\nbye\n"
    assert run(text).stdout == "to [EMAIL]: [PRIVATE_KEY]\n\n from me\nbye\n"
    lines = [json.loads(line) for line in run(text, "--spans").stdout.splitlines()]
    keys = [
        (span["start"], span["end"])
        for line in lines
        for span in line["spans"]
        if span["entity"] == "PRIVATE_KEY"
    ]
    assert keys == [(20, 50), (0, 16), (0, 28)]


def test_a_policy_says_what_is_done(tmp_path: Path) -> None:
    path = tmp_path / "bank.yaml"
    path.write_text(POLICY)
    result = run("4111 1111 1111 1111\n536-90-4399\nbye\n", "--policy", str(path))
    assert result.stdout == "**** **** **** 1111\n\nbye\n"
    assert result.stderr == "penstock: line 2: the privacy policy refuses this text: 1 US_SSN\n"
    assert result.exit_code == 1


def test_placeholders_are_the_same_in_every_run_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "bank.yaml"
    path.write_text(POLICY.replace("replace}", "restore}"))
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef0123456789abcdef\n")
    config = tmp_path / "penstock.yaml"
    config.write_text("apiVersion: penstock/v1\nkind: Penstock\nprivacy: {keyFile: key}\n")
    options = [("--key-file", str(key)), ("--key-file", str(key)), ("--config", str(config))]

    outputs = {run("bob@example.com\n", "--policy", str(path), *each).stdout for each in options}

    assert len(outputs) == 1
    assert outputs.pop().startswith("[EMAIL_")


def test_a_key_that_is_too_short_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"short")
    result = run("hello\n", "--key-file", str(key))
    assert "has 5 bytes, 16 are needed" in str(result.exception)


def test_lines_that_are_not_utf8_fail_closed() -> None:
    result = run(b"ok\n\xff bob@example.com\n")
    assert result.stdout == "ok\n\n"
    assert "line 2 is not UTF-8" in result.stderr
    assert result.exit_code == 1


def test_odd_lines_stay_lines() -> None:
    text = b"\r\n\n\xff\n\xf0\x9f\x98\x80\x00\xe2\x80\xa8 bob@example.com\r\nlast"
    result = run(text)
    assert result.stdout_bytes == "\r\n\n\n😀\x00\u2028 [EMAIL]\r\nlast\n".encode()
    assert result.exit_code == 1

    lines = run(text, "--spans").stdout_bytes.decode().split("\n")[:-1]
    assert [json.loads(line)["text"] for line in lines] == [
        *("\r", "", "", "😀\x00\u2028 [EMAIL]\r", "last"),
    ]
