"""What evidence is made of: sufficient statistics that add up over workers, replicas and time."""

from dataclasses import dataclass, field

from routing.evidence.histogram import Histogram


@dataclass(slots=True)
class ArmCounts:
    """One arm's requests that were answered or failed by a server's fault.

    Refusals by the client's fault, cancellations and shadow traffic are in none of the counts.
    """

    requests: int = 0
    errors: int = 0
    latency: Histogram = field(default_factory=Histogram)  # of the requests that succeeded

    def add(self, seconds: float, *, failed: bool) -> None:
        self.requests += 1
        if failed:
            self.errors += 1
        else:
            self.latency.add(seconds)

    def merge(self, more: "ArmCounts") -> None:
        self.requests += more.requests
        self.errors += more.errors
        self.latency.merge(more.latency)


@dataclass(slots=True)
class PairCounts:
    """How often the candidate and the noise floor's second answer differed from the primary's.

    The first four are requests on which both were compared; the last two those on which only the
    candidate was. `sampled` is all that were to be mirrored while the primary succeeded: dropped,
    failed and incomparable ones are in it too.
    """

    both_differ: int = 0
    only_candidate: int = 0
    only_noise: int = 0
    neither: int = 0
    alone_differ: int = 0
    alone_agree: int = 0
    sampled: int = 0

    @property
    def compared(self) -> int:
        return self.with_noise + self.alone_differ + self.alone_agree

    @property
    def with_noise(self) -> int:
        return self.both_differ + self.only_candidate + self.only_noise + self.neither

    @property
    def candidate_differs(self) -> int:
        return self.both_differ + self.only_candidate + self.alone_differ

    @property
    def noise_differs(self) -> int:
        return self.both_differ + self.only_noise

    @property
    def coverage(self) -> float:
        """The share of the sampled pairs that could be compared; 1 when nothing was sampled."""
        return self.compared / self.sampled if self.sampled else 1.0

    def add(self, candidate_differs: bool, noise_differs: bool | None) -> None:
        """One compared pair; `noise_differs` is None where no noise was measured."""
        if noise_differs is None:
            self.alone_differ += candidate_differs
            self.alone_agree += not candidate_differs
            return
        self.both_differ += candidate_differs and noise_differs
        self.only_candidate += candidate_differs and not noise_differs
        self.only_noise += noise_differs and not candidate_differs
        self.neither += not (candidate_differs or noise_differs)

    def merge(self, more: "PairCounts") -> None:
        self.both_differ += more.both_differ
        self.only_candidate += more.only_candidate
        self.only_noise += more.only_noise
        self.neither += more.neither
        self.alone_differ += more.alone_differ
        self.alone_agree += more.alone_agree
        self.sampled += more.sampled
