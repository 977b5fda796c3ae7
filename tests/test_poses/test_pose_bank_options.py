import ast
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pose_samples import COCO, STANDING, people

from pg2aug.poses import PoseBank, Skeleton

REID = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'reid_csv'
OPENPOSE = {
    'keypoints': [
        *('nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder'),
        *('left_elbow', 'left_wrist', 'right_hip', 'right_knee', 'right_ankle', 'left_hip'),
        *('left_knee', 'left_ankle', 'right_eye', 'left_eye', 'right_ear', 'left_ear'),
    ],
    'skeleton': [
        *([2, 3], [2, 6], [3, 4], [4, 5], [6, 7], [7, 8], [2, 9], [9, 10], [10, 11], [2, 12]),
        *([12, 13], [13, 14], [2, 1], [1, 15], [15, 17], [1, 16], [16, 18]),
    ],
}
DENSITIES = pytest.mark.parametrize('density', ['knn', 'gmm'])


def _all(keypoints):
    return np.ones(keypoints.shape[:2], bool)


def _turned(keypoints, rng):
    angles = rng.uniform(0, 2 * np.pi, len(keypoints))
    cosine, sine = np.cos(angles), np.sin(angles)
    turns = np.stack([np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)], 1)
    return keypoints @ turns


def _bank(keypoints, **options):
    return PoseBank.from_poses(keypoints, _all(keypoints), COCO, **options)


@DENSITIES
def test_rare_is_what_the_reference_lacks(density):
    keypoints = np.concatenate([people(500), people(500, up=-1, seed=1)])
    handstands = people(400, up=-1, seed=2)
    bank = _bank(keypoints, reference=(handstands, _all(handstands)), density=density)
    assert bank.rarity[:500].min() > bank.rarity[500:].max()
    assert bank.weights[:500].mean() > 3 * bank.weights[500:].mean()
    alone = _bank(keypoints, density=density)
    assert alone.weights[:500].mean() < 1.5 * alone.weights[500:].mean()


def test_no_pose_is_its_own_neighbour_but_it_is_that_of_its_copy():
    keypoints = people(60)
    itself = _bank(keypoints, neighbours=1, reference=(keypoints, _all(keypoints)))
    np.testing.assert_array_equal(itself.rarity, _bank(keypoints, neighbours=1).rarity)
    copied = _bank(keypoints, neighbours=1, reference=(keypoints.copy(), _all(keypoints)))
    assert itself.rarity.min() > 0.01
    assert copied.rarity.max() < 0.005


def test_a_reference_may_be_a_single_pose_with_other_joints_missing():
    keypoints = np.concatenate([people(50), people(50, up=-1, seed=1)])
    visible = _all(keypoints[:1])
    visible[0, [0, 1, 2]] = False
    bank = _bank(keypoints, reference=(keypoints[:1], visible))
    assert bank.rarity[:50].max() < bank.rarity[50:].min()


def test_labelling_errors_of_the_reference_do_not_count():
    keypoints = people(60)
    reference = people(60, seed=1)
    expected = _bank(keypoints, reference=(reference, _all(reference)))
    worse = np.concatenate([reference, reference[:3]])
    worse[60:, 9] += 1e5
    bank = _bank(keypoints, reference=(worse, _all(worse)))
    np.testing.assert_allclose(bank.rarity, expected.rarity, rtol=1e-5)


@DENSITIES
def test_turned_people_are_alike_only_if_asked(density):
    rng = np.random.default_rng(0)
    split = STANDING.copy()
    split[[13, 14]] = STANDING[[11, 12]] + [[0.9, 0.1], [-0.9, 0.1]]
    split[[15, 16]] = STANDING[[11, 12]] + [[1.7, 0.2], [-1.7, 0.2]]
    splits = np.stack([split] * 25) * 50 + rng.normal(0, 2, (25, 17, 2))
    keypoints = np.concatenate([people(500), _turned(people(25, seed=3), rng), splits])
    options = dict(density=density, mirror_invariant=False)
    upright = _bank(keypoints, **options)
    turned = _bank(keypoints, rotation_invariant=True, **options)
    common, rotated, rare = slice(500), slice(500, 525), slice(525, 550)
    assert np.median(upright.rarity[rotated]) > 1.4 * np.median(upright.rarity[common])
    assert np.median(turned.rarity[rotated]) < 1.25 * np.median(turned.rarity[common])
    assert np.median(turned.rarity[rare]) > 1.4 * np.median(turned.rarity[common])


@DENSITIES
def test_mirrored_people_are_alike_unless_told_otherwise(density):
    waving = STANDING.copy()
    waving[[7, 9]] = STANDING[5] + [[0.5, -0.4], [0.6, -1.0]]
    rng = np.random.default_rng(0)
    poses = np.stack([waving] * 600) + rng.normal(0, 0.04, (600, 17, 2))
    poses[570:] = poses[570:, COCO.flip_indices] * [-1, 1]
    same = _bank(poses * 80, density=density)
    different = _bank(poses * 80, density=density, mirror_invariant=False)
    ratio = np.median(same.rarity[570:]) / np.median(same.rarity[:570])
    assert ratio == pytest.approx(1, rel=0.25)
    assert np.median(different.rarity[570:]) > 1.5 * np.median(different.rarity[:570])


def test_options_are_kept_and_make_the_same_bank_again(tmp_path):
    keypoints = people(80)
    other = people(30, seed=1), np.ones((30, 17))
    options = dict(alpha=1.5, neighbours=3, rotation_invariant=True, mirror_invariant=False, seed=4)
    bank = _bank(keypoints, reference=other, **options)
    bank.save(tmp_path / 'bank.npz')
    kept = dict(PoseBank.load(tmp_path / 'bank.npz').options)
    assert kept == {**options, 'density': 'knn', 'reference': 30}
    assert kept.pop('reference') == len(other[0])
    again = _bank(keypoints, reference=other, **kept)
    np.testing.assert_array_equal(again.weights, bank.weights)
    assert _bank(keypoints).options['reference'] is None


def test_a_bank_without_options_is_loaded(tmp_path):
    _bank(people(20)).save(tmp_path / 'new.npz')
    with np.load(tmp_path / 'new.npz') as archive:
        arrays = dict(archive)
    meta = json.loads(str(arrays.pop('meta')))
    del meta['options']
    np.savez(tmp_path / 'old.npz', meta=json.dumps(meta), **arrays)
    bank = PoseBank.load(tmp_path / 'old.npz')
    assert dict(bank.options) == {}
    np.testing.assert_array_equal(bank.weights, PoseBank.load(tmp_path / 'new.npz').weights)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'density': 'kde'}, "density must be 'knn' or 'gmm', got 'kde'"),
        ({'density': 'gmm', 'neighbours': 3}, "neighbours is of density='knn'"),
        ({'reference': (np.ones((2, 14, 2)), np.ones((2, 14)))}, r'reference keypoints must be'),
        (
            {'reference': (np.zeros((2, 17, 2)), np.ones((2, 17)))},
            'none of 2 poses of the reference is plausible',
        ),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        _bank(people(10), **options)


def test_threads_do_not_change_the_bank(monkeypatch):
    keypoints = np.concatenate([people(700, jitter=0.2), people(50, up=-1, seed=1)])
    expected = _bank(keypoints)
    monkeypatch.setattr('os.cpu_count', lambda: 1)
    np.testing.assert_array_equal(_bank(keypoints).weights, expected.weights)


@cache
def _reid_poses(name):
    """Every third pose of a file, of those with enough joints."""
    path = REID / name
    if not path.exists():
        pytest.skip(f'needs ../shared/data/reid_csv/{name}')
    rows = [line.split(':') for line in path.read_text().splitlines()[1:]]
    # y comes before x.
    poses = np.array([[ast.literal_eval(row[k].strip()) for k in (2, 1)] for row in rows])
    keypoints = poses.transpose(0, 2, 1).astype(np.float32)
    visible = (keypoints != -1).all(axis=-1)
    enough = np.flatnonzero(visible.sum(axis=1) >= 9)[::3]
    return keypoints[enough], visible[enough]


@DENSITIES
@pytest.mark.parametrize('name', ['market-annotation-train.csv', 'fasion-annotation-test.csv'])
def test_missing_joints_do_not_make_real_poses_rare(name, density):
    keypoints, visible = _reid_poses(name)
    bank = PoseBank.from_poses(
        keypoints, visible, Skeleton.from_coco_category(OPENPOSE), density=density
    )
    labelled = visible.sum(axis=1)
    order = np.argsort(-np.nan_to_num(bank.rarity, nan=-1), kind='stable')
    rarest = labelled[order[: len(order) // 10]].mean()
    print(f'{name} {density}: {rarest:.2f} of the rarest tenth, {labelled.mean():.2f} of all')
    assert rarest > labelled.mean() - 0.75
    assert bank.weights @ labelled > labelled.mean() - 0.5
    assert bank.effective_sample_size > len(bank) / 10
