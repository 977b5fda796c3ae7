"""What levelling the regions of pose space came to: before, as planned, and as made."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pg2aug.expansion.plan.regions import pose_regions
from pg2aug.expansion.sources.sources import Sources
from pg2aug.poses import PoseBank
from pg2aug.utils.files import load_json


class RegionRow(NamedTuple):
    """A region of pose space.

    Attributes:
        pose: The pose of the bank in its middle.
        before: Persons of the data set in it.
        planned: Persons that were to be added.
        made: Persons that were added.
    """

    pose: int
    before: int
    planned: int
    made: int


def region_rows(
    plan_file: str | Path, sources: Sources, bank: PoseBank, made: Mapping[int, int]
) -> list[RegionRow]:
    """Compare what a plan was to add with what was made; empty where it levels nothing.

    Args:
        plan_file: The plan.json of an expansion.
        sources: What was expanded.
        bank: Target poses, as they were drawn.
        made: How many persons were put into each pose of the bank, by its index.

    Returns:
        The regions, the emptiest first.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no plan of these sources and this bank.
    """
    try:
        plan = load_json(plan_file)
        count, seed = plan['request']['balance'], plan['seed']
        if count is None:
            return []
        before, planned = (plan['images_by_region'][name] for name in ('before', 'added'))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{plan_file} is no plan of an expansion: {error}') from error
    regions = pose_regions(bank, sources.poses, count, seed)
    if regions.counts.tolist() != before:
        raise ValueError(f'{plan_file} is of another data set or another pose bank')
    added = np.zeros(len(before), np.int64)
    for pose, number in made.items():
        added[regions.labels[pose]] += number
    rows = zip(regions.centres.tolist(), before, planned, added.tolist(), strict=True)
    return sorted((RegionRow(*row) for row in rows), key=lambda row: (row.before, row.pose))
