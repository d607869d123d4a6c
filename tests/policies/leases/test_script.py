"""The ledger in Redis answers as the one in Python does, ask for ask."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from policies.leases.ledger import Ledger
from policies.leases.periods import month_starts
from policies.leases.script import CLOCK, answer, arguments, script
from policies.leases.terms import Ask, Kind, Terms
from tests.gateway.state.redis_server import RedisServer

WALL = 1_709_164_000.0  # an hour and a half before the last February day of a leap year ends


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Redis[bytes]"]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        client = Redis(port=server.port)
        yield client
        client.close()


# What is in a record's history: binary fractions, so that both sum up to the last bit.
amounts = st.integers(0, 400).map(lambda quarters: quarters / 4)
kinds: st.SearchStrategy[Kind] = st.sampled_from(["rate", "day", "month", "slots"])


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    kind = draw(kinds)
    size = float(draw(st.integers(1, 200)))
    rate = draw(st.sampled_from([0.5, 8.0, 512.0])) if kind == "rate" else 0.0
    back = draw(st.booleans()) and kind != "slots"
    return Ask(
        kind,
        Terms(kind, size, rate),
        charge=-draw(amounts) if back else draw(amounts),
        need=draw(amounts),
        want=draw(amounts),
        held=draw(amounts),
        reserved=draw(amounts),
        grain=draw(st.sampled_from([0.25, 1.0, 20.0])),
        used=draw(st.sampled_from([0.0, 0.0, 50.0])),
        at_once=draw(st.booleans()),
    )


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["one", "two", "three"]),
            st.lists(asks(), max_size=4, unique_by=lambda ask: ask.name),
            st.sampled_from(
                [0.0, 0.125, 1.0, 4.0, 6000.0, -2.0, 4e7, -4e7]
            ),  # then so many seconds pass
        ),
        max_size=12,
    )
)
def test_every_history_has_the_same_answers(
    redis: "Redis[bytes]", history: list[tuple[str, list[Ask], float]]
) -> None:
    redis.flushall()
    ledger = Ledger()
    told = script("local now = tonumber(ARGV[2])")
    now = WALL
    for holder, batch, passes in history:
        expected = ledger.exchange(holder, batch, now, now)
        written = arguments("p:", holder, month_starts(now), batch)
        found = answer(redis.eval(told, *written, now), len(batch))
        assert found.holders == expected.holders
        assert found.grants == tuple(
            pytest.approx(tuple(each), rel=1e-9, abs=1e-6) for each in expected.grants
        )
        now += passes


def test_it_runs_by_the_servers_own_clock(redis: "Redis[bytes]") -> None:
    redis.flushall()
    ask = Ask("bucket", Terms("rate", 10.0, 1.0), need=4.0)
    months = month_starts(WALL)

    found = answer(redis.eval(script(CLOCK), *arguments("p:", "one", months, [ask])), 1)

    assert found.holders == 1
    assert found.grants[0].granted == 4.0
    assert found.grants[0].left == pytest.approx(6.0)


def test_what_nobody_uses_is_forgotten(redis: "Redis[bytes]") -> None:
    redis.flushall()
    batch = [
        Ask("rate", Terms("rate", 10.0, 1.0), need=4.0),
        Ask("day", Terms("day", 10.0), need=4.0),
        Ask("slots", Terms("slots", 10.0), need=4.0),
    ]
    redis.eval(script(), *arguments("p:", "one", month_starts(WALL), batch))

    assert all(redis.pttl(key) > 0 for key in redis.keys("*"))
    assert redis.pttl("p:rate") <= 9_000 + 100  # filled up in 4 s, and what is out for 5 s
    assert redis.pttl("p:slots") <= 5_000


@pytest.mark.parametrize(
    "reply",
    [
        None,
        7,
        [b"1", b"2"],
        b"",
        b"OK",
        b"1",
        b"1 5 5 5",
        b"1 nan 5 5 0",
        b"1 inf 5 5 0",
        b"1 -5 5 5 0",
        b"-1 5 5 5 0",
        b"1 5 5 5 0 5 5 5 0",
    ],
)
def test_what_the_script_cannot_have_said_is_no_answer(reply: object) -> None:
    with pytest.raises(ValueError):
        answer(reply, 1)
