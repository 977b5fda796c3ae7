"""Keypoints, boxes and areas of a COCO keypoint file."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pg2aug.poses.same_person import annotations_twice
from pg2aug.validation.entries import (
    Problem,
    entry_name,
    finite_numbers,
    is_integer,
    is_listed,
    is_number,
    stated_size,
)

MARGIN_PX = 1.0
"""How far boxes and joints may stand out of their image, in pixels: many are rounded."""

_EXAMPLES = 3


class ImageSize(NamedTuple):
    """Size of an image, in pixels."""

    width: float
    height: float


_NO_FRAME = ImageSize(math.inf, math.inf)


def check_annotations(content: Mapping[str, Any], margin_px: float) -> Iterator[Problem]:
    """References, crowd flag, box, area and keypoints of each annotation.

    Args:
        content: The file.
        margin_px: Pixels by which boxes and labelled joints may stand out of their image.
    """
    images = {
        i['id']: i for i in content['images'] if isinstance(i, dict) and is_integer(i.get('id'))
    }
    joints = numbers_of_joints(content['categories'])
    for annotation in content['annotations']:
        if not isinstance(annotation, dict):
            continue
        where = entry_name('annotation', annotation)
        for key, known in (('image_id', images), ('category_id', joints)):
            value = annotation.get(key)
            if not is_integer(value) or value not in known:
                yield Problem('reference', where, f'{key} is {value!r}, which is not there')
        frame = _frame(annotation.get('image_id'), images)
        for rule, text in annotation_problems(annotation, joints, frame, margin_px):
            yield Problem(rule, where, text)


def check_annotated_twice(content: Mapping[str, Any]) -> Iterator[Problem]:
    """People who are annotated twice, which is no error: MMPose trains on both annotations.

    See :func:`pg2aug.poses.same_person.same_person`.
    """
    names = {
        c['id']: tuple(map(str, c['keypoints']))
        for c in content['categories']
        if isinstance(c, dict) and is_integer(c.get('id')) and isinstance(c.get('keypoints'), list)
    }
    posed = [a for a in content['annotations'] if isinstance(a, dict)]
    for joints in dict.fromkeys(filter(None, names.values())):
        alike = {number for number, own in names.items() if own == joints}
        chosen = [a for a in posed if is_listed(a.get('category_id'), alike)]
        for later, first in annotations_twice(chosen, joints):
            where, other = (entry_name('annotation', chosen[k]) for k in (later, first))
            what = f'is of the same person as {other}'
            yield Problem('annotated-twice', where, what, is_error=False)


_Problems = Iterator[tuple[str, str]]


def annotation_problems(
    annotation: Mapping[str, Any],
    joints: Mapping[int, int],
    frame: ImageSize | None,
    margin_px: float,
) -> _Problems:
    """What is wrong with an annotation's crowd flag, box, area and keypoints.

    Args:
        annotation: The entry, of a category that is there.
        joints: How many joints each category names, by its id.
        frame: Size of its image; None where it is not known, and nothing stands out of it.
        margin_px: Pixels by which boxes and labelled joints may stand out of the image.

    Yields:
        The rule that is broken, and how.
    """
    frame = _NO_FRAME if frame is None else frame
    yield from _check_crowd(annotation)
    yield from _check_box(annotation, frame, margin_px)
    yield from _check_area(annotation, margin_px)
    yield from _check_keypoints(annotation, joints, frame, margin_px)


def numbers_of_joints(categories: Sequence[Any]) -> dict[int, int]:
    """How many joints each category names, by its id."""
    return {
        c['id']: len(c['keypoints']) if isinstance(c.get('keypoints'), list) else 0
        for c in categories
        if isinstance(c, dict) and is_integer(c.get('id'))
    }


def _frame(image_id: Any, images: Mapping[int, Mapping[str, Any]]) -> ImageSize | None:
    """Size of the image; None where that is unknown, which is a finding elsewhere."""
    image = images.get(image_id, {}) if is_integer(image_id) else {}
    size = stated_size(image)
    return None if size is None else ImageSize(*size)


def _check_crowd(annotation: Mapping[str, Any]) -> _Problems:
    # COCO's evaluation fails without it.
    if annotation.get('iscrowd') not in (0, 1):
        yield 'iscrowd', f'iscrowd is {annotation.get("iscrowd")!r}, not 0 or 1'


def _check_box(annotation: Mapping[str, Any], frame: ImageSize, margin_px: float) -> _Problems:
    box = finite_numbers(annotation.get('bbox'))
    if box is None or len(box) != 4:
        yield 'bbox', f'bbox is {annotation.get("bbox")!r}, not x, y, width and height'
        return
    x, y, width, height = box
    if min(width, height) <= 0:
        yield 'bbox', f'bbox is {width:g} wide and {height:g} high'
    right, bottom = x + width - frame.width, y + height - frame.height
    if max(-x, -y, right, bottom) > margin_px:
        limits = f'the image of {frame.width:g}x{frame.height:g}'
        yield 'bbox-outside', f'bbox {box} stands out of {limits}'


def _check_area(annotation: Mapping[str, Any], margin_px: float) -> _Problems:
    area = annotation.get('area')
    if not is_number(area) or finite_numbers([area]) is None or area <= 0:
        yield 'area', f'area is {area!r}, not a positive number'
        return
    box = finite_numbers(annotation.get('bbox'))
    if box is None or len(box) != 4 or min(box[2:]) <= 0:
        return
    largest = (box[2] + 2 * margin_px) * (box[3] + 2 * margin_px)
    if area > largest:
        yield 'area', f'area is {area:g}, more than the {box[2] * box[3]:g} of the box'


def _check_keypoints(
    annotation: Mapping[str, Any], joints: Mapping[int, int], frame: ImageSize, margin_px: float
) -> _Problems:
    category, values = annotation.get('category_id'), annotation.get('keypoints')
    if not is_integer(category) or category not in joints:
        return
    num_joints = joints[category]
    if not num_joints:
        if values:
            yield 'keypoints', f'keypoints, but category {category} names no joints'
        return
    if not isinstance(values, list) or len(values) != 3 * num_joints:
        length = len(values) if isinstance(values, list) else values
        yield 'keypoints', f'keypoints: {length!r} numbers, not 3 x {num_joints}'
        return
    triples = list(zip(values[::3], values[1::3], values[2::3], strict=True))
    flags = [(k, flag) for k, (_, _, flag) in enumerate(triples, 1) if not _is_flag(flag)]
    if flags:
        yield 'keypoint-flag', f'flags other than 0, 1, 2: {_listed("joint {} has {!r}", flags)}'
        return
    yield from _check_places(triples, frame, margin_px)
    labelled = sum(flag > 0 for _, _, flag in triples)
    stated = annotation.get('num_keypoints')
    if stated != labelled or not is_integer(stated):
        yield 'num_keypoints', f'num_keypoints is {stated!r}, but {labelled} joints are labelled'


def _is_flag(value: Any) -> bool:
    return is_number(value) and value in (0, 1, 2)


def _check_places(
    triples: Sequence[tuple[Any, Any, Any]], frame: ImageSize, margin_px: float
) -> _Problems:
    wrong, outside = [], []
    for k, (x, y, flag) in enumerate(triples, 1):
        if finite_numbers([x, y]) is None:
            wrong.append((k, [x, y]))
        elif flag and max(-x, -y, x - frame.width, y - frame.height) > margin_px:
            outside.append((k, [x, y]))
    if wrong:
        yield 'keypoint-number', f'no finite numbers: {_listed("joint {} at {}", wrong)}'
    if outside:
        limits = f'the image of {frame.width:g}x{frame.height:g}'
        yield 'keypoint-outside', f'outside {limits}: {_listed("joint {} at {}", outside)}'


def _listed(pattern: str, items: Sequence[tuple[int, Any]]) -> str:
    shown = ', '.join(pattern.format(*item) for item in items[:_EXAMPLES])
    more = len(items) - _EXAMPLES
    return f'{shown} and {more} more' if more > 0 else shown
