"""Several processes share an expansion; what comes of it does not tell how many there were."""

import json
import os
import signal
import socket
import time

import pytest
from attempt_helpers import fork, tree, wait_for

import pg2aug.expansion.work.run as expansion_run
from pg2aug.expansion.work.parts import Part

LIMB_WARP = ['--limb-warp', 'configs/_base_/datasets/coco.py', '--size', 48, 64]


@pytest.fixture
def expand(synthesize):
    """Run the tool on 70 items in groups of 16."""

    def run(out, *arguments):
        arguments = '--no-report', '--batch-size', 2, '--min-joints-ok', 0.8, *arguments
        return synthesize(*arguments, out=out, num=70, check=True, chosen=LIMB_WARP)[0]

    return run


def run_rank(expand, out, rank, size, port, killed, late):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size))
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    if killed:
        append, calls = Part.append, []

        def append_and_die(part, lines):
            append(part, lines)
            calls.append(part)
            if len(calls) == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        Part.append = append_and_die
    if late:
        begin = expansion_run._run

        def begin_late(*arguments):
            # By now another has merged, and found images gone.
            time.sleep(0.5)
            return begin(*arguments)

        expansion_run._run = begin_late
    return expand(out, '--launcher', 'pytorch')


def run_ranks(expand, out, size, killed=(), late=()):
    """Exit status of every rank."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    ranks = range(size)
    children = [
        fork(run_rank, expand, out, rank, size, port, rank in killed, rank in late)
        for rank in ranks
    ]
    return [wait_for(child) for child in children]


@pytest.mark.slow
def test_the_number_of_processes_leaves_no_trace(expand, tmp_path):
    assert expand('one') == 0
    expected = tree(tmp_path / 'one')
    for size in (2, 3):
        assert run_ranks(expand, f'of{size}', size) == [0] * size
        assert tree(tmp_path / f'of{size}') == expected
    # A lost process costs what it has not finished; the others do their parts.
    assert run_ranks(expand, 'lost', 3, killed=[1]) == [0, -signal.SIGKILL, 0]
    out = tmp_path / 'lost'
    assert not (out / 'person_keypoints.json').exists()
    assert len(list((out / 'parts').glob('*.jsonl'))) == 3
    done = {
        out / 'images' / f'{line["item"]:08d}.jpg'
        for part in (out / 'parts').iterdir()
        for line in map(json.loads, part.read_text().splitlines())
        if line['made']
    }
    before = {path: path.stat().st_mtime_ns for path in done}
    assert run_ranks(expand, 'lost', 2) == [0, 0]
    assert tree(out) == expected
    assert {path: path.stat().st_mtime_ns for path in done} == before


def test_images_that_are_gone_are_made_anew_by_one_of_several(expand, tmp_path):
    assert expand('out') == 0
    expected = tree(tmp_path / 'out')
    for image in sorted((tmp_path / 'out' / 'images').iterdir())[::3]:
        image.unlink()
    assert run_ranks(expand, 'out', 2, late=[1]) == [0, 0]
    assert tree(tmp_path / 'out') == expected


def test_all_stop_where_one_cannot_begin(expand, tmp_path, capfd):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'mine.txt').write_text('mine')
    assert run_ranks(expand, 'out', 2) == [2, 2]
    messages = capfd.readouterr().err
    assert messages.count('is not empty and holds no expansion') == 2
    assert 'another process could not begin' in messages
