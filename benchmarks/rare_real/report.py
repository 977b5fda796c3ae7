"""What is run on real frames, and the report of it."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.files import Runs, write_report
from benchmarks.rare_pose.markdown import regime_tables
from benchmarks.rare_pose.report import SUBSETS, regime_report
from benchmarks.rare_pose.runs import SHARE, SIZES, Setting
from benchmarks.rare_real.world import BANKS, VIEWS

SIZE = replace(
    SIZES['cpu'],
    config='rare_real_balance4view-128x96.py',
    images=60,
    iterations=120,
    generator=replace(SIZES['cpu'].generator, stage1_iters=350, stage2_iters=30),
)
ARMS = {
    'motion_bank': ('baseline', 'rotation_oversampling', 'render', 'limb_warp', 'pg2'),
    'coco_bank': ('limb_warp', 'pg2'),
}
"""Those of the other bank that synthesise nothing are the same."""


def settings() -> list[Setting]:
    """The runs in the order in which they are wanted; four seeds hold out each camera once."""
    return [
        Setting(regime, arm, seed, SIZE.images, 0.0, SHARE, SIZE.iterations)
        for seeds in (range(4), range(4, 8))
        for regime, arms in ARMS.items()
        for seed in seeds
        for arm in arms
    ]


def view_of(seed: int) -> int:
    """The camera that is held out."""
    return VIEWS[seed % len(VIEWS)]


def real_report(runs: Runs) -> dict[str, Any]:
    """All that is reported; a "seed" is a held-out camera, the mean of the trainings with it."""
    found = {}
    for regime in BANKS:
        shared = [arm for arm in ARMS['motion_bank'] if arm.split('_')[0] not in ('pg2', 'limb')]
        own = [run for run in runs if run['regime'] == regime or run['arm'] in shared]
        if any(run['regime'] == regime for run in own):
            found[regime] = regime_report(_by_camera(own))
    groups = _grouped(runs)
    return {
        'iterations': SIZE.iterations,
        'cameras': len({camera for _, _, camera in groups}),
        'trainings': max((len(of) for of in groups.values()), default=0),
        'regimes': found,
    }


def _grouped(runs: Runs) -> dict[tuple[str, str, int], Runs]:
    groups = defaultdict(list)
    for run in runs:
        groups[run['regime'], run['arm'], view_of(run['seed'])].append(run)
    return groups


def _by_camera(runs: Runs) -> Runs:
    """One run for each arm and camera: trainings with the same camera are not independent."""
    return [
        of_camera[0]
        | {'seed': camera, 'accepted': _mean([run['accepted'] for run in of_camera])}
        | {subset: _mean([run[subset] for run in of_camera]) for subset in (*SUBSETS, 'families')}
        for (_, _, camera), of_camera in _grouped(runs).items()
    ]


def _mean(values: list[Any]) -> Any:
    """The mean of numbers, or of what is under each key of dicts of them."""
    if isinstance(values[0], dict):
        return {key: _mean([value[key] for value in values]) for key in values[0]}
    return None if values[0] is None else float(np.mean(values))


INTRODUCTION = """\
# Rare poses, on real images

`python -m benchmarks.rare_real`: one man before four cameras (balance4view, frames of the Pose2Sim
demo data at half size, BSD-3-Clause; joints are OpenPose's estimates). An estimator that knows
procedural people learns for {iterations} iterations from 60 frames, 15 of each camera, in which he
stands. It is tested on later frames of one camera, which is held out, and on the last of all.

- *Common*: he starts to move, before the held-out camera: near to what was learnt.
- *Rare*: he leans over with a leg in the air before the held-out camera, or balances with his arms
  out before any.
- *Rarest*: the rarest tenth of all test poses, seen from the training poses.

**One man, one room, one motion.** What is new in the test are his poses alone: a gain says nothing
about other people or places. Cameras held out, one at a time: {cameras} of 4; trainings of an arm
with each of them: {trainings} at most. A "seed" of the tables is a camera, and intervals and tests
are over cameras, which share most training frames, late frames and poses of the bank: intervals are
too narrow. No image of the test, and no pose of the held-out camera but standing, is in any
training, generator or bank.
"""
REGIMES = {
    'motion_bank': 'The bank: 135 poses without images, of the other three cameras while he leans '
    'over. They show the motion of the test from other sides: as good a bank as one may hope for. '
    '"True render" learns from the very frames of these poses.',
    'coco_bank': 'The bank: the poses of 19 people of COCO (coco_ccby). Arms that synthesise '
    'nothing are the same as above.',
}


def real_markdown(report: dict[str, Any]) -> str:
    """The whole report."""
    lines = INTRODUCTION.format(**report).splitlines()
    for regime, found in report['regimes'].items():
        lines += ['', f'## {regime}', '', REGIMES[regime], '', *regime_tables(found)]
    return '\n'.join([*lines, ''])


def report(runs: Runs, out: Path) -> None:
    """Write rare_real.json and rare_real.md."""
    found = real_report(runs)
    write_report(out / 'rare_real', found, real_markdown(found))
