import runpy
from pathlib import Path

import numpy as np
import pytest
from pose_samples import COCO, people

BENCHMARKS = Path(__file__).resolve().parents[2] / 'benchmarks'


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return lambda name: runpy.run_path(str(BENCHMARKS / f'{name}.py'))


def test_as_many_poses_are_corrupted_as_asked_for_and_no_other(load):
    keypoints = people(100)
    changed, wrong = load('geometry_banks')['corrupt'](keypoints, 2, 0.05, np.random.default_rng(0))
    moved = (changed != keypoints).any(axis=2).sum(axis=1)
    assert len(wrong) == 5
    assert (moved[wrong] == 2).all()
    assert moved.sum() == 10
    inside = changed[wrong] <= keypoints[wrong].max(axis=1, keepdims=True)
    assert inside.all()


def test_rows_of_a_reid_file_are_read_with_x_first(load, tmp_path):
    ys, xs = [48, -1, *range(16)], [32, -1, *range(100, 116)]
    (tmp_path / 'a.csv').write_text(f'name:keypoints_y:keypoints_x\na.jpg: {ys}: {xs}\n')
    keypoints, visible = load('geometry_banks')['read_reid'](tmp_path / 'a.csv')
    assert keypoints.shape == (1, 18, 2)
    assert keypoints[0, [0, 17]].tolist() == [[32, 48], [115, 15]]
    assert visible[0].tolist() == [True, False, *[True] * 16]


def test_noise_and_other_proportions_make_a_fit_worse(load):
    fitting = load('geometry_people')['fitting']
    exact, varied, noisy = (fitting(COCO, 60, *s) for s in ((0.0, 0.0), (0.2, 0.0), (0.0, 0.03)))
    assert 0 < exact['size'] < varied['size']
    assert exact['proportions'] < noisy['proportions']
    assert exact['gain'] == pytest.approx(exact['size'] - exact['proportions'])


def test_without_the_annotation_files_their_section_says_so(load, tmp_path):
    benchmark = load('pose_geometry')
    found = benchmark['measure'](tmp_path, people=100, repeats=1, poses=2100, pairs=10, seen=22)
    assert found['missing_joints'] is None
    text = benchmark['to_markdown']({'command': 'x', 'versions': {}, **found})
    assert 'annotation files are not there' in text
    assert '| gmm, 4 |' in text
