import copy
import json
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import torch
from augment_world import SKELETON, make_sample
from mmcv.transforms.utils import cache_random_params
from mmengine.dataset import worker_init_fn
from torch.utils.data import DataLoader, Dataset

from pg2aug.augment import PersonPlan, UnsuitableError
from pg2aug.augment import transform as module
from pg2aug.augment.sample import relabel
from pg2aug.augment.synthesis.whole_image import affected_window
from pg2aug.poses import PoseBank, view_angles


@pytest.fixture
def sample():
    return make_sample(seed=1)


@pytest.fixture(autouse=True)
def _seeded():
    state = np.random.get_state()  # noqa: NPY002 (MMEngine seeds this one)
    np.random.seed(0)  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


def seed(number):
    np.random.seed(number)  # noqa: NPY002


def next_plan(augment, sample, number=0) -> PersonPlan:
    """The plan that the transform follows from a seed."""
    seed(number)
    # The first number says whether the sample is replaced.
    return augment.decide(sample, np.random.random(1 + augment.max_draws)[1:])  # noqa: NPY002


def same(a, b):
    return a.keys() == b.keys() and all(
        np.array_equal(a[key], b[key]) and type(a[key]) is type(b[key]) for key in a
    )


def test_the_person_is_replaced_and_the_rest_of_the_image_stays(make_augment, sample):
    augment = make_augment()
    plan = next_plan(augment, sample)
    seed(0)
    result = augment(sample)
    left, top, right, bottom = affected_window(plan)
    outside = np.ones(sample['img'].shape[:2], bool)
    outside[top:bottom, left:right] = False
    assert outside.mean() > 0.2
    assert result['img'].dtype == np.uint8
    assert np.array_equal(result['img'][outside], sample['img'][outside])
    changed = np.abs(result['img'].astype(int) - sample['img']).max(axis=-1) > 20
    # Where the person stood and where it is now.
    for joints in (sample['keypoints'][0], plan.target_keypoints):
        x, y = joints[list(SKELETON.torso)].mean(axis=0).astype(int)
        assert changed[y, x]


def test_the_annotation_becomes_the_new_pose(make_augment, sample):
    augment = make_augment()
    plan = next_plan(augment, sample)
    seed(0)
    result = augment(sample)
    assert np.array_equal(result['keypoints'][0], plan.target_keypoints)
    assert np.array_equal(result['keypoints_visible'][0], plan.target_visible > 0)
    left, top, right, bottom = result['bbox'][0]
    joints = result['keypoints'][0][plan.target_visible > 0]
    assert (joints > [left, top]).all()
    assert (joints < [right, bottom]).all()
    assert np.abs(result['keypoints'] - sample['keypoints']).max() > 10
    for key in ('keypoints', 'keypoints_visible', 'bbox'):
        assert result[key].shape == sample[key].shape
        assert result[key].dtype == sample[key].dtype


def test_hidden_joints_are_known_from_annotation_and_bank(make_augment, sample):
    flags = np.full(17, 2)
    flags[[9, 10]] = 1
    triples = np.concatenate([sample['keypoints'][0], flags[:, None]], axis=1)
    sample['raw_ann_info'] = {'keypoints': triples.ravel().tolist()}
    augment = make_augment()
    index = next(i for i in range(len(augment.bank)) if augment.bank.hidden[i].any())
    plan = augment.plan(sample, index)
    np.testing.assert_array_equal(plan.source_visible, flags)
    np.testing.assert_array_equal(plan.target_visible, augment.bank.flags(index))
    # MMPose trains on hidden joints as on others.
    label = relabel(sample, plan, plan.target_visible)
    assert label['keypoints_visible'].max() == 1


def test_what_else_describes_the_person_follows(make_augment, sample):
    box = sample['bbox']
    sample.update(bbox_center=np.ones((1, 2), np.float32), bbox_scale=box[:, 2:] - box[:, :2])
    result = make_augment()(sample)
    low, high = result['bbox'][0, :2], result['bbox'][0, 2:]
    np.testing.assert_allclose(result['bbox_center'], [(low + high) / 2])
    np.testing.assert_allclose(result['bbox_scale'], [high - low])
    assert result['num_keypoints'] == (result['keypoints_visible'] > 0).sum()
    # The new pose covers half of its box, as the old one did of its.
    assert result['area'] == pytest.approx(0.5 * np.prod(high - low), rel=1e-5)
    assert result['area'].dtype == np.float32
    assert result['segmentation'] is None


def test_the_square_of_mpii_keeps_the_persons_size(make_augment, sample):
    """It is as large as the person is tall, so that a squat is small in the network's input."""
    centre, side = sample['bbox'].reshape(2, 2).mean(axis=0), np.float32(180)
    sample.update(
        bbox=np.concatenate([centre - side / 2, centre + side / 2])[None].astype(np.float32),
        bbox_center=centre[None].astype(np.float32),
        bbox_scale=np.full((1, 2), side),
    )
    augment = make_augment()
    plan = next_plan(augment, sample)
    label = relabel(sample, plan, plan.target_visible)
    shrunk = side * plan.target_radius[0] / plan.source_radius[0]
    np.testing.assert_allclose(label['bbox_scale'], np.full((1, 2), shrunk), rtol=1e-5)
    low, high = label['bbox'].reshape(2, 2)
    np.testing.assert_allclose(high - low, [shrunk] * 2, rtol=1e-5)
    middle = plan.bbox.reshape(2, 2).mean(axis=0)
    np.testing.assert_allclose(label['bbox_center'], [middle], rtol=1e-5)
    np.testing.assert_allclose((low + high) / 2, middle, rtol=1e-5)


def test_keys_that_a_sample_lacks_are_not_added(make_augment, sample):
    for key in ('area', 'segmentation', 'num_keypoints'):
        del sample[key]
    assert make_augment()(sample).keys() == sample.keys()


def test_whole_numbers_do_not_cut_the_new_pose_off(make_augment, sample):
    """As MMPose's CocoWholeBodyDataset has them of a file in whole numbers."""
    sample['keypoints'] = sample['keypoints'].round().astype(np.int64)
    sample['bbox'] = sample['bbox'].round().astype(np.int64)
    augment = make_augment()
    augment.deferred = True
    result = augment(sample)
    plan = result['pg2_plan'][0]
    np.testing.assert_array_equal(result['keypoints'][0], plan.target_keypoints)
    np.testing.assert_array_equal(result['bbox'][0], plan.bbox)
    assert (plan.target_keypoints % 1).any()


def test_visibility_with_weights_keeps_its_shape(make_augment, sample):
    # As MMPose's KeypointConverter gives it.
    visible = sample['keypoints_visible']
    result = make_augment()(dict(sample, keypoints_visible=np.stack([visible] * 2, axis=-1)))
    assert result['keypoints_visible'].shape == (1, 17, 2)
    assert (result['keypoints_visible'][0].sum(axis=-1) % 2 == 0).all()
    assert result['keypoints_visible'].sum() > 16


@pytest.mark.parametrize('deferred', [False, True])
def test_the_sample_is_not_written_to(make_augment, sample, deferred):
    augment = make_augment()
    augment.deferred = deferred
    before = copy.deepcopy(sample)
    assert not same(augment(sample), before)
    assert same(sample, before)


def test_joints_that_the_check_refuses_are_unlabelled(make_augment, sample):
    augment = make_augment(check=dict(type='RefuseJoints', joints=[3, 9, 16]))
    result = augment(sample)
    assert not result['keypoints_visible'][0, [3, 9, 16]].any()
    assert result['keypoints_visible'].sum() >= 11
    assert result['num_keypoints'] == result['keypoints_visible'].sum()


def test_joints_of_low_scores_are_unlabelled_and_told_once(make_augment, sample, monkeypatch):
    """MMPose weighs a joint by what stands in the place of its flag."""
    said = []
    monkeypatch.setattr('pg2aug.augment.transform.print_log', lambda text, **_: said.append(text))
    augment = make_augment()
    scores = sample['keypoints_visible'] * 0.9
    scores[0, 3] = 0.02
    scored = dict(sample, keypoints_visible=scores)
    plan = augment.plan(scored, 0)
    assert plan.source_visible[3] == 0
    assert plan.source_visible[5] > 0
    augment(scored)
    augment(scored)
    assert len(said) == 1
    assert 'scores in the place of flags; joints below 0.3 count as unlabelled' in said[0]


def test_a_refused_person_leaves_the_sample_as_it_was(make_augment, sample):
    before = copy.deepcopy(sample)
    augment = make_augment(check=dict(type='RefuseJoints', joints=list(range(8))))
    assert same(augment(sample), before)
    accepting = make_augment(
        check=dict(type='RefuseJoints', joints=list(range(8))), min_joints_ok=0.3
    )
    assert not same(accepting(sample), before)


def test_an_unsuitable_person_leaves_the_sample_as_it_was(make_augment, sample):
    sample['keypoints_visible'][0, 5:13] = 0
    before = copy.deepcopy(sample)
    augment = make_augment()
    assert same(augment(sample), before)
    with pytest.raises(UnsuitableError, match='torso'):
        augment.plan(sample, 0)


@pytest.mark.parametrize('deferred', [False, True])
def test_that_hardly_anybody_is_suitable_is_warned_of_once(
    make_augment, sample, monkeypatch, deferred
):
    said = []
    monkeypatch.setattr('pg2aug.augment.statistics.print_log', lambda text, **_: said.append(text))
    augment = make_augment()
    augment.deferred = deferred
    torso_less = copy.deepcopy(sample)
    torso_less['keypoints_visible'][0, 5:13] = 0
    for _ in range(60):
        augment(copy.deepcopy(torso_less))
    assert len(said) == 1
    assert 'left 50 of the first 50 persons as they are, mostly for this: the torso' in said[0]
    assert augment.suitable_counts.take() == (60, 0)
    augment(copy.deepcopy(sample))
    assert augment.suitable_counts.take() == (1, 1)
    assert augment.suitable_counts.take() == (0, 0)


def test_reasons_that_differ_in_a_number_are_one(make_augment, sample, monkeypatch):
    said = []
    monkeypatch.setattr('pg2aug.augment.statistics.print_log', lambda text, **_: said.append(text))
    suitability = make_augment().suitable_counts
    for number in range(50):
        suitability.add('the torso' if number % 5 == 0 else f'seen from {number}.5 degrees')
    assert suitability.reasons == {'seen from … degrees': 40, 'the torso': 10}
    assert 'mostly for this: seen from … degrees' in said[0]


def test_where_most_persons_are_suitable_nothing_is_said(make_augment, sample, monkeypatch):
    said = []
    monkeypatch.setattr('pg2aug.augment.statistics.print_log', lambda text, **_: said.append(text))
    augment = make_augment()
    augment.deferred = True
    for _ in range(55):
        augment(copy.deepcopy(sample))
    assert augment.suitable_counts.take() == (55, 55)
    assert not said


def test_a_check_that_passes_what_is_no_label_adds_none(make_augment, sample):
    augment = make_augment(check=dict(type='PassEverything'))
    augment.bank.visible[:, 9] = 0
    result = augment(copy.deepcopy(sample))
    assert not same(result, sample)
    assert result['keypoints_visible'][0].sum() == result['num_keypoints'] == 16
    assert result['keypoints_visible'][0, 9] == 0


class Drawn(Dataset):
    """The random number that draws each sample's pose."""

    def __init__(self, augment, sample):
        self.augment, self.sample = augment, sample

    def __len__(self):
        return 8

    def __getitem__(self, index):
        drawn, draw = [], PoseBank.draw
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PoseBank, 'draw', lambda bank, u: drawn.append(u) or draw(bank, u))
            self.augment.transform(dict(self.sample))
        return drawn[0]


def test_workers_that_are_started_anew_draw_other_poses(make_augment, sample):
    """MMEngine seeds them alike each time."""
    seed_workers = partial(
        worker_init_fn, num_workers=2, rank=0, seed=3, disable_subprocess_warning=True
    )
    augment = make_augment()
    augment.deferred = True
    loader = DataLoader(
        Drawn(augment, sample), batch_size=None, num_workers=2, worker_init_fn=seed_workers
    )
    torch.manual_seed(5)
    epochs = [torch.tensor(list(loader)) for _ in range(2)]
    assert len(torch.cat(epochs).unique()) == sum(epoch.numel() for epoch in epochs)
    torch.manual_seed(5)
    again = torch.tensor(list(loader))
    assert torch.equal(again, epochs[0])


def test_poses_are_drawn_until_one_fits(make_augment, sample, monkeypatch):
    tried = []

    def second_only(**settings):
        tried.append(settings['pose_index'])
        if len(tried) < 3:
            raise UnsuitableError('not yet')
        return plan_person(**settings)

    plan_person = module.plan_person
    monkeypatch.setattr(module, 'plan_person', second_only)
    make_augment(max_draws=3)(sample)
    assert len(tried) == 3
    tried.clear()
    before = copy.deepcopy(sample)
    assert same(make_augment(max_draws=2)(sample), before)


def test_a_person_who_can_take_no_pose_is_tried_once(make_augment, sample, monkeypatch):
    tried, augment = [], make_augment(max_draws=5)
    draw = type(augment.bank).draw
    monkeypatch.setattr(type(augment.bank), 'draw', lambda *a: tried.append(a) or draw(*a))
    half = sample['keypoints_visible'].copy()
    half[0, 15] = 0
    small = sample['keypoints'].mean(axis=1, keepdims=True) + 0.05 * sample['keypoints']
    for change in (dict(keypoints_visible=half), dict(keypoints=small)):
        tried.clear()
        changed = {**sample, **change}
        assert augment(changed) is changed
        assert len(tried) == 1


def test_with_prob_0_everything_is_as_without_it(make_augment, sample):
    before = copy.deepcopy(sample)
    state = np.random.get_state()  # noqa: NPY002
    result = make_augment(prob=0)(sample)
    assert result is sample
    assert same(sample, before)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(state, after, strict=True))


def test_prob_is_the_share_of_replaced_samples(make_augment, sample):
    augment = make_augment(prob=0.3)
    augment.deferred = True
    replaced = sum(augment(sample) is not sample for _ in range(200))
    assert 40 <= replaced <= 80


def test_the_same_seed_gives_the_same_person(make_augment, sample):
    augment = make_augment()
    results = []
    for number in (3, 3, 4):
        seed(number)
        results.append(augment(sample))
    assert same(results[0], results[1])
    assert not np.array_equal(results[0]['keypoints'], results[2]['keypoints'])


def test_mmcv_can_hold_the_random_draws(make_augment, sample):
    augment = make_augment()
    with cache_random_params(augment):
        first, second = augment(sample), augment(sample)
    assert same(first, second)
    assert not same(first, augment(sample))


def test_the_background_is_restored_only_if_asked(make_augment, sample):
    results = []
    for remove in (True, False):
        seed(0)
        results.append(make_augment(remove_source=remove)(sample))
    assert np.array_equal(results[0]['keypoints'], results[1]['keypoints'])
    assert not np.array_equal(results[0]['img'], results[1]['img'])


@pytest.fixture
def people_file(tmp_path):
    """A COCO file of the people in the sample's image, of whom there are none."""
    image = dict(id=1, file_name='figure.png')
    content = dict(images=[image], annotations=[], categories=[])
    (tmp_path / 'people.json').write_text(json.dumps(content))
    return str(tmp_path / 'people.json')


def test_poses_from_too_different_a_side_are_not_taken(make_augment, sample):
    angles = [
        view_angles(plan.target_keypoints[None], plan.target_visible[None], SKELETON)[0]
        for augment in (make_augment(max_view_change=50), make_augment(max_view_change=180))
        for plan in every_plan(augment, sample)
    ]
    seen = view_angles(sample['keypoints'], sample['keypoints_visible'], SKELETON)[0]
    taken = [abs(angle - seen) <= 51 for angle in angles]
    count = len(list(every_plan(make_augment(max_view_change=50), sample)))
    assert 0 < count < len(taken) - count
    assert all(taken[:count])
    assert not all(taken[count:])


def every_plan(augment, sample):
    for index in np.flatnonzero(augment.bank.weights):
        with suppress(UnsuitableError):
            yield augment.plan(sample, int(index))


@pytest.mark.parametrize('degrees', [0, -5, 181])
def test_a_view_change_that_is_no_angle_is_told(make_augment, degrees):
    with pytest.raises(ValueError, match=rf'max_view_change must be in .*, got {degrees}'):
        make_augment(max_view_change=degrees)


def test_a_person_of_other_proportions_keeps_them(make_augment, sample):
    augment, longer = make_augment(), dict(sample, keypoints=sample['keypoints'].copy())
    for knee, ankle in ((13, 15), (14, 16)):
        shin = sample['keypoints'][0, ankle] - sample['keypoints'][0, knee]
        longer['keypoints'][0, ankle] += 0.2 * shin
    ratios = []
    for before, after in zip(
        every_plan(augment, sample), every_plan(augment, longer), strict=False
    ):
        if before.pose_index == after.pose_index:
            joints = np.stack([before.target_keypoints, after.target_keypoints])
            shown = before.target_visible * after.target_visible > 0
            if shown[[13, 15, 7, 9]].all():
                shin = np.linalg.norm(joints[:, 15] - joints[:, 13], axis=1)
                arm = np.linalg.norm(joints[:, 9] - joints[:, 7], axis=1)
                ratios.append((shin[1] / shin[0]) / (arm[1] / arm[0]))
    assert len(ratios) > 3
    assert np.median(ratios) > 1.1


def test_repr_shows_every_argument(make_augment, generator, pose_bank, people_file):
    settings = dict(
        prob=0.25,
        check=dict(type='AppearanceCheck', max_distance=33.5),
        min_joints_ok=0.61,
        min_visible=9,
        max_draws=7,
        remove_source=False,
        refine=False,
        device='cpu',
        neighbours=people_file,
        max_view_change=120.0,
    )
    shown = repr(make_augment(**settings))
    arguments = dict(generator=generator, pose_bank=pose_bank, **settings)
    assert shown.startswith('PG2Augment(')
    assert all(f'{name}={value!r}' in shown for name, value in arguments.items())


def test_it_can_be_repeated_from_its_repr(make_augment):
    augment = make_augment(prob=0.25)
    assert repr(eval(repr(augment), {'PG2Augment': type(augment)})) == repr(augment)
