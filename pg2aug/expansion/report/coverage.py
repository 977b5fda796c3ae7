"""How much of pose space a data set covers before and after: by rarity, and by region."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pg2aug.augment.statistics import NUM_DECILES, rarity_deciles
from pg2aug.expansion.plan.regions import Regions, pose_regions
from pg2aug.expansion.sources.sources import Sources
from pg2aug.poses import PoseBank
from pg2aug.poses.bank.coverage import (
    ALIKE,
    PosesAndMask,
    in_body_units,
    nearest_distances,
    swapped_by_mirror,
)
from pg2aug.utils.files import load_json

JUDGED = 1000
POSES = 20_000
"""At most this many poses of a data set are compared with: a random choice."""
SHARED = 0.7
"""Least share of a pose's joints that a label must have to be compared with it."""


class PoseCoverage(NamedTuple):
    """Shares of a bank's poses that a data set shows, or shows one much like.

    Attributes:
        radius: Root mean square distance of the joints that both have, in body units, up to which
            poses are alike.
        shared: Least share of a pose's joints that a label must have to be compared with it.
        judged: How many poses of the bank were looked for.
        before: How many labelled poses of the data set they were compared with.
        made: How many labels of new persons they were compared with.
        overall: Share found in the data set before, and after.
        by_rarity: The same for each tenth of the bank, the commonest first; None where none of a
            tenth was looked for.
    """

    radius: float
    shared: float
    judged: int
    before: int
    made: int
    overall: tuple[float, float]
    by_rarity: list[tuple[float, float] | None]


def pose_coverage(
    bank: PoseBank,
    before: tuple[NDArray[Any], NDArray[Any]],
    made: tuple[NDArray[Any], NDArray[Any]],
    seed: int = 0,
) -> PoseCoverage:
    """Measure which poses of a bank a data set shows before and after its expansion.

    What counts is what is labelled, whoever shows it: a pose that was taken from the data set is
    covered before, and one that a person was put into is covered after if the joints that passed
    the label check are enough, and much like it. Unlike in the measure of rarity, joints that a
    label lacks cost nothing.

    Args:
        bank: Of N poses; those that are never drawn are not looked for.
        before: Keypoints (M, K, 2) in pixels and visibility (M, K) of the persons in the data set.
        made: The same of the persons that the expansion added.
        seed: Of the poses that are looked for and compared with, where there are very many.
    """
    rng = np.random.default_rng(seed)
    drawable = np.flatnonzero(bank.weights > 0)
    chosen = np.sort(rng.permutation(len(drawable))[:JUDGED])
    judged = drawable[chosen]
    (poses, visible), own = in_body_units(bank, before, judge=False)
    _, new = in_body_units(bank, made, judge=False)
    own, new = _some(own, rng), _some(new, rng)
    flip = swapped_by_mirror(bank)
    wanted = poses[chosen], visible[chosen]
    nearest = [nearest_distances(wanted, others, SHARED, flip) for others in (own, new)]
    covered = np.minimum.accumulate(np.column_stack(nearest), axis=1) <= ALIKE
    deciles = rarity_deciles(bank)[judged]
    tenths = [covered[deciles == tenth] for tenth in range(NUM_DECILES)]
    shares = [_shares(tenth) if len(tenth) else None for tenth in tenths]
    numbers = len(judged), len(own[0]), len(new[0])
    return PoseCoverage(ALIKE, SHARED, *numbers, _shares(covered), shares)


def _shares(covered: NDArray[np.bool_]) -> tuple[float, float]:
    before, after = covered.mean(axis=0).tolist()
    return before, after


def _some(poses: PosesAndMask, rng: np.random.Generator) -> PosesAndMask:
    """No more than ``POSES`` of them."""
    kept = np.sort(rng.permutation(len(poses[0]))[:POSES])
    return poses[0][kept], poses[1][kept]


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
    plan_file: str | Path,
    sources: Sources,
    bank: PoseBank,
    made: Mapping[int, int],
    regions: Regions | None = None,
) -> list[RegionRow]:
    """Compare what a plan was to add with what was made; empty where it levels nothing.

    Args:
        plan_file: The plan.json of an expansion.
        sources: What was expanded.
        bank: Target poses, as they were drawn.
        made: How many persons were put into each pose of the bank, by its index.
        regions: That the plan was made with; found again if None.

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
    if regions is None:
        regions = pose_regions(bank, sources.poses, count, seed)
    if regions.counts.tolist() != before:
        raise ValueError(f'{plan_file} is of another data set or another pose bank')
    added = np.zeros(len(before), np.int64)
    for pose, number in made.items():
        added[regions.labels[pose]] += number
    rows = zip(regions.centres.tolist(), before, planned, added.tolist(), strict=True)
    return sorted((RegionRow(*row) for row in rows), key=lambda row: (row.before, row.pose))
