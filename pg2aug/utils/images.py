"""Image files, read one way everywhere: as MMPose loads them, and to their end."""

import errno
import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_PIXELS = 100_000_000
"""Largest image that is decoded where files are not trusted, in pixels: 10,000 x 10,000."""

MAX_SIDE = 32_766
"""Longest side of an image that OpenCV, and with it MMPose, can warp, in pixels."""

PILLOW_LIMIT = 178_956_970
"""Pillow, which reads the headers, opens nothing larger."""

_BYTES_PER_PIXEL = 8
_HEADER_BYTES = 1 << 20
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'


class TooLargeError(ValueError):
    """An image has more pixels, or a longer side, than can be used, or its file more bytes."""


def read_bytes(path: str | Path, max_pixels: int = MAX_PIXELS) -> bytes:
    """Read a file of this machine, unless no image of so many pixels has so many bytes.

    Raises:
        OSError: If it cannot be read, or is no file but a pipe, a device or a folder.
        TooLargeError: If it is larger.
    """
    # Looked at first: whoever opens a pipe waits until somebody writes to it.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, 'is no file but a folder, a pipe or a device', str(path))
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        if size > _BYTES_PER_PIXEL * max_pixels + _HEADER_BYTES:
            raise TooLargeError(f'has {size} bytes, too many for {max_pixels} pixels')
        return file.read()


def leads_out(path: Path, folder: Path) -> bool:
    """Whether links on the way to a file lead out of a folder, or, in a circle, to no file.

    Args:
        path: Of the file.
        folder: Resolved.
    """
    # Not Path.resolve, which raises a RuntimeError for a circle.
    return not Path(os.path.realpath(path)).is_relative_to(folder)


def header_size(data: bytes) -> tuple[int, int]:
    """Width and height that an image file states, before EXIF data turns it; nothing is decoded.

    Raises:
        TooLargeError: If Pillow opens no image of that size, see :func:`pillow_limit`, or a side is
            longer than ``MAX_SIDE``.
        ValueError: If it is no image file.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
    except Image.DecompressionBombError as error:
        raise TooLargeError(str(error)) from error
    except Exception as error:  # Pillow's readers raise all sorts
        raise ValueError('its header cannot be read') from error
    check_side(*size)
    return size


def check_side(width: int, height: int) -> None:
    """Raise TooLargeError for an image with a side longer than ``MAX_SIDE``."""
    if max(width, height) > MAX_SIDE:
        raise TooLargeError(
            f'{width}x{height} pixels, and OpenCV warps no side longer than {MAX_SIDE}'
        )


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """Decode an image file as MMPose does: (H, W, 3) uint8 BGR, turned as its EXIF data says.

    Raises:
        TooLargeError: If a side is longer than ``MAX_SIDE``.
        ValueError: If OpenCV cannot decode it, or it is truncated; says which.
    """
    image = None
    try:
        if data:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f'OpenCV cannot decode it: {error}') from error
    # Older versions of OpenCV fill the rest of a truncated JPEG with grey.
    doubtful = data.startswith(_JPEG_START) and not data.endswith(_JPEG_END)
    if image is None or doubtful:
        _check_whole(data)
    if image is None:
        raise ValueError('OpenCV cannot decode it')
    check_side(image.shape[1], image.shape[0])
    return np.asarray(image, np.uint8)


def _check_whole(data: bytes) -> None:
    """Raise ValueError, with the reason, where Pillow cannot decode a file to its end."""
    file = io.BytesIO(data)
    try:
        with Image.open(file) as image:
            image.load()
    except Exception as error:  # Pillow's readers raise all sorts
        raise ValueError(str(error).replace(repr(file), 'the file')) from error


@contextmanager
def pillow_limit(max_pixels: int) -> Iterator[None]:
    """Let Pillow open what a limit allows, without a warning of its own."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
