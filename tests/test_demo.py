"""The demo, end to end with its tools, at a fraction of its size."""

import importlib
import json
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from training_helpers import ROOT, START_METHOD, run_command

# These look nothing up in registries: they need no interpreter that knows nothing yet.
FORKED = ('demo-data', 'bank', 'browse')


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """Runs the demo in an empty folder: with short paths, of which yapf lays out configs sooner."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.delitem(sys.modules, 'demo', raising=False)
    module = importlib.import_module('demo')
    monkeypatch.setattr(module, 'IMAGES_PER_PERSON', 8)
    monkeypatch.setattr(module, 'VAL_PEOPLE', 2)

    def run(*arguments):
        return module.main([*map(str, arguments)])

    return run


@pytest.fixture
def _quick_starts(monkeypatch):
    """Every step is a process, some of them without the seconds in which everything is imported."""
    start = subprocess.run

    def run(command, check):
        if command[3] not in FORKED:
            return start(command, check=check, timeout=600)
        process = get_context(START_METHOD).Process(target=run_command, args=command[3:])
        process.start()
        process.join()
        return SimpleNamespace(returncode=process.exitcode)

    monkeypatch.setattr(subprocess, 'run', run)


@pytest.mark.slow
@pytest.mark.usefixtures('_quick_starts')
def test_the_demo_goes_the_whole_way(demo, tmp_path):
    out = tmp_path / 'demo'
    sizes = '--train-people 12 --stage1-iters 3 --stage2-iters 1 --epochs 1 --num 3'
    assert demo('--out', out.name, *sizes.split()) == 0
    summary = (out / 'SUMMARY.md').read_text()
    sheets = [line[5:] for line in summary.splitlines() if line.startswith('   - ')]
    in_order = list(dict.fromkeys(Path(sheet).parts[0] for sheet in sheets))
    assert in_order == ['figures', 'pg2', 'bank.png', 'browse', 'pose', 'expanded']
    assert {'figures/people.png', 'pose/predictions.png'} <= set(sheets)
    assert all(cv2.imread(str(out / sheet)) is not None for sheet in sheets)
    expanded = json.loads((out / 'expanded' / 'person_keypoints.json').read_text())
    assert len(expanded['images']) == 3
    assert (out / 'pose' / 'epoch_1.pth').is_file()


@pytest.mark.parametrize('name', ['thesis.tex', 'SUMMARY.md', 'pose/epoch_1.pth'])
def test_the_demo_deletes_nothing_else(demo, tmp_path, capsys, name):
    mine = tmp_path / 'book' / name
    mine.parent.mkdir(parents=True)
    mine.write_text('two years')
    assert demo('--out', tmp_path / 'book') == 2
    assert f'holds something else than results of demo ({name})' in capsys.readouterr().err
    assert mine.read_text() == 'two years'


def test_an_old_demo_stays_until_the_new_one_is_whole(demo, tmp_path, monkeypatch, capsys):
    def steps(code):
        def run(command, check):
            if command[3] == 'demo-data':
                (tmp_path / 'demo' / 'figures').mkdir()
                (tmp_path / 'demo' / 'figures' / 'made').write_text(str(code))
            return SimpleNamespace(returncode=code)

        monkeypatch.setattr(subprocess, 'run', run)
        for name in ('draw_people', 'draw_poses', 'draw_predictions'):
            monkeypatch.setattr(sys.modules['demo'], name, lambda *args: None)
        return demo('--out', 'demo')

    assert steps(0) == 0
    before = (tmp_path / 'demo' / 'SUMMARY.md').read_text()
    for _ in range(2):
        assert steps(1) == 2
        assert "step 'Make procedural people' failed" in capsys.readouterr().err
        assert (tmp_path / 'demo' / 'figures' / 'made').read_text() == '1'
        assert (tmp_path / '.demo.old' / 'SUMMARY.md').read_text() == before
    assert steps(0) == 0
    assert [path.name for path in tmp_path.iterdir()] == ['demo']
    (tmp_path / 'demo' / 'mine.txt').write_text('mine')
    assert steps(0) == 2
    assert (tmp_path / 'demo' / 'mine.txt').read_text() == 'mine'
