"""What can be asked about usage."""

import csv
import io

import pytest

from gateway.usage.question import Question, as_csv, as_objects, question
from gateway.usage.value import Usage
from protos.errors import Kind, PenstockError

NOW = 86_400.0 * 20_003 + 5.0  # 2024-10-07


@pytest.mark.parametrize(
    ("since", "until", "asked"),
    [
        ("", "", ("2024-10-01", "2024-10-08")),
        ("2024-09-30", "", ("2024-09-30", "2024-10-08")),
        ("30d", "", ("2024-09-07", "2024-10-08")),
        ("0d", "", ("2024-10-07", "2024-10-08")),
        ("2024-09-01", "2024-10-01", ("2024-09-01", "2024-10-01")),
        ("7d", "1d", ("2024-09-30", "2024-10-06")),
    ],
)
def test_days_are_named_or_counted_back_from_today(
    since: str, until: str, asked: tuple[str, str]
) -> None:
    assert question(since, until, "tenant", NOW) == Question(*asked, ("tenant",))


@pytest.mark.parametrize(
    ("since", "until", "by", "message"),
    [
        ("yesterday", "", "day", "since: is a day such as 2024-10-07 or so many before today, 30d"),
        ("", "2024-13-01", "day", "until: is a day such as 2024-10-07"),
        ("2024-10-02", "2024-10-02", "day", "until: 2024-10-02 isn't after 2024-10-02"),
        ("", "", "tenant,team", 'by: is of day, tenant, model, not "team"'),
        ("", "", "", "by: is of day, tenant, model"),
        ("", "", "day,day", "by: names one of them twice"),
    ],
)
def test_what_cant_be_read_is_named(since: str, until: str, by: str, message: str) -> None:
    with pytest.raises(PenstockError) as caught:
        question(since, until, by, NOW)
    assert caught.value.kind is Kind.INVALID
    assert caught.value.message.startswith(message)


def test_answers_are_rows_of_what_is_told_apart_and_all_that_is_counted() -> None:
    found = [Usage("", 'a "quoted", tenant', "", 2, 3, 4, 5, 0.1234567891)]
    (row,) = as_objects(found, ("tenant",))
    assert row == {
        "tenant": 'a "quoted", tenant',
        "requests": 2,
        "rows": 3,
        "prompt_tokens": 4,
        "completion_tokens": 5,
        "device_seconds": 0.123457,
    }
    (read,) = csv.DictReader(io.StringIO(as_csv(found, ("tenant",))))
    assert read == {name: str(value) for name, value in row.items()}


def test_without_usage_a_csv_has_its_line_of_names() -> None:
    names = "model,day,requests,rows,prompt_tokens,completion_tokens,device_seconds\r\n"
    assert as_csv([], ("model", "day")) == names
