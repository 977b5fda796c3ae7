"""An expansion that is interrupted, however, is finished as if it had not been."""

import json
import os
import random
import resource
import shutil
import signal
import time

import pytest
from attempt_helpers import fork, tree, wait_for
from crash_points import crash_points, restore
from crash_points import tree as crash_points_tree

from pg2aug.expansion.report.page import data_set_id
from pg2aug.expansion.work import items, pipeline, run
from pg2aug.expansion.work.groups import Group
from pg2aug.expansion.work.items import prepare_item, write_image
from pg2aug.expansion.work.parts import Part
from pg2aug.expansion.write.output_folder import OutputFolder

LIMB_WARP = ['--limb-warp', 'configs/_base_/datasets/coco.py', '--size', 48, 64]
KILLS = 20
NUM = 40


@pytest.fixture
def expand(synthesize):
    """Run the tool in groups of 32 items, some of which are tried again: its exit status."""

    def run(out, *arguments, num=NUM):
        arguments = ('--no-report', '--min-joints-ok', 0.9, *arguments)
        return synthesize(*arguments, out=out, num=num, check=True, chosen=LIMB_WARP)[0]

    return run


@pytest.fixture
def whole(expand, tmp_path):
    """The files of an expansion that nothing interrupts."""
    assert expand('whole') == 0
    files = tree(tmp_path / 'whole')
    lines = [line for name, data in files.items() if name.startswith('parts/')
             for line in map(json.loads, data.splitlines())]  # fmt: skip
    # Otherwise it would be no test of rounds and of groups.
    assert sum(len(line['refused']) > 0 for line in lines) > 3
    assert len([name for name in files if name.startswith('parts/')]) == 2
    return files


def make_one_after_another(recipe, parts, progress, workers, report):
    """What the assembly line makes, plainly: a step after the other, a group after the other."""
    for part in parts:
        group = Group(part, recipe.output.batch_size)
        while not group.is_done:
            step = group.next_step()
            pairs = zip(step.items, step.first, strict=True)
            ready = [prepare_item(recipe, item, first) for item, first in pairs]
            lines, made = pipeline.make_lines(recipe, step.items, ready)
            new = group.add(step, lines)
            part.append([write_image(recipe, line, made.get(line['item'])) for line in new])
        part.finish()


def test_the_assembly_line_makes_what_a_loop_makes(expand, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(run, 'make_parts', make_one_after_another)
    assert expand('plain') == 0
    assert tree(tmp_path / 'plain') == whole


@pytest.mark.slow
def test_killed_at_any_moment(expand, whole, tmp_path):
    started = time.monotonic()
    assert wait_for(fork(expand, 'timed')) == 0
    duration = time.monotonic() - started
    moments, kills, finished = random.Random(0), 0, 0
    while kills < KILLS or not finished:
        name = f'out{finished}'
        child = fork(expand, name)
        time.sleep(moments.uniform(0, 1.1 * duration if kills % 4 == 0 else 0.5 * duration))
        if kills < KILLS:
            os.kill(child, signal.SIGKILL)
        status = wait_for(child)
        kills += status == -signal.SIGKILL
        if (tmp_path / name).exists():
            # A killed one leaves no part of a file under its name.
            images = {
                f'images/{p.name}': p.read_bytes() for p in (tmp_path / name).glob('images/*')
            }
            assert images.items() <= whole.items()
        if status != -signal.SIGKILL:
            assert status == 0
            assert tree(tmp_path / name) == whole
            finished += 1
    assert kills == KILLS


def test_only_what_is_missing_is_made(expand, whole, tmp_path, monkeypatch):
    written, write = [], OutputFolder.write

    def stop_after(self, path, data):
        written.append(path.name)
        if len(written) == 12:
            raise KeyboardInterrupt
        write(self, path, data)

    monkeypatch.setattr(OutputFolder, 'write', stop_after)
    assert expand('out') == 130
    (part,) = (tmp_path / 'out' / 'parts').iterdir()
    recorded = [json.loads(line) for line in part.read_text().splitlines()]
    done = {f'{line["item"]:08d}.jpg' for line in recorded if line['made']}
    assert 0 < len(done) < NUM
    monkeypatch.setattr(OutputFolder, 'write', lambda *a: (written.append(a[1].name), write(*a)))
    written.clear()
    assert expand('out') == 0
    assert not done & set(written)
    assert tree(tmp_path / 'out') == whole


def test_a_torn_last_line_is_made_anew(expand, whole, tmp_path):
    assert expand('out') == 0
    part = tmp_path / 'out' / 'parts' / '00000001.jsonl'
    torn = part.read_bytes()[:-100]
    part.unlink()
    part.with_suffix('.open').write_bytes(torn)
    assert expand('out') == 0
    assert tree(tmp_path / 'out') == whole


def test_images_that_are_gone_are_made_anew(expand, whole, tmp_path):
    assert expand('out') == 0
    images = sorted((tmp_path / 'out' / 'images').iterdir())
    images[3].unlink()
    images[-1].write_bytes(b'')
    (tmp_path / 'out' / 'person_keypoints.json').unlink()
    assert expand('out') == 0
    assert tree(tmp_path / 'out') == whole


def test_a_damaged_part_is_named(expand, whole, tmp_path, capsys):
    assert expand('out') == 0
    part = tmp_path / 'out' / 'parts' / '00000001.jsonl'
    text = part.read_bytes()
    part.write_bytes(text.replace(b'"item"', b'"it', 1))
    assert expand('out') == 2
    assert '00000001.jsonl is damaged at line 1' in capsys.readouterr().err
    part.unlink()
    assert expand('out') == 0
    assert tree(tmp_path / 'out') == whole


def with_file_limit(run, tool, size):
    begin = tool.expand

    def limited(*arguments, **options):
        # Python ignores the signal that comes with it: writing fails, as on a full disk, midway.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return begin(*arguments, **options)

    tool.expand = limited
    return run('out')


@pytest.mark.parametrize(('size', 'name'), [(1000, 'plan.json'), (25_000, 'parts/00000000.open')])
def test_a_disk_that_is_full_stops_it(expand, tool, whole, tmp_path, capfd, size, name):
    # Of the larger size no image is, but the lines of a group are.
    assert wait_for(fork(with_file_limit, expand, tool, size)) == 2
    remedy = '(free space, then give the same command again)'
    message = f"error: [Errno 27] File too large {remedy}: '{tmp_path / 'out' / name}'"
    assert message in capfd.readouterr().err
    assert not (tmp_path / 'out' / 'person_keypoints.json').exists()
    left = tree(tmp_path / 'out')
    assert not any(name.startswith('partial') for name in left)
    images = {name: data for name, data in left.items() if name.startswith('images/')}
    assert images.items() <= whole.items()
    assert bool(images) == (size > 1000)
    assert expand('out') == 0
    assert tree(tmp_path / 'out') == whole


def test_a_worker_that_fails_stops_it(expand, whole, tmp_path, monkeypatch):
    calls, encode = [], items.encode_jpeg

    def fail(image):
        calls.append(image)
        if len(calls) == 6:
            raise RuntimeError('a worker died')
        return encode(image)

    monkeypatch.setattr(items, 'encode_jpeg', fail)
    with pytest.raises(RuntimeError, match='a worker died'):
        expand('out')
    assert not (tmp_path / 'out' / 'person_keypoints.json').exists()
    monkeypatch.undo()
    assert expand('out') == 0
    assert tree(tmp_path / 'out') == whole


def test_other_settings_are_refused(expand, tmp_path, capsys, couples):
    assert expand('out', num=3) == 0
    before = tree(tmp_path / 'out')
    for arguments, message in (
        (('--seed', 1), 'seed was 0, now is 1'),
        (('--min-size', 5), 'info.source_filter.min_size was 0, now is 5.0'),
        (('--crops',), 'output.crops was False, now is True'),
    ):
        assert expand('out', *arguments, num=3) == 2
        message = f'holds an expansion with other settings: {message}'
        assert message in capsys.readouterr().err.replace('info.seed', 'seed')
    assert expand('out', num=4) == 2
    assert 'request.num was 3, now is 4' in capsys.readouterr().err
    assert expand('out', '--precision', 'float16', num=3) == 2
    assert "now is 'torch.float16'" in capsys.readouterr().err
    couples[0].write_text(couples[0].read_text() + ' ')
    assert expand('out', num=3) == 2
    assert 'inputs.ann_file was' in capsys.readouterr().err
    assert tree(tmp_path / 'out') == before


def test_a_second_run_at_the_same_time_is_refused(expand, tmp_path, monkeypatch, capsys):
    append = Part.append

    def append_while_another_runs(part, lines):
        assert wait_for(fork(expand, 'out')) == 2
        append(part, lines)

    monkeypatch.setattr(Part, 'append', append_while_another_runs)
    assert expand('out', num=3) == 0


def test_a_second_run_is_refused_while_the_report_is_drawn(synthesize, tool, monkeypatch):
    def draw_while_another_runs(args, job, summary):
        assert wait_for(fork(lambda: synthesize('--no-report', num=2, chosen=LIMB_WARP)[0])) == 2
        seen.append(summary.accepted)

    seen = []
    monkeypatch.setattr(tool, 'write_page', draw_while_another_runs)
    assert synthesize(num=2, chosen=LIMB_WARP)[0] == 0
    assert seen == [2]


def test_killed_at_any_step(synthesize, tool, tmp_path):
    """With its report, and with a review that is applied."""

    def run():
        return synthesize(num=2, chosen=LIMB_WARP)[0]

    out = tmp_path / 'out'
    assert run() == 0
    whole = crash_points_tree(out)
    shutil.rmtree(out)
    status, states = crash_points(tmp_path, run)
    assert status == 0
    assert crash_points_tree(out) == whole
    states = [{n[4:]: data for n, data in state.items() if n[:4] == 'out/'} for state in states]
    states = [state for number, state in enumerate(states) if state not in states[:number]]
    assert len(states) > 50
    for state in states:
        made = {n for n, data in state.items() if data is not None and '/.' not in f'/{n}'}
        made = {n for n in made if not n.startswith('partial/') and not n.endswith('.open')}
        assert all(state[name] == whole[name] for name in made)
        # The report is there with all that belongs to it, or not at all.
        assert 'report' not in state or {n for n in whole if n[:7] == 'report/'} <= state.keys()
    for state in states[:: len(states) // 24]:
        restore(out, state)
        assert run() == 0
        assert crash_points_tree(out) == whole


def test_a_review_that_is_killed_at_any_step(synthesize, tool, tmp_path):
    _, out = synthesize(num=2, chosen=LIMB_WARP)
    content = json.loads((out / 'person_keypoints.json').read_text())
    person = next(a['id'] for a in content['annotations'] if 'pg2aug' in a)
    review = tmp_path / 'review.json'

    def run(verdict):
        entry = dict(annotation_id=person, verdict=verdict, comment='')
        said = dict(data_set=data_set_id(out / 'person_keypoints.json'), reviews=[entry])
        review.write_text(json.dumps(dict(format='pg2aug review 1', **said)))
        return tool.main(['--apply-review', str(review), '--out', str(out)])

    assert run('reject') == 0
    old = (out / 'person_keypoints_reviewed.json').read_bytes()
    status, states = crash_points(out, lambda: run('accept'))
    assert status == 0
    after = crash_points_tree(out)
    new = after['person_keypoints_reviewed.json']
    assert new != old
    assert len(states) > 3
    for state in states:
        assert state['person_keypoints_reviewed.json'] in (old, new)
        restore(out, state)
        assert run('accept') == 0
        assert crash_points_tree(out) == after


@pytest.mark.parametrize('name', ['plan.json', 'plan.npy', 'partial/mine.txt', 'images/1.jpg'])
def test_a_folder_of_something_else_is_left_alone(expand, tmp_path, capsys, name):
    path = tmp_path / 'out' / name
    path.parent.mkdir(parents=True)
    path.write_text('mine')
    assert expand('out', num=3) == 2
    assert 'is not empty and holds no expansion' in capsys.readouterr().err
    assert tree(tmp_path / 'out') == {name: b'mine'}
