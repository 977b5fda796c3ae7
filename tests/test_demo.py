"""The demo, end to end with its tools, at a fraction of its size."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_demo_goes_the_whole_way(tmp_path):
    out = tmp_path / 'demo'
    sizes = '--train-people 40 --stage1-iters 150 --stage2-iters 2 --epochs 1 --num 3'
    command = [sys.executable, 'tools/demo.py', '--out', str(out), *sizes.split()]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    summary = (out / 'SUMMARY.md').read_text()
    sheets = [line[5:] for line in summary.splitlines() if line.startswith('   - ')]
    in_order = list(dict.fromkeys(Path(sheet).parts[0] for sheet in sheets))
    assert in_order == ['figures', 'pg2', 'bank.png', 'browse', 'pose', 'expanded']
    assert {'figures/people.png', 'pose/predictions.png'} <= set(sheets)
    assert all(cv2.imread(str(out / sheet)) is not None for sheet in sheets)
    expanded = json.loads((out / 'expanded' / 'person_keypoints.json').read_text())
    assert len(expanded['images']) == 3
    assert (out / 'pose' / 'epoch_1.pth').is_file()


def test_the_demo_deletes_nothing_else(tmp_path):
    (tmp_path / 'thesis.tex').write_text('two years')
    command = [sys.executable, 'tools/demo.py', '--out', str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert 'holds no demo' in result.stderr
    assert (tmp_path / 'thesis.tex').read_text() == 'two years'
