"""The filter that hides people's data from models, and brings it back in the reply.

It stands above whatever stores, copies or sends a request on, so that all of that sees placeholders
only. It fails closed: what can't be looked at, and what fails while it is looked at, is refused.
"""

import logging
import secrets
import traceback
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar

from policies.pii.names import Names
from policies.pii.passage import Passage
from policies.pii.redactor import Redactor
from policies.pii.said import SaidReply
from policies.pii.settings import PrivacyDocument
from policies.pii.steps import Steps, in_turns
from protos.errors import Kind, PenstockError
from protos.route.policies import Mode
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply, Service
from protos.values import Context, InferRequest, Part

log = logging.getLogger(__name__)

T = TypeVar("T")

KIND = "Privacy"
UNTOLD = "the model failed; what it says of it could not be redacted"


class Ready(NamedTuple):
    """A policy that can be applied. `document` keeps the key under which it is found its own."""

    document: PrivacyDocument
    redactor: Redactor
    names: Names


class Privacy:
    """The filter. `key` gives the key of placeholders, and may raise; `clock` is the event loop's.

    `found` counts by route, mode and entity, `refused` requests and replies by route.
    """

    def __init__(self, key: Callable[[], bytes], clock: Callable[[], float]) -> None:
        self._key = key
        self._clock = clock
        self._ready: dict[tuple[int, Mode], Ready] = {}
        self.found: defaultdict[tuple[str, Mode], Counter[str]] = defaultdict(Counter)
        self.refused: Counter[str] = Counter()

    def prepare(self, routes: Iterable[RouteSnapshot]) -> None:
        """Makes the policies of these routes ready, which takes tens of milliseconds for each.

        Others are forgotten. One that can't be made ready is logged, and refuses all requests.
        """
        before, self._ready = self._ready, {}
        for route in routes:
            if route.spec.privacy is None:
                continue
            document, mode = _policy(route)
            known = before.get((id(document), mode))
            try:
                self._ready[id(document), mode] = known or self._make(document, mode)
            except Exception as error:
                log.error("privacy policy %s: %s", document.metadata.name, error)

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        route = request.context.route
        if route is None or route.spec.privacy is None:
            return service(request)
        return self._passed(request, service, route)

    async def _passed(self, request: InferRequest, service: Service, route: RouteSnapshot) -> Reply:
        context = request.context
        ready = self._of(route)
        mode = ready.redactor.policy.mode
        total = self.found[route.name, mode]
        passage = Passage(ready.redactor, ready.names, context.principal.tenant, total)
        context.timeline.found = passage.found
        way = _Way(passage, context, self._clock, self.refused, enforcing=mode == "enforce")
        hidden = await way.work(passage.request(request), request)
        try:
            reply = await service(hidden)
        except PenstockError as error:
            raise way.told(error) from None
        try:
            return await way.back(reply)
        except BaseException:
            reply.on_close()
            raise

    def _of(self, route: RouteSnapshot) -> Ready:
        document, mode = _policy(route)
        ready = self._ready.get((id(document), mode))
        if ready is None:  # of a route that was matched before others were loaded
            try:
                ready = self._make(document, mode)
            except Exception as error:
                raise broken(error) from None
        return ready

    def _make(self, document: PrivacyDocument, mode: Mode) -> Ready:
        redactor = Redactor(document.spec.model_copy(update={"mode": mode}), self._key())
        return Ready(document, redactor, Names(redactor))


class _Way:
    """What one request's way back and forth has in common: who waits, and what becomes of errors.

    Where nothing is enforced, nothing changes, is held back or fails.
    """

    __slots__ = ("_clock", "_context", "_enforcing", "_passage", "_refused")

    def __init__(
        self,
        passage: Passage,
        context: Context,
        clock: Callable[[], float],
        refused: Counter[str],
        *,
        enforcing: bool,
    ) -> None:
        self._passage = passage
        self._context = context
        self._clock = clock
        self._refused = refused
        self._enforcing = enforcing

    async def work(self, steps: Steps[T], as_it_was: T) -> T:
        """The result of the steps, which refuse and fail only where the policy is enforced."""
        try:
            made = await in_turns(steps, self._in_time)
        except PenstockError as error:
            if not self._enforcing:
                return as_it_was
            route = self._context.route
            self._refused["" if route is None else route.name] += 1
            raise error from None
        except Exception as error:
            told = broken(error)
            if not self._enforcing:
                return as_it_was
            raise told from None
        return made if self._enforcing else as_it_was

    async def back(self, reply: Reply) -> Reply:
        """The reply as the requester gets it."""
        first = reply.first
        if reply.rest is None:
            part = await self.work(self._passage.reply(first), first)
            return reply if part is first else Reply(part, None, reply.on_close)
        said = SaidReply(self._passage)
        parts = await self.work(said.take(first), [first])
        rest = self._rest(said, parts[1:], first, reply.rest)
        return Reply(parts[0], rest, reply.on_close)

    async def _rest(
        self, said: SaidReply, waiting: list[Part], last: Part, rest: AsyncIterator[Part]
    ) -> AsyncIterator[Part]:
        for part in waiting:
            yield part
        try:
            async for last in rest:
                for part in await self.work(said.take(last), [last]):
                    yield part
        except PenstockError as error:
            raise self.told(error) from None
        if not last.final:
            for part in await self.work(said.end(last), []):
                yield part

    def told(self, error: PenstockError) -> PenstockError:
        """The error with a sentence that may be read: models quote what they were given in it."""
        if not self._enforcing:
            return error
        sentence = self._passage.sentence
        try:
            texts = [sentence(text) for text in (error.message, error.param, error.code)]
        except Exception as failure:
            broken(failure)
            texts = [UNTOLD, "", ""]
        if texts == [error.message, error.param, error.code]:
            return error
        message, param, code = texts
        return PenstockError(
            error.kind, message, retry_after=error.retry_after, param=param, code=code
        )

    def _in_time(self) -> None:
        if self._clock() > self._context.deadline:
            raise PenstockError(Kind.DEADLINE, "the time was over before the text was redacted")


def broken(error: Exception) -> PenstockError:
    """For a failure of redaction itself. It is logged without its text, which may quote a value."""
    incident = secrets.token_hex(8)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "incident %s: redaction failed with %s in %s, line %s",
        *(incident, type(error).__name__, frame.filename, frame.lineno),
    )
    return PenstockError(Kind.INTERNAL, f"internal error, incident {incident}")


def _policy(route: RouteSnapshot) -> tuple[PrivacyDocument, Mode]:
    """The route's policy, and which of the two modes holds: observing takes one of them."""
    asked = route.spec.privacy
    found = None if asked is None else route.policies.get((KIND, asked.policy))
    if asked is None or not isinstance(found, PrivacyDocument):
        raise PenstockError(Kind.INTERNAL, "the route's privacy policy is not loaded")
    observing = "observe" in (asked.mode, found.spec.mode)
    return found, "observe" if observing else "enforce"
