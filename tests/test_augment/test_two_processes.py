"""PG2Augment and PG2Hook in a pose training that two processes share.

Without workers, where MMEngine seeds both processes alike; it seeds workers differently.
"""

import functools

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from pose_training import pose_config, train_steps
from training_helpers import run_ranks

from pg2aug.augment import PG2Hook, Synthesizer

COLLECTIVES = ('all_reduce', 'all_gather', 'all_gather_object', 'broadcast', 'reduce', 'barrier')
COLLECTIVES += ('broadcast_object_list', 'gather_object', 'reduce_scatter', 'all_to_all')


def sent_by_training(cfg):
    """Train; calls of collectives by name, and the sizes of what DDP has all-reduced by itself."""
    sent = []

    def counted(name, call, *args, **kwargs):
        sent.append(name)
        return call(*args, **kwargs)

    def all_reduce(_, bucket):
        sent.append(bucket.buffer().numel())
        return (
            torch.distributed.all_reduce(bucket.buffer(), async_op=True)
            .get_future()
            .then(lambda future: future.value()[0] / 2)
        )

    calls = {name: getattr(torch.distributed, name) for name in COLLECTIVES}
    runner = Runner.from_cfg(cfg)
    runner.model.register_comm_hook(None, all_reduce)
    for name, call in calls.items():
        setattr(torch.distributed, name, functools.partial(counted, name, call))
    runner.train()
    for name, call in calls.items():
        setattr(torch.distributed, name, call)
    return runner, sent


def train_rank(folder, dataset, plain_dataset):
    """Train with PG2 and without it, and save what a process saw of it."""
    torch.distributed.init_process_group('gloo')
    drawn, weights, synthesize, serve = [], {}, Synthesizer.__call__, PG2Hook.before_train

    def record(self, images, plans, matrices):
        drawn.extend(int(index) for plan in plans for index in plan.pose_index)
        return synthesize(self, images, plans, matrices)

    def remember(self, runner):
        serve(self, runner)
        state = self.synthesizer.model.state_dict()
        weights['before'] = {name: value.clone() for name, value in state.items()}
        weights['after'] = state

    Synthesizer.__call__, PG2Hook.before_train = record, remember
    found = {}
    for name, data, hooks in (
        ('with', dataset, ['pg2aug.PG2Hook']),
        ('without', plain_dataset, []),
    ):
        hooks = [dict(type=hook, interval=1) for hook in hooks]
        cfg = pose_config(folder / name, data, None, hooks)
        cfg.launcher, cfg.model_wrapper_cfg = (
            'pytorch',
            dict(type='MMDistributedDataParallel', device_ids=None),
        )
        runner, found[f'sent {name}'] = sent_by_training(cfg)
        found[f'parameters {name}'] = {n: p.detach() for n, p in runner.model.named_parameters()}
    found.update(drawn=drawn, **weights)
    torch.save(found, folder / f'rank{torch.distributed.get_rank()}.pth')
    return 0


@pytest.mark.skipif(torch.cuda.is_available(), reason='two processes would share one GPU')
def test_processes_draw_poses_of_their_own_and_exchange_nothing_of_pg2(
    generator, pose_bank, people, tmp_path
):
    augment = dict(
        type='pg2aug.PG2Augment', generator=generator, pose_bank=pose_bank, prob=1, check=None
    )
    datasets = [dict(people, pipeline=train_steps(*steps)) for steps in ([augment], [])]
    run_ranks(train_rank, tmp_path, *datasets)
    ranks = [torch.load(tmp_path / f'rank{rank}.pth') for rank in range(2)]
    first, second = ranks
    assert len(first['drawn']) > 8
    assert first['drawn'] != second['drawn']
    common = min(len(rank['drawn']) for rank in ranks)
    same = np.equal(first['drawn'][:common], second['drawn'][:common])
    assert same.mean() < 0.5, 'the processes draw the same poses'
    for rank in ranks:
        # The pose model's gradients, as without PG2, and one more call: the counts of the log.
        sent, without = rank['sent with'], rank['sent without']
        assert sent.count('all_reduce') == without.count('all_reduce') + 4
        assert [c for c in sent if c != 'all_reduce'] == [c for c in without if c != 'all_reduce']
        pose_model = sum(value.numel() for value in rank['parameters with'].values())
        reduced = sum(sent for sent in rank['sent with'] if isinstance(sent, int))
        assert reduced == 4 * pose_model
        assert rank['parameters with'].keys() == rank['parameters without'].keys()
        for name, value in rank['before'].items():
            assert torch.equal(rank['after'][name], value), name
            assert torch.equal(first['after'][name], value), name
    for name, value in first['parameters with'].items():
        assert torch.equal(second['parameters with'][name], value), name
