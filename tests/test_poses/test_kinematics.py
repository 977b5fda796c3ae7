import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pose_samples import COCO, people

from pg2aug.poses.kinematics import (
    from_bones,
    interpolate_poses,
    joint_depths,
    to_bones,
    turn_joints,
)
from pg2aug.poses.read.pose_files import metainfo_skeleton
from pg2aug.poses.retarget import MAX_RATIO, MIN_RATIO, segments, stretch_limbs
from pg2aug.poses.scale import limb_lengths
from pg2aug.poses.skeleton import Skeleton

FLIP = list(COCO.flip_indices)
KNEE, ANKLE, ELBOW = (COCO.keypoint_names.index(f'left_{n}') for n in ('knee', 'ankle', 'elbow'))


def _poses(count, seed, jitter=0.15):
    """Poses of one size with a random half-ish of the joints."""
    rng = np.random.default_rng(seed)
    keypoints = people(1, jitter=0)[0] / 100 + rng.normal(0, jitter, (count, 17, 2))
    return keypoints, rng.random((count, 17)) > 0.3


def _mirror(keypoints, visible):
    return keypoints[:, FLIP] * [-1, 1], visible[:, FLIP]


def _centred(keypoints, visible):
    known = visible[..., None]
    mean = np.where(known, keypoints, 0).sum(1, keepdims=True) / known.sum(1, keepdims=True)
    return np.where(known, keypoints - mean, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_bones_put_together_are_the_pose(seed):
    keypoints, visible = _poses(4, seed)
    visible[:, 0] |= ~visible.any(axis=1)
    again = from_bones(*to_bones(keypoints, visible, COCO), visible, COCO)
    assert (again[~visible] == 0).all()
    np.testing.assert_allclose(_centred(again, visible), _centred(keypoints, visible), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_mirrored_parents_have_mirrored_children(seed):
    rng = np.random.default_rng(seed)
    first, visible = _poses(4, seed)
    second, _ = _poses(4, seed + 1)
    share, turns = rng.random(4), rng.uniform(-0.2, 0.2, (4, 17))
    child = interpolate_poses(first, second, visible, share, COCO)
    child = turn_joints(child, visible, turns, COCO)
    flipped, flipped_visible = _mirror(first, visible)
    other = interpolate_poses(flipped, _mirror(second, visible)[0], flipped_visible, share, COCO)
    other = turn_joints(other, flipped_visible, -turns[:, FLIP], COCO)
    np.testing.assert_allclose(_mirror(child, visible)[0], other, atol=1e-9)


def test_a_turning_limb_keeps_its_length():
    first, visible = _poses(1, 0, jitter=0)[0], np.ones((1, 17), bool)
    turns = np.zeros((1, 17))
    turns[0, KNEE] = np.radians(100)
    second = turn_joints(first, visible, turns, COCO)
    middle = interpolate_poses(first, second, visible, np.array([0.5]), COCO)
    np.testing.assert_allclose(
        limb_lengths(middle, visible, COCO.limbs), limb_lengths(first, visible, COCO.limbs)
    )
    turns[0, KNEE] = np.radians(50)
    expected = turn_joints(first, visible, turns, COCO)
    np.testing.assert_allclose(_centred(middle, visible), _centred(expected, visible), atol=1e-9)


def test_shares_0_and_1_are_the_parents():
    first, visible = _poses(8, 0)
    second, _ = _poses(8, 1)
    for share, parent in ((0.0, first), (1.0, second)):
        child = interpolate_poses(first, second, visible, np.full(8, share), COCO)
        np.testing.assert_allclose(_centred(child, visible), _centred(parent, visible), atol=1e-9)


def test_a_turned_knee_takes_the_ankle_along_and_leaves_the_arm():
    keypoints, visible = _poses(1, 0)[0], np.ones((1, 17), bool)
    turns = np.zeros((1, 17))
    turns[0, KNEE] = 0.3
    before, _ = to_bones(keypoints, visible, COCO)
    after, _ = to_bones(turn_joints(keypoints, visible, turns, COCO), visible, COCO)
    turned = np.angle(np.exp(1j * (after - before)))[0]
    assert turned[[KNEE, ANKLE]] == pytest.approx([0.3, 0.3])
    assert np.abs(np.delete(turned, [KNEE, ANKLE])).max() < 1e-9


def test_a_shin_without_a_knee_hangs_on_what_the_knee_hangs_on():
    keypoints, visible = _poses(1, 0)[0], np.ones((1, 17), bool)
    visible[0, KNEE] = False
    hip = COCO.keypoint_names.index('left_hip')
    _, lengths = to_bones(keypoints, visible, COCO)
    assert lengths[0, ANKLE] == pytest.approx(
        np.linalg.norm(keypoints[0, ANKLE] - keypoints[0, hip])
    )


@pytest.mark.parametrize('name', ['mpii', 'aic', 'ap10k', 'h36m', 'onehand10k', 'coco_wholebody'])
def test_any_skeleton_has_bones(name):
    skeleton = metainfo_skeleton(f'configs/_base_/datasets/{name}.py')
    keypoints = np.random.default_rng(0).normal(size=(3, skeleton.num_keypoints, 2))
    visible = np.random.default_rng(1).random(keypoints.shape[:2]) > 0.2
    again = from_bones(*to_bones(keypoints, visible, skeleton), visible, skeleton)
    np.testing.assert_allclose(_centred(again, visible), _centred(keypoints, visible), atol=1e-9)


def test_depths_follow_the_limbs():
    depths, hangs_on = joint_depths(COCO)
    assert depths[[KNEE, ANKLE, ELBOW]].tolist() == [1, 2, 1]
    assert np.nonzero(hangs_on[ANKLE])[0].tolist() == [KNEE]
    chain = Skeleton(('a', 'b', 'c'), ((0, 1), (1, 2)), (0, 1, 2))
    assert joint_depths(chain)[0].tolist() == [1, 0, 1]


def test_hands_stay_at_their_wrists():
    """Whole-body skeletons do not link them."""
    skeleton = metainfo_skeleton('configs/_base_/datasets/coco_wholebody.py')
    rng = np.random.default_rng(0)
    poses = rng.normal(size=(2, 5, 133, 2))
    wrists, hands = (list(joints) for joints in zip(*skeleton.attachments, strict=True))
    poses[:, :, hands] = poses[:, :, wrists]
    visible = np.ones((5, 133), bool)
    turned = turn_joints(poses[0], visible, rng.normal(size=(5, 133)), skeleton)
    between = interpolate_poses(*poses, visible, np.full(5, 0.4), skeleton)
    ratios = rng.uniform(MIN_RATIO, MAX_RATIO, len(segments(skeleton)) + 3)
    stretched = np.stack([stretch_limbs(pose, visible[0], ratios, skeleton) for pose in poses[0]])
    for moved in (turned, between, stretched):
        np.testing.assert_allclose(moved[:, hands], moved[:, wrists], atol=1e-9)
        assert not np.allclose(moved[:, hands], poses[0][:, hands])
