"""Which attempts are to be made, in which batches: the same whoever makes them, and however often.

What the device computes may depend, in its last bits, on what else is in the batch. So a batch is
made of consecutive items, and made anew as a whole when the line of any of them is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
        while not self._waiting:
            self._round += 1
            items = [i for i, lines in self.lines.items() if not self._is_done(lines)]
            if not items:
                return
            batches = [
                items[i : i + self.batch_size] for i in range(0, len(items), self.batch_size)
            ]
            steps = map(self._step, batches)
            self._waiting = [step for step in steps if step.missing]
        self._unmade = len(self._waiting)

    def _is_done(self, lines: Sequence[Record]) -> bool:
        """Whether an item was done before this round."""
        return self.part.is_done(lines[: self._round])

    def _step(self, items: Sequence[int]) -> Step:
        """A batch of this round."""
        before = [self.lines[item][: self._round] for item in items]
        first = [lines[-1]['next'] if lines else 0 for lines in before]
        missing = frozenset(item for item in items if len(self.lines[item]) <= self._round)
        return Step(self, items, first, missing)
