"""Entries of a COCO keypoint file: what is missing is completed, what is broken is told apart."""

import math
import reprlib
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from pg2aug.expansion.sources.filter import Annotation
from pg2aug.validation.annotations import MARGIN_PX, ImageSize, annotation_problems
from pg2aug.validation.entries import (
    finite_numbers,
    is_integer,
    is_listed,
    is_number,
    name_problem,
)

_LONGEST = 120
_BROKEN_IMAGE = 'the entry of its image is broken'
_NO_IMAGE = 'its image is not in the file'
_BROKEN_NEIGHBOUR = 'the annotation of somebody else in its image is broken'


class LeftOut(TypedDict):
    """How many entries are left out for a reason, and the first of them."""

    count: int
    first: str


class LeftOuts(dict[str, LeftOut]):
    """What is left out, by reason."""

    def add(self, reason: str, example: str) -> None:
        """Count an entry; the ``example`` says which it is, and what is wrong with it."""
        self.setdefault(reason, {'count': 0, 'first': example})['count'] += 1

    @property
    def total(self) -> int:
        """How many entries are left out, for whatever reason."""
        return sum(found['count'] for found in self.values())

    def lines(self) -> Iterator[str]:
        """The reasons in words, the most frequent first."""
        for reason, found in sorted(self.items(), key=lambda item: -item[1]['count']):
            yield f'{found["count"]}: {reason} (first: {found["first"]})'


@dataclass
class SourceEntries:
    """Image entries and annotations, and what is wrong with them.

    Attributes:
        joints: How many joints each category names, by its id.
        images: Image entries by id.
        neighbours: All annotations of an image, completed, by the image's id.
        annotations: Those with an image, completed, and the text by which an example names each.
        left_out: Entries that belong to no image, and images that cannot be referred to.
        broken_images: What is wrong with an image's entry, by its id.
        broken: What keeps annotations from being written as they are, by the image's id: the
            annotation, and what is wrong with it.
    """

    joints: Mapping[int, int]
    images: dict[Any, Mapping[str, Any]] = field(default_factory=dict)
    neighbours: dict[Any, list[Annotation]] = field(default_factory=lambda: defaultdict(list))
    annotations: list[tuple[Annotation, str]] = field(default_factory=list)
    left_out: LeftOuts = field(default_factory=LeftOuts)
    broken_images: dict[Any, str] = field(default_factory=dict)
    broken: dict[Any, list[tuple[Annotation, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def problem(self, annotation: Annotation) -> tuple[str, str] | None:
        """Why no image can be made of an annotation's, whoever is in it: a reason, and the case.

        That is so where the image's entry is broken, or the annotation of anybody else, which
        would be written again as it is.
        """
        image_id = annotation['image_id']
        if image_id in self.broken_images:
            return _BROKEN_IMAGE, self.broken_images[image_id]
        for other, what in self.broken.get(image_id, ()):
            if other is not annotation:
                return _BROKEN_NEIGHBOUR, what
        return None


def read_entries(content: Mapping[str, Any], joints: Mapping[int, int]) -> SourceEntries:
    """Sort out the images and annotations of a COCO keypoint file.

    Args:
        content: The file, ``images`` and ``annotations`` lists of anything.
        joints: How many joints each category names, by its id.

    Raises:
        ValueError: If an id is there twice: nobody knows which of the two is meant.
    """
    found = SourceEntries(joints)
    for where, image in _objects(content['images'], 'images', found.left_out):
        if not _is_id(image.get('id')):
            found.left_out.add(
                'an image without a valid id', f'{where}: {reprlib.repr(image.get("id"))}'
            )
            continue
        _add_once(found.images, image['id'], image, 'images')
        problem = _image_problem(image)
        if problem is not None:
            found.broken_images[image['id']] = f'image {image["id"]}: {problem}'
    seen: dict[Any, Any] = {}
    for where, entry in _objects(content['annotations'], 'annotations', found.left_out):
        number, image_id = entry.get('id'), entry.get('image_id')
        if _is_id(number):
            where = f'annotation {number}'
            _add_once(seen, number, None, 'annotations')
        if not _is_id(image_id) or image_id not in found.images:
            found.left_out.add(_NO_IMAGE, f'{where}: image_id {reprlib.repr(image_id)}')
            continue
        frame = stated_frame(found.images[image_id])
        annotation = completed(entry, joints, frame)
        found.neighbours[image_id].append(annotation)
        found.annotations.append((annotation, where))
        problem = _annotation_problem(annotation, joints, frame)
        if problem is not None:
            found.broken[image_id].append((annotation, f'{where}: {problem}'))
    return found


def _objects(
    entries: Sequence[Any], name: str, left_out: LeftOuts
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries that are objects, and where each of them is."""
    for place, entry in enumerate(entries):
        where = f'{name}[{place}]'
        if isinstance(entry, dict):
            yield where, entry
        else:
            what = f'{where} is a {type(entry).__name__}'
            left_out.add(f'an entry of {name} that is no object', what)


def _add_once(found: dict[Any, Any], number: Any, entry: Any, name: str) -> None:
    if number in found:
        raise ValueError(f'{name}: the id {number} is there twice; ids must be unique')
    found[number] = entry


def _is_id(value: Any) -> bool:
    return is_integer(value) or isinstance(value, str)


def _image_problem(image: Mapping[str, Any]) -> str | None:
    for name in ('width', 'height'):
        value = image.get(name, 1)
        if finite_numbers([value]) is None or value < 1 or value != int(value):
            return f'its {name} is {reprlib.repr(value)}, not a number of pixels'
    return name_problem(image.get('file_name'))


def stated_frame(image: Mapping[str, Any]) -> ImageSize | None:
    """The size that an image's entry states; None where it states none, or no size."""
    if not {'width', 'height'} <= image.keys() or _image_problem(image) is not None:
        return None
    return ImageSize(image['width'], image['height'])


def _annotation_problem(
    annotation: Annotation, joints: Mapping[int, int], frame: ImageSize | None
) -> str | None:
    if not _is_id(annotation.get('id')):
        return f'its id is {reprlib.repr(annotation.get("id"))}'
    category = annotation.get('category_id')
    if not is_listed(category, joints):
        return f'category_id is {reprlib.repr(category)}, which is not there'
    return first_problem(annotation, joints, frame)


def first_problem(
    annotation: Annotation, joints: Mapping[int, int], frame: ImageSize | None
) -> str | None:
    """What keeps an annotation from being written as it is; None if nothing does."""
    problems = annotation_problems(annotation, joints, frame, MARGIN_PX)
    return next((textwrap.shorten(text, _LONGEST) for _, text in problems), None)


def completed(
    annotation: Annotation, joints: Mapping[int, int], frame: ImageSize | None
) -> Annotation:
    """An annotation with what is missing and can be told without a guess.

    ``iscrowd`` 0; joints that are all unlabelled where there are none, as COCO has them;
    ``num_keypoints`` as counted; the box cut off at the border of the image, as MMPose does it;
    the box's ``area``, as ``loadRes`` of COCO's tools gives it. Unlabelled joints without a finite
    place are at 0, 0. What is there and wrong otherwise is left as it is.

    Args:
        annotation: As it was read.
        joints: How many joints each category names, by its id.
        frame: Size of the image; None where it is not known.
    """
    new = dict(annotation)
    if new.get('iscrowd') is None:
        new['iscrowd'] = 0
    category = new.get('category_id')
    num_joints = joints.get(category, 0) if is_integer(category) else 0
    if num_joints:
        _complete_keypoints(new, num_joints)
    box = finite_numbers(new.get('bbox'))
    if box is not None and len(box) == 4 and min(box[2:]) > 0:
        _complete_box(new, box, frame)
    # Equal ones are not kept twice, for there may be very many.
    return annotation if new == annotation else new


def _complete_keypoints(annotation: dict[str, Any], num_joints: int) -> None:
    values = annotation.get('keypoints')
    if values is None or values == []:
        values = [0] * (3 * num_joints)
    if not isinstance(values, list) or len(values) != 3 * num_joints:
        return
    if not all(is_number(flag) and flag in (0, 1, 2) for flag in values[2::3]):
        return
    for start in range(0, len(values), 3):
        if not values[start + 2] and finite_numbers(values[start : start + 2]) is None:
            values = [*values[:start], 0, 0, *values[start + 2 :]]
    annotation['keypoints'] = values
    annotation['num_keypoints'] = sum(flag > 0 for flag in values[2::3])


def _complete_box(
    annotation: dict[str, Any], box: Sequence[float], frame: ImageSize | None
) -> None:
    left, top, width, height = box
    limit = ImageSize(math.inf, math.inf) if frame is None else frame
    right, bottom = left + width, top + height
    if max(-left, -top, right - limit.width, bottom - limit.height) > MARGIN_PX:
        left, top = max(left, 0.0), max(top, 0.0)
        width, height = min(right, limit.width) - left, min(bottom, limit.height) - top
        if min(width, height) <= 0:
            return
        annotation['bbox'] = [left, top, width, height]
        area = annotation.get('area')
        if is_number(area) and area > width * height:
            annotation['area'] = width * height
    if annotation.get('area') is None:
        annotation['area'] = width * height
