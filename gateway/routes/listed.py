"""The endpoints as the admin face lists them, in the form in which routing asks for them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protos.versions import version_order


@dataclass(frozen=True, slots=True)
class Instance:
    """One endpoint of a model version; `state` is the instance's own."""

    instance: str
    state: str

    @property
    def usable(self) -> bool:
        return self.state == "ready"


class Listed:
    """Answers as `EndpointTable` does, from the rows of `GET /admin/endpoints`.

    What a single worker knows beyond them, such as connections, isn't in it.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._serving: dict[tuple[str, str], list[Instance]] = defaultdict(list)
        self._known: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            for model in row["models"]:
                key = (model["name"], model["version"])
                self._known[key[0]].add(key[1])
                if model["state"] == "READY":
                    self._serving[key].append(Instance(row["instance"], row["state"]))

    def versions(self, model: str) -> Sequence[str]:
        return sorted(self._known.get(model, ()), key=version_order)

    def serving(self, model: str, version: str) -> Sequence[Instance]:
        return self._serving.get((model, version), ())

    def may_come(self, model: str) -> bool:
        return False
