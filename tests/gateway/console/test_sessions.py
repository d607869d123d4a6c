"""Links work once and for ten minutes, sessions for eight hours; of either there are so many."""

import pytest

from gateway.console.sessions import (
    LINK_SECONDS,
    MOST_LINKS,
    MOST_SESSIONS,
    SESSION_SECONDS,
    Sessions,
)
from protos.errors import Kind, PenstockError
from protos.principal import Principal

ADA = Principal("ada", "risk", frozenset({"admin"}))


def begin(sessions: Sessions, now: float = 0.0) -> str:
    return sessions.begin(sessions.invite(ADA, now), now)[0]


def test_a_link_begins_a_session_of_whoever_it_was_made_for():
    sessions = Sessions()
    cookie, session = sessions.begin(sessions.invite(ADA, 0.0), 1.0)
    assert session.principal is ADA
    assert sessions.find(cookie, 2.0) is session


def test_a_link_works_once():
    sessions = Sessions()
    code = sessions.invite(ADA, 0.0)
    sessions.begin(code, 0.0)
    with pytest.raises(PenstockError) as refused:
        sessions.begin(code, 0.0)
    assert refused.value.kind is Kind.UNAUTHENTICATED


def test_looking_at_a_link_does_not_use_it_up():
    sessions = Sessions()
    code = sessions.invite(ADA, 0.0)
    assert sessions.invited(code, 1.0) is ADA
    assert sessions.invited(code, 1.0) is ADA
    sessions.begin(code, 2.0)
    with pytest.raises(PenstockError):
        sessions.invited(code, 3.0)


@pytest.mark.parametrize("ask", [Sessions.invited, Sessions.begin])
def test_a_link_is_too_old_after_ten_minutes(ask):
    sessions = Sessions()
    code = sessions.invite(ADA, 0.0)
    with pytest.raises(PenstockError):
        ask(sessions, code, LINK_SECONDS)


@pytest.mark.parametrize("code", ["", "guess", "\udcff"])
def test_what_was_never_a_link_begins_nothing(code: str):
    with pytest.raises(PenstockError):
        Sessions().begin(code, 0.0)


def test_a_session_ends_after_eight_hours_however_much_it_is_used():
    sessions = Sessions()
    cookie = begin(sessions)
    assert sessions.find(cookie, SESSION_SECONDS - 1) is not None
    assert sessions.find(cookie, SESSION_SECONDS) is None
    assert len(sessions) == 0


def test_who_logs_out_is_out():
    sessions = Sessions()
    cookie = begin(sessions)
    sessions.end(cookie, 1.0)
    assert sessions.find(cookie, 1.0) is None


def test_a_links_code_is_no_cookie_and_a_cookie_no_code():
    sessions = Sessions()
    assert sessions.find(sessions.invite(ADA, 0.0), 0.0) is None
    with pytest.raises(PenstockError):
        sessions.begin(begin(sessions), 0.0)


def test_beyond_so_many_the_oldest_gives_way():
    sessions = Sessions()
    codes = [sessions.invite(ADA, float(i)) for i in range(MOST_LINKS + 1)]
    with pytest.raises(PenstockError):
        sessions.invited(codes[0], 40.0)
    cookies = [begin(sessions, 40.0 + i) for i in range(MOST_SESSIONS + 1)]
    assert len(sessions) == MOST_SESSIONS
    assert sessions.find(cookies[0], 200.0) is None
    assert sessions.find(cookies[1], 200.0) is not None


def test_secrets_differ_have_256_bits_and_are_not_kept():
    sessions = Sessions()
    cookies = {begin(sessions) for _ in range(20)}
    assert len(cookies) == 20
    assert all(len(cookie) >= 43 for cookie in cookies)
    kept = repr(vars(sessions)) + repr([vars(each) for each in vars(sessions).values()])
    assert not any(cookie in kept for cookie in cookies)


def test_each_session_has_a_token_for_forms_of_its_own():
    sessions = Sessions()
    tokens = {sessions.begin(sessions.invite(ADA, 0.0), 0.0)[1].csrf for _ in range(5)}
    assert len(tokens) == 5
