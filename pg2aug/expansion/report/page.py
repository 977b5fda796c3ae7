"""A page to look at an expansion and to review it: counts, coverage, and a gallery."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from pg2aug.datasets.coco_files import ANNOTATION_FILE
from pg2aug.expansion.plan.plan_file import PLAN_FILE
from pg2aug.expansion.plan.regions import Regions
from pg2aug.expansion.report.coverage import region_rows
from pg2aug.expansion.report.data import report_data
from pg2aug.expansion.report.pictures import made_squares, pose_picture, refused_strip
from pg2aug.expansion.report.sample import MadeSample, RefusedSample, sample_made, sample_refused
from pg2aug.expansion.sources.images import ImageFolder
from pg2aug.expansion.sources.sources import Annotation, Sources
from pg2aug.expansion.write.merge import REFUSED_FILE
from pg2aug.expansion.write.output_folder import OutputFolder, write_jpeg
from pg2aug.poses import PoseBank
from pg2aug.utils.files import file_sha256, replacing
from pg2aug.utils.output import writing_folder
from pg2aug.utils.web_page import web_page

REPORT_FOLDER, PAGE_FILE = 'report', 'index.html'
COMMAND = 'expand'
ITEMS = 10_000
"""Synthesised persons that a report shows."""

_AT_ONCE = 256
_QUALITY = 80


def write_report(
    out: str | Path,
    sources: Sources,
    bank: PoseBank,
    *,
    regions: Regions | None = None,
    items: int = ITEMS,
    workers: int = 4,
) -> Path:
    """Write ``report/index.html`` and its pictures into a finished expansion.

    The same expansion gives the same bytes; a report that is there already is replaced. Where there
    are more than ``items`` synthesised persons, a random choice of them is shown, and the page
    says so; numbers are those of all.

    Args:
        out: Folder of the expansion.
        sources: What was expanded.
        bank: Target poses, as they were drawn.
        regions: Of pose space, as the expansion's summary has them; found again if None.
        items: Largest number of persons to show.
        workers: Pictures drawn at once.

    Returns:
        The page.

    Raises:
        OSError: If a file cannot be read or written.
        ValueError: If ``items`` is less than 1, or a file is not what it should be.
    """
    if items < 1:
        raise ValueError(f'a report shows at least 1 person, got items={items}')
    out = Path(out)
    made, refused = sample_made(out / ANNOTATION_FILE, items), sample_refused(out / REFUSED_FILE)
    if not made.shown:
        raise ValueError(f'{out / ANNOTATION_FILE} has no synthesised person to report on')
    rows = region_rows(out / PLAN_FILE, sources, bank, made.poses, regions)
    data = {
        'data_set': data_set_id(out / ANNOTATION_FILE),
        'annotation_file': ANNOTATION_FILE,
        'image_folder': OutputFolder(out).images.name,
        **report_data(made, refused, sources, bank, rows),
    }
    page = web_page('pg2aug.expansion.report', 'report', data, data_set=data['data_set'])
    with writing_folder(out / REPORT_FOLDER, COMMAND, overwrite=True) as partial:
        for name in ('made', 'refused', 'regions'):
            (partial / name).mkdir()
        draw = _Drawer(partial, OutputFolder(out).images, sources, bank, made, refused)
        for function, shown in (
            (draw.made, made.shown),
            (draw.refused, list(enumerate(refused.shown))),
            (draw.region, [row.pose for row in rows]),
        ):
            _in_parallel(function, shown, workers)
        with replacing(partial / PAGE_FILE) as file:
            file.write(page.encode())
    return out / REPORT_FOLDER / PAGE_FILE


def data_set_id(path: str | Path) -> str:
    """What tells the annotation files of data sets apart: 16 digits of the SHA-256."""
    return file_sha256(path)[:16]


class _Drawer:
    """Draws the pictures of a report into its folder."""

    def __init__(
        self,
        folder: Path,
        images: Path,
        sources: Sources,
        bank: PoseBank,
        made: MadeSample,
        refused: RefusedSample,
    ) -> None:
        self._folder = folder
        self._images = ImageFolder(str(images))
        self._sources = sources
        self._bank = bank
        self._entries = made.images
        wanted = {a['pg2aug']['source_annotation_id'] for a in made.shown}
        wanted |= {entry['source_annotation_id'] for entry in refused.shown}
        self._persons = {p['id']: p for p in sources.persons if p['id'] in wanted}

    def made(self, annotation: Annotation) -> None:
        person = self._persons[annotation['pg2aug']['source_annotation_id']]
        result = self._images.read(self._entries[annotation['image_id']]['file_name'])
        source = self._sources.read_image(person)
        squares = made_squares(source, result, person, annotation, self._bank.skeleton)
        strip = np.hstack(squares)
        write_jpeg(self._folder / 'made' / f'{annotation["id"]}.jpg', strip, _QUALITY)

    def refused(self, numbered: tuple[int, Mapping[str, Any]]) -> None:
        number, entry = numbered
        person = self._persons[entry['source_annotation_id']]
        try:
            source = self._sources.read_image(person)
        except (OSError, ValueError):
            # That may be why it was refused, and the page gives the reason.
            source = None
        failed = entry.get('failed_joints', ())
        strip = refused_strip(source, person, entry['target_pose'], self._bank, failed)
        write_jpeg(self._folder / 'refused' / f'{number}.jpg', strip, _QUALITY)

    def region(self, pose: int) -> None:
        picture = pose_picture(pose, self._bank)
        write_jpeg(self._folder / 'regions' / f'{pose}.jpg', picture, _QUALITY)


def _in_parallel(function: Callable[[Any], None], items: Sequence[Any], workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        # In parts, so that the first error ends it soon.
        for start in range(0, len(items), _AT_ONCE):
            list(pool.map(function, items[start : start + _AT_ONCE]))
