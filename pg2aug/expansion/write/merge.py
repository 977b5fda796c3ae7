"""From the parts of an expansion to its files, in one pass and flat memory; safe to repeat."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from pg2aug.augment.statistics import AcceptanceCounts, acceptance_report, rarity_deciles
from pg2aug.datasets.coco_files import ANNOTATION_FILE
from pg2aug.expansion.plan.regions import Regions
from pg2aug.expansion.report.pictures import FirstMade
from pg2aug.expansion.work.items import Recipe
from pg2aug.expansion.work.parts import Part, Record
from pg2aug.utils.files import write_error

REFUSED_FILE = 'refused.json'
SHEET_FILE = 'sheet.png'


@dataclass
class Summary:
    """What came of an expansion.

    Attributes:
        wanted: Number of images asked for.
        accepted: Number of images made.
        refused: Number of attempts refused, by reason.
        acceptance: What the label check accepted, by rarity of the pose and by joint; see
            :func:`pg2aug.augment.statistics.acceptance_report`.
        regions: Of pose space, where they were levelled.
    """

    wanted: int
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    acceptance: dict[str, Any] = field(default_factory=dict)
    regions: Regions | None = None

    @property
    def attempts(self) -> int:
        """Number of attempts made."""
        return self.accepted + self.refused.total()

    def lines(self, out: Path, checked: bool = True) -> Iterator[str]:
        """What was made of how many attempts, why others were refused, what the check accepted."""
        yield f'{self.accepted} images of {self.attempts} attempts -> {out}'
        for reason, count in self.refused.most_common():
            yield f'  refused {count}: {reason}'
        if not checked:
            return
        rarity = ', '.join(map(_share, self.acceptance['by_rarity']))
        by_joint = self.acceptance['by_joint'].items()
        joints = ', '.join(f'{name} {_share(counts)}' for name, counts in by_joint)
        yield f'label check: {_share(self.acceptance["persons"])} persons accepted'
        yield f'  by rarity of the pose, commonest tenth first: {rarity}'
        yield f'  by joint: {joints}'


def _share(counts: Sequence[int]) -> str:
    seen, accepted = counts
    return f'{accepted / seen:.0%} of {seen}' if seen else '-'


class MissingImagesError(OSError):
    """Images are gone that have been made; their parts have been reopened, to make them anew."""


def merge(recipe: Recipe, parts: Sequence[Part], info: Mapping[str, Any]) -> Summary:
    """Write the COCO file, the refused attempts and the sheet from finished parts.

    The bytes depend on the parts alone. The COCO file comes last: where it is, everything is.

    Args:
        recipe: How the parts were made.
        parts: All of the plan, finished.
        info: The COCO file's ``info``; the counts are added.

    Raises:
        MissingImagesError: If images are gone.
        OSError: If a file cannot be written.
        ValueError: If there is no image at all, or a part is damaged.
    """
    folder = recipe.folder
    summary = Summary(len(recipe.plan.items))
    gone = []
    with _Lists(recipe, summary) as lists:
        for part in parts:
            part.remove_rest()
            found = part.read()
            gone += _reopen_if_gone(recipe, part, found)
            for lines in () if gone else found.values():
                lists.add(lines)
        if gone:
            raise MissingImagesError(
                f'{len(gone)} images are gone, such as {recipe.image_path(gone[0])}: run the same '
                'command again'
            )
        summary.acceptance = lists.acceptance()
        content = recipe.job.sources.content
        head = {
            'sources_left_out': dict(recipe.job.sources.left_out),
            'label_check': summary.acceptance,
        }
        lists.write(folder.root / REFUSED_FILE, head, ('refused',), {})
        if not summary.accepted:
            raise ValueError(
                f'none of {summary.attempts} attempts gave an image: {dict(summary.refused)}; '
                f'each is listed in {folder.root / REFUSED_FILE}'
            )
        lists.sheet.write(folder, folder.root / SHEET_FILE)
        counts = {'attempts': summary.attempts, 'refused': dict(summary.refused)}
        head = {'info': {**info, **counts}, 'licenses': content.get('licenses', [])}
        tail = {'categories': content['categories']}
        lists.write(folder.root / ANNOTATION_FILE, head, ('images', 'annotations'), tail)
    return summary


def _reopen_if_gone(recipe: Recipe, part: Part, lines: Mapping[int, list[Record]]) -> list[int]:
    """The items of a part whose images are gone; if there are any, it is reopened."""
    gone = {item for item, found in lines.items() if found and not _is_there(recipe, found[-1])}
    if gone:
        kept = (found[:-1] if item in gone else found for item, found in lines.items())
        part.reopen(line for found in kept for line in found)
    return sorted(gone)


def _is_there(recipe: Recipe, line: Record) -> bool:
    if line['made'] is None:
        return True
    try:
        return recipe.image_path(line['item']).stat().st_size == line['made']['bytes']
    except FileNotFoundError:
        return False


class _Lists:
    """The lists of the json files, each in a file of its own until all are complete."""

    NAMES = ('images', 'annotations', 'refused')

    def __init__(self, recipe: Recipe, summary: Summary) -> None:
        self.recipe = recipe
        self.summary = summary
        skeleton = recipe.job.synthesizer.skeleton
        self.sheet = FirstMade(recipe.job.sources, skeleton, recipe.folder.images)
        self._paths = {name: recipe.folder.temporary(f'merge-{name}') for name in self.NAMES}
        self._files: dict[str, BinaryIO] = {}
        self._deciles = rarity_deciles(recipe.job.bank)
        self._counts = AcceptanceCounts(skeleton.keypoint_names, self._deciles)
        self._num_annotations = 0

    def __enter__(self) -> '_Lists':
        for name, path in self._paths.items():
            self._files[name] = open(path, 'wb')
        return self

    def __exit__(self, *args: object) -> None:
        # What is not written by now is not needed: no second error of the same full disk.
        for file in self._files.values():
            with suppress(OSError):
                file.close()
        for path in self._paths.values():
            path.unlink(missing_ok=True)

    def add(self, lines: Iterable[Record]) -> None:
        """Add an item."""
        judged: list[tuple[int, str, bool]] = []
        for line in lines:
            for entry in line['refused']:
                self.summary.refused[entry['reason']] += 1
                marks = entry.pop('joints', None)
                if marks is not None:
                    judged.append((entry['target_pose'], marks, False))
                self._append('refused', entry)
            made = line['made']
            if made is not None:
                judged.append((made['pose'], made['joints'], True))
                self._add_image(line['item'], made)
        self._count(judged)

    def _add_image(self, item: int, made: Mapping[str, Any]) -> None:
        self.summary.accepted += 1
        number, name = self.summary.accepted, self.recipe.file_name(item)
        self._append('images', {**made['image'], 'id': number, 'file_name': name})
        for annotation in made['annotations']:
            self._num_annotations += 1
            ids = {'id': self._num_annotations, 'image_id': number}
            self._append('annotations', {**annotation, **ids})
        self.sheet.add(made, name, int(self._deciles[made['pose']]))

    def _append(self, name: str, entry: Any) -> None:
        file = self._files[name]
        try:
            file.write((', ' if file.tell() else '').encode() + json.dumps(entry).encode())
        except OSError as error:
            raise write_error(error, self._paths[name]) from error

    def _count(self, judged: Sequence[tuple[int, str, bool]]) -> None:
        if not judged:
            return
        poses, marks, accepted = zip(*judged, strict=True)
        joints = np.array([list(map(int, text)) for text in marks])
        self._counts.add(
            torch.tensor(poses),
            torch.from_numpy(joints > 0),
            torch.from_numpy(joints > 1),
            torch.tensor(accepted),
        )

    def acceptance(self) -> dict[str, Any]:
        """The report of the label check."""
        return acceptance_report(self._counts.take())

    def write(
        self, path: Path, head: Mapping[str, Any], names: Sequence[str], tail: Mapping[str, Any]
    ) -> None:
        """Write a json object of some members, some of the lists, and more members."""
        with self.recipe.folder.replacing(path) as file:
            file.write(b'{')
            separator = ''
            for name, value in head.items():
                file.write(f'{separator}{json.dumps(name)}: {json.dumps(value)}'.encode())
                separator = ', '
            for name in names:
                file.write(f'{separator}{json.dumps(name)}: ['.encode())
                self._files[name].flush()
                with open(self._paths[name], 'rb') as entries:
                    shutil.copyfileobj(entries, file, 1 << 20)
                file.write(b']')
                separator = ', '
            for name, value in tail.items():
                file.write(f'{separator}{json.dumps(name)}: {json.dumps(value)}'.encode())
            file.write(b'}')
