"""What was damaged since it was written is named, counted nowhere, and can be made anew."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from attempt_helpers import tree

from pg2aug.expansion.work.parts import Part
from pg2aug.expansion.write.output_folder import OutputFolder

NUM = 40


@pytest.fixture(scope='module')
def finished(synthesize_once):
    """An expansion of two parts, the first of 32 items."""
    return synthesize_once('--no-report', '--batch-size', 4, num=NUM)


@pytest.fixture
def out(finished, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(finished, tmp_path / 'out')


@pytest.fixture
def repeat(synthesize):
    """Give the same command again: its exit status."""
    return lambda: synthesize('--no-report', num=NUM)[0]


END = len(', "checksum": "0123456789abcdef"}')


def signed(data):
    """Lines that were changed, with checksums that say otherwise, as an error of ours would be."""
    members = [line[:-END] for line in data.splitlines()]
    return b''.join(
        b'%s, "checksum": "%s"}\n' % (text, hashlib.sha256(text).hexdigest()[:16].encode())
        for text in members
    )


def unknown(data):
    return signed(data.replace(b'"item": 1,', b'"item": 999,', 1))


def no_object(data):
    return signed(b'{"x": 1' + b' ' * END + b'\n') + data


def a_digit(data):
    """Another coordinate of a joint, which nothing else can tell."""
    start = data.index(b'"keypoints": [') + len(b'"keypoints": [')
    place = next(place for place in range(start, len(data)) if data[place : place + 1].isdigit())
    return data[:place] + (b'7' if data[place : place + 1] != b'7' else b'3') + data[place + 1 :]


def first_lines(data):
    return b''.join(data.splitlines(True)[:5])


DAMAGES = {
    'empty': (lambda data: b'', '(items missing: 32, such as 0)'),
    'short': (
        lambda data: b''.join(data.splitlines(True)[:5]),
        '(items missing: 27, such as 5)',
    ),
    'torn': (lambda data: data[:-1], '(items missing: 1, such as 31)'),
    'doubled': (lambda data: data * 2, ' at line 33 (item 0 is there twice)'),
    'unknown item': (unknown, ' at line 2 (item 999 is not of this part)'),
    'no object': (no_object, ' at line 1 (no line of a part)'),
    'a list': (lambda data: data + b'[]\n', ' at line 33 (it was changed)'),
    'a digit': (a_digit, ' (it was changed)'),
    'no json': (lambda data: signed(data.replace(b'"next"', b'"nex', 1)), ' at line 1 ('),
    'too deep': (lambda data: signed(b'[' * 100_000 + b' ' * END + b'\n'), ' at line 1 ('),
    'lost attempts': (
        lambda data: signed(data.replace(b'"next": 1,', b'"next": 2,', 1)),
        'are missing or there twice)',
    ),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_finished_part(finished, out, repeat, capsys, damage):
    change, message = DAMAGES[damage]
    part = out / 'parts' / '00000000.jsonl'
    part.write_bytes(change(part.read_bytes()))
    (out / 'person_keypoints.json').unlink()
    before = tree(out)
    assert repeat() == 2
    error = capsys.readouterr().err
    assert f'{part} is damaged' in error
    assert message in error
    assert 'delete it, and its items are made anew' in error
    assert tree(out) == before
    if damage == 'doubled':
        part.unlink()
        assert repeat() == 0
        assert tree(out) == tree(finished)


@pytest.mark.parametrize('damage', ['doubled', 'unknown item', 'no object'])
def test_a_part_that_is_not_finished(out, repeat, capsys, damage):
    change, message = DAMAGES[damage]
    part = out / 'parts' / '00000000.jsonl'
    opened = part.rename(part.with_suffix('.open'))
    opened.write_bytes(change(opened.read_bytes()))
    assert repeat() == 2
    assert f'{opened} is damaged{message}' in capsys.readouterr().err


def line(item, first, following, made):
    attempts = [dict(attempt=n) for n in range(first, following)]
    found = attempts.pop() if made else None
    return dict(item=item, next=following, refused=attempts, made=found)


def test_items_are_done_after_any_number_of_rounds(tmp_path):
    folder = OutputFolder(tmp_path)
    folder.make()
    part = Part(folder, 0, range(2), max_attempts=4)
    rounds = [line(0, 0, 2, False), line(1, 0, 1, True), line(0, 2, 4, False)]
    part.append(rounds[:2])
    assert part.read() == {0: rounds[:1], 1: rounds[1:2]}
    part.append(rounds[2:])
    part.finish()
    assert part.read() == {0: [rounds[0], rounds[2]], 1: [rounds[1]]}
    for wrong in (rounds[0], line(0, 3, 4, False), line(0, 1, 4, False), line(0, 2, 2, False)):
        texts = [json.dumps(x)[:-1] + ' ' * END + '\n' for x in (*rounds[:2], wrong)]
        part.path.write_bytes(signed(''.join(texts).encode()))
        with pytest.raises(ValueError, match=r'line 3 \(attempts at item 0 are missing or'):
            part.read()


def rows(change):
    def damage(path):
        items = np.load(path)
        np.save(path, change(items))

    return damage


def other_pose(items):
    items['target_pose'][3] = 0 if items['target_pose'][3] else 1
    return items


@pytest.mark.parametrize(
    'damage',
    [
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: path.write_bytes(b'junk'),
        rows(lambda items: items[:20]),
        rows(other_pose),
    ],
    ids=['truncated', 'junk', 'short', 'edited'],
)
def test_the_plan(finished, out, repeat, capsys, damage):
    damage(out / 'plan.npy')
    before = tree(out)
    assert repeat() == 2
    error = capsys.readouterr().err
    assert f'{out / "plan.npy"} is damaged' in error
    assert 'delete plan.npy, and the same command makes it anew' in error
    assert tree(out) == before
    (out / 'plan.npy').unlink()
    assert repeat() == 0
    assert tree(out) == tree(finished)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(plan_sha256='0'), 'plan.json is of another plan than is made today (plan_sha256 was'),
        (dict(items=39), '(items was 39, now is 40): name a new folder'),
        (
            dict(format='pg2aug expansion 2'),
            "of another version of pg2aug ('pg2aug expansion 2' in plan.json, this one writes "
            "'pg2aug expansion 3'): finish it with that version",
        ),
    ],
)
def test_a_plan_that_cannot_be_made_anew(out, repeat, capsys, change, message):
    content = json.loads((out / 'plan.json').read_text())
    (out / 'plan.json').write_text(json.dumps(content | change))
    (out / 'plan.npy').unlink()
    before = tree(out)
    assert repeat() == 2
    assert message in capsys.readouterr().err
    assert tree(out) == before
