"""One run: data, generator, training and test, through the product's own ways."""

import hashlib
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from benchmarks.common.files import CONFIGS, METAINFO, PG2_CONFIGS, locked, write_json
from benchmarks.common.machine import commit
from benchmarks.common.tools import GeneratorSize, generator_options, run_tool, train_generator
from benchmarks.rare_pose.arms import ARMS, MAX_VIEW_CHANGE, arm_config, extra_source
from benchmarks.rare_pose.worlds import TestSet, World

PCK_THRESHOLD = 0.1
SHARE = 0.5
"""Of synthesised, rendered or oversampled samples, where it is not what is varied."""

GENERATORS = {'self': 'pg2-self_figures-64x48.py', 'paper': 'paper/pg2_figures-64x48.py'}
PRETRAINING_SEED, PRETRAINING_LR, CHECKPOINT_INTERVAL = 700, 2e-3, 1000


@dataclass(frozen=True)
class Size:
    """How large the experiment is.

    Attributes:
        config: The estimator's, in benchmarks/configs.
        image: (width, height) of the images.
        pretraining: Images of other people in common poses that the estimator, from which all runs
            start, has learnt from, as users start from what was learnt from COCO; and iterations.
        images: Training images.
        iterations: Of the estimator.
        generator: What synthesises, and how long it learns.
        renders: True renders to mix in.
        offline: Images to expand the training set by.
    """

    config: str
    image: tuple[int, int]
    pretraining: tuple[int, int]
    images: int
    iterations: int
    generator: GeneratorSize
    renders: int
    offline: int


SIZES = {
    'cpu': Size(
        'rare_pose_figures-128x96.py',
        (128, 128), (6000, 5000), 600, 1500,
        GeneratorSize((96, 128), 16, 4, 16, 1000, 50), 3000, 1800,
    ),
    'gpu': Size(
        'rare_pose_figures-256x192.py',
        (256, 256), (20000, 10000), 600, 3000,
        GeneratorSize((192, 256), 64, 5, 32, 6000, 1000), 6000, 3600,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What a run is of; see :class:`benchmarks.rare_pose.worlds.World`.

    Attributes:
        regime: 'external_bank' or 'few_rare'.
        arm: Name of the arm.
        seed: Of people, generator and estimator.
        images: Training images.
        rare_share: Share of them in rare poses.
        share: Share of synthesised, rendered or oversampled samples.
        iterations: Of the estimator; 0 tests the one that all runs start from.
    """

    regime: str
    arm: str
    seed: int
    images: int
    rare_share: float
    share: float
    iterations: int

    @property
    def name(self) -> str:
        """Of the run's folder."""
        return '_'.join(f'{value:g}' if isinstance(value, float) else str(value)
                        for value in asdict(self).values())  # fmt: skip


def run(setting: Setting, size: Size, work_dir: Path) -> dict[str, Any]:
    """Train and test an arm; what came out, ready to be written as json."""
    world = world_of(setting, size, work_dir)
    return run_in(world, setting, size, work_dir, pretrained(size, work_dir))


def run_in(
    world: World, setting: Setting, size: Size, work_dir: Path, start: Path
) -> dict[str, Any]:
    """Train and test an arm in a given world, from a given checkpoint of the estimator."""
    from mmengine.runner import Runner

    import pg2aug  # noqa: F401  (what lets MMPose's models import with mmcv-lite)

    started, code = time.monotonic(), commit()
    folder = work_dir / 'runs' / setting.name
    arm = ARMS[setting.arm]
    with locked(world.folder):
        test = world.test()
        base = _config(size, world, folder, setting.iterations, setting.seed)
        base.merge_from_dict(_testing(test, folder))
        for uniform in (False, arm.uniform):
            world.bank(uniform)
        if arm.extra == 'render':
            world.render(size.renders)
    generator = _generator(
        arm.generator or ('self' if arm.extra == 'offline' else None), world, size
    )
    offline = _offline(world, generator, size) if arm.extra == 'offline' else None
    extra = extra_source(arm, world, offline, size.renders)
    cfg = arm_config(arm, base, world, setting.share, generator, extra)
    trained = time.process_time()
    cfg.load_from = str(start)
    runner = Runner.from_cfg(cfg)
    # Nearly twice as fast on a CPU.
    runner.model.to(memory_format=torch.channels_last)
    if setting.iterations:
        runner.train()
    # Of the processor: other runs take turns with this one.
    seconds = time.process_time() - trained
    runner.test()
    scores = _scores(folder / 'predictions.pkl', test, runner.test_dataloader.dataset.metainfo)
    return {
        **asdict(setting),
        **scores,
        'accepted': _accepted(runner),
        'seconds': {'training': round(seconds), 'all': round(time.monotonic() - started)},
        'commit': code,
        'start': hashlib.sha256(start.read_bytes()).hexdigest()[:8],
    }


def world_of(setting: Setting, size: Size, work_dir: Path) -> World:
    """What a run trains and tests on."""
    name = f'{setting.regime}_{setting.images}_{setting.rare_share:g}_{setting.seed}'
    return World(
        work_dir / 'worlds' / name,
        setting.seed,
        setting.images,
        setting.rare_share,
        setting.regime == 'external_bank',
        size.image,
    )


def pretrained(size: Size, work_dir: Path) -> Path:
    """The estimator that all runs start from."""
    from mmengine.runner import Runner

    folder = work_dir / 'pretrained'
    images, iterations = size.pretraining
    with locked(folder):
        checkpoint = folder / f'iter_{iterations}.pth'
        if not checkpoint.exists():
            world = World(folder, PRETRAINING_SEED, images, 0.0, False, size.image)
            cfg = _config(size, world, folder, iterations, PRETRAINING_SEED)
            cfg.merge_from_dict(
                {
                    'resume': True,
                    'optim_wrapper.optimizer.lr': PRETRAINING_LR,
                    'default_hooks.checkpoint.interval': CHECKPOINT_INTERVAL,
                    'test_dataloader': None,
                    'test_evaluator': None,
                    'test_cfg': None,
                }
            )
            Runner.from_cfg(cfg).train()
    return checkpoint


def _config(size: Size, world: World, folder: Path, iterations: int, seed: int) -> Config:
    """The baseline on a world's training set."""
    cfg = Config.fromfile(CONFIGS / size.config)
    train = world.train()
    cfg.merge_from_dict(
        {
            'work_dir': str(folder),
            'randomness.seed': seed,
            'train_dataloader.dataset.data_root': f'{train.parent}/',
            'train_dataloader.dataset.ann_file': train.name,
            'train_cfg.max_iters': iterations,
            'param_scheduler.0.T_max': iterations,
            'default_hooks.checkpoint.interval': iterations,
        }
    )
    return cfg


def _testing(test: TestSet, folder: Path) -> dict[str, Any]:
    return {
        'test_dataloader.dataset.data_root': f'{test.path.parent}/',
        'test_dataloader.dataset.ann_file': test.path.name,
        'test_evaluator.out_file_path': str(folder / 'predictions.pkl'),
    }


def _generator(name: str | None, world: World, size: Size) -> dict[str, Any] | None:
    """Argument of PG2Augment: a generator trained on the training set, or none."""
    if name is None:
        return None
    if name == 'warp':
        return dict(type='LimbWarpGenerator', metainfo=METAINFO, size=size.generator.crop)
    config = PG2_CONFIGS / GENERATORS[name]
    folder = world.folder / f'generator_{name}'
    checkpoint = folder / f'iter_{size.generator.stage1_iters + size.generator.stage2_iters}.pth'
    # Takes minutes, in which arms that need another one need not wait.
    with locked(folder):
        if not checkpoint.exists():
            train = world.train()
            data = {'data_root': f'{train.parent}/', 'ann_file': train.name}
            data |= {'data_prefix.img': 'images/train/'}
            options = generator_options(size.generator, world.seed, data)
            if name == 'self':
                # The poses that people are sent through are those that they will be put into.
                options['train_dataloader.dataset.pose_bank'] = world.bank()
            train_generator(config, folder, options)
    return dict(config=str(folder / config.name), checkpoint=str(checkpoint))


def _offline(world: World, generator: dict[str, Any] | None, size: Size) -> Path:
    """The training set, expanded by tools/synthesize.py."""
    folder = world.folder / 'offline'
    train = world.train()
    options = ['--config', generator['config'], '--checkpoint', generator['checkpoint']]
    options += ['--ann-file', train, '--img-root', train.parent / 'images' / 'train']
    options += ['--pose-bank', world.bank(), '--num', size.offline, '--seed', world.seed]
    options += ['--max-view-change', MAX_VIEW_CHANGE, '--out', folder]
    with locked(world.folder / 'expansion'):
        if not (folder / 'person_keypoints.json').exists():
            run_tool('synthesize.py', *options)
    return folder


def _scores(path: Path, test: TestSet, metainfo: dict[str, Any]) -> dict[str, Any]:
    """AP and PCK of each subset of the test set, by MMPose's own metrics."""
    from mmengine.evaluator import Evaluator
    from mmengine.fileio import load
    from mmpose.evaluation.metrics import CocoMetric, PCKAccuracy

    samples = load(path)
    scores = {}
    for name, ids in test.subsets().items():
        content = test.content
        chosen = [a for a in content['annotations'] if a['id'] in ids]
        images = {a['image_id'] for a in chosen}
        ann_file = path.with_name(f'{name}.json')
        part = content | {
            'annotations': chosen,
            'images': [image for image in content['images'] if image['id'] in images],
        }
        write_json(ann_file, part)
        evaluator = Evaluator(
            [PCKAccuracy(thr=PCK_THRESHOLD, prefix='pck'), CocoMetric(str(ann_file))]
        )
        evaluator.dataset_meta = metainfo
        found = evaluator.offline_evaluate([s for s in samples if s['id'] in ids])
        ann_file.unlink()
        scores[name] = {'ap': found['coco/AP'], 'pck': found['pck/PCK']}
    families = {name: scores.pop(name) for name in list(scores)
                if name not in ('rare', 'common', 'rarest')}  # fmt: skip
    return {**scores, 'families': families}


def _accepted(runner: Any) -> float | None:
    """Mean share of synthesised persons that the label check accepted; None without synthesis."""
    shares = runner.message_hub.log_scalars.get('train/pg2/persons')
    return None if shares is None else float(shares.mean())


os.environ.setdefault('OMP_NUM_THREADS', '1')
