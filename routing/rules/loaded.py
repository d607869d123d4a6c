"""Documents as they were loaded, and the hash that names a set of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from protos.route.document import Route
from protos.settings import Settings
from protos.strict_yaml import Document


@dataclass(frozen=True, slots=True)
class Loaded:
    """A route, and the file that it was read from for whoever has to be told a line of it."""

    source: str
    text: str = field(repr=False)
    document: Document = field(repr=False)
    route: Route = field(repr=False)

    @property
    def name(self) -> str:
        return self.route.metadata.name

    @property
    def kind(self) -> str:
        return self.route.kind


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A document of another kind, which routes name; routing passes it on and looks at nothing."""

    source: str
    text: str = field(repr=False)
    document: Document = field(repr=False)
    kind: str
    name: str
    policy: Settings = field(repr=False)


def revision_of(documents: Iterable[Loaded | LoadedPolicy]) -> str:
    """16 hex digits over names and contents.

    Neither comments and layout nor the files' names and order change it, so that replicas can be
    compared; nor do the defaults of this version, since the values are hashed as they are written.
    """
    digest = blake2b(digest_size=8)
    for each in sorted(documents, key=lambda each: (each.name, each.kind)):
        digest.update(json.dumps([each.name, each.document.value], sort_keys=True).encode())
    return digest.hexdigest()
