"""Image files of a COCO file: there, within the folder, whole, and of the stated size."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pg2aug.utils.images import (
    TooLargeError,
    decode_image,
    header_size,
    leads_out,
    pillow_limit,
    read_bytes,
)
from pg2aug.validation.entries import Problem, entry_name, name_problem, stated_size

_AT_ONCE = 1024


def check_files(
    images: Sequence[Any], root: Path, max_pixels: int, follow_links: bool, workers: int
) -> Iterator[Problem]:
    """Decode images and compare their sizes with their entries.

    The size is that after the rotation which EXIF data asks for, as OpenCV and MMPose read it.

    Args:
        images: Image entries; those whose file name or id is a finding already are left out.
        root: Folder of the images.
        max_pixels: An image whose header says more is not decoded.
        follow_links: Accept symbolic links that lead out of ``root``.
        workers: Threads.
    """
    usable = [i for i in images if isinstance(i, dict) and name_problem(i.get('file_name')) is None]
    inside = Path(os.path.realpath(root))

    def check(image: Mapping[str, Any]) -> tuple[str, str] | None:
        path = root / image['file_name']
        if not follow_links and leads_out(path, inside):
            return 'file-name', 'a link leads out of the image folder'
        return _problem(path, image, max_pixels)

    with pillow_limit(max_pixels), ThreadPoolExecutor(workers) as pool:
        # In parts: a task for each of millions of images would fill the memory.
        for start in range(0, len(usable), _AT_ONCE):
            part = usable[start : start + _AT_ONCE]
            for image, problem in zip(part, pool.map(check, part), strict=True):
                if problem is not None:
                    yield Problem(problem[0], entry_name('image', image), problem[1])


def _problem(path: Path, entry: Mapping[str, Any], max_pixels: int) -> tuple[str, str] | None:
    if not path.is_file():
        return 'file-missing', 'there is no such file'
    try:
        data = read_bytes(path, max_pixels)
        width, height = header_size(data)
        if width * height > max_pixels:
            what = f'the file has {width}x{height} pixels, more than the limit of {max_pixels}'
            return 'file-pixels', what
        height, width = decode_image(data).shape[:2]
    except TooLargeError as error:
        return 'file-pixels', f'the file is too large: {error}'
    except (OSError, ValueError) as error:
        return 'file-unreadable', f'the file cannot be decoded: {error}'
    stated = stated_size(entry)
    if stated is not None and stated != (width, height):
        what = f'the file has {width}x{height} pixels, the entry {stated[0]}x{stated[1]}'
        return 'file-size', what
    return None
