import runpy
from pathlib import Path

import numpy as np

BENCHMARK = Path(__file__).resolve().parents[2] / 'benchmarks' / 'pose_bank.py'


def test_benchmark_measures_a_bank_of_that_size_and_says_which_limit_is_missed():
    benchmark = runpy.run_path(str(BENCHMARK))
    row = benchmark['measure'](800)
    assert row['poses'] == 800
    assert 0 < row['draw_us'] < 1000
    assert 80 < row['effective_sample_size'] <= 800
    result = {'command': 'x', 'machine': benchmark['machine'](), 'sizes': [row]}
    assert 'seconds' in benchmark['to_markdown'](result)
    slow = {**row, 'seconds': 61.0, 'draw_us': 1.0, 'peak_gb': 1.0}
    text = benchmark['to_markdown']({**result, 'sizes': [slow]})
    assert 'seconds 61 of 60 (MISSED), peak_gb 1 of 4 (kept)' in text


def test_poses_of_the_benchmark_differ_and_lack_joints():
    keypoints, visible = runpy.run_path(str(BENCHMARK))['sample_poses'](300)
    assert len(np.unique(keypoints[:, 0, 0])) == 300
    assert 0.7 < visible[:, :13].mean() < 0.95
    assert visible[:, 13:].mean() < visible[:, :13].mean()
