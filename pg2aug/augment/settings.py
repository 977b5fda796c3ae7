"""Arguments of PG2Augment, checked: each by itself, and with the generator or PG2Hook."""

import os

from pg2aug.augment.extras.pool import pool_slots
from pg2aug.augment.synthesis.inference import PRECISIONS
from pg2aug.poses import Skeleton
from pg2aug.utils.arguments import check_megabytes, check_switch


def check_numbers(
    prob: float, min_joints_ok: float, max_draws: int, min_visible: int, reuse: int
) -> None:
    """Raise ValueError for shares beyond [0, 1] and counts that are too small."""
    if not 0 <= prob <= 1:
        raise ValueError(f'PG2Augment: prob must be in [0, 1], got {prob}')
    if not 0 <= min_joints_ok <= 1:
        raise ValueError(f'PG2Augment: min_joints_ok must be in [0, 1], got {min_joints_ok}')
    if max_draws < 1 or min_visible < 3:
        raise ValueError(
            'PG2Augment: max_draws must be at least 1 and min_visible at least 3, got '
            f'{max_draws} and {min_visible}'
        )
    if not isinstance(reuse, int) or isinstance(reuse, bool) or reuse < 1:
        raise ValueError(
            f'PG2Augment: reuse must be a whole number from 1 on, got {reuse!r}: set reuse=1 '
            'for a new pose each time'
        )


def check_synthesis(precision: str, compile: bool, cuda_graphs: bool, pool_mb: float) -> None:
    """Raise ValueError for settings of the synthesis that mean nothing."""
    check_megabytes('PG2Augment: pool_mb', pool_mb, 'leave it out for 1024')
    check_switch('PG2Augment: compile', compile)
    check_switch('PG2Augment: cuda_graphs', cuda_graphs)
    if precision not in PRECISIONS:
        raise ValueError(
            f'PG2Augment: precision must be one of {", ".join(PRECISIONS)}, got {precision!r}'
        )


def check_files(pose_bank: str, neighbours: str | None) -> None:
    """Raise FileNotFoundError for files that are not there."""
    if not os.path.isfile(pose_bank):
        raise FileNotFoundError(
            f'PG2Augment: pose_bank {pose_bank!r} does not exist: build one with '
            'tools/build_pose_bank.py, or give a COCO keypoint json'
        )
    if neighbours is not None and not os.path.isfile(neighbours):
        raise FileNotFoundError(
            f'PG2Augment: neighbours {neighbours!r} does not exist: give the annotation file '
            'of the dataset'
        )


def check_view_change(max_view_change: float | None, skeleton: Skeleton) -> None:
    """Raise ValueError for an angle that there is not, or that the skeleton does not tell."""
    if max_view_change is None:
        return
    if not 0 < max_view_change <= 180:
        raise ValueError(
            'PG2Augment: max_view_change must be in (0, 180] degrees or None, got '
            f'{max_view_change}'
        )
    if not skeleton.torso:
        raise ValueError(
            'PG2Augment: max_view_change needs shoulders and hips, which the skeleton of the '
            'generator lacks: leave it out'
        )


def check_pool(reuse: int, pool_mb: float, size: tuple[int, int]) -> None:
    """Raise ValueError where a pool is needed that has no room for a crop of (width, height)."""
    if reuse > 1 and pool_slots(pool_mb, size) < 1:
        raise ValueError(
            f'PG2Augment: pool_mb={pool_mb} has no room for a single crop of '
            f'{size[0]}x{size[1]}: make it larger, or set reuse=1'
        )


def check_direct(reuse: int, cuda_graphs: bool) -> None:
    """Raise ValueError where something is asked for that only PG2Hook can do."""
    add = "add custom_hooks=[dict(type='pg2aug.PG2Hook')] to the config"
    if reuse > 1:
        raise ValueError(
            f'PG2Augment(reuse={reuse}) needs a pool of what was synthesised: {add}, or set reuse=1'
        )
    if cuda_graphs:
        raise ValueError(
            'PG2Augment(cuda_graphs=True) replays steps for batches, and by itself the transform '
            f'synthesises one person at a time: {add}, or set cuda_graphs=False'
        )
