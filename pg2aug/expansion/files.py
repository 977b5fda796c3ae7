"""Files of an expansion: whole or not there, and nowhere but in the output folder."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

JPEG_QUALITY = 95


def prepare_folder(out: Path, image_root: Path) -> None:
    """Make an empty output folder.

    Raises:
        FileExistsError: If ``out`` is a file, or holds anything.
        ValueError: If it lies within the source images, which are never written to.
    """
    if out.resolve().is_relative_to(image_root.resolve()):
        raise ValueError(
            f'the output folder {str(out)!r} lies within the source images {str(image_root)!r}: '
            'name a folder outside of them'
        )
    if out.exists() and not out.is_dir():
        raise FileExistsError(f'{out} is a file: name a folder')
    if out.is_dir() and any(out.iterdir()):
        raise FileExistsError(f'{out} is not empty: name a new folder, or empty this one')
    (out / 'images').mkdir(parents=True, exist_ok=True)


def read_image(image_root: Path, file_name: str) -> NDArray[np.uint8]:
    """Read an image as MMPose does: (H, W, 3) uint8 BGR, turned as its EXIF data says.

    Symbolic links are followed wherever they lead: data sets are often kept as links into a cache.

    Raises:
        ValueError: If ``file_name`` is absolute or contains ``..``, or the file is no image.
        OSError: If it cannot be read.
    """
    name = Path(file_name)
    if name.is_absolute() or '..' in name.parts:
        raise ValueError(f'file name {file_name!r} leads out of the image folder')
    data = np.frombuffer((image_root / name).read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise ValueError(f'{file_name} is no image that OpenCV can decode')
    return np.asarray(image, np.uint8)


def write_jpeg(path: Path, image: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> None:
    """Write an image as JPEG, the format of most photographs, at about a sixth of a PNG's size.

    Raises:
        OSError: If it cannot be encoded or written.
    """
    done, encoded = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not done:
        raise OSError(f'OpenCV could not encode the image for {path}')
    _write_whole(path, encoded.tobytes())


def write_json(path: Path, content: Any) -> None:
    """Write a json file, whole or not at all."""
    _write_whole(path, json.dumps(content).encode())


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's contents, in hexadecimal."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _write_whole(path: Path, data: bytes) -> None:
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
