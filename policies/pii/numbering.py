"""Numbering plans of the world's telephones, read from libphonenumber's metadata.

Only the metadata is used: the library's own matcher takes milliseconds for a page of text.
"""

import re
from collections.abc import Iterable
from functools import cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, PhoneMetadata

from policies.pii.checksums import digits

_WORLD = "001"  # libphonenumber's name for what belongs to no region, such as +800
_KINDS = (
    *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number"),
    *("voip", "pager", "uan", "voicemail"),
)
_EXTENSION = re.compile(r",? ?(?:ext|x|#).*", re.IGNORECASE | re.DOTALL)


def is_region(name: str) -> bool:
    """Whether it is an ISO 3166 code with a numbering plan."""
    return name in SUPPORTED_REGIONS


def without_extension(text: str) -> str:
    """The number before `ext. 12` or `x12`."""
    # All of them have a letter or a number sign, which few numbers do.
    return text if text.upper() == text.lower() and "#" not in text else _EXTENSION.sub("", text)


def is_international(text: str) -> bool:
    """A calling code after `+`, `00` or `011`, and a number that the plan behind it has."""
    number = digits(without_extension(text).replace("(0)", ""))
    if text[0] != "+":
        number = number.removeprefix("011") if number.startswith("011") else number[2:]
    for size in (1, 2, 3):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(number[:size] or "0"), ())
        if regions:
            code, national = number[:size], number[size:]
            return any(
                _in_plan(national, code if region == _WORLD else region)
                # The trunk 0 is often written all the same: +44 020 7946 0958.
                or (national[:1] == _trunk(region) and _in_plan(national[1:], region))
                for region in regions
            )
    return False


def national_plan(regions: Iterable[str]) -> re.Pattern[str]:
    """What a number may be within the regions, with or without its trunk prefix: digits only."""
    plans = (
        f"(?:{metadata.national_prefix or ''})?(?:{_numbers(metadata)})"
        for region in regions
        if (metadata := _metadata(region)) is not None
    )
    return re.compile("|".join(plans))


def _in_plan(number: str, region: str) -> bool:
    plan = _plan(region)
    return plan is not None and plan.fullmatch(number) is not None


@cache
def _plan(region: str) -> re.Pattern[str] | None:
    """What national significant numbers of a region, or of a calling code without one, are."""
    metadata = _metadata(region)
    return None if metadata is None else re.compile(_numbers(metadata))


@cache
def _trunk(region: str) -> str | None:
    metadata = _metadata(region)
    return None if metadata is None else metadata.national_prefix


def _numbers(metadata: PhoneMetadata) -> str:
    kinds = (getattr(metadata, kind) for kind in _KINDS)
    patterns = (kind.national_number_pattern for kind in kinds if kind is not None)
    return "|".join(f"(?:{pattern})" for pattern in patterns if pattern)


def _metadata(region: str) -> PhoneMetadata | None:
    if region.isdigit():
        return PhoneMetadata.metadata_for_nongeo_region(int(region))
    return PhoneMetadata.metadata_for_region(region)
