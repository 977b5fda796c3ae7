"""The images of a folder and its subfolders: finding them by name, and whether they are whole."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track

from pg2aug.utils.images import decode_image, header_size, read_bytes

_MAX_THREADS = 8
WEB_SUFFIXES = frozenset({'.bmp', '.jpeg', '.jpg', '.png', '.webp'})
"""Endings of images that web browsers show."""

SUFFIXES = WEB_SUFFIXES | {
    *('.dib', '.jp2', '.jpe', '.pbm', '.pgm', '.pnm', '.ppm', '.ras', '.sr', '.tif', '.tiff')
}
"""Endings of images that OpenCV reads."""


class ImageIndex:
    """Images by name, wherever below a folder they lie; links are followed.

    Args:
        root: The folder.
        key: What an image is known by, of its absolute path; the file name if None.

    Attributes:
        paths: The images, relative to the folder, sorted.
        others: Files with other endings, likewise.

    Raises:
        NotADirectoryError: If ``root`` is no folder.
    """

    def __init__(self, root: str | Path, key: Callable[[Path], str] | None = None) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise NotADirectoryError(f'there is no image folder {str(root)!r}')
        self.paths, self.others = _image_paths(self.root)
        absolute = Path(os.path.realpath(self.root))
        self._by_key: defaultdict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            self._by_key[(key or _file_name)(absolute / path)].append(path)
        self._paths = frozenset(self.paths)

    def find(self, name: str, key: str) -> list[str]:
        """Paths, relative to the folder, of the image of that very path, else of those so known."""
        return [name] if name in self._paths else self._by_key.get(key, [])


def image_sizes(
    paths: Sequence[str | Path], progress: bool = False
) -> list[tuple[int, int] | ValueError]:
    """Decode images, for their sizes and to see whether they are whole.

    Args:
        paths: The images.
        progress: Whether to show a bar on stderr.

    Returns:
        For each image its (width, height) in pixels, as MMPose loads it; or why it cannot.
    """
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as threads:
        sizes = threads.map(_image_size, paths)
        return list(
            track(
                sizes,
                description='reading images',
                total=len(paths),
                console=Console(stderr=True),
                transient=True,
                disable=not progress,
            )
        )


def _image_size(path: str | Path) -> tuple[int, int] | ValueError:
    try:
        data = read_bytes(path)
        header_size(data)  # what is too large is not decoded
        height, width = decode_image(data).shape[:2]
        return width, height
    except (OSError, ValueError) as error:
        return ValueError(f'cannot be decoded: {error}')


def _file_name(path: Path) -> str:
    return path.name


def _image_paths(root: Path) -> tuple[list[str], list[str]]:
    """Images below a folder, and files with other endings; relative to it, sorted."""
    found: list[str] = []
    seen = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:  # a link to a folder that we have been in
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in names]
    images = sorted(path for path in found if Path(path).suffix.lower() in SUFFIXES)
    return images, sorted(set(found) - set(images))
