"""Folders that a command writes: whose they are, and who may write them."""

import json
import os
from pathlib import Path

import pytest

from pg2aug.utils.output import MARKER, check_folder, new_folder, old_folder, writing_folder


def write(out, text='new', command='test', **options):
    with writing_folder(out, command, **options) as folder:
        (folder / 'results.json').write_text(text)


@pytest.fixture
def out(tmp_path):
    """Results that are there already."""
    write(tmp_path / 'out', 'old')
    return tmp_path / 'out'


def test_a_folder_is_there_when_it_is_whole(tmp_path):
    out = tmp_path / 'a' / 'out'
    with writing_folder(out, 'test') as folder:
        (folder / 'results.json').write_text('new')
        assert not out.exists()
    assert sorted(path.name for path in out.iterdir()) == [MARKER, 'results.json']
    assert [path.name for path in out.parent.iterdir()] == ['out']


def test_an_error_leaves_the_old_one(out):
    def write_and_fail(folder):
        (folder / 'results.json').write_text('new')
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), writing_folder(out, 'test', overwrite=True) as folder:
        write_and_fail(folder)
    assert (out / 'results.json').read_text() == 'old'
    assert [path.name for path in out.parent.iterdir()] == ['out']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(), 'already holds results of test: name another folder'),
        (dict(overwrite=False), 'already holds results of test: pass --overwrite to replace them'),
        (dict(overwrite=True, command='browse'), 'something else than results of browse'),
    ],
)
def test_only_results_of_the_same_command_are_replaced(out, options, message):
    with pytest.raises(FileExistsError, match=message):
        write(out, **options)
    assert (out / 'results.json').read_text() == 'old'


@pytest.mark.parametrize('name', ['notes.txt', 'target/1.png', '.hidden', 'a.json/b'])
def test_what_was_added_to_a_folder_is_never_removed(out, name):
    mine = out / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text('mine')
    with pytest.raises(FileExistsError, match=rf'something else than results of test \({name}\)'):
        write(out, overwrite=True)
    assert mine.read_text() == 'mine'
    assert (out / 'results.json').read_text() == 'old'


@pytest.mark.parametrize('marker', [None, '{', '[]', '{"made_by": "pg2aug"}'])
def test_a_folder_is_ours_by_its_marker_alone(tmp_path, marker):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'results.json').write_text('mine')
    if marker is not None:
        (out / MARKER).write_text(marker)
    with pytest.raises(FileExistsError, match=r'\(results.json\)'):
        write(out, overwrite=True)
    assert (out / 'results.json').read_text() == 'mine'


@pytest.mark.parametrize('beside', [new_folder, old_folder])
def test_a_folder_of_that_name_that_is_not_ours_is_left_alone(tmp_path, beside):
    taken = beside(tmp_path / 'out')
    taken.mkdir()
    (taken / 'mine').write_text('mine')
    with pytest.raises(FileExistsError, match=rf'{taken.name} is in the way'):
        write(tmp_path / 'out')
    assert (taken / 'mine').read_text() == 'mine'


def test_two_runs_do_not_mix(out):
    with writing_folder(out, 'test', overwrite=True) as folder:
        (folder / 'results.json').write_text('new')
        with pytest.raises(BlockingIOError, match=f'another run writes to {out}: wait for it'):
            write(out, 'other', overwrite=True)
    assert (out / 'results.json').read_text() == 'new'


def test_a_folder_that_cannot_be_renamed_is_told_before(tmp_path, monkeypatch):
    (tmp_path / 'here' / 'below').mkdir(parents=True)
    monkeypatch.chdir(tmp_path / 'here' / 'below')
    for out in ('.', '..'):
        with pytest.raises(ValueError, match=r'name a folder in it, such as .*test'):
            check_folder(out, 'test')
    write(Path('test'))
    monkeypatch.setattr(Path, 'is_mount', lambda path: path.name == 'here')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='a mounted one cannot be: name a folder in it'):
        check_folder('here', 'test')


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(out):
    link = out.with_name('link')
    link.symlink_to(out)
    write(link, overwrite=True)
    assert link.is_symlink()
    assert (out / 'results.json').read_text() == 'new'


def test_the_marker_says_who_and_what(out):
    content = json.loads((out / MARKER).read_text())
    wanted = dict(made_by='pg2aug', command='test', finished=True, ours=['results.json'])
    assert content == wanted


def test_an_old_one_whose_place_is_empty_comes_back(out):
    os.rename(out, old_folder(out))
    with pytest.raises(FileExistsError, match='already holds results'):
        write(out, overwrite=False)
    assert (out / 'results.json').read_text() == 'old'
