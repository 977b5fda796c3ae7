import numpy as np
import pytest
from pose_samples import COCO, LEGS, STANDING, people
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from pg2aug.poses.alignment import mirror_poses
from pg2aug.poses.bank.mixture import fill_missing_joints, gmm_rarity, log_density
from pg2aug.poses.scale import normalize_poses

FLIP = COCO.flip_indices


def _crowd(count, up=1, seed=0):
    poses = STANDING * [1, up] + np.random.default_rng(seed).normal(0, 0.04, (count, 17, 2))
    return normalize_poses(poses, np.ones((count, 17), bool), np.ones(count)).astype(np.float32)


@pytest.fixture(scope='module')
def mixture():
    values = np.random.default_rng(0).normal(0, 1, (300, 34))
    return GaussianMixture(3, covariance_type='diag', random_state=0).fit(values)


@pytest.mark.parametrize('labelled', [1.0, 0.6, 0.15])
def test_density_is_that_of_the_differences_between_labelled_joints(mixture, labelled):
    rng = np.random.default_rng(2)
    visible = rng.random((6, 17)) < labelled
    visible[:, :2] = True
    poses = np.where(visible[..., None], rng.normal(0, 1, (6, 17, 2)), 0)
    found = log_density(mixture, poses, visible)
    for i in range(6):
        joints = np.nonzero(visible[i])[0]
        to_first = np.eye(len(joints))[1:] - np.eye(len(joints))[0]
        density = 0
        for share, mean, variance in zip(
            mixture.weights_, mixture.means_, mixture.covariances_, strict=True
        ):
            for axis in (0, 1):
                at = 2 * joints + axis
                spread = to_first @ np.diag(variance[at]) @ to_first.T
                normal = multivariate_normal(to_first @ mean[at], spread)
                share = share * normal.pdf(to_first @ poses[i, joints, axis])
            density += share
        assert found[i] == pytest.approx(np.log(density))
    moved = np.where(visible[..., None], poses + np.array([3, -2]), 0)
    np.testing.assert_allclose(log_density(mixture, moved, visible), found, rtol=1e-6)


def test_no_labelled_joint_says_nothing(mixture):
    assert log_density(mixture, np.zeros((1, 17, 2)), np.zeros((1, 17), bool)) == pytest.approx(0)


def test_missing_joints_are_those_of_the_most_alike():
    poses = np.concatenate([_crowd(50), _crowd(50, up=-1, seed=1)])
    visible = np.ones((100, 17), bool)
    visible[[0, 99], 9] = False
    given = np.where(visible[..., None], poses + 3, 0)
    filled = fill_missing_joints(given, visible)
    np.testing.assert_allclose(filled.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(filled[[0, 99], 9], poses[[0, 99], 9], atol=0.25)
    offset = (filled - given)[visible].reshape(-1, 2)
    np.testing.assert_allclose(offset, -3, atol=0.1)


def test_handstands_are_rare_and_half_bodies_are_not():
    poses = np.concatenate([_crowd(950), _crowd(50, up=-1, seed=1)])
    visible = np.ones((1000, 17), bool)
    visible[:60, LEGS] = False
    visible[60:100, [0, 1, 2, 3, 4, 9, 10]] = False
    rarity = gmm_rarity(np.where(visible[..., None], poses, 0), visible, FLIP)
    whole = np.median(rarity[100:950])
    assert np.median(rarity[950:]) > 1.25 * whole
    for cropped in (slice(60), slice(60, 100)):
        assert np.median(rarity[cropped]) == pytest.approx(whole, rel=0.2)


def test_rarity_is_measured_against_the_reference():
    poses = np.concatenate([_crowd(300), _crowd(300, up=-1, seed=1)])
    visible = np.ones((600, 17), bool)
    reference = _crowd(300, up=-1, seed=2), np.ones((300, 17), bool)
    rarity = gmm_rarity(poses, visible, FLIP, reference=reference)
    assert rarity[:300].min() > rarity[300:].max()


def test_a_mirrored_pose_is_as_rare():
    poses = people(200, jitter=0.2) / 100
    visible = np.random.default_rng(0).random((200, 17)) < 0.9
    poses = normalize_poses(poses, visible, np.ones(200)).astype(np.float32)
    both = [
        np.concatenate(pair)
        for pair in zip((poses, visible), mirror_poses(poses, visible, FLIP), strict=True)
    ]
    reference = poses[:150], visible[:150]
    same = gmm_rarity(*both, FLIP, reference=reference, mirror_invariant=True)
    np.testing.assert_allclose(same[200:], same[:200], rtol=1e-5)
    other = gmm_rarity(*both, FLIP, reference=reference)
    assert np.abs(other[200:] / other[:200] - 1).max() > 0.05


@pytest.mark.parametrize('count', [1, 2, 15])
def test_few_poses_are_enough(count):
    rarity = gmm_rarity(_crowd(count), np.ones((count, 17), bool), FLIP)
    assert np.isfinite(rarity).all()
