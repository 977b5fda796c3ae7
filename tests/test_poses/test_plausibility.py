import numpy as np
import pytest
from pose_samples import COCO, LEGS, STANDING, people

from pg2aug.figures.body import joint_positions, pose_bones
from pg2aug.figures.identity import sample_identity
from pg2aug.figures.poses import COMMON_FAMILIES, RARE_FAMILIES, sample_pose
from pg2aug.poses import PoseBank
from pg2aug.poses.bank.isolation import isolation_trust
from pg2aug.poses.bank.rarity import knn_rarity
from pg2aug.poses.plausibility import limb_trust, usual_lengths
from pg2aug.poses.scale import limb_lengths, normalize_poses

FLIP = COCO.flip_indices
FOREARM = COCO.limbs.index((7, 9))


@pytest.fixture(scope='module')
def figures():
    """Joints of 1500 procedural people in pixels, one in ten in a rare pose, and which ones."""
    rng = np.random.default_rng(0)
    rare, poses = rng.random(1500) < 0.1, []
    for index in range(1500):
        family = str(rng.choice(RARE_FAMILIES if rare[index] else COMMON_FAMILIES))
        identity = sample_identity(index)
        bones = pose_bones(identity, sample_pose(family, rng))
        poses.append(joint_positions(identity, bones)[0][:, :2] * [200, -200])
    return np.stack(poses), rare


def _corrupt(keypoints, joints, share=0.02):
    """Labels as they go wrong: joints of some poses anywhere in the person's box."""
    rng = np.random.default_rng(1)
    keypoints = keypoints.copy()
    wrong = rng.choice(len(keypoints), int(share * len(keypoints)), replace=False)
    low, high = keypoints[wrong].min(axis=1), keypoints[wrong].max(axis=1)
    for pose, below, above in zip(wrong, low, high, strict=True):
        keypoints[pose, rng.choice(17, joints, replace=False)] = rng.uniform(
            below, above, (joints, 2)
        )
    return keypoints, wrong


@pytest.mark.parametrize('joints', [1, 2, 4])
@pytest.mark.parametrize('density', ['knn', 'gmm'])
def test_wrong_labels_are_drawn_less_than_their_share_and_rare_poses_more(figures, joints, density):
    keypoints, rare = figures
    keypoints, wrong = _corrupt(keypoints, joints)
    bank = PoseBank.from_poses(keypoints, np.ones((1500, 17)), COCO, density=density)
    # Who was in a rare pose is drawn often for it, wrong joint or not.
    wrongly_rare, good = wrong[~rare[wrong]], np.setdiff1d(np.nonzero(rare)[0], wrong)
    assert bank.weights[wrongly_rare].mean() < 0.9 / 1500
    assert bank.weights[good].mean() > 1.3 / 1500
    if density == 'knn':
        assert bank.weights[wrong].sum() < 0.8 * 0.02


def test_people_in_rare_poses_are_not_taken_for_errors(figures):
    keypoints, rare = figures
    bank = PoseBank.from_poses(keypoints, np.ones((1500, 17)), COCO)
    assert (bank.weights > 0)[rare].mean() > 0.9
    assert bank.counts['implausible'] < 0.01 * 1500
    assert bank.counts['doubtful'] < 0.03 * 1500


def _stretched(factor, sides):
    poses = np.stack([STANDING] * 12)
    for elbow, wrist in [(7, 9), (8, 10)][:sides]:
        poses[0, wrist] = STANDING[elbow] + factor * (STANDING[wrist] - STANDING[elbow])
    lengths = limb_lengths(poses, np.ones((12, 17), bool), COCO.limbs)
    return limb_trust(lengths, usual_lengths(lengths), COCO)


def test_a_limb_is_trusted_less_the_longer_it_is():
    trust = [_stretched(factor, sides=2)[0] for factor in (1, 1.5, 1.8, 2.0, 2.6)]
    assert trust[:2] == [1, 1]
    assert 1 > trust[2] > trust[3] > 0
    assert trust[4] == 0
    assert (_stretched(2.6, sides=2)[1:] == 1).all()


def test_a_limb_longer_than_on_the_other_side_is_trusted_less():
    poses = np.stack([STANDING] * 12)
    poses[0, 9] = STANDING[7] + 1.5 * (STANDING[9] - STANDING[7])
    poses[0, 10] = STANDING[8] + 0.5 * (STANDING[10] - STANDING[8])
    lengths = limb_lengths(poses, np.ones((12, 17), bool), COCO.limbs)
    assert lengths[0, FOREARM] > 0
    trust = limb_trust(lengths, usual_lengths(lengths), COCO)
    assert trust[0] < 1 == _stretched(1.5, sides=2)[0]
    assert (trust[1:] == 1).all()


def test_limbs_that_are_never_labelled_are_not_judged():
    lengths = np.full((3, len(COCO.limbs)), np.nan)
    lengths[:, 0] = [1, 1, 9]
    assert limb_trust(lengths, usual_lengths(lengths[:2]), COCO).tolist() == [1, 1, 0]


def _normalized(keypoints):
    visible = np.ones(keypoints.shape[:2], bool)
    size = np.linalg.norm(keypoints[:, 5] - keypoints[:, 11], axis=1)
    return normalize_poses(keypoints, visible, size).astype(np.float32), visible


def test_a_family_far_from_all_is_trusted_and_loners_are_not():
    spread = np.random.default_rng(0)
    loners = people(20, jitter=0)
    size = np.linalg.norm(loners[:, 5] - loners[:, 11], axis=1)
    for pose, scale in zip(loners, size, strict=True):
        pose[spread.choice(17, 4, replace=False)] += spread.normal(0, 0.7, (4, 2)) * scale
    keypoints = np.concatenate([people(940), people(40, up=-1, seed=1), loners])
    poses, visible = _normalized(keypoints)
    rarity = knn_rarity(poses, visible, flip_indices=FLIP)
    trust = isolation_trust(poses, visible, rarity, FLIP)
    assert trust[940:980].min() == 1
    assert np.median(trust[980:]) < 0.3
    assert (trust[:940] < 1).mean() < 0.05


def test_two_of_a_kind_are_a_family():
    keypoints = np.concatenate([people(998), people(2, up=-1, jitter=0.01, seed=1)])
    poses, visible = _normalized(keypoints)
    trust = isolation_trust(poses, visible, knn_rarity(poses, visible), FLIP)
    assert trust[998:].tolist() == [1, 1]


def test_cropped_loners_are_judged_by_what_they_show():
    keypoints = people(1000)
    poses, visible = _normalized(keypoints)
    visible[:50, LEGS] = False
    poses[:50, LEGS] = 0
    trust = isolation_trust(poses, visible, knn_rarity(poses, visible), FLIP)
    assert trust[:50].mean() > 0.9


def _with_loners(count, places):
    """People who stand, of whom some have joints like nobody's: poses, visibility and places."""
    keypoints = people(count)
    turns = np.linspace(0, 3, len(places))
    for place, turn in zip(places, turns, strict=True):
        size = np.linalg.norm(keypoints[place, 5] - keypoints[place, 11])
        keypoints[place, [7, 9, 13]] += 3 * size * np.array([np.cos(turn), np.sin(turn)])
    return _normalized(keypoints)


@pytest.mark.parametrize(('count', 'judged'), [(499, False), (500, True)])
def test_among_few_poses_nobody_is_isolated(count, judged):
    poses, visible = _with_loners(count, [7])
    rarity = np.arange(float(count))
    rarity[7] = count
    trust = isolation_trust(poses, visible, rarity, FLIP)
    assert (trust[7] < 0.1) == (trust < 1).any() == judged


def test_the_rarest_tenth_is_judged_and_no_other_pose():
    poses, visible = _with_loners(600, [0, 1])
    rarity = np.arange(600.0)
    # Of 60 that are judged, the 50th; the other is the 75th.
    rarity[:2] = 550.5, 525.5
    trust = isolation_trust(poses, visible, rarity, FLIP)
    assert trust[0] < 0.1
    assert trust[1] == 1
