"""A call whose prompts are read in another thread, before it goes to the engine."""

from collections.abc import Callable
from concurrent.futures import Future

from backends.exchange import Taken
from protos.errors import PenstockError
from protos.incident import incident


class Preparing:
    """Becomes what `go` makes of the prompts, or ends with `fail`; all on the event loop.

    `leave` is called if its caller goes before.
    """

    def __init__(
        self,
        go: Callable[[list[list[int]]], Taken],
        fail: Callable[[PenstockError], None],
        *,
        leave: Callable[[], object],
    ) -> None:
        self._go = go
        self._fail = fail
        self._leave = leave
        self._taken: Taken | None = None
        self._room = 0
        self._over = False

    def done(self, found: "Future[list[list[int]]]") -> None:
        """The prompts are read, or can't be."""
        if self._over or found.cancelled():
            return
        try:
            self._taken = self._go(found.result())
        except PenstockError as error:
            self._end(error)
        except Exception as error:
            self._end(incident(error, "a request could not be read"))
        else:
            if self._room:
                self._taken.credit(self._room)

    def cancel(self) -> None:
        if self._taken is not None:
            self._taken.cancel()
        elif not self._over:
            self._over = True
            self._leave()

    def credit(self, room: int) -> None:
        if self._taken is not None:
            self._taken.credit(room)
        else:
            self._room += room

    def _end(self, error: PenstockError) -> None:
        self._over = True
        self._fail(error)
