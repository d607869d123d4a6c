"""Numbers that other countries give to everybody, for registers, taxes and pensions."""

from datetime import date

from policies.pii.checksums import digits, luhn, weighted
from policies.pii.recogniser import Recogniser, compact

_HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"


def is_pesel(text: str) -> bool:
    """Poland: a birthday, the century in its month, and weights 1, 3, 7, 9 modulo 10."""
    number = digits(text)
    month = int(number[2:4]) % 20
    born = _is_day(int(number[:2]), month, int(number[4:6]))
    return born and weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def is_personnummer(text: str) -> bool:
    """Sweden: a birthday, or one 60 days later, and the Luhn digit of ten digits (SFS 1991:481)."""
    number = digits(text)[-10:]
    born = _is_day(int(number[:2]), int(number[2:4]), int(number[4:6]) % 60)
    return born and luhn(number)


def is_hetu(text: str) -> bool:
    """Finland: a birthday, a sign for the century, and a letter modulo 31 (128/2010)."""
    number = compact(text)
    found = digits(text[:6]) + digits(text[7:10])
    born = _is_day(int(found[4:6]), int(found[2:4]), int(found[:2]))
    return born and number[-1] == _HETU[int(found) % 31]


def is_ahv(text: str) -> bool:
    """Switzerland: 756 and an EAN-13 digit."""
    return weighted(digits(text), (1, 3) * 6 + (1,)) % 10 == 0


def is_cpf(text: str) -> bool:
    """Brazil: two digits modulo 11, of the nine and of the ten before them."""
    number = digits(text)
    checks = (weighted(number[: 9 + n], range(10 + n, 1, -1)) * 10 % 11 % 10 for n in (0, 1))
    return len(set(number)) > 1 and [*checks] == [int(number[9]), int(number[10])]


def is_bsn(text: str) -> bool:
    """The Netherlands: weights 9 to 2 and -1, modulo 11."""
    number = digits(text)
    return int(number) > 0 and weighted(number, (*range(9, 1, -1), -1)) % 11 == 0


def is_sin(text: str) -> bool:
    """Canada: nine digits with their Luhn digit, none from 0 or 8 on."""
    number = digits(text)
    return number[0] not in "08" and len(set(number)) > 1 and luhn(number)


def is_rrn(text: str) -> bool:
    """Korea: a birthday and a sex; the check digit is random since October 2020."""
    number = digits(text)
    return _is_day(int(number[:2]), int(number[2:4]), int(number[4:6]))


def is_checked_rrn(text: str) -> bool:
    """One with the check digit that they had before."""
    number = digits(text)
    check = (11 - weighted(number, (*range(2, 10), *range(2, 6))) % 11) % 10
    return is_rrn(text) and check == int(number[12])


def is_south_african(text: str) -> bool:
    """South Africa: a birthday, four digits, citizenship, and a Luhn digit."""
    number = digits(text)
    return _is_day(int(number[:2]), int(number[2:4]), int(number[4:6])) and luhn(number)


def is_kimlik(text: str) -> bool:
    """Turkey: the tenth digit from odd and even places, the eleventh from the sum of all."""
    number = [int(digit) for digit in digits(text)]
    odd, even = sum(number[0:9:2]), sum(number[1:8:2])
    return (7 * odd - even) % 10 == number[9] and sum(number[:10]) % 10 == number[10]


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(2000 + year, month, day)
    except ValueError:
        return False
    return True


_PESEL = rb"pesel"
_SWEDEN = rb"(?:person|samordnings)nummer|pnr|swedish|(?:id|identity) code"
_AHV = rb"ahv|avs|oasi"
_CPF = rb"cpf"
_RRN = rb"rrn|resident registration|korean?"

RECOGNISERS = (
    Recogniser("PL_PESEL", rb"[0-9]{11}", 0.3, 0.97, alone=0.65, context=_PESEL, check=is_pesel),
    Recogniser(
        "SE_PERSONNUMMER",
        rb"(?:18|19|20)?[0-9]{6}[+-][0-9]{4}",
        0.75,
        context=_SWEDEN,
        check=is_personnummer,
    ),
    Recogniser("SE_PERSONNUMMER", rb"[0-9]{10}", 0.3, context=_SWEDEN, check=is_personnummer),
    Recogniser(
        "SE_PERSONNUMMER",
        rb"(?:18|19|20)[0-9]{10}",
        0.3,
        alone=0.6,
        context=_SWEDEN,
        check=is_personnummer,
    ),
    Recogniser(
        "FI_HETU",
        rb"[0-9]{6}[-+A-FU-Ya-fu-y][0-9]{3}[0-9A-Ya-y]",
        0.85,
        context=rb"hetu|henkilotunnus|personbeteckning",
        check=is_hetu,
    ),
    Recogniser("CH_AHV", rb"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}", 0.85, context=_AHV, check=is_ahv),
    Recogniser("CH_AHV", rb"756[0-9]{10}", 0.3, alone=0.65, context=_AHV, check=is_ahv),
    Recogniser(
        "BR_CPF", rb"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", 0.85, context=_CPF, check=is_cpf
    ),
    Recogniser("BR_CPF", rb"[0-9]{11}", 0.3, context=_CPF, check=is_cpf),
    Recogniser(
        "NL_BSN",
        rb"[0-9]{9}|[0-9]{4}[ .][0-9]{2}[ .][0-9]{3}",
        0.3,
        context=rb"bsn|burgerservice(?:nummer)?|sofi",
        check=is_bsn,
    ),
    Recogniser(
        "CA_SIN",
        rb"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}",
        0.3,
        alone=0.6,
        context=rb"sin|social insurance|assurance sociale|nas",
        check=is_sin,
    ),
    Recogniser("KR_RRN", rb"[0-9]{6}-[1-8][0-9]{6}", 0.7, context=_RRN, check=is_rrn),
    Recogniser("KR_RRN", rb"[0-9]{6}[1-8][0-9]{6}", 0.3, context=_RRN, check=is_rrn),
    Recogniser("KR_RRN", rb"[0-9]{6}[1-8][0-9]{6}", 0.3, 0.3, alone=0.6, check=is_checked_rrn),
    Recogniser(
        "ZA_ID",
        rb"[0-9]{10}[0-2][0-9]{2}",
        0.3,
        alone=0.6,
        context=rb"south african?|sa id|rsa id|id ?number|(?:identity|resident) number",
        check=is_south_african,
    ),
    Recogniser(
        "TR_KIMLIK",
        rb"[1-9][0-9]{10}",
        0.3,
        alone=0.65,
        context=rb"tckn|kimlik(?: no)?|tc no|turkish id",
        check=is_kimlik,
    ),
)
