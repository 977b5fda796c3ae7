"""The Synthesizer's ways of being fast change nothing but the time."""

import copy
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from augment_world import (
    GENERATOR,
    METAINFO,
    SIZE,
    SKELETON,
    compose,
    make_figure,
    make_sample,
    plan_for,
)
from mmengine.dataset import pseudo_collate
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from torch.overrides import TorchFunctionMode

from pg2aug.augment import AppearanceCheck, Synthesizer
from pg2aug.augment.hook import PG2Hook
from pg2aug.augment.settings import SynthesisSettings
from pg2aug.augment.synthesis.batches import PlanBatch, Scenes
from pg2aug.augment.synthesis.compositing import composite_persons
from pg2aug.augment.synthesis.drawing import generator_input
from pg2aug.augment.synthesis.graphs import bucket
from pg2aug.augment.synthesis.inference import network_dtype
from pg2aug.augment.synthesis.transfer import send
from pg2aug.models import PG2
from pg2aug.models.tensor_cache import constant

CPU, CUDA = torch.device('cpu'), torch.device('cuda', 0)
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
ALIGNED = dict(foreground=True, aligned=True, matte=True)


def make_model(**preprocessing):
    """A PG2 of random weights whose output depends on all of its input."""
    torch.manual_seed(0)
    settings = copy.deepcopy(GENERATOR)
    settings['data_preprocessor'] |= preprocessing
    model = PG2(**{k: v for k, v in settings.items() if k != 'type'}, stage1_iters=0)
    for network in (model.generator1, model.generator2):
        torch.nn.init.normal_(network.head.weight, std=0.1)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope='module')
def batch():
    """Images, plans and matrices of five persons, of whom two have neighbours in front."""
    images, plans = [], []
    for seed in range(5):
        sample = make_sample(person_id=seed, seed=seed)
        joints = sample['keypoints'][0] + [12, 0]
        people = [np.concatenate([joints, np.full((17, 1), 2)], axis=1)] * (seed // 3)
        others = np.array(people, np.float32).reshape(-1, 17, 3)
        figure = make_figure(seed=seed + 9, family='arms_out')
        plans.append(plan_for(sample, figure, others=others))
        images.append(torch.from_numpy(sample['img'].transpose(2, 0, 1).copy()).float())
    matrices = torch.eye(2, 3) + 0.02 * torch.randn(
        5, 2, 3, generator=torch.Generator().manual_seed(0)
    )
    return torch.stack(images), plans, matrices


class NothingAwaited(TorchFunctionMode):
    """Refuses what sends lists to a device, and counts what is sent otherwise.

    Lists lie in memory that is not pinned, for which the host waits. Tensors of the device 'meta'
    have no values: to read one, or to choose by a mask, is an error anyway.
    """

    def __init__(self):
        super().__init__()
        self.sent = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        name = getattr(function, '__name__', '')
        on_device = isinstance(made, torch.Tensor) and made.is_meta
        assert not (on_device and name in ('tensor', 'new_tensor', 'as_tensor')), 'a list is sent'
        if on_device and name == '__getitem__':
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            assert not any(isinstance(i, list) for i in index), 'a list as an index'
        self.sent += on_device and name in ('to', 'cuda') and not args[0].is_meta
        return made


@pytest.fixture
def no_autocast(monkeypatch):
    """There is no autocast for the device 'meta'."""
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())


@pytest.mark.parametrize('preprocessing', [{}, ALIGNED], ids=['paper', 'recommended'])
def test_nothing_waits_for_the_device_and_plans_are_sent_once(batch, no_autocast, preprocessing):
    images, plans, matrices = (x if isinstance(x, list) else x.to('meta') for x in batch)
    model = make_model(**preprocessing)
    synthesizer = Synthesizer(model, AppearanceCheck(), device='meta')
    synthesizer(images, plans, matrices)  # sends the constants
    with NothingAwaited() as watched:
        result = synthesizer(images, plans, matrices)
    assert watched.sent == 1
    assert result.images.shape == images.shape


class Ready(PoseDataPreprocessor):
    """Hands on batches that are normalised, and on the device, already."""

    def forward(self, data, training=False):
        return data


def test_serving_a_batch_waits_for_nothing(make_augment, no_autocast, monkeypatch):
    augment = make_augment(check=dict(type='AppearanceCheck'))
    pipeline = compose(
        dict(type='LoadImage'),
        augment,
        dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='TopdownAffine', input_size=SIZE),
        dict(type='GenerateTarget', encoder=dict(type='RegressionLabel', input_size=SIZE)),
        dict(type='PackPoseInputs'),
    )
    normalise = PoseDataPreprocessor(mean=[0.0], std=[255.0])
    model = torch.nn.Module()
    model.data_preprocessor = Ready(mean=[0.0], std=[255.0]).to('meta')
    loader = SimpleNamespace(dataset=SimpleNamespace(pipeline=pipeline, metainfo=METAINFO))
    monkeypatch.setattr('pg2aug.augment.hook.get_device', lambda: 'meta')
    runner = SimpleNamespace(train_dataloader=loader, train_loop=None, model=model, hooks=[])
    PG2Hook().before_train(runner)
    for mode in (nullcontext(), NothingAwaited()):
        output = normalise(pseudo_collate([pipeline(make_sample(seed=i)) for i in range(3)]))
        samples = [sample.to('meta') for sample in output['data_samples']]
        served = dict(inputs=output['inputs'].to('meta'), data_samples=samples)
        with mode:
            model.data_preprocessor(served)
    assert mode.sent == 2, 'where the samples are, and the plans'
    assert all(s.gt_instance_labels.keypoint_weights.is_meta for s in samples)


@pytest.mark.parametrize(
    ('precision', 'mean', 'worst'),
    [('float32', 1e-4, 0.01), ('bfloat16', 0.4, 4), ('float16', 0.05, 0.5)],
)
def test_precisions_agree_within_grey_levels(batch, precision, mean, worst):
    model = make_model(**ALIGNED)
    slow = [model.synthesize(_data(plan)) for plan in batch[1]]
    made = Synthesizer(model, None, SynthesisSettings(precision=precision)).generate(batch[1]).made
    error = (made - torch.cat(slow)).abs()
    assert error[:, :3].mean() < mean
    assert error[:, :3].max() < worst
    assert error[:, 3].max() < worst / 255
    assert (error.max() > 1e-3) == (precision != 'float32'), 'and it is computed in that precision'


def _data(plan):
    return generator_input(PlanBatch.send([plan], CPU).crops).tensors()


def test_the_model_that_was_given_is_left_as_it_is(batch):
    model = make_model().train()
    before = copy.deepcopy(model.state_dict())
    Synthesizer(model, None, SynthesisSettings(precision='bfloat16'))(*batch)
    after = model.state_dict()
    assert model.training
    assert before.keys() == after.keys()
    assert all(
        torch.equal(before[k], after[k]) and after[k].dtype == before[k].dtype for k in after
    )


@pytest.mark.parametrize(
    ('device', 'capability', 'expected'),
    [
        (CPU, dict(amx_bf16=True), torch.bfloat16),
        (CPU, dict(avx512_bf16=True, amx_bf16=False), torch.bfloat16),
        (CPU, dict(avx512_f=True, avx512_bf16=False), torch.float32),
        (CPU, {}, torch.float32),
        (CUDA, (9, 0), torch.bfloat16),
        (CUDA, (8, 0), torch.bfloat16),
        (CUDA, (7, 5), torch.float16),
        (CUDA, (6, 1), torch.float32),
        (torch.device('mps'), None, torch.float32),
    ],
)
def test_auto_is_what_the_device_is_made_for(monkeypatch, device, capability, expected):
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: capability, raising=False)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda _: capability)
    assert network_dtype('auto', device) is expected


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(settings=dict(precision='int8')), "precision must be one of auto, float32.*'int8'"),
        (dict(max_batch=0), 'max_batch must be at least 1, got 0'),
        (
            dict(settings=dict(cuda_graphs=True)),
            "cuda_graphs=True needs a CUDA device, got 'cpu'",
        ),
    ],
)
def test_what_cannot_be_is_an_error(arguments, message):
    def build(settings=None, **others):
        return Synthesizer(make_model(), None, SynthesisSettings(**(settings or {})), **others)

    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_nobody_to_synthesise_is_an_error():
    synthesizer = Synthesizer(make_model(), None)
    images, matrices = torch.zeros(0, 3, 64, 48), torch.zeros(0, 2, 3)
    for call in (partial(synthesizer, images, [], matrices), partial(synthesizer.generate, [])):
        with pytest.raises(ValueError, match=r'empty list of plans: give it at least one'):
            call()


def test_buckets_are_few_and_large_enough():
    assert [bucket(n, 64) for n in (1, 2, 3, 5, 33, 64)] == [1, 2, 4, 8, 64, 64]
    assert bucket(33, 48) == 48


class Counted(torch.nn.Module):
    """A generator that notes how many persons it is asked for at once."""

    skeleton = SKELETON

    def __init__(self, model):
        super().__init__()
        self.model, self.sizes = model, []

    def synthesize(self, data, refine=True):
        self.sizes.append(len(data['condition_image']))
        return self.model.synthesize(data, refine)


def test_padding_changes_nothing(batch):
    seen = []

    def check(synthesis):
        seen.append(len(synthesis.persons))
        return (synthesis.visible > 0) & (torch.arange(len(synthesis.persons)) % 2 == 0)[:, None]

    model = Counted(make_model(**ALIGNED))
    plain, padded = (
        Synthesizer(model, check, SynthesisSettings(precision='float32')) for _ in range(2)
    )
    padded.padded = True
    for expected, found in zip(
        vars(plain(*batch)).values(), vars(padded(*batch)).values(), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=2e-2, rtol=0)
    assert model.sizes == [5, 8]
    assert seen == [5, 5], 'nobody is checked who is not there'


def unread(step, given):
    """Which tensors of a batch a step has no use for."""
    read = set()

    class Watched(type(given)):
        def __getattribute__(self, field):
            read.add(field)
            return super().__getattribute__(field)

    tensors = given.tensors()
    step(Watched(**tensors))
    return set(tensors) - read


def test_a_step_is_given_what_it_reads_and_nothing_else(batch):
    # What is recorded depends on the shapes of all that is given: more of it, more recordings.
    images, plans, matrices = batch
    shapes = dict(crops=[], scenes=[])
    for some in (slice(0, 2), slice(3, 5)):  # without people in front, and with them
        sent = PlanBatch.send(plans[some], CPU)
        made = torch.zeros(2, 3, SIZE[1], SIZE[0])  # without a matte: all steps
        frame = dict(images=images[some], matrices=matrices[some], made=made)
        scenes = Scenes(**sent.scenes.tensors(), **frame)
        assert not unread(generator_input, sent.crops)
        assert not unread(partial(composite_persons, skeleton=SKELETON), scenes)
        for name, given in (('crops', sent.crops), ('scenes', scenes)):
            shapes[name].append({key: x.shape for key, x in given.tensors().items()})
    assert shapes['crops'][0] == shapes['crops'][1]
    assert shapes['scenes'][0] != shapes['scenes'][1]


def test_compiled_networks_do_the_same_for_any_batch_size(batch, monkeypatch):
    # Without the compiler: what it is given, and for what sizes, is the same.
    graphs = []
    backend = lambda module, inputs: graphs.append(module) or module.forward  # noqa: E731
    monkeypatch.setattr(torch, 'compile', partial(torch.compile, backend=backend))
    images, plans, matrices = batch
    model = make_model(**ALIGNED)
    compiled, plain = (
        Synthesizer(model, None, SynthesisSettings(precision='float32', compile=compile))
        for compile in (True, False)
    )
    for n in (5, 3, 2, 1):
        arguments = images[:n], plans[:n], matrices[:n]
        torch.testing.assert_close(compiled(*arguments).made, plain(*arguments).made)
    assert len(graphs) == 2, 'G1 and G2, once each'


def test_a_compiler_that_fails_says_what_to_do(batch, monkeypatch):
    def backend(module, inputs):
        raise OSError('no C++ compiler')

    monkeypatch.setattr(torch, 'compile', partial(torch.compile, backend=backend))
    synthesizer = Synthesizer(make_model(), None, SynthesisSettings(compile=True))
    with pytest.raises(RuntimeError, match=r'torch\.compile failed.*set compile=False'):
        synthesizer(*batch)


def test_a_constant_stays_where_a_recording_reads_it():
    first = constant([0.5, 1.5], CPU)
    for number in range(2000):
        constant([number], CPU)
    assert constant([0.5, 1.5], CPU) is first


def test_arrays_arrive_as_they_were_sent():
    rng = np.random.default_rng(0)
    samples = [
        dict(
            image=rng.integers(0, 256, (5, 3), np.uint8),
            index=np.array(number),
            flags=rng.random(7) > 0.5,
            nobody=np.zeros((0, 17, 2), np.float32),
            matrix=rng.random((2, 3)).astype(np.float32),
        )
        for number in range(3)
    ]
    sent = send(samples, 'cpu')
    for name, tensor in sent.items():
        expected = np.stack([sample[name] for sample in samples])
        np.testing.assert_array_equal(tensor.numpy(), expected)
        assert tensor.numpy().dtype == expected.dtype
    samples[0]['image'] += 1
    assert not np.array_equal(sent['image'][0].numpy(), samples[0]['image'])


@NEEDS_CUDA
@pytest.mark.parametrize('precision', ['float32', 'auto'])
def test_a_gpu_does_the_same_with_and_without_graphs(batch, precision):
    model = make_model(**ALIGNED)
    slow = Synthesizer(model, AppearanceCheck(), SynthesisSettings(precision='float32'))(*batch)
    eager, graphed = (
        Synthesizer(
            model,
            AppearanceCheck(),
            SynthesisSettings(precision=precision, cuda_graphs=graphs),
            device='cuda',
        )
        for graphs in (False, True)
    )
    images, plans, matrices = batch
    for _ in range(2):
        for n in (5, 3, 4):
            arguments = images[:n].cuda(), plans[:n], matrices[:n].cuda()
            expected, found = eager(*arguments), graphed(*arguments)
            torch.testing.assert_close(found.made, expected.made, atol=1.0, rtol=0)
            assert (found.made.cpu() - slow.made[:n]).abs().mean() < 0.5


@NEEDS_CUDA
@pytest.mark.parametrize('cuda_graphs', [False, True])
def test_a_gpu_is_never_waited_for(batch, cuda_graphs):
    images, plans, matrices = (x if isinstance(x, list) else x.cuda() for x in batch)
    model = make_model(**ALIGNED)
    settings = SynthesisSettings(cuda_graphs=cuda_graphs)
    synthesizer = Synthesizer(model, AppearanceCheck(), settings, device='cuda')
    synthesizer(images, plans, matrices)
    torch.cuda.set_sync_debug_mode('error')
    try:
        synthesizer(images, plans, matrices)
    finally:
        torch.cuda.set_sync_debug_mode('default')
