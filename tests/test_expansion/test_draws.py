from bisect import bisect

import numpy as np
import pytest

from pg2aug.expansion.plan.draws import PoseRegions, draw_poses, random_numbers
from pg2aug.expansion.plan.regions import level, pose_regions

WEIGHTS = np.array([0.4, 0.0, 0.1, 0.2, 0.3, 0.0, 1.0, 1e-9])
LABELS = np.array([0, -1, 0, 0, 0, -1, 1, 1])


def draw(persons, region, turns, labels=LABELS, weights=WEIGHTS, seed=0):
    regions = PoseRegions.group(weights, labels)
    arrays = (np.broadcast_to(a, np.broadcast(persons, region, turns).shape) for a in
              (persons, region, turns))  # fmt: skip
    return draw_poses(regions, seed, *(np.array(a) for a in arrays))


def test_the_poses_of_a_person_all_differ_and_are_all_there():
    for person in range(50):
        assert sorted(draw(person, 0, np.arange(4))) == [0, 2, 3, 4]
        # The second has next to no weight.
        assert sorted(draw(person, 1, np.arange(2))) == [6, 7]


def test_first_poses_come_by_weight():
    drawn = draw(np.arange(20_000), 0, 0)
    shares = np.bincount(drawn, minlength=5) / len(drawn)
    np.testing.assert_allclose(shares, [0.4, 0, 0.1, 0.2, 0.3], atol=0.02)


def test_a_draw_depends_on_no_other_draw():
    weights = np.random.default_rng(0).random(300)
    turns = np.array([0, 250, 3, 70, 3, 299])
    together = draw(np.arange(6), 0, turns, None, weights)
    for person, (turn, pose) in enumerate(zip(turns, together, strict=True)):
        assert draw(person, 0, np.array([turn]), None, weights)[0] == pose
    assert (draw(np.arange(6), 0, turns, None, weights, seed=1) != together).any()


def slow_draw(person, region, turn, labels, weights, seed):
    """Draw by weight until the turn-th pose that is new; after 4,096 draws, in random order."""
    members = [n for n in range(len(weights)) if weights[n] > 0 and labels[n] == region]
    ends = np.cumsum(weights[[n for n in np.argsort(labels, kind='stable') if weights[n] > 0]])
    before = sum(weights[n] > 0 and labels[n] < region for n in range(len(weights)))
    ends = np.concatenate([[0.0], ends])[before : before + len(members) + 1]
    new = []
    for number in random_numbers(seed, person, region, np.arange(4096)).tolist():
        place = ends[0] + number * (ends[-1] - ends[0])
        pose = members[min(max(bisect(ends, place) - 1, 0), len(members) - 1)]
        new += [pose] if pose not in new else []
        if len(new) > turn:
            return new[turn]
    rest = sorted(set(members) - set(new))
    rest.sort(key=lambda pose: float(random_numbers(seed, person, -1 - region, pose)))
    return rest[turn - len(new)]


def test_draws_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    weights = rng.random(60) ** 3 * (rng.random(60) > 0.2)
    weights[::7] *= 1e-6  # these come after all draws
    labels = np.where(weights > 0, rng.integers(0, 3, 60), -1)
    sizes = np.bincount(labels[labels >= 0])
    persons, region = rng.integers(0, 9, 80), rng.integers(0, 3, 80)
    turns = rng.integers(0, sizes[region])
    found = draw(persons, region, turns, labels, weights, seed=4)
    requests = zip(persons.tolist(), region.tolist(), turns.tolist(), strict=True)
    assert found.tolist() == [slow_draw(*one, labels, weights, seed=4) for one in requests]


def test_random_numbers_are_uniform_and_unrelated():
    numbers = random_numbers(5, np.arange(300)[:, None], np.arange(300)[None])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, 20, (0, 1))[0] / numbers.size
    np.testing.assert_allclose(counts, 0.05, atol=0.004)
    others = random_numbers(6, np.arange(300)[:, None], np.arange(300)[None])
    for one, other in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1]),
                       (numbers, others), (numbers, numbers.T)):  # fmt: skip
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize('total', [0, 1, 7, 8, 9, 40, 1000, None])
def test_the_least_are_raised_to_one_level(total):
    counts = np.array([5, 0, 9, 2, 2])
    added = level(counts, total)
    assert added.min() >= 0
    if total is None:
        np.testing.assert_array_equal(counts + added, 9)
        return
    assert added.sum() == total
    # One by one, each to the least of all.
    slow = counts.copy()
    for _ in range(total):
        slow[slow.argmin()] += 1
    np.testing.assert_array_equal(np.sort(counts + added), np.sort(slow))
    raised = (counts + added)[added > 0]
    assert not len(raised) or raised.max() - (counts + added).min() <= 1


def test_regions_hold_poses_alike(make_job):
    job = make_job()
    data = job.bank.keypoints, job.bank.visible
    labels, counts, centres = pose_regions(job.bank, data, 5)
    np.testing.assert_array_equal(labels[centres], range(5))
    drawable = job.bank.weights > 0
    assert set(labels[drawable]) == set(range(5))
    assert (labels[~drawable] == -1).all()
    np.testing.assert_array_equal(counts[: labels.max() + 1] >= np.bincount(labels[drawable]), True)
    # A pose and its mirror are in the same region.
    flip = list(job.bank.skeleton.flip_indices)
    mirrored = job.bank.keypoints[:, flip] * np.array([-1, 1], np.float32)
    visible = job.bank.visible[:, flip]
    for region in range(5):
        chosen = labels == region
        found = pose_regions(job.bank, (mirrored[chosen], visible[chosen]), 5).counts
        assert found.argmax() == region
        assert found[region] == found.sum()


def test_who_shows_too_little_to_be_compared_is_in_no_region(make_job):
    job = make_job()
    counts = pose_regions(job.bank, (job.bank.keypoints, job.bank.visible), 5).counts
    # Knee and ankle: two joints have no distance.
    little = np.zeros_like(job.bank.visible)
    little[:, [13, 15]] = 1
    keypoints = np.concatenate([job.bank.keypoints] * 2)
    visible = np.concatenate([job.bank.visible, little])
    np.testing.assert_array_equal(pose_regions(job.bank, (keypoints, visible), 5).counts, counts)
