"""Commands that are killed or fail at any step: old results or new ones, and the next run succeeds.

Whole runs of `pg2aug expand` that are killed are in tests/test_expansion/test_survival.py.
"""

import contextlib
import importlib
import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from crash_points import crash_points, failing_runs, restore, tree
from mmengine.config import Config
from reid_world import pose, write_csv, write_images
from training_helpers import ROOT

import pg2aug_command
from pg2aug.cli import annotate, browse
from pg2aug.cli import test as testing
from pg2aug.evaluation import SynthesisMetric
from pg2aug.figures import make_figures
from pg2aug.utils.files import were_interrupted

IMAGE = np.zeros((8, 8, 3), np.uint8)


@dataclass
class Case:
    """A command, and what it writes below a folder.

    Attributes:
        command: What is run.
        outputs: Names of the folders or files that it writes.
        again: The same command where results are there: --overwrite, or nothing.
        old: Makes the results that are there before, if any.
    """

    command: object
    outputs: tuple
    again: object = None
    old: object = None


def pg2aug(name, *arguments):
    return lambda: pg2aug_command.main([name, *map(str, arguments)])


def demo_data_case(root, monkeypatch):
    def run(seed, *more):
        sizes = ['--train-people', 1, '--val-people', 0, '--images-per-person', 1]
        return pg2aug('demo-data', root / 'out', *sizes, '--seed', seed, *more)

    return Case(run(1, '--overwrite'), ('out',), run(1, '--overwrite'), run(0))


def first_demo_data_case(root, monkeypatch):
    (root / 'out').mkdir()
    sizes = ['--train-people', 1, '--val-people', 0, '--images-per-person', 1]
    return Case(pg2aug('demo-data', root / 'out', *sizes), ('out',))


def bank_case(root, monkeypatch):
    poses = make_figures(root / 'figures', 2, 6, size=(48, 64))

    def run(alpha):
        return pg2aug('bank', poses, '--out', root / 'b.npz', '--alpha', alpha, '--overwrite')

    return Case(run(2), ('b.npz',), run(2), run(1))


def split_case(root, monkeypatch):
    poses = make_figures(root / 'figures', 2, 6, size=(48, 64))

    def run(share):
        paths = ['--rarest', root / 'rarest.json', '--others', root / 'others.json']
        return pg2aug('split', poses, *paths, '--share', share, '--overwrite')

    return Case(run(0.5), ('rarest.json', 'others.json'), run(0.5), run(0.1))


def convert_case(root, monkeypatch):
    names = [f'0001_c{n}s1_00000{n}_00.jpg' for n in (1, 2)]
    write_images(root / 'images', *names, size=(64, 128))
    poses = write_csv(root / 'poses.csv', [(name, pose((64, 128))) for name in names])
    run = pg2aug('convert', 'market1501', poses, root / 'images', '--out', root / 'out')
    return Case(run, ('out/person_keypoints.json', 'out/pairs.csv', 'out/report.json'))


def annotate_case(root, monkeypatch):
    write_images(root / 'images', '1/a.png', '1/b.png', size=(16, 16))
    monkeypatch.setattr(annotate, 'ImageEstimator', lambda *arguments: None)
    monkeypatch.setattr(annotate, 'annotate_images', lambda *arguments, **options: {'made': 1})
    model = ['--pose-model', 'model.py', '--pose-checkpoint', 'model.pth']
    run = pg2aug('annotate', root / 'images', *model, '--out', root / 'out')
    return Case(run, ('out/person_keypoints.json', 'out/report.json'))


def study_case(root, monkeypatch):
    for kind in ('real', 'fake'):
        names = [f'{number}.png' for number in range(6)]
        write_images(root / kind, *names, size=(16, 16))
    run = pg2aug('study', root / 'real', root / 'fake', '--num-images', 6, '--out', root / 'out')
    return Case(run, ('out',))


def pg2_test_case(root, monkeypatch):
    """The command with a metric that has counted already."""
    (root / 'tiny.pth').write_bytes(b'')
    metric = SynthesisMetric.__new__(SynthesisMetric)
    metric.image = 'refined'
    evaluator = SimpleNamespace(metrics=[metric])
    hooks = []

    def run_test():
        for name in testing.FOLDERS:
            (hooks[-1] / name).mkdir()
            (hooks[-1] / name / 'a__b.png').write_bytes(b'image %d' % metric.report['score'])
        (hooks[-1] / testing.SHEET_NAME).write_bytes(b'sheet')

    runner = SimpleNamespace(
        test_loop=SimpleNamespace(evaluator=evaluator), register_hook=hooks.append, test=run_test
    )

    preprocessor, dataset = dict(data_preprocessor=dict()), dict(dataset=dict())
    cfg = Config(dict(model=preprocessor, test_dataloader=dataset))
    monkeypatch.setattr(testing, 'test_settings', lambda args, work_dir: cfg)
    monkeypatch.setattr(testing, 'build_test_runner', lambda cfg, checkpoint: runner)
    monkeypatch.setattr(testing, 'SynthesisImagesHook', lambda folder, *arguments: folder)
    monkeypatch.setattr(testing, 'format_report', str)

    def run(score):
        def call():
            metric.report = {'score': score}
            paths = ['config.py', root / 'tiny.pth', '--out', root / 'out']
            return pg2aug('test', *paths, '--overwrite')()

        return call

    return Case(run(2), ('out',), run(2), run(1))


def browse_case(root, monkeypatch):
    """The command with samples that are pictures already."""
    monkeypatch.setattr(browse, 'read_config', lambda *_: Config())
    batch = SimpleNamespace(
        images=lambda _: torch.zeros(1), plans=[], synthesize=lambda *_: result
    )  # fmt: skip
    result = SimpleNamespace(made=None, accepted=torch.ones(1))
    synthesizer = SimpleNamespace(in_scene=lambda *_: None, skeleton=None)
    augment = SimpleNamespace(build_synthesizer=lambda device: synthesizer)
    data = {'data_samples': [None]}
    monkeypatch.setattr(browse, 'load', lambda *_: ([0], lambda *_: data, [augment]))
    monkeypatch.setattr(browse, 'pseudo_collate', lambda samples: samples)
    monkeypatch.setattr(browse, 'final_keypoints', lambda sample: np.zeros((1, 2)))
    monkeypatch.setattr(browse, 'trained_joints', lambda sample: np.ones(1, bool))
    monkeypatch.setattr(browse.DeferredBatch, 'take', lambda data: batch)
    monkeypatch.setattr(browse, 'make_row', lambda *_: ([IMAGE] * 4, 'caption'))

    def run(number):
        paths = ['config.py', '--out', root / 'out']
        return pg2aug('browse', *paths, '--num', number, '--rows', 1)

    return Case(run(1), ('out',), run(1), run(2))


def demo_case(root, monkeypatch):
    """The demo with steps that do nothing but the first, which writes a file."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.delitem(sys.modules, 'demo', raising=False)
    demo = importlib.import_module('demo')
    for name in ('draw_people', 'draw_poses', 'draw_predictions'):
        monkeypatch.setattr(demo, name, lambda *arguments: None)
    monkeypatch.setattr(demo.time, 'time', lambda: 0.0)

    def step(command, check):
        if 'demo-data' in command:
            folder = Path(command[command.index('demo-data') + 1])
            folder.mkdir()
            (folder / 'made').write_text(str(command))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, 'run', step)

    def run(people):
        return lambda: demo.main(['--out', str(root / 'out'), '--train-people', str(people)])

    return Case(run(2), ('out',), run(2), run(1))


CASES = {
    'demo-data': demo_data_case,
    'demo-data, the first': first_demo_data_case,
    'bank': bank_case,
    'split': split_case,
    'convert': convert_case,
    'annotate': annotate_case,
    'study': study_case,
    'test': pg2_test_case,
    'browse': browse_case,
    'demo': demo_case,
}


@pytest.fixture(params=CASES)
def case(request, tmp_path, monkeypatch):
    """A case, with its root and the results of an earlier run in it."""
    root = tmp_path / 'root'
    root.mkdir()
    case = CASES[request.param](root, monkeypatch)
    if case.old is not None:
        assert quietly(case.old) == 0
    return root, case


def quietly(command):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return command()


def results(state, case):
    """What a state has of the outputs, by final name."""
    return {
        name: data
        for name, data in state.items()
        if data is not None
        and any(name == output or name.startswith(f'{output}/') for output in case.outputs)
    }


def hidden(state):
    return [n for n in state if Path(n).name.startswith('.') and Path(n).name != '.pg2aug.json']


def aside(state, case):
    """Old results that are not in their place."""
    moved = {n: data for n, data in state.items() if n.startswith('.out.old/')}
    return results({n.replace('.out.old', 'out', 1): data for n, data in moved.items()}, case)


def is_told_apart(root, state, case):
    """Whether results are neither the old nor the new ones, and the next run can tell."""
    restore(root, state)
    return were_interrupted([root / name for name in case.outputs])


def check_states(root, case, states, old, new):
    for state in states:
        found = results(state, case)
        if found and found not in (old, new):
            # The demo is made in its place: the old one is beside it meanwhile.
            assert aside(state, case) == old or is_told_apart(root, state, case), sorted(state)
        elif not found and old:
            assert aside(state, case) == old, sorted(state)


def check_next_runs(root, case, states, new):
    for state in states:
        restore(root, state)
        status = quietly(case.again or case.command)
        left = tree(root)
        assert results(left, case) == new, sorted(state)
        # What is never overwritten is there already.
        assert status == 0 or (case.again is None and results(state, case) == new), sorted(state)
        if status == 0:
            assert hidden(left) == [], sorted(state)


def test_killed_at_any_step(case):
    root, case = case
    old = results(tree(root), case)
    status, states = crash_points(root, lambda: quietly(case.command))
    assert status == 0
    new = results(tree(root), case)
    assert new != old
    assert len(states) > 3
    assert hidden(tree(root)) == []
    check_states(root, case, states, old, new)
    check_next_runs(root, case, states, new)


def test_an_error_at_any_step(case):
    root, case = case
    before = tree(root)
    old = results(before, case)
    assert quietly(case.command) == 0
    new = results(tree(root), case)
    failures, seen = 0, [before]
    for status in failing_runs(root, lambda: quietly(case.command), before):
        failures += 1
        assert status in (0, 2)
        state = tree(root)
        check_states(root, case, [state], old, new)
        if status == 0:
            assert results(state, case) == new
        elif state not in seen:
            seen.append(state)
            check_next_runs(root, case, [state], new)
    assert failures > 3
