"""The data set to expand: its file, and the persons in it that can be put into a new pose."""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.augment.eligibility import UnsuitableError, check_source
from pg2aug.expansion.sources.entries import (
    LeftOuts,
    SourceEntries,
    first_problem,
    read_entries,
)
from pg2aug.expansion.sources.file import read_source_file
from pg2aug.expansion.sources.filter import Annotation as Annotation
from pg2aug.expansion.sources.filter import SourceFilter
from pg2aug.expansion.sources.images import ImageFolder
from pg2aug.poses import Skeleton
from pg2aug.poses.same_person import annotations_twice
from pg2aug.validation.annotations import ImageSize, numbers_of_joints
from pg2aug.validation.entries import finite_numbers, is_integer, is_listed, known_ids

ANNOTATED_TWICE = 'an annotation of a person who is annotated twice'
"""Why an annotation is left out: another of the same person counts."""


@dataclass(frozen=True)
class Sources:
    """A COCO keypoint file, and what in it can be used.

    Attributes:
        content: The file, as it was read, its categories completed.
        path: Where it was read from.
        folder: Of its images.
        images: Image entries by id.
        neighbours: All annotations of an image, completed as
            :func:`pg2aug.expansion.sources.entries.completed` says, by the image's id.
        persons: Annotations of the persons that can be put into a new pose, in the file's order.
        posed: Those of all persons with labelled joints, whether they can be used or not.
        left_out: How many entries cannot be used, and the first of them, by reason.
        doubles: The other annotations of a person who is annotated twice, by the id of the one that
            counts.
    """

    content: Mapping[str, Any]
    path: str
    folder: ImageFolder
    images: Mapping[int, Mapping[str, Any]]
    neighbours: Mapping[int, list[Annotation]]
    persons: list[Annotation]
    posed: list[Annotation]
    left_out: LeftOuts = field(default_factory=LeftOuts)
    doubles: Mapping[Any, list[Annotation]] = field(default_factory=dict)

    def around(self, person: Annotation) -> list[Annotation]:
        """All annotations of a person's image, without others of the same person."""
        return _without(self.neighbours[person['image_id']], self.doubles.get(person['id'], ()))

    @cached_property
    def person_images(self) -> list[Any]:
        """The id of each person's image."""
        return [person['image_id'] for person in self.persons]

    @cached_property
    def poses(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Poses of the data set: keypoints (M, K, 2) in pixels, and which are labelled (M, K)."""
        triples = np.stack([annotation_keypoints(person) for person in self.posed])
        return triples[..., :2], triples[..., 2] > 0

    def lists_license(self, number: Any) -> bool:
        """Whether the file says what a licence is that an image names."""
        return is_listed(number, self._licenses)

    @cached_property
    def _licenses(self) -> set[int]:
        return known_ids(self.content.get('licenses') or [])

    def read_image(self, person: Annotation) -> NDArray[np.uint8]:
        """The image of one of ``persons``; see :meth:`ImageFolder.read`."""
        return self.folder.read(self.images[person['image_id']]['file_name'])

    def check_size(self, person: Annotation, image_size: tuple[int, int]) -> None:
        """Compare the size of a person's image, as it was read, with its entries.

        Args:
            person: One of ``persons``.
            image_size: Width and height.

        Raises:
            ValueError: If the entry states another size, or none and an annotation stands out of
                the image.
        """
        entry = self.images[person['image_id']]
        width, height = image_size
        stated = entry.get('width', width), entry.get('height', height)
        if stated != (width, height):
            raise ValueError(
                f'{entry["file_name"]} has {width}x{height} pixels, its entry {stated}'
            )
        if {'width', 'height'} <= entry.keys():
            return
        joints = numbers_of_joints(self.content['categories'])
        for other in self.neighbours[person['image_id']]:
            problem = first_problem(other, joints, ImageSize(width, height))
            if problem is not None:
                raise ValueError(f'annotation {other["id"]}: {problem}')


def load_sources(
    path: str | Path,
    folder: ImageFolder,
    skeleton: Skeleton,
    min_visible: int = 8,
    ignore_joint_names: bool = False,
    source_filter: SourceFilter | None = None,
    category: str | None = None,
) -> Sources:
    """Read a COCO keypoint file and choose the persons to synthesise from.

    Entries that are broken are left out, and so are images that somebody is in whose annotation is:
    it would be written again. What is missing is completed where it can be told. A person who is
    annotated twice is one person.

    Args:
        path: The json file, on any file backend of MMEngine.
        folder: That its file names start from.
        skeleton: Skeleton of the generator.
        min_visible: Least number of labelled joints of a person.
        ignore_joint_names: Take the file's joints to be the generator's, whatever their names.
        source_filter: Which persons not to use besides; none if None.
        category: Name or id of the category of the persons; those of the skeleton's joints if None.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no COCO keypoint file, its categories are broken, an id is there twice,
            its joints are not the generator's, or none of its persons can be used.
    """
    path = str(path)
    content, categories = read_source_file(path, skeleton, ignore_joint_names, category)
    try:
        entries = read_entries(content, numbers_of_joints(content['categories']))
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    persons, posed = [], []
    first_of, doubles = _find_doubles([a for a, _ in entries.annotations], skeleton)
    for annotation, where in entries.annotations:
        try:
            _check_posed(annotation, categories, skeleton)
            if id(annotation) in first_of:
                first = first_of[id(annotation)].get('id')
                raise UnsuitableError(ANNOTATED_TWICE, f'the person of annotation {first}')
            posed += [annotation] if any(annotation['keypoints'][2::3]) else []
            check_source(annotation_keypoints(annotation)[:, 2], skeleton, min_visible)
            _check_image(annotation, entries)
            if source_filter is not None:
                image_id = annotation['image_id']
                others = _without(entries.neighbours[image_id], doubles.get(annotation['id'], ()))
                image = entries.images[image_id]
                source_filter.check(annotation, others, image)
        except UnsuitableError as error:
            reason, *case = error.args
            entries.left_out.add(str(reason), f'{where}: {case[0]}' if case else where)
        else:
            persons.append(annotation)
    if not persons:
        reasons = ''.join(f'\n  {line}' for line in entries.left_out.lines())
        raise ValueError(f'no person of {path} can be put into a new pose{reasons}')
    return Sources(
        content=content,
        path=path,
        folder=folder,
        images=entries.images,
        neighbours=dict(entries.neighbours),
        persons=persons,
        posed=posed,
        left_out=entries.left_out,
        doubles=doubles,
    )


def _find_doubles(
    annotations: Sequence[Annotation], skeleton: Skeleton
) -> tuple[dict[int, Annotation], dict[Any, list[Annotation]]]:
    """For each double, by its identity, the annotation that counts; and the doubles by its id.

    Of the annotations of a person the one with the most labelled joints counts.
    """
    ranked = sorted(annotations, key=lambda a: -_labelled_joints(a))
    first_of: dict[int, Annotation] = {}
    doubles: dict[Any, list[Annotation]] = {}
    for later, first in annotations_twice(ranked, skeleton.keypoint_names):
        first_of[id(ranked[later])] = ranked[first]
        doubles.setdefault(ranked[first].get('id'), []).append(ranked[later])
    return first_of, doubles


def _labelled_joints(annotation: Annotation) -> int:
    values = annotation.get('keypoints')
    return sum(map(bool, values[2::3])) if isinstance(values, list) else 0


def _without(annotations: Sequence[Annotation], gone: Sequence[Annotation]) -> list[Annotation]:
    return [a for a in annotations if not any(a is other for other in gone)]


def annotation_keypoints(annotation: Annotation) -> NDArray[np.float32]:
    """(K, 3) float32: x and y in image pixels, and the visibility flag."""
    return np.array(annotation['keypoints'], np.float32).reshape(-1, 3)


def annotation_bbox(annotation: Annotation, image_size: tuple[int, int]) -> NDArray[np.float32]:
    """(4,) float32 x1, y1, x2, y2, clipped to the image of (width, height) as MMPose does it."""
    x, y, width, height = annotation['bbox']
    limit = np.array([image_size[0] - 1, image_size[1] - 1] * 2)
    return np.clip([x, y, x + width, y + height], 0, limit).astype(np.float32)


def _check_posed(annotation: Annotation, categories: set[int], skeleton: Skeleton) -> None:
    """Raise UnsuitableError, a reason and the case, unless a person's joints and box are valid."""
    values, category = annotation.get('keypoints'), annotation.get('category_id')
    if not values or not is_listed(category, categories):
        raise UnsuitableError('no keypoints')
    if annotation['iscrowd']:
        raise UnsuitableError('a crowd')
    if not isinstance(values, list) or len(values) != 3 * skeleton.num_keypoints:
        count = f'{len(values) / 3:g}' if isinstance(values, list) else reprlib.repr(values)
        raise UnsuitableError(f'{count} joints, not {skeleton.num_keypoints}')
    numbers = finite_numbers(values)
    if numbers is None or not set(numbers[2::3]) <= {0, 1, 2}:
        raise UnsuitableError('no valid keypoints', reprlib.repr(values))
    box = finite_numbers(annotation.get('bbox'))
    if box is None or len(box) != 4 or min(box[2:]) <= 0:
        raise UnsuitableError('no valid box', reprlib.repr(annotation.get('bbox')))


def _check_image(annotation: Annotation, entries: SourceEntries) -> None:
    problem = entries.problem(annotation)
    if problem is not None:
        raise UnsuitableError(*problem)
    number = annotation.get('id')
    # The plan keeps it in 64 bits.
    if not is_integer(number) or abs(number) >= 1 << 63:
        raise UnsuitableError('no valid id', reprlib.repr(number))
