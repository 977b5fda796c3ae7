import copy

import cv2
import numpy as np
import pytest
from augment_world import (
    PADDING,
    SIZE,
    SKELETON,
    make_figure,
    make_sample,
    plan_for,
    same_arrays,
)
from mmpose.structures.bbox import bbox_xyxy2cs, get_warp_matrix

from pg2aug.augment import PersonPlan, UnsuitableError
from pg2aug.augment.eligibility import check_fit, check_source, drawn_joints, suitable_targets
from pg2aug.augment.person_plan import BOX_MARGIN, to_crop
from pg2aug.datasets import PersonPairDataset
from pg2aug.poses import keypoints_bbox, typical_proportions

RARE = ('arms_overhead', 'kick_or_split', 'upside_down', 'lying', 'bending')


@pytest.fixture(scope='module')
def sample():
    return make_sample(seed=1)


@pytest.mark.parametrize(
    ('missing', 'words'),
    [
        (range(5, 16), '6 labelled joints, fewer than 8'),
        ([12], 'torso is not labelled'),
        (range(5), 'no joint of the head'),
    ],
)
def test_a_source_that_shows_too_little_is_refused(missing, words):
    visible = np.ones(17)
    visible[list(missing)] = 0
    with pytest.raises(UnsuitableError, match=words):
        check_source(visible, SKELETON, 8)


def test_a_whole_source_is_taken():
    check_source(np.full(17, 2), SKELETON, 17)


@pytest.mark.parametrize('family', RARE)
def test_the_new_pose_and_its_box_are_inside_the_image(sample, family):
    # At the image's edge: the fitted pose has to be moved.
    sample = dict(sample, keypoints=sample['keypoints'] - sample['keypoints'].min(axis=1))
    plan = plan_for(sample, make_figure(family=family, seed=2))
    shown = plan.target_visible > 0
    assert shown.sum() >= 8
    joints, limit = plan.target_keypoints[shown], plan.image_size - 1
    low, high = plan.bbox[:2], plan.bbox[2:]
    for smaller, larger in ((0, low), (low, joints), (joints, high), (high, limit)):
        assert (smaller <= np.asarray(larger) + 1e-3).all()


def test_the_person_keeps_size_and_place(sample):
    target = make_figure(family='standing', seed=1, size=(320, 300))
    plan = plan_for(sample, target)
    torso = list(SKELETON.torso)
    drawn, source = plan.target_keypoints[torso], sample['keypoints'][0, torso]
    # The same pose at twice the size, elsewhere: back where it came from.
    np.testing.assert_allclose(drawn, source, atol=1.5)


def test_joints_of_the_pose_outside_the_image_are_unlabelled(sample):
    # Less than half of it would fit: seen from near.
    keypoints = sample['keypoints'] * 3.5
    keypoints = keypoints - keypoints.min(axis=1)
    plan = plan_for(dict(sample, keypoints=keypoints), make_figure(seed=2), min_visible=3)
    assert plan.target_radius == plan.source_radius
    hidden = plan.target_visible == 0
    assert 0 < hidden.sum() < 17
    joints, limit = plan.target_keypoints, plan.image_size - 1
    outside = ((joints < 0) | (joints > limit)).any(axis=1)
    np.testing.assert_array_equal(hidden, outside)
    # They are still drawn to, so that legs go on to the border; and so does the box.
    assert plan.target_drawn.all()
    assert plan.bbox[3] == limit[1]


@pytest.mark.parametrize('scale', [1.8, 2.2])
def test_a_person_larger_than_the_image_is_made_smaller(sample, scale):
    large = dict(sample, keypoints=sample['keypoints'] * scale)
    target = make_figure(family='arms_overhead', seed=2)
    plan, usual = plan_for(large, target), plan_for(sample, target)
    assert (plan.target_visible > 0).all()
    factor = float(plan.target_radius[0] / plan.source_radius[0])
    assert 0.5 <= factor < 1
    sizes = [np.ptp(p.target_keypoints, axis=0) for p in (plan, usual)]
    shrunk = float(usual.target_radius[0] / usual.source_radius[0])
    np.testing.assert_allclose(sizes[0] / sizes[1], scale * factor / shrunk, rtol=1e-4)
    margin = BOX_MARGIN * sizes[0].max()
    joints = plan.target_keypoints
    low, high = joints.min(axis=0) - margin, joints.max(axis=0) + margin
    assert (low >= -1e-3).all()
    assert (high <= plan.image_size - 1 + 1e-3).all()
    # As large as there is room for.
    assert ((high - low) / (plan.image_size - 1)).max() == pytest.approx(1, abs=1e-4)


def test_flags_of_person_and_pose_are_those_of_the_plan(sample):
    target = make_figure(seed=2)
    target.visible[:] = [0, 1, 2, *[2] * 6, 1, *[2] * 7]
    source = np.r_[np.full(16, 2), 1]
    plan = plan_for(sample, target, visible=source)
    np.testing.assert_array_equal(plan.source_visible, source)
    for flags in (plan.target_visible, plan.target_drawn):
        np.testing.assert_array_equal(flags, target.visible)


def test_a_joint_that_no_limb_reaches_is_not_labelled(sample):
    target = make_figure(seed=2)
    elbow, wrist, ankle = 7, 9, 15
    target.visible[[elbow, ankle]] = 0
    plan = plan_for(sample, target)
    for shown in (plan.target_visible, plan.target_drawn):
        assert np.flatnonzero(shown == 0).tolist() == [elbow, wrist, ankle]
    assert not plan.target_keypoints[wrist].any()
    with pytest.raises(UnsuitableError, match='only 14 joints'):
        plan_for(sample, target, min_visible=15)
    assert suitable_targets(target.visible[None], SKELETON, 14).all()
    assert not suitable_targets(target.visible[None], SKELETON, 15).any()


def test_joints_are_reached_by_limbs_torso_and_head():
    visible = np.zeros((2, 17))
    visible[0, [0, 4, 8, 10, 15]] = 1
    visible[1, [5, 6, 11, 12, 13, 16]] = 2
    drawn = drawn_joints(visible, SKELETON)
    assert [np.flatnonzero(row).tolist() for row in drawn] == [[0, 4, 8, 10], [5, 6, 11, 12, 13]]


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(target_visible=np.zeros(17)), 'share 0 labelled joints'),
        (dict(target=np.linspace(0, 50, 17)[:, None] * [1.0, 2.0]), 'lie on a line'),
        (dict(target=np.full((17, 2), 5.0)), 'coincide'),
        (dict(visible=np.zeros(17)), '0 labelled joints'),
        (dict(target_visible=np.r_[np.ones(7), np.zeros(10)]), 'only 7 joints of the new pose'),
    ],
)
def test_poses_that_do_not_fit_are_unsuitable(sample, change, words):
    with pytest.raises(UnsuitableError, match=words):
        plan_for(sample, make_figure(seed=2), **change)


@pytest.mark.parametrize(
    ('scale', 'shift', 'words'),
    [
        (5, [0, 30], 'the fitted pose is too large: its torso is not all in the image'),
        (0.1, [50, 50], r'the person is too small: \d pixels'),
    ],
)
def test_poses_of_a_size_that_nothing_can_be_made_of(sample, scale, shift, words):
    keypoints = sample['keypoints'] * scale
    sample = dict(sample, keypoints=keypoints - keypoints.min(axis=1) + shift)
    with pytest.raises(UnsuitableError, match=words):
        plan_for(sample, make_figure(seed=2), min_visible=3)


def test_a_pose_without_its_head_is_unsuitable():
    figure = make_figure(seed=2)
    shown = np.ones(17, bool)
    check_fit((figure.keypoints, shown), SKELETON)
    shown[list(SKELETON.head)] = False
    with pytest.raises(UnsuitableError, match='too large: its head is not in the image'):
        check_fit((figure.keypoints, shown), SKELETON)


def test_a_pose_that_is_fitted_too_small():
    # Legs folded up to the shoulders.
    sample = make_sample(seed=1, size=(160, 150), zoom=0.2)
    target = make_figure(family='standing', seed=1)
    shoulder = target.keypoints[5]
    target.keypoints[13:] = shoulder + 0.05 * (target.keypoints[13:] - shoulder)
    with pytest.raises(UnsuitableError, match=r'the fitted pose is too small: 1\d pixels'):
        plan_for(sample, target)


def test_the_person_keeps_its_limb_proportions(sample):
    own = make_figure(seed=1)
    typical = typical_proportions(own.keypoints[None], np.ones((1, 17)), SKELETON)
    long_legs = dict(sample, keypoints=sample['keypoints'].copy())
    for knee, ankle in ((13, 15), (14, 16)):
        shin = sample['keypoints'][0, ankle] - sample['keypoints'][0, knee]
        long_legs['keypoints'][0, ankle] += 0.2 * shin

    def shins(person, **settings):
        keypoints = plan_for(person, own, **settings).target_keypoints
        return np.linalg.norm(keypoints[[15, 16]] - keypoints[[13, 14]], axis=1)

    without = shins(long_legs) / shins(sample)
    np.testing.assert_allclose(shins(long_legs, typical=typical) / shins(sample), 1.2, rtol=0.02)
    np.testing.assert_allclose(without, 1, rtol=0.02)


def test_poses_from_too_different_a_side_are_unsuitable(sample):
    back = make_figure(seed=2, yaw=175.0)
    assert plan_for(sample, back).target_visible.sum() > 8
    assert plan_for(sample, make_figure(seed=2), max_view_change=60).target_visible.sum() > 8
    with pytest.raises(UnsuitableError, match=r'seen from \d+ degrees .*, the pose is from 1\d\d'):
        plan_for(sample, back, max_view_change=120)


def test_a_plan_survives_as_plain_arrays(sample):
    plan = plan_for(sample, make_figure(seed=2), pose_index=5)
    arrays = plan.to_dict()
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert same_arrays(PersonPlan(**arrays), plan)
    assert plan.pose_index.tolist() == [5]
    assert plan.image_size.tolist() == [160, 150]


def test_unlabelled_joints_are_never_read(sample):
    target = make_figure(seed=2)
    visible, target_visible = sample['keypoints_visible'].copy(), target.visible.copy()
    visible[0, 4], target_visible[3] = 0, 0
    keypoints, target_keypoints = sample['keypoints'].copy(), target.keypoints.copy()
    changed = dict(visible=visible[0], target_visible=target_visible)
    expected = plan_for(sample, target, **changed)
    keypoints[0, 4], target_keypoints[3] = np.nan, np.nan
    plan = plan_for(sample, target, keypoints=keypoints[0], target=target_keypoints, **changed)
    assert same_arrays(plan, expected)


def test_a_limb_that_is_half_unlabelled_could_not_be_removed(sample):
    visible = sample['keypoints_visible'].copy()
    visible[0, 15] = 0
    with pytest.raises(UnsuitableError, match='left_ankle is not labelled'):
        plan_for(sample, make_figure(seed=2), visible=visible[0])


def test_planning_writes_to_nothing_of_the_sample(sample):
    before = copy.deepcopy(sample)
    plan_for(sample, make_figure(seed=2))
    assert all(np.array_equal(sample[key], before[key]) for key in ('img', 'keypoints', 'bbox'))


def test_the_condition_is_the_crop_of_the_training(people):
    pairs = PersonPairDataset(people, size=SIZE, padding=PADDING, flip=False)
    compared = 0
    for index in range(0, len(pairs), 5):
        item = pairs[index]
        info = next(
            info
            for info in map(pairs.dataset.get_data_info, range(len(pairs.dataset)))
            if info['id'] == item['condition_id']
        )
        image = cv2.imread(info['img_path'])
        sample = dict(info, img=image)
        try:
            plan = plan_for(sample, make_figure(seed=2))
        except UnsuitableError:
            continue
        assert np.array_equal(plan.condition, item['condition_image'].permute(1, 2, 0).numpy())
        compared += 1
    assert compared > 3


def test_the_target_frame_is_the_crop_of_the_new_poses_box(sample):
    plan = plan_for(sample, make_figure(family='lying', seed=3))
    box = keypoints_bbox(plan.target_keypoints, plan.target_visible, BOX_MARGIN, (150, 160))
    # MMPose's own functions: the box padded, grown to the crop's aspect ratio, upright.
    center, scale = bbox_xyxy2cs(box, padding=PADDING)
    width, height = scale
    grown = np.array(
        [max(width, height * SIZE[0] / SIZE[1]), max(height, width * SIZE[1] / SIZE[0])]
    )
    expected = get_warp_matrix(center, grown, 0.0, SIZE)
    np.testing.assert_allclose(plan.target_matrix, expected, atol=1e-4)
    inside = to_crop(plan)[plan.target_visible > 0]
    assert (inside >= 0).all()
    assert (inside < SIZE).all()
    # And it is not that of the source person's box.
    assert np.abs(plan.target_matrix - plan.condition_matrix).max() > 1


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_person_who_is_nowhere_is_left_as_they_are(sample, value):
    keypoints = sample['keypoints'].copy()
    keypoints[0, 9] = value
    with pytest.raises(UnsuitableError, match='not at a finite place'):
        plan_for(dict(sample, keypoints=keypoints), make_figure(seed=2))
