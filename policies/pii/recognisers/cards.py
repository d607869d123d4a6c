"""Payment cards: ISO/IEC 7812 numbers of the issuers in use, with their Luhn digit."""

from bisect import bisect_right

from policies.pii.checksums import digits, luhn
from policies.pii.recogniser import LINE, LINES_LEFT, LINES_RIGHT, Recogniser

_CONTEXT = (
    rb"card|visa|mastercard|master ?card|amex|american express|maestro|discover|diners|jcb"
    rb"|unionpay|rupay|debit|credit|pan|cc|tarjeta|(?:kredit|debit|bank)?karten?|carta|carte"
)

# First six digits, from and to, and the lengths in use.
_ISSUERS = (
    (220000, 220499, (16, 17, 18, 19)),  # Mir
    (222100, 272099, (16,)),  # Mastercard
    (300000, 305999, (14, 16)),  # Diners Club
    (309500, 309599, (14, 16)),
    (340000, 349999, (15,)),  # American Express
    (352800, 358999, (16, 17, 18, 19)),  # JCB
    (360000, 369999, (14, 16)),  # Diners Club
    (370000, 379999, (15,)),  # American Express
    (380000, 399999, (14, 16)),  # Diners Club
    (400000, 499999, (13, 16, 19)),  # Visa
    (500000, 509999, (16, 17, 18, 19)),  # Maestro, Dankort, Elo, RuPay
    (510000, 559999, (16,)),  # Mastercard
    (560000, 589999, (16, 17, 18, 19)),  # Maestro
    (600000, 699999, (16, 17, 18, 19)),  # Discover, UnionPay, Maestro, RuPay
    (810000, 829999, (16, 17, 18, 19)),  # UnionPay, RuPay
    (979200, 979299, (16,)),  # Troy
)
_FIRSTS = [first for first, _, _ in _ISSUERS]


def is_card(text: str) -> bool:
    """A number that one of the card schemes may have given out."""
    number = digits(text)
    index = bisect_right(_FIRSTS, int(number[:6])) - 1
    if index < 0:
        return False
    _, last, lengths = _ISSUERS[index]
    if int(number[:6]) > last or len(number) not in lengths:
        return False
    return number.count(number[-1]) < len(number) and luhn(number)


def is_travel_card(text: str) -> bool:
    """UATP, the airlines' scheme: fifteen digits that begin with 1."""
    number = digits(text)
    return len(number) == 15 and number[0] == "1" and luhn(number)


RECOGNISERS = (
    Recogniser(
        "CREDIT_CARD",
        rb"[2-9][0-9]{13,15}"
        rb"|[2-9][0-9]{3}(?:-[0-9]{4}){3}|[2-9][0-9]{3}(?: [0-9]{4}){3}"
        rb"|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}",
        0.8,
        0.99,
        context=_CONTEXT,
        check=is_card,
    ),
    Recogniser(
        "CREDIT_CARD",
        rb"[2-9][0-9]{3}" + LINE + rb"[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}"
        rb"|[2-9][0-9]{3}[ -][0-9]{4}" + LINE + rb"[0-9]{4}[ -][0-9]{4}"
        rb"|[2-9][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}" + LINE + rb"[0-9]{4}",
        0.7,
        0.95,
        context=_CONTEXT,
        check=is_card,
        left=LINES_LEFT,
        right=LINES_RIGHT,
    ),
    # Lengths and groupings that other numbers have as well: articles, snowflake ids, timestamps.
    Recogniser(
        "CREDIT_CARD",
        rb"[1-9](?:[ -]?[0-9]){12,18}",
        0.3,
        0.78,
        alone=0.6,
        context=_CONTEXT,
        check=lambda text: is_card(text) or is_travel_card(text),
    ),
)
