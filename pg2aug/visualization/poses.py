"""Sheets of skeletons: the rarest and the commonest poses of a bank, and made-up ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.poses.bank.coverage import ALIKE, in_body_units, nearer_distances
from pg2aug.poses.bank.pose_bank import PoseBank
from pg2aug.poses.bank.rarity import COST_SAMPLE, missing_joint_cost
from pg2aug.poses.skeleton import Skeleton
from pg2aug.visualization.skeletons import Image, contact_sheet, skeleton_image

_CELL = (120, 150)
_COLUMNS, _ROWS = 10, 5
_TRIPLETS = 3
_LOOKED_AT = 2000


def pose_thumbnail(
    keypoints: NDArray[Any],
    visible: NDArray[Any],
    skeleton: Skeleton,
    size: tuple[int, int] = _CELL,
) -> Image:
    """Draw a pose as large as it fits into ``size`` (width, height) with a margin."""
    known = np.asarray(visible) > 0
    low, high = keypoints[known].min(axis=0), keypoints[known].max(axis=0)
    scale = (0.8 * np.array(size) / np.maximum(high - low, 1e-6)).min()
    moved = (keypoints - (low + high) / 2) * scale + np.array(size) / 2
    return skeleton_image(size, moved, known.astype(float), skeleton)


def ranked_sheet(bank: PoseBank, order: NDArray[np.int64], title: str) -> Image:
    """The first poses of an order, row by row, with their rarity and how often they are drawn.

    Poses that look like one already shown (:func:`unlike_poses`) are left out: a video would fill
    the sheet with one pose.
    """
    shown = unlike_poses(bank, order, _COLUMNS * _ROWS)
    rows, captions = [], []
    for start in range(0, len(shown), _COLUMNS):
        part = shown[start : start + _COLUMNS]
        row = [pose_thumbnail(bank.keypoints[i], bank.visible[i], bank.skeleton) for i in part]
        blank = np.full((_CELL[1], _CELL[0], 3), 255, np.uint8)
        rows.append(row + [blank] * (_COLUMNS - len(row)))
        relative = bank.weights[part] * len(bank)
        captions.append(
            f'{title} {start + 1}-{start + len(part)}, alike ones left out: rarity '
            f'{_span(bank.rarity[part])}, drawn {_span(relative)} times as often as uniformly'
            + (' (blue: left, orange: right)' if start == 0 else '')
        )
    return contact_sheet(rows, [''] * _COLUMNS, captions=captions)


def unlike_poses(
    bank: PoseBank, order: NDArray[np.int64], count: int, distance: float = ALIKE
) -> NDArray[np.int64]:
    """The first ``count`` poses of an order that are no nearer to each other than ``distance``.

    Args:
        bank: The bank.
        order: Indices of drawable poses; the first 2,000 are looked at.
        count: How many are wanted; fewer may be found.
        distance: In body units, root mean square over the joints, mirrored or not.
    """
    looked_at = order[:_LOOKED_AT]
    chosen = bank.keypoints[looked_at], bank.visible[looked_at]
    _, (poses, visible) = in_body_units(bank, chosen, judge=False)
    cost = missing_joint_cost(poses[:COST_SAMPLE], visible[:COST_SAMPLE])
    distances = nearer_distances(
        (poses, visible), (poses, visible), cost, bank.skeleton.flip_indices
    )
    kept: list[int] = []
    for index in range(len(looked_at)):
        if len(kept) < count and (distances[index, kept] > distance).all():
            kept.append(index)
    return looked_at[kept]


def novel_sheet(bank: PoseBank, parents: NDArray[np.int64], seed: int = 0) -> Image:
    """Made-up poses between their parents: triplets of first parent, new pose, second parent."""
    count, triplets = len(parents), min(_TRIPLETS, len(parents))
    rng = np.random.default_rng(seed)
    shown = rng.permutation(count)[: triplets * min(_ROWS, count // triplets)]
    cells = [
        pose_thumbnail(bank.keypoints[i], bank.visible[i], bank.skeleton)
        for new in shown
        for i in (parents[new, 0], len(bank) - count + new, parents[new, 1])
    ]
    titles = ['parent', 'NEW', 'other parent'] * triplets
    width = len(titles)
    rows = [cells[start : start + width] for start in range(0, len(cells), width)]
    return contact_sheet(rows, titles)


def _span(values: NDArray[Any]) -> str:
    low, high = f'{values.min():.2f}', f'{values.max():.2f}'
    return low if low == high else f'{low} to {high}'
