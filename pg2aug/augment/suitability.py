"""How many of the persons that are to be replaced can be."""

import logging
import re
from collections import Counter

import torch
from mmengine.logging import print_log

MIN_SUITABLE = 0.2
"""Share of persons that can be replaced below which the log warns."""

MIN_TRIED = 50
"""Persons over which that share is taken."""

_NUMBER = re.compile(r'-?\d+(\.\d+)?')


class Suitability:
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
            f'for this{why}. On such people it has hardly any effect. tools/browse_augment.py '
            'shows whom it takes',
            logger='current',
            level=logging.WARNING,
        )
