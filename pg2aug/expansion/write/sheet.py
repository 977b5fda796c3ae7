"""What an expansion made, at a glance."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pg2aug.augment.synthesis.whole_image import affected_window
from pg2aug.expansion.work.attempts import Attempt, Job, Prepared, prepare
from pg2aug.expansion.write.coco import Window
from pg2aug.expansion.write.output_folder import OutputFolder
from pg2aug.poses import Skeleton
from pg2aug.visualization.skeletons import Image, contact_sheet, draw_skeleton, skeleton_image

TITLES = ('source', 'target pose', 'result', 'result with label')
CELL = (240, 240)
SHEET_ROWS = 20


class SheetRows:
    """The first new images, each beside what it was made from.

    All is read from files and planned again: so the sheet of an expansion that was interrupted is
    that of one that was not.

    Args:
        job: What the images were made with.
        images: Folder of the new images.
    """

    def __init__(self, job: Job, images: Path) -> None:
        self.job = job
        self.images = images
        self._rows: list[list[Image]] = []
        self._captions: list[str] = []
        self._is_whole = True

    def add(self, item: int, made: Mapping[str, Any], file_name: str, decile: int) -> None:
        """Add an image, if it is among the first.

        Args:
            item: Number of the item.
            made: What its part says of it.
            file_name: Of its image.
            decile: Of its pose's rarity.
        """
        if len(self._rows) >= SHEET_ROWS:
            return
        attempt = Attempt(item, made['attempt'], made['person'], made['pose'])
        prepared = prepare(self.job, attempt)
        result = cv2.imread(str(self.images / file_name))
        if not isinstance(prepared, Prepared) or result is None:
            # A source that is gone since then leaves no row; validation speaks of new images.
            self._is_whole = False
            return
        marks = made['joints']
        passed = np.array([mark == '2' for mark in marks])
        window = made['image']['pg2aug'].get('window')
        skeleton = self.job.synthesizer.skeleton
        pixels = np.asarray(result, np.uint8)
        self._rows.append(sheet_row(prepared, pixels, passed, skeleton, window))
        counts = f'{marks.count("2")} of {len(marks) - marks.count("0")} joints passed'
        pose = f'pose {attempt.pose} (rarity decile {decile})'
        self._captions.append(f'{file_name}: {pose}, {counts}')

    def write(self, folder: OutputFolder, path: Path) -> None:
        """Write the sheet as PNG; one that is there stays if sources have gone since then."""
        if not self._rows or (path.exists() and not self._is_whole):
            return
        sheet = contact_sheet(self._rows, TITLES, CELL, self._captions)
        done, encoded = cv2.imencode('.png', sheet)
        if not done:
            raise ValueError(f'OpenCV could not encode {path}')
        folder.write(path, encoded.tobytes())


def sheet_row(
    prepared: Prepared,
    result: Image,
    passed: Any,
    skeleton: Skeleton,
    window: Sequence[int] | None = None,
) -> list[Image]:
    """The part of an image around its new person: source, target pose, result, with label.

    Args:
        prepared: What was synthesised.
        result: The new image.
        passed: (K,) joints that the label names.
        skeleton: Of K joints.
        window: Left, top, width and height of the result in the source image; None if it is whole.
    """
    left, top, right, bottom = _shown(prepared, window)
    keypoints = prepared.plan.target_keypoints - [left, top]
    if window is None:
        result = result[top:bottom, left:right]
    pose = skeleton_image(
        (right - left, bottom - top), keypoints, prepared.plan.target_visible, skeleton
    )
    labelled = draw_skeleton(result.copy(), keypoints, passed.astype(float), skeleton)
    return [prepared.image[top:bottom, left:right].copy(), pose, result.copy(), labelled]


def _shown(prepared: Prepared, window: Sequence[int] | None) -> Window:
    if window is None:
        return affected_window(prepared.plan)
    left, top, width, height = window
    return left, top, left + width, top + height
