"""Expanding a data set: attempts until there are enough new images, and the files of it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pg2aug.augment.acceptance import AcceptanceCounts, acceptance_report, rarity_deciles
from pg2aug.expansion.attempts import Job, Refused, Synthesised, run_attempts
from pg2aug.expansion.coco import CocoEntries
from pg2aug.expansion.files import prepare_folder, write_jpeg, write_json
from pg2aug.expansion.sheet import make_sheet, sheet_caption, sheet_row
from pg2aug.visualization import Image, write_png

ANNOTATION_FILE = 'person_keypoints.json'
REFUSED_FILE = 'refused.json'
SHEET_FILE = 'sheet.png'
SHEET_ROWS = 20
ATTEMPTS_PER_IMAGE = 20


@dataclass
class Summary:
    """What came of an expansion.

    Attributes:
        wanted: Number of images asked for.
        accepted: Number of images made.
        refused: Number of attempts refused, by reason.
        acceptance: What the label check accepted, by rarity of the pose and by joint; see
            :func:`pg2aug.augment.acceptance.acceptance_report`. There when all is done.
    """

    wanted: int
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    acceptance: dict[str, Any] = field(default_factory=dict)

    @property
    def attempts(self) -> int:
        """Number of attempts made."""
        return self.accepted + self.refused.total()


def expand(
    job: Job,
    out: str | Path,
    num: int,
    generator: str,
    info: Mapping[str, Any],
    *,
    batch_size: int = 16,
    max_attempts: int | None = None,
    progress: Callable[[Summary], None] | None = None,
) -> Summary:
    """Write new images and one COCO keypoint file.

    The first ``num`` attempts that are accepted are kept, in order; an image is named after its
    attempt. ``refused.json`` lists the other attempts with their reasons, and says what the label
    check accepted by rarity of the pose and by joint; ``sheet.png`` shows the first images. Where
    ``max_attempts`` are made first, there are fewer images than asked for.

    Args:
        job: Persons, poses and what synthesises.
        out: Folder to write into, new or empty, outside the source images.
        num: Number of new images.
        generator: Name of the generator, for the provenance of each person.
        info: The COCO file's ``info``; the counts are added.
        batch_size: Persons synthesised at once; of no influence on the images but rounding.
        max_attempts: When to give up; 20 for each image if None.
        progress: Called after each attempt.

    Raises:
        FileExistsError: If ``out`` is not empty.
        OSError: If a file cannot be written.
        ValueError: If a number is out of range, or no attempt was accepted.
    """
    max_attempts = ATTEMPTS_PER_IMAGE * num if max_attempts is None else max_attempts
    for name, value in (('num', num), ('batch_size', batch_size), ('max_attempts', max_attempts)):
        if value < 1:
            raise ValueError(f'{name} must be at least 1, got {value}')
    out = Path(out)
    prepare_folder(out, job.sources.image_root)
    writer = _Writer(job, out, generator)
    summary = Summary(num)
    for outcome in run_attempts(job, range(max_attempts), batch_size):
        if isinstance(outcome, Refused):
            summary.refused[outcome.reason] += 1
            writer.add_refused(outcome)
        else:
            summary.accepted += 1
            writer.add(outcome)
        if progress is not None:
            progress(summary)
        if summary.accepted == num:
            break
    writer.finish(info, summary)
    return summary


class _Writer:
    """Images at once, the rest at the end."""

    def __init__(self, job: Job, out: Path, generator: str) -> None:
        self.job = job
        self.out = out
        self.skeleton = job.synthesizer.skeleton
        self.entries = CocoEntries(job.sources, self.skeleton, job.seed, generator)
        self.refused: list[dict[str, Any]] = []
        self.deciles = rarity_deciles(job.bank)
        self.counts = AcceptanceCounts(self.skeleton.keypoint_names, self.deciles)
        self.rows: list[list[Image]] = []
        self.captions: list[str] = []

    def add(self, made: Synthesised) -> None:
        file_name = f'{made.attempt.number:08d}.jpg'
        write_jpeg(self.out / 'images' / file_name, made.image)
        self.entries.add(made, file_name)
        self._count(made.attempt.pose, made.plan.target_visible > 0, made.joints_ok, True)
        if len(self.rows) < SHEET_ROWS:
            self.rows.append(sheet_row(made, self.skeleton))
            self.captions.append(
                sheet_caption(made, file_name, int(self.deciles[made.attempt.pose]))
            )

    def add_refused(self, refused: Refused) -> None:
        attempt = refused.attempt
        person = self.job.sources.persons[attempt.person]
        entry: dict[str, Any] = {
            'attempt': attempt.number,
            'source_annotation_id': person['id'],
            'target_pose': attempt.pose,
            'reason': refused.reason,
            'detail': refused.detail,
        }
        if refused.labelled is not None and refused.joints_ok is not None:
            self._count(attempt.pose, refused.labelled, refused.joints_ok, False)
            failed = refused.labelled & ~refused.joints_ok
            names = zip(self.skeleton.keypoint_names, failed, strict=True)
            entry['failed_joints'] = [name for name, wrong in names if wrong]
        self.refused.append(entry)

    def _count(
        self, pose: int, labelled: NDArray[np.bool_], passed: NDArray[np.bool_], accepted: bool
    ) -> None:
        self.counts.add(
            torch.tensor([pose]),
            torch.from_numpy(labelled)[None],
            torch.from_numpy(passed)[None],
            torch.tensor([accepted]),
        )

    def finish(self, info: Mapping[str, Any], summary: Summary) -> None:
        left_out = dict(self.job.sources.left_out)
        summary.acceptance = acceptance_report(self.counts.take())
        write_json(
            self.out / REFUSED_FILE,
            {
                'sources_left_out': left_out,
                'label_check': summary.acceptance,
                'refused': self.refused,
            },
        )
        if not summary.accepted:
            raise ValueError(
                f'none of {summary.attempts} attempts gave an image: {dict(summary.refused)}; '
                f'each is listed in {self.out / REFUSED_FILE}'
            )
        counts = {'attempts': summary.attempts, 'refused': dict(summary.refused)}
        write_png(self.out / SHEET_FILE, make_sheet(self.rows, self.captions))
        # Last: where there is an annotation file, everything is there.
        write_json(self.out / ANNOTATION_FILE, self.entries.content({**info, **counts}))
