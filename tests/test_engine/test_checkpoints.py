"""Whole checkpoints: one is always there, and found."""

import os

import pytest
import torch
from crash_points import crash_points, restore
from helpers import forget_runners
from mmengine.config import Config
from training_helpers import TOTAL_ITERS, train_config

from pg2aug.compat import load_checkpoint
from pg2aug.engine.checkpoints import latest_checkpoint
from pg2aug.engine.training import build_runner


def config(people, work_dir, keep=1, **settings):
    cfg = train_config(people, work_dir, **settings)
    checkpoint = dict(interval=2, max_keep_ckpts=keep)
    cfg.merge_from_dict(dict(default_hooks=dict(checkpoint=checkpoint), custom_hooks=[]))
    return cfg


def train(cfg):
    forget_runners()
    runner = build_runner(cfg)
    runner.train()
    return runner


def checkpoints(work_dir):
    return sorted(path.name for path in work_dir.glob('*.pth'))


@pytest.mark.parametrize(('keep', 'kept'), [(1, [8]), (2, [6, 8]), (-1, [2, 4, 6, 8])])
def test_so_many_are_kept(people, tmp_path, keep, kept):
    train(config(people, tmp_path / 'run', keep))
    assert checkpoints(tmp_path / 'run') == [f'iter_{number}.pth' for number in kept]


def test_one_is_there_wherever_a_training_is_killed(people, tmp_path):
    root = tmp_path / 'root'
    work_dir = root / 'run'
    root.mkdir()
    runner, states = crash_points(root, lambda: train(config(people, work_dir)))
    assert runner.iter == TOTAL_ITERS
    numbers = []
    for state in states:
        state = {n: d for n, d in state.items() if '.pth' in n or 'last_checkpoint' in n}
        restore(root, {'run': None} | state)
        found = latest_checkpoint(work_dir)
        numbers.append(0 if found is None else load_checkpoint(str(found))['meta']['iter'])
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 2, 4, 6, 8}


def write_checkpoint(folder, number):
    path = folder / f'iter_{number}.pth'
    torch.save(dict(number=number), path)
    os.utime(path, (number, number))
    return path


@pytest.mark.parametrize('last', [None, '', 'no/such/iter_3.pth', 'iter_6.pth'])
def test_the_last_whole_one_is_found(tmp_path, last):
    for number in (9, 2, 4, 6):
        write_checkpoint(tmp_path, number)
    # Of an earlier training, and torn.
    os.utime(tmp_path / 'iter_9.pth', (1, 1))
    (tmp_path / 'iter_6.pth').write_bytes((tmp_path / 'iter_6.pth').read_bytes()[:-9])
    if last is not None:
        (tmp_path / 'last_checkpoint').write_text(last)
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_4.pth'
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_2.pth'))
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_2.pth'
    (tmp_path / 'last_checkpoint').write_text('before/it/was/moved/iter_2.pth')
    assert latest_checkpoint(tmp_path) == tmp_path / 'iter_2.pth'


@pytest.mark.parametrize('last', [None, ''])
def test_a_training_resumes_where_last_checkpoint_is_torn(people, tmp_path, last):
    work_dir = tmp_path / 'run'
    train(config(people, work_dir, stage2_iters=0))
    path = work_dir / 'last_checkpoint'
    path.unlink() if last is None else path.write_text(last)
    cfg = config(people, work_dir, resume=True)
    runner = build_runner(cfg)
    runner.load_or_resume()
    assert runner.iter == 4
    assert path.read_text() == str(work_dir / 'iter_4.pth')


def test_a_training_begins_where_none_was_finished(people, tmp_path):
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    (work_dir / 'last_checkpoint').write_text('')
    (work_dir / 'iter_2.pth').write_bytes(b'torn')
    assert train(config(people, work_dir, resume=True)).iter == TOTAL_ITERS


def test_a_config_in_the_work_directory_stays(people, tmp_path):
    path = tmp_path / 'mine.py'
    config(people, tmp_path).dump(path)
    text = f'# my notes\n{path.read_text()}'
    path.write_text(text)
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(dict(stage2_iters=2, work_dir=str(tmp_path)))
    train(cfg)
    assert path.read_text() == text
    assert Config.fromfile(tmp_path / 'mine_as_trained.py').stage2_iters == 2
    assert checkpoints(tmp_path) == ['iter_6.pth']
