"""The mix of a soak: whoever asked is counted."""

from collections import Counter

import pytest

from chaos.soak.traffic import Kind, Traffic


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "200"),
        (TimeoutError(), "no answer"),
        (ConnectionResetError(), "ConnectionResetError"),
        (IndexError(), "IndexError"),
        (ValueError(), "ValueError"),
    ],
)
async def test_whatever_a_request_ends_with_is_counted(error: Exception | None, status: str):
    async def ask() -> str:
        if error is not None:
            raise error
        return "200"

    traffic = Traffic.__new__(Traffic)
    traffic.statuses = Counter()
    await traffic._note(Kind("unary", 1.0, ask))

    assert traffic.statuses == {("unary", status): 1}
