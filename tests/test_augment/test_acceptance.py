import numpy as np
import pytest
import torch
from augment_world import SKELETON, make_figure

from pg2aug.augment.statistics import (
    AcceptanceCounts,
    SuitableCounts,
    acceptance_report,
    rarity_deciles,
)
from pg2aug.poses import PoseBank


def bank_of(rarity, weights=None):
    count = len(rarity)
    figure = make_figure()
    weights = np.ones(count) if weights is None else np.asarray(weights, float)
    return PoseBank(
        keypoints=np.repeat(figure.keypoints[None], count, axis=0).astype(np.float32),
        visible=np.ones((count, 17), bool),
        hidden=np.zeros((count, 17), bool),
        weights=weights / weights.sum(),
        rarity=np.asarray(rarity, np.float32),
        skeleton=SKELETON,
    )


def test_deciles_are_tenths_of_the_poses_that_can_be_drawn():
    rng = np.random.default_rng(0)
    rarity = rng.permutation(np.arange(1.0, 201.0))
    rarity[:5], weights = np.nan, np.ones(200)
    weights[:10] = 0
    deciles = rarity_deciles(bank_of(rarity, weights))
    assert (deciles[:10] == -1).all()
    assert np.bincount(deciles[10:]).tolist() == [19] * 10
    order = np.argsort(rarity[10:])
    assert (np.diff(deciles[10:][order]) >= 0).all()
    assert deciles[10:][order[-1]] == 9


def test_poses_alike_in_rarity_are_in_one_decile():
    assert len(set(rarity_deciles(bank_of(np.ones(25))).tolist())) == 1


def test_counts_by_decile_and_by_joint():
    deciles = np.array([0, 9, 9, -1])
    counts = AcceptanceCounts(('nose', 'wrist'), deciles)
    labelled = torch.tensor([[1, 1], [1, 0], [1, 1], [1, 1], [1, 1]]).bool()
    passed = torch.tensor([[1, 0], [1, 0], [1, 1], [0, 1], [1, 1]]).bool()
    accepted = torch.tensor([True, True, False, True, True])
    # The last person's pose is of no bank.
    counts.add(torch.tensor([0, 1, 2, 3, -1]), labelled, passed, accepted)
    counts.add(torch.tensor([0]), labelled[:1], passed[:1], ~accepted[:1])
    taken = counts.take()
    assert taken['persons'] == (6, 4)
    assert taken['decile_0'] == (2, 1)
    assert taken['decile_9'] == (2, 1)
    assert [taken[f'decile_{i}'] for i in range(1, 9)] == [(0, 0)] * 8
    # Joints of refused persons do not count as passed.
    assert taken['nose'] == (6, 3)
    assert taken['wrist'] == (5, 2)
    assert taken['joints'] == (11, 5)
    assert counts.take()['persons'] == (0, 0)


def test_large_counts_go_on():
    counts = AcceptanceCounts(('nose',), np.zeros(1, np.int64))
    many = torch.ones(2**20, 1).bool()
    for persons in [many] * 16 + [many[:1]] * 3:
        counts.add(torch.zeros(len(persons), dtype=torch.int64), persons, persons, persons[:, 0])
    taken = counts.take()
    # A float would stop at 2**24.
    for name in ('persons', 'decile_0', 'nose'):
        assert taken[name] == (2**24 + 3, 2**24 + 3)


@pytest.mark.parametrize(('suitable', 'warned'), [(9, True), (10, False)])
def test_a_warning_where_less_than_a_fifth_of_fifty_persons_can_be_replaced(
    monkeypatch, suitable, warned
):
    said = []
    monkeypatch.setattr('pg2aug.augment.statistics.print_log', lambda text, **_: said.append(text))
    counts = SuitableCounts()
    for person in range(49):
        counts.add(None if person < suitable else f'{person} labelled joints, fewer than 30')
    assert not said
    for _ in range(20):
        counts.add('the torso is not labelled')
    assert len(said) == warned
    if warned:
        assert 'left 41 of the first 50 persons' in said[0]
        assert '… labelled joints, fewer than …' in said[0], 'the commonest reason'


def test_without_a_bank_there_are_no_deciles():
    counts = AcceptanceCounts(('nose',), None)
    ones = torch.ones(3, 1).bool()
    counts.add(torch.tensor([500, 1, -1]), ones, ones, ones[:, 0])
    taken = counts.take()
    assert taken['persons'] == (3, 3)
    assert all(taken[f'decile_{i}'] == (0, 0) for i in range(10))


def test_the_report_names_joints_and_orders_deciles():
    counts = AcceptanceCounts(('nose', 'wrist'), np.arange(10))
    labelled = torch.ones(1, 2).bool()
    counts.add(torch.tensor([8]), labelled, labelled, torch.tensor([True]))
    report = acceptance_report(counts.take())
    assert report['by_rarity'] == [[0, 0]] * 8 + [[1, 1], [0, 0]]
    assert report['by_joint'] == {'nose': [1, 1], 'wrist': [1, 1]}
    assert report['persons'] == [1, 1]
    assert report['joints'] == [2, 2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_counts_on_a_gpu():
    counts = AcceptanceCounts(('nose',), np.arange(3), 'cuda')
    ones = torch.ones(2, 1).bool()
    counts.add(torch.tensor([0, 2]), ones, ones.cuda(), ones[:, 0].cuda())
    assert counts.take()['decile_2'] == (1, 1)
