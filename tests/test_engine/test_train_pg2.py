"""The command line of `pg2aug train`; whole runs of it are in test_training."""

import pickle

import pytest
import torch
from training_helpers import train_config

from pg2aug.cli import train


class Runner:
    """Stands for the Runner: what counts is the config that it would get."""

    def train(self):
        pass


@pytest.fixture
def run_tool(people, tmp_path, monkeypatch):
    def run(*arguments, keep_work_dir=True):
        path = tmp_path / 'my_config.py'
        cfg = train_config(people, tmp_path / 'from_config')
        if not keep_work_dir:
            cfg.work_dir = None
        cfg.dump(path)
        configs = []
        monkeypatch.setattr(train, 'build_runner', lambda cfg: configs.append(cfg) or Runner())
        monkeypatch.setenv('LOCAL_RANK', '0')
        assert train.main([str(path), *arguments]) == 0
        return configs[0]

    return run


def test_without_options_the_config_rules(run_tool, tmp_path):
    cfg = run_tool()
    assert cfg.work_dir == str(tmp_path / 'from_config')
    assert cfg.launcher == 'none'
    assert cfg.optim_wrapper.type == 'OptimWrapper'
    assert not cfg.get('resume')


def test_the_work_directory_is_named_after_the_config_where_none_is_given(run_tool):
    assert run_tool(keep_work_dir=False).work_dir == 'work_dirs/my_config'


def test_work_dir_and_cfg_options(run_tool):
    options = ['--cfg-options', 'optim_wrapper.optimizer.lr=0.5', 'stage1_iters=7']
    cfg = run_tool('--work-dir', 'elsewhere', *options)
    assert cfg.work_dir == 'elsewhere'
    assert cfg.optim_wrapper.optimizer.lr == 0.5
    assert cfg.stage1_iters == 7


@pytest.mark.parametrize(('arguments', 'load_from'), [([], None), (['a/b.pth'], 'a/b.pth')])
def test_resume_from_the_latest_or_a_given_checkpoint(run_tool, arguments, load_from):
    cfg = run_tool('--resume', *arguments)
    assert cfg.resume is True
    assert cfg.load_from == load_from


@pytest.mark.parametrize('arguments', [['--amp'], ['--amp', 'bfloat16']])
def test_amp_is_bfloat16(run_tool, arguments):
    assert run_tool(*arguments).optim_wrapper.type == 'pg2aug.AutocastOptimWrapper'


@pytest.mark.parametrize('arguments', [['--amp', 'int8'], ['--launcher', 'mpi']])
def test_what_does_not_exist_is_refused(run_tool, arguments):
    with pytest.raises(SystemExit):
        run_tool(*arguments)


class Evil:
    def __reduce__(self):
        return print, ('run',)


@pytest.mark.parametrize('resume', [True, False])
def test_a_malicious_checkpoint_is_refused_in_words_of_ours(
    people, tmp_path, capsys, monkeypatch, resume
):
    monkeypatch.setenv('LOCAL_RANK', '0')
    checkpoint, config = tmp_path / 'evil.pth', tmp_path / 'config.py'
    torch.save({'state_dict': Evil()}, checkpoint, pickle_module=pickle)
    cfg = train_config(people, tmp_path / 'work')
    if not resume:
        cfg.load_from = str(checkpoint)
    cfg.dump(config)
    arguments = ['--resume', str(checkpoint)] if resume else []
    assert train.main([str(config), *arguments]) == 2
    said = capsys.readouterr()
    assert 'evil.pth was refused: it carries the global `builtins.print`' in said.err
    assert 'weights_only' not in said.err
    assert said.err.count('\n') == 1
    assert 'run' not in said.out.split()


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(model=3), 'config.py: '),
        (dict(model=dict(type='Nothing')), 'Nothing'),
        (dict(model=dict(generator1=dict(num_blocks='a'))), 'config.py: '),
        (dict(model=dict(generator1=dict(depth=3))), 'depth'),
        (dict(model=dict(size=(32,))), 'config.py: '),
        (dict(optim_wrapper=dict(optimizer=dict(type='Nothing'))), 'config.py: '),
        (dict(train_dataloader=dict(batch_size='a')), 'config.py: '),
        (dict(train_dataloader=dict(dataset=dict(size=None))), 'config.py: '),
        (dict(custom_hooks=[dict(type='Nothing')]), 'Nothing'),
        (dict(default_hooks=3), 'config.py: '),
        (dict(stage1_iters='a'), 'config.py: stage1_iters must be an integer'),
        (dict(load_from='gone.pth'), "checkpoint 'gone.pth' does not exist"),
    ],
    ids=lambda value: None if isinstance(value, str) else '.'.join(value),
)
def test_whatever_is_wrong_in_a_config_is_a_line_that_names_it(
    people, tmp_path, capsys, monkeypatch, change, words
):
    monkeypatch.setenv('LOCAL_RANK', '0')
    cfg = train_config(people, tmp_path / 'work')
    cfg.merge_from_dict(change)
    cfg.dump(tmp_path / 'config.py')
    assert train.main([str(tmp_path / 'config.py')]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ')
    assert words in line
