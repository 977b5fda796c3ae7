"""The paper's six systems, trained and tested with the project's own tools."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pg2aug.figures import make_figures
from pg2aug.utils.files import file_sha256

ROOT = Path(__file__).resolve().parents[1]
IMAGES_PER_PERSON = 6
TEST_PEOPLE_FROM = 100_000


@dataclass(frozen=True)
class System:
    """A row of Table 1.

    Attributes:
        title: Its name in the paper.
        training: The config that trains it, without the data's name.
        image: Which output is tested. Stage I of the full model is G1-poseMaskLoss, and G1 is
            frozen after it: the coarse image of the one is the image of the other.
    """

    title: str
    training: str
    image: str = 'refined'


SYSTEMS = {
    'g1-ce-l1': System('G1-CE-L1', 'g1-ce-l1'),
    'g1-hme-l1': System('G1-HME-L1', 'g1-hme-l1'),
    'g1-l1': System('G1-L1', 'g1-l1'),
    'g1-mask': System('G1-poseMaskLoss', 'pg2', 'coarse'),
    'g1-d': System('G1+D', 'g1-d'),
    'pg2': System('G1+G2+D', 'pg2'),
}
TRAININGS = ('pg2', 'g1-l1', 'g1-hme-l1', 'g1-ce-l1', 'g1-d')


@dataclass(frozen=True)
class Size:
    """How large a run is: crops, networks, people, and the iterations of both stages."""

    crop: tuple[int, int]
    base_channels: int
    num_blocks: int
    discriminator: tuple[int, ...]
    batch_size: int
    stage1_iters: int
    stage2_iters: int
    people: int
    test_people: int
    test_pairs: int


SIZES = {
    'cpu': Size((48, 64), 32, 4, (32, 64, 128), 8, 2400, 800, 300, 60, 300),
    'gpu': Size((64, 128), 128, 5, (64, 128, 256, 512), 16, 22000, 14000, 2000, 200, 4000),
}


def make_people(folder: Path, size: Size) -> None:
    """People in the common poses, as pedestrians are; those of the test are others."""
    for split, count, first in (
        ('train', size.people, 0),
        ('val', size.test_people, TEST_PEOPLE_FROM),
    ):
        if not (folder / f'person_keypoints_{split}.json').exists():
            width, height = size.crop
            make_figures(
                folder,
                num_people=count,
                images_per_person=IMAGES_PER_PERSON,
                size=(2 * width, 2 * height),
                rare_fraction=0.0,
                split_name=split,
                first_person_id=first,
            )


def options(size: Size, work_dir: Path, seed: int) -> dict[str, Any]:
    """Settings over the figures config of a system."""
    sheets = 'custom_hooks.0.dataset'
    settings: dict[str, Any] = {
        'randomness.seed': seed,
        'model.size': size.crop,
        'model.generator1.base_channels': size.base_channels,
        'model.generator1.num_blocks': size.num_blocks,
        'train_dataloader.batch_size': size.batch_size,
        'custom_hooks.0.interval': size.stage2_iters,
        'default_hooks.checkpoint.interval': size.stage2_iters,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
    }
    for dataset in ('train_dataloader.dataset', 'test_dataloader.dataset', sheets):
        settings[f'{dataset}.size'] = size.crop
        settings[f'{dataset}.dataset.data_root'] = str(work_dir / 'people')
    return settings


def networks(training: str, size: Size) -> dict[str, Any]:
    """Settings of the parts that a system has."""
    settings: dict[str, Any] = {}
    if training in ('pg2', 'g1-d'):
        settings['model.discriminator.channels'] = size.discriminator
    if training == 'pg2':
        settings['model.generator2.base_channels'] = size.base_channels
        settings['model.generator2.num_blocks'] = size.num_blocks - 2
    stages = {'pg2': (size.stage1_iters, size.stage2_iters)}
    stages['g1-d'] = (0, size.stage1_iters + size.stage2_iters)
    settings['stage1_iters'], settings['stage2_iters'] = stages.get(
        training, (size.stage1_iters, 0)
    )
    return settings


def train(
    training: str, seed: int, size: Size, work_dir: Path, l1_weight: float | None = None
) -> Path:
    """Train a system, or go on where it was interrupted; returns its checkpoint.

    With ``l1_weight`` (lambda) only stage II is trained, from stage I of the full model of the same
    seed, on which lambda has no influence.
    """
    name = f'{training}_{seed}' if l1_weight is None else f'{training}_{seed}_lambda{l1_weight:g}'
    folder = work_dir / 'trained' / name
    settings = options(size, work_dir, seed) | networks(training, size)
    total = settings['stage1_iters'] + settings['stage2_iters']
    checkpoint = folder / f'iter_{total}.pth'
    if checkpoint.exists():
        return checkpoint
    folder.mkdir(parents=True, exist_ok=True)
    if l1_weight is not None:
        settings['model.l1_weight'] = l1_weight
        start = f'iter_{size.stage1_iters}.pth'
        if not (folder / start).exists():
            shutil.copy(work_dir / 'trained' / f'{training}_{seed}' / start, folder / start)
        (folder / 'last_checkpoint').write_text(str(folder / start))
    _run(
        folder / 'train.log',
        ROOT / 'tools' / 'train_pg2.py',
        ROOT / 'configs' / 'pg2' / f'{training}_figures-64x48.py',
        *('--amp', '--resume', '--work-dir', folder),
        *_cfg_options(settings),
    )
    for path in folder.glob('iter_*.pth'):
        if path != checkpoint and path.name != f'iter_{size.stage1_iters}.pth':
            path.unlink()
    return checkpoint


def test(system: System, checkpoint: Path, num_pairs: int, out: Path) -> None:
    """Test a system with tools/test_pg2.py, which writes ``out``.

    Args:
        system: What is tested.
        checkpoint: Its weights, beside the config that they were trained with.
        num_pairs: Number of test pairs, the same for all systems.
        out: Folder of the results, images and sheet.
    """
    results = out / 'results.json'
    if results.exists():
        done = json.loads(results.read_text())
        wanted = num_pairs, file_sha256(checkpoint)
        if (done['num_pairs'], done['checkpoint_sha256']) == wanted:
            return
    config = next(checkpoint.parent.glob('*_figures-64x48.py'))
    command = [ROOT / 'tools' / 'test_pg2.py', config, checkpoint, '--out', out, '--overwrite']
    command += ['--image', system.image, '--num-pairs', num_pairs]
    out.mkdir(parents=True, exist_ok=True)
    _run(out / 'test.log', *command)


def _run(log: Path, *command: object) -> None:
    with log.open('a') as stream:
        subprocess.run(
            [sys.executable, *map(str, command)],
            check=True,
            cwd=ROOT,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={'OMP_NUM_THREADS': '1', **os.environ},
        )


def _cfg_options(settings: dict[str, Any]) -> list[str]:
    return ['--cfg-options', *(f'{key}={_option(value)}' for key, value in settings.items())]


def _option(value: Any) -> str:
    return ','.join(map(str, value)) if isinstance(value, tuple) else json.dumps(value).strip('"')
