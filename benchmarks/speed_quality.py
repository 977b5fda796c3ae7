"""The quality of smaller generators, beside their speed: label_fidelity.py at other sizes."""

from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from fidelity_report import KINDS
from fidelity_training import SIZES, Size, load_judge, train_generator, train_judge
from fidelity_worlds import World, figures_world
from label_fidelity import ROOT, run_seed
from speed_setup import generator_config, make_batch
from speed_timing import alternate, ratio, remember, spread, timed

from pg2aug.augment import AppearanceCheck, Synthesizer
from pg2aug.registry import MODELS

TRAINING = 'pg2-self'
ARMS_SHOWN = ('self_pairs', 'limb_warp', 'true_low')
PER_PERSON = 4
FRAME = (96, 128)


def variants(size: str) -> dict[str, Size]:
    """Generators to compare, by name: what :mod:`label_fidelity` measures, and its neighbours."""
    known = SIZES[size]
    width, height = known.crop
    double = replace(known, crop=(2 * width, 2 * height))
    if size == 'gpu':
        shapes = [(shape, channels) for shape in (known, double) for channels in (32, 64)]
    else:
        half = replace(known, crop=(width // 2, height // 2))
        shapes = [(known, 16), (known, 32), (known, 64), (half, 32), (double, 16)]
    made = [replace(shape, base_channels=channels) for shape, channels in shapes]
    return {f'w{s.base_channels}_{s.crop[1]}x{s.crop[0]}': s for s in made}


@dataclass(frozen=True)
class QualitySize:
    """How large the measurement is.

    Attributes:
        size: 'cpu' or 'gpu', of label_fidelity.py.
        variants: Names of :func:`variants`; times are multiples of the first one's.
        seeds: One training each.
        batch_size: Persons at once, when it is timed.
        rounds: Times that all take turns.
    """

    size: str
    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    batch_size: int
    rounds: int


def judge_variant(
    size: Size, seeds: tuple[int, ...], world: World, judge: Any, folder: Path, device: str
) -> dict[str, Any]:
    """Train a generator for each seed, and have the people judged that it makes."""
    args = Namespace(work_dir=folder, per_person=PER_PERSON, arms=list(ARMS_SHOWN))
    for seed in seeds:
        train_generator(TRAINING, seed, world.train[seed], folder, size, jobs=1)
        run_seed(seed, world, judge, args, size, device)
    judged: dict[str, Any] = {
        'crop': list(size.crop),
        'base_channels': size.base_channels,
        'iterations': [size.stage1_iters, size.stage2_iters],
    }
    for arm in ARMS_SHOWN:
        runs = [np.load(folder / 'results' / str(seed) / f'{arm}.npz') for seed in seeds]
        judged[arm] = {
            kind: spread([hit_share(run, run['rare'] == (kind == 'rare')) for run in runs])
            for kind in KINDS
        }
    return judged


def hit_share(run: Any, chosen: np.ndarray) -> float:
    """Joints found on synthesised people, as a share of those found on the true images."""
    return float(run['hits'][chosen].sum() / run['true_hits'][chosen].sum())


def untrained(size: Size) -> Any:
    """The generator of a variant before its training, which does not change its speed."""
    cfg = generator_config(f'{TRAINING}_figures-64x48')
    cfg.model.size = size.crop
    for name, fewer in (('generator1', 0), ('generator2', 2)):
        network = dict(base_channels=size.base_channels, num_blocks=size.num_blocks - fewer)
        cfg.model[name].update(network)
    model = MODELS.build(dict(cfg.model, stage1_iters=0, _scope_='pg2aug'))
    return model.eval().requires_grad_(False)


def time_variants(
    sizes: dict[str, Size], people: Path, size: QualitySize, device: str
) -> dict[str, Any]:
    """Time of each variant's synthesis over that of the first, in turn."""
    calls = {}
    for name in size.variants:
        model = untrained(sizes[name])
        synthesizer = Synthesizer(model, check=AppearanceCheck(), device=device)
        batch = make_batch(people, size.batch_size, sizes[name].crop, FRAME)
        calls[name] = lambda s=synthesizer, b=batch: timed(lambda: s(b.images, b.plans, b.matrices))
    seconds = alternate(calls, size.rounds)
    first = size.variants[0]
    return {
        name: {
            'relative': ratio(seconds, name, first),
            'images_per_second': spread([size.batch_size / s for s in taken]),
        }
        for name, taken in seconds.items()
    }


def run_quality(size: QualitySize, people: Path, work_dir: Path, device: str) -> dict[str, Any]:
    """The part ``quality`` of speed.py.

    The people, the judge and the generators of label_fidelity.py of that size are used, and made
    where they are not there.
    """
    known, sizes = SIZES[size.size], variants(size.size)
    fidelity = ROOT / 'work_dirs' / f'label_fidelity_figures_{size.size}'
    folder, trained = work_dir / 'quality', work_dir / 'trained'
    world = figures_world(fidelity / 'figures', list(size.seeds), known.judge_people, known.people)
    judge = load_judge(train_judge(world.judge, fidelity / 'judge', known), device)
    folders = {n: fidelity if sizes[n] == known else trained / n for n in size.variants}
    judged = {
        name: remember(
            folder / f'{name}.json',
            lambda n=name: judge_variant(sizes[n], size.seeds, world, judge, folders[n], device),
        )
        for name in size.variants
    }
    times = remember(folder / 'times.json', lambda: time_variants(sizes, people, size, device))
    return {
        'quality': {name: judged[name] | times[name] for name in size.variants},
        'quality_seeds': list(size.seeds),
    }
