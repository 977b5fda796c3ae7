"""The experiment on real frames: nothing of the test is learnt from, and its numbers add up."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.rare_real import __main__ as rare_real
from benchmarks.rare_real.report import SIZE, real_markdown, real_report, settings, view_of
from benchmarks.rare_real.world import RealWorld
from pg2aug.poses import PoseBank


@pytest.fixture(scope='module')
def data():
    folder = Path(__file__).resolve().parents[2] / 'shared' / 'data'
    if not folder.is_dir():
        pytest.skip('needs ../shared/data beside the repository')
    return folder


@pytest.fixture(scope='module')
def world(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('real') / 'motion_bank_2'
    return RealWorld(folder, 2, 60, 0.0, True, (128, 128), data, 2, 'motion_bank')


def names(path):
    content = json.loads(path.read_text())
    of_image = {image['id']: image['file_name'] for image in content['images']}
    return {of_image[a['image_id']] for a in content['annotations']}


def test_nothing_of_the_test_is_learnt_from(world):
    train, test, render = names(world.train()), names(world.test().path), names(world.render(0))
    assert len(train) == 60
    assert not train & test
    assert not render & test
    assert not [name for name in render if name.startswith('cam02')]
    poses = json.loads(world.poses().read_text())
    assert poses['images'] == []
    assert len(poses['annotations']) == 135
    tested = json.loads(world.test().path.read_text())['annotations']
    known = {tuple(a['keypoints']) for a in poses['annotations']}
    assert not known & {tuple(a['keypoints']) for a in tested}


def test_joints_stay_where_they_are_in_the_smaller_frames(world, data):
    content = json.loads(world.train().read_text())
    image = content['images'][7]
    annotation = next(a for a in content['annotations'] if a['image_id'] == image['id'])
    small = cv2.imread(str(world.folder / 'images' / 'train' / image['file_name']))
    assert small.shape == (image['height'], image['width'], 3) == (480, 270, 3)
    full = cv2.imread(str(data / 'balance4view' / 'images' / image['file_name']))
    original = json.loads((data / 'balance4view' / 'person_keypoints_train.json').read_text())
    source = next(i['id'] for i in original['images'] if i['file_name'] == image['file_name'])
    joints = next(a for a in original['annotations'] if a['image_id'] == source)['keypoints']
    patches = []
    for picture, keypoints, size in ((full, joints, 42), (small, annotation['keypoints'], 21)):
        triples = np.array(keypoints).reshape(-1, 3)
        x, y = triples[np.flatnonzero(triples[:, 2])[-5], :2]
        patch = cv2.getRectSubPix(picture, (size, size), (x, y))
        patches.append(cv2.resize(patch, (21, 21), interpolation=cv2.INTER_AREA).astype(float))
    assert np.abs(patches[0] - patches[1]).mean() < 6
    assert np.abs(patches[0] - np.roll(patches[1], 2, axis=1)).mean() > 8


def test_leaning_poses_are_rare_seen_from_the_training_set(world):
    subsets = world.test().subsets()
    assert {name: len(ids) for name, ids in subsets.items() if name != 'rarest'} == {
        'starting': 10,
        'leaning': 45,
        'late, held-out camera': 20,
        'late, other cameras': 60,
        'rare': 125,
        'common': 10,
    }
    assert len(subsets['rarest']) == pytest.approx(14, abs=2)
    assert not subsets['rarest'] & subsets['common']
    assert PoseBank.load(world.bank()).options['reference'] == 60


def test_the_other_bank_is_of_other_people(world, data, tmp_path):
    coco = RealWorld(tmp_path, 2, 60, 0.0, True, (128, 128), data, 2, 'coco_bank')
    content = json.loads(coco.poses().read_text())
    assert content['images'] == []
    # Of 22 people in the files; three show too little.
    assert len(PoseBank.load(coco.bank())) == 19


def run(setting, rare, accepted=None):
    """A line of the file of results."""
    scores = {'ap': rare / 2, 'pck': rare}
    subsets = dict.fromkeys(('rare', 'common', 'rarest'), scores)
    return {**asdict(setting), **subsets, 'families': {'leaning': scores}, 'accepted': accepted,
            'seconds': {'training': 60}, 'start': 'a'}  # fmt: skip


def test_trainings_with_the_same_camera_are_one_sample():
    runs = [
        run(s, 0.4 + 0.1 * (s.seed >= 4) + 0.01 * (s.seed % 4) + 0.2 * (s.arm == 'pg2'))
        for s in settings()
    ]
    found = real_report(runs)
    arms = found['regimes']['motion_bank']['arms']
    assert arms['baseline']['rare']['pck']['seeds'] == [45.0, 46.0, 47.0, 48.0]
    assert arms['pg2']['rare']['pck']['mean'] == pytest.approx(66.5)
    # Arms that synthesise nothing stand in both.
    shown = found['regimes']['coco_bank']['arms']
    assert list(shown) == ['baseline', 'rotation_oversampling', 'pg2', 'limb_warp', 'render']
    text = real_markdown(found)
    assert ': 4 of 4;' in text
    assert 'each of them: 2 at most' in text
    assert {view_of(setting.seed) for setting in settings()} == {1, 2, 3, 4}


def test_finished_runs_are_not_run_again(data, tmp_path, monkeypatch):
    first, second = (s for s in settings() if s.arm in ('baseline', 'pg2') and s.seed == 0
                     and s.regime == 'motion_bank')  # fmt: skip
    (tmp_path / 'runs.jsonl').write_text(json.dumps(run(first, 0.5)) + '\n')
    asked = []

    def run_in(world, setting, size, work_dir, start):
        asked.append((setting, world.view, size))
        return run(setting, 0.6, accepted=0.9)

    monkeypatch.setattr(rare_real, 'run_in', run_in)
    arguments = ['--data', data, '--regimes', 'motion_bank', '--arms', 'baseline', 'pg2']
    arguments += ['--seeds', 0, '--work-dir', tmp_path, '--out', tmp_path, '--start', 'none.pth']
    monkeypatch.setattr(sys, 'argv', ['rare_real', *map(str, arguments)])
    rare_real.main()
    assert asked == [(second, 1, SIZE)]
    assert '90%' in (tmp_path / 'rare_real.md').read_text()
    rare_real.main()
    assert len(asked) == 1
