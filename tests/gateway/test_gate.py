import pytest

from gateway.gate import trace_of

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_context_passes_as_it_is() -> None:
    assert trace_of(TRACE) == TRACE


@pytest.mark.parametrize(
    "given",
    [
        "",
        TRACE.upper(),
        TRACE + "-more",
        "00-bob@example.com" + "." * 16 + "-b7ad6b7169203331-01",
        TRACE.replace("0af7", "٠af7"),
    ],
)
def test_anything_else_is_dropped(given: str) -> None:
    assert trace_of(given) == ""
