"""Pictures of what an expansion made: strips for the report, and the first ones on a sheet."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pg2aug.expansion.sources.images import ImageFolder
from pg2aug.expansion.sources.sources import Annotation, Sources, annotation_keypoints
from pg2aug.expansion.write.output_folder import OutputFolder
from pg2aug.poses import PoseBank, Skeleton
from pg2aug.visualization.skeletons import (
    CANVAS_COLOR,
    Image,
    contact_sheet,
    draw_skeleton,
    skeleton_image,
)

CELL_PX = 240
TITLES = ('source', 'target pose', 'result', 'result with label')
SHEET_ROWS = 20
_LIMB_PX = 3
_FAILED_COLOR = (60, 60, 255)
_PADDING = 0.15


class _Window(NamedTuple):
    """A square of an image, in whole pixels; it may reach beyond the image."""

    left: int
    top: int
    size: int

    @classmethod
    def around(cls, boxes: Sequence[Sequence[float]]) -> '_Window':
        """The square around boxes (x, y, width, height), and a little more."""
        sides = np.array(boxes, float)
        low, high = sides[:, :2].min(axis=0), (sides[:, :2] + sides[:, 2:]).max(axis=0)
        size = max(int((high - low).max() * (1 + 2 * _PADDING)), 8)
        left, top = np.round((low + high - size) / 2).astype(int).tolist()
        return cls(left, top, size)

    def cut(self, image: Image) -> Image:
        """What an image shows in the window, as a cell."""
        canvas = np.full((self.size, self.size, 3), CANVAS_COLOR, np.uint8)
        height, width = image.shape[:2]
        top, bottom = max(self.top, 0), min(self.top + self.size, height)
        left, right = max(self.left, 0), min(self.left + self.size, width)
        rows, columns = slice(top - self.top, bottom - self.top), slice(left - self.left, None)
        if bottom > top and right > left:
            canvas[rows, columns][:, : right - left] = image[top:bottom, left:right]
        method = cv2.INTER_AREA if self.size > CELL_PX else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(canvas, (CELL_PX, CELL_PX), interpolation=method), np.uint8)

    def place(self, keypoints: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Where keypoints of the image are in the cell."""
        placed = (keypoints - [self.left, self.top]) * (CELL_PX / self.size)
        return np.asarray(placed, np.float64)


def made_squares(
    source: Image, result: Image, person: Annotation, made: Annotation, skeleton: Skeleton
) -> list[Image]:
    """Four squares, as ``TITLES`` names them; the pose has a ring around joints that failed.

    Both images are shown around the old and the new person where they have the same size, and each
    around its own person otherwise.

    Args:
        source: (H, W, 3) uint8 BGR.
        result: (H', W', 3) uint8 BGR.
        person: Annotation of the person in the source.
        made: That of the new person.
        skeleton: K joints.

    Returns:
        (240, 240, 3) uint8 BGR each.
    """
    old, new = _Window.around([person['bbox']]), _Window.around([made['bbox']])
    if source.shape == result.shape:
        old = new = _Window.around([person['bbox'], made['bbox']])
    label, (target, visible) = annotation_keypoints(made), target_pose(made, skeleton)
    shown = new.cut(result)
    flags = label[:, 2].astype(float)
    labelled = draw_skeleton(shown, new.place(label[:, :2]), flags, skeleton, _LIMB_PX)
    pose = _pose_cell(new.place(target), visible, visible & (flags == 0), skeleton)
    return [old.cut(source), pose, shown, labelled]


def refused_strip(
    source: Image | None, person: Annotation, pose: int, bank: PoseBank, failed: Collection[str]
) -> Image:
    """Two squares: source, empty where it could not be read, and the pose as the bank has it.

    Args:
        source: (H, W, 3) uint8 BGR.
        person: Annotation of the person in the source.
        pose: Index into the bank.
        bank: Poses.
        failed: Names of joints to put a ring around.

    Returns:
        (240, 480, 3) uint8 BGR.
    """
    empty = np.full((CELL_PX, CELL_PX, 3), CANVAS_COLOR, np.uint8)
    shown = empty if source is None else _Window.around([person['bbox']]).cut(source)
    return np.hstack([shown, pose_picture(pose, bank, failed)])


def pose_picture(pose: int, bank: PoseBank, failed: Collection[str] = ()) -> Image:
    """A pose of a bank, by its index: (240, 240, 3) uint8 BGR; with a ring around failed joints."""
    keypoints, visible = bank.keypoints[pose].astype(float), bank.visible[pose]
    low, high = keypoints[visible].min(axis=0), keypoints[visible].max(axis=0)
    # The bank's poses have scales of their own: one at which whole pixels do not matter.
    keypoints = (keypoints - low) * (1000 / max(float((high - low).max()), 1e-6))
    size = keypoints[visible].max(axis=0).tolist()
    wrong = np.isin(bank.skeleton.keypoint_names, list(failed)) & visible
    placed = _Window.around([[0, 0, *size]]).place(keypoints)
    return _pose_cell(placed, visible, wrong, bank.skeleton)


def target_pose(
    made: Annotation, skeleton: Skeleton
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Keypoints (K, 2) and visibility (K,) of the whole new pose: labelled joints and failed."""
    label = annotation_keypoints(made)
    keypoints, visible = label[:, :2].copy(), label[:, 2] > 0
    for name, place in made['pg2aug'].get('failed_joints', {}).items():
        joint = skeleton.keypoint_names.index(name)
        keypoints[joint], visible[joint] = place, True
    return keypoints, visible


def _pose_cell(
    keypoints: NDArray[np.floating[Any]],
    visible: NDArray[np.bool_],
    failed: NDArray[np.bool_],
    skeleton: Skeleton,
) -> Image:
    cell = skeleton_image((CELL_PX, CELL_PX), keypoints, visible.astype(float), skeleton)
    for x, y in np.clip(keypoints[failed], -CELL_PX, 2 * CELL_PX).round().astype(int).tolist():
        cv2.circle(cell, (x, y), 7, _FAILED_COLOR, 2, cv2.LINE_AA)
    return cell


class FirstMade:
    """A sheet of the first new images.

    All is read from files: so the sheet of an expansion that was interrupted is that of one that
    was not.

    Args:
        sources: What is expanded.
        skeleton: Of its joints.
        images: Folder of the new images.
    """

    def __init__(self, sources: Sources, skeleton: Skeleton, images: Path) -> None:
        self._sources = sources
        self._skeleton = skeleton
        self._images = ImageFolder(str(images))
        self._rows: list[list[Image]] = []
        self._captions: list[str] = []
        self._is_whole = True

    def add(self, made: Mapping[str, Any], file_name: str, decile: int) -> None:
        """Add an image, if it is among the first.

        Args:
            made: What its part says of it.
            file_name: Of its image.
            decile: Of its pose's rarity.
        """
        if len(self._rows) >= SHEET_ROWS:
            return
        person = self._sources.persons[made['person']]
        try:
            source = self._sources.read_image(person)
            result = self._images.read(file_name)
        except (OSError, ValueError):
            # A source that is gone since then leaves no row; validation speaks of new images.
            self._is_whole = False
            return
        new = next(a for a in made['annotations'] if 'pg2aug' in a)
        self._rows.append(made_squares(source, result, person, new, self._skeleton))
        marks = made['joints']
        counts = f'{marks.count("2")} of {len(marks) - marks.count("0")} joints passed'
        pose = f'pose {made["pose"]} (rarity decile {decile})'
        self._captions.append(f'{file_name}: {pose}, {counts}')

    def write(self, folder: OutputFolder, path: Path) -> None:
        """Write the sheet as PNG; one that is there stays if sources have gone since then."""
        if not self._rows or (path.exists() and not self._is_whole):
            return
        sheet = contact_sheet(self._rows, TITLES, (CELL_PX, CELL_PX), self._captions)
        done, encoded = cv2.imencode('.png', sheet)
        if not done:
            raise ValueError(f'OpenCV could not encode {path}')
        folder.write(path, encoded.tobytes())
