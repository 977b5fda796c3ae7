"""Source images: read from within their folder, and no larger than is bearable."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from mmengine import fileio
from numpy.typing import NDArray

from pg2aug.utils.files import is_local
from pg2aug.utils.images import (
    MAX_PIXELS,
    PILLOW_LIMIT,
    TooLargeError,
    decode_image,
    header_size,
    leads_out,
    read_bytes,
)

# Of this machine or its connections, not of a file.
_NOT_OF_THE_FILE = (
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT),
    *(errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH),
)

_SAMPLE = 32


@dataclass(frozen=True)
class ImageFolder:
    """A folder of images, on any file backend of MMEngine.

    Attributes:
        root: The folder.
        max_pixels: Largest image that is decoded.
        follow_links: Whether symbolic links may lead out of the folder, as data version control
            leaves them.
    """

    root: str
    max_pixels: int = MAX_PIXELS
    follow_links: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.max_pixels <= PILLOW_LIMIT:
            raise ValueError(
                f'max_pixels must be at least 1 and at most {PILLOW_LIMIT}, more than which Pillow '
                f'does not open, got {self.max_pixels}'
            )
        if not fileio.isdir(self.root):
            raise FileNotFoundError(f'image folder {self.root!r} does not exist')

    @cached_property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return is_local(self.root)

    @property
    def is_there(self) -> bool:
        """Whether the folder can be seen and has something in it; one not mounted is empty."""
        if not self.is_local:
            return bool(fileio.isdir(self.root))
        try:
            with os.scandir(self.root) as entries:
                return any(entries)
        except OSError:
            return False

    def check_sample(self, file_names: Sequence[str]) -> None:
        """Look for some of the images, evenly spaced, before anything is made of them.

        Raises:
            FileNotFoundError: If none of them is there, so that the folder must be another one.
        """
        sample = file_names[:: max(1, len(file_names) // _SAMPLE)]
        # Not through read(): a broken image is that image's own matter.
        if sample and not any(fileio.isfile(fileio.join_path(self.root, n)) for n in sample):
            raise FileNotFoundError(
                f'none of {len(sample)} images looked for is in the image folder {self.root!r}, '
                f'such as {sample[0]!r}: give the folder that the file names start from by '
                '--img-root, and see that it is mounted'
            )

    def read(self, file_name: str) -> NDArray[np.uint8]:
        """Read an image as MMPose does: (H, W, 3) uint8 BGR, turned as its EXIF data says.

        Raises:
            ValueError: If ``file_name`` leads out of the folder, or the file is no image or larger
                than ``max_pixels``.
            OSError: If it cannot be read.
        """
        data = self._bytes(file_name)
        self._check_pixels(data, file_name)
        try:
            return decode_image(data)
        except ValueError as error:
            raise ValueError(f'{file_name} cannot be decoded: {error}') from error

    def _bytes(self, file_name: str) -> bytes:
        name = PurePosixPath(file_name)
        if name.is_absolute() or '..' in name.parts or '\0' in file_name:
            raise ValueError(f'file name {file_name!r} leads out of the image folder')
        if not self.is_local:
            return bytes(fileio.get(fileio.join_path(self.root, file_name)))
        path = Path(self.root) / name
        if not self.follow_links and leads_out(path, self._resolved):
            raise ValueError(
                f'file name {file_name!r} is a link that leads out of the image folder: '
                '--follow-links lets it'
            )
        try:
            return read_bytes(path, self.max_pixels)
        except TooLargeError as error:
            raise ValueError(f'{file_name} {error}, which --max-pixels allows') from error

    @cached_property
    def _resolved(self) -> Path:
        return Path(os.path.realpath(self.root))

    def _check_pixels(self, data: bytes, file_name: str) -> None:
        """Compare the size that the header states with the limit; nothing is decoded."""
        try:
            width, height = header_size(data)
        except TooLargeError as error:
            raise ValueError(f'{file_name} is too large: {error}') from error
        except ValueError as error:
            raise ValueError(f'{file_name} is no image: {error}') from error
        if width * height > self.max_pixels:
            raise ValueError(
                f'{file_name} has {width}x{height} pixels, more than '
                f'--max-pixels {self.max_pixels} allows'
            )


def is_of_the_file(error: OSError) -> bool:
    """Whether an error says that a file cannot be read, and not that nothing can be read now."""
    return error.errno not in _NOT_OF_THE_FILE
