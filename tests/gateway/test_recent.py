"""Which requests are kept: what failed, what was refused, and the slowest; so many and no more."""

import orjson

from gateway.recent import (
    FAILURES_A_REPORT,
    KEPT,
    KEPT_REFUSALS,
    REFUSALS_A_REPORT,
    SLOW_A_REPORT,
    SLOW_FOR,
    Ended,
    Noted,
    RecentRequests,
    packed,
)
from protos.timeline import Timeline

NOW = 50.0  # a monotonic time


def ended(code: int = 200, end: float = 0.0, model: str = "m") -> Ended:
    return Ended(model, "http", code, "", Timeline(0.0), end)


def row(code: int = 200, seconds: float = 1.0, at: float = 0.0, **more: object) -> bytes:
    return orjson.dumps(
        {
            "code": code,
            "by_client": False,
            "seconds": seconds,
            "at": at,
            "model": "m",
            "request_id": "r",
            **more,
        }
    )


class TestAWorker:
    def test_takes_any_request_for_slow_until_it_knows_slower_ones(self):
        noted = Noted()
        for index in range(KEPT):
            noted.note(ended(), seconds=1.0 + index)
        assert noted.floor == 0.0
        noted.note(ended(), seconds=500.0)
        assert noted.floor == 2.0

    def test_forgets_who_was_slow_ten_minutes_ago(self):
        noted = Noted()
        for index in range(KEPT + 10):
            noted.note(ended(end=float(index)), seconds=9.0)
        assert noted.floor == 9.0
        noted.take(KEPT + SLOW_FOR / 2)
        assert noted.floor == 9.0
        noted.take(KEPT + SLOW_FOR)
        assert noted.floor == 0.0

    def test_tells_each_once(self):
        noted = Noted()
        noted.note(ended(503), seconds=0.1)
        noted.note(ended(404), seconds=0.1)
        noted.note(ended(200), seconds=0.1)
        assert [each.code for each in noted.take(0.0)] == [503, 404, 200]
        assert noted.take(0.0) == []

    def test_tells_so_many_of_each_kind_the_newest(self):
        noted = Noted()
        for index in range(1000):
            noted.note(ended(503, end=float(index)), seconds=0.1)
            noted.note(ended(429, end=float(index)), seconds=0.1)
        found = noted.take(0.0)
        assert len(found) == FAILURES_A_REPORT + REFUSALS_A_REPORT
        assert found[-1].end == 999.0

    def test_tells_the_slowest_of_many_slow_ones(self):
        noted = Noted()
        for index in range(KEPT):
            noted.note(ended(end=float(index)), seconds=float(index))
        found = noted.take(0.0)
        assert [each.end for each in found] == [float(KEPT - 1 - i) for i in range(SLOW_A_REPORT)]

    def test_tells_rows_as_json(self):
        (found,) = packed([ended(500)], lambda each: {"code": each.code})
        assert orjson.loads(found) == {"code": 500}


class TestAGateway:
    def test_lists_the_newest_first_whatever_became_of_them(self):
        recent = RecentRequests()
        recent.take([row(200, at=1.0), row(503, at=3.0), row(429, at=2.0)], NOW)
        assert [each["code"] for each in recent.find({}, NOW)] == [503, 429, 200]

    def test_deadlines_that_clients_chose_push_out_no_failures(self):
        recent, noted = RecentRequests(), Noted()
        hurried = ended(504)._replace(timeline=Timeline(0.0, by_client=True))
        noted.note(ended(500), seconds=0.1)
        for _ in range(FAILURES_A_REPORT + 1):
            noted.note(hurried, seconds=0.1)
        assert noted.take(0.0)[0].code == 500
        recent.take([row(500), *[row(504, by_client=True)] * (KEPT + 1)], NOW)
        assert len(recent.find({"code": "500"}, NOW)) == 1
        assert len(recent.find({"code": "504"}, NOW)) == KEPT_REFUSALS

    def test_finds_by_model_code_and_request_id(self):
        recent = RecentRequests()
        recent.take([row(500, model="a"), row(503, model="a"), row(503, request_id="x")], NOW)
        assert len(recent.find({"model": "a"}, NOW)) == 2
        assert len(recent.find({"model": "a", "code": "503"}, NOW)) == 1
        assert len(recent.find({"request_id": "x"}, NOW)) == 1
        assert recent.find({"request_id": "y"}, NOW) == []

    def test_refusals_do_not_push_out_failures(self):
        recent = RecentRequests()
        recent.take([row(500)] + [row(429)] * 1000, NOW)
        assert len(recent.find({"code": "500"}, NOW)) == 1
        assert len(recent.find({"code": "429"}, NOW)) == KEPT_REFUSALS

    def test_keeps_the_newest_failures(self):
        recent = RecentRequests()
        recent.take((row(500, at=float(index)) for index in range(KEPT + 5)), NOW)
        assert min(each["at"] for each in recent.find({}, NOW)) == 5.0

    def test_keeps_the_slowest_of_all_workers(self):
        recent = RecentRequests()
        recent.take((row(seconds=float(index)) for index in range(KEPT)), NOW)
        recent.take((row(seconds=1000.0 + index) for index in range(10)), NOW + 1)
        assert min(each["seconds"] for each in recent.find({}, NOW + 1)) == 10.0

    def test_a_slow_request_is_forgotten_after_ten_minutes_however_few_there_are(self):
        recent = RecentRequests()
        recent.take([row(seconds=9.0), row(500)], NOW)
        assert len(recent.find({}, NOW + SLOW_FOR)) == 2
        recent.take([row(seconds=0.5)], NOW + SLOW_FOR)
        found = recent.find({"code": "200"}, NOW + SLOW_FOR + 1)
        assert [each["seconds"] for each in found] == [0.5]
        assert len(recent.find({"code": "500"}, NOW + SLOW_FOR + 1)) == 1

    def test_a_row_dated_in_the_future_pushes_nothing_out(self):
        recent = RecentRequests()
        recent.take([row(seconds=0.001, at=3600.0)], NOW)
        recent.take((row(seconds=5.0, at=1.0) for _ in range(KEPT * 2)), NOW + 1)
        found = recent.find({}, NOW + 1)
        assert len(found) == KEPT
        assert {each["seconds"] for each in found} == {5.0}
