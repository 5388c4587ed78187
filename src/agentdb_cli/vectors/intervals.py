"""How sure a measured recall is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

Z = 1.96
"""Standard deviations on either side of a 95 percent interval."""


def interval(hits: Sequence[int], wanted: Sequence[int]) -> tuple[float, float, float]:
    """The recall of some queries, and the bounds of its 95 percent interval.

    Wilson's score interval (1927), which does not shrink to nothing where every row is found.
    The rows of one query hit or miss together: they count as fewer, by Kish's design effect, the
    variance between queries over that of independent rows.

    Args:
        hits, wanted: of each query, the rows that were found and those that there are.
    """
    total = sum(wanted)
    share = sum(hits) / total
    shares = [hit / want for hit, want in zip(hits, wanted, strict=True)]
    trials = float(total)
    if len(shares) > 1 and 0 < share < 1:
        middle = fmean(shares)
        between = sum((each - middle) ** 2 for each in shares) / (len(shares) - 1)
        effect = between * fmean(wanted) / (share * (1 - share))
        trials /= max(effect, 1.0)
    factor = 1 + Z**2 / trials
    centre = (share + Z**2 / (2 * trials)) / factor
    half = Z * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2)) / factor
    # By rounding, a bound may come to lie on the wrong side.
    return share, min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)
