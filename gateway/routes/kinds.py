"""The kinds of documents that a folder of routes holds: routes, and the policies that they name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from policies.output.settings import OutputDocument
from policies.pii.redactor import Redactor
from policies.pii.settings import PrivacyDocument
from policies.pii.tokens import MIN_KEY
from protos.route.document import Route, Spec
from protos.settings import Settings

ROUTE = "Route"


def _nothing(document: Settings) -> None:
    return None


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """`name` is what `kind:` says. A route's `block` names a document of it under `policy`.

    `check` raises PenstockError for a document that can't be applied though it is well written.
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
    PolicyKind(
        "Privacy", PrivacyDocument, "privacy", lambda each: Redactor(each.spec, bytes(MIN_KEY))
    ),
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
