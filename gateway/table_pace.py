"""How fast one principal's backends may change what all workers are told; `now` is monotonic."""

from protos import discovery_pb2 as pb

# Models, their inputs and their outputs: checking one, and telling a worker, takes some 20 µs.
ENTRIES_PER_SECOND = 10_000
BURST = 131_072  # when a gateway has started, everybody's come at once


class TablePace:
    """The generic cell rate algorithm (ITU-T I.371), by who sends; it delays and refuses nobody."""

    def __init__(self) -> None:
        self._free: dict[object, float] = {}  # when all that was taken would have been due

    def wait(self, sender: object, table: pb.ModelTable, now: float) -> float:
        """Seconds after which the table's turn comes."""
        entries = sum(1 + len(model.inputs) + len(model.outputs) for model in table.models)
        free = max(self._free.get(sender, now), now) + entries / ENTRIES_PER_SECOND
        self._free[sender] = free
        return max(0.0, free - now - BURST / ENTRIES_PER_SECOND)

    def tidy(self, now: float) -> None:
        """Forgets who is as good as new."""
        for sender in [sender for sender, free in self._free.items() if free <= now]:
            del self._free[sender]
