"""The filter that holds back what a model may not say.

It stands below privacy, so that it sees the model's own text, with placeholders for what the
requester sent. It fails closed: what can't be looked at, and what fails while it is, isn't said.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from policies.output.judge import Judge, Models, NotJudged
from policies.output.said import JudgedReply, spoken
from policies.output.settings import OutputDocument
from policies.pii.names import Names
from policies.pii.passage import Passage
from policies.pii.redactor import Redactor
from policies.pii.said import SaidReply
from policies.pii.steps import Steps, in_turns
from policies.pii.way import broken
from protos.errors import Kind, PenstockError
from protos.route.policies import Mode
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply, Service
from protos.values import InferRequest, Part, Payload, Tensors

log = logging.getLogger(__name__)

T = TypeVar("T")

KIND = "Output"
# Rules of output policies use no key: nothing is hashed, and nothing comes back.
_NO_KEY = bytes(32)


class Ready(NamedTuple):
    """A policy that can be applied. `document` keeps the key under which it is found its own."""

    document: OutputDocument
    redactor: Redactor
    names: Names
    judge: Judge | None


class Output:
    """The filter; `clock` is the event loop's.

    `found` counts by route, mode and what was found, `refused` replies by route, `unjudged` replies
    and sentences that no classifier judged, by route.
    """

    def __init__(self, models: Models, clock: Callable[[], float]) -> None:
        self._models = models
        self._clock = clock
        self._ready: dict[tuple[int, Mode], Ready] = {}
        self.found: defaultdict[tuple[str, Mode], Counter[str]] = defaultdict(Counter)
        self.refused: Counter[str] = Counter()
        self.unjudged: Counter[str] = Counter()

    def prepare(self, routes: Iterable[RouteSnapshot]) -> None:
        """Makes the policies of these routes ready, which takes milliseconds for each.

        Others are forgotten. One that can't be made ready is logged, and refuses all requests.
        """
        before, self._ready = self._ready, {}
        for route in routes:
            if route.spec.output is None:
                continue
            try:
                document, mode = _policy(route)
                known = before.get((id(document), mode))
                self._ready[id(document), mode] = known or self._make(document, mode)
            except Exception as error:
                log.error("route %s refuses its requests: %s", route.name, error)

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        route = request.context.route
        if route is None or route.spec.output is None:
            return service(request)
        return self._screened(request, service, route)

    async def _screened(
        self, request: InferRequest, service: Service, route: RouteSnapshot
    ) -> Reply:
        document, mode = _policy(route)
        ready = self._ready.get((id(document), mode))
        if ready is None:  # of a route that was matched before others were loaded
            ready = self._make(document, mode)
        reply = await service(request)
        if reply.rest is None and _numeric(reply.first):
            return reply
        try:
            return await _Screening(self, ready, request, service, route, mode).of(reply)
        except BaseException:
            reply.on_close()
            raise

    def _make(self, document: OutputDocument, mode: Mode) -> Ready:
        policy = document.spec.redaction.model_copy(update={"mode": mode})
        redactor = Redactor(policy, _NO_KEY, "output")
        settings = document.spec.classifier
        judge = None if settings is None else Judge(settings, self._models)
        return Ready(document, redactor, Names(redactor), judge)

    @property
    def clock(self) -> Callable[[], float]:
        return self._clock


class _Screening:
    """One reply's way to whoever asked. Where nothing is enforced, nothing changes or fails."""

    __slots__ = ("_context", "_enforcing", "_output", "_passage", "_ready", "_route", "_service")

    def __init__(
        self,
        output: Output,
        ready: Ready,
        request: InferRequest,
        service: Service,
        route: RouteSnapshot,
        mode: Mode,
    ) -> None:
        self._output = output
        self._ready = ready
        self._context = request.context
        self._service = service
        self._route = route.name
        self._enforcing = mode == "enforce"
        total = output.found[route.name, mode]
        tenant = request.context.principal.tenant
        self._passage = Passage(ready.redactor, ready.names, tenant, total)
        request.context.timeline.screened = self._passage.found

    async def of(self, reply: Reply) -> Reply:
        first = reply.first
        if reply.rest is None:
            part = await self._work(self._passage.reply(first), first)
            if self._ready.judge is not None:
                await self._judge(spoken(part.payload))
            return reply if part is first else Reply(part, None, reply.on_close)
        said = SaidReply(self._passage) if self._ready.judge is None else JudgedReply(self._passage)
        parts = await self._taken(said, said.take(first), [first])
        return Reply(parts[0], self._rest(said, parts[1:], first, reply.rest), reply.on_close)

    async def _rest(
        self, said: SaidReply, waiting: list[Part], last: Part, rest: AsyncIterator[Part]
    ) -> AsyncIterator[Part]:
        for part in waiting:
            yield part
        async for last in rest:
            for part in await self._taken(said, said.take(last), [last]):
                yield part
        if not last.final:
            for part in await self._taken(said, said.end(last), []):
                yield part

    async def _taken(
        self, said: SaidReply, steps: Steps[list[Part]], as_it_was: list[Part]
    ) -> list[Part]:
        parts = await self._work(steps, as_it_was)
        if isinstance(said, JudgedReply) and said.judged:
            sentences = [each for each in said.judged if not each.isspace()]
            said.judged.clear()
            await self._judge(sentences)
        return parts

    async def _work(self, steps: Steps[T], as_it_was: T) -> T:
        """The result of the steps, which refuse and fail only where the policy is enforced."""
        try:
            made = await in_turns(steps, self._in_time)
        except PenstockError as error:
            if not self._enforcing:
                return as_it_was
            raise self._refusal(error) from None
        except Exception as error:
            told = broken(error)
            if not self._enforcing:
                return as_it_was
            raise told from None
        return made if self._enforcing else as_it_was

    async def _judge(self, texts: Sequence[str]) -> None:
        judge = self._ready.judge
        if judge is None or not texts:
            return
        output = self._output
        began = output.clock()
        try:
            found = await judge.refused(texts, self._context, self._service, began)
        except NotJudged as failure:
            self._unjudged(failure)
            return
        finally:
            self._context.timeline.waited("judge", began, output.clock())
        if not found:
            return
        self._passage.found.update(found)
        output.found[self._route, "enforce" if self._enforcing else "observe"].update(found)
        if self._enforcing:
            told = ", ".join(f"{count} {label}" for label, count in sorted(found.items()))
            sentence = f"the output policy refuses what the model says: {told}"
            raise self._refusal(PenstockError(Kind.FORBIDDEN, sentence))

    def _unjudged(self, failure: NotJudged) -> None:
        output, settings = self._output, self._ready.document.spec.classifier
        if not output.unjudged[self._route]:
            log.warning("an answer of route %s was not judged: %s", self._route, failure)
        output.unjudged[self._route] += 1
        if self._enforcing and settings is not None and settings.on_failure == "block":
            raise self._refusal(
                PenstockError(
                    Kind.UNAVAILABLE,
                    "the classifier of the output policy doesn't answer, and nothing is said"
                    " without it",
                    retry_after=1.0,
                )
            ) from failure

    def _refusal(self, error: PenstockError) -> PenstockError:
        self._output.refused[self._route] += 1
        self._context.timeline.refused = "output"
        return error

    def _in_time(self) -> None:
        if self._output.clock() > self._context.deadline:
            raise PenstockError(Kind.DEADLINE, "the time was over before the answer was looked at")


def _numeric(part: Part) -> bool:
    """Whether there is nothing but numbers in it, so that no text has to be looked at."""
    payload: Payload = part.payload
    return (
        type(payload) is Tensors
        and not part.parameters
        and all(tensor.datatype != "BYTES" for tensor in payload.tensors)
    )


def _policy(route: RouteSnapshot) -> tuple[OutputDocument, Mode]:
    """The route's policy, and which of the two modes holds: observing takes one of them."""
    asked = route.spec.output
    found = None if asked is None else route.policies.get((KIND, asked.policy))
    if asked is None or not isinstance(found, OutputDocument):
        raise PenstockError(Kind.INTERNAL, "the route's output policy is not loaded")
    observing = "observe" in (asked.mode, found.spec.mode)
    return found, "observe" if observing else "enforce"
