"""True backgrounds and the silhouettes of people over them, for benchmarks/hole_filling.py."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pg2aug.augment.person_plan import UnsuitableError, check_source
from pg2aug.datasets.crop import crop_matrix
from pg2aug.figures.background import paint_background
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses import Skeleton, person_limb_radius

SIZE = 192, 256
RADIUS = 2.0
"""Of the holes, over that of a person's limbs."""

RADII = 1.6, 2.0, 2.4, 2.8
COCO = 'person_keypoints_train2017.json', 'person_keypoints_val2017.json'
FRAMES = 10
PER_IMAGE = 2


@dataclass(frozen=True)
class Person:
    """An annotated person: (K, 2) keypoints, (K,) visible, COCO polygons, (4,) x, y, w, h."""

    keypoints: NDArray[np.float64]
    visible: NDArray[np.bool_]
    segments: list[NDArray[np.int32]]
    bbox: NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A frame of (H, W, 3) uint8 whose truth is known, and (H, W) bool, what is not to be seen."""

    group: str
    frame: NDArray[np.uint8]
    hole: NDArray[np.bool_]
    outside: NDArray[np.bool_]


def load(path: Path) -> tuple[Skeleton, list[tuple[str, list[Person]]]]:
    """A COCO file: its skeleton, and the persons of every image."""
    content = json.loads(path.read_text())
    skeleton = Skeleton.from_coco_category(content['categories'][0])
    persons: dict[int, list[Person]] = {image['id']: [] for image in content['images']}
    for entry in content['annotations']:
        joints = np.array(entry.get('keypoints') or [0] * 51, float).reshape(-1, 3)
        outlines = entry.get('segmentation', [])
        segments = [
            np.round(outline).astype(np.int32).reshape(-1, 2)
            for outline in (outlines if isinstance(outlines, list) else [])
        ]
        bbox = np.array(entry['bbox'], float)
        persons[entry['image_id']].append(Person(joints[:, :2], joints[:, 2] > 0, segments, bbox))
    return skeleton, [(image['file_name'], persons[image['id']]) for image in content['images']]


def photographs(data: Path) -> Iterator[tuple[str, NDArray[np.uint8], list[Person], Skeleton]]:
    """Group, image, its persons and their skeleton: all COCO images, some of balance4view."""
    for name in COCO:
        skeleton, images = load(data / 'coco_ccby' / 'annotations' / name)
        folder = data / 'coco_ccby' / name.removeprefix('person_keypoints_').removesuffix('.json')
        for file_name, persons in images:
            yield 'coco', cv2.imread(str(folder / file_name)), persons, skeleton
    skeleton, images = load(data / 'balance4view' / 'person_keypoints_train.json')
    for index in np.linspace(0, len(images) - 1, FRAMES).astype(int):
        file_name, persons = images[index]
        frame = cv2.imread(str(data / 'balance4view' / 'images' / Path(file_name).name))
        yield 'balance4view', frame, persons, skeleton


def frame_of(image: NDArray[np.uint8], matrix: NDArray[Any]) -> NDArray[np.uint8]:
    """The image in a frame of SIZE, smoothed before it is made smaller."""
    shrink = 1 / float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrink > 1:
        image = cv2.GaussianBlur(image, (0, 0), 0.35 * shrink)
    return np.asarray(cv2.warpAffine(image, matrix, SIZE, flags=cv2.INTER_LINEAR), np.uint8)


def covered(mask: NDArray[np.uint8], matrix: NDArray[Any]) -> NDArray[np.bool_]:
    """A mask of an image in the frame."""
    return np.asarray(cv2.warpAffine(mask, matrix, SIZE, flags=cv2.INTER_NEAREST)) > 0


def silhouette(
    keypoints: NDArray[Any], visible: NDArray[Any], radius: float, skeleton: Skeleton
) -> NDArray[np.float32]:
    """(H, W) in [0, 1], what is removed of a person in the frame."""
    return body_alpha(
        torch.from_numpy(keypoints[None]).float(),
        torch.from_numpy(visible[None]).float(),
        SIZE[::-1],
        skeleton,
        torch.tensor([radius], dtype=torch.float32),
    )[0, 0].numpy()


def place(
    person: Person, image: NDArray[np.uint8], skeleton: Skeleton, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """Put a pose anywhere in an image: its frame's matrix and its hole; None beyond the border."""
    size = np.array(image.shape[1::-1])
    joints = person.keypoints[person.visible]
    low, high = joints.min(axis=0), joints.max(axis=0)
    scale = rng.uniform(0.3, 0.7) * size.min() / (high - low).max()
    mirror = np.array([rng.choice([-1, 1]), 1])
    keypoints = (person.keypoints - (low + high) / 2) * scale * mirror + rng.uniform(0, 1, 2) * size
    radius = RADIUS * person_limb_radius(keypoints, person.visible, skeleton.limbs)
    joints = keypoints[person.visible]
    box = np.concatenate([joints.min(axis=0) - radius, joints.max(axis=0) + radius])
    if (box[:2] < 0).any() or (box[2:] > size).any():
        return None
    matrix = crop_matrix(box.astype(np.float32), SIZE, 1.25)
    moved = keypoints @ matrix[:, :2].T + matrix[:, 2]
    wide = radius * float(np.hypot(matrix[0, 0], matrix[1, 0]))
    return matrix, silhouette(moved, person.visible, wide, skeleton) > 0


def photo_cases(data: Path, rng: np.random.Generator) -> list[Case]:
    """Holes in photographs, where none of the annotated persons is."""
    images = list(photographs(data))
    poses = [p for _, _, persons, _ in images for p in persons if p.visible.sum() >= 14]
    cases = []
    for group, image, persons, skeleton in images:
        occupied = np.zeros(image.shape[:2], np.uint8)
        for person in persons:
            x0, y0, w, h = np.maximum(person.bbox, 0).astype(int)
            occupied[y0 : y0 + h + 1, x0 : x0 + w + 1] = 1
        found = 0
        for _ in range(300):
            placed = place(poses[rng.integers(len(poses))], image, skeleton, rng)
            if placed is None or (covered(occupied, placed[0]) & placed[1]).any():
                continue
            outside = ~covered(np.ones_like(occupied), placed[0])
            cases.append(Case(group, frame_of(image, placed[0]), placed[1], outside))
            found += 1
            if found == PER_IMAGE:
                break
    return cases


def figure_cases(holes: list[Case], count: int, rng: np.random.Generator) -> list[Case]:
    """The same holes in backgrounds of the procedural people."""
    none = np.zeros(SIZE[::-1], bool)
    return [
        Case(
            'procedural',
            paint_background(SIZE, rng.uniform(0, 255, (4, 3)), rng),
            holes[index % len(holes)].hole,
            none,
        )
        for index in range(count)
    ]


def left_over(data: Path) -> dict[str, Any]:
    """Share of annotated people that holes of several radii leave, and the size of the holes."""
    left: dict[float, list[float]] = {radius: [] for radius in RADII}
    area: dict[float, list[float]] = {radius: [] for radius in RADII}
    for group, image, persons, skeleton in photographs(data):
        for person in persons if group == 'coco' else []:
            try:
                check_source(person.visible, skeleton, 8)
            except UnsuitableError:
                continue
            box = person.bbox.copy()
            box[2:] += box[:2]
            matrix = crop_matrix(box.astype(np.float32), SIZE, 1.25)
            mask = np.zeros(image.shape[:2], np.uint8)
            cv2.fillPoly(mask, person.segments, 1)
            body = covered(mask, matrix)
            keypoints = person.keypoints @ matrix[:, :2].T + matrix[:, 2]
            limb = person_limb_radius(keypoints, person.visible, skeleton.limbs)
            for radius in RADII:
                hole = silhouette(keypoints, person.visible, limb * radius, skeleton) > 0.5
                left[radius].append(float((body & ~hole).sum() / body.sum()))
                area[radius].append(float(hole.sum() / body.sum()))
    return {
        'persons': len(left[RADIUS]),
        'radius': {
            str(radius): {
                'left_mean': float(np.mean(left[radius])),
                'left_worst': float(np.max(left[radius])),
                'hole_over_person': float(np.mean(area[radius])),
            }
            for radius in RADII
        },
    }
