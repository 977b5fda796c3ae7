"""The pairs of a converted data set: by the published rule, or those of a file."""

from collections.abc import Sequence
from pathlib import Path

from pg2aug.datasets.conversion_report import ConversionReport
from pg2aug.datasets.pairs_csv import Pair, ordered_pairs, read_pairs_csv
from pg2aug.datasets.pose_csv import Finding
from pg2aug.datasets.reid_formats import Identity, ReidFormat
from pg2aug.datasets.reid_persons import Person

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
            report.note('images too poor for pairs', person.row.line, person.row.name, reason)
        else:
            groups.setdefault(person.identity, []).append(person)
    for person, *others in groups.values():
        if not others:
            reason = f'the only one of person {person.identity!r}'
            report.note('images without a partner', person.row.line, person.row.name, reason)
    return ordered_pairs([person.file_name for person in group] for group in groups.values())


def given_pairs(
    path: str | Path, persons: Sequence[Person], dataset: ReidFormat, report: ConversionReport
) -> list[Pair]:
    """The pairs of a file, in its order, whether or not the published rule has them.

    Args:
        path: Pairs file, with images named as in the annotation file or by their path.
        persons: The images.
        dataset: How images are named.
        report: Where pairs of unknown images are entered, with what became of these.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no pairs file.
    """
    names = {dataset.name_key(person.row.name): person.file_name for person in persons}
    names |= {person.file_name: person.file_name for person in persons}
    lost = {
        dataset.name_key(finding.name): f'is one of the {kind}'
        for kind, findings in report.left_out.items()
        for finding in findings
    }
    pairs: list[Pair] = []
    for row in read_pairs_csv(path):
        ends = [names.get(end) or names.get(dataset.name_key(end)) for end in row[1:]]
        if ends[0] and ends[1]:
            pairs.append((ends[0], ends[1]))
            continue
        for end, found in zip(row[1:], ends, strict=True):
            if not found:
                reason = lost.get(dataset.name_key(end), 'is in no row of the annotation file')
                finding = Finding(Path(path).name, row.line, end, reason if end else 'no name')
                report.left_out['pairs'].append(finding)
                break
    return pairs
