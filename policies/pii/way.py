"""What waits and what becomes of failures on one request's way through a privacy policy."""

import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple, TypeVar

from policies.pii.deep.pool import Pool
from policies.pii.deep.readers import Listener
from policies.pii.names import Names
from policies.pii.passage import Passage
from policies.pii.redactor import Redactor
from policies.pii.said import SaidReply
from policies.pii.settings import PrivacyDocument
from policies.pii.steps import Steps, in_turns
from protos.errors import Kind, PenstockError
from protos.incident import frames_of
from protos.service import Reply
from protos.values import Context, InferRequest, Part

log = logging.getLogger(__name__)

T = TypeVar("T")

UNTOLD = "the model failed; what it says of it could not be redacted"


class Ready(NamedTuple):
    """A policy that can be applied. `document` keeps the key under which it is found its own."""

    document: PrivacyDocument
    redactor: Redactor
    names: Names


class Way:
    """What one request's way back and forth has in common: who waits, and what becomes of errors.

    Where nothing is enforced, nothing changes, is held back or fails.
    """

    __slots__ = ("_clock", "_context", "_enforcing", "_refused", "_route", "passage")

    def __init__(
        self,
        passage: Passage,
        context: Context,
        route: str,
        clock: Callable[[], float],
        refused: Counter[str],
    ) -> None:
        self.passage = passage
        self._context = context
        self._route = route
        self._clock = clock
        self._refused = refused
        self._enforcing = not passage.observing

    async def work(self, steps: Steps[T], as_it_was: T) -> T:
        """The result of the steps, which refuse and fail only where the policy is enforced."""
        made = await self._guarded(in_turns(steps, self._in_time), as_it_was)
        return made if self._enforcing else as_it_was

    async def read(self, request: InferRequest, ready: Ready, pool: Pool) -> None:
        """Has names and places looked for in the request's texts, for the passage to hide them."""
        reading = self._read(request, ready, Listener(pool))
        self.passage.redactor = await self._guarded(reading, ready.redactor)

    async def _read(self, request: InferRequest, ready: Ready, listener: Listener) -> Redactor:
        hearing = listener.hearing(ready.redactor)
        heard = Passage(hearing, ready.names, self.passage.vault.tenant, Counter())
        await in_turns(heard.request(request), self._in_time)
        return await listener.knowing(ready.redactor)

    async def _guarded(self, work: Awaitable[T], as_it_was: T) -> T:
        try:
            return await work
        except PenstockError as error:
            if not self._enforcing:
                return as_it_was
            self._refused[self._route] += 1
            self._context.timeline.refused = "privacy"
            raise error from None
        except Exception as error:
            told = broken(error)
            if not self._enforcing:
                return as_it_was
            raise told from None

    def rename(self) -> None:
        """The id under which the request is recorded may be the client's own."""
        timeline = self._context.timeline
        if timeline.named_here:
            return
        try:
            timeline.request_id = self.passage.name(timeline.request_id)
        except Exception as error:
            broken(error)
            timeline.request_id = ""

    async def back(self, reply: Reply) -> Reply:
        """The reply as the requester gets it."""
        first = reply.first
        if reply.rest is None:
            part = await self.work(self.passage.reply(first), first)
            return reply if part is first else Reply(part, None, reply.on_close)
        said = SaidReply(self.passage)
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
        sentence = self.passage.sentence
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
    name = secrets.token_hex(8)
    log.error("incident %s: a text could not be redacted: %s", name, frames_of(error))
    return PenstockError(Kind.INTERNAL, f"internal error, incident {name}")
