import numpy as np
import pytest
from pose_samples import COCO, people
from pose_samples import STANDING as STANDING_POSE

from pg2aug.poses import PoseBank
from pg2aug.poses.bank.coverage import coverage
from pg2aug.poses.bank.novel import add_novel_poses
from pg2aug.poses.bank.pose_map import pose_map

ALL = np.ones((400, 17), bool)
STANDING = people(400, seed=5), ALL


def _bank(upside_down=40, **options):
    keypoints = np.concatenate([people(400 - upside_down), people(upside_down, up=-1, seed=1)])
    return PoseBank.from_poses(keypoints, ALL, COCO, **options)


def test_what_the_data_set_lacks_is_covered_by_draws():
    bank = _bank(reference=STANDING)
    found = coverage(bank, STANDING, draws=200)
    rarest = found.by_rarity[:, 1]
    assert rarest[0] == 0
    assert rarest[-1] > 0.9
    assert found.by_rarity.shape == found.uniform.shape == (201, 2)
    assert (np.diff(found.by_rarity, axis=0) >= 0).all()
    # What is rare is filled sooner by draws that prefer it.
    seeds = [coverage(bank, STANDING, draws=8, seed=seed) for seed in range(5)]
    by_rarity, uniform = (np.mean([f[i][:, 1] for f in seeds]) for i in (0, 1))
    assert by_rarity > 1.2 * uniform


def test_coverage_counts_poses_that_have_a_pose_within_the_radius():
    bank = _bank(100, reference=STANDING, mirror_invariant=False)
    # The jitter of two people who stand is far below the radius, handstands are far beyond it.
    found = coverage(bank, STANDING, draws=1, radius=0.5)
    assert found.by_rarity[0, 0] == pytest.approx(0.75, abs=0.06)
    assert coverage(bank, STANDING, draws=1, radius=0).by_rarity[0, 0] == 0
    assert coverage(bank, STANDING, draws=1, radius=9).by_rarity[0, 0] == 1


def test_hands_held_away_from_the_body_make_another_pose():
    apart = STANDING_POSE.copy()
    apart[[9, 10]] = [1.1, -0.5], [-1.1, -0.5]
    jitter = np.random.default_rng(1).normal(0, 0.02, (100, 17, 2))
    keypoints = np.concatenate([people(100, jitter=0.02), 100 * (apart + jitter)])
    bank = PoseBank.from_poses(keypoints, ALL[:200], COCO)
    standing = people(200, jitter=0.02, seed=5), ALL[:200]
    covered = coverage(bank, standing, draws=1).by_rarity[0, 0]
    assert covered == pytest.approx(0.5, abs=0.1)


def test_new_poses_whose_parents_are_judged_are_not_drawn():
    bank = _bank(reference=STANDING)
    larger, new = add_novel_poses(bank, 300, max_turn=0, max_distance=0)
    copies = coverage(larger, STANDING, parents=new.parents, radius=0.02, draws=400)
    leaking = coverage(larger, STANDING, parents=None, radius=0.02, draws=400)
    # Copies of judged poses would cover them exactly.
    assert copies.by_rarity[-1, 1] < leaking.by_rarity[-1, 1]


def test_too_few_poses_are_no_measure():
    bank = PoseBank.from_poses(people(12), ALL[:12], COCO)
    with pytest.raises(ValueError, match='at least 10, and 2 of the data set, got 6 and 400'):
        coverage(bank, STANDING)


def test_the_map_keeps_kinds_of_poses_apart():
    bank = _bank(100)
    found = pose_map(bank, STANDING)
    upside_down = found.indices >= 300
    here, there = found.position[~upside_down], found.position[upside_down]
    gap = np.linalg.norm(here.mean(axis=0) - there.mean(axis=0))
    assert gap > 5 * max(here.std(axis=0).max(), there.std(axis=0).max())
    assert np.linalg.norm(found.others.mean(axis=0) - here.mean(axis=0)) < 0.2 * gap
    assert len(pose_map(bank, None).others) == 0


def test_half_bodies_lie_where_whole_ones_would():
    visible = ALL.copy()
    visible[:100, 13:] = False
    keypoints = np.concatenate([people(300), people(100, up=-1, seed=1)])
    found = pose_map(PoseBank.from_poses(keypoints, visible, COCO), None)
    half = found.indices < 100
    whole = (found.indices >= 100) & (found.indices < 300)
    centre = found.position[whole].mean(axis=0)
    gap = np.linalg.norm(found.position[found.indices >= 300].mean(axis=0) - centre)
    assert np.linalg.norm(found.position[half].mean(axis=0) - centre) < 0.2 * gap
