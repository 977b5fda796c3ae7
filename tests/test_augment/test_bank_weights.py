import multiprocessing
import time

import numpy as np
import pytest
import torch
from augment_world import SKELETON, make_figure
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from pg2aug.augment.bank_weights import ReweightedBank, SharedTable, limit_factors
from pg2aug.augment.reweighting import Reweighting, cluster_poses, error_factors
from pg2aug.datasets.figures import COMMON_FAMILIES, RARE_FAMILIES
from pg2aug.poses import PoseBank
from pg2aug.poses.sampling import effective_sample_size

FAMILIES = ('standing', 'lying', 'upside_down')


def bank_of(weights, clusters=None):
    count = len(weights)
    weights = np.asarray(weights, float)
    bank = PoseBank(
        keypoints=np.repeat(make_figure().keypoints[None], count, axis=0).astype(np.float32),
        visible=np.ones((count, 17), bool),
        hidden=np.zeros((count, 17), bool),
        weights=weights / weights.sum(),
        rarity=np.ones(count, np.float32),
        skeleton=SKELETON,
    )
    return bank if clusters is None else ReweightedBank.of(bank, np.asarray(clusters))


def shares(bank, draws=20_000):
    uniforms = (np.arange(draws) + 0.5) / draws
    return np.bincount([bank.draw(u) for u in uniforms], minlength=len(bank)) / draws


@pytest.fixture(scope='module')
def figures_bank():
    figures = [make_figure(i, f, seed=i) for i in range(20) for f in FAMILIES]
    keypoints = np.stack([f.keypoints for f in figures])
    visible = np.stack([f.visible for f in figures])
    return PoseBank.from_poses(keypoints, visible, SKELETON)


def test_factors_of_one_draw_as_the_bank_does():
    bank = bank_of([5, 0, 1, 2, 0, 4], [2, 0, 0, 2, 1, 3])
    np.testing.assert_allclose(shares(bank), bank.weights, atol=1e-3)


@given(
    weights=st.lists(st.integers(0, 5), min_size=4, max_size=12).filter(any),
    factors=st.lists(st.floats(0.25, 4), min_size=3, max_size=3),
)
@settings(max_examples=20, deadline=None)
def test_draws_follow_weight_times_factor(weights, factors):
    clusters = np.arange(len(weights)) % 3
    bank = bank_of(weights, clusters)
    used = bank.set_factors(np.array(factors), 0)
    expected = bank.weights * used[clusters]
    np.testing.assert_allclose(shares(bank, 5000), expected / expected.sum(), atol=2e-3)


@pytest.mark.parametrize('uniform', [0.0, np.nextafter(1, 0)])
def test_the_ends_are_drawable_poses(uniform):
    bank = bank_of([0, 1, 1, 0], [0, 1, 1, 2])
    assert bank.draw(uniform) in (1, 2)


def test_a_uniform_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r'uniform must be in \[0, 1\), got 1'):
        bank_of([1, 1], [0, 1]).draw(1)


def test_restricting_keeps_indices_and_clusters():
    bank = bank_of([1, 1, 2, 2], [0, 0, 1, 1]).restrict(np.array([True, False, True, False]))
    np.testing.assert_allclose(shares(bank), [1 / 3, 0, 2 / 3, 0], atol=1e-3)


def test_the_effective_sample_size_is_kept():
    weights = np.random.default_rng(0).uniform(0.5, 2, 400)
    clusters = np.arange(400) % 40
    bank = bank_of(weights, clusters)
    factors = np.full(40, 0.05)
    factors[0] = 20.0
    used = bank.set_factors(factors, 40)
    drawn = bank.weights * used[clusters]
    assert effective_sample_size(drawn) == pytest.approx(40, rel=1e-3)
    assert effective_sample_size(bank.weights * factors[clusters]) < 15
    # As far as allowed, and in the same order.
    assert 1 < used[0] < 20
    assert (used[1:] > 0.05).all()


def test_a_bank_that_is_uneven_by_itself_is_made_no_more_uneven():
    bank = bank_of([1000, 1, 1, 1, 1, 1, 1, 1, 1, 1], [0] + [1] * 9)
    used = bank.set_factors(np.array([4.0, 0.25]), 5)
    np.testing.assert_allclose(used, 1, atol=1e-4)
    better = bank.set_factors(np.array([0.25, 4.0]), 5)
    np.testing.assert_allclose(better, [0.25, 4])


def test_factors_within_the_limit_are_untouched():
    factors = np.array([2.0, 0.5])
    assert limit_factors(factors, np.array([0.5, 0.5]), np.array([0.1, 0.1]), 1) is factors


def test_factors_are_errors_over_the_mean_error():
    persons = np.array([1000.0, 1000, 0, 2])
    error = np.array([400.0, 100, 0, 0.5])
    factors = error_factors(error, persons, 4.0, 10.0)
    mean = 500.5 / 2002
    assert factors[0] == pytest.approx(0.4 / mean, rel=0.01)
    assert factors[1] == pytest.approx(0.1 / mean, rel=0.02)
    assert factors[2] == 1
    # Two persons are little evidence.
    assert 1 <= factors[3] < 1.05


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=20),
    st.floats(1.1, 10),
)
def test_factors_are_bounded(seen, bound):
    error, persons = np.array(seen).T
    factors = error_factors(error, persons, bound, 10.0)
    assert np.isfinite(factors).all()
    assert (factors >= 1 / bound - 1e-9).all()
    assert (factors <= bound + 1e-9).all()


def test_clusters_group_alike_poses(figures_bank):
    clusters = cluster_poses(figures_bank, 6)
    assert np.array_equal(clusters, cluster_poses(figures_bank, 6))
    families = np.arange(len(clusters)) % len(FAMILIES)
    drawable = figures_bank.weights > 0
    # Somebody may lie with his head to the left or to the right, but he does not stand.
    alike = [np.bincount(families[(clusters == c) & drawable]).max() for c in set(clusters)]
    assert len(alike) == 6
    assert sum(alike) / drawable.sum() > 0.9


def test_missing_joints_do_not_make_a_cluster(figures_bank):
    visible = figures_bank.visible.copy()
    visible[::2, 9:11] = False
    cropped = PoseBank.from_poses(figures_bank.keypoints, visible, SKELETON)
    clusters = cluster_poses(cropped, 2)
    missing = clusters[::2].mean() - clusters[1::2].mean()
    assert abs(missing) < 0.25


def test_more_clusters_than_poses():
    figures = [make_figure(0, f, seed=1) for f in (*COMMON_FAMILIES, *RARE_FAMILIES)]
    bank = PoseBank.from_poses(
        np.stack([f.keypoints for f in figures]), np.stack([f.visible for f in figures]), SKELETON
    )
    assert cluster_poses(bank, 100).max() < len(bank)


def test_poses_of_large_error_are_drawn_more(figures_bank):
    reweighting = Reweighting(clusters=3, bound=3.0)
    bank = reweighting.start(figures_bank, 'cpu')
    assert reweighting.update() == {}
    before = shares(bank)
    hard = torch.from_numpy((np.arange(len(bank)) % 3 == 2).copy())
    poses = torch.arange(len(bank)).repeat(20)
    errors = torch.where(hard, 0.4, 0.1).repeat(20)
    reweighting.add(poses, errors, torch.ones_like(poses).bool())
    log = reweighting.update()
    after = shares(bank)
    drawable = torch.from_numpy(bank.weights > 0)
    assert after[hard & drawable].sum() > 1.4 * before[hard & drawable].sum()
    assert log['estimator_error'] == pytest.approx(0.2, abs=0.01)
    assert 1 < log['largest_factor'] <= 3
    assert log['effective_poses'] >= len(bank) / 10


def test_persons_that_do_not_count_change_nothing(figures_bank):
    reweighting = Reweighting(clusters=3)
    bank = reweighting.start(figures_bank, 'cpu')
    before = shares(bank)
    poses = torch.tensor([0, 1, -1])
    reweighting.add(poses, torch.tensor([0.5, 0.5, 0.5]), torch.tensor([False, False, True]))
    assert reweighting.update() == {}
    assert np.array_equal(shares(bank), before)


def test_what_was_seen_long_ago_is_forgotten(figures_bank):
    reweighting = Reweighting(clusters=2)
    reweighting.start(figures_bank, 'cpu')
    poses = torch.arange(len(figures_bank))
    every = torch.ones_like(poses).bool()
    reweighting.add(poses, torch.full((len(poses),), 0.4), every)
    first = reweighting.update()['estimator_error']
    for _ in range(400):
        reweighting.add(poses[:2], torch.zeros(2), every[:2])
        last = reweighting.update()['estimator_error']
    assert first == pytest.approx(0.4)
    assert last < 0.05


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(interval=0), 'interval must be at least 1'),
        (dict(clusters=1), 'clusters at least 2'),
        (dict(bound=1.0), 'bound must be greater than 1, got 1.0'),
    ],
)
def test_settings_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        Reweighting(**arguments)


class Draws(Dataset):
    """Each item is a draw, in whatever process makes it."""

    def __init__(self, bank):
        self.bank = bank

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return self.bank.draw((index + 0.5) / 40)


@pytest.mark.parametrize('context', ['fork', 'spawn'])
def test_new_factors_reach_persistent_workers(context):
    bank = bank_of(np.ones(4), [0, 0, 1, 1])
    bank.draw(0.5)  # what it keeps from then on must not part the processes
    loader = DataLoader(
        Draws(bank), 8, num_workers=1, persistent_workers=True, multiprocessing_context=context
    )
    first = torch.bincount(torch.cat(list(loader)), minlength=4)
    assert first.tolist() == [10, 10, 10, 10]
    bank.set_factors(np.array([0.25, 4.0]), 0)
    second = torch.bincount(torch.cat(list(loader)), minlength=4)
    assert second[2:].sum() > 35
    loader._iterator._shutdown_workers()


def _write(table, stop):
    value = 0
    while not stop.is_set():
        value += 1
        table.write(np.full(5000, float(value)))


def test_a_table_is_never_torn():
    table = SharedTable(np.zeros(5000))
    context = multiprocessing.get_context('fork')
    stop = context.Event()
    writer = context.Process(target=_write, args=(table, stop))
    writer.start()
    seen = set()
    end = time.monotonic() + 60
    while len(seen) < 50 and time.monotonic() < end:
        values = table.read()
        assert (values == values[0]).all()
        seen.add(values[0])
    stop.set()
    writer.join()
    # Otherwise nothing was put to the test.
    assert len(seen) == 50
