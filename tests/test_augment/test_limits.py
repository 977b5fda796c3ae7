"""What lies exactly at a limit that is told to users is allowed, and what lies beyond is not."""

from dataclasses import replace

import numpy as np
import pytest
from augment_world import SIZE, SKELETON, compose, make_figure, make_sample, plan_for
from mmengine.dataset import pseudo_collate
from mmpose.models.data_preprocessors import PoseDataPreprocessor

from pg2aug.augment import UnsuitableError
from pg2aug.augment.eligibility import check_fit, check_size
from pg2aug.augment.placement import Placement, set_repeats
from pg2aug.augment.synthesis.deferred import DeferredBatch

ONE_CROP_MB = 4 * SIZE[0] * SIZE[1] / 2**20
TORSO_FIRST = [0, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16, 1, 2, 3, 4]


@pytest.mark.parametrize(
    'settings',
    [
        dict(prob=1, min_joints_ok=1, min_visible=3, max_draws=1, max_view_change=180),
        dict(prob=0, min_joints_ok=0),
        dict(reuse=2, pool_mb=ONE_CROP_MB),
        dict(reuse=1, pool_mb=ONE_CROP_MB / 2),
    ],
)
def test_the_ends_of_ranges_are_in_them(make_augment, settings):
    augment = make_augment(**settings)
    assert all(f'{name}={value!r}' in repr(augment) for name, value in settings.items())


def test_a_pool_with_room_for_less_than_a_crop_is_refused(make_augment):
    with pytest.raises(ValueError, match='has no room for a single crop'):
        make_augment(reuse=2, pool_mb=0.99 * ONE_CROP_MB)


def test_who_gets_each_pose_once_needs_no_pool(make_augment):
    augment = make_augment(reuse=1)
    assert set_repeats([Placement(augment, [augment], range(7))]) is None
    assert augment.repeats is None


@pytest.mark.parametrize('role', ['source', 'target'])
def test_as_many_joints_as_are_asked_for_are_enough(role):
    figure = make_figure(seed=2, family='arms_out')
    shown = np.zeros(17, np.float32)
    shown[TORSO_FIRST[:13]] = 1
    settings = {dict(source='visible', target='target_visible')[role]: shown}
    plan = plan_for(make_sample(seed=1), figure, min_visible=13, **settings)
    assert (getattr(plan, f'{role}_visible') > 0).sum() == 13
    with pytest.raises(UnsuitableError, match='13'):
        plan_for(make_sample(seed=1), figure, min_visible=14, **settings)


@pytest.mark.parametrize(('extent', 'large_enough'), [(16, True), (15.75, False)])
def test_sixteen_pixels_are_large_enough(extent, large_enough):
    joints = np.linspace(0, 1, 17)[:, None] * [extent / 2, extent]
    body = joints, np.ones(17, bool)
    for check in (check_size, lambda fitted: check_fit(fitted, SKELETON)):
        if large_enough:
            check(body)
        else:
            with pytest.raises(UnsuitableError, match='too small: 16 pixels'):
                check(body)


@pytest.fixture
def packed(make_augment):
    """Preprocessed samples with plans, as PG2Hook gets them, after a step that changes something.

    The step stands where the network's input is cut out; the joints' places are final there.
    """

    def pack(step):
        augment = make_augment()
        augment.deferred = True
        pipeline = compose(
            dict(type='LoadImage'),
            augment,
            dict(type='GetBBoxCenterScale', padding=1.25),
            dict(type='TopdownAffine', input_size=SIZE),
            step,
            dict(type='GenerateTarget', encoder=dict(type='RegressionLabel', input_size=SIZE)),
            dict(type='PackPoseInputs'),
        )
        samples = [pipeline(make_sample(seed=seed)) for seed in range(3)]
        return PoseDataPreprocessor(mean=[0.0], std=[255.0])(pseudo_collate(samples))

    return pack


@pytest.mark.parametrize(('pixels', 'allowed'), [(0.4, True), (1.0, False)])
def test_half_a_pixel_beside_the_affine_is_rounding(packed, pixels, allowed):
    def move_a_wrist(results):
        results['transformed_keypoints'][0, 9, 0] += pixels
        return results

    output = packed(move_a_wrist)
    if allowed:
        assert len(DeferredBatch.take(output).plans) == 3
    else:
        # The affine that fits best follows the joint part of the way.
        with pytest.raises(ValueError, match=r'no affine transform: it misses one by 0\.[5-9]'):
            DeferredBatch.take(output)


def test_joints_that_no_label_names_are_not_counted(packed):
    def forget_a_wrist(results):
        (plan,) = results['pg2_plan']
        visible = np.where(np.arange(17) == 9, 0, plan.target_visible)
        results['pg2_plan'] = [replace(plan, target_visible=visible)]
        return results

    labelled = DeferredBatch.take(packed(forget_a_wrist)).on_device['labelled']
    assert labelled.sum(dim=1).tolist() == [16] * 3
    assert not labelled[:, 9].any()
