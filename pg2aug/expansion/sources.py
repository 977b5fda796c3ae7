"""The data set to expand: its file, and the persons in it that can be put into a new pose."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import mmengine
import numpy as np
from mmengine import fileio
from numpy.typing import NDArray

from pg2aug.augment.suitable import UnsuitableError, check_source
from pg2aug.expansion.images import ImageFolder
from pg2aug.expansion.source_filter import Annotation as Annotation
from pg2aug.expansion.source_filter import SourceFilter
from pg2aug.poses import Skeleton, check_same_joints


@dataclass(frozen=True)
class Sources:
    """A COCO keypoint file, and what in it can be used.

    Attributes:
        content: The file, as it was read.
        path: Where it was read from.
        folder: Of its images.
        images: Image entries by id.
        neighbours: All annotations of an image, by the image's id.
        persons: Annotations of the persons that can be put into a new pose, in the file's order.
        left_out: How many annotations cannot be used, by reason.
    """

    content: Mapping[str, Any]
    path: str
    folder: ImageFolder
    images: Mapping[int, Mapping[str, Any]]
    neighbours: Mapping[int, list[Annotation]]
    persons: list[Annotation]
    left_out: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def person_images(self) -> list[Any]:
        """The id of each person's image."""
        return [person['image_id'] for person in self.persons]


def load_sources(
    path: str | Path,
    folder: ImageFolder,
    skeleton: Skeleton,
    min_visible: int = 8,
    ignore_joint_names: bool = False,
    source_filter: SourceFilter | None = None,
) -> Sources:
    """Read a COCO keypoint file and choose the persons to synthesise from.

    Args:
        path: The json file, on any file backend of MMEngine.
        folder: That its file names start from.
        skeleton: Skeleton of the generator.
        min_visible: Least number of labelled joints of a person.
        ignore_joint_names: Take the file's joints to be the generator's, whatever their names.
        source_filter: Which persons not to use besides; none if None.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no COCO keypoint file, its joints are not the generator's, or none of
            its persons can be used.
    """
    path = str(path)
    content = _load(path)
    posed = _posed_categories(content, path, skeleton, ignore_joint_names)
    images = {image['id']: image for image in content['images']}
    neighbours = defaultdict(list)
    for annotation in content['annotations']:
        neighbours[annotation['image_id']].append(annotation)
    persons, left_out = [], Counter[str]()
    for annotation in content['annotations']:
        try:
            _check_person(annotation, posed, images, skeleton, min_visible)
            if source_filter is not None:
                image_id = annotation['image_id']
                source_filter.check(annotation, neighbours[image_id], images[image_id])
        except UnsuitableError as error:
            left_out[str(error)] += 1
        else:
            persons.append(annotation)
    if not persons:
        raise ValueError(f'no person of {path} can be put into a new pose: {dict(left_out)}')
    return Sources(content, path, folder, images, dict(neighbours), persons, dict(left_out))


def person_keypoints(annotation: Annotation) -> NDArray[np.float32]:
    """(K, 3) float32: x and y in image pixels, and the visibility flag."""
    return np.array(annotation['keypoints'], np.float32).reshape(-1, 3)


def person_bbox(annotation: Annotation, image_size: tuple[int, int]) -> NDArray[np.float32]:
    """(4,) float32 x1, y1, x2, y2, clipped to the image of (width, height) as MMPose does it."""
    x, y, width, height = annotation['bbox']
    limit = np.array([image_size[0] - 1, image_size[1] - 1] * 2)
    return np.clip([x, y, x + width, y + height], 0, limit).astype(np.float32)


def _load(path: str) -> Mapping[str, Any]:
    if not fileio.isfile(path):
        raise FileNotFoundError(f'annotation file {path!r} does not exist')
    try:
        content = mmengine.load(path, file_format='json')
    except ValueError as error:
        raise ValueError(f'{path} is no json file: {error}') from error
    if not isinstance(content, Mapping):
        raise ValueError(f'{path} is no COCO keypoint file: it holds a {type(content).__name__}')
    missing = {'images', 'annotations', 'categories'} - set(content)
    if missing:
        raise ValueError(f'{path} is no COCO keypoint file: it has no {sorted(missing)}')
    for name, keys in (('images', {'id', 'file_name'}), ('annotations', {'id', 'image_id'})):
        _check_entries(content[name], keys, f'{path}: {name}')
    return content


def _check_entries(entries: Sequence[Mapping[str, Any]], keys: set[str], context: str) -> None:
    seen = set()
    for entry in entries:
        if not keys <= entry.keys():
            raise ValueError(f'{context}: an entry lacks {sorted(keys - entry.keys())}: {entry}')
        if entry['id'] in seen:
            raise ValueError(f'{context}: the id {entry["id"]} is there twice; ids must be unique')
        seen.add(entry['id'])


def _posed_categories(
    content: Mapping[str, Any], path: str, skeleton: Skeleton, ignore_joint_names: bool
) -> set[Any]:
    """Ids of the categories whose persons have the generator's joints."""
    categories = content['categories']
    if ignore_joint_names:
        return {category['id'] for category in categories}
    named = [category for category in categories if category.get('keypoints')]
    advice = (
        'if they are the same joints in the same order, only named otherwise, pass '
        '--ignore-joint-names; else give a generator trained with these joints'
    )
    if not named:
        raise ValueError(f'no category of {path} names its joints: {advice}')
    try:
        for category in named:
            found = Skeleton.from_coco_category(category)
            check_same_joints(skeleton, found, f'{path}, compared with the generator,')
    except ValueError as error:
        raise ValueError(f'{error}; {advice}') from error
    return {category['id'] for category in named}


def _check_person(
    annotation: Annotation,
    posed: set[Any],
    images: Mapping[int, Any],
    skeleton: Skeleton,
    min_visible: int,
) -> None:
    values = annotation.get('keypoints')
    if not values or annotation.get('category_id') not in posed:
        raise UnsuitableError('no keypoints')
    if annotation.get('iscrowd'):
        raise UnsuitableError('a crowd')
    if annotation['image_id'] not in images:
        raise UnsuitableError('its image is not in the file')
    if len(values) != 3 * skeleton.num_keypoints:
        raise UnsuitableError(f'{len(values) / 3:g} joints, not {skeleton.num_keypoints}')
    box = annotation.get('bbox') or ()
    if len(box) != 4 or not np.isfinite([*values, *box]).all() or min(box[2:]) <= 0:
        raise UnsuitableError('no valid box or keypoints')
    check_source(person_keypoints(annotation)[:, 2], skeleton, min_visible)
