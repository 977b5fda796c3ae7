from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pose_samples import COCO, LEGS, STANDING

from pg2aug.figures import COMMON_FAMILIES, RARE_FAMILIES, sample_pose
from pg2aug.figures.body import joint_positions, pose_bones
from pg2aug.figures.identity import sample_identity
from pg2aug.poses import Skeleton, fit_pose, typical_proportions
from pg2aug.poses.retarget import (
    MAX_RATIO,
    MIN_RATIO,
    estimate_body,
    segment_lengths,
    segments,
    stretch_limbs,
)

ALL = np.ones(17, bool)
FLIP = list(COCO.flip_indices)
LIMBS = segments(COCO)
# Without a torso or a head, in two parts, with a cycle: any skeleton will do.
NAMES = ('a_left', 'a_right', 'b_left', 'b_right', 'c', 'd', 'e')
ODD = Skeleton(NAMES, ((0, 2), (1, 3), (2, 3), (0, 4), (1, 4), (5, 6)), (1, 0, 3, 2, 4, 5, 6))
MPII = Skeleton.from_coco_category(
    dict(
        name='person',
        keypoints=[
            *('right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle'),
            *('pelvis', 'thorax', 'upper_neck', 'head_top', 'right_wrist', 'right_elbow'),
            *('right_shoulder', 'left_shoulder', 'left_elbow', 'left_wrist'),
        ],
        skeleton=[
            *([1, 2], [2, 3], [3, 7], [7, 4], [4, 5], [5, 6], [7, 8], [8, 9], [9, 10]),
            *([8, 13], [13, 12], [12, 11], [8, 14], [14, 15], [15, 16]),
        ],
    )
)
SKELETONS = [COCO, MPII, ODD]
TYPICAL = typical_proportions(STANDING[None], ALL[None], COCO)


def random_poses(joints):
    def draw(seed):
        poses = np.random.default_rng(seed).integers(-8000, 24000, (joints, 2)) / 16
        return np.float32(poses)

    return st.integers(0, 2**32 - 1).map(draw)


poses, masks = random_poses(17), hnp.arrays(np.bool_, 17).filter(lambda mask: mask.sum() >= 8)
seeds = st.integers(0, 2**32 - 1)


def figure(person, family, rng):
    pose, identity = sample_pose(family, rng), sample_identity(person)
    return joint_positions(identity, pose_bones(identity, pose))[0][:, :2] * [100, -100]


def mirror(pose):
    return (pose * np.float32([-1, 1]))[FLIP]


@settings(max_examples=60, deadline=None)
@given(poses, masks)
def test_own_pose_stays_where_it_is(pose, visible):
    fitted = fit_pose(pose, visible, pose, visible, COCO, TYPICAL)
    np.testing.assert_allclose(fitted[visible], pose[visible], atol=1e-2)


@settings(max_examples=100, deadline=None)
@given(poses, masks, poses, masks)
def test_limbs_change_within_bounds_and_keep_their_direction(target, shown, source, source_shown):
    assume((shown & source_shown).sum() >= 3)
    fitted = fit_pose(target, shown, source, source_shown, COCO, TYPICAL)
    assert np.isfinite(fitted).all()
    assert (fitted[~shown] == 0).all()
    before = np.array([target[b] - target[a] for a, b in LIMBS if shown[a] and shown[b]])
    after = np.array([fitted[b] - fitted[a] for a, b in LIMBS if shown[a] and shown[b]])
    if not len(before):
        return
    lengths = np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)
    ratios = lengths[1] / lengths[0]
    assert ratios.max() / ratios.min() <= MAX_RATIO / MIN_RATIO * 1.001
    along = (before * after).sum(axis=1) / (lengths[0] * lengths[1])
    np.testing.assert_allclose(along, 1, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(poses, masks, poses, masks)
def test_fit_of_the_mirrored_is_the_mirrored_fit(target, shown, source, source_shown):
    assume((shown & source_shown).sum() >= 3)
    fitted = fit_pose(target, shown, source, source_shown, COCO, TYPICAL)
    mirrored = fit_pose(
        mirror(target), shown[FLIP], mirror(source), source_shown[FLIP], COCO, TYPICAL
    )
    np.testing.assert_allclose(mirrored, mirror(fitted), atol=1e-5 * (np.abs(fitted).max() + 1))


@settings(max_examples=40, deadline=None)
@given(poses, poses, st.integers(-3, 3), st.integers(-500, 500))
def test_size_and_place_of_either_frame_do_not_matter(target, source, power, shift):
    factor = np.float32(2.0**power)
    fitted = fit_pose(target, ALL, source, ALL, COCO, TYPICAL)
    moved = fit_pose(target * factor + shift, ALL, source, ALL, COCO, TYPICAL)
    np.testing.assert_allclose(moved, fitted, atol=1e-4 * np.abs(fitted).max())
    larger = fit_pose(target, ALL, source * factor + shift, ALL, COCO, TYPICAL)
    expected = fitted * factor + shift
    np.testing.assert_allclose(larger, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize('skeleton', SKELETONS)
@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_any_skeleton_is_stretched_alike_on_both_sides(skeleton, seed):
    rng = np.random.default_rng(seed)
    joints, flip = skeleton.num_keypoints, list(skeleton.flip_indices)
    pose, visible = rng.uniform(0, 200, (joints, 2)), rng.random(joints) < 0.8
    count = segment_lengths(pose[None], visible[None], skeleton).shape[1]
    # Ratios of a real body: of left and right, and so the same after mirroring.
    proportions = segment_lengths(
        rng.uniform(0, 200, (1, joints, 2)), np.ones((1, joints)), skeleton
    )
    ratios = np.clip(proportions[0] / 100, MIN_RATIO, MAX_RATIO)
    assert count == len(ratios)
    assume(visible.any())
    stretched = stretch_limbs(pose, visible, ratios, skeleton)
    assert np.isfinite(stretched).all()
    assert (stretched[~visible] == 0).all()
    flipped = stretch_limbs((pose * [-1, 1])[flip], visible[flip], ratios, skeleton)
    np.testing.assert_allclose(flipped, (stretched * [-1, 1])[flip], atol=1e-9)
    same = stretch_limbs(pose, visible, np.ones(count), skeleton)
    np.testing.assert_allclose(same[visible], pose[visible], atol=1e-9)


def test_each_part_of_the_body_gets_its_own_factor():
    ratios = dict.fromkeys(LIMBS, 1.0)
    # Longer left and right shins, wider shoulders, a shorter spine.
    ratios.update({limb: 1.2 for limb in LIMBS if set(limb) in ({13, 15}, {14, 16})})
    factors = np.array([*ratios.values(), 1.1, 1.0, 0.9])
    new = stretch_limbs(STANDING, ALL, factors, COCO)

    def length(pose, a, b):
        return np.linalg.norm(pose[a] - pose[b])

    for a, b, factor in ((13, 15, 1.2), (11, 13, 1), (5, 6, 1.1), (11, 12, 1), (8, 10, 1)):
        assert length(new, a, b) == pytest.approx(factor * length(STANDING, a, b))
    torso = list(COCO.torso)
    np.testing.assert_allclose(new[torso].mean(axis=0), STANDING[torso].mean(axis=0))
    middles = [pose[[5, 6]].mean(axis=0) - pose[[11, 12]].mean(axis=0) for pose in (new, STANDING)]
    np.testing.assert_allclose(middles[0], 0.9 * middles[1])
    # The head is no wider on wider shoulders, and comes along as a whole.
    moved = new[:5] - STANDING[:5]
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], (5, 2)), atol=1e-12)
    assert moved[0, 1] == pytest.approx(0.05 * 1.1)


def test_what_hangs_from_an_unlabelled_joint_follows_the_one_before():
    factors = np.array([1.0] * len(LIMBS) + [1.5, 1.0, 1.0])
    without_elbow = ALL.copy()
    without_elbow[7] = False
    new = stretch_limbs(STANDING, without_elbow, factors, COCO)
    np.testing.assert_allclose(new[9] - new[5], STANDING[9] - STANDING[5])
    assert not new[7].any()


def test_a_limb_that_looks_short_is_foreshortened_and_one_that_looks_long_is_long():
    squatting, tall = STANDING.copy(), STANDING.copy()
    squatting[LEGS] = squatting[[11, 12, 11, 12]] + [[0, 0.3], [0, 0.3], [0, 0.1], [0, 0.1]]
    tall[[15, 16], 1] += 0.2 * 0.8
    one_leg_bent = tall.copy()
    one_leg_bent[16] = one_leg_bent[14] + [0, 0.1]
    lengths = segment_lengths(np.stack([squatting, tall, one_leg_bent]), np.ones((3, 17)), COCO)
    scales, proportions = estimate_body(lengths, TYPICAL)
    np.testing.assert_allclose(scales / scales[1], 1, rtol=0.02)
    shins = [i for i, limb in enumerate(LIMBS) if set(limb) in ({13, 15}, {14, 16})]
    np.testing.assert_allclose(proportions[0, shins], 1)
    np.testing.assert_allclose(proportions[1, shins], 1.2, rtol=0.02)
    np.testing.assert_allclose(proportions[2, shins], 1.2, rtol=0.02)


def test_too_little_to_measure_falls_back_on_shared_limbs():
    visible = np.isin(np.arange(17), [0, 5, 7, 9])
    fitted = fit_pose(STANDING, ALL, STANDING * 50 + 9, visible, COCO, TYPICAL)
    expected = fit_pose(STANDING, ALL, STANDING * 50 + 9, visible, COCO)
    np.testing.assert_allclose(fitted, expected, atol=1e-6)


def test_typical_proportions_are_those_of_bodies_that_are_mostly_foreshortened():
    rng = np.random.default_rng(0)
    crowd = np.stack(
        [
            figure(person, family, rng) * rng.uniform(0.3, 5)
            for person in range(25)
            for family in COMMON_FAMILIES + RARE_FAMILIES
        ]
    )
    visible = rng.random(crowd.shape[:2]) < 0.9
    crowd[~visible] = np.nan
    found = typical_proportions(crowd, visible, COCO)
    # True lengths of the figures' bones, by that of the spine.
    true = {frozenset(pair): length for pair, length in zip(LIMBS, found, strict=False)}
    thigh, shin, upper_arm, forearm = (
        true[frozenset(pair)] / found[-1] for pair in ((11, 13), (13, 15), (5, 7), (7, 9))
    )
    expected = np.array([0.245, 0.24, 0.165, 0.145]) / 0.27
    np.testing.assert_allclose([thigh, shin, upper_arm, forearm], expected, rtol=0.12)


def test_people_of_other_proportions_are_met_better_than_by_size_alone():
    """The pose of one body, fitted to another, against that body in that pose."""
    rng = np.random.default_rng(0)

    def joints(person, pose):
        identity, own = sample_identity(person), np.random.default_rng(person)
        scales = np.exp(own.normal(0, 0.08, 2))
        identity = replace(
            identity,
            leg_scale=identity.leg_scale * scales[0],
            arm_scale=identity.arm_scale * scales[1],
        )
        return joint_positions(identity, pose_bones(identity, pose))[0][:, :2] * [100, -100]

    families = COMMON_FAMILIES + RARE_FAMILIES
    crowd = [joints(i % 50, sample_pose(families[i % 11], rng)) for i in range(300)]
    typical = typical_proportions(np.stack(crowd), np.ones((300, 17)), COCO)
    errors = []
    for number in range(200):
        person, other = rng.integers(50, size=2).tolist()
        seen = joints(person, sample_pose(COMMON_FAMILIES[number % 5], rng))
        wanted = sample_pose(families[number % 11], rng)
        target, true = joints(other, wanted), joints(person, wanted)
        for row in (None, typical):
            fitted = fit_pose(target, ALL, seen, ALL, COCO, row)
            torso = list(COCO.torso)
            off = fitted - fitted[torso].mean(axis=0) - true + true[torso].mean(axis=0)
            errors.append(np.linalg.norm(off, axis=1).mean())
    alone, own = np.reshape(errors, (-1, 2)).mean(axis=0)
    assert own < 0.85 * alone
