"""A person gets a pose several times: what is decided, and what a training makes of it."""

from collections import defaultdict
from itertools import chain

import numpy as np
import pytest
import torch
from augment_world import make_figure, make_sample, plan_for
from mmengine.runner import Runner
from pose_training import Spy, pose_config, train_steps

from pg2aug.augment import PG2Augment, PG2Hook, UnsuitableError
from pg2aug.augment.extras.repeats import Repeats
from pg2aug.augment.placement import set_repeats
from pg2aug.augment.synthesis.deferred import DeferredBatch

HOOK = dict(type='pg2aug.PG2Hook', interval=1)


@pytest.fixture(scope='module')
def plans():
    sample, figure = make_sample(seed=1), make_figure(seed=2)
    return [plan_for(sample, figure, pose_index=pose) for pose in range(50)]


def decisions(repeats, plans, persons):
    """Pose and repeats of each decision; new poses are taken one after the other."""
    fresh = iter(plans)
    made = [repeats.decide(i, lambda pose: plans[pose], lambda: next(fresh)) for i in persons]
    return [(int(plan.pose_index[0]), int(plan.repeats[0])) for plan in made]


def test_every_pose_is_decided_that_often(plans):
    found = decisions(Repeats(5, 3), plans, [4, 4, 0, 4, 4, 0])
    assert found == [(0, 2), (0, 1), (1, 2), (0, 0), (2, 2), (1, 1)]


@pytest.mark.parametrize('share', [0.0, 0.3, 0.75, 1.0])
def test_a_share_of_the_persons_is_spread_over_the_data_set(plans, share):
    repeats = Repeats(1000, 2, share)
    found = decisions(repeats, plans * 20, range(1000))
    again = np.array([left >= 0 for _, left in found])
    np.testing.assert_allclose(again.reshape(10, 100).mean(axis=1), share, atol=0.03)
    assert decisions(repeats, plans * 20, range(1000))[1:3] != found[1:3] or share == 0


def test_what_no_longer_fits_is_not_tried_for_ever(plans):
    repeats = Repeats(1, 2)
    repeats.decide(0, plans.__getitem__, lambda: plans[7])

    def again(pose):
        raise UnsuitableError('an image that changes')

    with pytest.raises(UnsuitableError):
        repeats.decide(0, again, lambda: plans[8])
    assert repeats.decide(0, again, lambda: plans[8]).pose_index[0] == 8


def test_a_sample_of_another_data_set_is_an_error(plans):
    for person in (-1, 5):
        with pytest.raises(ValueError, match=rf'sample_idx {person} is not in \[0, 5\).*reuse=1'):
            decisions(Repeats(5, 2), plans, [person])


@pytest.fixture
def augment(generator, pose_bank, smooth_persons):
    return dict(
        type='pg2aug.PG2Augment', generator=generator, pose_bank=pose_bank, prob=1, check=None
    )


def train(people, augment, work_dir, num_workers=0, by_epoch=True, rounds=4):
    """What the network was given, and of each batch the plans."""
    dataset = dict(people, pipeline=train_steps(augment))
    cfg = pose_config(work_dir, dataset, None, [HOOK], num_workers, by_epoch=by_epoch)
    cfg.train_cfg['max_epochs' if by_epoch else 'max_iters'] = rounds
    runner = Runner.from_cfg(cfg)
    spy, plans, take = Spy.on(runner), [], DeferredBatch.take.__func__

    def taking(cls, output):
        batch = take(cls, output)
        plans.append(batch.plans if batch else [])
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeferredBatch, 'take', classmethod(taking))
        runner.train()
    iterator = runner.train_dataloader._iterator
    if iterator is not None:
        iterator._shutdown_workers()
    return runner, spy, plans


@pytest.mark.parametrize(('by_epoch', 'workers'), [(True, 0), (True, 2), (False, 1)])
def test_persons_are_synthesised_once_and_seen_again(
    augment, people, tmp_path, monkeypatch, by_epoch, workers
):
    made = []
    build = PG2Augment.build_synthesizer

    def counting(self, device):
        synthesizer = build(self, device)
        synthesize = synthesizer.model.synthesize
        synthesizer.model.synthesize = lambda data, refine: (
            made.append(len(data['condition_image'])) or synthesize(data, refine)
        )
        return synthesizer

    monkeypatch.setattr(PG2Augment, 'build_synthesizer', counting)
    settings = dict(augment, reuse=2)
    # By iterations one round runs into the next, where of two workers one may overtake the other
    # with the same person: only one worker's order is certain.
    _, _, plans = train(people, settings, tmp_path, workers, by_epoch, 4 if by_epoch else 16)
    poses = defaultdict(list)
    for plan in chain(*plans):
        poses[plan.source_keypoints.tobytes()].append(int(plan.pose_index[0]))
    assert len(poses) > 8
    changed = 0
    for drawn in poses.values():
        assert len(drawn) == 4
        assert drawn[0] == drawn[1]
        assert drawn[2] == drawn[3]
        changed += drawn[1] != drawn[2]
    assert changed > 0.6 * len(poses)
    half = sum(map(len, poses.values())) / 2
    assert sum(made) == half


def test_the_pool_changes_no_label_and_pixels_by_rounding_alone(
    augment, people, tmp_path, monkeypatch
):
    settings = dict(augment, reuse=3, check=dict(type='RefuseJoints', joints=[0, 9]))
    _, pooled, plans = train(people, settings, tmp_path / 'pooled', rounds=3)
    assert sum(int(plan.repeats[0]) == 0 for plan in chain(*plans)) > 8
    # Told to come again, and kept nowhere.
    monkeypatch.setattr('pg2aug.augment.hook.set_repeats', lambda p: set_repeats(p) and None)
    _, plain, _ = train(people, settings, tmp_path / 'plain', rounds=3)
    for found, expected in zip(pooled.inputs, plain.inputs, strict=True):
        # In units of the standard deviation of the inputs, about 57 grey levels.
        torch.testing.assert_close(found, expected, atol=1.1 / 57, rtol=0)
    for found, expected in zip(chain(*pooled.samples), chain(*plain.samples), strict=True):
        for part in ('gt_fields.heatmaps', 'gt_instance_labels.keypoint_weights'):
            group, name = part.split('.')
            a, b = (getattr(getattr(sample, group), name) for sample in (found, expected))
            assert torch.equal(a, b)


def test_a_small_pool_repeats_as_many_persons_as_it_has_room_for(augment, people, tmp_path):
    room_for_four = 4.5 * 4 * 48 * 64 / 2**20
    settings = dict(augment, reuse=2, pool_mb=room_for_four)
    _, _, plans = train(people, settings, tmp_path, rounds=1)
    again = [plan.repeats[0] == 1 for plan in chain(*plans)]
    assert len(again) > 8
    assert 2 <= sum(again) <= 5


def test_after_training_nothing_is_kept(augment, people, tmp_path):
    runner, _, _ = train(people, dict(augment, reuse=2), tmp_path, rounds=1)
    hook = next(hook for hook in runner.hooks if isinstance(hook, PG2Hook))
    (transform,) = (
        t for t in runner.train_dataloader.dataset.pipeline.transforms if isinstance(t, PG2Augment)
    )
    assert hook.synthesizer.pool is None
    assert transform.repeats is None


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(reuse=2), r'reuse=2.*needs a pool.*PG2Hook.*or set reuse=1'),
        (dict(cuda_graphs=True), r'cuda_graphs=True.*one person.*PG2Hook.*or set cuda_graphs=Fal'),
    ],
)
def test_without_the_hook_it_is_an_error(make_augment, settings, message):
    with pytest.raises(ValueError, match=message):
        make_augment(**settings).transform(make_sample())


def test_of_two_data_sets_persons_cannot_be_told_apart(augment, people, tmp_path):
    dataset = dict(
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=[dict(people, pipeline=[])] * 2,
        pipeline=train_steps(dict(augment, reuse=2)),
    )
    with pytest.raises(ValueError, match=r'reuse=2.*CombinedDataset.*put it into the pipelines'):
        Runner.from_cfg(pose_config(tmp_path, dataset, None, [HOOK])).train()


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(reuse=0), 'reuse must be a whole number from 1 on, got 0'),
        (dict(reuse=1.5), 'reuse must be a whole number from 1 on, got 1.5'),
        (dict(reuse=True), 'reuse must be a whole number from 1 on, got True: set reuse=1'),
        (dict(pool_mb=-1), 'pool_mb must be a finite number of MB, at least 0, got -1: leave'),
        (dict(pool_mb=True), 'pool_mb must be a finite number of MB, at least 0, got True'),
        (dict(pool_mb='64'), "pool_mb must be a finite number of MB, at least 0, got '64'"),
        (dict(pool_mb=float('nan')), 'pool_mb must be a finite number of MB, at least 0, got nan'),
        (dict(reuse=2, pool_mb=float('inf')), 'pool_mb must be a finite number .* got inf'),
        (dict(compile='False'), "compile must be True or False, got 'False': write it without"),
        (dict(compile=1), 'compile must be True or False, got 1'),
        (dict(cuda_graphs=None), 'cuda_graphs must be True or False, got None'),
        (dict(reuse=2, pool_mb=0.01), 'pool_mb=0.01 has no room for a single crop of 48x64'),
    ],
)
def test_what_cannot_be_is_an_error(make_augment, settings, message):
    with pytest.raises(ValueError, match=message):
        make_augment(**settings)
