"""Files of sampled requests and replies: what is in them, and what is never."""

import json
import os
import stat
import time
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.audit.samples import SampleFiles
from policies.pii.settings import PrivacyDocument
from policies.privacy import Privacy
from policies.samples import Sample
from protos.arrays import join_bytes, to_tensor
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply
from protos.strict_yaml import load
from protos.timeline import Target, Timeline
from protos.values import Chat, Context, InferRequest, Part, Payload, Tensor, Tensors
from routing.rules.snapshot import snapshot
from tests.policies.pii.finding import KEY
from tests.routing.rules.written_routes import privacy as written
from tests.routing.rules.written_routes import route as route_of

EMAIL = "bob@example.com"
DAY = 86400.0
NOW = time.time()  # files are dated by the real clock


def route(**policy: Any) -> RouteSnapshot:
    document = load(written("bank", **policy), "bank.yaml", PrivacyDocument)
    by = route_of(privacy={"policy": "bank"}, audit={"payloads": "1%"})
    return snapshot(by.route, "r1", None, {("Privacy", "bank"): document})


def sample(on: RouteSnapshot, asked: Payload, *said: Payload) -> Sample:
    timeline = Timeline(0.0, arm="stable", target=Target("stable", "gbm", "3"), request_id="r-1")
    context = Context(Principal("ann", "acme", frozenset()), inf, timeline, route=on)
    request = InferRequest("", "fraud", "", asked, {}, context)
    made = Sample(1_800_000_000.0, request)
    for each in said:
        made.add(Part(each, "3", {}, False))
    return made


def texts(*elements: str | bytes) -> Tensors:
    data = join_bytes(e.encode() if isinstance(e, str) else e for e in elements)
    return Tensors((Tensor("text", "BYTES", (len(elements),), data),))


def sample_files(folder: Path) -> SampleFiles:
    privacy = Privacy(lambda: KEY, lambda: 0.0)
    return SampleFiles(folder, "worker-0", privacy.sample, keep=DAY, wall=lambda: NOW)


def kept(folder: Path, *samples: Sample) -> list[dict[str, Any]]:
    files = sample_files(folder)
    for each in samples:
        files.put(each)
    files.close(30.0)
    lines = [line for path in folder.glob("*") for line in path.read_text().splitlines()]
    assert files.written == len(lines)
    assert files.dropped == len(samples) - len(lines)
    return [json.loads(line) for line in lines]


def test_a_sample_has_the_request_as_the_model_got_it_and_the_redacted_reply(tmp_path: Path):
    asked = Tensors((*texts("I am [EMAIL_4F7K2Q]").tensors, to_tensor("x", np.float32([1.5, 2]))))
    (line,) = kept(tmp_path, sample(route(), asked, texts(f"Write to {EMAIL}")))
    assert (
        line.items()
        >= {
            "at": 1.8e9,
            "tenant": "acme",
            "model": "fraud",
            "route": "fraud",
            "arm": "stable",
            "served": "gbm",
            "version": "3",
            "policies": "r1",
            "request_id": "r-1",
        }.items()
    )
    assert line["request"] == [
        {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["I am [EMAIL_4F7K2Q]"]},
        {"name": "x", "datatype": "FP32", "shape": [2], "data": [1.5, 2.0]},
    ]
    assert line["reply"]["text"][0].startswith("Write to [EMAIL_")
    assert "ann" not in str(line)


def test_what_comes_in_pieces_is_redacted_as_a_whole(tmp_path: Path):
    pieces = [texts("bo"), texts("b@exam"), texts("ple.com is it")]
    (line,) = kept(tmp_path, sample(route(), texts("?"), *pieces))
    assert EMAIL not in str(line)
    assert line["reply"]["text"][0].endswith("is it")


def test_openais_objects_are_kept_as_they_are(tmp_path: Path):
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello [EMAIL_4F7K2Q]"}]}
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": EMAIL}}]}
    (line,) = kept(tmp_path, sample(route(), Chat(body), Chat(answer)))
    assert line["request"] == body
    assert EMAIL not in str(line["reply"])


def test_files_are_the_owners_alone_one_a_day(tmp_path: Path):
    kept(tmp_path / "payloads", sample(route(), texts("a"), texts("b")))
    (path,) = (tmp_path / "payloads").iterdir()
    assert path.name == f"{datetime.fromtimestamp(NOW, UTC):%Y%m%d}-worker-0.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


BLOCKING = {"entities": {"EMAIL": {"action": "block"}}}


@pytest.mark.parametrize(
    "exchange",
    [
        sample(snapshot(route_of().route, "r", None), texts("a"), texts("b")),
        sample(route(mode="observe"), texts("a"), texts("b")),
        sample(route(**BLOCKING), texts("a"), texts(EMAIL)),
        sample(route(binaryInputs=["text"]), texts(b"\xff"), texts("b")),
        sample(route(), texts("a"), texts(b"\xff")),
        sample(route(), Chat({"prompt": [1, 2, 3]}), texts("b")),
    ],
    ids=["no policy", "observing", "blocked", "binary input", "binary output", "tokens"],
)
def test_what_nobody_can_redact_is_not_kept(tmp_path: Path, exchange: Sample):
    good = sample(route(), texts("a"), texts("b"))
    assert len(kept(tmp_path, exchange, good)) == 1


async def test_what_a_policy_takes_for_binary_is_kept_as_the_model_got_it(tmp_path: Path):
    """Text in it is searched as well, and what is no text keeps the whole from being kept."""
    on, privacy = route(binaryInputs=["text"]), Privacy(lambda: KEY, lambda: 0.0)
    privacy.prepare([on])
    seen: list[InferRequest] = []

    async def model(request: InferRequest) -> Reply:
        seen.append(request)
        return Reply(Part(texts("fine"), "3", {}, final=True))

    for data in (f"I am {EMAIL}", f"I am {EMAIL}".encode() + b"\xff"):
        asked = sample(on, texts(data))
        await privacy(InferRequest("", "fraud", "", asked.asked, {}, asked.context), model)
    (line,) = kept(tmp_path, *(sample(on, each.payload, texts("fine")) for each in seen))
    assert line["request"][0]["data"][0].startswith("I am [EMAIL_")


def test_what_waits_is_bounded_by_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    exchange = sample(route(), texts("a"), texts("b"))
    monkeypatch.setattr("gateway.audit.samples.MEMORY", 2 * exchange.held)
    monkeypatch.setattr("gateway.audit.samples.LINGER", 60.0)
    files = sample_files(tmp_path)
    for _ in range(5):
        files.put(exchange)
    assert files.dropped == 3
    files.close(30.0)
    assert files.written == 2


def test_what_fails_while_old_files_are_removed_writes_no_sample_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "payloads"
    folder.mkdir()
    (folder / "20260101-worker-1.jsonl").write_text("")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "glob", refuse)
        files = sample_files(folder)
        files.put(sample(route(), texts("a"), texts("b")))
        files.close(30.0)
    lines = [line for path in folder.iterdir() for line in path.read_text().splitlines()]
    assert (len(lines), files.written) == (1, 1)


def test_a_disk_that_was_full_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, taken = os.write, iter([50, 0])

    def full(file: int, data: bytes) -> int:
        """Takes some bytes, then none, then all: as a disk does that somebody makes room on."""
        size = next(taken, len(data))
        if not size:
            raise OSError(28, "No space left on device")
        return real(file, bytes(data[:size]))

    monkeypatch.setattr("gateway.audit.samples.os.write", full)
    assert len(kept(tmp_path, sample(route(), texts("a"), texts("b")))) == 1


def test_half_a_line_of_a_killed_process_spoils_no_other(tmp_path: Path):
    path = tmp_path / f"{datetime.fromtimestamp(NOW, UTC):%Y%m%d}-worker-0.jsonl"
    path.write_text('{"at":1')
    files = sample_files(tmp_path)
    files.put(sample(route(), texts("a"), texts("b")))
    files.close(30.0)
    half, whole = path.read_text().splitlines()
    assert half == '{"at":1'
    assert json.loads(whole)["model"] == "fraud"


def test_old_files_are_removed(tmp_path: Path):
    old, recent = tmp_path / "20260101-worker-1.jsonl", tmp_path / "20260102-worker-1.jsonl"
    for path, age in ((old, 2 * DAY), (recent, DAY / 2)):
        path.write_text("")
        os.utime(path, (NOW - age, NOW - age))
    kept(tmp_path, sample(route(), texts("a"), texts("b")))
    assert not old.exists()
    assert recent.exists()
