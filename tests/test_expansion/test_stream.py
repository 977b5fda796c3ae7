import json

import pytest

from pg2aug.expansion.report import stream
from pg2aug.expansion.report.stream import iter_entries

CONTENT = {
    'info': {'list': [1, [2]], 'text': 'a "quoted" ]} text, with an é'},
    'none': None,
    'number': -12.5e3,
    'images': [{'id': n, 'file_name': f'{n}.jpg', 'tags': [[n]]} for n in range(100)],
    'empty': [],
    'annotations': [{'id': 1, 'long': 'x' * 3000}],
}


@pytest.mark.parametrize('chunk', [1, 7, 64, 1 << 20])
@pytest.mark.parametrize('indent', [None, 1])
def test_what_is_read_is_what_is_there(tmp_path, monkeypatch, chunk, indent):
    monkeypatch.setattr(stream, '_CHUNK', chunk)
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(CONTENT, indent=indent))
    expected = [
        (key, entry)
        for key, value in CONTENT.items()
        for entry in (value if isinstance(value, list) else [value])
    ]
    assert list(iter_entries(path)) == expected


def test_no_more_is_held_than_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, '_CHUNK', 1000)
    path = tmp_path / 'a.json'
    path.write_text(json.dumps({'a': [{'text': 'x' * 100}] * 10_000}))
    reader = stream._Reader(path.open())
    assert max(len(reader._text) for _ in reader.members()) < 5000


@pytest.mark.parametrize(
    'text', ['', '[1, 2]', '{"a": [1, 2', '{"a": 1 "b": 2}', '{"a": [1 2]}', '{"a"']
)
def test_what_cannot_be_read(tmp_path, text):
    path = tmp_path / 'a.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'a\.json is no json object'):
        list(iter_entries(path))


def test_what_is_nested_too_deeply_cannot_be_read(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('{"a": ' + '[' * 100_000)
    with pytest.raises(ValueError, match=r'a\.json is nested too deeply'):
        list(iter_entries(path))
