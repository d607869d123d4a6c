"""Error counts of a canary and its baseline as they grow, many rollouts at once."""

import numpy as np
from scipy import special

from routing.evidence.mixture import MOSTLY_RARE


def error_counts(seed, rollouts, looks, *, candidate, baseline, every=100, share=0.05):
    """Integers of shape [rollouts, looks] four times: the canary's errors and requests, and the
    baseline's, whenever the canary has had `every` requests more.

    `candidate` and `baseline` are error rates, `share` the part of the traffic the canary gets.
    """
    rng = np.random.default_rng(seed)
    shape = (rollouts, looks)
    between = rng.negative_binomial(every, share, shape)
    n1 = np.broadcast_to(every * np.arange(1, looks + 1), shape)
    s1 = rng.binomial(every, candidate, shape).cumsum(axis=1)
    return s1, n1, rng.binomial(between, baseline).cumsum(axis=1), between.cumsum(axis=1)


def log_wealths(successes, n, p):
    """`Mixture.log_wealth` of whole arrays of counts, by SciPy."""
    failures = n - successes
    marginal = special.logsumexp(
        [
            special.betaln(a + successes, b + failures) - special.betaln(a, b)
            for a, b in MOSTLY_RARE
        ],
        axis=0,
        b=1 / len(MOSTLY_RARE),
    )
    return marginal - special.xlogy(successes, p) - special.xlogy(failures, 1 - p)
