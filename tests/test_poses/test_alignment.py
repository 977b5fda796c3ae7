import numpy as np
import pytest
from pose_samples import COCO, LEGS, STANDING, people

from pg2aug.poses.alignment import align_poses, mean_pose, mirror_poses

ALL = np.ones((1, 17), bool)


def _turned(poses, degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return poses @ np.array([[cosine, sine], [-sine, cosine]])


def test_mirroring_twice_gives_the_pose_and_swaps_sides_once():
    visible = np.arange(17)[None] % 3 > 0
    mirrored, mirrored_visible = mirror_poses(STANDING[None], visible, COCO.flip_indices)
    left, right = 9, 10
    np.testing.assert_allclose(mirrored[0, right], STANDING[left] * [-1, 1])
    assert mirrored_visible[0, right] == visible[0, left]
    again, _ = mirror_poses(mirrored, mirrored_visible, COCO.flip_indices)
    np.testing.assert_array_equal(again[0], STANDING)


@pytest.mark.parametrize('degrees', [0, 37, 180, -90])
def test_a_turned_and_cropped_pose_lies_on_the_template_again(degrees):
    visible = ALL.copy()
    visible[0, LEGS] = False
    pose = _turned(STANDING, degrees)[None] + 5
    aligned = align_poses(pose, visible, STANDING, True)
    np.testing.assert_allclose(aligned[visible], STANDING[visible[0]], atol=1e-5)
    assert (aligned[~visible] == 0).all()


def test_without_turning_only_the_place_changes():
    aligned = align_poses(_turned(STANDING, 90)[None] + 5, ALL, STANDING, False)[0]
    offset = aligned - _turned(STANDING, 90)
    np.testing.assert_allclose(offset, np.broadcast_to(offset[0], (17, 2)), atol=1e-5)


def test_a_single_joint_cannot_be_turned():
    visible = np.arange(17)[None] == 4
    aligned = align_poses(STANDING[None] * 3, visible, STANDING, True)
    np.testing.assert_allclose(aligned[0, 4], STANDING[4], atol=1e-6)


def test_mean_pose_of_turned_people_is_their_common_pose_and_its_own_mirror():
    rng = np.random.default_rng(0)
    poses = np.stack([_turned(STANDING, angle) for angle in rng.uniform(-60, 60, 300)])
    template = mean_pose(poses, np.ones((300, 17), bool), True, COCO.flip_indices)
    aligned = align_poses(STANDING[None], ALL, template, True)[0]
    np.testing.assert_allclose(aligned, template, atol=0.02)
    mirrored, _ = mirror_poses(template[None], ALL, COCO.flip_indices)
    np.testing.assert_allclose(mirrored[0], template, atol=1e-4)


def test_mirroring_and_aligning_can_be_swapped():
    poses = people(40, jitter=0.3) / 100
    visible = np.ones((40, 17), bool)
    template = mean_pose(poses, visible, True, COCO.flip_indices)
    flip = COCO.flip_indices
    first, _ = mirror_poses(align_poses(poses, visible, template, True), visible, flip)
    then = align_poses(*mirror_poses(poses, visible, flip), template, True)
    np.testing.assert_allclose(first, then, atol=1e-3)
