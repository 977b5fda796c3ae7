"""The paper's six systems, trained and tested with the project's own tools."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common.files import PG2_CONFIGS
from benchmarks.common.people import make_people
from benchmarks.common.tools import GeneratorSize, run_tool, train_generator
from pg2aug.utils.files import file_sha256

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
class Size(GeneratorSize):
    """How large a run is: the networks, and the people of training and test."""

    discriminator: tuple[int, ...]
    people: int
    test_people: int
    test_pairs: int


SIZES = {
    'cpu': Size((48, 64), 32, 4, 8, 2400, 800, (32, 64, 128), 300, 60, 300),
    'gpu': Size((64, 128), 128, 5, 16, 22000, 14000, (64, 128, 256, 512), 2000, 200, 4000),
}


def make_splits(folder: Path, size: Size) -> None:
    """People in the common poses, as pedestrians are; those of the test are others."""
    width, height = size.crop
    for split, count, first in (
        ('train', size.people, 0),
        ('val', size.test_people, TEST_PEOPLE_FROM),
    ):
        images = IMAGES_PER_PERSON, (2 * width, 2 * height)
        make_people(folder, split, count, *images, first=first)


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
    train_generator(PG2_CONFIGS / 'paper' / f'{training}_figures-64x48.py', folder, settings)
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
    options = ['--image', system.image, '--num-pairs', num_pairs, '--out', out, '--overwrite']
    run_tool('test_pg2.py', config, checkpoint, *options, log=out / 'test.log')
