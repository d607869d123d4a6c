"""Which requests a route takes, and the arms that it divides them among."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from protos.settings import Settings

MAX_WEIGHT = 1_000_000

_STICKY = re.compile(r"(jwt|header|cookie)\.[A-Za-z0-9_.:/-]{1,128}|tenant")


def _arm_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", name):
        raise ValueError("should be small letters, digits, '.', '_' and '-', at most 63")
    return name


def _pattern(text: str) -> str:
    if text.count("*") > 1:
        raise ValueError("should have one '*' at most")
    return text


def _sticky_key(text: str) -> str:
    if not _STICKY.fullmatch(text):
        raise ValueError("should be jwt.CLAIM, header.NAME, cookie.NAME or tenant")
    return text


Name = Annotated[str, AfterValidator(_arm_name)]
# A name, or a pattern in which one `*` stands for any run of letters.
Pattern = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_pattern)]
# "" is any version; numbers are written in quotes, as versions are names.
Version = Annotated[str, Field(max_length=256)]


class Match(Settings):
    """One rule; all that it names must hold. Of several rules that hold, the most specific wins.

    `headers` and `claims` map a name to the value wanted; `*` in a value as in names. A claim that
    is a list holds if any of its members does.
    """

    model: Pattern
    tenants: tuple[Pattern, ...] = Field(default=("*",), min_length=1)
    headers: dict[str, Pattern] = Field(default_factory=dict)
    claims: dict[str, Pattern] = Field(default_factory=dict)


class Backend(Settings):
    """An arm: a model version and its weight. Without `version` the newest that is ready serves.

    `fallback` names the arm that serves instead while none of this one's endpoints can be used;
    without it such requests fail, so that a canary's failures stay its own.
    """

    name: Name
    model: str = Field(min_length=1, max_length=256)
    version: Version = ""
    weight: int = Field(default=1, ge=0, le=MAX_WEIGHT)
    fallback: Name | None = None


class Sticky(Settings):
    """Keeps a user on one arm: whose `key` is the same goes to the same arm on every replica.

    A request without the key is divided by chance. Another `salt` shuffles the users anew.
    """

    key: Annotated[str, AfterValidator(_sticky_key)]
    salt: str = Field(default="", max_length=256)


class Priority(Settings):
    """What clients may ask for: 1 is the highest; asking for more than `highest` gets `highest`."""

    default: int = Field(default=0, ge=0, le=0xFFFF)
    highest: int = Field(default=1, ge=1, le=0xFFFF)


# Whether a version in the URL decides: that of an arm, any, or none (then it is refused).
Pins = Literal["arms", "any", "refuse"]


def twice(values: list[Any]) -> Any:
    """The first value that occurs a second time, or None."""
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
