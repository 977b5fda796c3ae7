from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pose_samples import COCO, STANDING

from pg2aug.figures import COMMON_FAMILIES, RARE_FAMILIES, sample_pose
from pg2aug.figures.body import joint_positions, pose_bones
from pg2aug.figures.identity import sample_identity
from pg2aug.poses import Skeleton, view_angles

ALL = np.ones((1, 17))


def angle(keypoints, visible=ALL):
    return float(view_angles(np.asarray(keypoints)[None], visible, COCO)[0])


def seen_from(yaw, family='standing', seed=0):
    """A figure's joints as a camera at this yaw sees them."""
    pose = sample_pose(family, np.random.default_rng(seed))
    pose = replace(pose, yaw=yaw, spin=0.0, torso=(0, 0, 0), camera_pitch=0.0, roll=0.0)
    identity = sample_identity(seed)
    return joint_positions(identity, pose_bones(identity, pose))[0][:, :2] * [100, -100]


@pytest.mark.parametrize('yaw', [0, 30, 60, 90, -90, -60, 120, 150, 180])
def test_the_angle_is_that_of_the_camera(yaw):
    # Broad people look frontal: about front and back the cosine is flat.
    assert angle(seen_from(yaw)) == pytest.approx(abs(yaw), abs=20)


def true_angle(identity, pose):
    """Angle about the spine between the chest's direction and the camera."""
    torso = pose_bones(identity, pose)['torso'].rotation
    camera = np.array([0, 0, 1]) - torso[2, 1] * torso[:, 1]
    cosine = torso[:, 2] @ camera / np.linalg.norm(camera)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def test_the_error_on_people_of_whom_the_view_is_known():
    rng, errors, mistaken = np.random.default_rng(0), [], 0
    for number in range(440):
        pose = sample_pose((COMMON_FAMILIES + RARE_FAMILIES)[number % 11], rng)
        identity = sample_identity(number % 40)
        joints = joint_positions(identity, pose_bones(identity, pose))[0][:, :2] * [90, -90]
        true, found = true_angle(identity, pose), angle(joints)
        errors.append(abs(found - true))
        mistaken += abs(true - 90) > 30 and (found < 90) != (true < 90)
    assert np.mean(errors) < 10
    assert np.quantile(errors, 0.9) < 25
    assert mistaken == 0


@given(st.floats(0, 360), st.floats(0.1, 50), st.integers(-180, 180))
def test_turning_the_image_changes_nothing(degrees, scale, yaw):
    pose = seen_from(float(yaw))
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = pose @ np.array([[cosine, sine], [-sine, cosine]]) * scale + 300
    assert angle(turned) == pytest.approx(angle(pose), abs=1e-3)


@given(st.integers(-180, 180))
def test_a_mirrored_person_is_seen_from_the_same_angle(yaw):
    pose = seen_from(float(yaw))
    mirrored = (pose * [-1, 1])[list(COCO.flip_indices)]
    assert angle(mirrored) == pytest.approx(angle(pose), abs=1e-9)
    # Without the names of the sides, a front would be a back.
    assert angle(pose * [-1, 1]) == pytest.approx(180 - angle(pose), abs=1e-4)


def test_where_there_is_no_torso_the_view_is_not_known():
    unlabelled = ALL.copy()
    unlabelled[0, 11] = 0
    assert np.isnan(angle(STANDING, unlabelled))
    assert np.isnan(angle(np.zeros((17, 2))))
    without = Skeleton(COCO.keypoint_names, COCO.limbs, COCO.flip_indices)
    assert np.isnan(view_angles(STANDING[None], ALL, without)).all()
    assert angle(np.where(np.isin(np.arange(17), COCO.torso)[:, None], STANDING, np.nan)) < 60
