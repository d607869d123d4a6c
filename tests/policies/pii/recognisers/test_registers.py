import pytest

from policies.pii.recognisers.registers import (
    is_ahv,
    is_bsn,
    is_checked_rrn,
    is_cpf,
    is_hetu,
    is_kimlik,
    is_personnummer,
    is_pesel,
    is_sin,
    is_south_african,
)
from tests.policies.pii.finding import found, values


@pytest.mark.parametrize(
    ("entity", "number"),
    [
        ("SE_PERSONNUMMER", "811228-9874"),
        ("SE_PERSONNUMMER", "19811228-9874"),
        ("FI_HETU", "131052-308T"),
        ("CH_AHV", "756.9217.0769.85"),
        ("BR_CPF", "529.982.247-25"),
        ("KR_RRN", "960121-1234567"),
    ],
)
def test_some_have_a_form_of_their_own(entity: str, number: str) -> None:
    assert found(f"see {number}, please") == [(entity, number)]


@pytest.mark.parametrize(
    ("entity", "label", "number"),
    [
        ("PL_PESEL", "PESEL", "44051401359"),
        ("SE_PERSONNUMMER", "personnummer", "8112289874"),
        ("CH_AHV", "AHV", "7569217076985"),
        ("BR_CPF", "CPF", "52998224725"),
        ("NL_BSN", "BSN", "111222333"),
        ("CA_SIN", "SIN", "046 454 286"),
        ("CA_SIN", "Social Insurance Number:", "130-692-544"),
        ("KR_RRN", "resident registration", "9601211234567"),
        ("ZA_ID", "SA ID", "8001015009087"),
        ("TR_KIMLIK", "TC Kimlik No:", "10000000146"),
    ],
)
def test_others_need_a_word(entity: str, label: str, number: str) -> None:
    wanted = [] if number[0] == "0" else [number]
    assert values(f"{label} {number}", entity) == wanted
    assert values(f"see {number}, please", entity) == []


def test_wrong_digits_are_noticed() -> None:
    checks = {
        is_pesel: "4405140135",
        is_personnummer: "811228987",
        is_ahv: "756921707698",
        is_bsn: "11122233",
        is_sin: "13069254",
        is_checked_rrn: "960121102141",
        is_south_african: "800101500908",
        is_kimlik: "1000000014",
        is_cpf: "5299822472",
    }
    for check, number in checks.items():
        assert sum(check(f"{number}{digit}") for digit in range(10)) == 1, check
    assert [is_hetu(f"131052-308{letter}") for letter in "ST"] == [False, True]


def test_days_that_are_none_are_noticed() -> None:
    assert not is_pesel("44953401350")
    assert found("see 961321-1234567") == []
