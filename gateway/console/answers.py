"""What pages ask of the record store: once for all who look, and never for long.

A store that hangs must hold up neither the pages nor what else uses threads: bodies of requests,
the audit log, new routes. So its questions have threads of their own, one for each question, and
all pages share the answer for a moment.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

FRESH = 2.0  # seconds for which an answer is given again
PATIENCE = 4.0  # seconds; a page asks again five after its answer


@dataclass(slots=True)
class _Asked:
    future: "Future[Any]"
    ended: float = float("inf")  # monotonic seconds


class Answers:
    """Questions by name; each is asked in a thread when nobody has its answer or is asking."""

    def __init__(
        self, *, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience = patience
        self._clock = clock
        self._asked: dict[str, _Asked] = {}

    async def ask(self, name: str, question: Callable[[], Any]) -> Any:
        """The answer, or a sentence when the record store has none or takes too long for it."""
        asked = self._asked.get(name)
        if asked is None or self._clock() - asked.ended > FRESH:
            asked = self._asked[name] = _Asked(Future())
            asked.future.set_running_or_notify_cancel()  # so that nobody who leaves ends it
            # A daemon: a process that ends doesn't wait for it, as it only reads.
            Thread(
                target=self._answer, args=(asked, question), name=f"console {name}", daemon=True
            ).start()
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.wrap_future(asked.future)
        except TimeoutError:
            return f"The record store hasn’t answered for {self._patience:g} s."

    def forget(self, name: str) -> None:
        """What the question was about has changed; whoever asks from now on learns it."""
        self._asked.pop(name, None)

    def _answer(self, asked: _Asked, question: Callable[[], Any]) -> None:
        try:
            answer = question()
        except SQLAlchemyError as error:
            answer = f"The record store doesn’t answer ({type(error).__name__})."
        except Exception as error:
            asked.ended = self._clock()
            asked.future.set_exception(error)
            return
        asked.ended = self._clock()
        asked.future.set_result(answer)
