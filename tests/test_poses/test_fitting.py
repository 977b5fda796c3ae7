import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pose_samples import COCO, LEGS, STANDING

from pg2aug.poses import (
    fit_pose,
    inside_image,
    keypoints_bbox,
    recover_affine,
    recover_affines,
    shift_into_image,
    shrink_into_image,
)

ALL = np.ones(17, bool)
# Sixteenths of a pixel, so that float32 holds every coordinate exactly.
poses = st.integers(0, 2**32 - 1).map(
    lambda seed: np.float32(np.random.default_rng(seed).integers(-8000, 24000, (17, 2)) / 16)
)
masks = hnp.arrays(np.bool_, 17).filter(lambda mask: mask.sum() >= 8)


def _mirror(pose: np.ndarray) -> np.ndarray:
    return (pose * np.float32([-1, 1]))[list(COCO.flip_indices)]


def _limb_ratios(source, fitted, common):
    limbs = np.array(COCO.limbs)
    limbs = limbs[common[limbs].all(axis=1)]
    lengths = [np.linalg.norm(p[limbs[:, 0]] - p[limbs[:, 1]], axis=1) for p in (source, fitted)]
    return lengths[0] / lengths[1]


@settings(max_examples=60, deadline=None)
@given(poses, masks)
def test_own_pose_stays_where_it_is(pose, visible):
    fitted = fit_pose(pose, visible, pose, visible, COCO)
    np.testing.assert_array_equal(fitted[visible], pose[visible])


@settings(max_examples=60, deadline=None)
@given(poses, masks, poses, masks)
def test_fit_is_finite_and_of_the_sources_size(target, target_visible, source, source_visible):
    common = target_visible & source_visible
    if common.sum() < 3:
        return
    fitted = fit_pose(target, target_visible, source, source_visible, COCO)
    assert np.isfinite(fitted).all()
    assert (fitted[~target_visible] == 0).all()
    ratios = _limb_ratios(source, fitted, common)
    if len(ratios) >= 3:
        assert ratios.min() <= 1.01
        assert ratios.max() >= 0.99


@settings(max_examples=30, deadline=None)
@given(poses, poses, st.integers(-3, 3), st.integers(-500, 500))
def test_size_and_place_of_the_target_do_not_matter(target, source, power, shift):
    fitted = fit_pose(target, ALL, source, ALL, COCO)
    moved = fit_pose(target * np.float32(2.0**power) + shift, ALL, source, ALL, COCO)
    np.testing.assert_allclose(moved, fitted, atol=1e-5 * np.abs(fitted).max())


@settings(max_examples=60, deadline=None)
@given(poses, masks, poses, masks)
def test_fit_of_the_mirrored_is_the_mirrored_fit(target, target_visible, source, source_visible):
    if (target_visible & source_visible).sum() < 3:
        return
    flip = list(COCO.flip_indices)
    fitted = fit_pose(target, target_visible, source, source_visible, COCO)
    mirrored = fit_pose(
        _mirror(target), target_visible[flip], _mirror(source), source_visible[flip], COCO
    )
    size = np.abs(fitted).max() + 1
    np.testing.assert_allclose(mirrored, _mirror(fitted), atol=1e-5 * size)


@pytest.mark.parametrize('fill', [np.nan, 1e9, -1.0])
def test_unlabelled_joints_are_never_read(fill):
    rng = np.random.default_rng(0)
    target, source = rng.uniform(0, 200, (2, 17, 2)).astype(np.float32)
    target_visible, source_visible = rng.random((2, 17)) < 0.7

    def results(a, b):
        fitted = fit_pose(a, target_visible, b, source_visible, COCO)
        return [
            fitted,
            keypoints_bbox(a, target_visible, 0.1, (300, 300)),
            shift_into_image(a - 100, target_visible, (300, 300), 0.1),
            *recover_affine(a, 2 * a + 1, target_visible),
        ]

    expected = results(target, source)
    target[~target_visible], source[~source_visible] = fill, fill
    for found, wanted in zip(results(target, source), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_size_and_place_are_those_of_the_person():
    source = STANDING * 80 + [300, 400]
    fitted = fit_pose(STANDING * [20, -20] + 7, ALL, source, ALL, COCO)
    torso = list(COCO.torso)
    np.testing.assert_allclose(fitted[torso].mean(0), source[torso].mean(0), atol=1e-3)
    assert np.ptp(fitted[:, 1]) == pytest.approx(np.ptp(source[:, 1]), rel=1e-4)
    assert fitted[15, 1] < fitted[0, 1], 'a handstand stays a handstand'


def test_a_squatting_person_does_not_shrink_the_pose():
    source = STANDING * 80
    source[LEGS] = source[[11, 12, 11, 12]] + [[0, 20], [0, 20], [0, 8], [0, 8]]
    fitted = fit_pose(STANDING, ALL, source, ALL, COCO)
    assert np.ptp(fitted[:, 1]) == pytest.approx(80 * np.ptp(STANDING[:, 1]), rel=0.05)


def test_without_shared_limbs_shared_joints_give_the_size():
    visible = np.zeros(17, bool)
    visible[[0, 9, 16]] = True
    fitted = fit_pose(STANDING, ALL, STANDING * 50 + 9, visible, COCO)
    np.testing.assert_allclose(fitted, STANDING * 50 + 9, atol=1e-3)


def test_too_little_in_common_is_refused():
    two = np.isin(np.arange(17), [5, 6])
    with pytest.raises(ValueError, match='share 2 labelled joints'):
        fit_pose(STANDING, ALL, STANDING, two, COCO)
    with pytest.raises(ValueError, match='coincide'):
        fit_pose(STANDING, ALL, np.ones((17, 2)), ALL, COCO)


def test_bbox_pads_by_the_larger_side_and_clips():
    keypoints = np.array([[10, 10], [30, 110], [999, 999]])
    visible = np.array([1, 2, 0])
    np.testing.assert_allclose(keypoints_bbox(keypoints, visible, 0.1), [0, 0, 40, 120])
    clipped = keypoints_bbox(keypoints, visible, 0.2, (100, 35))
    np.testing.assert_allclose(clipped, [0, 0, 34, 99])
    with pytest.raises(ValueError, match='outside its image'):
        keypoints_bbox(keypoints + 500, visible, 0.1, (100, 100))
    with pytest.raises(ValueError, match='no joint'):
        keypoints_bbox(keypoints, np.zeros(3), 0.1)


@settings(max_examples=60, deadline=None)
@given(poses, masks, st.integers(1, 3000), st.integers(1, 3000), st.floats(0, 0.3))
def test_shift_is_the_smallest_that_brings_a_pose_inside(pose, visible, width, height, margin):
    moved = shift_into_image(pose, visible, (height, width), margin)
    shift = (moved - pose)[visible]
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-2)
    low, high = np.split(keypoints_bbox(pose, visible, margin), 2)
    for axis, last in enumerate((width - 1, height - 1)):
        fits = high[axis] - low[axis] <= last
        steps = [-low[axis], last - high[axis]]
        inside = low[axis] >= 0 and high[axis] <= last
        covers = low[axis] <= 0 and high[axis] >= last
        best = 0 if inside or covers else min(steps, key=abs)
        assert shift[0, axis] == pytest.approx(best, abs=1e-2)
        if fits:
            assert (moved[visible][:, axis] >= -1e-2).all()
            assert (moved[visible][:, axis] <= last + 1e-2).all()


@settings(max_examples=60, deadline=None)
@given(poses, masks, st.integers(40, 3000), st.integers(40, 3000), st.floats(0, 0.3))
def test_shrinking_makes_a_pose_without_room_as_large_as_there_is(
    pose, visible, width, height, margin
):
    shrunk, scale = shrink_into_image(pose, visible, (height, width), margin)
    low, high = np.split(keypoints_bbox(pose, visible, margin), 2)
    last = np.array([width - 1, height - 1])
    room = (last / np.maximum(high - low, 1e-6)).min()
    own = pose[visible]
    as_it_is = (np.ptp(own, axis=0) <= last).all() or room < 0.5
    assert scale == pytest.approx(1 if as_it_is else room, rel=1e-4)
    spread, expected = (p[visible] - p[visible].mean(axis=0) for p in (shrunk, pose))
    np.testing.assert_allclose(spread, expected * scale, atol=2e-2)
    if room >= 0.5 or (np.ptp(own, axis=0) <= last).all():
        assert (shrunk[visible] >= -2e-2).all()
        assert (shrunk[visible] <= last + 2e-2).all()
    else:
        moved = shift_into_image(pose, visible, (height, width), margin)
        np.testing.assert_allclose(shrunk, moved, atol=1e-3)


def test_inside_counts_the_border_pixels():
    keypoints = np.array([[0, 0], [9, 4], [9.5, 4], [-0.1, 2], [3, 4.6]])
    assert inside_image(keypoints, (5, 10)).tolist() == [True, True, False, False, False]


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, (2, 2), elements=st.floats(-3, 3)),
    hnp.arrays(np.float64, 2, elements=st.floats(-900, 900)),
    masks,
)
def test_affine_is_recovered_exactly(linear, shift, visible):
    before = STANDING * 60 + 200
    matrix, residual_px = recover_affine(before, before @ linear.T + shift, visible)
    np.testing.assert_allclose(matrix, np.column_stack([linear, shift]), atol=1e-8)
    assert residual_px < 1e-8


def test_affines_of_many_poses_are_the_least_squares_of_each():
    rng = np.random.default_rng(0)
    before = STANDING * rng.uniform(20, 200, (30, 1, 1)) + rng.uniform(0, 900, (30, 1, 2))
    after = before @ rng.normal(size=(30, 2, 2)) + rng.normal(scale=2, size=before.shape)
    visible = rng.random((30, 17)) < 0.7
    before[~visible], after[~visible] = np.nan, np.nan
    matrices, residuals = recover_affines(before, after, visible)
    for a, b, shown, matrix, residual in zip(
        before, after, visible, matrices, residuals, strict=True
    ):
        points = np.column_stack([a[shown], np.ones(shown.sum())])
        expected = np.linalg.lstsq(points, b[shown], rcond=None)[0]
        np.testing.assert_allclose(matrix, expected.T, rtol=1e-6, atol=1e-6)
        miss = np.linalg.norm(points @ expected - b[shown], axis=1).max()
        np.testing.assert_allclose(residual, miss, rtol=1e-6)


def test_residual_is_the_largest_miss():
    after = STANDING * 60
    after[9] += [30, 40]
    _, residual_px = recover_affine(STANDING, after, ALL)
    assert 25 < residual_px < 50


def test_affine_needs_three_joints_off_a_line():
    with pytest.raises(ValueError, match='got 2'):
        recover_affine(STANDING, STANDING, np.isin(np.arange(17), [0, 5]))
    line = np.arange(5)[:, None] * [2.0, 3.0]
    with pytest.raises(ValueError, match='5 labelled joints lie on a line'):
        recover_affine(line, line, np.ones(5))
