"""Means over seeds with their intervals, and differences of what has the same seed."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import stats


def half_interval(values: Sequence[float]) -> float | None:
    """Half of the 95% t interval of the mean; None of a single value."""
    if len(values) < 2:
        return None
    return float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def mean_interval(values: Iterable[float]) -> dict[str, Any]:
    """``mean``, its 95% interval ``ci95`` (None of a single value), and the values of ``seeds``."""
    seeds = [round(value, 3) for value in values]
    mean, half = float(np.mean(seeds)), half_interval(seeds)
    interval = None if half is None else [mean - half, mean + half]
    return {'mean': mean, 'ci95': interval, 'seeds': seeds}


def paired_difference(gains: Sequence[float]) -> dict[str, Any]:
    """:func:`mean_interval` of differences, with ``p`` of the t test that their mean is 0.

    ``p`` is None of a single difference, and where there is no difference at all.
    """
    known = len(gains) > 1 and any(gains)
    p = float(stats.ttest_1samp(gains, 0).pvalue) if known else None
    return mean_interval(gains) | {'p': p}
