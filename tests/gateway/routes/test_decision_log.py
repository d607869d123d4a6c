import stat
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.routes.decision_log import KEY_FILE, DecisionLog, Seal, gateways_key, read_key
from protos.errors import PenstockError
from protos.timeline import Timeline
from protos.values import InferRequest, Tensor, Tensors
from routing.decisions import Decision
from routing.rules.split import unit_by
from routing.rules.table import RouteTable
from tests.routing.rules.written_routes import principal, request, route, table

SEAL = Seal(b"k" * 16)
RULES = table(route(sticky={"key": "jwt.sub"}))


def served(rules: RouteTable = RULES, arm: str = "stable", **asked: Any) -> InferRequest:
    """A request after it was answered in 20 ms, 4 rows of a batch of 16 that took 80 ms."""
    given = request(**asked)
    tensors = Tensors((Tensor("x", "FP32", (4, 64), b""),))
    timeline = Timeline(10.0, arm=arm, compute_us=80_000, batch_rows=16)
    found = rules.match(given.model, given.context.principal, given.context.headers)
    context = replace(given.context, route=found, timeline=timeline)
    return replace(given, payload=tensors, context=context)


def observed(
    *requests: InferRequest, rules: RouteTable = RULES, per_second: float = 50.0, code: int = 200
) -> list[Decision]:
    found: list[Decision] = []
    log = DecisionLog(
        lambda: rules,
        SEAL,
        found.append,
        per_second=per_second,
        rng=Random(1).random,
        wall=lambda: 1000.0,
        named=lambda route, model: model if model != "of-bob" else "other",
    )
    for each in requests:
        log.observe(each, code, 10.02)
    return found


def test_what_may_be_somebodys_is_not_recorded_as_the_model() -> None:
    (found,) = observed(replace(served(arm="canary"), model="of-bob"))
    assert found.model == "other"


def test_a_record_has_what_a_replay_needs() -> None:
    (found,) = observed(served(arm="canary"))
    assert found == Decision(
        at=1000.0,
        route="fraud",
        arm="canary",
        revision=RULES.revision,
        model="fraud",
        version="",
        served_model="fraud",
        served_version="4",
        tenant="acme",
        weight=1.0,
        whole=True,
        user=found.user,
        key="jwt.sub",
        missing="",
        attributes={},
        rows=4,
        compute_seconds=pytest.approx(0.02),  # type: ignore[arg-type]
        latency=pytest.approx(0.02),  # type: ignore[arg-type]
        code=200,
    )


def test_the_user_is_the_splitters_and_only_the_key_tells() -> None:
    given = served()
    (found,) = observed(given)
    unit = unit_by("jwt.sub", given.context)
    assert SEAL.open(found.user) == unit
    assert unit is not None
    assert unit not in found.user
    assert Seal(b"other key 16 byt").open(found.user) is None


def test_a_record_holds_nothing_of_the_user_or_the_request() -> None:
    rules = table(route(match=[{"model": "fraud", "headers": {"x-team": "a"}}]))
    given = served(
        rules,
        who=principal("canary-value", role="canary-value"),
        headers=[(b"x-team", b"canary-value"), (b"authorization", b"canary-value")],
    )
    (found,) = observed(given, rules=rules)
    assert "canary-value" not in repr(found)
    assert found.attributes == {"header x-team": {"*": True, "a": False}}


def test_stickiness_by_a_header_is_recorded_as_that() -> None:
    rules = table(route(sticky={"key": "header.x-user"}))
    given = served(rules, headers=[(b"x-user", b"17")])
    with_, without = observed(given, served(rules), rules=rules)
    assert (with_.key, with_.missing) == ("header.x-user", "")
    assert SEAL.open(with_.user) == unit_by("header.x-user", given.context)
    assert (without.key, without.missing) == ("jwt.sub", "header.x-user")


def test_a_refused_request_is_recorded_without_an_arm() -> None:
    (found,) = observed(served(arm=""), code=429)
    assert (found.arm, found.served_model, found.served_version, found.code) == ("", "", "", 429)


def test_a_version_beyond_the_routes_arms_is_recorded_as_asked_for() -> None:
    (found,) = observed(served(arm="pinned", version="2"))
    assert (found.served_model, found.served_version) == ("fraud", "2")


def test_the_rate_is_each_routes_own() -> None:
    rules = table(route(), route("other", match=[{"model": "other"}]))
    requests = [
        served(rules, who=principal(f"user {number}"), model=model)
        for number in range(3000)
        for model in ("fraud", "other")
    ]
    counts = Counter(decision.route for decision in observed(*requests, rules=rules))
    assert all(250 <= counts[name] < 1500 for name in ("fraud", "other"))


def test_a_rate_of_0_records_nothing() -> None:
    assert observed(served(), per_second=0.0) == []


def test_rows_are_those_that_limits_count() -> None:
    given = served()
    tensors = (Tensor("threshold", "FP32", (1,), b""), *given.payload.tensors)
    (found,) = observed(replace(given, payload=Tensors(tensors)))
    assert found.rows == 4


def test_the_key_is_made_once_and_is_ours_only(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: gateways_key(folder), range(8)))
    assert set(keys) == {read_key(folder)}
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600


def test_reading_makes_no_key(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_key(tmp_path)


def test_a_file_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(ValueError, match="a key of 16 bytes, not 5"):
        gateways_key(tmp_path)


def test_a_key_as_operators_make_it_is_given_by_a_file_and_seals_as_well(tmp_path: Path) -> None:
    given = tmp_path / "decisions"
    given.write_text("QWxhZGRpbjpvcGVuIHNlc2FtZSBhbmQgc29tZSBtb3JlIQ\n")
    key = gateways_key(tmp_path / "state", given)
    assert Seal(key).open(Seal(read_key(tmp_path / "state", given)).seal(b"u" * 16)) == b"u" * 16
    assert not (tmp_path / "state").exists()
    given.write_text("short")
    with pytest.raises(PenstockError, match=r"decisions\.keyFile: .* has 5 bytes, 16 are needed"):
        gateways_key(tmp_path, given)
