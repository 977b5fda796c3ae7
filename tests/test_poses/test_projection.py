from dataclasses import replace

import numpy as np
import pytest

from pg2aug.figures.body import JOINT_NAMES, joint_positions, pose_bones
from pg2aug.figures.identity import sample_identity
from pg2aug.figures.poses import sample_pose
from pg2aug.poses.read.projection import camera_rotations, project_poses, view_poses

NOSE = JOINT_NAMES.index('nose')
WORLD = pytest.mark.parametrize(
    ('world', 'from_y_up'),
    [
        ('y-up', np.eye(3)),
        ('y-down', np.diag([1.0, -1, -1])),
        ('z-up', np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])),
    ],
)
LIMBS = [('shoulder', 'elbow'), ('elbow', 'wrist'), ('hip', 'knee'), ('knee', 'ankle')]


def _figures(count=20, family='standing'):
    """Procedural people, (N, 17, 3) in body heights: y up; here all of them face +z."""
    rng = np.random.default_rng(0)
    bodies = []
    for person in range(count):
        identity, pose = sample_identity(person), sample_pose(family, rng)
        upright = replace(pose, yaw=0.0, camera_pitch=0.0)
        bodies.append(joint_positions(identity, pose_bones(identity, upright))[0])
    return np.stack(bodies)


def test_projection_by_hand():
    # A camera on the x axis, 10 away from the middle of three points, looks towards -x: what is at
    # +y is on its right, what is higher is further up, and x = 2 is 2 nearer.
    points = np.array([[[2.0, 1.0, 0.0], [0.0, -1.0, 3.0], [-2.0, 0.0, -3.0]]])
    rotations = camera_rotations(np.array([0.0]), np.array([0.0]))
    flat, visible = project_poses(points, np.ones((1, 3), bool), rotations, np.array([10.0]), 100)
    expected = [[100 * 1 / 8, 0], [-100 * 1 / 10, -100 * 3 / 10], [0, 100 * 3 / 12]]
    np.testing.assert_allclose(flat[0], expected, atol=1e-5)
    assert visible.all()


def test_a_camera_overhead_sees_the_top():
    rotations = camera_rotations(np.array([0.0]), np.array([90.0]))
    points = np.array([[[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0]]])
    flat, _ = project_poses(points, np.ones((1, 4), bool), rotations, np.array([5.0]), 5)
    np.testing.assert_allclose(flat[0], [[0, 1], [0, -1], [1, 0], [-1, 0]], atol=1e-6)


def test_cameras_are_rotations():
    rng = np.random.default_rng(0)
    matrices = camera_rotations(rng.uniform(0, 360, 50), rng.uniform(-90, 90, 50))
    identity = np.broadcast_to(np.eye(3), (50, 3, 3))
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), identity, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrices), 1)


@WORLD
def test_heads_are_up(world, from_y_up):
    figures = _figures() @ from_y_up.T
    visible = np.ones(figures.shape[:2], bool)
    flat, _ = view_poses(figures, visible, world=world, cameras=40, elevation=(0, 0))
    flat = flat.reshape(20, 40, 17, 2)
    assert (flat[:, :, NOSE, 1] < flat[..., 1].mean(axis=-1)).all()


@WORLD
def test_people_are_no_mirror_images(world, from_y_up):
    # Left, right, and what is before the chest of somebody who faces +z.
    person = np.array([[[1.0, 0, 0], [-1.0, 0, 0], [0, 0, 1.0]]]) @ from_y_up.T
    flat, _ = view_poses(
        person, np.ones((1, 3), bool), world=world, cameras=200, elevation=(30, 60)
    )
    left_is_right_in_the_image = flat[:, 0, 0] > flat[:, 1, 0]
    # From above, what points at the camera points down in the image.
    faces_the_camera = flat[:, 2, 1] > flat[:, :2, 1].mean(axis=1)
    assert 0.3 < faces_the_camera.mean() < 0.7
    clear = np.abs(flat[:, 2, 1] - flat[:, :2, 1].mean(axis=1)) > 20
    np.testing.assert_array_equal(left_is_right_in_the_image[clear], faces_the_camera[clear])


def test_limbs_keep_their_ratios_from_afar():
    figures = _figures(family='kick_or_split')
    visible = np.ones(figures.shape[:2], bool)
    rng = np.random.default_rng(1)
    azimuth, elevation = rng.uniform(0, 360, 20), rng.uniform(-30, 60, 20)
    rotations = camera_rotations(azimuth, elevation)
    flat, _ = project_poses(figures, visible, rotations, np.full(20, 1e4), 1e4)
    for side in ('left', 'right'):
        for limb in LIMBS:
            start, end = (JOINT_NAMES.index(f'{side}_{joint}') for joint in limb)
            bone = figures[:, end] - figures[:, start]
            along = np.einsum('ni,ni->n', bone, rotations[:, 2])
            # Orthographic: what a limb loses is what of it points along the view.
            expected = np.sqrt((bone**2).sum(axis=1) - along**2)
            found = np.linalg.norm(flat[:, end] - flat[:, start], axis=1)
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)


def test_views_are_many_seeded_and_of_a_known_size():
    figures, visible = _figures(6), np.ones((6, 17), bool)
    first, labelled = view_poses(figures, visible, world='y-up', cameras=3, seed=1)
    again, _ = view_poses(figures, visible, world='y-up', cameras=3, seed=1)
    other, _ = view_poses(figures, visible, world='y-up', cameras=3, seed=2)
    assert first.shape == (18, 17, 2)
    assert labelled.all()
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1
    metres, _ = view_poses(1700 * figures, visible, world='y-up', cameras=3, seed=1)
    np.testing.assert_allclose(metres, first, rtol=1e-4, atol=1e-3)
    same, _ = view_poses(figures, visible, world='y-up', elevation=(0, 0), distance=(4, 4))
    assert 150 < np.median(np.ptp(same[..., 1], axis=1)) < 230


def test_unlabelled_joints_stay_so_and_move_nothing():
    figures, visible = _figures(5), np.ones((5, 17), bool)
    visible[:, NOSE] = False
    figures[:, NOSE] = np.nan
    flat, labelled = view_poses(figures, visible, world='y-up')
    assert np.isfinite(flat).all()
    assert not labelled[:, NOSE].any()
    assert labelled.sum() == 5 * 4 * 16


def test_joints_behind_the_camera_are_unlabelled():
    points = np.zeros((1, 3, 3))
    points[0, :, 0] = [-30, 30, 0]
    rotations = camera_rotations(np.array([0.0]), np.array([0.0]))
    flat, visible = project_poses(points, np.ones((1, 3), bool), rotations, np.array([10.0]), 1)
    assert visible[0].tolist() == [True, False, True]
    assert np.isfinite(flat).all()


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        (dict(world='x-up'), "world must be one of .* got 'x-up'"),
        (dict(cameras=0), 'cameras must be at least 1, got 0'),
        (dict(elevation=(30, 10)), 'elevation must be a range'),
        (dict(distance=(0.5, 4)), 'more than 1 body size'),
    ],
)
def test_bad_views_are_refused(option, message):
    with pytest.raises(ValueError, match=message):
        view_poses(_figures(2), np.ones((2, 17), bool), **option)
