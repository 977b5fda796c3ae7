"""From the rows of a pose annotation file to persons in images that are there and whole."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pg2aug.datasets.conversion_report import ConversionReport
from pg2aug.datasets.image_index import ImageIndex, image_sizes
from pg2aug.datasets.reid.formats import CoordinateFrame, Identity, ReidFormat, is_distractor
from pg2aug.datasets.reid.pose_csv import PoseRow

MALFORMED = 'malformed rows'
MISSING = 'missing images'


@dataclass(frozen=True)
class Person:
    """A row that is to be written.

    Attributes:
        row: The row.
        identity: Who it is.
        file_name: Path of the image within the image folder; the row's own name if it is missing.
        on_disk: Whether the image is there.
        frame: Size of the image.
        keypoints: ``(18, 2)`` x, y; in pixels of the image once :func:`place_joints` has been here.
        labelled: ``(18,)`` bool.
    """

    row: PoseRow
    identity: Identity
    file_name: str
    on_disk: bool
    frame: CoordinateFrame
    keypoints: NDArray[np.float64]
    labelled: NDArray[np.bool_]


def screen_rows(
    rows: Iterable[PoseRow], dataset: ReidFormat, report: ConversionReport
) -> list[tuple[PoseRow, Identity]]:
    """The rows that show a person of the data set, with who it is; the others are reported."""
    kept: list[tuple[PoseRow, Identity]] = []
    lines: dict[str, int] = {}
    for row in rows:
        first = lines.setdefault(dataset.name_key(row.name), row.line)
        try:
            identity = None if is_distractor(row.name) else dataset.identity(row.name)
        except ValueError as error:
            report.add(MALFORMED, row.finding(str(error)))
            continue
        if first != row.line:
            reason = f'line {first} is of the same image, and is used'
            report.add('repeated rows', row.finding(reason))
        elif identity is None:
            report.add('distractors', row.finding('nobody of the data set'))
        elif not row.detected.any():
            report.add('rows without joints', row.finding('no joint was detected'))
        else:
            kept.append((row, identity))
    return kept


def find_images(
    rows: Sequence[tuple[PoseRow, Identity]],
    dataset: ReidFormat,
    image_dir: str | Path,
    allow_missing: bool,
    nominal: CoordinateFrame,
    report: ConversionReport,
) -> list[Person]:
    """Find the image of each row; those that have none are reported.

    Args:
        rows: Rows and who they show.
        dataset: How images are named.
        image_dir: Folder of the images, however deep below.
        allow_missing: Whether a row may be without its image.
        nominal: Size of an image that is not there.
        report: Where rows without an image are entered.

    Raises:
        NotADirectoryError: If there is no image folder, unless images may be missing.
    """
    there = Path(image_dir).exists()
    if not there and not allow_missing:
        raise NotADirectoryError(
            f'there is no image folder {str(image_dir)!r}: name the folder that holds the images, '
            'or pass --allow-missing-images to convert without them'
        )
    folder = ImageIndex(image_dir, dataset.path_key) if there else None
    persons = []
    for row, identity in rows:
        found = folder.find(row.name, dataset.name_key(row.name)) if folder else []
        if len(found) > 1:
            reason = f'{len(found)} images have this name: {", ".join(found[:3])}'
            report.add('images found more than once', row.finding(reason))
            continue
        if not found and not allow_missing:
            report.add(MISSING, row.finding(f'not in {image_dir}'))
            continue
        if not found:
            reason = f'written as {nominal} all the same'
            report.add(MISSING, row.finding(reason), left_out=False)
        name = found[0] if found else row.name
        joints = (row.keypoints, row.detected)
        persons.append(Person(row, identity, name, bool(found), nominal, *joints))
    return persons


def check_images(
    persons: Sequence[Person],
    dataset: ReidFormat,
    image_dir: str | Path,
    report: ConversionReport,
    progress: bool = False,
) -> list[Person]:
    """Decode the images that are there; the persons of those that are whole, with their size.

    Damaged images and images of a size that the coordinates cannot mean are reported.

    Args:
        persons: From :func:`find_images`.
        dataset: The sizes that there are.
        image_dir: Folder of the images.
        report: Where images that are of no use are entered.
        progress: Whether to show a bar on stderr.
    """
    paths = [Path(image_dir) / person.file_name for person in persons if person.on_disk]
    sizes = iter(image_sizes(paths, progress))
    frames = {(frame.width, frame.height): frame for frame in dataset.frames}
    kept = []
    for person in persons:
        size = next(sizes) if person.on_disk else (person.frame.width, person.frame.height)
        row, path = person.row, person.file_name
        if isinstance(size, ValueError):
            report.add('unreadable images', row.finding(f'{path} {size}'))
        elif size not in frames:
            reason = f'{path} is {size[0]}x{size[1]}, not {" or ".join(map(str, dataset.frames))}'
            reason += f': {dataset.advice}'
            report.add('images of another size', row.finding(reason))
        else:
            kept.append(replace(person, frame=frames[size]))
    return kept


def place_joints(
    persons: Sequence[Person], coordinates: CoordinateFrame, report: ConversionReport
) -> list[Person]:
    """Bring joints into the pixels of their images; those outside become unlabelled.

    Args:
        persons: Whose images may be a part, or more, of what the coordinates mean.
        coordinates: The frame that they mean.
        report: Where joints outside, and those at (0, 0), are entered.

    Returns:
        The persons with a joint inside their images.
    """
    kept = []
    for person in persons:
        row, frame = person.row, person.frame
        keypoints = row.keypoints + np.array((coordinates.left - frame.left, 0))
        inside = (keypoints >= 0) & (keypoints < (frame.width, frame.height))
        labelled = row.detected & inside.all(axis=1)
        outside = int((row.detected & ~labelled).sum())
        if not labelled.any():
            reason = f'all {outside} joints are outside of the image ({frame})'
            report.add('rows without joints', row.finding(reason))
            continue
        if row.at_origin:
            reason = f'{row.at_origin} at (0, 0), taken for not detected'
            report.add('images with joints at (0, 0)', row.finding(reason), left_out=False)
        if outside:
            reason = f'{outside} outside of the image ({frame}), unlabelled'
            report.add('images with joints outside', row.finding(reason), left_out=False)
        kept.append(replace(person, keypoints=keypoints, labelled=labelled))
    return kept
