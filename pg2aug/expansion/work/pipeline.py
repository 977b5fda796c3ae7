"""Groups of items made on a device, with reading before and writing after it in the background."""

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pg2aug.expansion.plan.expansion_plan import ExpansionPlan
from pg2aug.expansion.work.attempts import Job, Outcome, Prepared, Refused, Synthesised, synthesize
from pg2aug.expansion.work.groups import Group, Step, prepare_item
from pg2aug.expansion.work.parts import Part, Record
from pg2aug.expansion.write.coco import crop_window, new_entries
from pg2aug.expansion.write.output_folder import OutputFolder, encode_jpeg

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


@dataclass(frozen=True)
class Recipe:
    """How images are made of a plan, and where they go.

    Attributes:
        job: What all attempts share.
        plan: What is made.
        folder: Where to.
        provenance: Of all new persons.
        batch_size: Persons synthesised at once.
        max_attempts: At each item.
        crops: Whether an image is the part around its new person alone.
        shard_size: Images in a folder; None for a single folder.
    """

    job: Job
    plan: ExpansionPlan
    folder: OutputFolder
    provenance: Mapping[str, Any]
    batch_size: int
    max_attempts: int
    crops: bool = False
    shard_size: int | None = None

    def file_name(self, item: int) -> str:
        """Of an item's image, below ``images/``."""
        name = f'{item:08d}.jpg'
        return name if self.shard_size is None else f'{item // self.shard_size:06d}/{name}'

    def image_path(self, item: int) -> Path:
        """Where an item's image lies."""
        return self.folder.images / self.file_name(item)


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


class _AssemblyLine:
    """An assembly line: batches being prepared, one on the device, batches being written."""

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
        self._preparing: deque[tuple[Step, list[Future[Any]]]] = deque()
        self._writing: deque[tuple[Group, list[Future[Record]], bool]] = deque()

    def run(self, parts: Iterable[Part]) -> None:
        remaining = iter(parts)
        while True:
            self._prepare_ahead(remaining)
            if not self._preparing:
                break
            step, futures = self._preparing.popleft()
            self._synthesize(step, [future.result() for future in futures])
            while len(self._writing) > AHEAD:
                self._finish_writing()
        while self._writing:
            self._finish_writing()

    def _prepare_ahead(self, remaining: Iterator[Part]) -> None:
        recipe = self.recipe
        while len(self._preparing) < AHEAD:
            step = self._next_step(remaining)
            if step is None:
                return
            arguments = recipe.job, recipe.plan
            futures = [
                self.pool.submit(prepare_item, *arguments, item, first, recipe.max_attempts)
                for item, first in zip(step.items, step.first, strict=True)
            ]
            self._preparing.append((step, futures))

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
            group = Group(part, self.recipe.batch_size)
            self._count_done(group)
            if group.is_done:
                part.finish()
            else:
                self._open.append(group)

    def _count_done(self, group: Group) -> None:
        self.progress.done += sum(map(group.part.is_done, group.lines.values()))

    def _synthesize(
        self, step: Step, prepared: Sequence[tuple[list[Refused], Prepared | None]]
    ) -> None:
        recipe, group = self.recipe, step.group
        ready = [item for _, item in prepared if item is not None]
        outcomes = iter(synthesize(recipe.job, ready))
        lines: list[Record] = []
        made: dict[int, Synthesised] = {}
        for item, (refused, last) in zip(step.items, prepared, strict=True):
            outcome = next(outcomes) if last is not None else None
            lines.append(self._line(item, refused, outcome))
            if isinstance(outcome, Synthesised):
                made[item] = outcome
        new = group.add(step, lines)
        futures = [
            self.pool.submit(_complete, recipe, line, made.get(line['item'])) for line in new
        ]
        self._writing.append((group, futures, group.is_done))
        if group.is_done:
            self._open.remove(group)

    def _line(self, item: int, refused: Sequence[Refused], outcome: Outcome | None) -> Record:
        """What is written of an item; ``made`` is filled in when the image is written."""
        if isinstance(outcome, Refused):
            refused = [*refused, outcome]
        made = isinstance(outcome, Synthesised)
        following = max([r.attempt.number for r in refused], default=-1) + 1
        if not made and outcome is None:
            following = self.recipe.max_attempts
        entries = [_refused_entry(self.recipe.job, r) for r in refused]
        return {'item': item, 'next': following, 'refused': entries, 'made': {} if made else None}

    def _finish_writing(self) -> None:
        group, futures, last = self._writing.popleft()
        lines = [future.result() for future in futures]
        group.part.append(lines)
        if last:
            group.part.finish()
        progress = self.progress
        for line in lines:
            progress.refused.update(entry['reason'] for entry in line['refused'])
            progress.accepted += line['made'] is not None
            progress.done += group.part.is_done([line])
        self.report(progress)


def _refused_entry(job: Job, refused: Refused) -> dict[str, Any]:
    attempt = refused.attempt
    entry: dict[str, Any] = {
        'item': attempt.item,
        'attempt': attempt.number,
        'source_annotation_id': job.sources.persons[attempt.person]['id'],
        'target_pose': attempt.pose,
        'reason': refused.reason,
        'detail': refused.detail,
    }
    if refused.labelled is not None and refused.joints_ok is not None:
        failed = refused.labelled & ~refused.joints_ok
        names = zip(job.synthesizer.skeleton.keypoint_names, failed.tolist(), strict=True)
        entry['failed_joints'] = [name for name, wrong in names if wrong]
        entry['joints'] = joint_marks(refused.labelled, refused.joints_ok)
    return entry


def _complete(recipe: Recipe, line: Record, made: Synthesised | None) -> Record:
    """Write an image, if there is one, and describe it."""
    if made is None:
        return line
    job, item = recipe.job, line['item']
    window = crop_window(made.plan, job.padding) if recipe.crops else None
    image = made.image
    if window is not None:
        image = image[window[1] : window[3], window[0] : window[2]]
    data = encode_jpeg(image)
    path = recipe.image_path(item)
    path.parent.mkdir(exist_ok=True)
    recipe.folder.write(path, data)
    skeleton = job.synthesizer.skeleton
    entry, annotations = new_entries(job.sources, made, skeleton, recipe.provenance, window)
    attempt = made.attempt
    described = {
        'attempt': attempt.number,
        'person': attempt.person,
        'pose': attempt.pose,
        'joints': joint_marks(made.plan.target_visible > 0, made.joints_ok),
        'bytes': len(data),
        'image': entry,
        'annotations': annotations,
    }
    return {**line, 'next': attempt.number + 1, 'made': described}


def joint_marks(labelled: Any, passed: Any) -> str:
    """A mark for each joint: 0 not labelled, 1 failed the label check, 2 passed."""
    pairs = zip(labelled, passed, strict=True)
    return ''.join(str(2 if ok else 1) if shown else '0' for shown, ok in pairs)
