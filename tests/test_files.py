import errno
import os
from pathlib import Path

import mmengine
import pytest

from pg2aug.utils.files import load_json, replacing, write_files


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
