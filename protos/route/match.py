"""Which requests a route takes, and the arms that it divides them among."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from protos.settings import Settings
from protos.wording import quote

MAX_WEIGHT = 1_000_000

_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
_STICKY = r"(jwt|header|cookie)\.[A-Za-z0-9_.:/-]{1,128}|tenant"
_PATTERN = r"[^*]*\*?[^*]*"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2


def _name(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise ValueError("should be small letters, digits, '.', '_' and '-', at most 63")
    return name


def _pattern(text: str) -> str:
    if text.count("*") > 1:
        raise ValueError("should have one '*' at most")
    return text


def _sticky_key(text: str) -> str:
    if not re.fullmatch(_STICKY, text):
        raise ValueError("should be jwt.CLAIM, header.NAME, cookie.NAME or tenant")
    return text


def _headers(wanted: dict[str, str]) -> dict[str, str]:
    for name in wanted:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{quote(name)} is no name of a header")
    if (name := twice([name.lower() for name in wanted])) is not None:
        raise ValueError(f"{name} is given twice; letters' case makes no difference")
    return wanted


Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": f"^{_NAME}$"})]
# A name, or a pattern in which one `*` stands for any run of letters.
Pattern = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra={"pattern": f"^{_PATTERN}$"}),
    AfterValidator(_pattern),
]
# "" is any version; numbers are written in quotes, as versions are names.
Version = Annotated[str, Field(max_length=256)]


class Match(Settings):
    """One rule; all that it names must hold. Of several rules that hold, the most specific wins.

    `headers` and `claims` map a name to the value wanted; `*` in a value as in names. A claim that
    is a list holds if any of its members does.
    """

    model: Pattern
    tenants: tuple[Pattern, ...] = Field(default=("*",), min_length=1)
    headers: Annotated[dict[str, Pattern], AfterValidator(_headers)] = Field(default_factory=dict)
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

    key: Annotated[
        str,
        AfterValidator(_sticky_key),
        Field(json_schema_extra={"pattern": f"^({_STICKY})$"}),
    ]
    salt: str = Field(default="", max_length=256)


class Priority(Settings):
    """What clients may ask for: 1 is the highest; asking for more than `highest` gets `highest`."""

    default: int = Field(default=0, ge=0, le=0xFFFF)
    highest: int = Field(default=1, ge=1, le=0xFFFF)


# What is called the arm of a version that a client chose and no arm has.
PINNED = "pinned"
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
