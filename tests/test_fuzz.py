"""Every command on damaged files: it works, or a line names the file; never a traceback.

The damage is seeded, so that what fails fails again.
"""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import traceback
import warnings

import pytest
from fuzz_mutations import mutate
from fuzz_world import COMMANDS, FIGURES, make_world
from helpers import forget_runners

import pg2aug_command
from pg2aug.expansion.report.page import data_set_id
from pg2aug.poses import PoseBank
from pg2aug.validation.coco import validate_coco

SECONDS = 60
CASES = [(name, read) for name, command in COMMANDS.items() for read in command.reads]


# Two files that do not belong together: one of them is named.
ALSO_NAMED = {
    'tiny.pth': ('with the generator',),
    'expanded/person_keypoints.json': ('review.json',),
    'study/key.json': ('answers.json',),
    'poses.csv': ('pairs.csv',),
    'pose.py': ('no image in photos can be annotated',),
}


class TooLong(BaseException):
    """A command that waits for something that never comes."""


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp('world') / 'world'
    folder.mkdir()
    make_world(folder)
    return folder


@pytest.fixture
def fresh(world, tmp_path, monkeypatch):
    """Makes the world anew, and goes there."""

    def make(name):
        folder = tmp_path / name
        shutil.copytree(world, folder)
        monkeypatch.chdir(folder)
        return folder

    monkeypatch.setenv('LOCAL_RANK', '0')
    return make


def run(words):
    """Status, standard output and standard error of a command."""
    out, err = io.StringIO(), io.StringIO()

    def alarm(number, frame):
        raise TooLong(''.join(traceback.format_stack(frame)[-3:]))

    forget_runners()
    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(SECONDS)
    try:
        redirected = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
        with redirected[0], redirected[1], warnings.catch_warnings():
            warnings.simplefilter('ignore')
            status = pg2aug_command.main(words)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        forget_runners()
    return status, out.getvalue(), err.getvalue()


def check_result(folder, command, given=''):
    """What a command that succeeded has written is what its readers take."""
    # What only takes entries out of a file leaves the others as they are.
    copied = command.words[0] == 'split' or '--apply-review' in command.words
    allowed = copied and ('NaN' in given or 'Infinity' in given)
    for name in command.writes:
        path = folder / name
        assert path.is_file(), f'{name} is missing'
        if name.endswith('.npz'):
            bank = PoseBank.load(path)
            assert len(bank)
        elif name.endswith('.json'):
            content = json.loads(path.read_text(), parse_constant=float if allowed else no_number)
            assert content or name.endswith('refused.json')
    coco = [name for name in command.writes if name.endswith(('person_keypoints.json',))]
    for name in coco:
        problems = [str(p) for p in validate_coco(folder / name)]
        assert not problems, problems[:3]


def no_number(text):
    raise AssertionError(f'{text} is no json')


def check_failure(folder, command, read, err, before):
    lines = [line for line in err.splitlines() if line.startswith('error: ')]
    assert len(lines) == 1, f'no single line of the error: {err[-1500:]}'
    assert err.rstrip().endswith(lines[0]), 'the error is not the last line'
    assert 'Traceback' not in err
    assert lines[0].isprintable(), f'not printable: {lines[0]!r}'
    names = {read.rpartition('/')[2], *ALSO_NAMED.get(read, ())}
    assert any(name in lines[0] for name in names if name != '*') or '*' in read, (
        f'does not name {read}: {lines[0][:1500]}'
    )
    assert len(lines[0]) < 20_000
    left = [name for name in command.writes if (folder / name).exists()]
    assert not left, f'left {left}'
    if not command.unfinished:
        found = {path for path in folder.rglob('*') if not path.is_dir()} - before
        found = {path for path in found if '__pycache__' not in path.parts}
        assert not found, f'left {found}'


def check_case(folder, command, read, seed):
    rng = random.Random(f'{command.words} {read} {seed}')
    path = folder / read
    if read.endswith('*'):
        path = sorted(path.parent.iterdir())[0]
    mutate(path, command.reads[read], rng)
    if read == 'expanded/person_keypoints.json' and path.is_file():
        review = json.loads((folder / 'review.json').read_text())
        with contextlib.suppress(PermissionError):
            review['data_set'] = data_set_id(path)
        (folder / 'review.json').write_text(json.dumps(review))
    before = {path for path in folder.rglob('*') if not path.is_dir()}
    status, _, err = run(command.words)
    assert not (folder / 'it_ran').exists(), 'code of a file was run'
    if status == 0:
        given = path.read_text() if path.suffix == '.json' else ''
        check_result(folder, command, given)
    elif command.words[0] == 'validate' and status == 1:
        assert 'Traceback' not in err
    else:
        assert status == 2, f'status {status}'
        check_failure(folder, command, read, err, before)


@pytest.mark.slow
@pytest.mark.parametrize('name', COMMANDS)
def test_undamaged_files_are_taken(fresh, name):
    folder, command = fresh('whole'), COMMANDS[name]
    status, _, err = run(command.words)
    assert status == 0, err
    check_result(folder, command)


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'read'), CASES, ids=lambda text: text.rpartition('/')[2])
def test_damaged_files_are_taken_or_told_in_a_line(fresh, name, read):
    command, failures = COMMANDS[name], []
    first, count = int(os.environ.get('PG2AUG_FUZZ_FIRST', 0)), command.cases
    for seed in range(first, first + int(os.environ.get('PG2AUG_FUZZ_CASES', count))):
        folder = fresh(str(seed))
        try:
            check_case(folder, command, read, seed)
        except AssertionError as error:
            failures.append(f'seed {seed}: {error}')
        except (Exception, TooLong, SystemExit):
            failures.append(f'seed {seed}: {traceback.format_exc(limit=-4)}')
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    assert not failures, '\n'.join([f'{len(failures)} failures', *failures])


def test_there_are_hundreds_of_cases():
    assert sum(COMMANDS[name].cases for name, _ in CASES) >= 300
    assert {FIGURES, 'bank.npz'} <= {read for _, read in CASES}
