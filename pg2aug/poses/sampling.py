"""From rarity to draws: bounded weights and an alias table."""

import numpy as np
import numpy.typing as npt

from pg2aug.poses.scale import Array

_FLOOR = 0.5
_CAP = 4.0


def effective_sample_size(weights: Array) -> float:
    """Kish's ``sum(w)^2 / sum(w^2)``: of how many equally weighted poses the draws are worth."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def rarity_weights(rarity: Array, alpha: float, min_effective: float) -> Array:
    """Sampling weights ``rarity ** alpha``, bounded so that no few poses take all draws.

    Rarity is divided by its median and bounded to [0.5, 4] first. If the effective sample size is
    still below ``min_effective``, the cap is lowered until it is not.

    Args:
        rarity: ``(N,)``, 0 or more.
        alpha: 0 draws uniformly; larger prefers rare poses more.
        min_effective: Least effective sample size, at most N.

    Returns:
        ``(N,)`` float64, sum 1.

    Raises:
        ValueError: If alpha is negative, or not finite.
    """
    if not 0 <= alpha < np.inf:
        raise ValueError(f'alpha must be 0 (uniform draws) or more and finite, got {alpha}')
    median = float(np.median(rarity))
    relative = np.clip(rarity / median if median > 0 else np.ones_like(rarity), _FLOOR, _CAP)
    weights = relative**alpha
    low, high = float(weights.min()), float(weights.max())
    while effective_sample_size(np.minimum(weights, high)) < min_effective and high > low * 1.001:
        high = low + 0.9 * (high - low)
    weights = np.minimum(weights, high)
    return weights / weights.sum()


def alias_table(weights: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Vose's alias table: draws by weight in constant time.

    Column i of N equally likely ones stands for item i below ``keep[i]``, for ``alias[i]`` above.
    An item of weight 0 is never drawn.

    Args:
        weights: ``(N,)``, 0 or more, not all 0.

    Returns:
        ``keep`` ``(N,)`` in [0, 1] and ``alias`` ``(N,)``.
    """
    scaled = (weights * (len(weights) / weights.sum())).tolist()
    keep, alias = [1.0] * len(scaled), list(range(len(scaled)))
    small = [i for i, weight in enumerate(scaled) if weight < 1]
    large = [i for i, weight in enumerate(scaled) if weight >= 1]
    while small and large:
        poor, rich = small.pop(), large[-1]
        keep[poor], alias[poor] = scaled[poor], rich
        scaled[rich] -= 1 - scaled[poor]
        if scaled[rich] < 1:
            small.append(large.pop())
    # Rounding may leave a few in `small`: they are full columns, unless their weight was 0.
    heaviest = int(np.argmax(weights))
    for i in small:
        if weights[i] == 0:
            keep[i], alias[i] = 0.0, heaviest
    return np.array(keep), np.array(alias)
