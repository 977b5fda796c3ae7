import errno
import os
from pathlib import Path

import mmengine
import pytest

from pg2aug.utils.files import check_not_read, load_json, replacing, were_interrupted, write_files


def test_files_are_replaced_together(tmp_path):
    paths = [tmp_path / 'a', tmp_path / 'b']
    paths[1].write_text('old')
    write_files({path: path.name.encode() for path in paths})
    assert [path.read_text() for path in paths] == ['a', 'b']
    assert sorted(os.listdir(tmp_path)) == ['a', 'b']


@pytest.mark.parametrize('sizes', [(10, 2000), (2000, 10), (2000, 2000)])
def test_files_that_do_not_fit_are_not_written_and_the_first_is_named(tmp_path, full_disk, sizes):
    paths = [tmp_path / 'a', tmp_path / 'b']
    paths[0].write_text('old')
    too_large = next(path for path, size in zip(paths, sizes, strict=True) if size == 2000)
    with full_disk(1000), pytest.raises(OSError, match='free space') as caught:
        write_files({path: b'x' * size for path, size in zip(paths, sizes, strict=True)})
    assert caught.value.filename == str(too_large)
    assert paths[0].read_text() == 'old'
    assert os.listdir(tmp_path) == ['a']


def test_a_folder_in_the_place_of_one_is_told_before_any_is_replaced(tmp_path):
    paths = [tmp_path / 'a', tmp_path / 'b']
    paths[0].mkdir()
    paths[1].write_text('old')
    with pytest.raises(OSError, match='a folder is there') as caught:
        write_files(dict.fromkeys(paths, b'new'))
    assert caught.value.filename == str(paths[0])
    assert paths[1].read_text() == 'old'


def test_no_file_is_replaced_before_all_are_on_the_disk(tmp_path, monkeypatch):
    paths = [tmp_path / 'a', tmp_path / 'b']
    for path in paths:
        path.write_text('old')
    synced = []

    def full(number):
        synced.append(number)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='free space'):
        write_files(dict.fromkeys(paths, b'new'))
    assert [path.read_text() for path in paths] == ['old', 'old']
    assert sorted(os.listdir(tmp_path)) == ['a', 'b']


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match='none') as caught, replacing(tmp_path / 'a'):
        Path(tmp_path / 'none').read_text()
    assert 'give the same command' not in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'{', 'a.json is no json file: Expecting'),
        (b'\xef\xbb\xbf{}', 'a.json is no json file: Unexpected UTF-8 BOM'),
        ('{}'.encode('utf-16'), 'a.json is no json file: .*utf-8'),
        (b'[' * 100_000, 'a.json is nested too deeply'),
    ],
)
def test_json_is_read_as_mmengine_reads_it(tmp_path, data, message):
    path = tmp_path / 'a.json'
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        load_json(path)
    with pytest.raises((ValueError, RecursionError)):
        mmengine.load(path)
    path.write_text('{"a": "\u00e9"}', encoding='utf-8')
    assert load_json(path) == mmengine.load(path) == {'a': '\u00e9'}


def killed(function):
    """Call a function in a process that ends at once where it renames for the second time."""
    child = os.fork()
    if child == 0:
        rename, done = os.replace, []

        def replace(source, target):
            if done:
                os._exit(9)
            done.append(target)
            rename(source, target)

        os.replace = replace
        try:
            function()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize('number', [2, 3])
def test_files_that_were_not_all_replaced_are_told_apart(tmp_path, number):
    paths = [tmp_path / name for name in 'abc'[:number]]
    write_files(dict.fromkeys(paths, b'old'))
    assert not were_interrupted(paths)
    killed(lambda: write_files(dict.fromkeys(paths, b'new')))
    assert [path.read_text() for path in paths] == ['new', *['old'] * (number - 1)]
    assert were_interrupted(paths)
    write_files(dict.fromkeys(paths, b'newer'))
    assert not were_interrupted(paths)
    assert sorted(os.listdir(tmp_path)) == [path.name for path in paths]


def test_what_killed_processes_left_of_a_file_is_removed_and_nothing_else(tmp_path):
    left = tmp_path / '.a.json.123.pg2aug'
    others = ['.a.json.123', '.a.json.x.pg2aug', '.b.json.123.pg2aug', 'a.json.123.pg2aug']
    for path in (left, *(tmp_path / name for name in others)):
        path.write_text('torn')
    with replacing(tmp_path / 'a.json') as file:
        file.write(b'new')
    assert sorted(os.listdir(tmp_path)) == sorted([*others, 'a.json'])


def test_what_another_process_is_writing_stays(tmp_path):
    path = tmp_path / 'a'
    here, there = os.pipe()
    back, forth = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with replacing(path) as file:
                file.write(b'theirs')
                os.write(there, b'!')
                os.read(back, 1)
        finally:
            os._exit(0)
    assert os.read(here, 1) == b'!'
    with replacing(path) as file:
        file.write(b'ours')
    assert len(os.listdir(tmp_path)) == 2
    os.write(forth, b'!')
    os.waitpid(child, 0)
    for number in (here, there, back, forth):
        os.close(number)
    assert path.read_text() == 'theirs'
    assert os.listdir(tmp_path) == ['a']


def test_a_file_is_read_by_whatever_name(tmp_path):
    path = tmp_path / 'a'
    path.write_text('mine')
    (tmp_path / 'link').symlink_to(path)
    os.link(path, tmp_path / 'hard')
    for name in ('a', 'link', 'hard', '../' + tmp_path.name + '/a'):
        with pytest.raises(ValueError, match='is read and would be overwritten: name another file'):
            check_not_read([tmp_path / name], [str(path)])
    check_not_read([tmp_path / 'new'], [path, tmp_path / 'none'])
