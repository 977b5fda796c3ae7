import math

import cv2
import numpy as np
import pytest
import torch
from helpers import LIMBS, STANDING
from hypothesis import given, settings
from hypothesis import strategies as st

from pg2aug.models import keypoint_heatmaps, pose_mask
from pg2aug.models.distance_fields import limb_distance

TORSO = (5, 6, 12, 11)
SHAPE = (14, 18)
# Half of the joints on whole pixels, where coinciding and collinear joints are common.
coordinate = st.one_of(
    st.integers(-4, 20).map(float), st.floats(-6, 24, width=32), st.sampled_from([2.5, 3.5])
)


def poses(num_joints):
    joint = st.tuples(coordinate, coordinate, st.sampled_from([0.0, 1.0, 1.0, 2.0]))
    pose = st.lists(joint, min_size=num_joints, max_size=num_joints)
    return st.lists(pose, min_size=1, max_size=2).map(split_pose)


def split_pose(values):
    """Keypoints and visibility; what is missing is NaN and must not be read."""
    values = torch.tensor(values, dtype=torch.float32)
    keypoints, visible = values[..., :2].clone(), values[..., 2]
    keypoints[visible == 0] = math.nan
    return keypoints, visible


def slow_heatmaps(keypoints, visible, shape, radius, background):
    maps = np.full((*visible.shape, *shape), background, np.float32)
    for n, k in np.ndindex(*visible.shape):
        if visible[n, k] > 0:
            cx, cy = (round(float(v)) for v in keypoints[n, k])
            for y, x in np.ndindex(*shape):
                if (x - cx) ** 2 + (y - cy) ** 2 <= radius**2:
                    maps[n, k, y, x] = 1
    return maps


def segment_distance(pixel, a, b):
    length2 = float((b - a) @ (b - a))
    t = 0.0 if length2 == 0 else min(1.0, max(0.0, float((pixel - a) @ (b - a)) / length2))
    return float(np.linalg.norm(pixel - (a + t * (b - a))))


def hull_distance(pixel, corners):
    """Signed as in OpenCV: positive inside, 0 on the border."""
    hull = cv2.convexHull(corners.astype(np.float32))
    return cv2.pointPolygonTest(hull, [float(v) for v in pixel], measureDist=True)


def slow_limb_distance(keypoints, visible, shape, limbs, torso):
    """Distances, and where they are certain: not within rounding of the torso's border."""
    distance = np.full(shape, math.inf)
    certain = np.ones(shape, bool)
    drawn = [(a, b) for a, b in limbs if visible[a] > 0 and visible[b] > 0]
    for y, x in np.ndindex(*shape):
        pixel = np.array([x, y], float)
        nearest = [segment_distance(pixel, keypoints[a], keypoints[b]) for a, b in drawn]
        if torso and (visible[list(torso)] > 0).all():
            depth = hull_distance(pixel, keypoints[list(torso)])
            nearest.append(0.0 if depth >= 0 else math.inf)
            certain[y, x] = abs(depth) > 1e-3
        distance[y, x] = min(nearest, default=math.inf)
    return distance, certain


def standing(shape, num=1):
    """Whole standing poses in the pixels of an image."""
    keypoints = torch.from_numpy(STANDING) * torch.tensor([shape[1], shape[0]])
    return keypoints.repeat(num, 1, 1), torch.ones(num, 17)


@settings(max_examples=30, deadline=None)
@given(poses(4), st.sampled_from([1.0, 2.5, 4.0]), st.sampled_from([0.0, -1.0]))
def test_heatmaps_agree_with_the_slow_reference(pose, radius, background):
    heatmaps = keypoint_heatmaps(*pose, SHAPE, radius, background)
    expected = slow_heatmaps(*(t.numpy() for t in pose), SHAPE, radius, background)
    np.testing.assert_array_equal(heatmaps.numpy(), expected)
    assert heatmaps.dtype == torch.float32


@pytest.mark.parametrize('joint', [(10.0, 12.0), (10.4, 11.6)])
def test_a_joint_is_a_disk_of_49_pixels(joint):
    args = torch.tensor([[joint]]), torch.ones(1, 1), (24, 20)
    heatmap = keypoint_heatmaps(*args)[0, 0]
    assert heatmap.sum() == 49
    assert heatmap[12, 10] == heatmap[12, 14] == heatmap[8, 10] == 1
    negative = keypoint_heatmaps(*args, background=-1)[0, 0]
    torch.testing.assert_close(negative, 2 * heatmap - 1)


@settings(max_examples=30, deadline=None)
@given(poses(6), st.sampled_from([(0, 1, 2, 3), (0, 1, 2, 3), (2, 4, 0), (5, 1, 3, 0, 2), ()]))
def test_limb_distance_agrees_with_the_slow_reference(pose, torso):
    limbs = [(0, 1), (1, 2), (3, 4), (4, 5)]
    fast = limb_distance(*pose, SHAPE, limbs, torso)
    for n, (keypoints, visible) in enumerate(zip(*pose, strict=True)):
        expected, certain = slow_limb_distance(
            keypoints.numpy(), visible.numpy(), SHAPE, limbs, torso
        )
        np.testing.assert_allclose(fast[n].numpy()[certain], expected[certain], atol=2e-3)


@pytest.mark.parametrize('order', [(0, 1, 2, 3), (0, 2, 1, 3), (1, 0, 2, 3)])
def test_a_twisted_torso_is_filled_whole(order):
    corners = torch.tensor([[[4.0, 4], [14, 4], [14, 11], [4, 11]]])[:, list(order)]
    inside = limb_distance(corners, torch.ones(1, 4), SHAPE, [(0, 1)], (0, 1, 2, 3))[0] == 0
    expected = torch.zeros(SHAPE, dtype=torch.bool)
    expected[4:12, 4:15] = True
    assert torch.equal(inside, expected)


@pytest.mark.parametrize(
    'corners',
    [
        [(8, 3), (8, 3), (8, 9), (8, 9)],
        [(8, 3), (8, 5), (8, 9), (8, 7)],
        [(3, 3), (5, 5), (9, 9), (7, 7)],
        [(3, 3), (3, 3), (12, 3), (12, 9)],
    ],
    ids=['profile', 'line', 'diagonal', 'triangle'],
)
def test_a_flat_torso_does_not_grow_beyond_its_joints(corners):
    corners = torch.tensor([corners], dtype=torch.float32)
    limbs = [(0, 1), (1, 2), (2, 3), (3, 0)]
    distance = limb_distance(corners, torch.ones(1, 4), SHAPE, limbs, (0, 1, 2, 3))
    outside = torch.ones(SHAPE, dtype=torch.bool)
    outside[3:10, 3:13] = False
    assert distance[0][outside].min() >= 1


@pytest.mark.parametrize('shape', [(32, 16), (128, 64), (256, 256)])
def test_closing_is_opencvs(shape):
    keypoints, visible = standing(shape)
    scale = shape[0] / 128
    distance = limb_distance(keypoints, visible, shape, LIMBS, ())[0].numpy()
    side = 2 * max(1, round(2 * scale)) + 1
    drawn = (distance <= 4 * scale).astype(np.uint8)
    expected = cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    mask = pose_mask(keypoints, visible, shape, LIMBS, ())
    assert mask.shape == (1, 1, *shape)
    np.testing.assert_array_equal(mask[0, 0].numpy(), expected)
    if shape[0] > 32:
        assert (expected != drawn).any(), 'the pose leaves nothing to close'


@pytest.mark.parametrize(('shape', 'width'), [((64, 48), 5), ((128, 64), 9), ((256, 256), 17)])
def test_the_limb_radius_grows_with_the_image_height(shape, width):
    keypoints = torch.tensor([[[24.0, 0.0], [24.0, shape[0]]]])
    mask = pose_mask(keypoints, torch.ones(1, 2), shape, [(0, 1)], ())
    assert (mask[0, 0].sum(dim=1) == width).all()
    fixed = pose_mask(keypoints, torch.ones(1, 2), shape, [(0, 1)], (), radius=3.0)
    assert (fixed[0, 0].sum(dim=1) == 7).all()


def torso_coverage(shape, torso):
    keypoints, visible = standing(shape)
    region = np.zeros(shape, np.uint8)
    corners = keypoints[0, list(TORSO)].round().int().numpy()
    cv2.fillConvexPoly(region, corners, 1)
    return pose_mask(keypoints, visible, shape, LIMBS, torso)[0, 0].numpy()[region > 0].mean()


@pytest.mark.parametrize('shape', [(128, 64), (256, 256)])
def test_the_torso_is_filled(shape):
    assert torso_coverage(shape, TORSO) >= 0.99


def test_limbs_alone_leave_a_wide_torso_hollow():
    assert torso_coverage((256, 256), ()) < 0.9


def test_missing_joints_are_not_drawn():
    keypoints, visible = standing((128, 64))
    whole = pose_mask(keypoints, visible, (128, 64), LIMBS, TORSO)
    visible[0, [9, 15]] = 0
    keypoints[0, [9, 15]] = math.nan
    shorter = pose_mask(keypoints, visible, (128, 64), LIMBS, TORSO)
    limbs = [limb for limb in LIMBS if not {9, 15} & set(limb)]
    expected = pose_mask(*standing((128, 64)), (128, 64), limbs, TORSO)
    assert torch.equal(shorter, expected)
    assert shorter.sum() < whole.sum()


def test_an_empty_pose_is_an_empty_mask():
    keypoints, visible = torch.full((2, 17, 2), math.nan), torch.zeros(2, 17)
    assert not pose_mask(keypoints, visible, (32, 16), LIMBS, TORSO).any()
    assert (keypoint_heatmaps(keypoints, visible, (32, 16), background=-1) == -1).all()


@settings(max_examples=15, deadline=None)
@given(poses(6))
def test_a_batch_is_what_its_samples_are_one_by_one(pose):
    def rasterize(keypoints, visible):
        mask = pose_mask(keypoints, visible, SHAPE, [(0, 1), (4, 5)], (0, 1, 2, 3))
        return torch.cat([mask, keypoint_heatmaps(keypoints, visible, SHAPE)], dim=1)

    one_by_one = [rasterize(pose[0][n : n + 1], pose[1][n : n + 1]) for n in range(len(pose[0]))]
    assert torch.equal(rasterize(*pose), torch.cat(one_by_one))


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16, torch.int64])
def test_any_dtype_of_keypoints_gives_the_same_float32(dtype):
    keypoints, visible = standing((64, 48), num=2)
    keypoints = keypoints.round()
    shape = (64, 48)
    for draw in (
        lambda keypoints, visible: keypoint_heatmaps(keypoints, visible, shape),
        lambda keypoints, visible: pose_mask(keypoints, visible, shape, LIMBS, TORSO),
    ):
        drawn = draw(keypoints.to(dtype), visible.to(dtype))
        assert drawn.dtype == torch.float32
        assert torch.equal(drawn, draw(keypoints, visible))
