"""Synthesised persons kept for another use: the same persons, found by what they are made of."""

from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from augment_world import RefuseJoints, make_figure, make_sample, plan_for
from helpers import COCO_METAINFO
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fast_path import NothingAwaited

from pg2aug.augment import Synthesizer
from pg2aug.augment.extras.pool import PersonPool, pool_slots
from pg2aug.augment.synthesis.batches import Persons
from pg2aug.models import LimbWarpGenerator

STAY = torch.eye(2, 3)
COUNT = 5


@pytest.fixture(scope='module')
def batch():
    """Images and plans of five persons."""
    images, plans = [], []
    for seed in range(COUNT):
        sample = make_sample(person_id=seed, seed=seed)
        plans.append(plan_for(sample, make_figure(seed=seed + 9, family='arms_out')))
        images.append(torch.from_numpy(sample['img'].transpose(2, 0, 1).copy()).float())
    return torch.stack(images), plans


class Counting(LimbWarpGenerator):
    """A generator that counts the persons that it makes."""

    def __init__(self, channels=4):
        super().__init__(COCO_METAINFO)
        self.channels = channels
        self.made = 0

    def synthesize(self, data, refine=True):
        made = super().synthesize(data, refine)
        self.made += len(made)
        return made[:, : self.channels]


def make(slots=None, channels=4, **settings):
    model = Counting(channels)
    synthesizer = Synthesizer(model, RefuseJoints([0, 9], every_second=False), **settings)
    synthesizer.pool = None if slots is None else PersonPool(slots)
    return synthesizer, model


def coming_again(plans, *repeats):
    return [
        replace(plan, repeats=np.array([n]))
        for plan, n in zip(plans, repeats * (len(plans) // len(repeats)), strict=True)
    ]


def frames(number):
    """Final affines, others each time."""
    generator = torch.Generator().manual_seed(number)
    return STAY + 0.05 * torch.randn(COUNT, 2, 3, generator=generator)


@pytest.mark.parametrize('channels', [3, 4])
@pytest.mark.parametrize('padded', [False, True])
@pytest.mark.parametrize('max_batch', [64, 2])
def test_what_is_kept_is_what_would_have_been_made(batch, channels, padded, max_batch):
    images, plans = batch
    plain, _ = make(channels=channels, max_batch=max_batch)
    pooled, model = make(64, channels=channels, max_batch=max_batch)
    pooled.padded = padded
    for use, repeats in enumerate([2, 1, 0]):
        matrices = frames(use)
        found = pooled(images, coming_again(plans, repeats), matrices)
        expected = plain(images, plans, matrices)
        assert (expected.images - images).abs().mean() > 2
        # Half a grey level, and half a 255th of matte.
        torch.testing.assert_close(found.images, expected.images, atol=1.1, rtol=0)
        assert torch.equal(found.joints_ok, expected.joints_ok)
        assert torch.equal(found.accepted, expected.accepted)
        once = 8 if padded and max_batch == 64 else COUNT
        assert model.made == once, 'made once, used three times'
    assert len(pooled.pool) == 0, 'used up'
    pooled(images, coming_again(plans, 2), frames(3))
    assert model.made == 2 * once


def test_old_and_new_persons_share_a_batch(batch):
    images, plans = batch
    plain, _ = make()
    pooled, model = make(64)
    pooled(images[1:3], coming_again(plans[1:3], 5), frames(0)[1:3])
    for order in ([4, 1, 0, 2, 3], [2, 3, 4, 0, 1]):
        model.made, missing = 0, 5 - len(pooled.pool)
        chosen = coming_again([plans[i] for i in order], 4)
        found = pooled(images[order], chosen, frames(1))
        expected = plain(images[order], chosen, frames(1))
        torch.testing.assert_close(found.images, expected.images, atol=1.1, rtol=0)
        assert model.made == missing


@pytest.mark.parametrize('slots', [1, 2, 3, 4])
def test_a_pool_without_room_costs_time_and_never_a_person(batch, slots):
    images, plans = batch
    plain, _ = make()
    pooled, model = make(slots)
    rng = np.random.default_rng(slots)
    for _ in range(12):
        # Some come twice in a batch, some for the last time.
        order = rng.integers(0, COUNT, COUNT).tolist()
        repeats = rng.integers(-1, 3, COUNT).tolist()
        chosen = coming_again([plans[i] for i in order], *repeats)
        found = pooled(images[order], chosen, frames(2))
        expected = plain(images[order], chosen, frames(2))
        torch.testing.assert_close(found.images, expected.images, atol=1.1, rtol=0)
        assert len(pooled.pool) <= slots
    assert model.made < 12 * COUNT, 'and still some are found'


class SlowPool:
    """Who is kept, and who has to be generated, with nothing but a list: oldest first."""

    def __init__(self, slots):
        self.slots = slots
        self.kept = []

    def serve(self, people):
        """Each of the people as (number, repeats)."""
        missing = [number for number, repeats in people if repeats < 0 or number not in self.kept]
        written = []
        for number, repeats in people:
            if repeats > 0:
                if number in self.kept:
                    self.kept.remove(number)
                elif len(self.kept) == self.slots:
                    if self.kept[0] in written:
                        continue
                    self.kept.pop(0)
                self.kept.append(number)
                written.append(number)
        gone = [number for number, repeats in people if repeats == 0]
        self.kept = [number for number in self.kept if number not in gone]
        return missing


@dataclass
class Asked:
    """As much of a plan as a pool looks at."""

    number: int
    repeats: np.ndarray

    def digest(self):
        return str(self.number).encode()


def persons_of(plans):
    """Persons of whole grey levels, each another."""
    numbers = torch.tensor([plan.number for plan in plans])
    made = torch.ones(len(plans), 4, 2, 3) * numbers[:, None, None, None]
    made[:, 3] = numbers[:, None, None] / 255
    return Persons(made, numbers[:, None] % 2 == torch.arange(2), numbers % 3 == 0)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 6),
    st.lists(
        st.lists(st.tuples(st.integers(0, 7), st.integers(-1, 2)), min_size=1, max_size=6),
        max_size=20,
    ),
)
def test_a_pool_keeps_whom_the_slow_reference_keeps(slots, batches):
    pool, slow, generated = PersonPool(slots), SlowPool(slots), []

    def generate(plans):
        generated.extend(plan.number for plan in plans)
        return persons_of(plans)

    for people in batches:
        generated.clear()
        plans = [Asked(number, np.array([repeats])) for number, repeats in people]
        served = pool.serve(plans, generate)
        for found, expected in zip(served, persons_of(plans), strict=True):
            assert torch.equal(found, expected)
        assert generated == slow.serve(people)
        assert len(pool) == len(slow.kept)


def test_those_not_used_for_longest_go_first(batch):
    images, plans = batch
    pooled, model = make(2)

    def use(number):
        model.made = 0
        pooled(images[:1], coming_again(plans[number : number + 1], 9), frames(0)[:1])
        return model.made

    assert [use(i) for i in (0, 1, 0, 2, 0, 1)] == [1, 1, 0, 1, 0, 1]


def test_who_does_not_come_again_is_not_kept(batch):
    images, plans = batch
    pooled, model = make(64)
    for _ in range(2):
        pooled(images, plans, frames(0))
        assert len(pooled.pool) == 0
    assert model.made == 2 * COUNT


@pytest.mark.parametrize(
    'change',
    [
        'condition',
        'condition_matrix',
        'target_matrix',
        'source_keypoints',
        'source_visible',
        'target_keypoints',
        'target_visible',
        'target_drawn',
        'source_radius',
        'target_radius',
    ],
)
def test_what_a_crop_is_made_of_tells_it_apart(batch, change):
    plan = batch[1][0]
    array = getattr(plan, change).copy()
    array[(-1,) * array.ndim] += 1
    assert replace(plan, **{change: array}).digest() != plan.digest()
    elsewhere = replace(plan, pose_index=plan.pose_index + 1, repeats=np.array([3]))
    assert elsewhere.digest() == plan.digest()


def test_room_is_counted_in_bytes():
    assert pool_slots(1, (96, 128)) == 21
    assert pool_slots(0.01, (96, 128)) == 0


def test_nothing_waits_for_the_device(batch, monkeypatch):
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())  # there is none of it
    images, plans, matrices = batch[0].to('meta'), coming_again(batch[1], 9), frames(0).to('meta')
    pooled, model = make(3, device='meta')
    pooled.check = None
    pooled(images, plans, matrices)  # sends the constants
    for count, missing in ((5, 2), (3, 0)):
        model.made = 0
        with NothingAwaited() as watched:
            pooled(images[:count], plans[:count], matrices[:count])
        assert model.made == missing
        assert watched.sent == (3 if missing else 2), 'plans, those to make, and where all are'
