"""Direct and deferred mode are one thing done in two frames."""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from augment_world import SIZE, SKELETON, as_images, compose, make_sample
from helpers import COCO_METAINFO
from mmcv.transforms import BaseTransform
from mmengine.dataset import pseudo_collate
from mmpose.models.data_preprocessors import PoseDataPreprocessor

from pg2aug.augment import PG2Augment
from pg2aug.augment.synthesis.compositing import HOLE_RADIUS, PERSON_RADIUS
from pg2aug.augment.synthesis.deferred import DeferredBatch
from pg2aug.models.affine import affine_scale, transform_points
from pg2aug.models.rasterize import body_alpha

INPUT = (48, 64)
UDP = dict(type='UDPHeatmap', input_size=INPUT, heatmap_size=(24, 32), sigma=1.5)
MSRA = dict(type='MSRAHeatmap', input_size=INPUT, heatmap_size=(24, 32), sigma=1.5)
FLIP = dict(type='RandomFlip', prob=1.0)
HALF_BODY = dict(type='RandomHalfBody', prob=1.0, min_total_keypoints=6)


def box_transform(**settings):
    still = dict(shift_factor=0.0, scale_factor=(1.0, 1.0), rotate_factor=0.0)
    return dict(type='RandomBBoxTransform', **{**still, **settings})


ROTATION = box_transform(rotate_factor=60.0, rotate_prob=1.0)
SCALE = box_transform(scale_factor=(0.6, 1.4), scale_prob=1.0)
SHIFT = box_transform(shift_factor=0.3, shift_prob=1.0)
CASES = {
    'plain': ([], MSRA),
    'flip': ([FLIP], MSRA),
    'vertical flip': ([dict(type='RandomFlip', prob=1.0, direction='vertical')], MSRA),
    'rotation': ([ROTATION], MSRA),
    'scale': ([SCALE], MSRA),
    'shift': ([SHIFT], MSRA),
    'half body': ([HALF_BODY], MSRA),
    'udp': ([], UDP),
    'everything': (
        [FLIP, HALF_BODY, box_transform(rotate_factor=60.0, rotate_prob=1.0, shift_prob=1.0)],
        UDP,
    ),
}


@pytest.fixture
def preprocessor():
    return PoseDataPreprocessor(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    )


@pytest.fixture(autouse=True)
def _random_state():
    state = np.random.get_state()  # noqa: NPY002 (MMEngine seeds this one)
    yield
    np.random.set_state(state)  # noqa: NPY002


def run_pipeline(augment, steps, codec, samples, preprocessor):
    """A preprocessed batch, one seed a sample; of several levels where there are several codecs."""
    pipeline = compose(
        dict(type='LoadImage'),
        augment,
        dict(type='GetBBoxCenterScale', padding=1.25),
        *steps,
        dict(type='TopdownAffine', input_size=INPUT, use_udp=codec is UDP),
        dict(type='GenerateTarget', encoder=codec, multilevel=isinstance(codec, list)),
        dict(type='PackPoseInputs'),
    )
    packed = []
    for number, sample in enumerate(samples):
        np.random.seed(number)  # noqa: NPY002
        packed.append(pipeline(copy.deepcopy(sample)))
    return preprocessor(pseudo_collate(packed), training=True)


def labels(data_sample):
    """Every label of a data sample by name, as arrays."""
    parts = ('gt_instances', 'gt_instance_labels', 'gt_fields')
    return {
        f'{part}.{name}': np.asarray(value)
        for part in parts
        for name, value in getattr(data_sample, part).items()
    }


def regions(batch, shape):
    """Masks (N, H, W) of the new person's body, of the old one's hole, and of the rest."""
    plans = [plan.to_dict() for plan in batch.plans]
    arrays = {name: torch.from_numpy(np.stack([p[name] for p in plans])) for name in plans[0]}
    masks = []
    for role, factor in (('target', PERSON_RADIUS), ('source', HOLE_RADIUS)):
        keypoints = transform_points(arrays[f'{role}_keypoints'], batch.matrices)
        visible = arrays[f'{role}_visible']
        radius = arrays[f'{role}_radius'][:, 0] * affine_scale(batch.matrices)
        masks.append(body_alpha(keypoints, visible, shape, SKELETON, radius * factor)[:, 0])
    person, hole = masks
    return person == 1, (hole > 0) & (person < 1), (person == 0) & (hole == 0)


@pytest.fixture
def run_both_ways(preprocessor):
    people = [make_sample(person_id=i, seed=i, family=f) for i, f in enumerate(FAMILIES)]

    def run(augment, steps, codec, samples=people):
        direct = run_pipeline(augment, steps, codec, samples, preprocessor)
        augment.deferred = True
        output = run_pipeline(augment, steps, codec, samples, preprocessor)
        untouched = output['inputs'].clone()
        batch = DeferredBatch.take(output)
        assert batch is not None
        batch.synthesize(augment.synthesizer, preprocessor)
        return direct, output, untouched, batch

    return run


@pytest.fixture
def both_ways(make_augment, smooth_persons, run_both_ways):
    def run(steps, codec, samples=None, **settings):
        chosen = {} if samples is None else dict(samples=samples)
        return run_both_ways(make_augment(**settings), steps, codec, **chosen)

    return run


FAMILIES = ('standing', 'arms_bent', 'walking', 'arms_out')


@pytest.mark.parametrize('name', CASES)
def test_labels_are_the_same(both_ways, name):
    direct, deferred, _, _ = both_ways(*CASES[name])
    for a, b in zip(direct['data_samples'], deferred['data_samples'], strict=True):
        expected, found = labels(a), labels(b)
        assert expected.keys() == found.keys()
        assert {'gt_fields.heatmaps', 'gt_instance_labels.keypoint_weights'} <= expected.keys()
        assert all(np.array_equal(expected[key], found[key]) for key in expected)
        assert a.metainfo.keys() == b.metainfo.keys()


def errors(direct, output, batch, preprocessor):
    """Mean absolute difference in grey levels (N, H, W), and the regions of :func:`regions`."""
    expected, found = (as_images(x['inputs'], preprocessor) for x in (direct, output))
    error = (expected - found).abs().mean(dim=1)
    return [error[region] for region in regions(batch, INPUT[::-1])]


@pytest.mark.parametrize('name', CASES)
def test_pixels_are_the_same(both_ways, preprocessor, name):
    direct, output, untouched, batch = both_ways(*CASES[name])
    person, hole, rest = errors(direct, output, batch, preprocessor)
    # Warped once instead of twice: a smooth person loses little. For a pixel's shift see below.
    assert person.mean() < 2.5
    assert person.quantile(0.99) < 15
    # The background is filled before the warp or after it, from other neighbours, and the soft
    # edge of the person lies here, which two warps widen.
    assert hole.mean() < 6
    # Only the rounding of grey levels, but where the fill reaches a neighbour of the hole.
    assert rest.mean() < 0.1
    assert rest.quantile(0.99) < 3
    nothing, _, _ = errors(direct, dict(inputs=untouched), batch, preprocessor)
    assert nothing.mean() > 40


@pytest.mark.parametrize('name', ['plain', 'flip', 'rotation', 'udp', 'everything'])
def test_limbs_laid_into_poses_are_the_same(run_both_ways, pose_bank, preprocessor, name):
    generator = dict(type='LimbWarpGenerator', metainfo=COCO_METAINFO, size=SIZE)
    augment = PG2Augment(generator, pose_bank, prob=1, check=None, device='cpu')
    direct, output, untouched, batch = run_both_ways(augment, *CASES[name])
    person, hole, rest = errors(direct, output, batch, preprocessor)
    # These persons have patterns, which a second warp blurs.
    assert person.mean() < 5
    assert hole.mean() < 6
    assert rest.mean() < 0.1
    for shift in [(1, 0), (0, 1)]:
        moved = dict(inputs=torch.roll(output['inputs'], shift, dims=(2, 3)))
        assert errors(direct, moved, batch, preprocessor)[0].mean() > 6
    nothing, _, _ = errors(direct, dict(inputs=untouched), batch, preprocessor)
    assert nothing.mean() > 25


@pytest.mark.parametrize('shift', [(1, 0), (0, 1)])
def test_the_bounds_would_notice_a_pixel(both_ways, preprocessor, shift):
    direct, output, _, batch = both_ways(*CASES['udp'])
    moved = torch.roll(output['inputs'], shift, dims=(2, 3))
    person, _, _ = errors(direct, dict(inputs=moved), batch, preprocessor)
    assert person.mean() > 5


@pytest.mark.parametrize('flip', [False, True])
def test_refused_joints_and_persons_weigh_nothing(both_ways, preprocessor, flip):
    steps = [FLIP] if flip else []
    check = dict(type='RefuseJoints', joints=[0, 9], every_second=True)
    _, output, untouched, batch = both_ways(steps, MSRA, check=check)
    for number, sample in enumerate(output['data_samples']):
        shown = batch.plans[number].target_visible > 0
        order = list(SKELETON.flip_indices) if flip else list(range(17))
        expected = shown & ~np.isin(range(17), [0, 9]) & (number % 2 == 0)
        weights = sample.gt_instance_labels.keypoint_weights[0].numpy() > 0
        assert np.array_equal(weights, expected[order])
    # Of a refused person nothing is pasted.
    torch.testing.assert_close(output['inputs'][1::2], untouched[1::2], atol=1e-5, rtol=0)
    assert (output['inputs'][::2] - untouched[::2]).abs().mean() > 0.05


def test_samples_without_a_plan_stay_bit_for_bit(both_ways):
    samples = [make_sample(seed=number) for number in range(8)]
    _, output, untouched, batch = both_ways([], MSRA, samples=samples, prob=0.5)
    plain = [i for i in range(8) if i not in batch.indices]
    assert plain
    assert batch.indices
    assert torch.equal(output['inputs'][plain], untouched[plain])
    changed = (output['inputs'] - untouched).abs().amax(dim=(1, 2, 3)) > 0.1
    assert changed.nonzero().flatten().tolist() == batch.indices


def test_nothing_of_a_plan_is_left_behind(both_ways):
    _, output, _, _ = both_ways([], MSRA)
    assert DeferredBatch.take(output) is None
    assert not any(
        'pg2' in key for s in output['data_samples'] for key, _ in s.gt_instances.items()
    )


def test_a_batch_of_images_without_labels_has_no_plans():
    assert DeferredBatch.take(dict(inputs=torch.zeros(1, 3, 4, 4), data_samples=None)) is None


def test_a_transform_that_bends_images_is_an_error(make_augment, preprocessor):
    class Bend(BaseTransform):
        def transform(self, results):
            results['keypoints'] = results['keypoints'] + 0.002 * results['keypoints'] ** 2
            return results

    augment = make_augment()
    augment.deferred = True
    output = run_pipeline(augment, [Bend()], MSRA, [make_sample()], preprocessor)
    with pytest.raises(ValueError, match=r'figure\.png.*no affine.*remove PG2Hook'):
        DeferredBatch.take(output)


def test_other_colours_and_scales_of_the_network_input(make_augment, smooth_persons, preprocessor):
    outputs = []
    for other in (preprocessor, PoseDataPreprocessor(), PoseDataPreprocessor([0.0], [255.0])):
        augment = make_augment()
        augment.deferred = True
        output = run_pipeline(augment, [], MSRA, [make_sample()], other)
        DeferredBatch.take(output).synthesize(augment.synthesizer, other)
        outputs.append(output['inputs'])
    torch.testing.assert_close(as_images(outputs[0], preprocessor), outputs[1], atol=1e-2, rtol=0)
    torch.testing.assert_close(outputs[2] * 255, outputs[1], atol=1e-2, rtol=0)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision_of_the_pose_model_moves_nothing(
    make_augment, smooth_persons, preprocessor, dtype
):
    """MMEngine calls the preprocessor, and with it the hook, inside of autocast."""
    samples = [make_sample(person_id=i, seed=i, family=f) for i, f in enumerate(FAMILIES)]
    augment = make_augment()
    augment.deferred = True
    inputs = []
    for context in (nullcontext(), torch.autocast('cpu', dtype)):
        output = run_pipeline(augment, [ROTATION], MSRA, samples, preprocessor)
        with context:
            DeferredBatch.take(output).synthesize(augment.synthesizer, preprocessor)
        inputs.append(output['inputs'])
    assert torch.equal(*inputs)


@pytest.mark.parametrize('count', [2, 3])
def test_of_several_levels_each_loses_the_refused_joints(
    make_augment, smooth_persons, preprocessor, count
):
    """MSPN and RSN have weights (L, 1, K) for each sample."""
    codec = dict(type='MegviiHeatmap', input_size=INPUT, heatmap_size=(24, 32))
    levels = [dict(codec, kernel_size=size) for size in (7, 5, 3)]
    check = dict(type='RefuseJoints', joints=[5], every_second=True)
    augment = make_augment(check=check)
    augment.deferred = True
    samples = [make_sample(person_id=i, seed=i) for i in range(count)]
    output = run_pipeline(augment, [], levels, samples, preprocessor)
    planned = [s.gt_instance_labels.keypoint_weights.clone() for s in output['data_samples']]
    batch = DeferredBatch.take(output)
    batch.synthesize(augment.synthesizer, preprocessor)
    for number, (sample, expected) in enumerate(zip(batch.samples, planned, strict=True)):
        assert expected.shape == (3, 1, 17)
        assert expected[..., 5].all()
        expected[..., 5] = 0
        if number % 2:
            expected[:] = 0
        assert torch.equal(sample.gt_instance_labels.keypoint_weights, expected)
