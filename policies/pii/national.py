"""Telephone numbers as people write them within their own country."""

import re
from collections.abc import Sequence

from policies.pii.checksums import digits
from policies.pii.numbering import national_plan, without_extension
from policies.pii.recogniser import WORD, Recogniser
from policies.pii.recognisers.phones import CONTEXT, EXTENSION, RIGHT

_LEFT = rb"(?:\\[nrt]|^|[^" + WORD + rb".+\-/(]|(?:^|[^0-9])[./\-(])"

SHORTEST = 7  # digits: shorter numbers are local, or of services

_AMERICAN = 10  # digits of North America's numbers
# Grouped as social security numbers are, also those that can't be one.
_SOCIAL = re.compile(r"[0-9]{3}([ .-])[0-9]{2}\1[0-9]{4}")

# A date and the hour behind it have as many digits as a number and its area.
_DATE = re.compile(
    r"[0-9]{1,2}([./-])[0-9]{1,2}\1[0-9]{2,4}\b|[0-9]{4}([ ./-])[0-9]{2}\2[0-9]{2}\b"
)


def national(regions: Sequence[str]) -> tuple[Recogniser, ...]:
    """Recognisers of the regions' numbers (ISO 3166 codes)."""

    plan = national_plan(regions)

    def is_number(text: str) -> bool:
        if _DATE.match(text) is not None:
            return False
        if _SOCIAL.fullmatch(text) is not None:
            return False
        number = digits(without_extension(text))
        if len(number) > _AMERICAN and text[0] not in "(0":
            number = number[-_AMERICAN:]  # behind a calling code without its plus sign
        return len(number) >= SHORTEST and plan.fullmatch(number) is not None

    def recogniser(
        pattern: bytes, score: float, confirmed: float = 0.95, left: bytes = _LEFT
    ) -> Recogniser:
        return Recogniser(
            "PHONE",
            pattern,
            score,
            confirmed,
            context=CONTEXT,
            check=is_number,
            canonical=digits,
            left=left,
            right=RIGHT,
        )

    return (
        # As North America prints them, and in groups with the trunk prefix that most of the world
        # puts before the area.
        recogniser(
            rb"(?:1[ .-]|[1-9][0-9]{1,2}-)?(?:\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .-]"
            rb"|[2-9][0-9]{2}[.-][2-9][0-9]{2}[ .-]|[2-9][0-9]{2} [2-9][0-9]{2}[.-])[0-9]{4}"
            + EXTENSION
            + rb"|\(0[1-9][0-9]{0,4}\)(?:[ ./-]?[0-9]{2,8}){1,4}"
            rb"|0[1-9][0-9]{0,4}(?:[ ./-][0-9]{2,8}){1,4}",
            0.6,
        ),
        # With nothing but blanks it may be of a table.
        recogniser(
            rb"(?:1 )?[2-9][0-9]{2} [2-9][0-9]{2} [0-9]{4}" + EXTENSION,
            0.6,
            left=rb"(?:\\[nrt]|^|[^" + WORD + rb" .+\-/(]|(?:^|[^0-9])[ ./\-(])",
        ),
        recogniser(
            rb"\(?[0-9]{2,5}\)?(?:[ ./-]{0,2}[0-9]{2,5}){1,4}" + EXTENSION,
            0.2,
            0.75,
        ),
    )
