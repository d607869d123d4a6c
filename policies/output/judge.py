"""Asks a classifier of this mesh what texts are, and says which of them may not be said."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import isnan
from typing import Any, Protocol

from policies.output.settings import Classifier
from protos.arrays import join_bytes, to_array
from protos.errors import PenstockError
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.service import Service
from protos.timeline import Timeline
from protos.values import NO_PARAMETERS, Context, InferRequest, Signature, Tensor, Tensors

SUBJECT = "penstock"  # whose requests these are, for the tenant whose answer is judged


class Models(Protocol):
    """What is known of models: the route of one, and what that one takes."""

    def route(self, model: str, who: Principal) -> RouteSnapshot: ...

    def signature(self, route: RouteSnapshot, model: str, version: str) -> Signature: ...


class NotJudged(Exception):
    """The classifier didn't answer as it should; for operators."""


class Judge:
    """One classifier. Its requests go the rest of the way that the judged request went.

    So no output policy judges a classifier, nor does any limit of the tenant's count it.
    """

    def __init__(self, settings: Classifier, models: Models) -> None:
        self._settings = settings
        self._models = models

    async def refused(
        self, texts: Sequence[str], context: Context, service: Service, now: float
    ) -> Counter[str]:
        """How many of the texts are what may not be said, by label.

        `context` is that of the judged request, `now` in its seconds. Raises NotJudged.
        """
        found: Counter[str] = Counter()
        try:
            requests = self._requests(texts, context, now)
            for request, rows in requests:
                reply = await service(request)
                try:
                    found.update(self._labels(reply.first.payload.tensors, rows))
                finally:
                    reply.on_close()
        except PenstockError as error:
            # Not its sentence, which may quote what was to be judged.
            raise NotJudged(f"{self._settings.model} failed: {error.kind.name}") from None
        return found

    def _requests(
        self, texts: Sequence[str], context: Context, now: float
    ) -> list[tuple[InferRequest, int]]:
        """As few as the model's batches allow, and the rows of each."""
        settings, who = self._settings, context.principal
        asking = Principal(SUBJECT, who.tenant, frozenset({f"infer:{settings.model}"}))
        route = self._models.route(settings.model, asking)
        signature = self._models.signature(route, settings.model, settings.version)
        spec = next((each for each in signature.inputs if each.name == settings.input), None)
        if spec is None or spec.datatype != "BYTES" or len(spec.shape) not in (1, 2):
            raise NotJudged(f"{settings.model} has no input {settings.input} of texts")
        most = spec.shape[0] if spec.shape[0] > 0 else signature.max_batch_size or len(texts)
        beside = Context(
            asking,
            min(context.deadline, now + settings.timeout),
            Timeline(
                now,
                attempts=context.timeline.attempts,
                tracestate=context.timeline.tracestate,
            ),
            None,
            context.traceparent,
            context.priority,
            route=route,
            inner=True,
        )
        made: list[tuple[InferRequest, int]] = []
        for start in range(0, len(texts), most):
            rows = [text.encode() for text in texts[start : start + most]]
            shape = (len(rows),) if len(spec.shape) == 1 else (len(rows), 1)
            tensor = Tensor(settings.input, "BYTES", shape, join_bytes(rows))
            payload = Tensors((tensor,), (settings.output,))
            request = InferRequest(
                "", settings.model, settings.version, payload, NO_PARAMETERS, beside
            )
            made.append((request, len(rows)))
        return made

    def _labels(self, tensors: Iterable[Tensor], rows: int) -> Counter[str]:
        settings = self._settings
        output = next((each for each in tensors if each.name == settings.output), None)
        if output is None:
            raise NotJudged(f"{settings.model} gave no output {settings.output}")
        array = to_array(output)
        columns = len(settings.columns) or 1
        if array.size != rows * columns:
            shape = list(output.shape)
            raise NotJudged(f"{settings.output} has shape {shape} for {rows} texts")
        if settings.threshold is None:
            return _named(array.ravel(), settings.labels)
        if output.datatype in ("BYTES", "BF16"):
            raise NotJudged(f"{settings.output} is {output.datatype}, no number")
        scores = array.reshape(rows, columns).tolist()
        if any(isnan(score) for row in scores for score in row):
            raise NotJudged(f"{settings.output} is not a number")
        names = settings.columns or (settings.output,)
        wanted = frozenset(settings.labels or names)
        return Counter(
            name
            for row in scores
            for name, score in zip(names, row, strict=True)
            if name in wanted and score >= settings.threshold
        )


def _named(values: Iterable[Any], labels: Iterable[str]) -> Counter[str]:
    """Outputs that are texts themselves."""
    wanted = {label.encode(): label for label in labels}
    found: Counter[str] = Counter()
    for value in values:
        if not isinstance(value, bytes):
            raise NotJudged("the output should be BYTES, as labels are given without a threshold")
        if (label := wanted.get(value)) is not None:
            found[label] += 1
    return found
