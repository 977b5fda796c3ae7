"""Every command of benchmarks/README.md, run in order on tiny data of the true layout.

bash itself runs the document's blocks; in place of the interpreter, curl and unzip it finds scripts
that note their arguments. Then the commands run here, in this process, with what SMALLER says.
"""

import json
import os
import re
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import forget_runners
from mmengine.config import Config
from reid_world import write_csv, write_images

from pg2aug.figures import make_figures

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / 'benchmarks' / 'README.md'
ARMS = ('baseline', 'rotation_oversampling', 'pg2', 'limb_warp', 'all_images')

_NARROW_PG2 = (
    'model.generator1.base_channels=4 model.generator1.bottleneck_features=8 '
    'model.generator2.base_channels=4 model.discriminator.channels=4,8'
)
_NARROW_HRNET = ' '.join(
    f'model.backbone.extra.stage{stage}.num_modules=1 '
    f'model.backbone.extra.stage{stage}.num_channels={channels}'
    for stage, channels in ((2, '4,8'), (3, '4,8,16'), (4, '4,8,16,32'))
)
# No weights to download, fewer channels, smaller batches, no workers.
_POSE = (
    'model.backbone.init_cfg=None model.head.in_channels=4 '
    'model.backbone.extra.stage1.num_blocks=[1] model.backbone.extra.stage1.num_channels=[8] '
    + _NARROW_HRNET
)
SMALLER = {
    'train_pg2.py': f'{_NARROW_PG2} stage1_iters=1 stage2_iters=1 train_dataloader.batch_size=2 '
    'train_dataloader.num_workers=0 train_dataloader.persistent_workers=False',
    'test_pg2.py': f'{_NARROW_PG2} test_dataloader.num_workers=0',
    'train.py': f'{_POSE} train_cfg.max_epochs=1 train_dataloader.batch_size=16 '
    'train_dataloader.num_workers=0 train_dataloader.persistent_workers=False',
    'test.py': f'{_POSE} test_dataloader.num_workers=0 test_dataloader.persistent_workers=False',
    'browse_augment.py': 'train_dataloader.num_workers=0 train_dataloader.persistent_workers=False',
}
"""What is smaller than in the document, for each tool, as further --cfg-options.

The last checkpoint gets the name that it has after as many iterations as the config says.
"""

SHORTER = {'--num 48': '--num 4', '--num-pairs 12800': '--num-pairs 6'}
"""Numbers of samples. Of the seeds, the first alone is run; the others' commands are the same."""


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """A copy of the project by links, with the data where the document has it after downloading."""
    root = tmp_path_factory.mktemp('proof')
    for name in ('configs', 'tools', 'benchmarks'):
        (root / name).symlink_to(ROOT / name)
    coco = root / 'data' / 'coco'
    for part, people in (('train', 8), ('val', 4)):
        made = make_figures(root / 'figures', people, 3, (96, 128), split_name=part)
        (coco / 'annotations').mkdir(parents=True, exist_ok=True)
        made.rename(coco / 'annotations' / f'person_keypoints_{part}2017.json')
        (root / 'figures' / 'images' / part).rename(coco / f'{part}2017')
    people = json.loads((coco / 'annotations' / 'person_keypoints_train2017.json').read_text())
    poses = [np.array(a['keypoints']).reshape(17, 3)[:, :2] for a in people['annotations']]
    for part, persons in (('train', (2, 7)), ('test', (1, 3))):
        _write_market(root / 'data' / 'market1501', part, persons, poses)
        _write_fashion(root / 'data' / 'deepfashion', part, persons, poses)
    return root


def _write_market(root, part, persons, poses):
    size = (64, 128)
    names = [f'{person:04d}_c1s1_00045{k}_03.jpg' for person in persons for k in range(6)]
    write_images(root / f'bounding_box_{part}', *names, size=size)
    rows = [(name, _openpose(pose, size)) for name, pose in zip(names, poses, strict=False)]
    write_csv(root / f'market-annotation-{part}.csv', rows)


def _write_fashion(root, part, persons, poses):
    size = (256, 256)
    paths = [
        f'WOMEN/Dresses/id_0000000{person}/01_{k}_{side}.jpg'
        for person in persons
        for k, side in enumerate(('front', 'side', 'back', 'full', 'flat', 'additional'), 1)
    ]
    write_images(root / 'img', *paths, size=size)
    rows = [(_flat(path), _openpose(p, size)) for path, p in zip(paths, poses, strict=False)]
    write_csv(root / f'fasion-annotation-{part}.csv', rows)


def _openpose(keypoints, size):
    """COCO's 17 joints in an image of 96x128 as OpenPose's 18 in one of another size."""
    neck = keypoints[[5, 6]].mean(axis=0)
    order = [6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
    joints = np.stack([keypoints[0], neck, *keypoints[order]])
    return np.clip((joints * size / (96, 128)).astype(int), 0, np.array(size) - 1)


def _flat(path):
    """The name that the annotation files have for an image: no folders, fewer underscores."""
    *folders, name = path.split('/')
    garment, number, side = name.split('_')
    return ''.join(['fashion', *folders, garment, f'_{number}{side}']).replace('id_', 'id')


def _record(root):
    """What the document's blocks call, as lists of words; each loop is unrolled by bash."""
    log = root / 'commands'
    log.touch()
    note = f'printf "%s\\037" "$0" "$@" >> {log}; echo >> {log}'
    real = f'[ "$1" = -c ] && exec {sys.executable} "$@"'
    scripts = {root / '.venv/bin/python': f'{real}\n{note}'}
    scripts |= {root / 'bin' / name: note for name in ('curl', 'unzip')}
    for path, text in scripts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/bash\n{text}\n')
        path.chmod(path.stat().st_mode | stat.S_IEXEC)
    blocks = re.findall(r'```bash\n(.*?)```', DOCUMENT.read_text(), re.S)
    path = f'{root / "bin"}:{os.environ["PATH"]}'
    for block in blocks:
        command = ['bash', '-euo', 'pipefail', '-c', block]
        subprocess.run(command, cwd=root, env={**os.environ, 'PATH': path}, check=True)
    return [line.split('\037')[:-1] for line in log.read_text().splitlines()]


@pytest.fixture(scope='module')
def commands(root):
    return _record(root)


def test_coco_is_put_where_the_configs_look_for_it(commands):
    fetched = [words[1:] for words in commands if words[0].endswith('curl')]
    names = ['train2017', 'val2017', 'annotations_trainval2017']
    assert [words[2] for words in fetched] == [f'data/coco/{name}.zip' for name in names]
    assert [words[3].rsplit('/', 2)[1] for words in fetched] == ['zips', 'zips', 'annotations']
    unpacked = [words[1:] for words in commands if words[0].endswith('unzip')]
    assert unpacked == [['-q', '-d', 'data/coco', f'data/coco/{name}.zip'] for name in names]


def test_seeds_differ_in_nothing_but_the_seed(commands):
    by_seed = [
        [' '.join(words) for words in commands if f'_{seed}' in ' '.join(words[4:])]
        for seed in range(3)
    ]
    assert len(by_seed[0]) == len(ARMS) * 3
    for seed in (1, 2):
        changed = [
            line.replace('_0', f'_{seed}').replace('seed=0', f'seed={seed}') for line in by_seed[0]
        ]
        assert by_seed[seed] == changed


def _run(words):
    """Run a command of the document in this process, smaller."""
    module = words[0] == '-m'
    words = words[module:]
    tool = Path(words[0])
    line = ' '.join(words)
    for long, short in SHORTER.items():
        line = line.replace(long, short)
    words = line.split()
    if tool.name in SMALLER:
        words += [] if '--cfg-options' in words else ['--cfg-options']
        words += SMALLER[tool.name].split()
    if tool.name == 'train.py':
        words.append('--no-validate')
    forget_runners()
    sys.argv = words
    before = list(sys.path)
    # As the interpreter does it; links are followed.
    sys.path.insert(0, str(tool.resolve().parent))
    status = 0
    try:
        run = runpy.run_module if module else runpy.run_path
        run(str(tool), run_name='__main__')
    except SystemExit as end:
        status = end.code
    finally:
        sys.path[:] = before
    assert not status, line
    if tool.name in ('train_pg2.py', 'train.py'):
        cfg = Config.fromfile(words[1])
        folder = Path(words[words.index('--work-dir') + 1])
        if tool.name == 'train_pg2.py':
            last, made = f'iter_{cfg.stage1_iters + cfg.stage2_iters}', 'iter_2'
        else:
            last, made = f'epoch_{cfg.train_cfg.max_epochs}', 'epoch_1'
        (folder / f'{made}.pth').rename(folder / f'{last}.pth')


@pytest.mark.slow
def test_the_proof_from_data_to_table(root, commands, monkeypatch, capsys):
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, 'argv', sys.argv)
    for program, *words in commands:
        seeds = re.findall(r'work_dirs/proof/\w+_(\d)\b', ' '.join(words))
        if program.endswith('python') and set(seeds) <= {'0'}:
            _run(words)
    table = capsys.readouterr().out
    for arm in ARMS:
        found = re.search(rf'^\| {arm} \| 0 \| ([\d.]+) \| ([\d.]+) \|$', table, re.M)
        assert found, arm
        for part, shown in zip(('rarest', 'others'), found.groups(), strict=True):
            scores = json.loads((root / f'work_dirs/proof/{arm}_0/val_{part}.json').read_text())
            assert float(shown) == pytest.approx(100 * scores['coco/AP'], abs=0.051)
    rarest, others = (
        json.loads((root / f'data/coco/annotations/val_{part}.json').read_text())['annotations']
        for part in ('rarest', 'others')
    )
    assert len(rarest) == 1
    assert len(others) == 11
    for name in ('market1501-128x64', 'deepfashion-256x256'):
        results = json.loads((root / f'work_dirs/pg2_{name}/results/results.json').read_text())
        assert np.isfinite(list(_numbers(results))).all()
    assert list((root / 'work_dirs/proof/browse').glob('*.png'))


def _numbers(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from _numbers(inner)
    elif isinstance(value, float):
        yield value
