"""A pose bank whose weights change, by a factor a cluster of poses, while workers draw from it."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pg2aug.poses import PoseBank
from pg2aug.poses.sampling import effective_sample_size

_Floats = NDArray[np.float64]
_HALVINGS = 20


def limit_factors(
    factors: _Floats, mass: _Floats, squares: _Floats, min_effective: float
) -> _Floats:
    """Draw factors towards 1 until the draws are worth enough poses.

    Args:
        factors: (C,) positive.
        mass: (C,) summed weights of the poses of each cluster.
        squares: (C,) summed squares of those weights.
        min_effective: Least effective sample size (Kish). Where not even factors of 1 reach it,
            they become 1.

    Returns:
        (C,) ``factors ** t``, with t in [0, 1] as large as allowed, to a millionth.
    """

    def enough(power: float) -> bool:
        scaled = factors**power
        return bool((scaled @ mass) ** 2 >= min_effective * (scaled**2 @ squares))

    if enough(1.0):
        return factors
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    return factors**low


class SharedTable:
    """A small array that one process writes and others read, whole.

    The writer fills the half that is not in use, then turns over; a reader whose half was given
    up meanwhile reads again. Made before the workers are: forked, or sent to spawned ones, they
    share its memory.

    Args:
        values: (C,) float64 to begin with.
    """

    def __init__(self, values: _Floats) -> None:
        self._halves = torch.from_numpy(np.stack([values, values]))
        self._version = torch.zeros(1, dtype=torch.int64)
        for tensor in (self._halves, self._version):
            tensor.share_memory_()  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, torch.Tensor]:
        # Arrays would be copied into a spawned worker, tensors share their memory with it.
        return {'_halves': self._halves, '_version': self._version}

    @cached_property
    def _arrays(self) -> tuple[_Floats, NDArray[np.int64]]:
        # An access through torch takes longer than the draw.
        return self._halves.numpy(), self._version.numpy()

    def read(self) -> _Floats:
        """A copy of the values last written."""
        halves, current = self._arrays
        while True:
            version = int(current[0])
            values: _Floats = halves[version % 2].copy()
            if int(current[0]) == version:
                return values

    def write(self, values: _Floats) -> None:
        """Replace the values; one process alone may do so."""
        halves, current = self._arrays
        halves[(int(current[0]) + 1) % 2] = values
        current[0] += 1


class _Tables(NamedTuple):
    """The drawable poses by cluster, and the sum of their weights up to each.

    Attributes:
        order: (M,) indices into the bank.
        cumulative: (M,) summed weights.
        ends: (C + 1,) summed weights before each cluster, and all.
        last: (C,) place in ``order`` of the last pose of each cluster.
    """

    order: NDArray[np.int64]
    cumulative: _Floats
    ends: _Floats
    last: NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class ReweightedBank(PoseBank):
    """A pose bank whose draws follow factors that change while workers draw.

    Attributes:
        clusters: (N,) cluster of each pose.
        shared: (C + 1,) summed probabilities of the clusters, from 0 to 1.
    """

    clusters: NDArray[np.int64]
    shared: SharedTable

    @classmethod
    def of(cls, bank: PoseBank, clusters: NDArray[np.int64]) -> 'ReweightedBank':
        """The bank with factors of 1: it draws each pose as often as before."""
        mass = _sums(clusters, bank.weights)
        fields = {name: getattr(bank, name) for name in PoseBank.__dataclass_fields__}
        shared = SharedTable(_probabilities(mass))
        return cls(**fields, clusters=clusters, shared=shared)

    def draw(self, uniform: float) -> int:
        """See :meth:`PoseBank.draw`; in time that grows with the logarithm of the bank's size."""
        if not 0 <= uniform < 1:
            raise ValueError(f'uniform must be in [0, 1), got {uniform}')
        order, cumulative, ends, last = self._tables
        shares = self.shared.read()
        cluster = min(int(np.searchsorted(shares, uniform, side='right')), len(last)) - 1
        inside = (uniform - shares[cluster]) / (shares[cluster + 1] - shares[cluster])
        place = ends[cluster] + inside * (ends[cluster + 1] - ends[cluster])
        found = int(np.searchsorted(cumulative, place, side='right'))
        # Rounding may lead beyond the cluster, but never to a pose of weight 0: those are left out.
        return int(order[min(found, last[cluster])])

    def set_factors(self, factors: _Floats, min_effective: float) -> _Floats:
        """Let all processes draw by new factors.

        Args:
            factors: (C,) positive.
            min_effective: See :func:`limit_factors`; no more than the bank has without factors.

        Returns:
            (C,) the factors in use.
        """
        mass = _sums(self.clusters, self.weights)
        squares = _sums(self.clusters, self.weights**2)
        least = min(min_effective, effective_sample_size(self.weights))
        factors = limit_factors(factors, mass, squares, least)
        self.shared.write(_probabilities(factors * mass))
        return factors

    def restrict(self, allowed: NDArray[np.bool_]) -> 'ReweightedBank':
        """See :meth:`PoseBank.restrict`; factors begin at 1 again."""
        return self.of(super().restrict(allowed), self.clusters)

    @cached_property
    def _tables(self) -> _Tables:
        drawable = np.flatnonzero(self.weights > 0)
        order = drawable[np.argsort(self.clusters[drawable], kind='stable')]
        cumulative = np.cumsum(self.weights[order])
        sizes = np.bincount(self.clusters[order], minlength=int(self.clusters.max()) + 1)
        last = np.cumsum(sizes) - 1
        ends = np.concatenate([[0.0], np.where(last >= 0, cumulative[last], 0.0)])
        return _Tables(order, cumulative, ends, last)


def _sums(clusters: NDArray[np.int64], values: _Floats) -> _Floats:
    return np.bincount(clusters, values).astype(np.float64)


def _probabilities(mass: _Floats) -> _Floats:
    summed = np.concatenate([[0.0], np.cumsum(mass)])
    return summed / summed[-1]
