"""Is a neighbour ever harmed? 500 calls in flight over coalesced streams while things go wrong around them.

400 unary callers and 100 readers of streamed replies (20 parts) keep calling three backends. Meanwhile, phase
by phase: 5,000 calls are cancelled; a large call (300 KiB) and one over the message limit (6 MiB) pass on streams
of their own; the same oversize call is forced onto a shared stream; one reader of a stream is slow and another
stands still; one backend is stopped for two seconds (SIGSTOP); one is killed (SIGKILL); one request kills each
backend that executes it.
Each call's history is recorded and checked: a unary neighbour must be answered, and with the right numbers; a
streamed one too, unless its backend process died after the first part, when it must say that it was interrupted
after a correct prefix. A cancelled call is never answered; the poison is refused after exactly two deaths.

Prediction: no unary neighbour fails. An oversize frame on a shared stream ends that stream (the reason for streams
of their own) and costs its calls one retry; a kill interrupts about a third of the begun streams, the poison twice
as many; the stopped backend costs its callers the 0.5 s until its silence is noticed, and no stream.

    python -m benchmarks.experiments.torture
"""

from __future__ import annotations

import asyncio
import random
import signal
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.experiments.caller import Caller, Endpoint, Interrupted, Poison
from benchmarks.experiments.device import Device
from benchmarks.experiments.exchange import StreamDied
from benchmarks.experiments.processes import children

UNARY, STREAMS, PARTS = 400, 100, 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One neighbour's history."""

    kind: str
    phase: str
    outcome: str
    seconds: float


class Torture:
    def __init__(self, endpoints: list[Endpoint]) -> None:
        self.endpoints = endpoints
        self.caller = Caller(endpoints)
        self.history: list[Entry] = []
        self.phase = "quiet"
        self.notes: dict[str, str] = {}
        self._rng = np.random.default_rng(1)
        self._model = Device(asyncio.get_running_loop())

    def _input(self) -> tuple[bytes, np.ndarray]:
        x = self._rng.standard_normal(64, np.float32)
        return x.tobytes(), self._model.compute(x[None])[0]

    async def neighbour(self, kind: str, once: Callable[[], Awaitable[str]]) -> None:
        while True:
            start = time.monotonic()
            began = self.phase
            try:
                outcome = await once()
            except Exception as error:
                outcome = type(error).__name__
            phase = began if began == self.phase else f"{began}…{self.phase}"
            self.history.append(Entry(kind, phase, outcome, time.monotonic() - start))

    async def unary(self) -> str:
        data, expected = self._input()
        part = await self.caller.infer(data, batch_us=5000)
        return (
            "ok"
            if np.allclose(np.frombuffer(part.output, np.float32), expected, rtol=1e-3, atol=1e-4)
            else "WRONG"
        )

    async def streamed(self) -> str:
        data, expected = self._input()
        seen = 0
        try:
            async for part in self.caller.stream(data, batch_us=5000, parts=PARTS, part_bytes=64):
                right = np.allclose(
                    np.frombuffer(part.output, np.float32, 10), expected, rtol=1e-3, atol=1e-4
                )
                if not right or int.from_bytes(part.output[40:44], "little") != seen:
                    return "WRONG"
                seen += 1
        except Interrupted:
            return "interrupted"
        return "ok" if seen == PARTS else "WRONG"

    async def cancels(self) -> None:
        answered = 0

        async def doomed() -> None:
            nonlocal answered
            await self.caller.infer(self._input()[0], batch_us=5000)
            answered += 1

        rng = random.Random(2)
        for _ in range(50):
            tasks = [asyncio.ensure_future(doomed()) for _ in range(100)]
            await asyncio.sleep(rng.random() * 0.02)
            before = answered
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert answered == before, "a cancelled call was answered"
        self.notes["cancels"] = (
            f"{5000 - answered} of 5000 cancelled in time, {answered} answered before"
        )

    async def large(self) -> None:
        before = self._deaths()
        for _ in range(10):
            await self.caller.infer(self._input()[0] + bytes(300 << 10))
        failed = 0
        for _ in range(5):
            try:
                await self.caller.infer(self._input()[0] + bytes(6 << 20))
            except StreamDied:
                failed += 1
        assert failed == 5
        assert self._deaths() == before
        self.notes["large"] = (
            "10 of 300 KiB answered, 5 of 6 MiB refused alone, no shared stream died"
        )

    async def oversize_shared(self) -> None:
        before = self._deaths()
        try:
            await self.caller.infer(
                self._input()[0] + bytes(6 << 20), own_stream=False, retry=False
            )
            raise AssertionError("oversize was answered")
        except StreamDied:
            await asyncio.sleep(1)
        self.notes["oversize, shared"] = (
            f"{self._deaths() - before} shared stream died, its calls moved"
        )

    async def slow_readers(self) -> None:
        shape = {"parts": 400, "part_bytes": 8 << 10}
        stream = self.caller.stream(self._input()[0], **shape)
        gone = self.caller.stream(self._input()[0], **shape)
        await anext(gone)
        for _ in range(100):
            await anext(stream)
            await asyncio.sleep(0.02)
        await stream.aclose()
        await gone.aclose()
        most = self.caller.most_buffered
        assert 0 < most <= 64 << 10
        self.notes["slow readers"] = (
            f"100 parts of 8 KiB read at 50/s; at most {most >> 10} KiB buffered"
        )

    async def stop(self) -> None:
        before = self._deaths()
        self.endpoints[0].child.signal(signal.SIGSTOP)
        await asyncio.sleep(2)
        self.endpoints[0].child.signal(signal.SIGCONT)
        await asyncio.sleep(2)
        assert self._deaths() == before
        assert self.endpoints[0].up
        self.notes["SIGSTOP"] = "no stream died; the endpoint was picked again after it continued"

    async def kill(self) -> None:
        self.endpoints[1].child.signal(signal.SIGKILL)
        await asyncio.sleep(4)
        assert self.endpoints[1].up
        self.notes["kill -9"] = "endpoint back within 4 s"

    async def poison(self) -> None:
        before = self._deaths()
        try:
            await self.caller.infer(self._input()[0], poison=True)
            raise AssertionError("poison was answered")
        except Poison:
            await asyncio.sleep(0.2)
            died = self._deaths() - before
        await asyncio.sleep(4)
        assert self._deaths() - before == died == 2
        self.notes["poison"] = "refused after 2 deaths, none later"

    def _deaths(self) -> int:
        return sum(e.deaths for e in self.endpoints)

    def report(self) -> None:
        print(
            "| phase | unary ok | streams ok | interrupted | other | unary p50 ms | p99 ms | slowest ms | note |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for phase in dict.fromkeys(e.phase.split("…")[-1] for e in self.history):
            entries = [e for e in self.history if e.phase.split("…")[-1] == phase]
            count = Counter((e.kind, e.outcome) for e in entries)
            unary, streams = count.pop(("unary", "ok"), 0), count.pop(("streamed", "ok"), 0)
            cut = count.pop(("streamed", "interrupted"), 0)
            times = sorted(e.seconds * 1e3 for e in entries if e.kind == "unary") or [0.0]
            print(
                f"| {phase} | {unary} | {streams} | {cut} | {dict(count) or 0} | {statistics.median(times):.0f}"
                f" | {times[int(len(times) * 0.99)]:.0f} | {times[-1]:.0f} | {self.notes.get(phase, '')} |"
            )

    async def run(self) -> None:
        phases = {
            "quiet": lambda: asyncio.sleep(3),
            "cancels": self.cancels,
            "large": self.large,
            "oversize, shared": self.oversize_shared,
            "slow readers": self.slow_readers,
            "SIGSTOP": self.stop,
            "kill -9": self.kill,
            "poison": self.poison,
            "afterwards": lambda: asyncio.sleep(3),
        }
        neighbours = [
            asyncio.ensure_future(self.neighbour("unary", self.unary)) for _ in range(UNARY)
        ]
        neighbours += [
            asyncio.ensure_future(self.neighbour("streamed", self.streamed)) for _ in range(STREAMS)
        ]
        try:
            for self.phase, act in phases.items():
                await asyncio.wait_for(act(), 60)
        finally:
            for task in neighbours:
                task.cancel()
            await asyncio.gather(*neighbours, return_exceptions=True)
            self.report()


async def main() -> None:
    with children() as started:
        endpoints = [Endpoint(started) for _ in range(3)]
        tasks = [asyncio.ensure_future(job) for e in endpoints for job in (e.keep(), e.watch())]
        while not all(e.up for e in endpoints):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        torture = Torture(endpoints)
        await torture.run()
        for task in tasks:
            task.cancel()
        allowed = {("unary", "ok"), ("streamed", "ok"), ("streamed", "interrupted")}
        harmed = [e for e in torture.history if (e.kind, e.outcome) not in allowed]
        print(f"\n{len(torture.history)} neighbours, {len(harmed)} harmed")
        raise SystemExit(bool(harmed))


if __name__ == "__main__":
    asyncio.run(main())
