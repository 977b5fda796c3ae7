"""Which annotations are of one and the same person: data sets have people annotated twice."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from pg2aug.poses.skeleton import joint_key

BODY_AREA = 0.3
"""Area of a person over the squared diagonal of its keypoints' box: the median of COCO's people of
at least 12 labelled joints in ``coco_ccby`` (n = 14). Unlike the area of the box, it does not
depend on how the body is turned."""

MIN_OKS = 0.75
"""Least OKS (COCO's object keypoint similarity) of two annotations of the same person.

It is reached where all joints of COCO are moved by 4% of the diagonal of the person's box.
"""

MIN_COMMON = 5
"""Joints labelled in both from which on OKS alone decides."""

MIN_IOU = 0.8
"""Least overlap (intersection over union) of the boxes where fewer joints are labelled in both."""

_SIGMAS = {
    'nose': 0.026,
    'eye': 0.025,
    'ear': 0.035,
    'shoulder': 0.079,
    'elbow': 0.072,
    'wrist': 0.062,
    'hip': 0.107,
    'knee': 0.087,
    'ankle': 0.089,
}
_OTHER_SIGMA = 0.08
_CHUNK = 1 << 14
_LARGEST = 1e30

Values = npt.NDArray[Any]


def same_person(
    people: Values,
    person: Values,
    names: Sequence[str],
    boxes: Values | None = None,
    box: Values | None = None,
) -> npt.NDArray[np.bool_]:
    """Which of some people are the same as a person, annotated once more.

    OKS is taken over the joints labelled in both, with COCO's spread of each joint by its name, and
    the larger of both persons' areas by :data:`BODY_AREA`. It must be at least :data:`MIN_OKS`. Of
    fewer than :data:`MIN_COMMON` such joints the boxes, where they are known, must overlap by
    :data:`MIN_IOU` as well. Nothing is known of people without a common joint: they are others.

    Args:
        people: ``(P, K, 3)`` x, y in pixels and flag, greater than 0 where labelled. Joints that
            are not finite count as unlabelled.
        person: ``(K, 3)``, or ``(P, K, 3)`` to compare row by row.
        names: Of the K joints.
        boxes: ``(P, 4)`` x, y, width, height; NaN where unknown; None if all are.
        box: ``(4,)`` or ``(P, 4)``, likewise.

    Returns:
        ``(P,)`` bool.
    """
    people, person = np.asarray(people, np.float64), np.asarray(person, np.float64)
    labelled, own = _labelled(people), _labelled(person)
    common = labelled & own
    apart = np.where(common[..., None], people[..., :2] - person[..., :2], 0)
    area = np.maximum(_area(people, labelled), _area(person, own))[..., None]
    spread = 8 * np.maximum(area, 1e-6) * joint_sigmas(names) ** 2
    similarity = np.exp(-np.square(apart).sum(axis=-1) / spread)
    count = common.sum(axis=-1)
    alike = (similarity * common).sum(axis=-1) >= MIN_OKS * np.maximum(count, 1)
    few = count < MIN_COMMON
    if boxes is not None and box is not None and few.any():
        overlap = _overlap(np.asarray(boxes, np.float64), np.asarray(box, np.float64))
        # Of an unknown box, which is NaN, nothing is smaller.
        alike &= ~(few & (overlap < MIN_IOU))
    found: npt.NDArray[np.bool_] = alike & (count > 0)
    return found


def annotated_twice(
    people: Values, images: Sequence[Any], names: Sequence[str], boxes: Values | None = None
) -> list[tuple[int, int]]:
    """Which annotations are of a person who is annotated before them.

    Args:
        people: ``(N, K, 3)``, as :func:`same_person` takes them.
        images: The image of each, N of anything hashable; people of different images are others.
        names: Of the K joints.
        boxes: ``(N, 4)`` x, y, width, height; NaN where unknown; None if all are.

    Returns:
        Pairs of numbers: an annotation, and the first one of the same person, which is in no pair
        as the former. In the order of the annotations.
    """
    by_image: dict[Any, list[int]] = {}
    for number, image in enumerate(images):
        by_image.setdefault(image, []).append(number)
    pairs = np.array(
        [
            (later, first)
            for numbers in by_image.values()
            for place, later in enumerate(numbers)
            for first in numbers[:place]
        ],
        int,
    ).reshape(-1, 2)
    first_of: dict[int, int] = {}
    for start in range(0, len(pairs), _CHUNK):
        later, first = pairs[start : start + _CHUNK].T
        both = (None, None) if boxes is None else (boxes[later], boxes[first])
        same = same_person(people[later], people[first], names, *both)
        for one, other in zip(later[same].tolist(), first[same].tolist(), strict=True):
            first_of.setdefault(one, first_of.get(other, other))
    return sorted(first_of.items())


def annotations_twice(
    annotations: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> list[tuple[int, int]]:
    """Which annotations of a COCO keypoint file are of a person who is annotated before them.

    Crowds, things of another number of joints and what is broken are nobody.

    Args:
        annotations: With ``image_id``.
        names: Of the K joints.

    Returns:
        Pairs of numbers of annotations, as :func:`annotated_twice` returns them.
    """
    posed = [k for k, a in enumerate(annotations) if _is_posed(a, len(names))]
    chosen = [annotations[k] for k in posed]
    people = np.array([a['keypoints'] for a in chosen], float).reshape(len(chosen), len(names), 3)
    images = [a.get('image_id') for a in chosen]
    pairs = annotated_twice(people, images, names, annotated_boxes(chosen))
    return [(posed[later], posed[first]) for later, first in pairs]


def annotated_boxes(annotations: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float32]:
    """The boxes (N, 4) of COCO annotations: x, y, width, height; NaN where there is none."""
    boxes = (a.get('bbox') for a in annotations)
    known = [box if _are_numbers(box) and len(box) == 4 else [math.nan] * 4 for box in boxes]
    return np.array(known, np.float32).reshape(-1, 4)


def joint_sigmas(names: Sequence[str]) -> npt.NDArray[np.float64]:
    """COCO's spread of each joint, ``(K,)``; a middle one of joints that COCO does not have."""
    keys = [joint_key(name)[1] for name in names]
    return np.array(
        [_SIGMAS.get(words[0], _OTHER_SIGMA) if len(words) == 1 else _OTHER_SIGMA for words in keys]
    )


def _is_posed(annotation: Mapping[str, Any], num_keypoints: int) -> bool:
    values, image_id = annotation.get('keypoints'), annotation.get('image_id')
    return (
        isinstance(image_id, (int, str))
        and not annotation.get('iscrowd')
        and _are_numbers(values)
        and len(values) == 3 * num_keypoints
        and any(values[2::3])
    )


def _are_numbers(values: Any) -> TypeGuard[Sequence[float]]:
    """Whether a json value is a list of numbers that a float can hold; NaN is one."""
    return isinstance(values, list) and all(
        isinstance(value, (int, float)) and not abs(value) >= _LARGEST for value in values
    )


def _labelled(people: Values) -> npt.NDArray[np.bool_]:
    labelled: npt.NDArray[np.bool_] = (people[..., 2] > 0) & np.isfinite(people).all(axis=-1)
    return labelled


def _area(people: Values, labelled: npt.NDArray[np.bool_]) -> Values:
    """Area of people (..., K, 3) by their labelled joints: (...,), 0 without any."""
    shown, known = labelled[..., None], labelled.any(axis=-1)[..., None]
    low = np.where(shown, people[..., :2], np.inf).min(axis=-2)
    high = np.where(shown, people[..., :2], -np.inf).max(axis=-2)
    sides = np.where(known, high, 0) - np.where(known, low, 0)
    area: Values = BODY_AREA * np.square(sides).sum(axis=-1)
    return area


def _overlap(boxes: Values, others: Values) -> Values:
    """Intersection over union of boxes (..., 4) x, y, width, height: (...,)."""
    ends = np.minimum(boxes[..., :2] + boxes[..., 2:], others[..., :2] + others[..., 2:])
    sides = np.maximum(ends - np.maximum(boxes[..., :2], others[..., :2]), 0)
    shared = sides.prod(axis=-1)
    union = boxes[..., 2:].prod(axis=-1) + others[..., 2:].prod(axis=-1) - shared
    iou: Values = shared / np.maximum(union, 1e-6)
    return iou
