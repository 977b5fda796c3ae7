"""Where the person of each image is, as a detector or a labeller wrote it in COCO's format."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.datasets.conversion_report import ConversionReport
from pg2aug.datasets.pairs_file import number_names
from pg2aug.datasets.reid.pose_csv import Finding
from pg2aug.poses.read.categories import chosen_categories, describe_categories
from pg2aug.utils.files import load_json

_PERSON = 'person'
_KEYS = {'images': ('id', 'file_name'), 'annotations': ('image_id',)}


def read_boxes(
    path: str | Path, names: Sequence[str], report: ConversionReport, category: str | None = None
) -> dict[str, NDArray[np.float32]]:
    """Read one box for each image from a COCO json.

    Of several boxes of an image, that of the highest ``score`` counts, or without scores the
    largest: the person whom the image is of. Where there are boxes of several categories, those of
    the one named ``person`` count; where the file names none, those of 1, which is COCO's person
    and the one that MMPose takes.

    Args:
        path: Json with ``images`` (``id``, ``file_name``) and ``annotations`` (``image_id``,
            ``bbox`` as x, y, width, height, perhaps ``score``). Names are relative to the images'
            folder, or their last component where no other image has the same.
        names: Images, relative to their folder.
        report: Where boxes are entered that are no boxes, or are of other categories.
        category: Name or id of the category to take instead.

    Returns:
        ``(4,)`` float32 left, top, right, bottom of each image that has a box.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO json, has no box of any of the images, or does not tell which
            boxes are of persons.
    """
    path = Path(path)
    content = _load(path)
    numbers = number_names(names)
    files = {image['id']: numbers.get(str(image['file_name'])) for image in content['images']}
    persons = _persons(content, category, str(path))
    best: dict[str, tuple[float, float]] = {}
    boxes: dict[str, NDArray[np.float32]] = {}
    for index, annotation in enumerate(content['annotations']):
        number = files.get(annotation.get('image_id'))
        if not isinstance(number, int):
            continue
        name = names[number]
        if persons is not None and str(annotation.get('category_id')) not in persons:
            other = annotation.get('category_id')
            reason = f'annotation {index} is of category {other!r}, not a person'
            report.add('boxes of other categories', Finding(path.name, reason, name=name))
            continue
        box = _corners(annotation)
        if box is None:
            reason = f'annotation {index} has no bbox of four numbers with a positive size'
            report.add('boxes', Finding(path.name, reason, name=name))
            continue
        rank = float(annotation.get('score') or 0), float(np.prod(box[2:] - box[:2]))
        if rank > best.get(name, (-np.inf, 0.0)):
            best[name], boxes[name] = rank, box
    if not boxes:
        raise ValueError(f'{path} has no box for any of the {len(names)} images')
    return boxes


def _persons(content: Mapping[str, Any], category: str | None, path: str) -> set[str] | None:
    """The ids, as text, of the categories whose boxes count; None where all do."""
    categories = content['categories']
    if category is not None:
        return {str(c.get('id')) for c in chosen_categories(categories, category, path)}
    used = {str(annotation.get('category_id')) for annotation in content['annotations']}
    if len(used) < 2:
        named = {str(c.get('id')): str(c.get('name')).lower() for c in categories}
        if len(categories) < 2 or all(named.get(one, _PERSON) == _PERSON for one in used):
            return None
    persons = {str(c.get('id')) for c in categories if str(c.get('name')).lower() == _PERSON}
    if not categories and '1' in used:
        persons = {'1'}
    if not persons:
        raise ValueError(
            f'{path} has boxes of the categories {", ".join(sorted(used))}, and none is named '
            f'{_PERSON!r} (it has {describe_categories(categories)}): pass --category with a name '
            'or an id'
        )
    return persons


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f'there is no box file {str(path)!r}')
    content = load_json(path)
    parts = [content.get(key) if isinstance(content, dict) else None for key in _KEYS]
    if not all(_are_entries(part, keys) for part, keys in zip(parts, _KEYS.values(), strict=True)):
        raise ValueError(
            f"{path} is no COCO json: it must have 'images' with 'id' and 'file_name' and "
            "'annotations' with 'image_id' (a bare list of detections does not name its files)"
        )
    categories = content.get('categories') or []
    if not _are_entries(categories, ()):
        raise ValueError(f"{path} is no COCO json: its 'categories' are no list of objects")
    return dict(zip(_KEYS, parts, strict=True)) | {'categories': categories}


def _are_entries(part: Any, keys: tuple[str, ...]) -> bool:
    return isinstance(part, list) and all(
        isinstance(entry, dict) and all(key in entry for key in keys) for entry in part
    )


def _corners(annotation: Mapping[str, Any]) -> NDArray[np.float32] | None:
    try:
        left, top, width, height = (float(value) for value in annotation['bbox'])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    box = np.array([left, top, left + width, top + height], dtype=np.float32)
    return box if np.isfinite(box).all() and width > 0 and height > 0 else None
