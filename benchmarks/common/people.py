"""Procedural people, made where they are not there yet, and the poses of annotations."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pg2aug.figures import make_figures


def make_people(
    folder: Path,
    name: str,
    people: int,
    images: int,
    size: tuple[int, int] = (96, 128),
    rare_share: float = 0.0,
    first: int = 0,
) -> Path:
    """A split of procedural people; nothing is done where it is there.

    Args:
        folder: To write into.
        name: Of the split; the images are in ``images/NAME/``.
        people: How many.
        images: Of each.
        size: (width, height) of the images.
        rare_share: Share of images in rare poses.
        first: Number of the first person: splits whose ranges are apart share nobody.

    Returns:
        The annotation file.
    """
    path = folder / f'person_keypoints_{name}.json'
    if not path.exists():
        # Images of a run that was interrupted: the annotation file is written last.
        shutil.rmtree(folder / 'images' / name, ignore_errors=True)
        make_figures(
            folder, people, images, size, rare_share, split_name=name, first_person_id=first
        )
    return path


def read_poses(annotations: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, K, 2) and visibility (N, K) of COCO annotations."""
    triples = np.array([a['keypoints'] for a in annotations], float)
    triples = triples.reshape(len(triples), -1, 3)
    return triples[..., :2], triples[..., 2]
