"""Names that go on as they are: of models, of inputs, of outputs asked for, of parameters."""

from collections import Counter

from policies.pii.redactor import Redactor
from protos.errors import invalid
from protos.values import InferRequest

REMEMBERED = 4096
LONGEST = 128  # characters of a name that is remembered


class Names:
    """Knows names in which nothing was found: those of a model's tensors come again and again."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._clean: set[str] = set()

    def known(self, request: InferRequest) -> bool:
        """Whether all names in it were looked at before, and there is nothing in them.

        Those of parameters apart.
        """
        clean, payload = self._clean, request.payload
        if request.model not in clean:
            return False
        for tensor in payload.tensors:
            if tensor.name not in clean:
                return False
        return clean.issuperset(payload.wanted) if payload.wanted else True

    def clean(self, name: str) -> bool:
        """Whether there is nothing in the name, for whichever tenant."""
        if name in self._clean:
            return True
        if self._redactor.detector.find(name):
            return False
        if len(name) <= LONGEST:
            if len(self._clean) >= REMEMBERED:
                self._clean.clear()
            self._clean.add(name)
        return True

    def check(self, name: str, what: str, tenant: str) -> None:
        """Raises INVALID for a name with something in it: a name can't be hidden, nor be told."""
        if self.clean(name):
            return
        found = Counter(span.entity for span in self._redactor.find(name, tenant))
        if found:
            told = ", ".join(f"{count} {entity}" for entity, count in sorted(found.items()))
            raise invalid(f"the name of {what} has in it what the privacy policy hides: {told}")
