import ast
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
CORE = [Requirement(line) for line in PROJECT['dependencies']]
PINNED_FILES = ['tested.txt', 'dev.txt', 'no-deps.txt', 'constraints.txt']


def read_requirements(name):
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    return [Requirement(line.partition('#')[0]) for line in lines if line.partition('#')[0].strip()]


@pytest.mark.parametrize('requirement', CORE, ids=str)
def test_core_requirement_cannot_change_a_working_mmpose_environment(requirement):
    assert {bound.operator for bound in requirement.specifier} <= {'>='}
    assert requirement.url is None
    assert not canonicalize_name(requirement.name).startswith(('mmcv', 'mmpose', 'mmdet'))
    assert requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)


def test_installing_the_project_changes_nothing_that_is_installed():
    """pip itself resolves the core requirements here, with no index to install from."""
    report = subprocess.run(
        [
            *(sys.executable, '-m', 'pip', 'install', '--dry-run'),
            *('--no-index', '--quiet', '--disable-pip-version-check', '--report', '-'),
            *PROJECT['dependencies'],
        ],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )

    assert report.returncode == 0, report.stderr
    assert '"install": []' in report.stdout


def test_extras_and_setup_py_exist():
    assert {'mmpose', 'metrics', 'dev'} <= set(PROJECT['optional-dependencies'])
    assert PROJECT['requires-python'] == '>=3.10'
    assert 'setup()' in (ROOT / 'setup.py').read_text()


@pytest.mark.parametrize('name', PINNED_FILES)
def test_tested_set_is_pinned_exactly(name):
    for requirement in read_requirements(name):
        assert re.fullmatch(r'==[^*]+', str(requirement.specifier)), requirement


def test_no_version_is_asserted_at_import():
    for path in (ROOT / 'pg2aug').rglob('*.py'):
        asserts = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)
        ]
        assert not asserts, f'{path}:{asserts[0].lineno}'


def test_ci_runs_all_steps_and_fails_if_one_fails(tmp_path):
    make = tmp_path / 'make'
    make.write_text('#!/bin/sh\necho "$1" >> "$LOG"\n[ "$1" != "$FAILING" ]\n')
    make.chmod(0o755)

    for failing, status in [('', 0), ('browser', 1), ('test', 1), ('lint', 1)]:
        log = tmp_path / f'log{failing}'
        environment = {
            **os.environ,
            'PATH': f'{tmp_path}:{os.environ["PATH"]}',
            'LOG': str(log),
            'FAILING': failing,
        }
        done = subprocess.run([ROOT / '.ci' / 'run'], env=environment, cwd=tmp_path)
        assert done.returncode == status
        assert log.read_text().split() == ['browser', 'test', 'lint']


@pytest.mark.parametrize(
    ('version', 'accepted'), [((3, 10), False), ((3, 11), True), ((3, 13), False)]
)
def test_install_refuses_a_python_without_packages(version, accepted):
    code = (
        f'import runpy, sys; sys.version_info = {(*version, 0)}; '
        f'runpy.run_path({str(ROOT / "requirements" / "check_python.py")!r})'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)

    assert (done.returncode == 0) is accepted
    assert accepted or f'not {version[0]}.{version[1]}' in done.stderr
    assert accepted or 'make PYTHON=' in done.stderr
