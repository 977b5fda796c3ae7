"""Files of an expansion: whole or not there, and nowhere but in the output folder."""

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from pg2aug.expansion.sources.images import ImageFolder
from pg2aug.utils.files import is_local, replacing
from pg2aug.utils.output import hold

JPEG_QUALITY = 95


class OutputFolder:
    """Where one process of an expansion writes.

    A file is first written into ``partial/`` and then renamed, so that it is there whole or not at
    all, whenever a process is killed.

    Args:
        root: The folder, on a local or mounted file system.
        rank: Number of the process.
    """

    def __init__(self, root: str | Path, rank: int = 0) -> None:
        self.root = Path(root)
        self.rank = rank
        self.images = self.root / 'images'
        self.parts = self.root / 'parts'
        self.partial = self.root / 'partial'

    def check_place(self, folder: ImageFolder) -> None:
        """Raise an error where nothing may be written.

        Raises:
            FileExistsError: If it is a file.
            ValueError: If it is not local, or it or one of its folders lies within the source
                images, which are never written to.
        """
        if not is_local(self.root):
            raise ValueError(f'{self.root} is not on a local or mounted file system: name a folder')
        if folder.is_local:
            source = Path(os.path.realpath(folder.root))
            for path in (self.root, self.images, self.parts, self.partial):
                if Path(os.path.realpath(path)).is_relative_to(source):
                    raise ValueError(
                        f'the output folder {str(path)!r} lies within the source images '
                        f'{folder.root!r}: name a folder outside of them'
                    )
        if self.root.exists() and not self.root.is_dir():
            raise FileExistsError(f'{self.root} is a file: name a folder')

    def is_new(self) -> bool:
        """Whether nothing is in the folder but what a run leaves that was killed at its start."""
        if not self.root.is_dir():
            return True
        return {path.name for path in self.root.iterdir()} <= {'partial'} and all(
            path.suffix in ('.lock', '.tmp') for path in self.partial.glob('*')
        )

    def make(self) -> None:
        """Make the folders."""
        for path in (self.partial, self.images, self.parts):
            path.mkdir(parents=True, exist_ok=True)

    def clear_partial(self) -> None:
        """Remove what killed processes have left; no other process may be at work."""
        for pattern in ('*.tmp', '*.lock'):
            for path in self.partial.glob(pattern):
                path.unlink()

    def temporary(self, name: str) -> Path:
        """Where to write a file until it is whole."""
        return self.partial / f'{self.rank}-{name}.tmp'

    def write(self, path: Path, data: bytes) -> None:
        """Write a file, whole or not at all, and as safe from a power cut as the disk makes it.

        Raises:
            OSError: If it cannot be written.
        """
        with self.replacing(path) as file:
            file.write(data)

    def replacing(self, path: Path) -> AbstractContextManager[BinaryIO]:
        """A file to write to, which takes the place of another as :meth:`write` does it.

        Raises:
            OSError: If it cannot be written.
        """
        return replacing(path, self.temporary(path.name))

    def write_json(self, path: Path, content: Any) -> None:
        """Write a json file, whole or not at all."""
        self.write(path, json.dumps(content).encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this rank's place, which the system gives back when the process ends, however.

        Raises:
            BlockingIOError: If a process holds it.
        """
        self.partial.mkdir(exist_ok=True)
        try:
            with hold(self.partial / f'rank-{self.rank}.lock', self.root):
                yield
        finally:
            # The last one to leave takes it away.
            with suppress(OSError):
                self.partial.rmdir()

    @contextmanager
    def merging(self) -> Iterator[None]:
        """Wait until nobody else merges, and keep them from it."""
        with hold(self.partial / 'merge.lock', self.root, wait=True):
            yield

    def check_alone(self) -> None:
        """Raise BlockingIOError if any process is at work in this folder."""
        for path in sorted(self.partial.glob('rank-*.lock')):
            with hold(path, self.root):
                pass


def encode_jpeg(image: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> bytes:
    """Encode an image as JPEG, the format of most photographs, at about a sixth of a PNG's size.

    Raises:
        ValueError: If OpenCV cannot.
    """
    done, encoded = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not done:
        raise ValueError(f'OpenCV could not encode an image of shape {image.shape} as JPEG')
    return encoded.tobytes()


def write_jpeg(path: Path, image: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> None:
    """Write an image that can be made again at any time as JPEG.

    Raises:
        OSError: If it cannot be written.
    """
    path.write_bytes(encode_jpeg(image, quality))
