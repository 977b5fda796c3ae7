import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

import pytest
import tomllib
import torch
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pg2aug
import pg2aug_command
from pg2aug.cli.configs import configs_folder
from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print as cli_print
from pg2aug.cli.printing import printable

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
TOOLS = [path for path in (ROOT / 'tools').rglob('*.py') if not path.stem.startswith('demo')]
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


def test_what_few_need_is_an_extra():
    assert {'mmpose', 'metrics', 'gmm', 'dev'} <= set(PROJECT['optional-dependencies'])
    assert PROJECT['requires-python'] == '>=3.10'
    assert 'scikit-learn' not in {requirement.name for requirement in CORE}


def test_rich_comes_with_mmengine():
    assert 'rich' in {Requirement(line).name for line in metadata.requires('mmengine')}


def test_version_and_date_are_the_same_everywhere():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    newest = re.findall(r'^## \[(\d.*?)\] - (\S+)$', (ROOT / 'CHANGELOG.md').read_text(), re.M)[0]
    assert newest == (pg2aug.__version__, str(citation['date-released']))
    assert citation['version'] == pg2aug.__version__
    assert citation['license'] == PROJECT['license']


def test_mim_finds_the_configs_that_the_index_names():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    models = [
        model
        for file in index['Import']
        for model in yaml.safe_load((ROOT / file).read_text())['Models']
    ]
    assert models
    for model in models:
        assert Path(model['Config']).stem == model['Name']
        assert (ROOT / model['Config']).is_file(), model['Name']


def test_linters_before_a_commit_are_those_of_make_lint():
    hooks = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())['repos']
    ruff = next(r for r in read_requirements('dev.txt') if r.name == 'ruff')
    assert f'=={hooks[0]["rev"].removeprefix("v")}' == str(ruff.specifier)


@pytest.mark.parametrize('name', pg2aug_command.COMMANDS)
def test_every_command_has_a_help_that_calls_it_by_its_name(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['/bin/pg2aug', name, '--help'])
    with pytest.raises(SystemExit) as end:
        pg2aug_command.main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: pg2aug {name}')


def test_the_list_of_commands_needs_no_import_of_the_package():
    code = (
        'import sys, pg2aug_command; status = pg2aug_command.main(["--help"]); '
        'sys.exit(status or any(name in sys.modules for name in ("pg2aug", "numpy", "torch")))'
    )
    shown = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert all(f'\n  {name} ' in shown.stdout for name in pg2aug_command.COMMANDS)


@pytest.mark.parametrize('arguments', [[], ['trian']])
def test_a_wrong_command_is_answered_with_those_that_there_are(arguments, capsys):
    assert pg2aug_command.main(arguments) == 2
    error = capsys.readouterr().err
    assert all(name in error for name in ('demo-data', 'train', *arguments))


@pytest.mark.parametrize(
    ('error', 'line', 'status'),
    [
        (ValueError('two\n  lines'), 'error: two lines', 2),
        (OSError(2, 'No such file', 'a.json'), "error: [Errno 2] No such file: 'a.json'", 2),
        (ImportError('pip install it'), 'error: pip install it', 2),
        (MemoryError('1 TB'), 'error: the memory does not suffice (1 TB): ask for less', 2),
        (KeyboardInterrupt(), 'interrupted', 130),
        (RecursionError('depth'), 'error: a file is nested too deeply (depth)', 2),
        (
            torch.OutOfMemoryError('CUDA out of memory'),
            'error: the memory does not suffice (CUDA out of memory): ask for less',
            2,
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"),
            "error: the memory does not suffice (DefaultCPUAllocator: can't allocate memory: "
            '9 bytes): ask for less',
            2,
        ),
        (
            ValueError(
                'Caught ValueError in DataLoader worker process 0.\n'
                'Original Traceback (most recent call last):\n  File "a.py", line 3\n'
                'ValueError: cannot read image b.png'
            ),
            'error: cannot read image b.png',
            2,
        ),
        (ValueError('\x1b[31m\x9b\u202ea\udcff'), r'error: \x1b[31m\x9b\u202ea\udcff', 2),
    ],
)
def test_expected_errors_are_a_line_and_a_status(error, line, status, capsys):
    @exit_status
    def main(argv=None):
        raise error

    assert main([]) == status
    assert capsys.readouterr().err == f'{line}\n'


def test_commands_print_names_as_text():
    for path in (ROOT / 'pg2aug/cli').glob('*.py'):
        text = path.read_text()
        if path.stem != 'printing' and re.search(r'(?<![.\w])print\(', text):
            assert 'from pg2aug.cli.printing import print' in text, path
    assert printable('a\tb\nc\u00e9\U0001f600') == 'a\tb\nc\u00e9\U0001f600'
    assert printable('\x1b]0;x\x07\x7f\u2066') == r'\x1b]0;x\x07\x7f\u2066'


def test_what_a_terminal_cannot_show_is_escaped(tmp_path):
    with (tmp_path / 'out').open('w', encoding='ascii') as file:
        cli_print('caf\u00e9', 3, file=file)
    assert (tmp_path / 'out').read_text() == 'caf\\xe9 3\n'


def test_defects_keep_their_traceback():
    @exit_status
    def main(argv=None):
        return {}['key']

    with pytest.raises(KeyError):
        main([])


@pytest.mark.parametrize('tool', TOOLS, ids=lambda path: path.stem)
def test_tools_are_commands_of_the_package(tool):
    assert len(tool.read_text().splitlines()) <= 10
    assert runpy.run_path(str(tool))['main'].__module__.startswith('pg2aug.cli.')


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


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A copy of what the package is built from: building leaves files beside the sources."""
    folder = tmp_path_factory.mktemp('source') / 'pg2aug'
    folder.mkdir()
    for name in ('pg2aug', 'configs', 'tools'):
        ignored = shutil.ignore_patterns('__pycache__')
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file() and path.name != '.git':
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope='module')
def wheel(source):
    """The wheel that is built from the source distribution."""
    dist = source.parent / 'dist'
    build = [sys.executable, 'setup.py', '--quiet', 'sdist', '--dist-dir', dist]
    subprocess.run(build, cwd=source, check=True)
    (archive,) = dist.iterdir()
    options = ['--no-deps', '--no-build-isolation', '--no-index', '--quiet', '--wheel-dir']
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', *options, dist, archive], check=True)
    (built,) = dist.glob('*.whl')
    return built


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """Runs a program of an environment that has the wheel, and the tested packages behind it."""
    root = tmp_path_factory.mktemp('installed')
    venv.create(root / 'venv', with_pip=False)
    (packages,) = (root / 'venv' / 'lib').glob('python*/site-packages')
    # A path in such a file is searched last, and its own .pth files, of editable installs, are not
    # read.
    (packages / 'tested.pth').write_text(sysconfig.get_path('purelib'))
    options = ['--python', root / 'venv', 'install', '--no-deps', '--no-index', '--quiet']
    subprocess.run([sys.executable, '-m', 'pip', *options, wheel], check=True)
    work = root / 'work'
    work.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    # Nothing may be downloaded.
    environment |= dict.fromkeys(('http_proxy', 'https_proxy'), 'http://127.0.0.1:9')

    def run(program, *arguments):
        command = [root / 'venv' / 'bin' / program, *map(str, arguments)]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run, packages, work


@pytest.mark.slow
def test_the_wheel_alone_goes_from_people_to_an_expanded_data_set(installed):
    run, packages, work = installed
    where = run('python', '-c', 'import pg2aug; print(pg2aug.__file__)')
    assert Path(where).is_relative_to(packages)
    assert '\n  expand ' in run('pg2aug', '--help')
    small = ['--train-people', 3, '--val-people', 0, '--images-per-person', 4]
    run('pg2aug', 'demo-data', 'people', *small)
    people = ['people/person_keypoints_train.json', 'people/images/train']
    run('pg2aug', 'bank', people[0], '--out', 'bank.npz')
    options = ['--limb-warp', 'configs/_base_/datasets/coco.py', '--size', 48, 64, '--num', 3]
    files = ['--ann-file', people[0], '--img-root', people[1], '--pose-bank', 'bank.npz']
    run('pg2aug', 'expand', *options, *files, '--out', 'expanded')
    assert (work / 'expanded' / 'report' / 'index.html').is_file()
    tool = packages / 'pg2aug' / '.mim' / 'tools' / 'validate_coco.py'
    expanded = ['expanded/person_keypoints.json', '--img-root', 'expanded/images']
    assert run('python', tool, *expanded).endswith('valid')


@pytest.mark.slow
def test_configs_come_with_the_wheel(installed):
    run, packages, _ = installed
    folder = Path(run('pg2aug', 'configs'))
    assert folder == packages / 'pg2aug' / '.mim' / 'configs'
    for path in (ROOT / 'configs').rglob('*.py'):
        assert (folder / path.relative_to(ROOT / 'configs')).read_text() == path.read_text()


def test_an_editable_install_leaves_the_package_as_it_is(source):
    before = {path for path in (source / 'pg2aug').rglob('*') if path.name != '__pycache__'}
    code = f'import setuptools.build_meta as b; b.build_editable({str(source.parent)!r})'
    subprocess.run([sys.executable, '-c', code], cwd=source, check=True, capture_output=True)
    assert {path for path in (source / 'pg2aug').rglob('*') if path.name != '__pycache__'} == before


def test_the_checkout_has_the_configs_beside_the_package():
    assert configs_folder() == ROOT / 'configs'


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
