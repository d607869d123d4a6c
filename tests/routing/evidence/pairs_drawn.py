"""Mirrored requests as they come from models that don't always say the same."""

import numpy as np

from routing.evidence.counts import PairCounts


class Pairs:
    """`n` requests: whether candidate and second primary differ from the primary, and which pairs
    had noise measured.

    The model's answer is one of two labels and odd so often that two of its answers differ with
    probability `noise`; the candidate is that model with a share `flips` of its labels flipped.
    """

    def __init__(self, rng, n, *, flips, noise, sample=0.5):
        odd = (1 - np.sqrt(1 - 2 * noise)) / 2
        primary, second, candidate = rng.random((3, n)) < odd
        self.differs = (candidate ^ (rng.random(n) < flips)) != primary
        self.noise = second != primary
        self.measured = rng.random(n) < sample
        self.truth = flips * (1 - 2 * noise)  # a flip of an odd label is none

    def first(self, n):
        """The counts of the first `n`."""
        differs, noise, measured = self.differs[:n], self.noise[:n], self.measured[:n]
        cells = np.bincount(differs * 2 + noise, weights=measured, minlength=4).astype(int)
        alone = differs[~measured]
        return PairCounts(
            both_differ=int(cells[3]),
            only_candidate=int(cells[2]),
            only_noise=int(cells[1]),
            neither=int(cells[0]),
            alone_differ=int(alone.sum()),
            alone_agree=int((~alone).sum()),
            sampled=n,
        )
