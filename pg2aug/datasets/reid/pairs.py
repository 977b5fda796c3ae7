"""The pairs of a converted data set: by the published rule, or those of a file."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np

from pg2aug.datasets.conversion_report import ConversionReport
from pg2aug.datasets.pairs_file import HEADER, read_rows
from pg2aug.datasets.reid.formats import Identity, ReidFormat
from pg2aug.datasets.reid.persons import Person
from pg2aug.datasets.reid.pose_csv import Finding

Pair = tuple[str, str]
GIVEN = 'given pairs'
TORSO = {2: 'right shoulder', 5: 'left shoulder', 8: 'right hip', 11: 'left hip'}
"""Joints that both images of a pair must show, in OpenPose's order of 18."""


def torso_pairs(persons: Sequence[Person], report: ConversionReport) -> list[Pair]:
    """All ordered pairs of images of a person in which shoulders and hips were detected.

    It is the rule and the order of the published pairs files, before they were drawn from: persons
    and images in the order of the annotation file.

    Args:
        persons: The images.
        report: Where the images that are in no pair are entered.
    """
    groups: dict[Identity, list[Person]] = {}
    for person in persons:
        lacking = [name for joint, name in TORSO.items() if not person.row.detected[joint]]
        if lacking:
            reason = f'no {", ".join(lacking)}'
            report.add('images too poor for pairs', person.row.finding(reason), left_out=False)
        else:
            groups.setdefault(person.identity, []).append(person)
    for person, *others in groups.values():
        if not others:
            reason = f'the only one of person {person.identity!r}'
            report.add('images without a partner', person.row.finding(reason), left_out=False)
    names = [[person.file_name for person in group] for group in groups.values()]
    return [pair for group in names for pair in permutations(group, 2)]


def given_pairs(
    path: str | Path, persons: Sequence[Person], dataset: ReidFormat, report: ConversionReport
) -> list[Pair]:
    """The pairs of a file, in its order, whether or not the published rule has them.

    Args:
        path: Pairs file, with images named as in the annotation file or by their path.
        persons: The images.
        dataset: How images are named.
        report: Where pairs are entered that are none, with what became of unknown images.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no pairs file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no pairs file {str(path)!r}')
    known = {dataset.name_key(person.row.name): person for person in persons}
    known |= {person.file_name: person for person in persons}
    lost = {
        dataset.name_key(finding.name): f'is one of the {kind}'
        for kind, findings in report.left_out.items()
        for finding in findings
        if finding.name
    }
    pairs: list[Pair] = []
    for line, cells in read_rows(str(path)):
        names = [cell.strip() for cell in cells]
        ends = [known.get(name) or known.get(dataset.name_key(name)) for name in names]
        both = [person for person in ends if person is not None]
        if len(both) < len(names):
            unknown = names[ends.index(None)]
            why = lost.get(dataset.name_key(unknown), 'is in no row of the annotation file')
            reason = f'{unknown!r} {why}'
        else:
            reason = _why_no_pair(both)
        if reason:
            report.add(GIVEN, Finding(Path(path).name, reason, line, ', '.join(names)))
        else:
            pairs.append((both[0].file_name, both[1].file_name))
    return pairs


def _why_no_pair(persons: Sequence[Person]) -> str:
    if len(persons) != 2:
        return f'{len(persons)} names, not 2'
    first, second = persons
    if first is second:
        return 'an image with itself'
    return '' if first.identity == second.identity else 'two different people'


def sample_pairs(pairs: Sequence[Pair], num_pairs: int, seed: int) -> list[Pair]:
    """Draw different pairs, in random order.

    It is the draw of ``pandas.DataFrame.sample(num_pairs, random_state=seed)``, by which the
    published pairs files were made with seed 0.

    Raises:
        ValueError: If ``num_pairs`` is not between 1 and the number of pairs.
    """
    if not 1 <= num_pairs <= len(pairs):
        raise ValueError(
            f'{num_pairs} pairs were asked for, and there are {len(pairs)}: '
            'ask for 1 to that many, or for all'
        )
    chosen = np.random.RandomState(seed).choice(len(pairs), num_pairs, replace=False)
    return [pairs[index] for index in chosen]


def format_pairs(pairs: Iterable[Pair]) -> str:
    """The text of a pairs file."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows((HEADER, *pairs))
    return text.getvalue()
