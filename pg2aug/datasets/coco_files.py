"""COCO keypoint entries of images that show one person each, and files written together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.poses import Skeleton
from pg2aug.utils.files import were_interrupted, write_files

ANNOTATION_FILE = 'person_keypoints.json'
PAIRS_FILE = 'pairs.csv'
REPORT_FILE = 'report.json'


def person_category(skeleton: Skeleton) -> dict[str, Any]:
    """COCO's category ``person`` with the names and (1-based) limbs of a skeleton."""
    return {
        'id': 1,
        'name': 'person',
        'supercategory': 'person',
        'keypoints': list(skeleton.keypoint_names),
        'skeleton': [[first + 1, second + 1] for first, second in skeleton.limbs],
    }


def image_entry(identifier: int, file_name: str, size: tuple[int, int]) -> dict[str, Any]:
    """COCO's entry of an image of ``(width, height)`` pixels."""
    return {'id': identifier, 'file_name': file_name, 'width': size[0], 'height': size[1]}


def person_entry(
    identifier: int,
    person_id: int | str,
    keypoints: NDArray[np.floating[Any]],
    labelled: NDArray[np.bool_],
    size: tuple[int, int],
) -> dict[str, Any]:
    """COCO's entry of the person whose box is the whole image of the same ``identifier``.

    Args:
        identifier: Of the annotation and of its image.
        person_id: Who it is.
        keypoints: ``(K, 2)`` in pixels of the image.
        labelled: ``(K,)``; the other joints are written as 0, 0, 0.
        size: ``(width, height)`` of the image.
    """
    triples: list[float | int] = []
    for (x, y), flag in zip(keypoints.tolist(), labelled.tolist(), strict=True):
        triples += [_number(x), _number(y), 2] if flag else [0, 0, 0]
    return {
        'id': identifier,
        'image_id': identifier,
        'category_id': 1,
        'person_id': person_id,
        'bbox': [0, 0, *size],
        'area': size[0] * size[1],
        'iscrowd': 0,
        'keypoints': triples,
        'num_keypoints': int(np.count_nonzero(labelled)),
    }


def write_together(out: str | Path, texts: Mapping[str, str]) -> None:
    """Write text files into a folder: all of them, or none if one cannot be written.

    Args:
        out: The folder, made where it is missing.
        texts: For each file name the contents.

    Raises:
        FileExistsError: If one of the files is there already.
        OSError: If the folder cannot be made or written to.
    """
    out = Path(out)
    check_free(out, list(texts))
    out.mkdir(parents=True, exist_ok=True)
    write_files({out / name: text.encode() for name, text in texts.items()})


def check_free(out: str | Path, names: list[str]) -> None:
    """Raise FileExistsError if a folder is a file or holds one of the files to be written.

    What a process left that was killed while it put them there is no such file.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise FileExistsError(f'{out} is a file: name a folder')
    if were_interrupted([out / name for name in names]):
        return
    for name in names:
        if (out / name).exists():
            raise FileExistsError(
                f'{out / name} exists: name a folder of its own for each part of a data set, or '
                'remove the file'
            )


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else round(float(value), 2)
