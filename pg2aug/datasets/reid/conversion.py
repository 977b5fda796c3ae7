"""From images and a pose annotation file to COCO keypoints with identities, and pairs."""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pg2aug.datasets.coco_files import (
    ANNOTATION_FILE,
    PAIRS_FILE,
    REPORT_FILE,
    image_entry,
    person_category,
    person_entry,
    write_together,
)
from pg2aug.datasets.conversion_report import ConversionReport, describe_findings
from pg2aug.datasets.reid.formats import ReidFormat
from pg2aug.datasets.reid.pairs import (
    GIVEN,
    Pair,
    format_pairs,
    given_pairs,
    sample_pairs,
    torso_pairs,
)
from pg2aug.datasets.reid.persons import (
    MALFORMED,
    MISSING,
    Person,
    check_images,
    find_images,
    place_joints,
    screen_rows,
)
from pg2aug.datasets.reid.pose_csv import read_pose_csv
from pg2aug.poses import Skeleton
from pg2aug.poses.read.metainfo import mmpose_metainfo
from pg2aug.version import __version__

METAINFO = 'coco_openpose.py'
"""MMPose's names of the joints, which are those of the annotation files in the same order."""


@dataclass(frozen=True)
class Conversion:
    """A data set converted.

    Attributes:
        content: The COCO file: one person in each image, whose box is the whole image, with
            ``person_id``.
        pairs: File names (condition, target) of the images of each pair.
        report: What was left out, and what should be known.
    """

    content: dict[str, Any]
    pairs: list[Pair]
    report: ConversionReport

    def write(self, out: str | Path) -> None:
        """Write ``person_keypoints.json``, ``pairs.csv`` and ``report.json``, or nothing.

        Raises:
            FileExistsError: If the folder holds one of them already.
            OSError: If one of them cannot be written.
        """
        texts = {
            ANNOTATION_FILE: json.dumps(self.content),
            PAIRS_FILE: format_pairs(self.pairs),
            REPORT_FILE: json.dumps(self.report.to_dict(), indent=1),
        }
        write_together(out, texts)


def convert(
    dataset: ReidFormat,
    annotations: str | Path,
    image_dir: str | Path,
    *,
    allow_missing: bool = False,
    coordinates: str | None = None,
    pairs_file: str | Path | None = None,
    num_pairs: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Conversion:
    """Convert a data set; what cannot be used is left out and reported, and stops nothing.

    Args:
        dataset: What names and coordinates mean.
        annotations: Pose annotation file, see :func:`pg2aug.datasets.reid.pose_csv.read_pose_csv`.
        image_dir: Folder of its images, however deep below.
        allow_missing: Whether an image that is not there is taken to be of the size that the
            coordinates are meant for; otherwise its row is left out.
        coordinates: ``'WxH'`` of the images that the coordinates are meant for; if None it is
            found out, see :meth:`ReidFormat.guess_frame`.
        pairs_file: Pairs to be written; if None those of
            :func:`~pg2aug.datasets.reid.pairs.torso_pairs`.
        num_pairs: Number of pairs to draw; all if None.
        seed: Of that draw.
        progress: Whether to show a bar on stderr.

    Raises:
        FileNotFoundError: If there is no annotation or pairs file.
        NotADirectoryError: If there is no image folder, unless images may be missing.
        ValueError: If a file is of another kind, nothing in it can be used, the coordinates are
            meant for images of another size, or there are fewer pairs than asked for.
    """
    annotations = Path(annotations)
    report = ConversionReport()
    rows, malformed = read_pose_csv(annotations)
    for finding in malformed:
        report.add(MALFORMED, finding)
    screened = screen_rows(rows, dataset, report)
    poses = [row for row, _ in screened]
    frame = dataset.frame(coordinates) if coordinates else dataset.guess_frame(poses)
    persons = find_images(screened, dataset, image_dir, allow_missing, frame, report)
    if persons:  # pairs that cannot be had are an error before minutes of decoding
        _pairs(persons, dataset, deepcopy(report), pairs_file, num_pairs, seed)
    persons = check_images(persons, dataset, image_dir, report, progress)
    persons = place_joints(persons, frame, report)
    if not persons:
        raise ValueError(_nothing_usable(annotations, dataset, report))
    report.title = f'{dataset.title}, coordinates of images of {frame} pixels'
    people = {person.identity for person in persons}
    report.counts = {'images': len(persons), 'identities': len(people)}
    pairs = _pairs(persons, dataset, report, pairs_file, num_pairs, seed)
    report.counts['pairs'] = len(pairs)
    content = _coco(persons, f'{dataset.title}, {annotations.name}')
    return Conversion(content, pairs, report)


def _coco(persons: Sequence[Person], description: str) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, person in enumerate(persons, start=1):
        size = (person.frame.width, person.frame.height)
        joints = (person.keypoints, person.labelled)
        images.append(image_entry(number, person.file_name, size))
        annotations.append(person_entry(number, person.identity, *joints, size))
    return {
        'info': {'description': description, 'version': f'converted by pg2aug {__version__}'},
        'licenses': [],
        'images': images,
        'annotations': annotations,
        'categories': [person_category(_skeleton())],
    }


def _skeleton() -> Skeleton:
    return Skeleton.from_metainfo(mmpose_metainfo(METAINFO))


def _pairs(
    persons: Sequence[Person],
    dataset: ReidFormat,
    report: ConversionReport,
    pairs_file: str | Path | None,
    num_pairs: int | None,
    seed: int,
) -> list[Pair]:
    if pairs_file is None:
        pairs = torso_pairs(persons, report)
    else:
        pairs = given_pairs(pairs_file, persons, dataset, report)
        if not pairs:
            found = '\n'.join(describe_findings({GIVEN: report.left_out[GIVEN]}))
            raise ValueError(f'no pair of {pairs_file} can be used:\n{found}')
    return pairs if num_pairs is None else sample_pairs(pairs, num_pairs, seed)


def _nothing_usable(annotations: Path, dataset: ReidFormat, report: ConversionReport) -> str:
    lines = [f'nothing in {annotations} can be used:', *describe_findings(report.left_out)]
    if not report.left_out:
        lines = [f'{annotations} has no rows']
    elif MISSING in report.left_out:
        lines.append(
            'name the folder that holds the images, or pass --allow-missing-images to convert '
            'without them'
        )
    elif set(report.left_out) == {MALFORMED}:
        lines.append(f'is this an annotation file of {dataset.title}?')
    return '\n'.join(lines)
