"""Deciding the same again: a person is given one pose several times before another is drawn."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from pg2aug.augment.person_plan import PersonPlan

_SPREAD = 2654435761
"""Multiples of it, modulo 2**32, cover any part of that range evenly (Knuth, multiplicative)."""


class Repeats:
    """Which pose each person of a data set was given last, and how often they will get it again.

    What is decided depends on how often a person was replaced, and on nothing else: a pool that
    forgets costs time, never a label. Made before the workers are: forked, or sent to spawned ones,
    they share its memory, 16 bytes a person. Each process of a distributed training has its own.

    Args:
        persons: Number of persons in the data set.
        reuse: Times that a person gets the same pose.
        share: Share of the persons, spread over the data set, who get their poses again; the others
            get a new one each time.
    """

    def __init__(self, persons: int, reuse: int, share: float = 1.0) -> None:
        self.reuse = reuse
        self.share = share
        self._rows = torch.zeros(persons, 2, dtype=torch.int64)
        self._rows.share_memory_()  # type: ignore[no-untyped-call]

    def decide(
        self, person: int, again: Callable[[int], PersonPlan], anew: Callable[[], PersonPlan]
    ) -> PersonPlan:
        """Plan what a person got last, or something new.

        Args:
            person: Index of the person in the data set.
            again: Plans one pose of the bank for them, by its index.
            anew: Draws a pose and plans it.

        Returns:
            The plan, with its ``repeats``.

        Raises:
            ValueError: If there is no such person in the data set.
        """
        if not 0 <= person < len(self._rows):
            raise ValueError(
                f'PG2Augment(reuse={self.reuse}): sample_idx {person} is not in [0, '
                f'{len(self._rows)}), the data set of which PG2Hook was told: set reuse=1'
            )
        if person * _SPREAD % 2**32 >= self.share * 2**32:
            return anew()
        pose, left = self._rows[person].tolist()
        if left:
            # Counted before it is planned: what fails must not come back for ever.
            self._rows[person, 1] = left - 1
            return _repeated(again(pose), left - 1)
        plan = anew()
        self._rows[person] = torch.tensor([int(plan.pose_index[0]), self.reuse - 1])
        return _repeated(plan, self.reuse - 1)


def _repeated(plan: PersonPlan, repeats: int) -> PersonPlan:
    return replace(plan, repeats=np.array([repeats], np.int64))
