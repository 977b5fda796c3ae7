"""Poses that the estimator in training gets wrong are drawn more often."""

import numpy as np
import pytest
import torch
from augment_world import make_sample
from mmengine.runner import Runner
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from pose_training import pose_config, train_steps
from test_direct_and_deferred import CASES, run_pipeline

from pg2aug.augment import PG2Hook
from pg2aug.augment.deferred import MAX_ERROR, DeferredBatch, keypoint_errors
from pg2aug.augment.pipelines import find_augments


@pytest.fixture
def dataset(generator, pose_bank, smooth_persons, people):
    augment = dict(
        type='pg2aug.PG2Augment', generator=generator, pose_bank=pose_bank, prob=1, check=None
    )
    return dict(people, pipeline=train_steps(augment))


@pytest.fixture
def served(monkeypatch):
    """Indices of the poses of each synthesised batch."""
    batches = []
    synthesize = DeferredBatch.synthesize

    def spy(self, *args):
        batches.append(np.concatenate([plan.pose_index for plan in self.plans]))
        return synthesize(self, *args)

    monkeypatch.setattr(DeferredBatch, 'synthesize', spy)
    return batches


def train(work_dir, dataset, reweight, epochs=2, workers=0):
    hook = dict(type='pg2aug.PG2Hook', reweight=reweight)
    cfg = pose_config(work_dir, dataset, None, [hook], workers)
    cfg.train_cfg.max_epochs = epochs
    runner = Runner.from_cfg(cfg)
    runner.train()
    if workers:
        runner.train_dataloader._iterator._shutdown_workers()
    return runner


@pytest.mark.parametrize('workers', [0, 1])
def test_poses_that_are_wrong_are_drawn_more(dataset, served, tmp_path, monkeypatch, workers):
    # Of little data: what is seen counts at once, and bounds that allow a clear effect.
    monkeypatch.setattr('pg2aug.augment.reweighting.PRIOR', 0.01)
    groups = []

    def errors(self, model):
        hook = next(h for h in runners[0].hooks if isinstance(h, PG2Hook))
        clusters = hook.reweighting.bank.clusters
        groups[:] = [clusters]
        poses = np.concatenate([plan.pose_index for plan in self.plans])
        wrong = torch.from_numpy(clusters[poses] == 1)
        return wrong * 0.4 + 0.001, torch.ones(len(poses)).bool()

    runners = []
    before_train = PG2Hook.before_train
    monkeypatch.setattr(
        PG2Hook, 'before_train', lambda self, r: runners.append(r) or before_train(self, r)
    )
    monkeypatch.setattr(DeferredBatch, 'estimation_errors', errors)
    reweight = dict(interval=1, clusters=2, bound=50.0)
    runner = train(tmp_path / 'pose', dataset, reweight, epochs=6, workers=workers)
    wrong = [np.mean(groups[0][poses] == 1) for poses in served]
    bank = find_augments(runner.train_dataloader.dataset)[0].augment.bank
    usual = bank.weights[groups[0] == 1].sum()
    assert 0.1 < usual < 0.8
    # The last four of six epochs, of four batches each; what was fetched ahead is of the second.
    assert np.mean(wrong[8:]) > usual + 0.15
    assert type(bank).__name__ == 'PoseBank'
    scalars = runner.message_hub.log_scalars
    assert scalars['train/pg2/effective_poses'].data[0].min() >= len(bank) / 10
    assert scalars['train/pg2/largest_factor'].data[0].max() > 1.1


def test_the_models_own_errors_are_measured(dataset, served, tmp_path):
    runner = train(tmp_path / 'pose', dataset, dict(interval=2, clusters=2))
    errors, _ = runner.message_hub.log_scalars['train/pg2/estimator_error'].data
    # Eight iterations; the model has learnt nothing yet.
    assert len(errors) == 4
    assert (errors > 0.1).all()
    assert (errors <= MAX_ERROR).all()
    assert runner.model.training


def test_without_it_nothing_changes(dataset, served, tmp_path, monkeypatch):
    banks = []
    adopt = PG2Hook._adopt

    def spy(self, placements):
        adopt(self, placements)
        banks.extend(type(p.augment.bank).__name__ for p in placements)

    monkeypatch.setattr(PG2Hook, '_adopt', spy)
    states = []
    for name in ('a', 'b'):
        runner = train(tmp_path / name, dataset, None)
        states.append(runner.model.state_dict())
    assert set(banks) == {'PoseBank'}
    first, second = served[: len(served) // 2], served[len(served) // 2 :]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert 'train/pg2/estimator_error' not in runner.message_hub.log_scalars


@pytest.mark.parametrize('name', ['plain', 'flip', 'rotation', 'udp', 'everything'])
def test_errors_are_measured_in_the_networks_frame(make_augment, smooth_persons, monkeypatch, name):
    preprocessor = PoseDataPreprocessor(mean=[0.0] * 3, std=[1.0] * 3)
    augment = make_augment()
    augment.deferred = True
    samples = [make_sample(person_id=i, seed=i) for i in range(4)]
    output = run_pipeline(augment, *CASES[name], samples, preprocessor)
    batch = DeferredBatch.take(output)
    batch.synthesize(augment.synthesizer, preprocessor)
    # The peaks of the heatmaps that the pipeline made are a perfect estimate.
    heatmaps = torch.stack([s.gt_fields.heatmaps for s in batch.samples])
    height, width = heatmaps.shape[2:]
    peaks = heatmaps.flatten(2).argmax(dim=2)
    scale = torch.tensor([48 / width, 64 / height])
    found = torch.stack([peaks % width, peaks // width], dim=2) * scale
    monkeypatch.setattr('pg2aug.augment.deferred.predict_keypoints', lambda *_: (found, None))
    errors, counted = batch.estimation_errors(None)
    assert counted.all()
    assert errors.max() < 0.05
    found = found.flip(0)
    assert batch.estimation_errors(None)[0].max() > 0.2


def synthesized(augment, case, monkeypatch):
    """A batch of four, in which a model finds every joint at 0, 0."""
    preprocessor = PoseDataPreprocessor(mean=[0.0] * 3, std=[1.0] * 3)
    augment.deferred = True
    samples = [make_sample(person_id=i, seed=i) for i in range(4)]
    batch = DeferredBatch.take(run_pipeline(augment, *CASES[case], samples, preprocessor))
    batch.synthesize(augment.synthesizer, preprocessor)
    found = torch.zeros(len(batch.plans), 17, 2)
    monkeypatch.setattr('pg2aug.augment.deferred.predict_keypoints', lambda *_: (found, None))
    return batch


def test_weights_of_several_levels_count_where_any_level_trains(
    make_augment, smooth_persons, monkeypatch
):
    """MSPN and RSN have weights (L, 1, K) for each sample."""
    batch = synthesized(make_augment(), 'plain', monkeypatch)
    expected, _ = batch.estimation_errors(None)
    for number, sample in enumerate(batch.samples):
        labels = sample.gt_instance_labels
        levels = labels.keypoint_weights[None].repeat(3, 1, 1)
        levels[:2] = 0
        if number == 0:
            levels[:] = 0
        labels.set_field(levels, 'keypoint_weights', dtype=None)
    errors, counted = batch.estimation_errors(None)
    assert counted.tolist() == [number > 0 for number in range(len(batch.plans))]
    assert len(counted) > 1
    torch.testing.assert_close(errors[1:], expected[1:])


def test_mixed_precision_does_not_blur_the_labels(make_augment, smooth_persons, monkeypatch):
    batch = synthesized(make_augment(), 'rotation', monkeypatch)
    # What joints of a large image would come to.
    batch.matrices[:, :, :2] *= 40
    expected, _ = batch.estimation_errors(None)
    with torch.autocast('cpu', torch.bfloat16):
        errors, _ = batch.estimation_errors(None)
    assert torch.equal(errors, expected)


def test_joints_that_are_not_trained_on_are_no_error():
    keypoints = torch.zeros(2, 3, 2)
    keypoints[:, 1] = torch.tensor([30.0, 40.0])
    found = keypoints.clone()
    found[0, 0, 0], found[0, 2, 0] = 5.0, 1000.0
    counted = torch.tensor([[True, True, False], [False] * 3])
    assert keypoint_errors(found, keypoints, counted).tolist() == pytest.approx([0.05, 0])
    counted[0, 2] = True
    # A joint at a loss counts no more than half of the diagonal.
    assert keypoint_errors(found, keypoints, counted)[0] == pytest.approx((0.1 + 0.5) / 3)


@pytest.mark.parametrize('reweight', [dict(bound=0.5), dict(interval=0)])
def test_settings_are_checked_when_the_config_is_read(reweight):
    with pytest.raises(ValueError, match='reweight: '):
        PG2Hook(reweight=reweight)
