"""The benchmark's own arithmetic, its plain implementations, and each of its parts in small."""

import json

import pytest
import torch
from helpers import make_batch as make_pairs
from helpers import make_optim_wrapper, make_pg2, train_step

from benchmarks.speed.counts import count, count_generator
from benchmarks.speed.markdown import speed_markdown, verdict
from benchmarks.speed.offline import OfflineSize, run_offline
from benchmarks.speed.plain import PlainSynthesizer, PlainTraining, plain_copy
from benchmarks.speed.report import merge
from benchmarks.speed.setup import (
    LIMB_WARP,
    crop_size,
    generator_config,
    load_generator,
    load_people,
    make_batch,
)
from benchmarks.speed.step import PROBS, StepSize, run_steps
from benchmarks.speed.synthesizer import SynthesizerSize, run_synthesizer
from benchmarks.speed.timing import alternate, ratio, remember, spread
from benchmarks.speed.training import TrainingSize, run_training, whole_schedule
from pg2aug.augment import AppearanceCheck, Synthesizer

DEMO, MODEL = 'pg2-self_figures-64x48', 'res18-small_128x96'
STEP = StepSize({MODEL: (DEMO,)}, batch_size=4, workers=0, steps=1, rounds=1)


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    return tmp_path_factory.mktemp('speed')


@pytest.fixture(scope='module')
def people(work_dir):
    return load_people(work_dir, 3, (96, 128))


def test_a_spread_is_of_the_ratios_and_not_of_the_times():
    seconds = dict(a=[2.0, 6.0, 30.0], b=[1.0, 2.0, 3.0])
    expected = dict(median=3.0, min=2.0, max=10.0, runs=[2.0, 3.0, 10.0])
    assert ratio(seconds, 'a', 'b') == expected
    with pytest.raises(ValueError, match='nothing'):
        spread([])


def test_turns_are_taken_in_both_orders_and_the_first_does_not_count():
    order = []

    def call(name, seconds):
        order.append(name)
        return seconds + len(order)

    seconds = alternate(dict(a=lambda: call('a', 0), b=lambda: call('b', 100)), 2)
    assert order == ['a', 'b', 'b', 'a', 'a', 'b'] or order == ['b', 'a', 'a', 'b', 'b', 'a']
    assert [len(taken) for taken in seconds.values()] == [2, 2]
    assert min(seconds['a']) > 2
    assert min(seconds['b']) > 102


def test_what_was_measured_is_not_measured_again(tmp_path):
    path = tmp_path / 'part' / 'entry.json'
    assert remember(path, lambda: dict(value=1)) == dict(value=1)
    assert remember(path, lambda: dict(value=2)) == dict(value=1)


def test_a_gpu_run_adds_to_the_file_and_leaves_the_cpu_where_it_is():
    def entry(device, **parts):
        return dict(device=device, versions='1', commands=dict.fromkeys(parts, device), **parts)

    report = merge({}, 'cpu', entry('Xeon', step=1), {})
    report = merge(report, 'gpu', entry('H200', step=2), {})
    report = merge(report, 'cpu', entry('Xeon', offline=3), dict(counted=True))
    assert report['gpu']['step'] == 2
    assert (report['cpu']['step'], report['cpu']['offline'], report['counts']) == (
        1,
        3,
        dict(counted=True),
    )
    assert set(report['cpu']['commands']) == {'step', 'offline'}
    other = merge(report, 'cpu', entry('EPYC', offline=4), {})
    assert 'step' not in other['cpu'], 'figures of two machines must not stand in one table'
    assert other['gpu'] == report['gpu']


def test_the_schedule_weighs_the_stages():
    seconds = {
        'stage1': dict(plain=[4.0], fast=[1.0]),
        'stage2': dict(plain=[14.0], fast=[11.0]),
    }
    assert whole_schedule(seconds, dict(stage1=9, stage2=1)) == dict(plain=[5.0], fast=[2.0])


def test_a_target_is_met_on_its_own_side():
    low, high = spread([1.05, 1.2, 1.0]), spread([2.0])
    assert 'met, 1.05 [1.00, 1.20]' in verdict('step', low, 1.1, at_least=False)
    assert 'missed' in verdict('step', high, 1.1, at_least=False)
    assert 'met' in verdict('speed-up', high, 2.0, at_least=True)
    assert 'missed' in verdict('speed-up', low, 2.0, at_least=True)


def test_operations_and_bytes_of_a_convolution():
    with torch.device('meta'):
        counts = count(torch.nn.Conv2d(3, 8, 3, padding=1), torch.empty(1, 3, 10, 20))
    one = 3 * 8 * 9 * 200
    assert (counts['forward'], counts['train']) == (one, 2 * one), 'images need no gradient'
    assert counts['activation_bytes'] == 4 * 8 * 200
    assert counts['parameter_bytes'] == 4 * (3 * 8 * 9 + 8)


def test_the_recommended_generators_differ_in_width_and_resolution_only():
    leaves = {
        ('', '128x96'): (32, (96, 128)),
        ('-w64', '128x96'): (64, (96, 128)),
        ('', '256x192'): (32, (192, 256)),
        ('-w64', '256x192'): (64, (192, 256)),
    }
    costs = []
    for (width, size), (channels, crop) in leaves.items():
        cfg = generator_config(f'pg2-self{width}_coco-{size}')
        networks = cfg.model.generator1, cfg.model.generator2
        assert [network.base_channels for network in networks] == [channels] * 2
        datasets = cfg.train_dataloader.dataset, cfg.custom_hooks[0].dataset
        assert [tuple(d.size) for d in datasets] == [tuple(cfg.model.size)] * 2 == [crop] * 2
        assert datasets[0].dataset.ann_file != datasets[1].dataset.ann_file
        costs.append(sum(network['forward'] for network in count_generator(cfg).values()))
        assert cfg.model.data_preprocessor.matte
    assert costs == sorted(costs)
    assert costs[3] / costs[0] == pytest.approx(16, rel=0.05)


def test_the_plain_loop_makes_what_the_synthesizer_makes(people, work_dir):
    """What is compared must be the same; a grey level at most, where precision is lower."""
    model = load_generator(DEMO, work_dir / 'generators')
    batch = make_batch(people, 4, crop_size(DEMO), (96, 128))
    plain = PlainSynthesizer(plain_copy(model, 'cpu'), AppearanceCheck(), 'cpu')(batch)
    fast = Synthesizer(model, check=AppearanceCheck())(batch.images, batch.plans, batch.matrices)
    assert fast.accepted.any()
    assert (plain - batch.images).abs().mean() > 2
    assert (plain - fast.images).abs().mean() < 1


@pytest.mark.parametrize('stage', ['stage1', 'stage2'])
def test_the_plain_training_has_the_losses_of_pg2(stage):
    model = make_pg2(stage1_iters=1)
    with torch.no_grad():
        model.generator2.head.weight.normal_(std=0.1)
    plain = PlainTraining(plain_copy(model, 'cpu'))
    data = make_pairs()
    optim_wrapper = make_optim_wrapper(model, dict(type='Adam', lr=2e-5, betas=(0.5, 0.999)))
    expected = train_step(model, data, optim_wrapper, 0 if stage == 'stage1' else 1)
    losses = plain.step(data, stage)
    assert losses.keys() == expected.keys() - ({'loss_g1'} if stage == 'stage2' else set())
    for name, loss in losses.items():
        # The plain discriminator sees what the generator makes after its step.
        assert loss.item() == pytest.approx(expected[name].item(), rel=1e-2)
    changed = {'stage1': 'generator1', 'stage2': 'generator2'}[stage]
    for network in ('generator1', 'generator2'):
        theirs, own = getattr(model, network), getattr(plain.model, network)
        for a, b in zip(theirs.parameters(), own.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=4e-5 if network == changed else 0, rtol=0)


def test_steps(people, work_dir):
    measured = run_steps(STEP, people, work_dir)
    ratios = measured['step_ratio'][MODEL][DEMO]
    assert list(ratios) == [str(prob) for prob in PROBS]
    assert all(set(value) == {'median', 'min', 'max', 'runs'} for value in ratios.values())


def test_the_synthesizer_the_training_and_the_report(people, work_dir):
    modes = {'float32': dict(precision='float32')}
    size = SynthesizerSize((DEMO,), 2, (48, 64), rounds=1, matmul=64, modes=modes)
    measured = run_synthesizer(size, people, work_dir, 'cpu')
    assert measured['synthesizer_speedup'] == measured['synthesizer'][DEMO]['speedup']
    assert measured['synthesizer'][DEMO]['fraction_of_matmul_rate']['median'] > 0
    training = TrainingSize((DEMO,), rounds=1, workers=0, batch_size=2)
    measured |= run_training(training, people, work_dir)
    assert measured['training'][DEMO]['schedule'] == dict(stage1=700, stage2=100)
    counts = dict(generators={}, pose_models={})
    how = dict(command='python', load=[0.0, 0.0])
    report = dict(device='a CPU', threads=1, versions=dict(torch='2'), commands=dict(part=how))
    text = speed_markdown(dict(counts=counts, cpu=report | json.loads(json.dumps(measured))))
    assert 'Synthesizer over the plain loop, at least 1.5: ' in text
    assert text.count(f'| {DEMO} |') == 2
    assert 'times, float32 |' in text
    assert text.endswith('## On a GPU\n\nNot measured yet.\n')


@pytest.mark.slow
def test_offline_expansion(people, work_dir):
    size = OfflineSize((LIMB_WARP,), images=2, rounds=1)
    measured = run_offline(size, people, work_dir)
    assert set(measured['offline'][LIMB_WARP]['images_per_second']) == {'1', '16'}
