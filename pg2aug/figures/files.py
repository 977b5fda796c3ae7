"""Procedural people as files: images and a COCO keypoint annotation with identities."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pg2aug.figures.body import JOINT_NAMES
from pg2aug.figures.poses import COMMON_FAMILIES, RARE_FAMILIES
from pg2aug.figures.render import Figure, render_figure
from pg2aug.utils.files import replacing

DESCRIPTION = 'pg2aug procedural people'
_QUALITY = 95
_LIMBS = (
    ('left_ankle', 'left_knee'),
    ('left_knee', 'left_hip'),
    ('right_ankle', 'right_knee'),
    ('right_knee', 'right_hip'),
    ('left_hip', 'right_hip'),
    ('left_shoulder', 'left_hip'),
    ('right_shoulder', 'right_hip'),
    ('left_shoulder', 'right_shoulder'),
    ('left_shoulder', 'left_elbow'),
    ('right_shoulder', 'right_elbow'),
    ('left_elbow', 'left_wrist'),
    ('right_elbow', 'right_wrist'),
    ('left_eye', 'right_eye'),
    ('nose', 'left_eye'),
    ('nose', 'right_eye'),
    ('left_eye', 'left_ear'),
    ('right_eye', 'right_ear'),
    ('left_ear', 'left_shoulder'),
    ('right_ear', 'right_shoulder'),
)


def figure_rng(seed: int, person_id: int, index: int) -> np.random.Generator:
    """What image ``index`` of a person is drawn from: first its pose family, then the render."""
    return np.random.default_rng((seed, person_id, 1, index))


def make_figures(
    out_dir: str | Path,
    num_people: int,
    images_per_person: int,
    size: tuple[int, int] = (96, 128),
    rare_fraction: float = 0.3,
    seed: int = 0,
    split_name: str = 'train',
    first_person_id: int = 0,
) -> Path:
    """Write a split of procedural people; the same arguments write the same bytes.

    Images go to ``images/<split_name>/`` as JPEG of quality 95, the COCO keypoint annotation to
    ``person_keypoints_<split_name>.json``; its annotations carry ``person_id`` and ``pose_family``.

    Args:
        out_dir: folder to write into, created where missing.
        num_people: identities, numbered from ``first_person_id``; at least 1.
        images_per_person: at least 1.
        size: (width, height) of the images in pixels.
        rare_fraction: share in [0, 1] of images whose pose is of one of ``RARE_FAMILIES``.
        seed: of identities, poses and backgrounds; 0 or more.
        split_name: name of the split.
        first_person_id: splits with the same seed share no identity if their ranges are apart.

    Returns:
        The path of the annotation file.

    Raises:
        FileExistsError: if the split's images or annotation are there already.
        ValueError: for a number out of its range.
    """
    _check_numbers(num_people, images_per_person, rare_fraction, seed, first_person_id)
    image_dir = Path(out_dir) / 'images' / split_name
    annotation_file = Path(out_dir) / f'person_keypoints_{split_name}.json'
    if annotation_file.exists() or (image_dir.is_dir() and any(image_dir.iterdir())):
        raise FileExistsError(
            f'{out_dir} already holds the split {split_name!r}; remove {annotation_file} and '
            f'{image_dir}, or choose another folder'
        )
    image_dir.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for person_id in range(first_person_id, first_person_id + num_people):
        for index in range(images_per_person):
            rng = figure_rng(seed, person_id, index)
            family = draw_family(rare_fraction, rng)
            figure = render_figure(person_id, family, size, rng, identity_seed=seed)
            file_name = f'{person_id:06d}_{index:03d}.jpg'
            _write_image(image_dir / file_name, figure)
            identifier = len(images) + 1
            images.append(
                {'id': identifier, 'file_name': file_name, 'width': size[0], 'height': size[1]}
                | {'license': 1}
            )
            annotations.append(figure_annotation(identifier, figure))
    content = _header(seed) | {'images': images, 'annotations': annotations}
    with replacing(annotation_file) as file:
        file.write(json.dumps(content).encode())
    return annotation_file


def _check_numbers(
    num_people: int, images_per_person: int, rare_fraction: float, seed: int, first_person_id: int
) -> None:
    for name, value, least in (
        ('num_people', num_people, 1),
        ('images_per_person', images_per_person, 1),
        ('seed', seed, 0),
        ('first_person_id', first_person_id, 0),
    ):
        if value < least:
            raise ValueError(f'{name} must be {least} or more, got {value}')
    if not 0 <= rare_fraction <= 1:
        raise ValueError(f'rare_fraction must be in [0, 1], got {rare_fraction}')


def draw_family(rare_fraction: float, rng: np.random.Generator) -> str:
    """The first thing that :func:`make_figures` draws for an image: a pose family."""
    families = RARE_FAMILIES if rng.random() < rare_fraction else COMMON_FAMILIES
    return families[rng.integers(len(families))]


def _write_image(path: Path, figure: Figure) -> None:
    done, data = cv2.imencode('.jpg', figure.image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    if not done:
        raise OSError(f'OpenCV could not encode the image for {path}')
    path.write_bytes(data.tobytes())


def figure_annotation(identifier: int, figure: Figure) -> dict[str, Any]:
    """A figure as the COCO annotation ``identifier`` of the image ``identifier``."""
    visible = figure.visible
    triples = np.concatenate((figure.keypoints, visible[:, None]), axis=1, dtype=np.float64)
    triples[visible == 0] = 0  # COCO's way to write an unlabelled joint
    keypoints: list[float | int] = []
    for x, y, flag in np.round(triples, 2).tolist():
        keypoints += [x, y, int(flag)]
    return {
        'id': identifier,
        'image_id': identifier,
        'category_id': 1,
        'keypoints': keypoints,
        'num_keypoints': int((visible > 0).sum()),
        'bbox': figure.bbox.tolist(),
        'area': round(float(figure.mask.sum(dtype=np.int64)) / 255, 2),
        'iscrowd': 0,
        'person_id': figure.person_id,
        'pose_family': figure.pose_family,
    }


def _header(seed: int) -> dict[str, Any]:
    skeleton = [
        [JOINT_NAMES.index(first) + 1, JOINT_NAMES.index(last) + 1] for first, last in _LIMBS
    ]
    category = {'id': 1, 'name': 'person', 'supercategory': 'person'}
    return {
        'info': {'description': DESCRIPTION, 'version': '1.0', 'seed': seed},
        'licenses': [{'id': 1, 'name': 'Apache License 2.0', 'url': ''}],
        'categories': [category | {'keypoints': list(JOINT_NAMES), 'skeleton': skeleton}],
    }
