"""One item of a plan: the attempts at it, its image, and the line that is written of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pg2aug.expansion.plan.expansion_plan import ExpansionPlan
from pg2aug.expansion.work.attempts import (
    UNUSABLE_IMAGE,
    Attempt,
    Job,
    Outcome,
    Prepared,
    Refused,
    Synthesised,
    prepare,
)
from pg2aug.expansion.work.parts import Record
from pg2aug.expansion.write.coco import crop_window, new_entries
from pg2aug.expansion.write.output_folder import OutputFolder, encode_jpeg

ATTEMPTS_PER_IMAGE = 20


@dataclass(frozen=True)
class Output:
    """What an expansion writes.

    Attributes:
        root: The folder: new, empty, or that of the same expansion, to be finished.
        crops: Images of the new persons alone, in the place of whole images.
        shard_size: Images in a folder; None for a single folder.
        batch_size: Persons synthesised at once; of no influence on the images but rounding.
        max_attempts: At an image, until it is given up.
    """

    root: Path
    crops: bool = False
    shard_size: int | None = None
    batch_size: int = 16
    max_attempts: int = ATTEMPTS_PER_IMAGE

    def __post_init__(self) -> None:
        for name in ('shard_size', 'batch_size', 'max_attempts'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}')


@dataclass(frozen=True)
class Recipe:
    """How images are made of a plan, and where they go.

    Attributes:
        job: What all attempts share.
        plan: What is made.
        folder: Where to.
        provenance: Of all new persons.
        output: In which form.
    """

    job: Job
    plan: ExpansionPlan
    folder: OutputFolder
    provenance: Mapping[str, Any]
    output: Output

    def file_name(self, item: int) -> str:
        """Of an item's image, below ``images/``."""
        name, size = f'{item:08d}.jpg', self.output.shard_size
        return name if size is None else f'{item // size:06d}/{name}'

    def image_path(self, item: int) -> Path:
        """Where an item's image lies."""
        return self.folder.images / self.file_name(item)


def prepare_item(recipe: Recipe, item: int, first: int) -> tuple[list[Refused], Prepared | None]:
    """Attempt an item, from an attempt on, until something can be synthesised.

    An item that is bound to a source image is given up where that image cannot be used.

    Returns:
        The attempts that nothing can be made of, and the one that something can, if there is one.
    """
    plan = recipe.plan
    refused: list[Refused] = []
    for number in range(first, recipe.output.max_attempts):
        drawn = plan.draws.attempt(plan.items[item : item + 1], np.array([number]))
        person, pose, repeated = (int(values[0]) for values in drawn)
        outcome = prepare(recipe.job, Attempt(item, number, person, pose, bool(repeated)))
        if isinstance(outcome, Prepared):
            return refused, outcome
        refused.append(outcome)
        if outcome.reason == UNUSABLE_IMAGE and plan.items['image'][item] >= 0:
            break
    return refused, None


def item_line(
    recipe: Recipe, item: int, refused: Sequence[Refused], outcome: Outcome | None
) -> Record:
    """What is written of an item after a round; ``made`` is filled in by :func:`write_image`.

    Args:
        recipe: How it was made.
        item: Its number.
        refused: The attempts of the round that nothing could be made of.
        outcome: What the synthesizer gave for the last one; None where all are used up.
    """
    if isinstance(outcome, Refused):
        refused = [*refused, outcome]
    made = isinstance(outcome, Synthesised)
    following = max([r.attempt.number for r in refused], default=-1) + 1
    if outcome is None:
        following = recipe.output.max_attempts
    entries = [_refused_entry(recipe.job, r) for r in refused]
    return {'item': item, 'next': following, 'refused': entries, 'made': {} if made else None}


def write_image(recipe: Recipe, line: Record, made: Synthesised | None) -> Record:
    """Write an image, if there is one, and describe it."""
    if made is None:
        return line
    job, item = recipe.job, line['item']
    window = crop_window(made.plan, job.padding) if recipe.output.crops else None
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


def joint_marks(labelled: Any, passed: Any) -> str:
    """A mark for each joint: 0 not labelled, 1 failed the label check, 2 passed."""
    pairs = zip(labelled, passed, strict=True)
    return ''.join(str(2 if ok else 1) if shown else '0' for shown, ok in pairs)
