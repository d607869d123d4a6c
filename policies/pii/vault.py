"""What one request's placeholders stand for."""

import json
import re

from policies.pii.tokens import Tokens
from protos.errors import Kind, PenstockError

MOST = 1 << 16  # values of a request and its reply
LONGEST_ENTITY = 40
# `[EMAIL_4F7K2Q]`; a second spelling of the same value, or a value that happens to have the same
# hash, is numbered in the order of the conversation: `[EMAIL_4F7K2Q_2]`.
PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]{0,39}_[A-Z2-7]{6}(?:_[1-9][0-9]{0,5})?\]")
UNFINISHED = re.compile(r"\[(?:[A-Z][A-Z0-9_]*)?")
LONGEST = 1 + LONGEST_ENTITY + 1 + 6 + 7 + 1


class Vault:
    """Values of one request of one tenant; it dies with the request.

    Once it is closed, it gives places to what the model says by itself, and restores none of that:
    a requester gets back what they sent, and nobody else's.
    """

    __slots__ = ("_closed", "_numbers", "_places", "_tokens", "_values", "tenant")

    def __init__(self, tokens: Tokens, tenant: str) -> None:
        self.tenant = tenant
        self._tokens = tokens
        self._places: dict[tuple[str, str], str] = {}  # by entity and value as written
        self._values: dict[str, str] = {}  # by placeholder
        self._numbers: dict[tuple[str, str], int] = {}  # of spellings, by entity and token
        self._closed = False

    def close(self) -> None:
        """The request is complete."""
        self._closed = True

    def known(self, entity: str, value: str) -> str | None:
        """The placeholder of a value, if it was hidden before."""
        return self._places.get((entity, value))

    def hide(self, entity: str, value: str, canonical: str) -> str:
        """A placeholder for a value, which is restored to exactly as it is written.

        `canonical` is the form that all spellings of the value have in common. Raises TOO_LARGE, or
        BAD_REPLY once the vault is closed, for more values than one request may have.
        """
        if (known := self.known(entity, value)) is not None:
            return known
        token = self._tokens.placeholder(self.tenant, entity, canonical)
        number = self._numbers[entity, token] = self._numbers.get((entity, token), 0) + 1
        place = f"[{entity}_{token}]" if number == 1 else f"[{entity}_{token}_{number}]"
        if len(self._places) >= MOST:
            raise PenstockError(
                Kind.BAD_REPLY if self._closed else Kind.TOO_LARGE,
                f"there are more than {MOST} different values to be hidden",
            )
        self._places[entity, value] = place
        if not self._closed:
            self._values[place] = value
        return place

    def restore(self, text: str, *, escaped: bool = False) -> str:
        """The text with its placeholders replaced by what they stand for; others are left.

        `escaped` writes the values as they stand within a JSON string, for a tool's arguments.
        """
        if not self._values or "[" not in text:
            return text
        return PLACEHOLDER.sub(lambda place: self._value(place[0], escaped), text)

    def _value(self, place: str, escaped: bool) -> str:
        value = self._values.get(place)
        if value is None:
            return place
        return json.dumps(value)[1:-1] if escaped else value

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Vault of {len(self)} values>"
