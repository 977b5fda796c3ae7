"""Groups of items made on a device, with reading before and writing after it in the background."""

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from pg2aug.expansion.work.attempts import Prepared, Refused, Synthesised, synthesize
from pg2aug.expansion.work.groups import Group, Step
from pg2aug.expansion.work.items import Recipe, item_line, prepare_item, write_image
from pg2aug.expansion.work.parts import Part, Record

AHEAD = 3
"""Batches that are being read while one is on the device, and again as many that are written."""

SWITCH_SECONDS = 1e-4
"""How long a thread may keep the interpreter while others want it.

The thread that feeds the device gives it up at nearly every operation; with Python's 5 ms it would
wait as long for each.
"""

_OPEN_GROUPS = 3


@dataclass
class Progress:
    """What this process has done.

    Attributes:
        items: Items that are its to make.
        done: Of them, those that are done, now or before.
        accepted: Images made now.
        refused: Attempts refused now, by reason.
    """

    items: int
    done: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def make_parts(
    recipe: Recipe,
    parts: Iterable[Part],
    progress: Progress,
    workers: int,
    report: Callable[[Progress], None],
) -> None:
    """Make what is missing of some parts, and finish them.

    Memory holds a few batches of images, however many there are to be made.

    Args:
        recipe: How.
        parts: None of them finished, none of them another process's.
        progress: Counted up.
        workers: Threads that read, fit poses, encode and write.
        report: Called after every batch.

    Raises:
        OSError: If a file cannot be written. What was written before is whole.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    pool = ThreadPoolExecutor(workers, thread_name_prefix='expansion')
    try:
        _AssemblyLine(recipe, pool, progress, report).run(parts)
    finally:
        # After an error, what has not begun is not written any more.
        pool.shutdown(cancel_futures=True)
        sys.setswitchinterval(interval)


ReadyItem = tuple[list[Refused], Prepared | None]
"""What :func:`pg2aug.expansion.work.items.prepare_item` gives."""


class _InPreparation(NamedTuple):
    """A batch whose images are being read."""

    step: Step
    items: list[Future[ReadyItem]]


class _InWriting(NamedTuple):
    """A batch whose images are being written: its lines, and whether it is its group's last."""

    group: Group
    lines: list[Future[Record]]
    is_last: bool


class _AssemblyLine:
    """An assembly line: batches being prepared, one on the device, batches being written.

    Nothing that is made depends on it: a loop over the steps of one group after the other gives the
    same bytes, more slowly.
    """

    def __init__(
        self,
        recipe: Recipe,
        pool: ThreadPoolExecutor,
        progress: Progress,
        report: Callable[[Progress], None],
    ) -> None:
        self.recipe = recipe
        self.pool = pool
        self.progress = progress
        self.report = report
        self._open: list[Group] = []
        self._preparing: deque[_InPreparation] = deque()
        self._writing: deque[_InWriting] = deque()

    def run(self, parts: Iterable[Part]) -> None:
        remaining = iter(parts)
        while True:
            self._prepare_ahead(remaining)
            if not self._preparing:
                break
            batch = self._preparing.popleft()
            self._synthesize(batch.step, [future.result() for future in batch.items])
            while len(self._writing) > AHEAD:
                self._finish_writing()
        while self._writing:
            self._finish_writing()

    def _prepare_ahead(self, remaining: Iterator[Part]) -> None:
        while len(self._preparing) < AHEAD:
            step = self._next_step(remaining)
            if step is None:
                return
            items = [
                self.pool.submit(prepare_item, self.recipe, item, first)
                for item, first in zip(step.items, step.first, strict=True)
            ]
            self._preparing.append(_InPreparation(step, items))

    def _next_step(self, remaining: Iterator[Part]) -> Step | None:
        """A batch of any open group that has one; of a new group otherwise."""
        while True:
            for group in self._open:
                step = group.next_step()
                if step is not None:
                    return step
            if len(self._open) >= _OPEN_GROUPS:
                return None
            part = next(remaining, None)
            if part is None:
                return None
            group = Group(part, self.recipe.output.batch_size)
            self._count_done(group)
            if group.is_done:
                part.finish()
            else:
                self._open.append(group)

    def _count_done(self, group: Group) -> None:
        self.progress.done += sum(map(group.part.is_done, group.lines.values()))

    def _synthesize(self, step: Step, ready: Sequence[ReadyItem]) -> None:
        group = step.group
        lines, made = make_lines(self.recipe, step.items, ready)
        futures = [
            self.pool.submit(write_image, self.recipe, line, made.get(line['item']))
            for line in group.add(step, lines)
        ]
        self._writing.append(_InWriting(group, futures, group.is_done))
        if group.is_done:
            self._open.remove(group)

    def _finish_writing(self) -> None:
        batch = self._writing.popleft()
        part, lines = batch.group.part, [future.result() for future in batch.lines]
        part.append(lines)
        if batch.is_last:
            part.finish()
        progress = self.progress
        for line in lines:
            progress.refused.update(entry['reason'] for entry in line['refused'])
            progress.accepted += line['made'] is not None
            progress.done += part.is_done([line])
        self.report(progress)


def make_lines(
    recipe: Recipe, items: Sequence[int], ready: Sequence[ReadyItem]
) -> tuple[list[Record], dict[int, Synthesised]]:
    """Synthesise a batch: a line of each item, and what is to be written of those that were made.

    Args:
        recipe: How.
        items: Numbers of the items.
        ready: What was prepared of each.
    """
    outcomes = iter(synthesize(recipe.job, [last for _, last in ready if last is not None]))
    lines, made = [], {}
    for item, (refused, last) in zip(items, ready, strict=True):
        outcome = next(outcomes) if last is not None else None
        lines.append(item_line(recipe, item, refused, outcome))
        if isinstance(outcome, Synthesised):
            made[item] = outcome
    return lines, made
