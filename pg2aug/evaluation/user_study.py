"""The paper's user study as one web page: is this image real or generated?"""

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pg2aug.evaluation.user_study_images import StudyImage, draw_images, same_size
from pg2aug.utils.files import replacing
from pg2aug.utils.output import check_folder, writing_folder
from pg2aug.utils.web_page import web_page
from pg2aug.version import __version__

PAGE_FILE, KEY_FILE = 'index.html', 'key.json'
COMMAND = 'study'

_EXAMPLES = 3
_MIN_EXPOSURE_MS, _MAX_EXPOSURE_MS = 100, 60_000


@dataclass(frozen=True)
class Protocol:
    """How the images are shown; the defaults are the paper's (Ma et al., 2017).

    Args:
        num_images: Real images, and as many generated ones; every rater sees them all.
        num_practice: The first images a rater sees, half of them real, which do not count.
        exposure_ms: How long an image is shown, in milliseconds, 100 to 60,000.

    Raises:
        ValueError: If there is nothing to count, or the exposure is out of range.
    """

    num_images: int = 55
    num_practice: int = 10
    exposure_ms: int = 1000

    def __post_init__(self) -> None:
        half = self.num_practice // 2
        if self.num_practice < 0 or self.num_practice % 2:
            raise ValueError(f'num_practice must be even and not negative, got {self.num_practice}')
        if self.num_images <= half:
            raise ValueError(
                f'num_images is {self.num_images}, but practice takes {half} real and {half} '
                f'generated ones: at least {half + 1} are needed'
            )
        if not _MIN_EXPOSURE_MS <= self.exposure_ms <= _MAX_EXPOSURE_MS:
            raise ValueError(
                f'exposure must be {_MIN_EXPOSURE_MS / 1000} to {_MAX_EXPOSURE_MS / 1000:g} '
                f'seconds, got {self.exposure_ms / 1000}'
            )


def study_id(kinds: Mapping[str, str], protocol: Protocol) -> str:
    """Hash of the images with their kinds and of the protocol: 16 hexadecimal digits.

    Args:
        kinds: 'real' or 'generated', by the images' ids.
        protocol: How they are shown.
    """
    content = json.dumps([sorted(kinds.items()), asdict(protocol)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def build_study(
    real_dir: str | Path,
    fake_dir: str | Path,
    out: str | Path,
    num_images: int = 55,
    seed: int = 0,
    exposure: float = 1.0,
) -> dict[str, Any]:
    """Write ``index.html``, the whole study in one file, and ``key.json`` to be kept from raters.

    Args:
        real_dir: Folder of real images.
        fake_dir: Folder of generated images.
        out: New or empty folder to write into.
        num_images: Images of each kind, see :class:`Protocol`.
        seed: Of the draw of images; the order of showing depends on the rater.
        exposure: Seconds that an image is shown.

    Returns:
        The content of ``key.json``: the study's id and protocol, and where each image comes from.

    Raises:
        FileExistsError: If ``out`` holds anything.
        FileNotFoundError: If a folder of images is absent.
        ValueError: If images are too few, unreadable, of different proportions, or in both folders,
            or the protocol is out of range.
    """
    out = Path(out)
    if not math.isfinite(exposure):
        raise ValueError(f'exposure must be a number of seconds, got {exposure}')
    protocol = Protocol(num_images=num_images, exposure_ms=round(exposure * 1000))
    check_folder(out, COMMAND)
    real = draw_images(real_dir, 'real', num_images, seed)
    fake = draw_images(fake_dir, 'generated', num_images, seed)
    _check_disjoint(real, fake)
    # By their hashes: an order that tells nothing.
    images = sorted(real + fake, key=lambda image: image.id)
    pngs, size = same_size(images)
    study = {
        'study_id': study_id({image.id: image.kind for image in images}, protocol),
        'protocol': asdict(protocol),
        'size': size,
    }
    shown = [
        {'id': image.id, 'kind': image.kind, 'png': base64.b64encode(png).decode()}
        for image, png in zip(images, pngs, strict=True)
    ]
    sources = [{'id': i.id, 'kind': i.kind, 'file': str(i.file)} for i in images]
    key = {**study, 'seed': seed, 'pg2aug': __version__, 'images': sources}
    content = {**study, 'images': shown}
    page = web_page('pg2aug.evaluation', 'user_study', content, study_id=str(study['study_id']))
    with writing_folder(out, COMMAND) as folder:
        for name, text in ((PAGE_FILE, page), (KEY_FILE, json.dumps(key, indent=1))):
            with replacing(folder / name) as file:
                file.write(text.encode())
    return key


def _check_disjoint(real: Iterable[StudyImage], fake: Iterable[StudyImage]) -> None:
    known = {image.id: image.file for image in real}
    twice = [f'{known[i.id]} and {i.file}' for i in fake if i.id in known]
    if twice:
        more = f' and {len(twice) - _EXAMPLES} more' if len(twice) > _EXAMPLES else ''
        raise ValueError(
            f'the same image is both real and generated, {len(twice)} of them: '
            f'{"; ".join(twice[:_EXAMPLES])}{more}. Name two folders that share no image'
        )
