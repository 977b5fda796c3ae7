"""Who the images show: by their folders, or by a CSV."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from pg2aug.datasets.conversion_report import ConversionReport
from pg2aug.datasets.pairs_file import number_names
from pg2aug.datasets.reid.pose_csv import Finding

COLUMNS = ('file_name', 'person_id')


def folder_identities(paths: Sequence[str], report: ConversionReport) -> dict[str, str]:
    """Tell people by folders: each folder is a person, named by its path.

    The whole path is the name, so that ``train/alice`` and ``test/alice`` are two people: it is
    safer to take one person for two than two for one.

    Args:
        paths: Images, relative to their common folder.
        report: Where images outside of any person's folder are entered.

    Returns:
        The person of each of the other images.

    Raises:
        ValueError: If no image is in a folder.
    """
    folders = {path: PurePosixPath(path).parent.as_posix() for path in paths}
    people = {path: folder for path, folder in folders.items() if folder != '.'}
    if not people:
        raise ValueError(
            f'all {len(paths)} images lie directly in the image folder, so that nothing tells who '
            "they show: put each person's images into a folder of their own, or pass --identities "
            f'CSV with the header {",".join(COLUMNS)}'
        )
    for path in paths:
        if path not in people:
            report.add('images in no folder of a person', Finding(path, 'who is it?'))
    return people


def csv_identities(
    file: str | Path, paths: Sequence[str], report: ConversionReport
) -> dict[str, str]:
    """Tell people by a CSV with the columns ``file_name`` and ``person_id``.

    Args:
        file: The CSV. Its names are paths relative to the images' folder, or their last component
            where no other image has the same.
        paths: Images, relative to their common folder.
        report: Where rows and images are entered that do not go together.

    Returns:
        The person of each image that the file names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has another header, is no text, or names none of the images.
    """
    file = Path(file)
    numbers = number_names(paths)
    people: dict[str, str] = {}
    disputed: set[str] = set()
    for line, name, person in _read_rows(file):
        number = numbers.get(name, 'is no image in the folder')
        if not name or not person:
            kind, reason = 'malformed rows', f'lacks {COLUMNS[1] if name else COLUMNS[0]}'
        elif isinstance(number, str):
            kind, reason = 'rows without an image', number
        elif people.setdefault(paths[number], person) != person:
            kind, reason = 'rows that contradict another', f'is {people[paths[number]]!r} before'
            disputed.add(paths[number])
        else:
            continue
        report.add(kind, Finding(file.name, reason, line, name))
    if not people:
        raise ValueError(f'{file} names none of the {len(paths)} images')
    for path in paths:
        if path in disputed:
            report.add('images of two people', Finding(path, f'so says {file.name}'))
        elif path not in people:
            report.add('images without a person', Finding(path, f'{file.name} does not name it'))
    return {path: person for path, person in people.items() if path not in disputed}


def _read_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, file name and person of each row; empty where there is none."""
    if not path.is_file():
        raise FileNotFoundError(f'there is no identity file {str(path)!r}')
    with path.open(newline='', encoding='utf-8-sig') as file:
        reader = csv.DictReader(file)
        try:
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise ValueError(
                    f'it begins with {",".join(reader.fieldnames or ())[:80]!r}, not with the '
                    f'header {",".join(COLUMNS)}'
                )
            for row in reader:
                name, person = ((row[column] or '').strip() for column in COLUMNS)
                yield reader.line_num, name, person
        except (csv.Error, ValueError) as error:
            raise ValueError(f'{path} is no identity file: {error}') from error
