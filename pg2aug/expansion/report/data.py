"""What the page of a report is filled with."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pg2aug.augment.statistics import NUM_DECILES, rarity_deciles
from pg2aug.expansion.report.coverage import RegionRow, pose_coverage
from pg2aug.expansion.report.sample import MadeSample, RefusedSample
from pg2aug.expansion.sources.sources import Annotation, Sources, annotation_keypoints
from pg2aug.poses import PoseBank

COLUMNS = ('id', 'file', 'source', 'person', 'pose', 'decile', 'rarity', 'passed', 'labelled')


def report_data(
    made: MadeSample,
    refused: RefusedSample,
    sources: Sources,
    bank: PoseBank,
    regions: Sequence[RegionRow] = (),
) -> dict[str, Any]:
    """Numbers, coverage of pose space, and a row of ``COLUMNS`` for each person that is shown.

    Args:
        made: Synthesised persons.
        refused: Attempts that gave no image.
        sources: What was expanded.
        bank: Target poses, as they were drawn.
        regions: Of pose space, where they were levelled.
    """
    deciles = rarity_deciles(bank)
    by_rarity = [0] * NUM_DECILES
    for pose, count in made.poses.items():
        by_rarity[deciles[pose]] += count
    return {
        'num_images': made.num_images,
        'num_annotations': made.num_annotations,
        'num_made': made.poses.total(),
        'num_poses': len(made.poses),
        'num_posed': len(sources.posed),
        'num_sources': len(sources.persons),
        'made_by_rarity': by_rarity,
        'label_check': dict(refused.label_check),
        'reasons': refused.reasons.most_common(),
        'left_out': dict(refused.left_out),
        'coverage': _coverage(made, sources, bank),
        'regions': [row._asdict() for row in regions],
        'columns': COLUMNS,
        'items': [_row(annotation, made, bank, deciles) for annotation in made.shown],
        'refused': [_refused(entry, deciles) for entry in refused.shown],
    }


def _coverage(made: MadeSample, sources: Sources, bank: PoseBank) -> dict[str, Any]:
    # As labelled: joints that failed the check are no part of the data set.
    new = np.stack([annotation_keypoints(annotation) for annotation in made.shown])
    return pose_coverage(bank, sources.poses, (new[..., :2], new[..., 2]))._asdict()


def _row(annotation: Annotation, made: MadeSample, bank: PoseBank, deciles: Any) -> list[Any]:
    image, origin = made.images[annotation['image_id']], annotation['pg2aug']
    pose, passed = origin['target_pose'], annotation['num_keypoints']
    return [
        annotation['id'],
        image['file_name'],
        image['pg2aug']['source_file_name'],
        origin['source_annotation_id'],
        pose,
        int(deciles[pose]),
        round(float(bank.rarity[pose]), 4),
        passed,
        passed + len(origin['failed_joints']),
    ]


def _refused(entry: Mapping[str, Any], deciles: Any) -> dict[str, Any]:
    return {
        'attempt': entry['attempt'],
        'person': entry['source_annotation_id'],
        'pose': entry['target_pose'],
        'decile': int(deciles[entry['target_pose']]),
        'reason': entry['reason'],
        'detail': entry['detail'],
        'failed': list(entry.get('failed_joints', [])),
    }
