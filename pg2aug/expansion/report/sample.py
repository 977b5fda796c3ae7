"""What an expansion wrote, as much of it as a report shows, read in flat memory."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pg2aug.expansion.report.stream import iter_entries
from pg2aug.expansion.sources.entries import LeftOut
from pg2aug.expansion.sources.sources import Annotation

REFUSED_SHOWN = 24
"""Examples of each reason."""

Entry = TypeVar('Entry')


@dataclass
class MadeSample:
    """Synthesised persons: numbers of all, and some of them.

    Attributes:
        num_images: All images.
        num_annotations: All annotations, other people's too.
        poses: How many persons were put into each pose of the bank, by its index.
        shown: A uniform random choice of the annotations, in the file's order.
        images: The entries of their images, by id.
    """

    num_images: int = 0
    num_annotations: int = 0
    poses: Counter[int] = field(default_factory=Counter)
    shown: list[Annotation] = field(default_factory=list)
    images: dict[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass
class RefusedSample:
    """Attempts that gave no image: numbers of all, and some of each reason.

    Attributes:
        reasons: How many, by reason.
        shown: Entries of the file, grouped by reason.
        label_check: What the label check accepted, as :mod:`pg2aug.augment.statistics` reports it.
        left_out: Entries of the data set that could not be used, by reason; see
            :class:`pg2aug.expansion.sources.entries.LeftOut`.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    shown: list[Mapping[str, Any]] = field(default_factory=list)
    label_check: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)


def sample_made(path: str | Path, limit: int) -> MadeSample:
    """Read the COCO file of an expansion.

    Args:
        path: The json file.
        limit: Largest number of persons to show.

    Raises:
        ValueError: If it is no such file.
    """
    sample = MadeSample()
    keep = _Reservoir[Annotation](limit)
    for key, entry in iter_entries(path):
        if key == 'images':
            sample.num_images += 1
        elif key == 'annotations':
            sample.num_annotations += 1
            if 'pg2aug' in entry:
                sample.poses[entry['pg2aug']['target_pose']] += 1
                keep.offer(entry)
    sample.shown = keep.in_order()
    wanted = {annotation['image_id'] for annotation in sample.shown}
    for key, entry in iter_entries(path):
        if key == 'images' and entry['id'] in wanted:
            sample.images[entry['id']] = entry
    return sample


def sample_refused(path: str | Path) -> RefusedSample:
    """Read the list of refused attempts of an expansion.

    Raises:
        ValueError: If it is no such file.
    """
    sample = RefusedSample()
    kept: dict[str, _Reservoir[Mapping[str, Any]]] = {}
    for key, entry in iter_entries(path):
        if key == 'refused':
            reason = entry['reason']
            sample.reasons[reason] += 1
            kept.setdefault(reason, _Reservoir(REFUSED_SHOWN)).offer(entry)
        elif key == 'label_check':
            sample.label_check = entry
        elif key == 'sources_left_out':
            sample.left_out = entry
    for reason, _ in sample.reasons.most_common():
        sample.shown += kept[reason].in_order()
    return sample


class _Reservoir(list[tuple[int, Entry]]):
    """A uniform random choice of what is offered (Vitter 1985, algorithm R), always the same."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._offered = 0
        self._random = random.Random(0)

    def offer(self, entry: Entry) -> None:
        place = self._offered
        self._offered += 1
        if place < self._limit:
            self.append((place, entry))
            return
        chosen = self._random.randrange(self._offered)
        if chosen < self._limit:
            self[chosen] = (place, entry)

    def in_order(self) -> list[Entry]:
        return [entry for _, entry in sorted(self, key=lambda item: item[0])]
