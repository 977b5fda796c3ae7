"""README's section "Use", run from its first block to its last on what a small demo leaves.

bash itself reads the commands. In place of `pg2aug` it finds a script that notes what it is given;
the commands then run here, in this process, with the sizes that SMALLER and SHORTER say.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import forget_runners
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

import pg2aug_command
from pg2aug.figures import make_figures
from pg2aug.poses import PoseBank

ROOT = Path(__file__).resolve().parents[1]
PG2_CONFIG = 'pg2-self_figures-64x48'
POSE_CONFIG = 'configs/pose/td-hm_res18-small_pg2aug_figures-128x96.py'

SMALLER = {
    'train': 'model.generator1.base_channels=4 model.generator1.bottleneck_features=8 '
    'model.generator2.base_channels=4 model.discriminator.channels=4,8 '
    'stage1_iters=1 stage2_iters=1 train_dataloader.batch_size=2',
}
"""What is smaller than in README, for each command, as --cfg-options."""

SHORTER = {'browse': '--num 4', 'expand': '--num 6'}
"""Numbers of samples, as further options: of two the last counts."""


def blocks(section, language):
    """The code of a section of README, as it stands there."""
    text = (ROOT / 'README.md').read_text()
    found = re.search(rf'^## {section}\n(.*?)^## ', text, re.S | re.M)[1]
    return re.findall(rf'```{language}\n(.*?)```', found, re.S)


def commands(folder):
    """What the section calls pg2aug with, as lists of words."""
    log, program = folder / 'commands', folder / '.venv/bin/pg2aug'
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/bash\nprintf "%s\\037" "$@" >> {log}; echo >> {log}\n')
    program.chmod(0o755)
    for block in blocks('Use', 'bash'):
        subprocess.run(['bash', '-euo', 'pipefail', '-c', block], cwd=folder, check=True)
    return [line.split('\037')[:-1] for line in log.read_text().splitlines()]


def run(command, *arguments):
    """Run a command of README in this process, smaller."""
    options = ['--cfg-options', *SMALLER[command].split()] if command in SMALLER else []
    words = [command, *arguments, *SHORTER.get(command, '').split(), *options]
    forget_runners()
    assert not pg2aug_command.main(words), words


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Where everything that README's section makes has been made."""
    folder = tmp_path_factory.mktemp('readme')
    (folder / 'configs').symlink_to(ROOT / 'configs')
    for part, people in (('train', 4), ('val', 2)):
        make_figures(folder / 'demo' / 'figures', people, 4, split_name=part)
    figures = folder / 'demo' / 'figures' / 'person_keypoints_train.json'
    PoseBank.load(figures).save(folder / 'demo' / 'bank.npz')
    before = Path.cwd()
    os.chdir(folder)
    try:
        for command, *arguments in commands(folder):
            run(command, *arguments)
            if command == 'train':
                keep_as_the_demo_does(Path('work_dirs', PG2_CONFIG))
        yield folder
    finally:
        os.chdir(before)


def keep_as_the_demo_does(trained):
    """Put the generator that README trains where ``make demo`` has left its own."""
    (trained / 'iter_2.pth').rename(trained / 'iter_800.pth')
    trained.rename('demo/pg2')


def test_each_command_leaves_what_it_is_for(folder):
    bank = PoseBank.load(folder / 'bank.npz')
    assert len(bank) == 16
    sheets = list((folder / 'browse').glob('*.png'))
    assert sheets
    assert all(cv2.imread(str(sheet)).std() > 10 for sheet in sheets)
    content = json.loads((folder / 'expanded' / 'person_keypoints.json').read_text())
    names = {image['file_name'] for image in content['images']}
    assert len(names) == len(content['annotations']) == 6
    assert names == {path.name for path in (folder / 'expanded' / 'images').iterdir()}


def test_the_lines_for_a_config_train_an_estimator_on_synthesised_people(folder):
    (snippet,) = blocks('Use', 'python')
    snippet, rest = re.subn(r'^    \.\.\. .*$', '    *rest,', snippet, flags=re.M)
    assert rest == 1
    cfg = Config.fromfile(POSE_CONFIG)
    steps = cfg.train_dataloader.dataset.pipeline
    said = {'rest': steps[3:]}
    exec(snippet, said)
    loader = cfg.train_dataloader
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.dataset.pipeline = [ConfigDict(step) for step in said['train_pipeline']]
    assert [step.type for step in loader.dataset.pipeline] == [step.type for step in steps]
    loader.sampler.type = 'InfiniteSampler'
    cfg.custom_imports, cfg.custom_hooks = said['custom_imports'], said['custom_hooks']
    # As often as PG2Hook logs.
    cfg.train_cfg = dict(by_epoch=False, max_iters=50)
    for name in ('val_dataloader', 'val_cfg', 'val_evaluator', 'param_scheduler'):
        cfg[name] = None
    for name in ('test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg[name] = None
    cfg.work_dir = 'work_dirs/pose'
    forget_runners()
    runner = Runner.from_cfg(cfg)
    runner.train()
    logged = runner.message_hub.log_scalars
    assert np.isfinite(logged['train/loss'].current())
    assert 0 < logged['train/pg2/persons'].current() <= 1
    assert not any('generator' in name for name in runner.model.state_dict())
