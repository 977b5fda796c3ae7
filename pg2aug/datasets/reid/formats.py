"""What Market-1501 and DeepFashion In-shop call their images, and what their coordinates mean."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from pg2aug.datasets.reid.pose_csv import PoseRow

Identity = int | str
# Fewer rows than these have no typical place of their joints.
_ENOUGH_ROWS = 50
# Share of the width by which the median joint may be off the middle.
_OFF_CENTRE = 0.12


@dataclass(frozen=True)
class CoordinateFrame:
    """Images that coordinates can be meant for.

    Attributes:
        width: In pixels.
        height: In pixels.
        left: Where its left edge lies in the first of the format's frames, in pixels.
    """

    width: int
    height: int
    left: int = 0

    def __str__(self) -> str:
        return f'{self.width}x{self.height}'


@dataclass(frozen=True)
class ReidFormat:
    """A data set of persons in several images each, with poses in a pose annotation file.

    Attributes:
        title: Name of the data set.
        frames: The sizes in which its images are in use, the data set's own first.
        identity: The person of an image's name; raises a ValueError where there is none.
        name_key: What an image is known by, of its name in the annotation file.
        path_key: The same, of its absolute path.
        advice: What to do about images of another size.
    """

    title: str
    frames: tuple[CoordinateFrame, ...]
    identity: Callable[[str], Identity]
    name_key: Callable[[str], str]
    path_key: Callable[[Path], str]
    advice: str

    def frame(self, text: str) -> CoordinateFrame:
        """The frame written as ``WxH``.

        Raises:
            ValueError: If the images are not in use in that size.
        """
        for frame in self.frames:
            if str(frame) == text:
                return frame
        known = ' or '.join(map(str, self.frames))
        raise ValueError(f'{self.title} has images of {known}, not of {text}')

    def guess_frame(self, rows: Sequence[PoseRow]) -> CoordinateFrame:
        """The frame that poses are in: persons stand in its middle.

        With few rows it is the data set's own.

        Raises:
            ValueError: If the poses are in the middle of none.
        """
        if len(rows) < _ENOUGH_ROWS:
            return self.frames[0]
        median = float(np.median(np.concatenate([row.keypoints[row.detected, 0] for row in rows])))
        frame = min(self.frames, key=lambda frame: abs(median - frame.width / 2))
        if abs(median - frame.width / 2) > _OFF_CENTRE * frame.width:
            known = ' or '.join(map(str, self.frames))
            raise ValueError(
                f'the coordinates are not those of images of {known}: half of the joints have x '
                f'below {median:g}. Use annotations of such images, or say by --coordinates that '
                'these are'
            )
        return frame


def is_distractor(name: str) -> bool:
    """Whether Market-1501 names an image as junk (-1) or as nobody of the 1,501 persons (0000)."""
    return PurePosixPath(name).name.startswith(('-1', '0000'))


def _market1501_identity(name: str) -> int:
    match = re.match('[0-9]{4}(?![0-9])', PurePosixPath(name).name)
    if match is None:
        raise ValueError('the name does not begin with the four digits of a person')
    return int(match[0])


def _deepfashion_identity(name: str) -> str:
    group, separator, _ = PurePosixPath(name).name.rpartition('_')
    if not (group and separator):
        raise ValueError('the name has no underscore, before which the person is named')
    return group


def _deepfashion_name_key(name: str) -> str:
    """The flat name without ``fashion``, which some files spell ``fasion``."""
    return re.sub('^fas(h)?ion', '', PurePosixPath(name).name)


def _deepfashion_path_key(path: Path) -> str:
    """The same of a path, which may be the download's own.

    ``WOMEN/Dresses/id_00000002/02_1_front.jpg`` is WOMENDressesid0000000202_1front.jpg: of the file
    name's underscores the first stays, and the category keeps its own.
    """
    *_, gender, category, folder, name = ('', '', '', *path.parts)
    if gender not in ('MEN', 'WOMEN') or not folder.startswith('id_'):
        return _deepfashion_name_key(name)
    first, separator, rest = name.partition('_')
    flat = folder.replace('_', '') + first + separator + rest.replace('_', '')
    return gender + category + flat


MARKET1501 = ReidFormat(
    title='Market-1501',
    frames=(CoordinateFrame(64, 128),),
    identity=_market1501_identity,
    name_key=str,
    path_key=lambda path: path.name,
    advice='use the images as they are in the download',
)
DEEPFASHION = ReidFormat(
    title='DeepFashion In-shop',
    # Pose-Transfer and its successors cut 40 pixels off the left and right of the originals.
    frames=(CoordinateFrame(256, 256), CoordinateFrame(176, 256, left=40)),
    identity=_deepfashion_identity,
    name_key=_deepfashion_name_key,
    path_key=_deepfashion_path_key,
    advice='use the images of img.zip, not those of img_highres.zip',
)
