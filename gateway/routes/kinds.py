"""The kinds of documents that a folder of routes holds: routes, and the policies that they name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from policies.output.settings import OutputDocument
from policies.pii.custom import allowed_pattern, recogniser
from policies.pii.redactor import Redactor
from policies.pii.settings import PrivacyDocument
from policies.pii.tokens import MIN_KEY
from protos.errors import PenstockError
from protos.route.document import Route, Spec
from protos.settings import Misplaced, Settings

ROUTE = "Route"


def _nothing(document: Settings) -> None:
    return None


def _redacts(document: PrivacyDocument) -> None:
    """Raises Misplaced for a pattern that can't be used, ValueError where all are too many."""
    policy = document.spec
    own: list[tuple[Callable[[], object], tuple[str | int, ...]]] = [
        (partial(recogniser, each), ("patterns", index, "pattern"))
        for index, each in enumerate(policy.patterns)
    ]
    own += [
        (partial(allowed_pattern, pattern), ("allow", index, "patterns", at))
        for index, each in enumerate(policy.allow)
        for at, pattern in enumerate(each.patterns)
    ]
    for use, path in own:
        try:
            use()
        except PenstockError as error:
            raise Misplaced(error.message, "spec", *path) from None
    Redactor(policy, bytes(MIN_KEY))


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """`name` is what `kind:` says. A route's `block` names a document of it under `policy`.

    `check` raises ValueError for a document that can't be applied though it is well written.
    """

    name: str
    document: type[Settings]
    block: str
    check: Callable[[Any], object] = _nothing

    def wanted(self, spec: Spec) -> str | None:
        """The name of the document that a route refers to."""
        block = getattr(spec, self.block)
        return None if block is None else block.policy


POLICY_KINDS: tuple[PolicyKind, ...] = (
    PolicyKind("Privacy", PrivacyDocument, "privacy", _redacts),
    PolicyKind("Output", OutputDocument, "output"),
)

BY_NAME = {each.name: each for each in POLICY_KINDS}


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schemas (2020-12) of all kinds, for editors, by the kind's name."""
    models: Iterable[tuple[str, type[Settings]]] = (
        (ROUTE, Route),
        *((each.name, each.document) for each in POLICY_KINDS),
    )
    return {
        name: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **model.model_json_schema(mode="serialization"),
        }
        for name, model in models
    }
