import copy

import pytest
import torch
from augment_world import METAINFO
from colour_estimator import build_model, spread_keypoints, synthesis_of
from helpers import same_weights, weights
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from pose_training import pose_config, train_steps

from pg2aug.augment import AppearanceCheck, EstimatorCheck
from pg2aug.registry import MODELS


@pytest.fixture
def at_iteration():
    hub = MessageHub.get_current_instance()

    def at(number):
        hub.update_info('iter', number)

    at(0)
    return at


@pytest.fixture
def swapped():
    """Two persons; of the first two joints were painted in each other's place."""
    keypoints = spread_keypoints()
    painted = keypoints.clone()
    painted[0, [3, 9]] = keypoints[0, [9, 3]]
    return synthesis_of(keypoints, painted)


def attached(model, average=None, **settings):
    check = EstimatorCheck(**{**dict(begin=0, min_oks=0.0), **settings})
    check.attach(model, average, METAINFO, 100)
    return check


def test_the_model_in_training_judges(swapped, at_iteration):
    passed = attached(build_model().train())(swapped)
    assert not passed[0, [3, 9]].any()
    assert passed.sum() == 32


def test_the_model_is_left_as_it_was(swapped, at_iteration):
    model = build_model().train()
    model.head.eval()  # as a frozen part would be
    before, modes = weights(model), [m.training for m in model.modules()]
    with torch.inference_mode():
        attached(model)(swapped)
    assert same_weights(weights(model), before)
    assert [m.training for m in model.modules()] == modes
    assert model.backbone.scale.grad is None
    # The same batch in training mode would have changed the statistics.
    model.extract_feat(torch.rand(2, 3, 64, 48))
    assert not same_weights(weights(model), before)


def test_the_modes_are_restored_after_an_error(swapped, at_iteration):
    model = build_model().train()
    check = attached(model)
    model.head.predict = None
    with pytest.raises(TypeError):
        check(swapped)
    assert model.training
    assert model.backbone.norm.training


def test_what_the_model_caches_can_be_trained_on(swapped, at_iteration):
    model = build_model().train()
    with torch.inference_mode():
        attached(model)(swapped)
    assert model.backbone.lazy is not None
    model.extract_feat(torch.rand(1, 3, 64, 48))[-1].sum().backward()
    assert model.backbone.scale.grad is not None


def test_it_judges_in_32_bits_whatever_the_training_does(swapped, at_iteration):
    model = build_model().train()
    seen = []
    predict = model.head.predict

    def spy(*args, **settings):
        seen.append(torch.is_autocast_enabled('cpu'))
        return predict(*args, **settings)

    model.head.predict = spy
    with torch.autocast('cpu', torch.bfloat16):
        assert attached(model)(swapped).sum() == 32
    assert seen == [False]


@pytest.mark.parametrize(('ema', 'found'), [(True, 34), (False, 0)])
def test_the_average_judges_where_there_is_one(at_iteration, ema, found):
    model = build_model()
    average = copy.deepcopy(model)
    # What does not see any joint puts all of them into one corner.
    model.backbone.scale.data.zero_()
    check = attached(model, average, ema=ema, max_distance=0.05)
    assert check(synthesis_of(spread_keypoints())).sum() == found


def test_until_begin_another_check_judges(swapped, at_iteration):
    check = attached(build_model(), begin=10, before=dict(type='AppearanceCheck'))
    at_iteration(9)
    assert torch.equal(check(swapped), AppearanceCheck()(swapped))
    assert check(swapped)[0, [3, 9]].all()
    at_iteration(10)
    assert not check(swapped)[0, [3, 9]].any()


def test_until_begin_everything_passes_without_another_check(swapped, at_iteration):
    check = attached(build_model(), begin=10, before=None)
    swapped.visible[0, 0] = 0
    assert torch.equal(check(swapped), swapped.visible > 0)


def test_without_the_hook_it_says_what_to_add(swapped):
    check = MODELS.build(dict(type='EstimatorCheck', begin=0, _scope_='pg2aug'))
    with pytest.raises(ValueError, match=r'add custom_hooks=.*PG2Hook.*or use PoseModelCheck'):
        check(swapped)


def test_a_data_set_without_sigmas():
    metainfo = {key: value for key, value in METAINFO.items() if key != 'sigmas'}
    with pytest.raises(ValueError, match='metainfo of the train dataset has no sigmas'):
        EstimatorCheck(begin=0).attach(build_model(), None, metainfo, 100)


def test_begin_out_of_range():
    with pytest.raises(ValueError, match='begin must be an iteration, 0 or more, got -1'):
        EstimatorCheck(begin=-1)


def test_a_training_that_ends_before_it_would_judge(generator, pose_bank, people, tmp_path):
    augment = dict(type='pg2aug.PG2Augment', generator=generator, pose_bank=pose_bank, prob=1)
    augment['check'] = dict(type='EstimatorCheck', begin=8)
    dataset = dict(people, pipeline=train_steps(augment))
    hooks = [dict(type='pg2aug.PG2Hook')]
    # Two epochs of four iterations.
    runner = Runner.from_cfg(pose_config(tmp_path / 'pose', dataset, None, hooks))
    with pytest.raises(ValueError, match=r'begin=8\) would never judge in 8 iterations: lower'):
        runner.train()


@pytest.mark.parametrize('ema', [True, False])
def test_in_a_training(generator, pose_bank, smooth_persons, people, tmp_path, monkeypatch, ema):
    augment = dict(type='pg2aug.PG2Augment', generator=generator, pose_bank=pose_bank, prob=1)
    augment['check'] = dict(type='EstimatorCheck', begin=4, before=None)
    dataset = dict(people, pipeline=train_steps(augment))
    hooks = [dict(type='pg2aug.PG2Hook', interval=1), *([dict(type='EMAHook')] if ema else [])]
    runner = Runner.from_cfg(pose_config(tmp_path / 'pose', dataset, None, hooks))
    judges = []
    judge = EstimatorCheck.judge
    monkeypatch.setattr(
        EstimatorCheck,
        'judge',
        lambda self, model, synthesis: judges.append(model) or judge(self, model, synthesis),
    )
    runner.train()
    persons, _ = runner.message_hub.log_scalars['train/pg2/persons'].data
    # Two epochs of four iterations; an estimator that has learnt nothing refuses.
    assert persons[:4].tolist() == [1] * 4
    assert persons[4:].max() < 0.5
    assert len(judges) == 4
    assert all((model is runner.model) != ema for model in judges)
    assert runner.model.training
