"""An event loop whose clock jumps to whatever is due next: hours pass in milliseconds."""

import asyncio
import gc


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs real coroutines; has no sockets, and no way to wait for anything but time."""

    def __init__(self):
        super().__init__()
        self._now = 0.0
        self._clock_resolution = 1e-9
        self._selector = self

    def time(self):
        return self._now

    def select(self, timeout):
        """Where other loops sleep: nothing else can happen before the next timer is due."""
        if timeout is None:
            raise RuntimeError("everything waits and nothing is due")
        if timeout > 0:
            self._now = max(self._now, self._scheduled[0].when())  # the heap's least
        return ()

    def run_in_executor(self, executor, func, *args):
        """Threads would know no seeds: what others give to them is done at once."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except BaseException as error:
            done.set_exception(error)
        return done

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass


def run_simulated(coroutine):
    """Runs it from time zero of a fresh loop to its end, and returns what it does."""
    loop = SimulatedLoop()
    gc.disable()  # a life is short and keeps what happened: garbage took a quarter of its time
    try:
        return loop.run_until_complete(coroutine)
    finally:
        gc.enable()
        loop.close()


def at_once(coroutine):
    """Runs one that waits for nothing but threads, in the midst of whatever runs now."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError(f"{coroutine} waits for something")
