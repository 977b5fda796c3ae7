"""From rarity to draws: bounded weights and an alias table."""

import numpy as np
import numpy.typing as npt

from pg2aug.poses.scale import Array

_FLOOR = 0.5
_CAP = 4.0


def effective_sample_size(weights: Array) -> float:
    """Kish's ``sum(w)^2 / sum(w^2)``: of how many equally weighted poses the draws are worth."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def rarity_weights(
    rarity: Array, alpha: float, min_effective: float, trust: Array | None = None
) -> Array:
    """Sampling weights ``rarity ** alpha``, bounded so that no few poses take all draws.

    Rarity is divided by its median and bounded to [0.5, 4] first. If the effective sample size is
    still below ``min_effective``, the cap is lowered until it is not, or weights are all equal.

    Args:
        rarity: ``(N,)``, 0 or more.
        alpha: 0 draws uniformly; larger prefers rare poses more.
        min_effective: Least effective sample size, at most N.
        trust: ``(N,)`` in [0, 1], not all 0, that the weights are multiplied with; 1 if None.

    Returns:
        ``(N,)`` float64, sum 1.

    Raises:
        ValueError: If alpha is negative, or not finite.
    """
    if not 0 <= alpha < np.inf:
        raise ValueError(f'alpha must be 0 (uniform draws) or more and finite, got {alpha}')
    median = float(np.median(rarity))
    relative = np.clip(rarity / median if median > 0 else np.ones_like(rarity), _FLOOR, _CAP)
    weights, trust = relative**alpha, np.ones_like(relative) if trust is None else trust
    low, high = float(weights.min()), float(weights.max())
    while high > low * 1.001:
        if effective_sample_size(np.minimum(weights, high) * trust) >= min_effective:
            break
        high = low + 0.9 * (high - low)
    weights = np.minimum(weights, high) * trust
    return weights / weights.sum()


def alias_table(weights: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Walker's alias table: draws by weight in constant time.

    Column i of N equally likely ones stands for item i below ``keep[i]``, for ``alias[i]`` above.
    An item of weight 0 is never drawn.

    Args:
        weights: ``(N,)``, 0 or more, not all 0.

    Returns:
        ``keep`` ``(N,)`` in [0, 1] and ``alias`` ``(N,)``.
    """
    scaled = weights * (len(weights) / weights.sum())
    keep, alias = np.minimum(scaled, 1.0), np.arange(len(scaled))
    small, large = np.nonzero(scaled < 1)[0], np.nonzero(scaled >= 1)[0]
    if not len(large) or not len(small):
        return np.ones(len(scaled)), alias
    # The light ones are filled up one after the other, each by the first heavy one that has weight
    # left over; what it lacks itself after its last is filled up by the next heavy one.
    missing, spare = np.cumsum(1 - scaled[small]), np.cumsum(scaled[large] - 1)
    source = np.searchsorted(spare, np.concatenate([[0.0], missing[:-1]]), side='right')
    alias[small] = large[np.minimum(source, len(large) - 1)]
    last = np.minimum(np.searchsorted(missing, spare[:-1]), len(missing) - 1)
    keep[large[:-1]] = np.clip(1 - (missing[last] - spare[:-1]), 0, 1)
    alias[large[:-1]] = large[1:]
    return keep, alias
