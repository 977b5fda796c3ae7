import numpy as np
import pytest
from pose_samples import COCO, people

from pg2aug.poses import PoseBank
from pg2aug.poses.bank.novel import add_novel_poses, novel_poses, random_turns
from pg2aug.poses.kinematics import to_bones
from pg2aug.poses.scale import limb_lengths

HEAD = list(COCO.head)


@pytest.fixture(scope='module')
def bank():
    """475 people who stand, 25 who stand on their hands, joints missing here and there."""
    keypoints = np.concatenate([people(475), people(25, up=-1, seed=1)])
    visible = np.random.default_rng(2).random((500, 17)) > 0.15
    return PoseBank.from_poses(keypoints, visible, COCO)


def _make(bank, num=300, **options):
    return novel_poses(bank.keypoints, bank.visible, bank.weights, COCO, num, **options)


def test_parents_are_of_one_family_and_rare_ones_are_filled(bank):
    new = _make(bank)
    handstand = new.parents >= 475
    assert (handstand[:, 0] == handstand[:, 1]).all()
    share = bank.weights[475:].sum()
    assert share > 0.12
    assert handstand[:, 0].mean() == pytest.approx(share, abs=0.06)
    nose, ankle = new.keypoints[:, 0, 1], new.keypoints[:, 15, 1]
    both = new.visible[:, 0] & new.visible[:, 15]
    assert ((nose > ankle) == handstand[:, 0])[both].all()


def test_limbs_are_as_long_as_the_parents_are(bank):
    new = _make(bank)
    # In units of the size that the child took from its first parent.
    own = limb_lengths(new.keypoints, new.visible, COCO.limbs)
    parents = [limb_lengths(bank.keypoints[p], bank.visible[p], COCO.limbs) for p in new.parents.T]
    relative = np.nanmedian(parents[0] / parents[1], axis=1)[:, None]
    low = np.minimum(parents[0], parents[1] * relative)
    high = np.maximum(parents[0], parents[1] * relative)
    limbs = [i for i, limb in enumerate(COCO.limbs) if not set(limb) & set(HEAD)]
    labelled = np.isfinite(own[:, limbs])
    assert labelled.sum() > 1000
    # The relative size of the parents is known to some percent only.
    assert (own[:, limbs] > 0.8 * low[:, limbs])[labelled].mean() > 0.99
    assert (own[:, limbs] < 1.25 * high[:, limbs])[labelled].mean() > 0.99


def test_missing_joints_stay_missing_and_all_is_finite(bank):
    new = _make(bank)
    np.testing.assert_array_equal(
        new.visible, bank.visible[new.parents[:, 0]] & bank.visible[new.parents[:, 1]]
    )
    assert np.isfinite(new.keypoints).all()
    assert (new.keypoints[~new.visible] == 0).all()
    assert new.visible.sum(axis=1).min() >= 9


def test_poses_are_new_and_seeded(bank):
    new = _make(bank, seed=3)
    assert len(new.keypoints) == 300
    bones = to_bones(new.keypoints, new.visible, COCO)[0]
    parents = to_bones(bank.keypoints[new.parents[:, 0]], new.visible, COCO)[0]
    turned = np.abs(np.angle(np.exp(1j * (bones - parents))))
    assert np.median(turned[new.visible]) > np.radians(2)
    np.testing.assert_array_equal(new.keypoints, _make(bank, seed=3).keypoints)
    assert np.abs(new.keypoints - _make(bank, seed=4).keypoints).max() > 1


def test_turns_are_bounded():
    visible = np.random.default_rng(0).random((500, 17)) > 0.2
    turns = random_turns(visible, 10.0, COCO, np.random.default_rng(1))
    assert 9 < np.abs(turns).max() <= 10
    assert (turns[:, HEAD] == 0).all()
    torso = turns[:, list(COCO.torso)]
    assert (torso == torso[:, :1]).all()
    assert (turns[:, [7, 13]][~visible[:, [7, 13]]] == 0).all()


def test_without_noise_or_neighbours_the_parent_comes_back(bank):
    new = _make(bank, 50, max_turn=0, max_distance=0)
    assert (new.parents[:, 0] == new.parents[:, 1]).all()
    own = limb_lengths(new.keypoints, new.visible, COCO.limbs)
    parent = limb_lengths(bank.keypoints[new.parents[:, 0]], new.visible, COCO.limbs)
    np.testing.assert_allclose(own, parent, rtol=1e-3)


def test_implausible_poses_are_no_parents_and_implausible_children_are_refused():
    keypoints = people(60)
    keypoints[5, 9] += 5000
    bank = PoseBank.from_poses(keypoints, np.ones((60, 17)), COCO)
    assert bank.weights[5] == 0
    assert 5 not in _make(bank, 200).parents
    with pytest.raises(ValueError, match=r'only 0 of 2000 new poses .* have 18 labelled joints'):
        _make(bank, 10, min_visible=18)


def test_a_larger_bank_draws_old_and_new_alike(bank):
    larger, new = add_novel_poses(bank, 250)
    assert len(larger) == 750
    assert larger.weights.sum() == pytest.approx(1)
    assert larger.weights[500:].sum() == pytest.approx(1 / 3)
    assert larger.counts['novel'] == 250
    np.testing.assert_allclose(larger.weights[:500] / larger.weights[:500].sum(), bank.weights)
    rare = np.concatenate([np.arange(500) >= 475, new.parents[:, 0] >= 475])
    assert larger.weights[rare].sum() == pytest.approx(bank.weights[475:].sum(), abs=0.03)
    assert np.nanmean(larger.rarity[rare]) > 1.5 * np.nanmean(larger.rarity[~rare])


def test_bad_arguments_are_refused(bank):
    for option, message in [
        (dict(num=0), 'num must be at least 1, got 0'),
        (dict(neighbours=0), 'neighbours must be at least 1, got 0'),
        (dict(max_turn=120), r'max_turn must be in \[0, 90\) degrees, got 120'),
        (dict(max_distance=-1), 'max_distance must be 0 or more, got -1'),
    ]:
        with pytest.raises(ValueError, match=message):
            _make(bank, **option)
