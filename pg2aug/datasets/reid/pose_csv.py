"""The pose annotation files of person image generation: ``name:keypoints_y:keypoints_x``."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

COLUMNS = ('name', 'keypoints_y', 'keypoints_x')
NUM_JOINTS = 18
_MISSING = -1
# Far beyond any image; what is larger is no coordinate.
_LARGEST = 1e6


class Finding(NamedTuple):
    """Something about a file, or a line of it, that its reader should know.

    Attributes:
        file: Name of the file.
        reason: In words.
        line: Its line, from 1; 0 where it is about the whole file.
        name: Image that the line is about; empty where it names none.
    """

    file: str
    reason: str
    line: int = 0
    name: str = ''

    def __str__(self) -> str:
        place = f'{self.file}:{self.line}' if self.line else self.file
        return f'{place}: {self.name}{": " if self.name else ""}{self.reason}'


@dataclass(frozen=True)
class PoseRow:
    """A row of a pose annotation file.

    Attributes:
        file: Name of the file.
        line: Its line, from 1.
        name: Image as the file names it.
        keypoints: ``(18, 2)`` float64, x before y, in pixels; -1 where not detected.
        detected: ``(18,)`` bool.
    """

    file: str
    line: int
    name: str
    keypoints: NDArray[np.float64]
    detected: NDArray[np.bool_]

    @property
    def at_origin(self) -> int:
        """How many joints are at (0, 0), which counts as not detected."""
        return int((~self.keypoints.any(axis=1)).sum())

    def finding(self, reason: str) -> Finding:
        """Something about this row."""
        return Finding(self.file, reason, self.line, self.name)


def read_pose_csv(path: str | Path) -> tuple[list[PoseRow], list[Finding]]:
    """Read a pose annotation file.

    Rows are ``file.jpg: [y0, ..., y17]: [x0, ..., x17]`` with OpenPose's 18 joints; a joint is
    missing where either coordinate is -1, or both are 0, as other tools write it. A row that cannot
    be read stops nothing.

    Returns:
        The rows in order, and what is wrong with each of the others.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has another header.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no annotation file {str(path)!r}')
    lines = _lines(path)
    columns = _columns(next(lines, (1, b''))[1], path)
    rows: list[PoseRow] = []
    malformed: list[Finding] = []
    for number, line in lines:
        fields = line.decode(errors='replace').split(':')
        try:
            line.decode()  # raises a ValueError that says which byte is wrong
            rows.append(_parse_row(path.name, number, fields, columns))
        except (ValueError, RecursionError) as error:
            name = fields[0].strip()[:200] if len(fields) > 1 else ''
            malformed.append(Finding(path.name, str(error), number, name))
    return rows, malformed


def check_relative(name: str) -> str:
    """Return a file name that stays within its folder.

    Raises:
        ValueError: If it is empty, absolute, or leads out of the folder.
    """
    path = PurePosixPath(name)
    if not path.name or path.is_absolute() or '..' in path.parts:
        raise ValueError(f'{name!r} is no name of a file within the image folder')
    return name


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, numbered from 1, without a byte order mark."""
    with path.open('rb') as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(b'\xef\xbb\xbf').strip()
            if text:
                yield number, text


def _columns(header: bytes, path: Path) -> list[int]:
    """Where the columns stand: named by the header, as they come in either order."""
    names = [name.strip() for name in header.decode(errors='replace').split(':')]
    if sorted(names) != sorted(COLUMNS):
        raise ValueError(
            f'{path} begins with {header[:80].decode(errors="replace")!r}, not with the header '
            f'{":".join(COLUMNS)!r} of a pose annotation file'
        )
    return [names.index(column) for column in COLUMNS]


def _parse_row(file: str, line: int, fields: list[str], columns: list[int]) -> PoseRow:
    if len(fields) != len(columns):
        raise ValueError(f'{len(fields)} fields separated by colons, not {len(columns)}')
    name, *texts = (fields[column].strip() for column in columns)
    check_relative(name)
    parts = zip(COLUMNS[1:], texts, strict=True)
    ys, xs = (_parse_coordinates(column, text) for column, text in parts)
    if len(ys) != len(xs):
        raise ValueError(f'{len(ys)} keypoints_y but {len(xs)} keypoints_x')
    if len(ys) != NUM_JOINTS:
        raise ValueError(f'{len(ys)} joints, not {NUM_JOINTS}')
    keypoints = np.array((xs, ys), dtype=np.float64).T
    detected = (keypoints != _MISSING).all(axis=1) & keypoints.any(axis=1)
    return PoseRow(file, line, name, keypoints, detected)


def _parse_coordinates(column: str, text: str) -> list[float]:
    try:
        values: Any = json.loads(text)
    except ValueError as error:
        raise ValueError(f'{column} is no list of numbers: {error}') from error
    if not isinstance(values, list):
        raise ValueError(f'{column} is no list of numbers: {text[:80]}')
    for joint, value in enumerate(values):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and -_LARGEST < value < _LARGEST):  # NaN is in no range
            raise ValueError(f'{column} of joint {joint} is {str(value)[:80]}, not a coordinate')
    return values
