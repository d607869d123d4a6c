"""Applies a policy to text: finds, lets through what is allowed, and hides the rest."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from policies.pii.custom import allowed_pattern, recogniser
from policies.pii.deep.merging import merged
from policies.pii.detector import Detector
from policies.pii.fold import unmask
from policies.pii.national import national
from policies.pii.recogniser import Recogniser, compact
from policies.pii.recognisers import built_in
from policies.pii.settings import Allow, Policy
from policies.pii.span import Span
from policies.pii.tokens import Tokens
from policies.pii.vault import Vault
from protos.errors import Kind, PenstockError

Canonical = Callable[[str], str]
Naming = Callable[[str], Sequence[Span]]

# What opens doors, of which a mask shows nothing: neither the last letters nor the signs.
_SECRETS = frozenset({"API_KEY", "JWT", "PASSWORD", "PRIVATE_KEY", "URL_WITH_CREDENTIALS"})


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text to pass on, and what was found in the one that came (also where nothing changed)."""

    text: str
    spans: tuple[Span, ...]


class Redactor:
    """One policy under one key; keeps nothing, so that it serves all requests.

    `called` is the kind of policy in sentences that clients read.
    """

    def __init__(self, policy: Policy, key: bytes, called: str = "privacy") -> None:
        """Raises INVALID for a pattern that RE2 refuses, ValueError for too short a key."""
        self.policy = policy
        self.called = called
        own = [recogniser(pattern) for pattern in policy.patterns]
        recognisers: Sequence[Recogniser] = [
            each
            for each in (*own, *built_in(), *national(policy.phone_regions))
            if policy.rule(each.entity).action != "ignore"
        ]
        self.detector = Detector(recognisers, policy.least)
        self._canonical: dict[str, Canonical] = {}
        for each in recognisers:
            self._canonical.setdefault(each.entity, each.canonical)
        self._allowed = [_Allowed(entry, self.canonical) for entry in policy.allow]
        self._tokens = Tokens(key)
        self._naming: Naming | None = None

    def naming(self, naming: Naming) -> "Redactor":
        """The same policy, which gets names and places in each text from `naming`.

        Texts have to be given whole to it.
        """
        made = copy(self)
        made._naming = naming
        return made

    @property
    def names_texts(self) -> bool:
        """Whether it can only look at whole texts."""
        return self._naming is not None

    def vault(self, tenant: str) -> Vault:
        """An empty vault, for one request of a tenant."""
        return Vault(self._tokens, tenant)

    def find(self, text: str, tenant: str, *, begin: int = 0, hint: str = "") -> list[Span]:
        """What the policy is about in `text`; `begin` and `hint` are the detector's."""
        named = () if self._naming is None else self._naming(text)
        spans = self.detector.find(text, begin, hint)
        if named:
            spans = merged(spans, [span for span in named if self._wanted(span)], text)
        if not spans or not self._allowed:
            return spans
        allowed = [entry for entry in self._allowed if entry.is_for(tenant)]
        return [
            span
            for span in spans
            if not any(entry.covers(span.entity, text[span.start : span.end]) for entry in allowed)
        ]

    def redact(self, text: str, vault: Vault, hint: str = "") -> Redacted:
        """The text as the policy lets it pass. It refuses nothing itself: see `check`."""
        spans = self.find(text, vault.tenant, hint=hint)
        if not spans:
            return Redacted(text, ())
        return Redacted(self.hide(text, spans, vault), tuple(spans))

    def pseudonym(self, text: str, tenant: str) -> Redacted:
        """An id as the policy lets it pass: what is found in it becomes a keyed digest.

        Different ids stay different and equal ones equal, whatever an entity's action is: a model
        may keep a state under each.
        """
        spans = self.find(text, tenant)
        if not spans or self.policy.mode == "observe":
            return Redacted(text, tuple(spans))
        pieces: list[str] = []
        done = 0
        for span in spans:
            digest = self._tokens.digest(tenant, span.entity, text[span.start : span.end])
            pieces += (text[done : span.start], f"[{span.entity}#{digest}]")
            done = span.end
        return Redacted("".join((*pieces, text[done:])), tuple(spans))

    def hide(
        self, text: str, spans: Iterable[Span], vault: Vault, start: int = 0, end: int | None = None
    ) -> str:
        """`text[start:end]` with the spans in it replaced as their rules say."""
        if self.policy.mode == "observe":
            return text[start:end]
        pieces: list[str] = []
        done = start
        for span in spans:
            found = text[span.start : span.end]
            pieces += (text[done : span.start], self._replacement(span.entity, found, vault))
            done = span.end
        pieces.append(text[done:end])
        return "".join(pieces)

    def check(self, spans: Iterable[Span]) -> None:
        """Raises FORBIDDEN if there is one that the policy blocks; tells types and counts only."""
        if self.policy.mode == "observe":
            return
        self.refuse(Counter(span.entity for span in spans), "this text")

    def refuse(self, found: Mapping[str, int], what: str) -> None:
        """The same of counts by entity; `what` is refused, as the sentence says."""
        if self.policy.mode == "observe" or not found:
            return
        blocked = [
            f"{count} {entity}"
            for entity, count in sorted(found.items())
            if self.policy.rule(entity).action == "block"
        ]
        if blocked:
            told = f"the {self.called} policy refuses {what}: {', '.join(blocked)}"
            raise PenstockError(Kind.FORBIDDEN, told)

    def canonical(self, entity: str, value: str) -> str:
        """The form that all spellings of a value have in common."""
        folded = unmask(value).data.decode("latin-1")
        return self._canonical.get(entity, compact)(folded)

    def _wanted(self, span: Span) -> bool:
        policy = self.policy
        return policy.rule(span.entity).action != "ignore" and span.score >= policy.least(
            span.entity
        )

    def _replacement(self, entity: str, found: str, vault: Vault) -> str:
        rule = self.policy.rule(entity)
        match rule.action:
            case "restore":
                known = vault.known(entity, found)
                return known or vault.hide(entity, found, self.canonical(entity, found))
            case "hash":
                value = self.canonical(entity, found)
                return f"[{entity}#{self._tokens.digest(vault.tenant, entity, value)}]"
            case "mask":
                return _masked(entity, found, rule.keep_last)
            case _:
                return f"[{entity}]" if rule.text is None else rule.text


def _masked(entity: str, found: str, keep_last: int) -> str:
    """Stars for letters and digits but the last ones, which are half of them at most."""
    if entity in _SECRETS:
        return "".join(letter if letter.isspace() else "*" for letter in found)
    letters = sum(map(str.isalnum, found))
    letters -= min(keep_last, letters // 2)
    pieces: list[str] = []
    for letter in found:
        hidden = letter.isalnum() and letters > 0
        letters -= letter.isalnum()
        pieces.append("*" if hidden else letter)
    return "".join(pieces)


class _Allowed:
    """An entry of a policy's allow-lists."""

    def __init__(self, entry: Allow, canonical: Callable[[str, str], str]) -> None:
        self._entry = entry
        self._canonical = canonical
        self._patterns: list[Any] = [allowed_pattern(pattern) for pattern in entry.patterns]

    def is_for(self, tenant: str) -> bool:
        return "*" in self._entry.tenants or tenant in self._entry.tenants

    def covers(self, entity: str, found: str) -> bool:
        if self._entry.entities and entity not in self._entry.entities:
            return False
        value = self._canonical(entity, found)
        if any(self._canonical(entity, known) == value for known in self._entry.values):
            return True
        data = unmask(found).data
        return any(pattern.fullmatch(data) is not None for pattern in self._patterns)
