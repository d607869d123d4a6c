import os
import random
import subprocess
import sys
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from protos.errors import Kind, PenstockError
from protos.route.snapshot import Arm, RouteSnapshot
from routing.rules.snapshot import implicit, snapshot
from routing.rules.split import DIVISIONS, Division, Splitter, arm_of, unit_of
from tests.routing.rules.written_routes import CANARY, STABLE, principal, request, route

USERS = 100_000
ROOT = Path(__file__).parents[3]


def arms(**weights: float) -> list[Arm]:
    return [Arm(name, "m", name, weight) for name, weight in weights.items()]


def unit(number: int) -> bytes:
    return blake2b(f"user-{number}".encode(), digest_size=16).digest()


UNITS = [unit(number) for number in range(USERS)]


def assigned(salt: str = "s", units: list[bytes] = UNITS, **weights: float) -> list[str]:
    division = Division(arms(**weights), salt)
    return [division.of(each).name for each in units]


def splitter(*numbers: float) -> Splitter:
    drawn = iter(numbers)
    return Splitter(lambda: next(drawn))


def sticky(key: str = "jwt.sub", salt: str = "", **spec: object) -> RouteSnapshot:
    return snapshot(route(sticky={"key": key, "salt": salt}, **spec).route, "r", None)


@pytest.mark.parametrize(
    "weights",
    [
        {"stable": 95, "canary": 5},
        {"stable": 99.9, "canary": 0.1},
        {"a": 1, "b": 1, "c": 1},
        {"a": 70, "b": 25, "c": 5},
    ],
)
def test_shares_of_a_hundred_thousand_users_are_those_of_the_weights(
    weights: dict[str, float],
) -> None:
    found = Counter(assigned(**weights))

    for name, weight in weights.items():
        share = weight / sum(weights.values())
        assert binomtest(found[name], USERS, share).pvalue > 1e-4, (name, found[name])


def test_a_canary_that_grows_from_5_to_50_percent_only_gains_users() -> None:
    before, after = assigned(stable=95, canary=5), assigned(stable=50, canary=50)

    moved = Counter((b, a) for b, a in zip(before, after, strict=True) if b != a)

    assert set(moved) == {("stable", "canary")}
    assert binomtest(moved["stable", "canary"], USERS, 0.45).pvalue > 1e-4


def test_a_weight_of_0_is_nobody_s_arm() -> None:
    assert set(assigned(stable=1, canary=0)) == {"stable"}
    with pytest.raises(ValueError):
        Division(arms(stable=0), "s")


def test_another_salt_shuffles_the_users_independently() -> None:
    one = assigned("2025", UNITS[:20_000], stable=50, canary=50)
    other = assigned("2026", UNITS[:20_000], stable=50, canary=50)

    same = sum(a == b for a, b in zip(one, other, strict=True))

    assert binomtest(same, 20_000, 0.5).pvalue > 1e-4


CHILD = """
import sys
from protos.route.snapshot import Arm
from routing.rules.split import Division
division = Division([Arm(n, "m", n, w) for n, w in (("a", 70), ("b", 25), ("c", 5))], "s")
units = bytes.fromhex(sys.stdin.read())
print(*(division.of(units[i : i + 16]).name for i in range(0, len(units), 16)))
"""


def test_another_process_with_another_hash_seed_finds_the_same() -> None:
    units = UNITS[:5000]

    there = subprocess.run(
        [sys.executable, "-c", CHILD],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": str(ROOT)},
        input=b"".join(units).hex(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()

    assert there == assigned("s", units, a=70, b=25, c=5)


def test_assignments_are_these_for_ever() -> None:
    """A change of the hash would move every user of every running experiment."""
    chosen = [arm_of(arms(stable=50, canary=50), "salt", unit(n)).name[0] for n in range(24)]

    assert "".join(chosen) == "cccssccsccssccscssccscsc"


weights = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 1000), min_size=2, max_size=4
)
some_units = st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=20)


@settings(deadline=None, max_examples=100)
@given(weights, some_units, st.integers(1, 1000), st.data())
def test_raising_a_weight_never_moves_a_user_away(
    given_weights: dict[str, int], units: list[bytes], more: int, data: st.DataObject
) -> None:
    raised = data.draw(st.sampled_from(sorted(given_weights)))
    after = {**given_weights, raised: given_weights[raised] + more}

    for old, new in zip(
        assigned("s", units, **given_weights), assigned("s", units, **after), strict=True
    ):
        assert new in (old, raised)


@settings(deadline=None, max_examples=100)
@given(weights, some_units, st.randoms(use_true_random=False))
def test_the_order_of_arms_makes_no_difference(
    given_weights: dict[str, int], units: list[bytes], rng: random.Random
) -> None:
    shuffled = list(given_weights.items())
    rng.shuffle(shuffled)

    assert assigned("s", units, **dict(shuffled)) == assigned("s", units, **given_weights)


@settings(deadline=None, max_examples=100)
@given(weights, some_units, st.sampled_from([0.001, 0.1, 3.0, 1e6]))
def test_only_the_ratio_of_weights_matters(
    given_weights: dict[str, int], units: list[bytes], scale: float
) -> None:
    scaled = {name: weight * scale for name, weight in given_weights.items()}

    assert assigned("s", units, **scaled) == assigned("s", units, **given_weights)


@settings(deadline=None, max_examples=100)
@given(weights, some_units, st.data())
def test_without_an_arm_only_its_own_users_move(
    given_weights: dict[str, int], units: list[bytes], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(given_weights)))
    rest = {name: weight for name, weight in given_weights.items() if name != gone}
    assume(rest)

    for old, new in zip(
        assigned("s", units, **given_weights), assigned("s", units, **rest), strict=True
    ):
        assert old in (new, gone)


def test_a_user_keeps_the_arm_over_snapshots_of_the_same_weights() -> None:
    chooser = splitter()
    users = [request(principal(subject=f"u{n}")) for n in range(200)]
    first, second = sticky(), sticky()

    assert [chooser.choose(first, user) for user in users] == [
        chooser.choose(second, user) for user in users
    ]
    assert {chooser.choose(first, user).name for user in users} == {"stable", "canary"}


def test_what_chooses_is_what_simulations_ask() -> None:
    chooser, found = splitter(), sticky(salt="s")
    for number in range(100):
        user = request(principal(subject=f"u{number}"))
        known = unit_of(found, user)
        assert known is not None
        assert chooser.choose(found, user) == arm_of(found.arms, "s", known)


def test_a_subject_is_a_user_of_its_issuer_in_whatever_tenant() -> None:
    found = sticky()

    def of(**who: str) -> bytes | None:
        return unit_of(found, request(principal(**who)))

    assert of(issuer="a") != of(issuer="b")
    assert of(tenant="a") == of(tenant="b")


def test_a_surrogate_in_a_claim_is_a_value_like_any() -> None:
    found = sticky("jwt.name")

    assert unit_of(found, request(principal(name="\ud800"))) is not None


def test_a_request_of_nobody_is_divided_by_chance_and_weight() -> None:
    for found in (sticky("header.x-user"), snapshot(route().route, "r", None)):
        assert splitter(0.0).choose(found, request()).name == "canary"
        assert splitter(0.049).choose(found, request()).name == "canary"
        assert splitter(0.051).choose(found, request()).name == "stable"
        assert splitter(0.999999).choose(found, request()).name == "stable"


def test_the_only_arm_with_a_weight_needs_neither_key_nor_chance() -> None:
    found = snapshot(route(backends=[STABLE, {**CANARY, "weight": 0}]).route, "r", None)

    assert splitter().choose(found, request()).name == "stable"


def test_a_pinned_version_is_that_arm_s_even_without_weight() -> None:
    found = snapshot(route(backends=[STABLE, {**CANARY, "weight": 0}]).route, "r", None)

    assert splitter().choose(found, request(version="4")).name == "canary"


def test_arms_of_one_version_share_those_who_pin_it() -> None:
    twin = {**STABLE, "name": "twin", "model": "other"}
    found = sticky(backends=[STABLE, twin, CANARY])
    users = [request(principal(subject=f"u{n}"), version="3") for n in range(100)]

    assert {splitter().choose(found, user).name for user in users} == {"stable", "twin"}


def test_another_version_is_not_found_and_the_answer_says_which_there_are() -> None:
    with pytest.raises(PenstockError) as caught:
        splitter().choose(sticky(), request(version="9"))

    assert caught.value.kind is Kind.NOT_FOUND
    assert caught.value.message == 'model "fraud" has no version "9"; it has 3, 4'


def test_pins_any_lets_every_version_through_as_an_arm_of_its_own() -> None:
    found = sticky(pins="any")

    assert splitter().choose(found, request(version="9")) == Arm("pinned", "fraud", "9", 0.0)
    assert splitter().choose(found, request(version="4")).name == "canary"
    assert splitter().choose(implicit("fraud"), request(version="9")).version == "9"


def test_pins_refuse_refuses_even_an_arm_s_version() -> None:
    with pytest.raises(PenstockError, match="version: ") as caught:
        splitter().choose(sticky(pins="refuse"), request(version="4"))

    assert caught.value.kind is Kind.INVALID


def test_hashes_of_old_snapshots_are_forgotten() -> None:
    chooser, document = splitter(*[0.5] * (DIVISIONS + 10)), route().route
    for _ in range(DIVISIONS + 10):
        chooser.choose(snapshot(document, "r", None), request())

    assert len(chooser._divisions) <= DIVISIONS
