"""The committed tables are those of the committed numbers."""

import json
from itertools import takewhile

import pytest

from benchmarks.common.files import RESULTS, ROOT, read_runs
from benchmarks.label_fidelity.report import fidelity_markdown
from benchmarks.paper_table.report import COLUMNS, paper_markdown
from benchmarks.rare_pose.markdown import rare_markdown
from benchmarks.rare_pose.report import REGIMES, report
from benchmarks.rare_real.report import real_markdown
from benchmarks.speed.markdown import speed_markdown

TABLES = {
    'label_fidelity': fidelity_markdown,
    'label_fidelity_balance4view': fidelity_markdown,
    'paper_table': lambda numbers: paper_markdown(numbers, COLUMNS),
    'rare_pose': rare_markdown,
    'rare_real': real_markdown,
    'speed': speed_markdown,
}


def test_every_result_is_checked():
    assert {path.stem for path in RESULTS.glob('*.json')} == set(TABLES)


@pytest.mark.parametrize('name', TABLES)
def test_tables_are_those_of_the_numbers(name):
    made = TABLES[name](json.loads((RESULTS / f'{name}.json').read_text()))
    assert made == (RESULTS / f'{name}.md').read_text()


def test_the_tables_of_rare_poses_are_those_of_the_runs():
    made = rare_markdown(report(read_runs(RESULTS / 'rare_pose_runs.jsonl'), 'cpu', REGIMES))
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
