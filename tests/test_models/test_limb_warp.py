"""Where the limbs of a person end up, and with whose pixels."""

import sys

import numpy as np
import pytest
import torch
from helpers import COCO_METAINFO, STANDING
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from pg2aug.models.distance_fields import limb_distance
from pg2aug.models.limbs.anatomy import ARM_WIDTHS, LEG_WIDTHS, half_widths
from pg2aug.models.limbs.bones import TIP_LENGTH, Body
from pg2aug.models.limbs.warp import limb_warp
from pg2aug.poses import Skeleton
from pg2aug.poses.read.pose_files import metainfo_skeleton

COCO = Skeleton.from_metainfo(parse_pose_metainfo(dict(COCO_METAINFO)))
HEAD, TORSO = list(COCO.head), list(COCO.torso)
LEFT_ELBOW, LEFT_WRIST, RIGHT_ELBOW, RIGHT_WRIST = 7, 9, 8, 10
LEFT_KNEE, LEFT_ANKLE, RIGHT_ANKLE = 13, 15, 16
ARMS_AND_LEGS = [7, 8, 9, 10, 13, 14, 15, 16]
SHAPE, RADIUS = (140, 150), 5.0
CENTRE = np.array([75.0, 70.0])
POSE = ((STANDING - STANDING.mean(axis=0)) * [80, 110] + CENTRE).astype(np.float32)
ARMS_UP = POSE.copy()
ARMS_UP[[7, 9], :] = [[106, 25], [112, 8]]
ARMS_UP[[8, 10], :] = [[44, 25], [38, 8]]
ARMS_UP[[13, 15], :] = [[112, 98], [118, 122]]


def texture(points):
    """Three colours in [0.1, 0.9] that interpolate well, of points (..., 2): (3, ...)."""
    x, y = points[..., 0], points[..., 1]
    waves = [np.sin(x / 11 + y / 23), np.cos(y / 9 - x / 31), np.sin((x - y) / 14)]
    return 0.5 + 0.4 * np.stack(waves)


def grid(shape=SHAPE):
    """The place of every pixel, (H, W, 2)."""
    return np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), axis=-1).astype(float)


def as_image(array):
    return torch.from_numpy(np.asarray(array, np.float32))[None]


def body(keypoints=POSE, missing=(), radius=RADIUS):
    visible = torch.ones(1, len(keypoints))
    visible[:, list(missing)] = 0
    return Body(
        torch.from_numpy(np.array(keypoints, np.float32))[None], visible, torch.tensor([radius])
    )


def warp(source, target, image=None, skeleton=COCO):
    """Colours (3, H, W) times coverage, and coverage (H, W)."""
    image = as_image(texture(grid())) if image is None else image
    made = limb_warp(image, source, target, skeleton)[0]
    return made[:3].numpy(), made[3].numpy()


def similarity(angle=0.0, scale=1.0, shift=(0, 0)):
    """Points (..., 2) to points, about the centre of the image; angles in degrees."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    linear = scale * np.array([[cos, -sin], [sin, cos]])
    return lambda points: (points - CENTRE) @ linear.T + CENTRE + np.array(shift)


def dots(keypoints, colors, size=4.0):
    """A grey image with a disk of its own colour on some joints."""
    image = np.full((3, *SHAPE), 0.5)
    for joint, color in colors.items():
        near = np.linalg.norm(grid() - keypoints[joint], axis=-1) < size
        image[:, near] = np.array(color)[:, None]
    return as_image(image)


def at(values, point):
    """Values (..., H, W) at the pixel nearest to a point."""
    x, y = np.round(point).astype(int)
    return values[..., y, x]


def limbs_distance(keypoints, limbs):
    joints = torch.from_numpy(np.array(keypoints, np.float32))[None]
    return limb_distance(joints, torch.ones(1, len(keypoints)), SHAPE, limbs, ())[0].numpy()


def test_its_own_pose_gives_its_own_pixels():
    colors, coverage = warp(body(), body())
    full = coverage > 0.999
    assert 0.1 < full.mean() < 0.3
    np.testing.assert_allclose(colors[:, full], texture(grid())[:, full], atol=2e-3)
    assert all(at(coverage, joint) > 0.5 for joint in POSE)
    far = limb_distance(body().keypoints, torch.ones(1, 17), SHAPE, COCO.limbs, COCO.torso)[0]
    assert (coverage[far.numpy() > 4 * RADIUS] == 0).all()


@pytest.mark.parametrize(
    'change',
    [
        dict(angle=180),
        dict(angle=90),
        dict(angle=-35),
        dict(shift=(9.5, -6)),
        dict(scale=0.6),
        dict(scale=1.15, angle=20, shift=(-3, 2)),
    ],
    ids=str,
)
def test_a_pose_moved_as_a_whole_takes_its_pixels_along(change):
    scale, move = change.get('scale', 1.0), similarity(**change)
    colors, coverage = warp(body(), body(move(POSE), radius=scale * RADIUS))
    # Where each pixel was before: the inverse of a similarity is found from three of its points.
    frame = np.array([[0.0, 0.0], [1, 0], [0, 1]])
    origin, *axes = move(frame)
    before = (grid() - origin) @ np.linalg.inv(np.stack(axes) - origin)
    known = (
        (coverage > 0.999) & (before >= 0).all(-1) & (before <= np.array(SHAPE[::-1]) - 1).all(-1)
    )
    assert known.sum() > 800
    np.testing.assert_allclose(colors[:, known], texture(before)[:, known], atol=6e-3)
    expected = warp(body(), body())[1]
    assert coverage.sum() == pytest.approx(scale**2 * expected.sum(), rel=0.1)
    assert all(at(coverage, joint) > 0.5 for joint in move(POSE))


def test_seen_from_behind_head_and_torso_are_mirrored():
    """Left shoulder, eye and ear on the other side, in the picture, than they were."""
    turned = POSE.copy()
    turned[:, 0] = 2 * CENTRE[0] - POSE[:, 0]
    colors, coverage = warp(body(missing=ARMS_AND_LEGS), body(turned, missing=ARMS_AND_LEGS))
    mirrored = grid()
    mirrored[..., 0] = 2 * CENTRE[0] - mirrored[..., 0]
    # The neck is not mirrored.
    neck = (np.abs(grid() - [CENTRE[0], 48]) < [6, 9]).all(axis=-1)
    head_and_torso = (coverage > 0.999) & ~neck
    assert head_and_torso.sum() > 800
    expected = texture(mirrored)[:, head_and_torso]
    np.testing.assert_allclose(colors[:, head_and_torso], expected, atol=6e-3)


def test_hands_and_feet_move_with_their_joints():
    colors = {9: (1, 0, 0), 10: (0, 1, 0), 15: (0, 0, 1), 16: (1, 1, 0)}
    made, coverage = warp(body(), body(ARMS_UP), dots(POSE, colors))
    for joint, color in colors.items():
        np.testing.assert_allclose(at(made, ARMS_UP[joint]), color, atol=0.02)
        if joint != RIGHT_ANKLE:  # all the others have left
            assert at(coverage, POSE[joint]) < 0.5
    # Half way along the shin it is grey: the dot did not grow.
    np.testing.assert_allclose(at(made, ARMS_UP[[13, 15]].mean(axis=0)), 0.5, atol=0.02)


def test_a_limb_takes_the_length_of_the_target_and_keeps_its_width():
    longer = POSE.copy()
    longer[LEFT_WRIST] = POSE[LEFT_ELBOW] + 1.6 * (POSE[LEFT_WRIST] - POSE[LEFT_ELBOW])
    colors = {LEFT_WRIST: (1, 0, 0), LEFT_ELBOW: (0, 1, 0)}
    made, coverage = warp(body(), body(longer), dots(POSE, colors, size=2.5))
    np.testing.assert_allclose(at(made, longer[LEFT_WRIST]), (1, 0, 0), atol=0.02)
    np.testing.assert_allclose(at(made, longer[LEFT_ELBOW]), (0, 1, 0), atol=0.02)
    middle = longer[[LEFT_ELBOW, LEFT_WRIST]].mean(axis=0)
    along = longer[LEFT_WRIST] - longer[LEFT_ELBOW]
    across = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    outwards = across if across[0] > 0 else -across
    width = sum(ARM_WIDTHS[1:3]) / 2 * RADIUS
    assert at(coverage, middle + 0.6 * width * outwards) == 1
    assert at(coverage, middle + 1.4 * width * outwards) == 0


def test_a_limb_that_is_not_seen_is_taken_from_the_mirrored_one():
    image = dots(POSE, {RIGHT_WRIST: (1, 0, 0), LEFT_WRIST: (0, 0, 1)})
    made, _ = warp(body(missing=[LEFT_WRIST]), body(ARMS_UP), image)
    for joint in (LEFT_WRIST, RIGHT_WRIST):
        np.testing.assert_allclose(at(made, ARMS_UP[joint]), (1, 0, 0), atol=0.02)


def flagged(pose, hidden):
    visible = torch.full((1, len(pose)), 2.0)
    visible[0, list(hidden)] = 1
    return Body(torch.from_numpy(pose)[None], visible, torch.tensor([RADIUS]))


def test_a_limb_behind_the_body_is_taken_from_the_mirrored_one():
    image = dots(POSE, {RIGHT_WRIST: (1, 0, 0), LEFT_WRIST: (0, 0, 1)})
    made, _ = warp(flagged(POSE, [LEFT_WRIST]), flagged(ARMS_UP, []), image)
    for joint in (LEFT_WRIST, RIGHT_WRIST):
        np.testing.assert_allclose(at(made, ARMS_UP[joint]), (1, 0, 0), atol=0.02)
    # Behind the body both: each is what it is.
    made, _ = warp(flagged(POSE, [LEFT_WRIST, RIGHT_WRIST]), flagged(ARMS_UP, []), image)
    np.testing.assert_allclose(at(made, ARMS_UP[LEFT_WRIST]), (0, 0, 1), atol=0.02)


def test_flags_that_are_all_alike_tell_nothing():
    poses = [torch.from_numpy(pose)[None] for pose in (POSE, ARMS_UP)]
    made = [
        warp(*(Body(pose, torch.full((1, 17), flag), torch.tensor([RADIUS])) for pose in poses))
        for flag in (1.0, 2.0)
    ]
    for a, b in zip(*made, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('hidden', [[], [LEFT_WRIST], [LEFT_ELBOW, LEFT_WRIST]], ids=len)
def test_a_hidden_arm_is_behind_the_torso(hidden):
    across = POSE.copy()
    across[[LEFT_ELBOW, LEFT_WRIST]] = CENTRE + np.array([[5, -8], [-8, -3]])
    middle = 0.3 * across[LEFT_ELBOW] + 0.7 * across[LEFT_WRIST]
    image = np.zeros((3, *SHAPE), np.float32)
    # The left arm is red, beyond the torso.
    arm = (np.abs(grid() - POSE[[LEFT_ELBOW, LEFT_WRIST]].mean(axis=0)) < [6, 20]).all(axis=-1)
    image[0, arm] = 1
    made, coverage = warp(flagged(POSE, []), flagged(across, hidden), torch.from_numpy(image)[None])
    assert at(coverage, middle) == pytest.approx(1, abs=1e-3)
    assert at(made, middle)[0] == pytest.approx(0 if hidden else 1, abs=0.1)


@pytest.mark.parametrize('hidden', [LEFT_ANKLE, RIGHT_ANKLE])
def test_a_hidden_leg_is_behind_the_other(hidden):
    crossed = POSE.copy()
    crossed[[LEFT_ANKLE, RIGHT_ANKLE]] = POSE[[RIGHT_ANKLE, LEFT_ANKLE]]
    knees = POSE[[LEFT_KNEE, LEFT_KNEE + 1]]
    where = (knees + crossed[[LEFT_ANKLE, RIGHT_ANKLE]]).sum(axis=0) / 4
    image = np.zeros((3, *SHAPE), np.float32)
    image[0, grid()[..., 0] > CENTRE[0]] = 1
    assert POSE[LEFT_KNEE, 0] > CENTRE[0]
    made, _ = warp(flagged(POSE, []), flagged(crossed, [hidden]), torch.from_numpy(image)[None])
    assert at(made, where)[0] == pytest.approx(float(hidden == RIGHT_ANKLE), abs=0.1)


@pytest.mark.parametrize(
    ('source', 'target'),
    [([LEFT_WRIST, RIGHT_WRIST], []), ([], [LEFT_WRIST, RIGHT_WRIST])],
    ids=['in the source', 'in the target'],
)
def test_what_neither_side_shows_or_the_target_lacks_is_not_drawn(source, target):
    _, coverage = warp(body(missing=source), body(ARMS_UP, missing=target))
    for joint in (LEFT_WRIST, RIGHT_WRIST):
        assert at(coverage, ARMS_UP[joint]) == 0
        assert at(coverage, ARMS_UP[joint - 2]) > 0.999


@pytest.mark.parametrize('missing', [HEAD, TORSO[2:], TORSO[3:]], ids=str)
@pytest.mark.parametrize('role', ['source', 'target'])
def test_a_missing_head_or_torso_is_not_drawn(missing, role):
    rest = [k for k in range(17) if k not in [*HEAD, *TORSO]]
    bodies = dict(source=body(missing=rest), target=body(missing=rest))
    bodies[role] = body(missing=[*rest, *missing])
    _, coverage = warp(**bodies)
    nose, chest = at(coverage, POSE[0]), at(coverage, POSE[TORSO].mean(axis=0))
    assert (nose, chest) == ((0, 1) if missing == HEAD else (1, 0))


def test_arms_are_in_front_of_the_head_and_legs_behind_the_torso():
    across = POSE.copy()
    across[LEFT_WRIST], across[LEFT_KNEE] = POSE[0], POSE[TORSO].mean(axis=0)
    colors = {LEFT_WRIST: (1, 0, 0), 0: (0, 1, 0), LEFT_KNEE: (0, 0, 1)}
    made, _ = warp(body(), body(across), dots(POSE, colors))
    np.testing.assert_allclose(at(made, POSE[0]), (1, 0, 0), atol=0.02)
    np.testing.assert_allclose(at(made, across[LEFT_KNEE]), 0.5, atol=0.02)


def test_coverage_is_a_share_and_colours_are_multiplied_by_it():
    made = limb_warp(torch.ones(1, 2, *SHAPE), body(), body(ARMS_UP), COCO)[0]
    assert made.shape == (3, *SHAPE)
    assert made.dtype == torch.float32
    assert made.min() >= 0
    assert made.max() <= 1 + 1e-6
    edge = (made[2] > 0.1) & (made[2] < 0.9)
    assert edge.sum() > 100
    for channel in made[:2]:
        torch.testing.assert_close(channel, made[2])


def test_what_lies_beyond_the_image_or_is_not_known_is_not_covered():
    outside = POSE + np.array([SHAPE[1] / 2, 0])  # the left half is beyond the right edge
    _, coverage = warp(body(outside), body(POSE))
    assert at(coverage, POSE[LEFT_WRIST]) == 0
    assert at(coverage, POSE[RIGHT_WRIST]) == 1
    half = torch.ones(1, 1, *SHAPE)
    half[..., : int(CENTRE[0])] = 0.25
    coverage = limb_warp(torch.zeros(1, 3, *SHAPE), body(), body(), COCO, half)[0, 3].numpy()
    assert at(coverage, POSE[LEFT_WRIST]) == 1
    assert at(coverage, POSE[RIGHT_WRIST] + [0, 4]) == pytest.approx(0.25)


def test_a_batch_is_its_persons_one_by_one():
    rng = np.random.default_rng(0)
    poses = (POSE + rng.normal(0, 12, (2, 4, 17, 2))).astype(np.float32)
    shown = (rng.random((2, 4, 17)) > 0.15).astype(np.float32)
    radius = torch.tensor([[4.0, 5, 6, 7], [3, 5, 8, 4]])
    source, target = (
        Body(torch.from_numpy(poses[i]), torch.from_numpy(shown[i]), radius[i]) for i in range(2)
    )
    images = torch.rand(4, 3, *SHAPE, generator=torch.Generator().manual_seed(0))
    whole = limb_warp(images, source, target, COCO)
    for i in range(4):
        one = [
            Body(b.keypoints[i : i + 1], b.visible[i : i + 1], b.radius[i : i + 1])
            for b in (source, target)
        ]
        # Noise of one grey level a pixel shows the last bits of where it is looked up.
        alone = limb_warp(images[i : i + 1], *one, COCO)[0]
        torch.testing.assert_close(alone, whole[i], atol=1e-4, rtol=0)


@pytest.mark.parametrize('num_bones', [1, 3, 100])
def test_how_many_bones_are_done_at_once_changes_nothing(num_bones, monkeypatch):
    expected = warp(body(), body(ARMS_UP))
    module = sys.modules[limb_warp.__module__]
    sizes, some = [], module._warp_some
    monkeypatch.setattr(
        module, '_warp_some', lambda b, *rest: sizes.append(b.known.shape[1]) or some(b, *rest)
    )
    monkeypatch.setitem(module._PIXELS_AT_ONCE, 'cpu', num_bones * SHAPE[0] * SHAPE[1])
    found = warp(body(), body(ARMS_UP))
    # Hidden arms, legs, torso and neck lie behind the head, arms before it.
    assert sizes == {1: [1] * 14, 3: [3, 3, 3, 1, 3, 1], 100: [10, 4]}[num_bones]
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    'missing', [[0], [1, 3], HEAD, [5], [5, 6], TORSO, [9], [13, 15], list(range(17))], ids=str
)
@pytest.mark.parametrize('role', ['source', 'target'])
@pytest.mark.parametrize('value', [np.nan, 1e4])
def test_unlabelled_joints_are_never_read(missing, role, value):
    poses = dict(source=POSE.copy(), target=ARMS_UP.copy())
    bodies = {name: body(pose, missing if name == role else ()) for name, pose in poses.items()}
    expected = warp(**bodies)
    poses[role][missing] = value
    bodies[role] = body(poses[role], missing)
    found = warp(**bodies)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.isfinite(a).all()


def test_bones_without_length_give_finite_values():
    point = np.full_like(POSE, 70)
    for source, target in ((POSE, point), (point, POSE), (point, point)):
        colors, coverage = warp(body(source), body(target))
        assert np.isfinite(colors).all()
        assert 0 <= coverage.min() <= coverage.max() <= 1 + 1e-6
        assert coverage.max() > 0.99


coordinates = st.one_of(st.floats(-300, 450, width=32), st.sampled_from([0.0, 60.0]))
poses = st.lists(st.tuples(coordinates, coordinates), min_size=17, max_size=17)


@settings(deadline=None, max_examples=60)
@given(poses, poses, st.sets(st.integers(0, 16)), st.floats(0, 60, width=32))
def test_any_keypoints_give_finite_colours_within_the_coverage(source, target, missing, radius):
    images = torch.ones(1, 3, 24, 20)
    bodies = body(source, missing, radius), body(target, missing, RADIUS)
    made = limb_warp(images, *bodies, COCO)
    assert made.isfinite().all()
    assert made.min() >= 0
    assert made.max() <= 1 + 1e-5
    back = limb_warp(made[:, :3], *bodies[::-1], COCO, made[:, 3:])
    assert back.isfinite().all()


def test_a_limb_is_that_of_a_slow_reference():
    skeleton = Skeleton(('a', 'b'), ((0, 1),), (0, 1))
    source, target = np.array([[30.2, 40], [52, 71.3]]), np.array([[100, 90.5], [62, 100]])
    made, coverage = warp(body(source, radius=4.0), body(target, radius=6.0), skeleton=skeleton)
    image, checked = texture(grid()), 0
    for y in range(75, 115):
        for x in range(45, 120):
            color, inside = slow_limb(image, source, target, 4.0, 6.0, np.array([x, y]))
            assert coverage[y, x] == pytest.approx(inside, abs=1e-3)
            np.testing.assert_allclose(made[:, y, x], color * inside, atol=2e-3)
            checked += 0 < inside < 1
    assert checked > 50


def slow_limb(image, source, target, source_radius, target_radius, pixel):
    """Colour and coverage of a pixel of a single limb, whose ends are both hands."""
    along = (target[1] - target[0]) / np.linalg.norm(target[1] - target[0])
    cap = TIP_LENGTH * target_radius * along
    first, last = target[0] - cap, target[1] + cap
    share = np.clip((pixel - first) @ (last - first) / ((last - first) @ (last - first)), 0, 1)
    distance = np.linalg.norm(pixel - first - share * (last - first))
    edge = 0.25 * target_radius
    inside = np.clip((LEG_WIDTHS[1] * target_radius + edge - distance) / (2 * edge), 0, 1)

    nearest = target[0] + np.clip((pixel - target[0]) @ along, 0, np.ptp(target @ along)) * along
    share = np.linalg.norm(nearest - target[0]) / np.linalg.norm(target[1] - target[0])
    # Off the bone: turned with it, and scaled with its width.
    angles = [np.arctan2(*(b - a)[::-1]) for a, b in (source, target)]
    cos, sin = np.cos(angles[0] - angles[1]), np.sin(angles[0] - angles[1])
    turned = np.array([[cos, -sin], [sin, cos]]) @ (pixel - nearest)
    place = source[0] + share * (source[1] - source[0]) + turned * source_radius / target_radius
    (x, y), (fx, fy) = np.floor(place).astype(int), place % 1
    top = image[:, y, x] * (1 - fx) + image[:, y, x + 1] * fx
    bottom = image[:, y + 1, x] * (1 - fx) + image[:, y + 1, x + 1] * fx
    return top * (1 - fy) + bottom * fy, inside


@pytest.mark.parametrize('name', ['mpii', 'crowdpose', 'ap10k', 'onehand10k', 'coco_wholebody'])
def test_other_skeletons(name):
    metainfo = parse_pose_metainfo(dict(from_file=f'configs/_base_/datasets/{name}.py'))
    skeleton = Skeleton.from_metainfo(metainfo)
    rng = np.random.default_rng(1)
    pose = rng.uniform([20, 20], [130, 120], (skeleton.num_keypoints, 2))
    colors, coverage = warp(body(pose, radius=3.0), body(pose, radius=3.0), skeleton=skeleton)
    full = coverage > 0.999
    assert full.mean() > 0.05
    np.testing.assert_allclose(colors[:, full], texture(grid())[:, full], atol=6e-3)


def test_a_skeleton_of_nothing_but_a_head():
    skeleton = Skeleton(
        ('nose', 'left_ear', 'right_ear'), ((0, 1), (0, 2)), (0, 2, 1), head=(0, 1, 2)
    )
    pose = np.array([[75, 70], [90, 65], [60, 65]])
    colors, coverage = warp(body(pose, radius=8.0), body(pose, radius=8.0), skeleton=skeleton)
    np.testing.assert_allclose(at(colors, pose[0]), texture(pose[0].astype(float)), atol=2e-3)
    assert at(coverage, (75, 67)) == 1


def test_a_head_of_one_joint_and_no_neck_is_moved_but_not_turned():
    skeleton = Skeleton(('nose', 'tail'), ((0, 1),), (0, 1), head=(0,))
    pose, target = np.array([[60.0, 60], [90, 60]]), np.array([[80.0, 70], [80, 100]])
    colors, coverage = warp(body(pose), body(target), skeleton=skeleton)
    full = coverage > 0.999
    assert full.sum() > 100
    expected = texture(grid() - (target[0] - pose[0]))
    np.testing.assert_allclose(colors[:, full], expected[:, full], atol=2e-3)


def test_fingers_are_no_thicker_than_fingers():
    """Whole-body skeletons link no hand to its arm, and have 20 bones in each."""
    skeleton = metainfo_skeleton('configs/_base_/datasets/coco_wholebody.py')
    names = skeleton.keypoint_names
    fingers = [k for k, name in enumerate(names) if 'finger' in name or 'thumb' in name]
    assert len(fingers) == 40
    assert set(half_widths(fingers, skeleton)) == {ARM_WIDTHS[-1]}
    wrists = [names.index(f'{side}_wrist') for side in ('left', 'right')]
    assert half_widths(wrists, skeleton) == [ARM_WIDTHS[2]] * 2
    feet = [k for k, name in enumerate(names) if name.endswith(('_toe', '_heel'))]
    assert set(half_widths(feet, skeleton)) == {LEG_WIDTHS[-1]}
