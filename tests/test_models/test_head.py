"""Skulls of skeletons that mark a face, the top of the head, or both."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from pg2aug.figures import figure_rng, render_figure
from pg2aug.models.limbs.bones import Body
from pg2aug.models.limbs.head import HEAD_RADIUS, locate_heads
from pg2aug.models.limbs.warp import limb_warp
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses import Skeleton, person_limb_radius

SHAPE, RADIUS = (150, 120), torch.tensor([5.0])
# A standing figure from the front, 120 pixels tall: the crown is 0.18 of that above the shoulders.
FIGURE = dict(
    shoulder=(11, 40), elbow=(15, 58), wrist=(17, 74), hip=(7, 76), knee=(7, 104), ankle=(7, 132),
    pelvis=(0, 76), root=(0, 76), thorax=(0, 40), spine=(0, 58), belly=(0, 58), foot=(7, 132),
    upper_neck=(0, 34), neck=(0, 36), neck_base=(0, 36), head_top=(0, 18), top_head=(0, 18),
    head=(0, 18), nose=(0, 28), eye=(2, 26), ear=(4, 27), hip_centre=(0, 76),
)  # fmt: skip
NECK, SKULL, SKULL_RADIUS = np.array([60.0, 40.0]), np.array([60.0, 26.0]), 7.0


def skeleton_of(name):
    metainfo = parse_pose_metainfo(dict(from_file=f'configs/_base_/datasets/{name}.py'))
    return Skeleton.from_metainfo(metainfo)


def figure(skeleton):
    """Where the joints (K, 2) of a skeleton are on the standing figure."""
    joints = []
    for name in skeleton.keypoint_names:
        side = 1 if name.startswith('left_') else -1
        x, y = FIGURE[name.removeprefix('left_').removeprefix('right_')]
        joints.append((60 + side * x, y))
    return np.array(joints, np.float32)


def lean(points, degrees=25):
    """Turned about the neck: to the right in the picture."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (points - NECK) @ np.array([[cos, sin], [-sin, cos]]) + NECK


def as_body(pose):
    keypoints = torch.from_numpy(pose.astype(np.float32))[None]
    return Body(keypoints, torch.ones(keypoints.shape[:2]), RADIUS)


def disk(centre, radius):
    ys, xs = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(xs - centre[0], ys - centre[1]) <= radius


@pytest.mark.parametrize('name', ['mpii', 'aic', 'crowdpose', 'h36m'])
def test_the_mask_of_a_person_covers_the_head_and_not_what_is_above(name):
    skeleton = skeleton_of(name)
    body = as_body(figure(skeleton))
    alpha = body_alpha(body.keypoints, body.visible, SHAPE, skeleton, RADIUS)[0, 0].numpy()
    assert alpha[disk(SKULL, SKULL_RADIUS)].min() > 0.5
    assert alpha[:7].max() == 0


@pytest.mark.parametrize('name', ['mpii', 'aic', 'crowdpose', 'h36m'])
def test_a_head_is_where_the_target_has_its_head(name):
    skeleton = skeleton_of(name)
    pose = figure(skeleton)
    target, head = pose.copy(), list(skeleton.head)
    above = [k for k in range(len(pose)) if pose[k, 1] < NECK[1]]
    target[above] = lean(pose[above])
    image = np.zeros((3, *SHAPE), np.float32)
    image[0, disk(SKULL, SKULL_RADIUS + 1)] = 1
    made = limb_warp(torch.from_numpy(image)[None], as_body(pose), as_body(target), skeleton)
    red, coverage = made[0, 0].numpy(), made[0, 3].numpy()
    there = disk(lean(SKULL), SKULL_RADIUS - 1)
    assert coverage[there].min() > 0.99
    assert red[there].mean() > 0.97
    assert red.sum() == pytest.approx(image.sum(), rel=0.1)
    assert set(head) <= set(above)


@pytest.mark.parametrize('name', ['mpii', 'aic'])
def test_a_bowed_head_is_in_front_of_the_neck(name):
    skeleton = skeleton_of(name)
    pose, crown = figure(skeleton), list(skeleton.crown)
    bowed = pose.copy()
    bowed[crown] = NECK + np.array([0, 6])
    image = np.zeros((3, *SHAPE), np.float32)
    image[0, disk(SKULL, SKULL_RADIUS)] = 1
    made = limb_warp(torch.from_numpy(image)[None], as_body(pose), as_body(bowed), skeleton)
    assert made[0, 0, 44, 60] > 0.97


def test_every_labelled_joint_of_a_head_tells_where_it_is():
    skeleton = skeleton_of('halpe26')
    joints = list(skeleton.head)
    keypoints, visible = torch.zeros(3, 26, 2), torch.zeros(3, 26)
    keypoints[:, 5], keypoints[:, 6] = torch.tensor([71.0, 40]), torch.tensor([49.0, 40])
    visible[:, 5:7] = 1
    nose, top = 0, skeleton.crown[0]
    keypoints[:, nose], keypoints[:, top] = torch.tensor([60.0, 30]), torch.tensor([60.0, 19])
    visible[0, nose] = visible[1, top] = 1
    visible[2, [nose, top]] = 1
    keypoints[:, [k for k in joints if k not in (nose, top)]] = torch.nan
    heads = locate_heads(keypoints, visible, skeleton)
    # Of the nose 0.2 of 10 pixels above it; and five times as much the top, a third of 21 below.
    expected = torch.tensor([[60, 28], [60, 26], [60, (28 + 5 * 26) / 6]])
    torch.testing.assert_close(heads.centre, expected)
    visible[:, 5] = 0
    heads = locate_heads(keypoints, visible, skeleton)
    torch.testing.assert_close(heads.centre[:, 1], torch.tensor([30.0, 19, (30 + 5 * 19) / 6]))
    assert not heads.shoulders.any()


@pytest.mark.parametrize('family', ['standing', 'walking', 'bending', 'lying', 'upside_down'])
def test_a_skull_is_found_from_whatever_side_a_face_is_seen(family):
    skeleton, misses = skeleton_of('coco'), []
    for seed in range(12):
        figure = render_figure(seed, family, (256, 256), figure_rng(0, seed, 0))
        visible = figure.visible > 0
        if not visible[:7].all():
            continue
        keypoints = torch.from_numpy(figure.keypoints)[None]
        heads = locate_heads(keypoints, torch.from_numpy(visible)[None], skeleton)
        # The skull of a figure is centred between its ears.
        centre = figure.keypoints[3:5].mean(axis=0)
        radius = HEAD_RADIUS * person_limb_radius(figure.keypoints, visible, skeleton.limbs)
        misses.append(np.linalg.norm(heads.centre[0].numpy() - centre) / radius)
    assert len(misses) > 6
    assert max(misses) < 0.5


NAMES = skeleton_of('coco').keypoint_names


@pytest.mark.parametrize(
    'names',
    [NAMES, tuple(n.replace('left_', 'L').replace('right_', 'R') for n in NAMES)],
    ids=[0, 1],
)
def test_one_ear_counts_more_than_a_face_before_it(names):
    skeleton = replace(skeleton_of('coco'), keypoint_names=names)
    # From the side: the nose points to the right, of the ears only the left one is labelled.
    keypoints, visible = torch.zeros(1, 17, 2), torch.zeros(1, 17)
    for joint, place in {0: (72, 30), 1: (69, 27), 3: (60, 28), 5: (60, 40), 6: (60, 40)}.items():
        keypoints[0, joint], visible[0, joint] = torch.tensor(place), 1
    centre = locate_heads(keypoints, visible, skeleton).centre[0]
    assert (centre - torch.tensor([60.0, 27])).norm() < 4


def test_a_skeleton_without_a_head_has_none():
    skeleton = Skeleton(('a', 'b'), ((0, 1),), (0, 1))
    heads = locate_heads(torch.ones(2, 2, 2), torch.ones(2, 2), skeleton)
    assert not heads.labelled.any()
    assert heads.centre.shape == (2, 2)
