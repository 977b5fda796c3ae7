import cv2
import numpy as np
import pytest
import torch
from augment_world import SKELETON, slope_background
from helpers import STANDING

from pg2aug.augment.synthesis.compositing import inside_mask
from pg2aug.models.affine import (
    affine_scale,
    compose_affines,
    invert_affine,
    transform_points,
    warp,
)
from pg2aug.models.rasterize import body_alpha


def random_affines(num, seed=0):
    """Rotations, scales, shears and mirrors that keep most of the image in the frame."""
    rng = np.random.default_rng(seed)
    linear = np.eye(2) * rng.uniform(0.6, 1.5, (num, 1, 1)) + rng.normal(0, 0.3, (num, 2, 2))
    linear[::3, :, 0] *= -1
    offset = rng.uniform(20, 30, (num, 2, 1)) - linear @ [[25], [25]]
    return torch.from_numpy(np.concatenate([linear, offset], axis=2).astype(np.float32))


def poses(num=3, size=(48, 64), seed=0):
    rng = np.random.default_rng(seed)
    keypoints = (STANDING + rng.normal(0, 0.02, (num, 17, 2))) * size
    return torch.from_numpy(keypoints.astype(np.float32))


@pytest.mark.parametrize('seed', range(3))
def test_warp_is_opencvs(seed):
    matrices = random_affines(6, seed)
    image = slope_background((50, 44))
    batch = torch.from_numpy(image.transpose(2, 0, 1).copy()).expand(6, -1, -1, -1)
    ours = warp(batch, matrices, (52, 60))
    inside = inside_mask((52, 60), matrices, torch.tensor([[50.0, 44.0]]).expand(6, -1))
    for made, matrix, mask in zip(ours, matrices, inside, strict=True):
        reference = cv2.warpAffine(image, matrix.numpy(), (60, 52), flags=cv2.INTER_LINEAR)
        known = mask[0].numpy() > 0
        assert known.sum() > 200
        difference = np.abs(made.permute(1, 2, 0).numpy() - reference)[known]
        # OpenCV rounds grey values, and positions to 1/32 pixel.
        assert difference.max() < 1.5


def test_warp_is_black_outside_the_image():
    shift = torch.tensor([[[1.0, 0, 10], [0, 1, 0]]])
    moved = warp(torch.full((1, 3, 8, 8), 200.0), shift, (8, 20))
    assert (moved[..., :9] == 0).all()
    assert (moved[..., 10:18] == 200).all()
    assert (moved[..., 19:] == 0).all()


def test_affines_invert_and_compose():
    a, b = random_affines(8, 1), random_affines(8, 2)
    points = torch.from_numpy(np.random.default_rng(3).uniform(-50, 50, (8, 5, 2))).float()
    there = transform_points(points, a)
    torch.testing.assert_close(
        transform_points(there, invert_affine(a)), points, atol=1e-3, rtol=1e-4
    )
    both = transform_points(transform_points(points, b), a)
    torch.testing.assert_close(
        transform_points(points, compose_affines(a, b)), both, atol=1e-3, rtol=1e-4
    )


def test_affines_of_large_images_are_exact_whatever_products_of_matrices_are():
    """In 16 bits, of which TF32 keeps about as many digits, pixel 4,000 would move by 16."""
    a, b = random_affines(8, 1), random_affines(8, 2)
    points = torch.from_numpy(np.random.default_rng(3).uniform(0, 4000, (8, 5, 2))).float()

    def results():
        return transform_points(points, a), invert_affine(a), compose_affines(a, b)

    with torch.autocast('cpu', torch.bfloat16):
        mixed = results()
    for found, expected in zip(mixed, results(), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize('factor', [0.5, 1.0, 3.0])
def test_affine_scale_of_a_mirrored_rotation(factor):
    angle = 0.7
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = factor * rotation @ np.diag([-1, 1])
    matrix = torch.from_numpy(np.column_stack([linear, [5, -3]]))[None]
    assert affine_scale(matrix).item() == pytest.approx(factor)


def face_and_neck(keypoints):
    """Centres of the head's joints and of the shoulders of one pose."""
    return keypoints[list(SKELETON.head)].mean(dim=0), keypoints[list(SKELETON.torso[:2])].mean(
        dim=0
    )


def test_body_alpha_covers_the_joints_and_nothing_far_away():
    keypoints = poses()
    radius = torch.tensor([2.0, 2.5, 3.0])
    alpha = body_alpha(keypoints, torch.ones(3, 17), (64, 48), SKELETON, radius)
    assert alpha.shape == (3, 1, 64, 48)
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    for i in range(3):
        x, y = keypoints[i].round().long().T
        assert (alpha[i, 0, y.clamp(0, 63), x.clamp(0, 47)] > 0.5).all()
        # The hull of joints and skull holds every limb; hands and feet are thicker.
        face, neck = face_and_neck(keypoints[i])
        skull = face + 0.4 * (face - neck)
        hull = cv2.convexHull(torch.cat([keypoints[i], skull[None]]).numpy())
        depth = [[cv2.pointPolygonTest(hull, (x, y), True) for x in range(48)] for y in range(64)]
        far = np.array(depth) < -2.3 * radius[i].item()
        assert far.mean() > 0.1
        assert (alpha[i, 0].numpy()[far] == 0).all()


def test_body_alpha_holds_skull_hands_and_feet():
    keypoints, size = poses(1, size=(96, 128)) + 10, (148, 116)
    alpha = body_alpha(keypoints, torch.ones(1, 17), size, SKELETON, torch.tensor([6.0]))[0, 0]
    (face, neck), joints = face_and_neck(keypoints[0]), keypoints[0]
    beyond = [face + 0.7 * (face - neck)]
    for inner, outer in ((7, 9), (8, 10), (13, 15), (14, 16)):
        direction = joints[outer] - joints[inner]
        beyond.append(joints[outer] + 9 * direction / direction.norm())
    x, y = torch.stack(beyond).round().long().T
    assert (alpha[y, x] > 0.5).all()


@pytest.mark.parametrize('missing', [[9], [0, 1, 2, 3, 4], [5], list(range(17))])
def test_missing_joints_are_never_read(missing):
    keypoints, visible = poses(2), torch.ones(2, 17)
    visible[0, missing] = 0
    radius = torch.tensor([3.0, 3.0])
    expected = body_alpha(keypoints, visible, (64, 48), SKELETON, radius)
    keypoints[0, missing] = torch.nan
    alpha = body_alpha(keypoints, visible, (64, 48), SKELETON, radius)
    assert alpha.isfinite().all()
    assert torch.equal(alpha, expected)
    assert alpha[0].sum() < alpha[1].sum()


def test_inside_mask_is_the_image_in_the_frame():
    matrix = torch.tensor([[[2.0, 0, 6], [0, 2, -4]]])
    mask = inside_mask((12, 30), matrix, torch.tensor([[8.0, 5.0]]))
    expected = np.zeros((12, 30))
    expected[:5, 6:21] = 1  # x in [0, 7] goes to [6, 20], y in [0, 4] to [-4, 4]
    assert np.array_equal(mask[0, 0].numpy(), expected)
