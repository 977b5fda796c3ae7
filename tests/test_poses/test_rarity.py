import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pose_samples import COCO, LEGS, STANDING, people

from pg2aug.poses.bank.rarity import knn_rarity, missing_joint_cost, pose_distances
from pg2aug.poses.bank.sampling import alias_table, effective_sample_size, rarity_weights
from pg2aug.poses.plausibility import joint_reach, plausible_poses
from pg2aug.poses.scale import (
    body_scales,
    limb_lengths,
    normalize_poses,
    typical_limb_lengths,
    weighted_median,
)


def _scales(keypoints, visible):
    lengths = limb_lengths(keypoints, visible, COCO.limbs)
    return body_scales(lengths, typical_limb_lengths(lengths))


def _random_poses(count, seed):
    rng = np.random.default_rng(seed)
    visible = rng.random((count, 17)) < 0.7
    return np.where(visible[..., None], rng.normal(0, 1, (count, 17, 2)), 0), visible


@pytest.mark.parametrize('seed', range(5))
def test_weighted_median_of_integer_weights_is_the_median_of_copies(seed):
    rng = np.random.default_rng(seed)
    values, weights = rng.normal(size=9), rng.integers(0, 5, 9)
    copies = np.sort(np.repeat(values, weights))
    assert weighted_median(values, weights) == copies[(len(copies) - 1) // 2]
    assert np.isnan(weighted_median(values, np.zeros(9)))


def test_scale_is_the_same_for_half_a_body_and_follows_size():
    poses = np.stack([STANDING * size for size in (1, 3, 3, 7)] * 5)
    visible = np.ones((20, 17), bool)
    visible[2::4, LEGS] = False
    scales = _scales(poses, visible)
    np.testing.assert_allclose(scales / scales[0], [1, 3, 3, 7] * 5, rtol=1e-6)


def test_scale_survives_foreshortening_and_a_wrong_joint():
    poses = np.stack([STANDING] * 10)
    poses[0, LEGS] = STANDING[[11, 12, 11, 12]] + 0.05
    poses[1, 9] += 50
    scales = _scales(poses, np.ones((10, 17), bool))
    np.testing.assert_allclose(scales, scales[5], rtol=0.15)


def test_pose_distances_match_a_slow_reference():
    (a, a_visible), (b, b_visible) = _random_poses(6, 0), _random_poses(7, 1)
    cost = np.linspace(0.1, 0.5, 17)
    found = pose_distances(a, a_visible, b, b_visible, cost)
    for i in range(6):
        for j in range(7):
            common = a_visible[i] & b_visible[j]
            if common.sum() < 3:
                assert np.isinf(found[i, j])
                continue
            shift = (a[i] - b[j])[common].mean(axis=0)
            squares = ((a[i] - b[j] - shift)[common] ** 2).sum()
            squares += cost[a_visible[i] & ~b_visible[j]].sum()
            assert found[i, j] == pytest.approx(np.sqrt(squares / a_visible[i].sum()), rel=1e-4)


def test_poses_without_common_joints_are_not_comparable():
    poses = np.zeros((2, 17, 2))
    upper, lower = np.arange(17) < 9, np.arange(17) >= 7
    found = pose_distances(
        poses, np.stack([upper, lower]), poses, np.stack([upper, lower]), 0 * upper
    )
    assert np.isinf(found[0, 1])
    assert found[0, 0] == 0


def test_missing_joint_costs_what_the_joint_varies():
    rng = np.random.default_rng(0)
    poses = np.stack([STANDING] * 60)
    poses[:, 9] += rng.normal(0, 0.5, (60, 2))
    cost = missing_joint_cost(poses, np.ones((60, 17), bool))
    assert cost[9] > 20 * np.delete(cost, 9).max()


def test_knn_rarity_matches_a_full_sort_when_all_poses_are_the_reference():
    poses, visible = _random_poses(40, 3)
    cost = missing_joint_cost(poses, visible)
    distances = pose_distances(poses, visible, poses, visible, cost)
    np.fill_diagonal(distances, np.inf)
    expected = np.sort(distances, axis=1)[:, 4]
    np.testing.assert_allclose(knn_rarity(poses, visible, neighbours=5), expected, rtol=1e-4)


def test_rarity_against_a_sample_is_close_to_the_full_one_and_seeded():
    keypoints = np.concatenate([people(1900), people(100, up=-1, seed=1)])
    visible = np.ones((2000, 17), bool)
    poses = normalize_poses(keypoints, visible, _scales(keypoints, visible))
    sampled = knn_rarity(poses, visible, reference_size=400, seed=1)
    np.testing.assert_array_equal(sampled, knn_rarity(poses, visible, reference_size=400, seed=1))
    assert (sampled != knn_rarity(poses, visible, reference_size=400, seed=2)).any()
    full = knn_rarity(poses, visible, reference_size=2000)
    common = slice(0, 1900)
    assert np.median(sampled[common]) == pytest.approx(np.median(full[common]), rel=0.1)


@pytest.mark.parametrize('joint', [0, 9, 16])
@pytest.mark.parametrize('isolated', [False, True])
def test_a_joint_thrown_far_away_is_implausible_even_without_neighbours(joint, isolated):
    keypoints, visible = people(100), np.ones((100, 17), bool)
    scales = _scales(keypoints, visible)
    keypoints[:8, joint] += scales[:8, None] * [8, 0]
    if isolated:
        neighbours = [k for limb in COCO.limbs if joint in limb for k in limb if k != joint]
        visible[:8, neighbours] = False
    plausible = plausible_poses(keypoints, visible, _scales(keypoints, visible), COCO)
    assert plausible.tolist() == [False] * 8 + [True] * 92


def test_rare_but_possible_poses_are_plausible():
    raised = STANDING.copy()
    raised[[7, 8]], raised[[9, 10]] = raised[[5, 6]] - [0, 0.6], raised[[5, 6]] - [0, 1.1]
    split = STANDING.copy()
    split[[13, 14]] = STANDING[[11, 12]] + [[0.9, 0], [-0.9, 0]]
    split[[15, 16]] = STANDING[[11, 12]] + [[1.7, 0], [-1.7, 0]]
    keypoints = np.concatenate([people(30), [raised * 70, split * 90, split[:, ::-1] * 90]])
    visible = np.ones((33, 17), bool)
    assert plausible_poses(keypoints, visible, _scales(keypoints, visible), COCO).all()


def test_a_pose_without_size_is_implausible():
    keypoints, visible = people(10), np.ones((10, 17), bool)
    keypoints[0] = 5
    visible[1] = np.arange(17) == 3
    plausible = plausible_poses(keypoints, visible, _scales(keypoints, visible), COCO)
    assert plausible.tolist() == [False, False] + [True] * 8


def test_reach_adds_up_along_the_limbs():
    lengths = limb_lengths(STANDING[None], np.ones((1, 17), bool), COCO.limbs)
    reach = joint_reach(lengths[0], COCO)
    thigh, shin = np.linalg.norm(np.diff(STANDING[[11, 13, 15]], axis=0), axis=1)
    assert reach[11, 15] == pytest.approx(1.5 * (thigh + shin) + 1)
    assert np.isinf(joint_reach(np.full(len(COCO.limbs), np.nan), COCO)[11, 15])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(10, 400), st.floats(0, 8), st.floats(0.1, 4))
def test_effective_sample_size_is_kept(seed, count, alpha, spread):
    rarity = np.random.default_rng(seed).lognormal(0, spread, count)
    weights = rarity_weights(rarity, alpha, count / 10)
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
    assert effective_sample_size(weights) >= count / 10 * (1 - 1e-9)
    order = np.argsort(rarity)
    assert (np.diff(weights[order]) >= 0).all()


def test_alpha_is_the_power_between_the_bounds():
    weights = rarity_weights(np.array([1.0, 1.0, 1.0, 2.0, 3.0, 100.0]), 2, 1)
    np.testing.assert_allclose(weights / weights[0], [1, 1, 1, 4, 9, 36])


def test_equal_poses_are_drawn_uniformly():
    np.testing.assert_allclose(rarity_weights(np.zeros(4), 2, 1), 0.25)


@pytest.mark.parametrize('alpha', [-1, np.nan, np.inf])
def test_bad_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match='alpha must be'):
        rarity_weights(np.ones(3), alpha, 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=40).filter(lambda w: sum(w) > 1e-3))
def test_alias_table_holds_exactly_the_weights(weights):
    weights = np.array(weights)
    keep, alias = alias_table(weights)
    shares = keep + np.bincount(alias, 1 - keep, minlength=len(weights))
    np.testing.assert_allclose(shares / len(weights), weights / weights.sum(), atol=1e-9)
    assert (shares[weights == 0] == 0).all()
