import numpy as np
import pytest
from pose_samples import COCO, people

from pg2aug.poses import PoseBank
from pg2aug.poses.coverage import coverage
from pg2aug.poses.novel import add_novel_poses
from pg2aug.poses.pose_map import pose_map

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
    assert rarest[-1] > 0.15
    assert found.by_rarity.shape == found.uniform.shape == (201, 2)
    assert (np.diff(found.by_rarity, axis=0) >= 0).all()
    assert 0.3 < found.by_rarity[0, 0] < 0.7
    # What is rare is filled sooner by draws that prefer it.
    assert rarest[20:60].mean() > found.uniform[20:60, 1].mean()


def test_coverage_is_that_of_a_slow_count():
    bank = _bank(reference=STANDING, mirror_invariant=False)
    found = coverage(bank, STANDING, draws=1)
    # Standing people of the bank come from the data set's own distribution.
    own = coverage(_bank(0, reference=STANDING, mirror_invariant=False), STANDING, draws=1)
    assert own.by_rarity[0, 0] == pytest.approx(0.5, abs=0.12)
    assert found.by_rarity[0, 0] == pytest.approx(own.by_rarity[0, 0] * 0.9, abs=0.12)
    assert found.radius == pytest.approx(own.radius, rel=0.1)


def test_new_poses_whose_parents_are_judged_are_not_drawn():
    bank = _bank(reference=STANDING)
    larger, new = add_novel_poses(bank, 300, max_turn=0, max_distance=0)
    copies = coverage(larger, STANDING, parents=new.parents, draws=400)
    leaking = coverage(larger, STANDING, parents=None, draws=400)
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
