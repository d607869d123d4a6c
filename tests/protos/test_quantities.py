import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from protos.quantities import Address, Duration, HostPort, Size, address, seconds, size


class Example(BaseModel):
    wait: Duration = seconds("5s")
    room: Size = size("64MiB")
    place: HostPort = address("127.0.0.1:8000")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5s", 5.0), ("500ms", 0.5), ("15m", 900.0), ("1.5h", 5400.0), ("0s", 0.0), ("20us", 2e-5)],
)
def test_a_duration_is_read_in_seconds(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("64MiB", 64 << 20), ("16KiB", 16384), ("2GB", 2_000_000_000), ("1.5KiB", 1536), ("0B", 0)],
)
def test_a_size_is_read_in_bytes(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("wrong", ["5", 5, 5.0, "", "s", "-5s", "+5s", "1e3s", "5 s", None, "٥s"])
def test_a_duration_without_number_and_unit_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="number with its unit, such as 500ms"):
        seconds(wrong)


def test_unknown_units_name_the_known_ones() -> None:
    with pytest.raises(ValueError, match="one of us, ms, s, m, h, d, not 'sec'"):
        seconds("5sec")
    with pytest.raises(ValueError, match="not 'Mib'"):
        size("5Mib")


def test_half_a_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number of bytes"):
        size("0.3KiB")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8000", Address("127.0.0.1", 8000)),
        ("[::1]:0", Address("::1", 0)),
        ("gateway:8003", Address("gateway", 8003)),
    ],
)
def test_an_address_is_host_and_port(text: str, expected: Address) -> None:
    assert address(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "wrong", ["8000", ":8000", "host", "host:", "host:65536", "::1:80", "h:-1", 1]
)
def test_an_address_with_a_part_missing_or_absurd_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"such as|is not a port"):
        address(wrong)


def test_an_offset_moves_fixed_ports_only() -> None:
    assert Address("h", 8000).plus(100) == Address("h", 8100)
    assert Address("h", 0).plus(100) == Address("h", 0)


def test_a_schema_shows_defaults_as_they_are_written() -> None:
    properties = Example.model_json_schema(mode="serialization")["properties"]
    assert [each["default"] for each in properties.values()] == ["5s", "64MiB", "127.0.0.1:8000"]


def test_a_model_says_what_is_wrong() -> None:
    assert Example() == Example.model_validate(
        {"wait": "5s", "room": "64MiB", "place": "127.0.0.1:8000"}
    )
    with pytest.raises(ValidationError, match="such as 16KiB"):
        Example.model_validate({"room": 7})


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**15), st.integers(0, 10**9))
def test_what_is_written_reads_back(room: int, milliseconds: int) -> None:
    one = Example.model_validate({"room": f"{room}B", "wait": f"{milliseconds}ms"})
    assert Example.model_validate(one.model_dump()) == one
