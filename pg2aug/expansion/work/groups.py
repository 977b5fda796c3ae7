"""Which attempts are to be made, in which batches: the same whoever makes them, and however often.

What the device computes may depend, in its last bits, on what else is in the batch. So a batch is
made of consecutive items, and made anew as a whole when the line of any of them is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pg2aug.expansion.plan.expansion_plan import ExpansionPlan
from pg2aug.expansion.work.attempts import UNUSABLE_IMAGE, Attempt, Job, Prepared, Refused, prepare
from pg2aug.expansion.work.parts import Part, Record


@dataclass(frozen=True)
class Step:
    """A batch of items in one round of attempts.

    Attributes:
        group: What they belong to.
        items: Their numbers.
        first: Number of the first attempt at each in this round.
        missing: Items whose line of this round is not there yet.
    """

    group: 'Group'
    items: Sequence[int]
    first: Sequence[int]
    missing: frozenset[int]


class Group:
    """Items that are made, and tried again, together.

    In every round each item is attempted until something can be synthesised; those that the label
    check then refuses go into the next round.

    Args:
        part: The items and the lines that are there.
        batch_size: Items in a batch.
    """

    def __init__(self, part: Part, batch_size: int) -> None:
        self.part = part
        self.batch_size = batch_size
        self.lines = part.read()
        self._round = -1
        self._waiting: list[Step] = []
        self._unmade = 0
        self._next_round()

    @property
    def is_done(self) -> bool:
        """Whether every item has all of its lines."""
        return not self._waiting and not self._unmade

    def next_step(self) -> Step | None:
        """The next batch to be made; None while outcomes are awaited, and at the end."""
        return self._waiting.pop(0) if self._waiting else None

    def add(self, step: Step, lines: Sequence[Record]) -> list[Record]:
        """Take the lines of all items of a step.

        Returns:
            Those that were missing, to be written.
        """
        new = [line for line in lines if line['item'] in step.missing]
        for line in new:
            self.lines[line['item']].append(line)
        self._unmade -= 1
        if self._unmade == 0 and not self._waiting:
            self._next_round()
        return new

    def _next_round(self) -> None:
        """Go on to the first round that lacks a line."""
        items = list(self.part.items)
        while not self._waiting:
            self._round += 1
            done = self._round
            items = [i for i in items if not self.part.is_done(self.lines[i][:done])]
            if not items:
                return
            for start in range(0, len(items), self.batch_size):
                batch = items[start : start + self.batch_size]
                missing = frozenset(i for i in batch if len(self.lines[i]) <= done)
                if missing:
                    first = [self.lines[i][done - 1]['next'] if done else 0 for i in batch]
                    self._waiting.append(Step(self, batch, first, missing))
        self._unmade = len(self._waiting)


def prepare_item(
    job: Job, plan: ExpansionPlan, item: int, first: int, max_attempts: int
) -> tuple[list[Refused], Prepared | None]:
    """Attempt an item, from an attempt on, until something can be synthesised.

    An item that is bound to a source image is given up where that image cannot be used.

    Returns:
        The attempts that nothing can be made of, and the one that something can, if there is one.
    """
    refused: list[Refused] = []
    for number in range(first, max_attempts):
        drawn = plan.draws.attempt(plan.items[item : item + 1], np.array([number]))
        person, pose, repeated = (int(values[0]) for values in drawn)
        outcome = prepare(job, Attempt(item, number, person, pose, bool(repeated)))
        if isinstance(outcome, Prepared):
            return refused, outcome
        refused.append(outcome)
        if outcome.reason == UNUSABLE_IMAGE and plan.items['image'][item] >= 0:
            break
    return refused, None
