import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from augment_world import SKELETON, as_images
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from pose_training import MEAN, STD, Spy, pose_config, train_steps

from pg2aug.augment.placement import find_augments

HOOK = dict(type='pg2aug.PG2Hook', interval=1)


@pytest.fixture
def augment(generator, pose_bank, smooth_persons):
    return dict(
        type='pg2aug.PG2Augment', generator=generator, pose_bank=pose_bank, prob=1, check=None
    )


def run(cfg):
    runner = Runner.from_cfg(cfg)
    spy = Spy.on(runner)
    runner.train()
    iterator = runner.train_dataloader._iterator
    if iterator is not None:
        # Persistent workers take seconds to stop when they are left to the garbage collector.
        iterator._shutdown_workers()
    return runner, spy


def with_pipeline(people, *augments, **settings):
    return dict(people, pipeline=train_steps(*augments, **settings))


def normalized(images):
    """What the preprocessor makes of BGR images (B, 3, H, W)."""
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    return (images.flip(1).float() - mean) / std


def replaced(spy):
    """For each sample of a training, whether the network saw other pixels than were loaded."""
    pairs = zip(spy.loaded, spy.inputs, strict=True)
    changes = [(normalized(a) - b).abs().amax(dim=(1, 2, 3)) for a, b in pairs]
    return torch.cat(changes) > 0.1


def sides(spy, preprocessor):
    """Red less green of the pixel under each labelled sided joint; 1 where it has to be red.

    The smooth generator draws left joints red and right ones green; a mirrored image swaps them.
    """
    found, expected = [], []
    flip = SKELETON.flip_indices
    for inputs, samples in zip(spy.inputs, spy.samples, strict=True):
        for image, sample in zip(as_images(inputs, preprocessor), samples, strict=True):
            weights = sample.gt_instance_labels.keypoint_weights[0]
            for k, heatmap in enumerate(sample.gt_fields.heatmaps):
                if weights[k] > 0 and flip[k] != k and heatmap.max() > 0.8:
                    y, x = divmod(int(heatmap.argmax()), heatmap.shape[1])
                    found.append(image[2, y, x] - image[1, y, x])
                    expected.append((k < flip[k]) != sample.flip)
    return torch.stack(found), torch.tensor(expected)


@pytest.mark.parametrize(('by_epoch', 'workers'), [(True, 2), (False, 2), (True, 0)])
def test_the_network_sees_the_persons_of_its_labels(augment, people, tmp_path, by_epoch, workers):
    dataset = with_pipeline(people, augment)
    runner, spy = run(
        pose_config(tmp_path / 'pose', dataset, None, [HOOK], workers, by_epoch=by_epoch)
    )
    changed = replaced(spy)
    assert len(changed) == (32 if by_epoch else 16)
    # Most people of the data can be given another pose; the others are as they are.
    assert changed.float().mean() > 0.6
    flips = [sample.flip for samples in spy.samples for sample in samples]
    assert 0 < sum(flips) < len(flips)
    for batches in (spy.inputs, spy.samples):
        for i, batch in enumerate(batches):
            kept = changed[4 * i : 4 * i + 4]
            batches[i] = [item for item, keep in zip(batch, kept, strict=True) if keep]
    spy.inputs[:] = [torch.stack(batch) if batch else torch.zeros(0) for batch in spy.inputs]
    found, red = sides(spy, runner.model.data_preprocessor)
    assert len(red) > 100
    # Where left and right joints are close to each other, the later one's colour may win.
    assert ((found > 0) == red).float().mean() > 0.85
    assert found[red].mean() > 40
    assert found[~red].mean() < -40


def test_samples_that_are_not_replaced_reach_the_network_as_they_were(augment, people, tmp_path):
    dataset = with_pipeline(people, dict(augment, prob=0))
    _, spy = run(pose_config(tmp_path / 'pose', dataset, None, [HOOK]))
    assert all(
        torch.equal(normalized(loaded), inputs)
        for loaded, inputs in zip(spy.loaded, spy.inputs, strict=True)
    )


def test_extra_samples_through_combined_dataset(augment, people, tmp_path):
    dataset = dict(
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=[with_pipeline(people), with_pipeline(people, augment)],
        pipeline=[],
    )
    _, spy = run(pose_config(tmp_path / 'pose', dataset, None, [HOOK], num_workers=2))
    changed = replaced(spy)
    assert len(changed) == 64
    # One half plain, of the other half most.
    assert 0.3 < changed.float().mean() <= 0.5


def test_a_pipeline_of_the_combined_dataset_itself(augment, people, tmp_path):
    dataset = dict(
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=[dict(people, pipeline=[]), dict(people, pipeline=[])],
        pipeline=train_steps(augment),
    )
    _, spy = run(pose_config(tmp_path / 'pose', dataset, None, [HOOK]))
    assert replaced(spy).float().mean() > 0.6


@pytest.mark.parametrize('wrapper', ['RepeatDataset', 'ConcatDataset'])
def test_through_mmengines_wrappers(augment, people, tmp_path, wrapper):
    inner = with_pipeline(people, augment)
    arguments = dict(datasets=[inner, inner])
    if wrapper == 'RepeatDataset':
        arguments = dict(dataset=inner, times=2)
    dataset = dict(type=wrapper, _scope_='mmengine', **arguments)
    inner['_scope_'] = 'mmpose'
    _, spy = run(pose_config(tmp_path / 'pose', dataset, None, [HOOK], by_epoch=False))
    changed = replaced(spy)
    assert len(changed) == 16
    assert changed.float().mean() > 0.6


def test_nothing_of_pg2_is_part_of_the_pose_model(augment, people, tmp_path):
    ema = dict(type='EMAHook')
    states = {}
    for name, augments, hooks in (('with', [augment], [HOOK, ema]), ('without', [], [ema])):
        dataset = with_pipeline(people, *augments)
        runner, _ = run(pose_config(tmp_path / name, dataset, None, hooks))
        file = torch.load(tmp_path / name / 'epoch_2.pth')
        states[name] = dict(
            model={key: value.shape for key, value in file['state_dict'].items()},
            ema={key: value.shape for key, value in file['ema_state_dict'].items()},
            optimizer=sum(len(group['params']) for group in file['optimizer']['param_groups']),
            modules=[key for key, _ in runner.model.named_modules()],
        )
    assert states['with'] == states['without']
    assert len(states['with']['model']) == 4
    assert states['with']['optimizer'] == 4


def test_validation_is_untouched(augment, people, tmp_path):
    # A validation that by mistake goes through the train pipeline, too, has to be seen as it is.
    steps = [step for step in train_steps() if step['type'] not in ('RandomFlip', 'GenerateTarget')]
    dataset, val_dataset = with_pipeline(people, augment), dict(people, pipeline=steps)
    val_dataset['test_mode'] = True
    _, spy = run(pose_config(tmp_path / 'pose', dataset, val_dataset, [HOOK]))
    assert len(spy.validated) == 8
    assert all(torch.equal(normalized(raw), inputs) for raw, inputs in spy.validated)
    assert replaced(spy).any()


@pytest.mark.parametrize(
    ('hooks', 'where'),
    # With the hook before anything runs.
    [([HOOK], 'pipeline of val_dataloader'), ([], 'pipeline of a data set with test_mode=True')],
)
def test_pg2augment_in_the_validation_is_refused(augment, people, tmp_path, hooks, where):
    val_dataset = dict(with_pipeline(people, augment), test_mode=True)
    config = pose_config(tmp_path / 'pose', with_pipeline(people, augment), val_dataset, hooks)
    with pytest.raises(ValueError, match=rf'PG2Augment stands in the {where}'):
        run(config)


def test_refused_joints_do_not_count_in_the_loss(augment, people, tmp_path):
    check = dict(type='RefuseJoints', joints=[0, 5, 16])
    dataset = with_pipeline(people, dict(augment, check=check), flip=0.0)
    _, spy = run(pose_config(tmp_path / 'pose', dataset, None, [HOOK]))
    weights = torch.cat([s.gt_instance_labels.keypoint_weights for b in spy.samples for s in b])
    weights = weights[replaced(spy)]
    assert len(weights) > 10
    assert (weights[:, [0, 5, 16]] == 0).all()
    assert weights.mean() > 0.6


def test_refused_persons_are_neither_seen_nor_learnt(augment, people, tmp_path):
    check = dict(type='RefuseJoints', joints=list(range(17)))
    dataset = with_pipeline(people, dict(augment, check=check))
    _, spy = run(pose_config(tmp_path / 'pose', dataset, None, [HOOK]))
    assert not replaced(spy).any()
    weights = torch.cat([s.gt_instance_labels.keypoint_weights for b in spy.samples for s in b])
    assert (weights.sum(dim=1) == 0).float().mean() > 0.6


@pytest.mark.parametrize(
    ('check', 'persons', 'joints'),
    [
        (None, 1.0, 1.0),
        (dict(type='RefuseJoints', joints=list(range(17))), 0.0, 0.0),
        (dict(type='RefuseJoints', joints=[5, 6]), 1.0, 15 / 17),
    ],
)
def test_the_accepted_shares_are_logged(augment, people, tmp_path, check, persons, joints):
    dataset = with_pipeline(people, dict(augment, check=check))
    run(pose_config(tmp_path / 'pose', dataset, None, [HOOK]))
    scalars = MessageHub.get_current_instance().log_scalars
    for name, expected in (('persons', persons), ('joints', joints)):
        values, _ = scalars[f'train/pg2/{name}'].data
        assert len(values) == 8
        assert np.mean(values) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize('workers', [0, 2])
def test_persons_that_cannot_be_replaced_are_counted(augment, people, tmp_path, workers):
    path = Path(people['data_root'], people['ann_file'])
    content = json.loads(path.read_text())
    for annotation in content['annotations'][::2]:
        # An ankle without a label: the lower leg could not be removed.
        annotation['keypoints'][45:48] = [0, 0, 0]
    (tmp_path / 'ankles.json').write_text(json.dumps(content))
    dataset = with_pipeline(dict(people, ann_file=str(tmp_path / 'ankles.json')), augment)
    # Logged once: workers decide ahead of the iterations.
    cfg = pose_config(tmp_path / 'pose', dataset, None, [dict(HOOK, interval=8)])
    cfg.train_dataloader.update(num_workers=workers, persistent_workers=workers > 0)
    run(cfg)
    (value,), _ = MessageHub.get_current_instance().log_scalars['train/pg2/suitable'].data
    # Two that count at the same time may count one.
    assert value == pytest.approx(0.5, abs=0.1 if workers else 0)


@pytest.mark.parametrize(('number', 'warned'), [(7, True), (3, False)])
def test_a_warning_where_the_check_refuses_four_fifths_of_fifty_persons(
    augment, people, tmp_path, number, warned
):
    check = dict(type='AcceptEvery', number=number)
    dataset = with_pipeline(people, dict(augment, check=check))
    cfg = pose_config(tmp_path / 'pose', dataset, None, [HOOK])
    cfg.train_cfg.max_epochs = 4
    runner, _ = run(cfg)
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    told = re.search(r'the label check accepted (\d+) of the last (\d+)', log)
    assert bool(told) == warned
    if told:
        accepted, seen = map(int, told.groups())
        assert accepted == seen // number
        assert 50 <= seen < 54


def test_the_hook_lets_go_of_the_model_after_training(augment, people, tmp_path):
    runner, spy = run(pose_config(tmp_path / 'pose', with_pipeline(people, augment), None, [HOOK]))
    assert spy.hooked == [True] * 8
    assert not runner.model.data_preprocessor._forward_hooks


def test_the_dataset_synthesises_by_itself_again_after_training(augment, people, tmp_path):
    dataset = with_pipeline(people, augment)
    runner, _ = run(pose_config(tmp_path / 'pose', dataset, None, [HOOK]))
    dataset = runner.train_dataloader.dataset
    output = runner.model.data_preprocessor(pseudo_collate([dataset[i] for i in range(4)]))
    instances = [sample.gt_instances for sample in output['data_samples']]
    assert not any('pg2_plan' in instance for instance in instances)
    assert not any(placement.augment.deferred for placement in find_augments(dataset))


@pytest.mark.parametrize('augmented', [True, False])
def test_a_pipeline_that_is_switched_to_does_what_stands_in_it(
    augment, people, tmp_path, augmented
):
    steps = train_steps(augment) if augmented else train_steps()
    switch = dict(type='mmdet.PipelineSwitchHook', switch_epoch=1, switch_pipeline=steps)
    dataset = with_pipeline(people, augment)
    runner, spy = run(pose_config(tmp_path / 'pose', dataset, None, [HOOK, switch]))
    batches = replaced(spy).reshape(8, -1)
    assert batches[:4].any()
    assert batches[4:].any() == augmented
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert (
        'the pipeline to which PipelineSwitchHook switches has no PG2Augment' in log
    ) != augmented
    # What is not measured any more is not logged any more.
    assert ('train/pg2/persons' in MessageHub.get_current_instance().log_scalars) == augmented


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(min_joints_ok=0.5), 'share one synthesizer, but min_joints_ok differs'),
        (dict(pose_bank='typo.npz'), 'typo'),
        (None, "must stand right after dict\\(type='LoadImage'\\)"),
    ],
)
def test_mistakes_in_a_pipeline_to_come_are_told_at_once(
    augment, people, tmp_path, change, message
):
    steps = train_steps(*([dict(augment, **change)] if change else []))
    if change is None:
        steps.insert(3, augment)
    switch = dict(type='mmdet.PipelineSwitchHook', switch_epoch=1, switch_pipeline=steps)
    cfg = pose_config(tmp_path / 'pose', with_pipeline(people, augment), None, [HOOK, switch])
    runner = Runner.from_cfg(cfg)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        runner.train()
    assert runner.iter == 0


def test_without_the_hook_the_transform_is_complete(augment, people, tmp_path):
    dataset = with_pipeline(people, dict(augment, device='cpu'))
    runner, spy = run(pose_config(tmp_path / 'pose', dataset, None, [], num_workers=1))
    # The pipeline itself gives what the network sees.
    assert not replaced(spy).any()
    found, red = sides(spy, runner.model.data_preprocessor)
    assert ((found > 0) == red).float().mean() > 0.65


def logged(name):
    return MessageHub.get_current_instance().log_scalars[f'train/pg2/{name}'].data[0]


def test_the_accepted_shares_are_logged_by_joint_and_by_rarity(augment, people, tmp_path):
    check = dict(type='RefuseJoints', joints=[5, 6])
    dataset = with_pipeline(people, dict(augment, check=check))
    run(pose_config(tmp_path / 'pose', dataset, None, [dict(HOOK, interval=8)]))
    assert (logged('accepted_left_shoulder') == 0).all()
    assert (logged('accepted_nose') == 1).all()
    scalars = MessageHub.get_current_instance().log_scalars
    deciles = [name for name in scalars if name.startswith('train/pg2/accepted_decile_')]
    # The bank is small: some tenths hold no pose.
    assert 5 <= len(deciles) <= 10
    assert all((scalars[name].data[0] == 1).all() for name in deciles)


def test_of_two_banks_no_deciles_are_logged(augment, people, tmp_path):
    other = Path(augment['pose_bank']).with_name('other.npz')
    other.write_bytes(Path(augment['pose_bank']).read_bytes())
    datasets = [with_pipeline(people, a) for a in (augment, dict(augment, pose_bank=str(other)))]
    dataset = dict(type='ConcatDataset', _scope_='mmengine', datasets=datasets)
    for inner in datasets:
        inner['_scope_'] = 'mmpose'
    run(pose_config(tmp_path / 'pose', dataset, None, [HOOK], by_epoch=False))
    scalars = MessageHub.get_current_instance().log_scalars
    assert 'train/pg2/accepted_nose' in scalars
    assert not any('decile' in name for name in scalars)


@pytest.mark.slow
def test_a_compiled_train_step_leaves_synthesis_alone(augment, people, tmp_path, monkeypatch):
    traced = []
    # MMPose copies arrays of a sample's metainfo, which the compiler cannot as tensors.
    monkeypatch.setattr(torch._dynamo.config, 'trace_numpy', False)

    def record(module, inputs):
        traced.extend(str(node.meta.get('stack_trace')) for node in module.graph.nodes)
        return module

    torch._dynamo.reset()
    torch._dynamo.register_backend(record, name='record_for_pg2')
    dataset = with_pipeline(people, augment)
    cfg = pose_config(tmp_path / 'pose', dataset, None, [HOOK], by_epoch=False)
    cfg.compile = dict(backend='record_for_pg2')
    cfg.train_cfg.max_iters = 1
    _, spy = run(cfg)
    assert replaced(spy).any()
    assert any('keypoint' in trace for trace in traced)  # the loss was compiled
    assert not any('pg2aug' in trace for trace in traced)


def test_pg2_augment_still_compiles_its_networks(
    generator, pose_bank, people, tmp_path, monkeypatch
):
    """Whatever is kept from a compiler around it."""
    compiled = []

    def record(module, inputs):
        compiled.append(module)
        return module

    compile_module = torch.compile
    torch._dynamo.reset()
    monkeypatch.setattr(
        torch, 'compile', lambda f, **options: compile_module(f, **options | {'backend': record})
    )
    augment = dict(type='pg2aug.PG2Augment', generator=generator, pose_bank=pose_bank, prob=1)
    dataset = with_pipeline(people, dict(augment, compile=True))
    cfg = pose_config(tmp_path / 'pose', dataset, None, [HOOK], by_epoch=False)
    cfg.train_cfg.max_iters = 1
    run(cfg)
    assert compiled


def test_what_is_logged_ends_where_a_training_is_resumed_without_pg2(augment, people, tmp_path):
    run(pose_config(tmp_path / 'pose', with_pipeline(people, augment), None, [HOOK]))
    for dataset, hooks in ((with_pipeline(people), []), (with_pipeline(people, augment), [HOOK])):
        cfg = pose_config(tmp_path / 'pose', dataset, None, hooks)
        cfg.update(resume=True, experiment_name=f'resumed{len(hooks)}')
        cfg.train_cfg.max_epochs = 4
        cfg.default_hooks.checkpoint.update(interval=9, save_last=False)
        run(cfg)
        scalars = MessageHub.get_current_instance().log_scalars
        # The loss goes on from what the checkpoint holds; what PG2Hook logs is of its own.
        assert len(scalars['train/loss'].data[0]) == 16
        logged_by_pg2 = [name for name in scalars if name.startswith('train/pg2/')]
        assert bool(logged_by_pg2) == bool(hooks)
        assert all(len(scalars[name].data[0]) <= 8 for name in logged_by_pg2)


def test_what_begins_inside_a_combined_dataset_may_end_around_it(augment, people, tmp_path):
    load, pg2, *rest = train_steps(augment)
    inner = [dict(people, pipeline=[load, *steps]) for steps in ([], [pg2])]
    dataset = dict(
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=inner,
        pipeline=rest,
    )
    runner, spy = run(pose_config(tmp_path / 'pose', dataset, None, [HOOK]))
    assert 0.3 < replaced(spy).float().mean() <= 0.5
    kept = replaced(spy).split(4)
    spy.inputs[:] = [x[keep] for x, keep in zip(spy.inputs, kept, strict=True)]
    spy.samples[:] = [
        [s for s, keep in zip(samples, mask, strict=True) if keep]
        for samples, mask in zip(spy.samples, kept, strict=True)
    ]
    found, red = sides(spy, runner.model.data_preprocessor)
    assert ((found > 0) == red).float().mean() > 0.85


def test_a_pipeline_switched_around_a_pg2_augment_goes_on_with_it(augment, people, tmp_path):
    load, pg2, *rest = train_steps(augment)
    dataset = dict(
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=[dict(people, pipeline=[load, pg2])],
        pipeline=rest,
    )
    switch = dict(type='mmdet.PipelineSwitchHook', switch_epoch=1, switch_pipeline=rest)
    runner, spy = run(pose_config(tmp_path / 'pose', dataset, None, [HOOK, switch]))
    assert replaced(spy).reshape(8, -1)[4:].any()
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert 'has no PG2Augment' not in log
