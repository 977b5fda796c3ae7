"""Where the person of each image is, as a detector or a labeller wrote it in COCO's format."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.datasets.conversion_report import ConversionReport
from pg2aug.datasets.pairs_file import number_names
from pg2aug.datasets.reid.pose_csv import Finding
from pg2aug.utils.files import load_json

_KEYS = {'images': ('id', 'file_name'), 'annotations': ('image_id',)}


def read_boxes(
    path: str | Path, names: Sequence[str], report: ConversionReport
) -> dict[str, NDArray[np.float32]]:
    """Read one box for each image from a COCO json.

    Of several boxes of an image, that of the highest ``score`` counts, or without scores the
    largest: the person whom the image is of.

    Args:
        path: Json with ``images`` (``id``, ``file_name``) and ``annotations`` (``image_id``,
            ``bbox`` as x, y, width, height, perhaps ``score``). Names are relative to the images'
            folder, or their last component where no other image has the same.
        names: Images, relative to their folder.
        report: Where boxes are entered that are no boxes.

    Returns:
        ``(4,)`` float32 left, top, right, bottom of each image that has a box.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO json, or has no box of any of the images.
    """
    path = Path(path)
    content = _load(path)
    numbers = number_names(names)
    files = {image['id']: numbers.get(str(image['file_name'])) for image in content['images']}
    best: dict[str, tuple[float, float]] = {}
    boxes: dict[str, NDArray[np.float32]] = {}
    for index, annotation in enumerate(content['annotations']):
        number = files.get(annotation.get('image_id'))
        if not isinstance(number, int):
            continue
        name = names[number]
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
    return dict(zip(_KEYS, parts, strict=True))


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
