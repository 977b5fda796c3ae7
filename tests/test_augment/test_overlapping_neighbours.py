import json

import numpy as np
import pytest
import torch
from augment_world import SKELETON, make_figure, make_sample, plan_for, slope_background

from pg2aug.augment import PG2Augment
from pg2aug.augment.people import PeopleFile, other_people
from pg2aug.augment.people_in_front import (
    MAX_NEIGHBOURS,
    NEIGHBOUR_RADIUS,
    in_front_alpha,
    limb_distances,
)
from pg2aug.expansion.write.remaining_people import (
    changed_pixels,
    hidden_joints,
    people_in_front_alpha,
)
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses import person_limb_radius
from pg2aug.poses.read.pose_files import metainfo_skeleton

COCO_CATEGORY = dict(
    id=1,
    name='person',
    keypoints=list(SKELETON.keypoint_names),
    skeleton=[[a + 1, b + 1] for a, b in SKELETON.limbs],
)
FIELDS = ('front_keypoints', 'front_visible', 'front_radius')


@pytest.fixture(scope='module')
def sample():
    return make_sample(seed=1)


def flagged(keypoints, flag=2):
    return np.concatenate([keypoints, np.full((17, 1), flag)], axis=1).astype(np.float32)


def beside(sample, shift_px, flag=2):
    return flagged(sample['keypoints'][0] + [shift_px, 0], flag)


def hidden(plan):
    return hidden_joints(plan, people_in_front_alpha(plan, SKELETON))


def plan_with(sample, *others, **settings):
    return plan_for(sample, make_figure(seed=2), others=np.array(others), **settings)


def coco(sample, *others, **images):
    """A COCO file of the sample's image and another one; ids in no order."""
    people = [flagged(sample['keypoints'][0]), *others]
    annotations = [
        dict(id=10 + i, image_id=1, category_id=1, keypoints=person.ravel().tolist())
        for i, person in enumerate(people)
    ]
    elsewhere = dict(annotations[0], id=99, image_id=7)
    return dict(
        images=[dict(id=7, file_name='other.png'), dict(id=1, file_name='figure.png')],
        annotations=[elsewhere, *annotations],
        categories=[COCO_CATEGORY],
    )


def test_the_others_of_a_samples_image_are_found(sample):
    others = [beside(sample, 20), beside(sample, 40, flag=1)]
    content = coco(sample, *others)
    crowd = dict(content['annotations'][2], id=50, iscrowd=1)
    unlabelled = dict(content['annotations'][2], id=51, keypoints=[0] * 51)
    boxed = dict(id=52, image_id=1, category_id=1)
    content['annotations'] += [crowd, unlabelled, boxed, dict(content['annotations'][1], id=53)]
    np.testing.assert_array_equal(PeopleFile(content, SKELETON, 'it').of(sample), others)
    people = content['annotations'][1:]
    found = other_people(people, people[0], SKELETON.keypoint_names)
    np.testing.assert_array_equal(found, others)
    alone = dict(sample, img_id=7, img_path='some/folder/other.png')
    assert PeopleFile(content, SKELETON, 'it').of(alone).shape == (0, 17, 3)


def test_the_sample_s_own_annotation_is_no_neighbour(sample):
    """MMPose's JhmdbDataset moves joints by a pixel; what is unlabelled may be NaN."""
    moved = dict(sample, keypoints=sample['keypoints'] - 1)
    content = coco(sample, beside(sample, 4))
    assert len(PeopleFile(content, SKELETON, 'it').of(moved)) == 1
    content['annotations'][1]['keypoints'][:3] = [float('nan'), float('nan'), 0]
    moved['keypoints'][0, 0] = np.nan
    assert len(PeopleFile(content, SKELETON, 'it').of(moved)) == 1


def test_a_second_annotation_of_the_person_is_no_neighbour(sample):
    """COCO's doubles lie some pixels apart, and not all of their joints are the same ones."""
    rng = np.random.default_rng(0)
    double = beside(sample, 1)
    double[:, :2] += rng.normal(0, 1, (17, 2))
    double[[3, 9], 2] = 0
    content = coco(sample, double, beside(sample, 20))
    people = PeopleFile(content, SKELETON, 'it').of(sample)
    np.testing.assert_array_equal(people, [beside(sample, 20)])
    annotations = content['annotations'][1:]
    for person in annotations[:2]:
        found = other_people(annotations, person, SKELETON.keypoint_names)
        np.testing.assert_array_equal(found, people)


def test_neighbours_annotated_twice_take_one_place_and_are_told(sample, monkeypatch):
    said = []
    monkeypatch.setattr('pg2aug.augment.people.print_log', lambda text, **_: said.append(text))
    content = coco(sample, beside(sample, 20), beside(sample, 20.5), beside(sample, 40))
    people = PeopleFile(content, SKELETON, 'it').of(sample)
    np.testing.assert_array_equal(people, [beside(sample, 20), beside(sample, 40)])
    assert said == [
        'it: 1 annotations, such as 12, are of people who are annotated twice; they count once'
    ]
    annotations = content['annotations'][1:]
    found = other_people(annotations, annotations[0], SKELETON.keypoint_names)
    np.testing.assert_array_equal(found, people)


def test_people_close_beside_are_others(sample):
    """A twin in the same pose, a twelfth of the body's height to the side: most of it is hidden."""
    others = [beside(sample, 6), beside(sample, -6)]
    assert len(PeopleFile(coco(sample, *others), SKELETON, 'it').of(sample)) == 2


def test_flags_of_0_and_1_alone_hide_nobody(sample):
    """PoseTrack's files have no flag 2; a neighbour on the person would be hidden by them."""
    content = coco(sample, beside(sample, 8, flag=1))
    assert (PeopleFile(content, SKELETON, 'it').of(sample)[..., 2] == 1).all()
    for annotation in content['annotations']:
        annotation['keypoints'][2::3] = [1] * 17
    people = PeopleFile(content, SKELETON, 'it').of(sample)
    assert (people[..., 2] == 2).all()
    assert plan_with(sample, *people).front_visible.sum() == 17


def test_whole_bodies_are_read_from_the_lists_of_coco_wholebody(sample):
    """Feet, face and hands are lists of their own, and the category names the body alone."""
    skeleton = metainfo_skeleton('configs/_base_/datasets/coco_wholebody.py')
    content = coco(sample, beside(sample, 20))
    sizes = dict(foot_kpts=6, face_kpts=68, lefthand_kpts=21, righthand_kpts=21)
    for annotation in content['annotations']:
        for number, (name, joints) in enumerate(sizes.items()):
            annotation[name] = [number + 1.0, 20.0 * annotation['id'], 2.0] * joints
    own = content['annotations'][1]
    triplets = np.reshape([*own['keypoints'], *(v for name in sizes for v in own[name])], (-1, 3))
    whole = dict(sample, keypoints=triplets[None, :, :2], keypoints_visible=np.ones((1, 133)))
    people = PeopleFile(content, skeleton, 'it').of(whole)
    assert people.shape == (1, 133, 3)
    np.testing.assert_array_equal(people[0, :17], beside(sample, 20))
    np.testing.assert_array_equal(people[0, [17, 23, 91, 112, 132], 0], [1, 2, 3, 4, 4])
    assert (PeopleFile(content, SKELETON, 'it').of(sample) == beside(sample, 20)).all()


def test_a_category_needs_no_links(sample):
    content = coco(sample, beside(sample, 20))
    unlinked = {k: v for k, v in COCO_CATEGORY.items() if k != 'skeleton'}
    for category in (unlinked, dict(unlinked, skeleton=[])):
        people = PeopleFile(dict(content, categories=[category]), SKELETON, 'it').of(sample)
        assert len(people) == 1


def test_joints_that_the_file_names_otherwise_are_told_once(sample, monkeypatch):
    """MMPose gives a data set's joints by their order, and has other names for some of them."""
    said = []
    monkeypatch.setattr('pg2aug.augment.people.print_log', lambda text, **_: said.append(text))
    chin = dict(COCO_CATEGORY, keypoints=['chin', *COCO_CATEGORY['keypoints'][1:]])
    limbs = [[19, 18], [0, 1]]
    categories = [dict(chin, id=1, skeleton=limbs), dict(chin, id=2), dict(COCO_CATEGORY, id=3)]
    content = dict(coco(sample, beside(sample, 20)), categories=categories)
    people = PeopleFile(content, SKELETON, "neighbours 'x.json'").of(sample)
    np.testing.assert_array_equal(people, [beside(sample, 20)])
    (text,) = said
    assert text.startswith("neighbours 'x.json' names joints otherwise: joint 0 is 'chin', not")


@pytest.mark.parametrize(
    'change', [dict(img_id=7), dict(img_id=8), dict(img_id=0), dict(img_path='xfigure.png')]
)
def test_the_file_of_another_data_set_is_told(sample, change):
    neighbours = PeopleFile(coco(sample), SKELETON, "neighbours 'x.json'")
    with pytest.raises(ValueError, match=r"neighbours 'x\.json'.* give the annotation file of"):
        neighbours.of({**sample, **change})


def test_a_sample_without_an_image_id_is_told(sample):
    without = {key: value for key, value in sample.items() if key != 'img_id'}
    with pytest.raises(ValueError, match='img_id None'):
        PeopleFile(coco(sample), SKELETON, 'it').of(without)


def test_files_of_something_else_are_told(sample, tmp_path):
    content = coco(sample)
    with pytest.raises(ValueError, match=r"it is no COCO keypoint file: it has no \['images'\]"):
        PeopleFile({k: v for k, v in content.items() if k != 'images'}, SKELETON, 'it')
    other = dict(COCO_CATEGORY, keypoints=COCO_CATEGORY['keypoints'][1:])
    other = dict(content, categories=[other])
    with pytest.raises(ValueError, match=r"it has another skeleton: .* \(lacking: \['nose'\]"):
        PeopleFile(other, SKELETON, 'it')
    content['annotations'][0]['keypoints'] += [1, 2, 2]
    with pytest.raises(ValueError, match='it: annotation 99 does not have 51'):
        PeopleFile(content, SKELETON, 'it')
    (tmp_path / 'broken.json').write_text('{')
    with pytest.raises(ValueError, match='it is no json file'):
        PeopleFile.load(tmp_path / 'broken.json', SKELETON, 'it')


def test_plans_can_be_stacked_whoever_is_there(sample):
    crowd = [beside(sample, 5 * i) for i in range(1, 9)]
    plans = [plan_with(sample), plan_with(sample, crowd[3]), plan_with(sample, *crowd)]
    plans.append(plan_for(sample, make_figure(seed=2)))
    for name in FIELDS:
        stacked = np.stack([plan.to_dict()[name] for plan in plans])
        assert stacked.dtype == np.float32
        assert stacked.shape[1] == MAX_NEIGHBOURS
        assert not stacked[[0, 3]].any()
        assert stacked[2].any(axis=tuple(range(1, stacked.ndim - 1))).all()
    np.testing.assert_array_equal(plans[1].front_keypoints[0], crowd[3][:, :2])
    assert plans[1].front_visible.sum(axis=1).tolist() == [17, 0, 0, 0]
    assert (plans[1].front_radius > 0).tolist() == [True, False, False, False]


def test_those_who_overlap_most_are_taken(sample):
    near = [beside(sample, shift) for shift in (2, -2, 3, -3)]
    far = [beside(sample, shift) for shift in (60, -60, 2000)]
    plan = plan_with(sample, *far[:2], *near, far[2])
    taken = {tuple(person.ravel()) for person in plan.front_keypoints}
    assert taken == {tuple(person[:, :2].ravel()) for person in near}
    assert not plan_with(sample, far[2]).front_radius.any()


def test_whoever_a_changed_pixel_belongs_to_is_in_the_plan(sample):
    plan = plan_with(sample)
    changed = changed_pixels(plan, SKELETON, people_in_front_alpha(plan, SKELETON))
    touched = 0
    for shift in range(-150, 151, 10):
        person = beside(sample, shift)
        ones, radius = torch.ones(1, 1, 17), plan_with(sample, beside(sample, 1)).front_radius
        alpha = in_front_alpha(
            torch.from_numpy(person[None, None, :, :2]),
            ones,
            torch.from_numpy(radius[None, :1]),
            changed.shape,
            SKELETON,
        )
        if (changed & (alpha[0, 0].numpy() > 0)).any():
            touched += 1
            assert plan_with(sample, person).front_radius.any()
    assert 3 < touched < 31


def test_what_stays_of_people_in_front_is_their_silhouette_and_little_more():
    for seed in range(6):
        figure = make_figure(seed=seed, person_id=seed, family=['standing', 'arms_out'][seed % 2])
        background = slope_background((160, 150)).astype(float)
        silhouette = np.abs(figure.image - background).max(axis=2) > 25
        radius = person_limb_radius(figure.keypoints, figure.visible > 0, SKELETON.limbs)
        arrays = figure.keypoints, figure.visible, radius
        arrays = [torch.from_numpy(np.asarray(a, np.float32)[None, None]) for a in arrays]
        kept = in_front_alpha(*arrays, (150, 160), SKELETON)[0, 0].numpy() > 0.5
        assert (kept & silhouette).sum() > 0.85 * silhouette.sum()
        assert (kept & ~silhouette).sum() < 0.6 * silhouette.sum()


def test_a_neighbour_hidden_by_the_person_is_not_in_front_of_him(sample):
    # Their left half is seen, and hidden joints lie on the person, or far from them.
    person = beside(sample, 8)
    hidden = [6, 8, 10, 12]
    person[hidden, 2] = 1
    on_him = limb_distances(
        person[:, :2], sample['keypoints'][0], sample['keypoints_visible'][0], SKELETON.limbs
    )
    assert on_him[hidden].max() < 9
    plan = plan_with(sample, person)
    assert set(np.flatnonzero(plan.front_visible[0] == 0)) == set(hidden)
    assert not plan.front_keypoints[0, hidden].any()
    person[hidden, :2] += [50, 0]
    assert plan_with(sample, person).front_visible[0].all()


def test_nonsense_is_nobody(sample):
    nan, dot = beside(sample, 3), beside(sample, 3)
    nan[:, 0], dot[1:, 2] = np.nan, 0
    assert not plan_with(sample, nan, dot).front_visible.any()
    nan[5:, :2] = beside(sample, 3)[5:, :2]
    plan = plan_with(sample, nan)
    assert plan.front_visible[0].tolist() == [0] * 5 + [1] * 12
    assert np.isfinite(plan.front_keypoints).all()


def test_distances_are_those_of_the_nearest_limb():
    limbs = ((0, 1), (1, 2))
    keypoints = np.array([[0, 0], [10, 0], [10, np.nan]])
    points = np.array([[5, 3], [-3, 4], [13, 4]])
    found = limb_distances(points, keypoints, np.array([1, 2, 0]), limbs)
    np.testing.assert_allclose(found, [3, 5, 5])
    assert np.isinf(limb_distances(points, keypoints, np.zeros(3), limbs)).all()


def test_the_mask_of_neighbours_is_that_of_all_their_bodies(sample):
    plans = [plan_with(sample, beside(sample, 10), beside(sample, -30)), plan_with(sample)]
    arrays = [torch.from_numpy(np.stack([getattr(p, f) for p in plans])) for f in FIELDS]
    alpha = in_front_alpha(*arrays, (150, 160), SKELETON)
    keypoints, visible, radius = (array[0, :2] for array in arrays)
    each = body_alpha(keypoints, visible, (150, 160), SKELETON, radius * NEIGHBOUR_RADIUS)
    torch.testing.assert_close(alpha[0], each.amax(dim=0))
    assert alpha[0].max() == 1
    assert not alpha[1].any()


def test_the_transform_puts_neighbours_into_its_plans(make_augment, sample, tmp_path):
    path = tmp_path / 'people.json'
    path.write_text(json.dumps(coco(sample, beside(sample, 12))))
    augment = make_augment(neighbours=str(path))
    plan = augment.plan(sample, 0)
    np.testing.assert_array_equal(plan.front_keypoints[0], beside(sample, 12)[:, :2])
    assert not make_augment().plan(sample, 0).front_radius.any()
    augment.deferred = True
    packed = augment(sample)
    np.testing.assert_array_equal(packed['pg2_plan'][0].front_radius, plan.front_radius)
    # As MMPose takes occluded joints: what is behind the neighbour is trained on.
    assert hidden(plan)[plan.target_visible > 0].any()
    np.testing.assert_array_equal(packed['keypoints_visible'][0], plan.target_visible > 0)


def test_joints_of_the_new_pose_behind_a_neighbour_are_hidden(sample):
    plan = plan_with(sample, beside(sample, 12))
    alpha = in_front_alpha(
        *(torch.from_numpy(getattr(plan, name)[None]) for name in FIELDS), (150, 160), SKELETON
    )[0, 0].numpy()
    columns, rows = plan.target_keypoints.round().astype(int).T
    np.testing.assert_array_equal(hidden(plan), alpha[rows, columns] > 0.5)
    assert 0 < hidden(plan).sum() < 17
    assert not hidden(plan_with(sample)).any()


def test_a_missing_file_is_told(generator, pose_bank):
    with pytest.raises(FileNotFoundError, match=r"neighbours 'gone\.json' does not exist"):
        PG2Augment(generator, pose_bank, neighbours='gone.json')
