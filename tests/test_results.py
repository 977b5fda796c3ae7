"""The committed tables are those of the committed numbers."""

import importlib
import json
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'docs' / 'results'


def load(module: str) -> ModuleType:
    """A module of the benchmarks."""
    sys.path.insert(0, str(ROOT / 'benchmarks'))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.pop(0)


def benchmark(module: str, function: str, *arguments: str) -> Callable[[dict], str]:
    """A benchmark's function that makes its tables, with attributes of the module as arguments."""

    def tables(report):
        loaded = load(module)
        return getattr(loaded, function)(report, *(getattr(loaded, name) for name in arguments))

    return tables


TABLES = {
    'hole_filling': benchmark('hole_filling', 'markdown'),
    'label_fidelity': benchmark('fidelity_report', 'fidelity_markdown'),
    'label_fidelity_balance4view': benchmark('fidelity_report', 'fidelity_markdown'),
    'paper_table': benchmark('paper_report', 'paper_markdown', 'COLUMNS'),
    'pose_bank': benchmark('pose_bank', 'to_markdown'),
    'pose_geometry': benchmark('pose_geometry', 'to_markdown'),
    'rare_pose': benchmark('rare_markdown', 'rare_markdown'),
    'rare_real': benchmark('rare_real', 'real_markdown'),
    'speed': benchmark('speed_markdown', 'speed_markdown'),
}
WITH_PROSE = {'hole_filling'}
"""Results that people wrote text around; of the others every line is made."""


def test_every_result_is_checked():
    assert {path.stem for path in RESULTS.glob('*.json')} == set(TABLES)


@pytest.mark.parametrize('name', TABLES)
def test_tables_are_those_of_the_numbers(name):
    made = TABLES[name](json.loads((RESULTS / f'{name}.json').read_text())).splitlines()
    written = (RESULTS / f'{name}.md').read_text().splitlines()
    if name in WITH_PROSE:
        missing = [line for line in made if line not in written]
        assert not missing
    else:
        assert written == made


def test_the_tables_of_rare_poses_are_those_of_the_runs():
    runs = load('rare_report').read_runs(RESULTS / 'rare_pose_runs.jsonl')
    report = load('rare_report').report(runs, 'cpu', load('rare_pose').REGIMES)
    made = load('rare_markdown').rare_markdown(report)
    assert made == (RESULTS / 'rare_pose.md').read_text()


def test_the_rows_in_the_readme_are_those_of_the_table():
    lines = (ROOT / 'README.md').read_text().splitlines()
    made = (RESULTS / 'rare_pose.md').read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('| Arm | external_bank'))
    rows = list(takewhile(lambda line: line.startswith('|'), lines[start:]))
    assert len(rows) == 2 + 5
    first = made.index(rows[0])
    assert rows == made[first : first + len(rows)]


def test_the_readme_says_of_rare_poses_what_the_numbers_say():
    text = ' '.join((ROOT / 'README.md').read_text().split())
    regimes = json.loads((RESULTS / 'rare_pose.json').read_text())['regimes']

    def said(form, regime, arms, subset):
        pck, ap = (regimes[regime]['paired'][arms][subset][metric] for metric in ('pck', 'ap'))
        return form.format(abs(pck['mean']), abs(ap['mean']), pck['p'], ap['p'])

    for form, regime, arms, subset in (
        (
            '{:.1f} points of rare PCK and {:.1f} of AP over rotation with oversampling',
            'external_bank',
            'pg2_rotation_vs_rotation_oversampling',
            'rare',
        ),
        (
            "one's own {0:.1f} (p = {2:.3f}) and {1:.1f} (p = {3:.3f})",
            'few_rare',
            'pg2_rotation_oversampling_vs_rotation_oversampling',
            'rare',
        ),
        (
            'lose** {:.1f} points of PCK and {:.1f} of AP against the usual augmentation',
            'external_bank',
            'pg2_rotation_vs_baseline',
            'common',
        ),
        (
            'and {:.1f} and {:.1f} with few rare images',
            'few_rare',
            'pg2_rotation_oversampling_vs_baseline',
            'common',
        ),
    ):
        assert said(form, regime, arms, subset) in text
