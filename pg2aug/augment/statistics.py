"""How many synthesised persons and joints the label check accepted, by rarity and by joint."""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from pg2aug.poses import PoseBank

MIN_SUITABLE = 0.2
"""Share of persons that can be replaced below which the log warns."""

MIN_TRIED = 50
"""Persons over which that share is taken."""

_NUMBER = re.compile(r'-?\d+(\.\d+)?')


class SuitableCounts:
    """Counts persons that a transform wanted to replace, and warns where it can hardly any.

    Made before the workers are: forked, or sent to spawned ones, they count together. Two that
    count at the same time may count one person; and each has seen its own reasons only.
    """

    def __init__(self) -> None:
        # Tried, suitable, whether the warning was given; then the first two of the last log.
        self._counts = torch.zeros(5, dtype=torch.int64)
        self._counts.share_memory_()  # type: ignore[no-untyped-call]
        self.reasons: Counter[str] = Counter()
        """Why persons were left as they are, less the numbers, as far as this process saw it."""

    def add(self, reason: str | None) -> None:
        """Count a person: why it was left as it is, or None if it was not."""
        self._counts[0] += 1
        if reason is None:
            self._counts[1] += 1
        else:
            self.reasons[_NUMBER.sub('…', reason)] += 1
        tried, suitable, warned = self._counts[:3].tolist()
        if tried >= MIN_TRIED and not warned:
            self._counts[2] = 1
            if suitable < MIN_SUITABLE * tried:
                self._warn(tried, suitable)

    def take(self) -> tuple[int, int]:
        """Persons tried since the last call, and those of them who were suitable."""
        counts, logged = self._counts[:2].clone(), self._counts[3:].clone()
        self._counts[3:] = counts
        tried, suitable = (counts - logged).tolist()
        return tried, suitable

    def _warn(self, tried: int, suitable: int) -> None:
        reason = self.reasons.most_common(1)
        why = f': {reason[0][0]}' if reason else ''
        print_log(
            f'PG2Augment left {tried - suitable} of the first {tried} persons as they are, mostly '
            f'for this{why}. On such people it has hardly any effect. pg2aug browse '
            'shows whom it takes',
            logger='current',
            level=logging.WARNING,
        )


NUM_DECILES = 10
_UNKNOWN = NUM_DECILES


def rarity_deciles(bank: PoseBank) -> NDArray[np.int64]:
    """Tenth of a bank, by rarity, to which each of its poses belongs.

    Args:
        bank: N poses; the tenths are of those that can be drawn.

    Returns:
        (N,): 0 for the commonest tenth to 9 for the rarest, alike for poses alike in rarity; -1 for
        poses that are never drawn.
    """
    deciles = np.full(len(bank), -1, np.int64)
    drawable = (bank.weights > 0) & np.isfinite(bank.rarity)
    ranks = rankdata(bank.rarity[drawable])
    deciles[drawable] = (ranks - 0.5) * NUM_DECILES // max(len(ranks), 1)
    return deciles


class AcceptanceCounts:
    """Counts that stay on a device until they are asked for.

    Args:
        joints: Names of the K joints.
        deciles: (N,) decile of each pose of the bank, -1 where unknown; None if it is not known
            which bank poses come from.
        device: Where to count.
    """

    def __init__(
        self,
        joints: Sequence[str],
        deciles: NDArray[np.int64] | None,
        device: str | torch.device = 'cpu',
    ) -> None:
        self.joints = tuple(joints)
        known = np.zeros(0, np.int64) if deciles is None else deciles
        # Index -1 of a plan without a pose index finds the last row.
        rows = np.append(np.where(known < 0, _UNKNOWN, known), _UNKNOWN)
        self._known = deciles is not None
        self._rows = torch.from_numpy(rows).to(device)
        # Not floats: they would stop at 16 million.
        shape = NUM_DECILES + 1 + len(joints), 2
        self._counts = torch.zeros(shape, dtype=torch.int64, device=device)

    def add(self, pose_indices: Tensor, labelled: Tensor, passed: Tensor, accepted: Tensor) -> None:
        """Count some persons.

        Args:
            pose_indices: (N,) int64 index of each one's pose in the bank, -1 where unknown.
            labelled: (N, K) bool, joints that the label names.
            passed: (N, K) bool, those that passed the check.
            accepted: (N,) bool, persons that are used.
        """
        device = self._counts.device
        labelled, passed, accepted = (t.to(device) for t in (labelled, passed, accepted))
        if self._known:
            rows = self._rows[pose_indices.to(device)]
        else:
            rows = torch.full_like(accepted, _UNKNOWN, dtype=torch.int64)
        persons = torch.stack([torch.ones_like(accepted), accepted], dim=1)
        self._counts.index_add_(0, rows, persons.to(self._counts.dtype))
        kept = labelled & passed & accepted[:, None]
        self._counts[NUM_DECILES + 1 :] += torch.stack([labelled.sum(0), kept.sum(0)], dim=1)

    def take(self) -> dict[str, tuple[int, int]]:
        """Fetch the counts of all processes, and begin anew.

        Returns:
            Numbers seen and accepted: ``persons``, ``joints``, each joint by its name,
            ``decile_0`` to ``decile_9``.
        """
        all_reduce(self._counts)
        counts = self._counts.tolist()
        self._counts.zero_()
        deciles, joints = counts[: NUM_DECILES + 1], counts[NUM_DECILES + 1 :]
        named = {'persons': _total(deciles), 'joints': _total(joints)}
        named |= {f'decile_{i}': (n, ok) for i, (n, ok) in enumerate(deciles[:NUM_DECILES])}
        return named | {name: (n, ok) for name, (n, ok) in zip(self.joints, joints, strict=True)}


def _total(counts: list[list[int]]) -> tuple[int, int]:
    return sum(n for n, _ in counts), sum(ok for _, ok in counts)


def acceptance_report(counts: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """What :meth:`AcceptanceCounts.take` gave, for a json: ``[seen, accepted]`` each.

    Returns:
        ``persons``, ``joints``, ``by_rarity`` (ten, the commonest poses first) and ``by_joint``.
    """
    deciles = [f'decile_{i}' for i in range(NUM_DECILES)]
    totals = ('persons', 'joints')
    return {
        **{name: list(counts[name]) for name in totals},
        'by_rarity': [list(counts[name]) for name in deciles],
        'by_joint': {k: list(v) for k, v in counts.items() if k not in (*totals, *deciles)},
    }
