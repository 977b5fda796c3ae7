"""A COCO keypoint file as MMPose understands it, however it is spelt."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.logging import print_log

MIN_SCORE = 0.3
"""Least score of a labelled joint, where a file has scores in the place of COCO's flags."""

_LISTS = 'keypoints', 'foot_kpts', 'face_kpts', 'lefthand_kpts', 'righthand_kpts'


def as_read(content: Any, context: str) -> Any:
    """A COCO keypoint file in COCO's own spelling, in which MMPose trains on others as well.

    Keypoints nested as ``[[x, y, flag], ...]`` become one list. Ids of categories that are strings
    become numbers. Scores in the place of flags become flags: 2 from :data:`MIN_SCORE` on, else 0,
    of which a warning tells. What is broken otherwise is left as it is, and so are lists that hold
    nothing of this: entries keep their places.

    Args:
        content: Of the json file; it is not changed.
        context: Names the file in the warning.
    """
    if not isinstance(content, Mapping) or not isinstance(content.get('annotations'), list):
        return content
    categories = content.get('categories')
    ids = _category_numbers(categories)
    annotations, scored = [], 0
    for annotation in content['annotations']:
        if isinstance(annotation, Mapping):
            annotation, has_scores = _annotation(annotation, ids)
            scored += has_scores
        annotations.append(annotation)
    if scored:
        print_log(
            f'{context}: {scored} annotations have scores in the place of flags; joints below '
            f'{MIN_SCORE} count as unlabelled',
            logger='current',
            level=logging.WARNING,
        )
    new = {**content, 'annotations': annotations}
    if any(isinstance(identifier, str) for identifier in ids):
        new['categories'] = [
            {**c, 'id': ids.get(c.get('id'), c.get('id'))} if _has_string_id(c) else c
            for c in categories or ()
        ]
    return new


def flat_values(values: Any) -> Any:
    """Keypoints in one list, if they are nested as ``[[x, y, flag], ...]``."""
    if not isinstance(values, list) or not values:
        return values
    if all(isinstance(triplet, list) and len(triplet) == 3 for triplet in values):
        return [value for triplet in values for value in triplet]
    return values


def has_scores(flags: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which people (...,) have scores, some of them between 0 and 1, as flags (..., K)."""
    found: npt.NDArray[np.bool_] = ((flags > 0) & (flags < 1)).any(axis=-1)
    return found


def without_scores(flags: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Flags (..., K): of people with scores 2 from :data:`MIN_SCORE` on, else 0."""
    return np.where(has_scores(flags)[..., None], np.where(flags >= MIN_SCORE, 2, 0), flags)


def _annotation(
    annotation: Mapping[str, Any], ids: Mapping[Any, Any]
) -> tuple[Mapping[str, Any], bool]:
    """An annotation in COCO's spelling, and whether it had scores."""
    changed: dict[str, Any] = {}
    for name in _LISTS:
        values = annotation.get(name)
        flat = flat_values(values)
        if flat is not values:
            changed[name] = flat
    values = changed.get('keypoints', annotation.get('keypoints'))
    scored = False
    if isinstance(values, list) and _are_scores(values[2::3]):
        scored = True
        flags = without_scores(np.array(values[2::3], float)).astype(int).tolist()
        changed['keypoints'] = list(values)
        changed['keypoints'][2::3] = flags
        if 'num_keypoints' in annotation:
            changed['num_keypoints'] = sum(flag > 0 for flag in flags)
    category = annotation.get('category_id')
    if isinstance(category, str) and category in ids:
        changed['category_id'] = ids[category]
    elif isinstance(category, int) and str(category) in ids:
        changed['category_id'] = ids[str(category)]
    return ({**annotation, **changed} if changed else annotation), scored


def _are_scores(flags: Sequence[Any]) -> bool:
    return any(isinstance(v, float) and 0 < v < 1 for v in flags) and all(
        isinstance(v, (int, float)) and abs(v) < np.inf for v in flags
    )


def _has_string_id(category: Any) -> bool:
    return isinstance(category, Mapping) and isinstance(category.get('id'), str)


def _category_numbers(categories: Any) -> dict[Any, int]:
    """For the ids of categories that are strings a number each: their own, or a free one.

    Numbers that are ids are found under their text as well, where no string is the same.
    """
    if not isinstance(categories, list):
        return {}
    ids = [c.get('id') for c in categories if isinstance(c, Mapping)]
    taken = {i for i in ids if isinstance(i, int) and not isinstance(i, bool)}
    numbers: dict[Any, int] = {}
    for identifier in ids:
        if isinstance(identifier, str) and identifier not in numbers:
            own = int(identifier) if identifier.isascii() and identifier.isdigit() else None
            number = own if own is not None and own not in taken else max(taken, default=0) + 1
            numbers[identifier] = number
            taken.add(number)
    return numbers
