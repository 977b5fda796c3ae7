"""The demo's own contact sheets: the people, the pose bank, and what the estimator predicts."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pg2aug.figures import RARE_FAMILIES
from pg2aug.poses import PoseBank, Skeleton
from pg2aug.visualization.skeletons import contact_sheet, draw_skeleton, skeleton_image, write_png

COLUMNS = 8
CANVAS = (128, 128)
"""Size of a pose's drawing."""
ZOOM = 2
"""The photos are small: their labels would hide them."""

Image = NDArray[np.uint8]


class Person(NamedTuple):
    """An annotation: pixels of its image, the box as (x, y, width, height)."""

    file: Path
    keypoints: NDArray[np.float32]
    visible: NDArray[np.float32]
    bbox: NDArray[np.float32]
    family: str

    def load(self) -> Image:
        """The image, BGR."""
        image = cv2.imread(str(self.file))
        if image is None:
            raise ValueError(f'{self.file} is no image that OpenCV can read')
        return np.asarray(image, np.uint8)


def draw_people(annotations: Path, images: Path, out: Path, num: int = 24) -> None:
    """Random images of a data set of ours with their labels."""
    data = json.loads(annotations.read_text())
    skeleton = Skeleton.from_coco_category(data['categories'][0])
    people = read_people(data, images)
    order = np.random.default_rng(0).permutation(len(people))[:num]
    chosen = [people[index] for index in sorted(order)]
    cells = [draw_labels(p.load(), p.keypoints, p.visible, skeleton) for p in chosen]
    write_png(out, grid(cells, [person.family for person in chosen]))


def draw_poses(bank_file: Path, out: Path, num: int = 12) -> None:
    """The poses that are drawn most often, being rare, and those drawn least often."""
    bank = PoseBank.load(bank_file)
    usable = np.flatnonzero(bank.weights > 0)
    order = usable[np.argsort(-bank.weights[usable], kind='stable')]
    num = max(1, min(num, len(order) // 2))
    chosen = [('rare', index) for index in order[:num]]
    chosen += [('common', index) for index in order[-num:]]
    cells = [draw_pose(bank.keypoints[i], bank.visible[i], bank.skeleton) for _, i in chosen]
    write_png(out, grid(cells, [f'{kind}: {bank.rarity[i]:.2f}' for kind, i in chosen]))


def draw_predictions(
    config: Path, checkpoint: Path, annotations: Path, images: Path, out: Path, num: int = 12
) -> None:
    """Labels of validation images, those in rare poses first, beside an estimator's predictions."""
    # Imported here: it takes seconds, and only this sheet needs it.
    from mmpose.apis import inference_topdown, init_model

    data = json.loads(annotations.read_text())
    skeleton = Skeleton.from_coco_category(data['categories'][0])
    model = init_model(str(config), str(checkpoint), device='cpu')
    people = sorted(read_people(data, images), key=lambda p: p.family not in RARE_FAMILIES)
    cells, captions = [], []
    for person in people[:num]:
        image = person.load()
        (sample,) = inference_topdown(model, image, person.bbox[None], bbox_format='xywh')
        predicted = sample.pred_instances.keypoints[0]
        cells += [
            draw_labels(image, keypoints, person.visible, skeleton)
            for keypoints in (person.keypoints, predicted)
        ]
        captions += [person.family, 'predicted']
    write_png(out, grid(cells, captions))


def read_people(data: dict[str, Any], images: Path) -> list[Person]:
    """The annotated people of a COCO file of ours."""
    files = {image['id']: images / image['file_name'] for image in data['images']}
    people = []
    for annotation in data['annotations']:
        labels = np.array(annotation['keypoints'], np.float32).reshape(-1, 3)
        bbox = np.array(annotation['bbox'], np.float32)
        file, family = files[annotation['image_id']], annotation['pose_family']
        people.append(Person(file, labels[:, :2], labels[:, 2], bbox, family))
    return people


def draw_labels(
    image: Image, keypoints: NDArray[Any], visible: NDArray[Any], skeleton: Skeleton
) -> Image:
    """Enlarge an image, and draw keypoints given in its pixels."""
    resized = cv2.resize(image, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
    large = np.asarray(resized, np.uint8)
    # Pixels count from the centre of the first one.
    return draw_skeleton(large, (keypoints + 0.5) * ZOOM - 0.5, visible, skeleton, thickness_px=1)


def draw_pose(keypoints: NDArray[Any], visible: NDArray[Any], skeleton: Skeleton) -> Image:
    """A pose alone, scaled to fill a canvas but for a margin."""
    shown = keypoints[visible > 0]
    low, high = shown.min(axis=0), shown.max(axis=0)
    scale = 0.85 * min(CANVAS) / max((high - low).max(), 1e-6)
    centred = (keypoints - (low + high) / 2) * scale + (np.array(CANVAS) - 1) / 2
    return skeleton_image(CANVAS, centred, visible, skeleton)


def grid(cells: list[Image], captions: list[str]) -> Image:
    """Lay images out in rows, a caption above each."""
    missing = -len(cells) % COLUMNS
    cells = [*cells, *[np.full_like(cells[0], 255)] * missing]
    captions = [*captions, *[''] * missing]
    height, width = np.max([cell.shape[:2] for cell in cells], axis=0).tolist()
    starts = range(0, len(cells), COLUMNS)
    rows = [slice(start, start + COLUMNS) for start in starts]
    return np.vstack([contact_sheet([cells[r]], captions[r], (width, height)) for r in rows])
