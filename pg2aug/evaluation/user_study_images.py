"""Images of the user study: drawn from folders, and made alike but for what they show."""

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from mmengine.utils import scandir
from numpy.typing import NDArray
from PIL import Image

from pg2aug.datasets.image_index import WEB_SUFFIXES
from pg2aug.utils.images import decode_image, header_size, read_bytes

Kind = Literal['real', 'generated']
KINDS: tuple[Kind, ...] = get_args(Kind)

_ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True)
class StudyImage:
    """An image of the study.

    ``file`` is where it comes from, ``pixels`` are ``(H, W, 3)`` uint8 RGB, and ``id`` is 16
    hexadecimal digits of their hash: a name that tells nothing, and the same whatever the format.
    """

    kind: Kind
    file: Path
    pixels: NDArray[np.uint8]

    @property
    def id(self) -> str:
        """The neutral name."""
        header = '{}x{}:'.format(*self.pixels.shape[:2])
        return hashlib.sha256(header.encode() + self.pixels.tobytes()).hexdigest()[:16]


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image, turned as its EXIF data says, as ``(H, W, 3)`` uint8 RGB.

    Raises:
        ValueError: If it is no image or truncated; the message begins with the path.
        OSError: If it cannot be read.
    """
    try:
        data = read_bytes(path)
        header_size(data)  # what is too large is not decoded
        return np.ascontiguousarray(decode_image(data)[..., ::-1])
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


def draw_images(folder: str | Path, kind: Kind, number: int, seed: int) -> list[StudyImage]:
    """Draw different images, no two with the same pixels, from a folder and those below it.

    Raises:
        FileNotFoundError: If the folder is absent.
        ValueError: If it has too few different images, or images that were drawn are unreadable.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'the folder of {kind} images {str(folder)!r} does not exist')
    suffixes = tuple(sorted(WEB_SUFFIXES))
    found = sorted(scandir(folder, suffixes, recursive=True, case_sensitive=False))
    order = np.random.default_rng([seed, KINDS.index(kind)]).permutation(len(found))
    drawn: dict[str, StudyImage] = {}
    unreadable: list[str] = []
    for index in order:
        if len(drawn) + len(unreadable) == number:
            break
        try:
            image = StudyImage(kind, folder / found[index], read_rgb(folder / found[index]))
            drawn.setdefault(image.id, image)
        except (OSError, ValueError) as error:
            unreadable.append(str(error))
    if unreadable:
        listed = '\n  '.join(sorted(unreadable))
        raise ValueError(f'unreadable {kind} images: mend or remove them\n  {listed}')
    if len(drawn) < number:
        raise ValueError(
            f'{str(folder)!r} has {len(drawn)} different images ({len(found)} files '
            f'{", ".join(suffixes)}), but {number} {kind} ones are to be shown: add images or '
            'lower --num-images'
        )
    return list(drawn.values())


def same_size(images: Sequence[StudyImage]) -> tuple[list[bytes], tuple[int, int]]:
    """Scale all images to the smallest among them, as PNG files without metadata.

    None is enlarged, for its blur would tell the kinds apart.

    Returns:
        The files in the order of ``images``, and their ``(width, height)``.

    Raises:
        ValueError: If the aspect ratios differ by more than 2 %.
    """
    smallest = min(images, key=lambda image: image.pixels.shape[0])
    height, width = smallest.pixels.shape[:2]
    limits = np.min([image.pixels.shape[:2] for image in images], axis=0).tolist()
    for image in images:
        own_height, own_width = image.pixels.shape[:2]
        if not math.isclose(own_width / own_height, width / height, rel_tol=_ASPECT_TOLERANCE):
            raise ValueError(
                f'{image.file} is {own_width}x{own_height} and {smallest.file} {width}x{height}: '
                'other proportions tell the kinds apart; crop or pad all images alike'
            )
    height, width = limits
    pngs = []
    for image in images:
        picture = Image.fromarray(image.pixels)
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, 'PNG')
        pngs.append(buffer.getvalue())
    return pngs, (width, height)
