"""YAML: plain values or a sentence with a line of the file, and nothing that was not written."""

import json

from protos.strict_yaml import MAX_DEPTH, ConfigError, read
from tests.fuzz.refusing import check_sentence


def one(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        document = read(text, "file.yaml")
    except ConfigError as error:
        check_line(error, text)
        return
    _check(document.value, 0)
    written = json.dumps(document.value)
    if "\\u" not in written and written.isprintable():  # such JSON is YAML of the same meaning
        assert json.dumps(read(written, "file.json").value) == written


def check_line(error: ConfigError, text: str) -> None:
    assert 1 <= error.line <= len(text.splitlines()) + 1
    check_sentence(error.message)


def _check(value: object, depth: int) -> None:
    assert depth <= MAX_DEPTH + 1
    if isinstance(value, dict):
        assert all(type(key) is str for key in value)
        for each in value.values():
            _check(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check(each, depth + 1)
    else:
        assert value is None or type(value) in (str, int, float, bool)
