import signal
import time
from multiprocessing import get_context

import cv2
import numpy as np
import pytest
import torch
from helpers import forget_runners
from mmengine.config import Config
from training_helpers import (
    STAGE1_ITERS,
    START_METHOD,
    TOTAL_ITERS,
    Interrupted,
    run_command,
    run_ranks,
    train_config,
)

from pg2aug.datasets import PersonPairDataset
from pg2aug.engine.training import apply_amp, build_runner


def load(path):
    return torch.load(path, map_location='cpu', weights_only=True)


def train(people, work_dir, **settings):
    """Train in this process, as if it had trained nothing yet, and return the last checkpoint."""
    forget_runners()
    runner = build_runner(train_config(people, work_dir, **settings))
    try:
        runner.train()
    finally:
        workers = runner.train_loop.dataloader_iterator._iterator
        if hasattr(workers, '_shutdown_workers'):
            # The garbage collector takes the workers' queues first and then waits 5 s for them.
            workers._shutdown_workers()
    return load(work_dir / f'iter_{TOTAL_ITERS}.pth')


def flatten(state, prefix=''):
    """Leaves of nested dicts and lists by path."""
    if isinstance(state, (dict, list, tuple)):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {k: v for key, item in items for k, v in flatten(item, f'{prefix}.{key}').items()}
    return {prefix: state}


def assert_same_training(checkpoint, expected):
    """Weights, buffers and optimiser state, bit for bit."""
    for part in ('state_dict', 'optimizer'):
        found, reference = flatten(checkpoint[part]), flatten(expected[part])
        assert found.keys() == reference.keys()
        for name, value in reference.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(found[name], value), f'{part}{name}'
            else:
                assert found[name] == value, f'{part}{name}'


@pytest.fixture(scope='module')
def uninterrupted(people, tmp_path_factory):
    """Work directory of a training through both stages that nothing disturbed."""
    work_dir = tmp_path_factory.mktemp('uninterrupted')
    train(people, work_dir, hooks=[dict(type='SaveRankHook')])
    return work_dir


@pytest.fixture(scope='module')
def expected(uninterrupted):
    return load(uninterrupted / f'iter_{TOTAL_ITERS}.pth')


def test_each_stage_trains_its_networks(uninterrupted):
    checkpoints = [load(uninterrupted / f'iter_{i}.pth')['state_dict'] for i in (2, 4, 6, 8)]
    first, middle, third, last = checkpoints

    def changed(before, after):
        return {name.split('.')[0] for name in before if not torch.equal(before[name], after[name])}

    assert changed(first, middle) == {'generator1'}
    assert changed(middle, third) == changed(third, last) == {'generator2', 'discriminator'}


def test_sheets_come_at_the_interval_and_at_the_end(uninterrupted):
    sheets = sorted(path.name for path in (uninterrupted / 'samples').iterdir())
    assert sheets == ['iter_3.png', 'iter_6.png', 'iter_8.png']
    images = [cv2.imread(str(uninterrupted / 'samples' / name)) for name in sheets]
    assert len({image.shape for image in images}) == 1
    height, width = images[0].shape[:2]
    assert height > 2 * 64
    assert width > 5 * 32
    assert not np.array_equal(images[0], images[2]), 'the generators have learnt between them'
    logged = sorted(path.name for path in uninterrupted.rglob('vis_image/*'))
    assert logged == ['samples_3.png', 'samples_6.png', 'samples_8.png']


def test_sheets_do_not_change_the_training(people, tmp_path, expected):
    assert_same_training(train(people, tmp_path / 'run', custom_hooks=[]), expected)


@pytest.mark.parametrize(('at', 'num_workers'), [(3, 0), (4, 0), (7, 0), (3, 1)])
def test_a_resumed_training_ends_with_the_same_bits(people, tmp_path, expected, at, num_workers):
    """Stopped in stage I, between the stages and in stage II, all with work to do again or none."""
    settings = dict(num_workers=num_workers)
    with pytest.raises(Interrupted):
        train(people, tmp_path / 'run', hooks=[dict(type='InterruptHook', at=at)], **settings)
    assert not (tmp_path / 'run' / f'iter_{TOTAL_ITERS}.pth').exists()
    resumed = train(people, tmp_path / 'run', resume=True, **settings)
    assert_same_training(resumed, expected)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'generator2': {'base_channels': 12}}, 'generator2 of the checkpoint has weights of'),
        (
            {'discriminator': {'scheme': 'triplet'}},
            'discriminator of the checkpoint has weights of',
        ),
        (
            {'generator1': {'num_blocks': 2}},
            r'generator1 of the checkpoint has \d+ weights and biases where here',
        ),
    ],
)
def test_another_model_cannot_be_resumed(people, tmp_path, uninterrupted, change, message):
    cfg = train_config(people, tmp_path / 'run', resume=True)
    cfg.merge_from_dict({'model': change, 'load_from': str(uninterrupted / 'iter_6.pth')})
    forget_runners()
    with pytest.raises(ValueError, match=message):
        build_runner(cfg).train()


def test_settings_that_changed_hold_in_a_resumed_training(people, tmp_path, uninterrupted):
    cfg = train_config(people, tmp_path / 'run', resume=True)
    changes = {'generator2': {'optimizer': {'lr': 1e-6}}, 'optimizer': {'betas': (0.4, 0.99)}}
    cfg.merge_from_dict({'optim_wrapper': changes, 'load_from': str(uninterrupted / 'iter_4.pth')})
    forget_runners()
    build_runner(cfg).train()
    states = load(tmp_path / 'run' / f'iter_{TOTAL_ITERS}.pth')['optimizer']
    before = load(uninterrupted / f'iter_{TOTAL_ITERS}.pth')['optimizer']
    for name, state in states.items():
        (group,), (old,) = state['param_groups'], before[name]['param_groups']
        assert group['lr'] == (1e-6 if name == 'generator2' else old['lr'])
        assert tuple(group['betas']) == (0.4, 0.99)


def test_what_a_schedule_has_set_is_not_undone(people, tmp_path, uninterrupted):
    scheduler = dict(type='ConstantLR', factor=0.1, begin=0, end=100, by_epoch=False)
    networks = ('generator1', 'generator2', 'discriminator')
    settings = dict(param_scheduler={name: [scheduler] for name in networks})
    lengths = [dict(stage2_iters=2), dict(resume=True)]
    for length in lengths:
        cfg = train_config(people, tmp_path / 'run')
        cfg.merge_from_dict({**settings, **length})
        forget_runners()
        build_runner(cfg).train()
    states = load(tmp_path / 'run' / f'iter_{TOTAL_ITERS}.pth')['optimizer']
    before = load(uninterrupted / f'iter_{TOTAL_ITERS}.pth')['optimizer']
    for name, state in states.items():
        assert state['param_groups'][0]['lr'] == pytest.approx(
            0.1 * before[name]['param_groups'][0]['lr']
        )


def test_a_resumed_training_does_not_load_old_batches(people, tmp_path, monkeypatch):
    with pytest.raises(Interrupted):
        train(people, tmp_path / 'run', hooks=[dict(type='InterruptHook', at=7)])
    loaded = []
    load_item = PersonPairDataset.__getitem__
    monkeypatch.setattr(
        PersonPairDataset, '__getitem__', lambda self, i: loaded.append(i) or load_item(self, i)
    )
    train(people, tmp_path / 'run', resume=True, custom_hooks=[])
    resumed_at = max(i for i in range(1, 8) if (tmp_path / 'run' / f'iter_{i}.pth').exists())
    assert len(loaded) == 2 * (TOTAL_ITERS - resumed_at)  # pairs of a batch, batches left


def test_a_killed_training_resumes_with_the_same_bits(people, tmp_path, expected):
    work_dir = tmp_path / 'run'
    hooks = [dict(type='InterruptHook', at=STAGE1_ITERS + 3, wait=True)]
    cfg = train_config(people, work_dir, num_workers=1, hooks=hooks)
    cfg.dump(tmp_path / 'killed.py')
    process = get_context(START_METHOD).Process(
        target=run_command, args=('train', str(tmp_path / 'killed.py'))
    )
    process.start()
    deadline = time.monotonic() + 300
    while process.is_alive() and time.monotonic() < deadline:
        if (work_dir / 'waiting').exists():
            break
        time.sleep(0.1)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (work_dir / 'waiting').exists()
    assert not (work_dir / f'iter_{TOTAL_ITERS}.pth').exists()
    assert_same_training(train(people, work_dir, resume=True, num_workers=1), expected)


def test_two_processes_train_as_one(people, tmp_path):
    """In torchrun's environment, gloo and both stages, with sheets by the first process alone."""
    hooks = [dict(type='SaveRankHook')]
    work_dir = tmp_path / 'distributed'
    train_config(people, work_dir, hooks=hooks).dump(tmp_path / 'config.py')
    run_ranks(run_command, 'train', str(tmp_path / 'config.py'), '--launcher', 'pytorch')
    ranks = [load(work_dir / f'rank{rank}.pth') for rank in range(2)]
    for name, value in ranks[0]['weights'].items():
        assert torch.equal(value, ranks[1]['weights'][name]), name
    assert ranks[0]['losses'] != ranks[1]['losses'], 'both processes saw the same batches'
    sheets = sorted(path.name for path in (work_dir / 'samples').iterdir())
    assert sheets == ['iter_3.png', 'iter_6.png', 'iter_8.png']

    # Batch norm sees half batches in stage II; G1 has none: one process with whole batches agrees.
    whole = build_runner(train_config(people, tmp_path / 'single', batch_size=4, hooks=hooks))
    whole.train()
    losses = load(tmp_path / 'single/rank0.pth')['losses']
    for each, together in zip(
        zip(*(rank['losses'] for rank in ranks), strict=True), losses, strict=True
    ):
        mean = sum(loss['loss_g1'] for loss in each) / 2
        assert mean == pytest.approx(together['loss_g1'], rel=1e-4)


def test_bfloat16_trains_both_stages(people, tmp_path, uninterrupted):
    cfg = train_config(people, tmp_path / 'run', hooks=[dict(type='SaveRankHook')])
    apply_amp(cfg, 'bfloat16')
    build_runner(cfg).train()
    found = load(tmp_path / 'run/rank0.pth')
    full = load(uninterrupted / 'rank0.pth')
    assert {value.dtype for value in found['weights'].values()} == {torch.float32}
    for low, high in zip(found['losses'], full['losses'], strict=True):
        assert low.keys() == high.keys()
        assert low == pytest.approx(high, rel=0.1)
        assert low != high


def test_apply_amp_reaches_every_optimiser(people, tmp_path):
    cfg = train_config(people, tmp_path / 'run')
    apply_amp(cfg, 'bfloat16')
    runner = build_runner(cfg)
    wrappers = runner.build_optim_wrapper(cfg.optim_wrapper)
    names = {name: type(wrapper).__name__ for name, wrapper in wrappers.items()}
    networks = ('generator1', 'generator2', 'discriminator')
    assert names == dict.fromkeys(networks, 'AutocastOptimWrapper')


@pytest.mark.skipif(torch.cuda.is_available(), reason='float16 is allowed on a GPU')
def test_float16_without_a_gpu_is_refused():
    with pytest.raises(ValueError, match=r'float16 needs a CUDA device.*bfloat16'):
        apply_amp(Config(dict(optim_wrapper=dict(type='OptimWrapper'))), 'float16')


def test_float16_has_loss_scaling(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper')))
    apply_amp(cfg, 'float16')
    assert cfg.optim_wrapper.to_dict() == dict(type='AmpOptimWrapper', dtype='float16')


def test_another_precision_is_refused():
    with pytest.raises(ValueError, match='float8'):
        apply_amp(Config(dict(optim_wrapper=dict(type='OptimWrapper'))), 'float8')


@pytest.mark.parametrize('key', ['stage1_iters', 'stage2_iters'])
@pytest.mark.parametrize('value', [None, -1, 2.5])
def test_a_schedule_that_makes_no_sense_is_refused(people, tmp_path, key, value):
    cfg = train_config(people, tmp_path / 'run')
    cfg[key] = value
    with pytest.raises(ValueError, match=rf'{key}.*{value}'):
        build_runner(cfg)


def test_the_schedule_reaches_model_and_loop(people, tmp_path):
    cfg = train_config(people, tmp_path / 'run', stage1_iters=5, stage2_iters=6)
    runner = build_runner(cfg)
    assert runner.model.stage1_iters == 5
    assert runner.max_iters == 11


@pytest.mark.skipif(torch.cuda.is_available(), reason='other launchers are allowed on a GPU')
def test_a_launcher_that_needs_a_gpu_is_refused_without_one(people, tmp_path):
    cfg = train_config(people, tmp_path / 'run', launcher='slurm')
    with pytest.raises(ValueError, match=r"'slurm' needs a GPU.*torchrun"):
        build_runner(cfg)
