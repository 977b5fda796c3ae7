"""Which runs there are to do, and which are done."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from benchmarks.common.files import ROOT, read_runs
from benchmarks.rare_pose.runs import SHARE, Setting, Size

REGIMES = {'external_bank': 0.0, 'few_rare': 0.025}
DECIDING = {
    'external_bank': ('rotation_oversampling', 'pg2_rotation', 'limb_warp_rotation',
                      'render_rotation', 'baseline', 'rotation', 'oversampling'),
    'few_rare': ('rotation_oversampling', 'pg2_rotation_oversampling',
                 'limb_warp_rotation_oversampling', 'render_rotation', 'baseline', 'rotation',
                 'pg2_rotation'),
}  # fmt: skip
WITHOUT_ROTATION = 'pg2', 'pg2_uniform', 'pg2_rare', 'pg2_unchecked', 'pg2_offline'
OTHERS = {
    'external_bank': (*WITHOUT_ROTATION, 'render'),
    'few_rare': ('oversampling', *WITHOUT_ROTATION),
}


@dataclass(frozen=True)
class Sweep:
    """Runs that differ from those of a regime in one thing.

    Attributes:
        key: What is varied, of :class:`.runs.Setting`.
        regime: Where.
        values: Beside the usual one.
        arms: Those that are run with each value.
        seeds: Of each: such as have the usual run, too, from the same start.
    """

    key: str
    regime: str
    values: tuple[float, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 2)


BOTH = 'rotation_oversampling', 'pg2_rotation'
FEW_BOTH = 'rotation_oversampling', 'pg2_rotation_oversampling'
SWEEPS = (
    Sweep('share', 'external_bank', (0.05, 0.15, 0.3, 0.6), ('pg2_rotation',)),
    # Whether common poses keep more where less is synthesised and oversampled, as is recommended.
    Sweep('share', 'few_rare', (0.3,), FEW_BOTH, seeds=(2, 3, 4)),
    Sweep('images', 'external_bank', (200, 2000, 6000), BOTH),
    Sweep('iterations', 'external_bank', (0, 500, 3000), ('baseline', *BOTH)),
    # The regime's own share is a point, too.
    Sweep('rare_share', 'few_rare', (0.0, 0.005, 0.08), FEW_BOTH, seeds=(2, 3)),
)
SEEDS = {'deciding': 5, 'others': 3}
PARTS = *SEEDS, 'sweeps'


def default_runs(size: str) -> Path:
    """Where the results of a size are, if nobody says otherwise."""
    return ROOT / 'work_dirs' / f'rare_pose_{size}' / 'runs.jsonl'


def settings(size: Size) -> dict[str, list[Setting]]:
    """The runs of each part, in the order in which they are wanted."""

    def usual(regime: str, arms: Sequence[str], seeds: Iterable[int]) -> list[Setting]:
        rare_share = REGIMES[regime]
        return [
            Setting(regime, arm, seed, size.images, rare_share, SHARE, size.iterations)
            for seed in seeds
            for arm in arms
        ]

    parts = {'deciding': DECIDING, 'others': OTHERS}
    found = {
        part: [s for regime in REGIMES for s in usual(regime, arms[regime], range(SEEDS[part]))]
        for part, arms in parts.items()
    }
    found['sweeps'] = [
        replace(setting, **{sweep.key: value})
        for sweep in SWEEPS
        for value in sweep.values
        for setting in usual(sweep.regime, sweep.arms, sweep.seeds)
        # Before any training all arms are one.
        if sweep.key != 'iterations' or value or setting.arm == 'baseline'
    ]
    return found


def done(path: Path) -> set[Setting]:
    """The runs whose results are in a file."""
    names = [field.name for field in fields(Setting)]
    return {Setting(*(run[name] for name in names)) for run in read_runs(path)}
