"""The arms of the experiment: what each adds to an MMPose config."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmengine.config import Config

from benchmarks.common.files import METAINFO
from benchmarks.rare_pose.worlds import World

MAX_VIEW_CHANGE = 60
OVERSAMPLED = 20_000
"""Images drawn for the second source of a mix; far more than a training uses twice."""


@dataclass(frozen=True)
class Arm:
    """A way to train.

    Attributes:
        rotation: Whether images are rotated up to 180 degrees, not MMPose's 80.
        extra: What a share of every batch is taken from, beside the training set.
        generator: What synthesises: 'self' (recommended), 'paper', 'warp' (no learning), or None.
        uniform: Whether all poses of the bank are drawn alike.
        check: Config of the label check.
    """

    rotation: bool = False
    extra: Literal['oversampled', 'render', 'offline'] | None = None
    generator: Literal['self', 'paper', 'warp'] | None = None
    uniform: bool = False
    check: dict[str, Any] | None = None


APPEARANCE = dict(type='AppearanceCheck')
TITLES = {
    'baseline': 'usual augmentation',
    'rotation': 'rotation up to 180',
    'oversampling': 'oversampling',
    'rotation_oversampling': 'rotation, oversampling',
    'pg2_uniform': 'PG2 as in the paper, uniform targets',
    'pg2_rare': 'PG2 as in the paper, rare targets',
    'pg2': 'PG2Augment',
    'pg2_rotation': 'PG2Augment, rotation',
    'pg2_rotation_oversampling': 'PG2Augment, rotation, oversampling',
    'limb_warp': 'limb warp',
    'limb_warp_rotation': 'limb warp, rotation',
    'limb_warp_rotation_oversampling': 'limb warp, rotation, oversampling',
    'pg2_unchecked': 'PG2Augment, no check',
    'pg2_own_check': 'PG2Augment, checked by the estimator',
    'pg2_offline': 'expanded offline',
    'render': 'true render',
    'render_rotation': 'true render, rotation',
}
"""Arms as tables name them, in their order; also ``pg2_own_check``, which was run and cannot be any
more: the project has no such check now, because of what it did."""

_BOTH = dict(rotation=True, extra='oversampled')
_PG2 = dict(generator='self', check=APPEARANCE)
_WARP = dict(generator='warp', check=APPEARANCE)
_PAPER = dict(generator='paper', check=APPEARANCE)
ARMS = {
    'baseline': Arm(),
    'rotation': Arm(rotation=True),
    'oversampling': Arm(extra='oversampled'),
    'rotation_oversampling': Arm(**_BOTH),
    'pg2_uniform': Arm(uniform=True, **_PAPER),
    'pg2_rare': Arm(**_PAPER),
    'pg2': Arm(**_PG2),
    'pg2_rotation': Arm(rotation=True, **_PG2),
    'pg2_rotation_oversampling': Arm(**_BOTH, **_PG2),
    'limb_warp': Arm(**_WARP),
    'limb_warp_rotation': Arm(rotation=True, **_WARP),
    'limb_warp_rotation_oversampling': Arm(**_BOTH, **_WARP),
    'pg2_unchecked': Arm(generator='self'),
    'pg2_offline': Arm(extra='offline'),
    'render': Arm(extra='render'),
    'render_rotation': Arm(rotation=True, extra='render'),
}
"""Arms that can be run."""


def arm_config(
    arm: Arm, base: Config, world: World, share: float, generator: dict[str, Any] | None, extra: Any
) -> Config:
    """An MMPose config that trains an arm.

    Args:
        arm: The arm.
        base: Config of the baseline, its data set being the training set.
        world: The training set and its poses.
        share: Of synthesised or extra samples.
        generator: Argument of PG2Augment.
        extra: Changes to the data set's config that make it the extra one.
    """
    cfg = copy.deepcopy(base)
    pipeline = cfg.train_dataloader.dataset.pipeline
    if arm.rotation:
        transform = next(t for t in pipeline if t.type == 'RandomBBoxTransform')
        transform.rotate_factor = 180.0
    if arm.generator is not None:
        augment = dict(
            type='PG2Augment',
            generator=generator,
            pose_bank=str(world.bank(arm.uniform)),
            max_view_change=MAX_VIEW_CHANGE,
            prob=share,
            check=arm.check,
        )
        pipeline.insert(1, augment)
        cfg.custom_hooks = [dict(type='PG2Hook', interval=10)]
    if extra is not None:
        _mix(cfg, extra, share)
    return Config(cfg.to_dict())


def _mix(cfg: Config, extra: dict[str, Any], share: float) -> None:
    """Take a share of every batch from a second data set, by MMPose's own means."""
    loader = cfg.train_dataloader
    second = Config(loader.dataset.to_dict())
    # What is drawn more often for its pose keeps it.
    second.pipeline = [step for step in second.pipeline if step.type != 'PG2Augment']
    second.merge_from_dict(extra)
    loader.dataset = dict(
        type='CombinedDataset',
        metainfo=METAINFO,
        datasets=[loader.dataset, second.to_dict()],
        pipeline=[],
    )
    loader.sampler = dict(
        type='MultiSourceSampler',
        batch_size=loader.batch_size,
        source_ratio=[1 - share, share],
        seed=cfg.randomness.seed,
    )


def extra_source(arm: Arm, world: World, offline: Path | None, renders: int) -> Any:
    """What makes the training set's config that of an arm's second source; None without one."""
    if arm.extra == 'oversampled':
        return dict(indices=world.oversampled(OVERSAMPLED))
    if arm.extra == 'render':
        path = world.render(renders)
        return {'ann_file': path.name, 'data_prefix.img': 'images/render/'}
    if arm.extra == 'offline':
        root = f'{offline}/'
        return {
            'data_root': root,
            'ann_file': 'person_keypoints.json',
            'data_prefix.img': 'images/',
        }
    return None
