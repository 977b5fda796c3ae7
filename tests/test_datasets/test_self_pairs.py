"""Training pairs of single images: the same person twice, sent through another pose."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import COCO_METAINFO
from mmengine.logging import MMLogger
from torch.utils.data import default_collate

from pg2aug.datasets import PersonPairDataset
from pg2aug.datasets.pairing import RepeatedInstances
from pg2aug.datasets.via_poses import ViaPoses
from pg2aug.figures import make_figures
from pg2aug.models import PG2DataPreprocessor
from pg2aug.poses import PoseBank, Skeleton, person_limb_radius
from pg2aug.registry import DATASETS

SIZE = (48, 64)
INSTANCES = 12


@pytest.fixture(scope='module')
def people(tmp_path_factory):
    """Config of a data set without identities."""
    folder = tmp_path_factory.mktemp('people')
    path = make_figures(folder, 3, 4, size=(72, 96), rare_fraction=0.2, seed=5)
    content = json.loads(path.read_text())
    for annotation in content['annotations']:
        del annotation['person_id']
    path.write_text(json.dumps(content))
    return dict(
        type='CocoDataset',
        data_root=str(folder),
        ann_file=path.name,
        data_prefix=dict(img='images/train/'),
    )


@pytest.fixture(scope='module')
def bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bank')
    path = make_figures(folder, 2, 5, size=(72, 96), rare_fraction=1.0, seed=3)
    PoseBank.load(path).save(folder / 'bank.npz')
    return folder / 'bank.npz'


@pytest.fixture
def make_pairs(people):
    def make(**options):
        return PersonPairDataset(people, **{'size': SIZE, 'pairing': 'self', **options})

    return make


def is_mirrored(item):
    return torch.equal(item['condition_image'], item['target_image'].flip(-1))


def same(a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) if isinstance(a[k], torch.Tensor) else a[k] == b[k] for k in a
    )


def test_without_identities_only_self_pairs_can_be_made(people, make_pairs):
    with pytest.raises(ValueError, match='no identity has two usable instances'):
        PersonPairDataset(people, size=SIZE)
    assert len(make_pairs()) == 2 * INSTANCES * INSTANCES
    assert len(make_pairs(flip=False, num_pairs=30)) == 30


def test_condition_and_target_are_the_same_true_image(make_pairs):
    pairs = make_pairs(flip=False)
    true = {pairs.dataset.get_data_info(i)['id'] for i in range(INSTANCES)}
    seen = set()
    for index in range(INSTANCES):
        item = pairs[index]
        assert item['condition_id'] == item['target_id'] == item['person_id']
        seen.add(item['target_id'])
        if not is_mirrored(item):
            for name in ('image', 'keypoints', 'visible', 'radius'):
                assert torch.equal(item[f'condition_{name}'], item[f'target_{name}'])
    assert seen == true, 'every person comes once before anyone comes again'


def test_the_target_is_never_mirrored_and_the_condition_in_half_of_the_pairs(make_pairs):
    pairs = make_pairs(flip=False)
    mirrored = 0
    for index in range(len(pairs)):
        item, plain = pairs[index], pairs[index % INSTANCES]
        assert torch.equal(item['target_image'], plain['target_image'])
        mirrored += is_mirrored(item)
    assert 0.35 < mirrored / len(pairs) < 0.65


def test_a_mirrored_condition_has_its_joints_swapped(make_pairs):
    pairs = make_pairs(flip=False)
    item = next(item for item in pairs if is_mirrored(item))
    flip = pairs.metainfo['flip_indices']
    expected = item['target_keypoints'][flip]
    expected[:, 0] = SIZE[0] - 1 - expected[:, 0]
    shown = item['condition_visible'] > 0
    assert torch.equal(item['condition_visible'], item['target_visible'][flip])
    torch.testing.assert_close(item['condition_keypoints'][shown], expected[shown])


def test_in_the_second_half_the_target_is_mirrored(make_pairs):
    pairs = make_pairs(num_pairs=20)
    for index in range(20):
        item, mirrored = pairs[index], pairs[20 + index]
        assert torch.equal(mirrored['target_image'], item['target_image'].flip(-1))
        assert torch.equal(mirrored['condition_image'], item['condition_image'].flip(-1))


def test_items_depend_on_the_index_and_the_seed_alone(make_pairs):
    pairs, again, other = make_pairs(), make_pairs(), make_pairs(seed=1)
    order = [5, 100, 3, 250]
    first = {index: pairs[index] for index in order}
    assert all(same(first[index], again[index]) for index in reversed(order))
    assert not all(same(first[index], other[index]) for index in order)
    # Another turn of the same person goes through another pose.
    poses = [pairs[turn * INSTANCES]['via_keypoints'] for turn in range(INSTANCES)]
    assert len({tuple(pose.ravel().tolist()) for pose in poses}) > 3


def test_via_is_a_pose_of_the_bank_as_large_as_the_person(make_pairs, bank):
    pairs = make_pairs(pose_bank=str(bank), flip=False)
    poses, limbs = PoseBank.load(bank), pairs.skeleton.limbs
    for index in range(0, len(pairs), 7):
        item = pairs[index]
        via, shown = item['via_keypoints'].numpy(), item['via_visible'].numpy() > 0
        assert shown[list(pairs.skeleton.torso)].all()
        assert (via[~shown] == 0).all()
        assert (via[shown] > -0.5).all()
        assert (via[shown] < np.array(SIZE) - 0.5).all()
        residuals = [
            similarity_residual(pose, visible, via, shown)
            for pose, visible in zip(poses.keypoints, poses.visible, strict=True)
        ]
        assert min(residuals) < 1e-2
        own = person_limb_radius(via, shown, limbs)
        # At least as thick as its own limbs say, and no giant.
        assert own * 0.99 <= item['via_radius'] < 2.5 * own


def similarity_residual(pose, visible, other, other_visible):
    """Of the best scale and shift from a pose to another, in pixels; infinite for other joints."""
    if not np.array_equal(visible, other_visible):
        return np.inf
    a, b = pose[visible].astype(np.float64), other[visible].astype(np.float64)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = (a * b).sum() / (a * a).sum()
    return np.abs(scale * a - b).max()


def test_rare_poses_are_drawn_more_often(make_pairs, bank):
    found = PoseBank.load(bank)
    rare = np.zeros(len(found))
    rare[found.weights.argmax()] = 1
    torso = list(found.skeleton.torso)
    assert found.visible[found.weights.argmax(), torso].all()
    only = replace(found, weights=rare)
    only.save(bank.parent / 'only.npz')
    pairs = make_pairs(pose_bank=str(bank.parent / 'only.npz'), flip=False)
    pose, visible = found.keypoints[rare > 0][0], found.visible[rare > 0][0]
    for index in range(INSTANCES):
        item = pairs[index]
        via, shown = item['via_keypoints'].numpy(), item['via_visible'].numpy() > 0
        assert similarity_residual(pose, visible, via, shown) < 1e-2


def test_persons_whose_joints_coincide_are_dropped_and_counted(people, monkeypatch, tmp_path):
    content = json.loads((Path(people['data_root']) / people['ann_file']).read_text())
    annotation = content['annotations'][3]
    annotation['keypoints'] = [20, 30, 2] * 17
    (tmp_path / 'point.json').write_text(json.dumps(content))
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handle', lambda record: lines.append(record.getMessage()))
    folder = Path(people['data_root']) / people['data_prefix']['img']
    config = dict(
        people,
        data_root='',
        ann_file=str(tmp_path / 'point.json'),
        data_prefix=dict(img=str(folder)),
    )
    pairs = PersonPairDataset(config, size=SIZE, pairing='self', flip=False)
    ids = {pairs[index]['target_id'] for index in range(INSTANCES - 1)}
    assert len(ids) == INSTANCES - 1
    assert annotation['id'] not in ids
    assert '1 whose labelled joints all coincide' in '\n'.join(lines)


def test_poses_without_a_whole_torso_are_not_drawn(make_pairs, bank):
    found = PoseBank.load(bank)
    hip = found.skeleton.torso[-1]
    visible = found.visible.copy()
    visible[:-1, hip] = False
    assert visible[-1].sum() > 8
    cropped = replace(found, visible=visible, weights=np.full(len(found), 1 / len(found)))
    cropped.save(bank.parent / 'cropped.npz')
    pairs = make_pairs(pose_bank=str(bank.parent / 'cropped.npz'), flip=False)
    assert all(pairs[index]['via_visible'][hip] for index in range(INSTANCES))
    visible[:, hip] = False
    replace(cropped, visible=visible).save(bank.parent / 'none.npz')
    with pytest.raises(
        ValueError, match=f'none of the {len(found)} poses of the bank may be drawn'
    ):
        make_pairs(pose_bank=str(bank.parent / 'none.npz'))


def test_a_person_whom_no_pose_fits_stays_in_its_own(bank):
    found = PoseBank.load(bank)
    forearm = [7, 9]
    visible = found.visible.copy()
    visible[:, [7, 8, 9, 10]] = False
    via = ViaPoses(replace(found, visible=visible), found.skeleton, SIZE, 1.25, seed=0)
    keypoints, shown = np.zeros((17, 2)), np.zeros(17)
    keypoints[forearm], shown[forearm] = [[100, 200], [140, 290]], 1
    pose, pose_shown, radius, _ = via.draw(0, keypoints, shown)
    assert np.flatnonzero(pose_shown).tolist() == forearm
    assert radius > 0
    assert similarity_residual(keypoints, shown > 0, pose, pose_shown > 0) < 1e-3


def test_items_collate_with_everything_the_preprocessor_takes(make_pairs):
    pairs = make_pairs()
    batch = default_collate([pairs[0], pairs[1], pairs[2]])
    assert batch['via_keypoints'].shape == (3, 17, 2)
    assert batch['via_visible'].shape == (3, 17)
    for role in ('condition', 'target', 'via'):
        assert batch[f'{role}_radius'].shape == (3,)
        assert (batch[f'{role}_radius'] > 0.5).all()
        for name in ('keypoints', 'visible', 'radius'):
            assert batch[f'{role}_{name}'].dtype == torch.float32


def test_identity_pairs_have_no_via(tmp_path):
    make_figures(tmp_path, 2, 2, size=(72, 96), seed=5)
    config = dict(
        type='CocoDataset',
        data_root=str(tmp_path),
        ann_file='person_keypoints_train.json',
        data_prefix=dict(img='images/train/'),
    )
    item = PersonPairDataset(config, size=SIZE)[0]
    assert not any(key.startswith('via') for key in item)
    for role in ('condition', 'target'):
        joints = item[f'{role}_keypoints'].numpy(), item[f'{role}_visible'].numpy()
        limbs = Skeleton.from_metainfo(PersonPairDataset(config, size=SIZE).metainfo).limbs
        # The same person, and no joint beyond the crop: the radius is told by what is in it.
        if (joints[1] > 0).all():
            assert item[f'{role}_radius'] == pytest.approx(person_limb_radius(*joints, limbs))


def test_the_condition_is_damaged_and_its_warp_leads_back_near_the_truth(make_pairs):
    pairs = make_pairs(flip=False)
    items = [item for item in map(pairs.__getitem__, range(48)) if not is_mirrored(item)]
    batch = PG2DataPreprocessor(COCO_METAINFO, 2.0, foreground=True, aligned=True)(
        default_collate(items)
    )
    covered = (batch['warp'][:, 3:] > 0.9) & (batch['mask'] > 0)
    error = {
        name: (batch[name][:, :3] - batch['target']).abs().mean(dim=1, keepdim=True)[covered]
        for name in ('condition', 'warp')
    }
    assert covered.sum() > 0.5 * batch['mask'].sum()
    assert error['condition'].mean() > 0.15
    assert 0.01 < error['warp'].mean() < 0.5 * error['condition'].mean()


def test_bad_arguments_are_told(make_pairs, people, bank, tmp_path):
    with pytest.raises(ValueError, match=r"pairing must be 'identity' or 'self', got 'both'"):
        make_pairs(pairing='both')
    with pytest.raises(ValueError, match=r"pose_bank is for pairing='self' only"):
        make_pairs(pairing='identity', pose_bank=str(bank))
    with pytest.raises(FileNotFoundError, match=r'gone\.npz'):
        make_pairs(pose_bank=str(tmp_path / 'gone.npz'))
    with pytest.raises(ValueError, match=r'num_pairs=145 but the dataset has 144 pairs'):
        make_pairs(num_pairs=INSTANCES * INSTANCES + 1)


def test_a_bank_of_other_joints_is_refused(make_pairs, bank, tmp_path):
    found = PoseBank.load(bank)
    names = ('chin', *found.skeleton.keypoint_names[1:])
    parts = found.skeleton
    other = Skeleton(names, parts.limbs, parts.flip_indices, parts.torso, parts.head)
    replace(found, skeleton=other).save(tmp_path / 'other.npz')
    with pytest.raises(
        ValueError, match=r"other\.npz' has another skeleton: joint 0 is 'chin'.*::METAINFO"
    ):
        make_pairs(pose_bank=str(tmp_path / 'other.npz'))


def test_that_nobody_is_usable_is_told_without_a_word_of_identities(make_pairs):
    with pytest.raises(ValueError, match='18 labelled joints') as error:
        make_pairs(min_visible=18)
    assert 'identity' not in str(error.value)
    assert 'min_visible' in str(error.value)


def test_the_number_of_pairs_is_logged(make_pairs, monkeypatch):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handle', lambda record: lines.append(record.getMessage()))
    make_pairs()
    text = '\n'.join(lines)
    assert f'{INSTANCES} usable instances, {INSTANCES * INSTANCES} pairs' in text


def test_repeated_instances_are_every_member_with_itself():
    pairs = RepeatedInstances(3, 2)
    assert list(pairs) == [(0, 0), (1, 1), (2, 2)] * 2
    assert len(pairs) == 6
    for index in (-1, 6):
        with pytest.raises(IndexError, match=f'pair {index} of 6'):
            pairs[index]


def test_it_is_built_by_name(people):
    config = dict(type='pg2aug.PersonPairDataset', dataset=people, size=SIZE, pairing='self')
    assert DATASETS.build(config)[3]['via_keypoints'].shape == (17, 2)


def with_values(people, folder, change):
    """The same people, after a change of the first annotation."""
    content = json.loads(Path(people['data_root'], people['ann_file']).read_text())
    change(content['annotations'][0])
    path = folder / 'changed.json'
    path.write_text(json.dumps(content))
    return dict(people, ann_file=str(path))


# MMPose cuts an infinite box off at the border of the image.
@pytest.mark.parametrize(
    ('name', 'value'), [('keypoints', np.nan), ('keypoints', np.inf), ('bbox', np.nan)]
)
def test_who_is_not_at_a_finite_place_is_dropped_and_counted(
    people, tmp_path, monkeypatch, name, value
):
    def change(annotation):
        annotation[name][0] = value
        annotation['keypoints'][2] = 2

    said = []
    monkeypatch.setattr(
        'pg2aug.datasets.person_pairs.print_log', lambda text, **_: said.append(text)
    )
    changed = with_values(people, tmp_path, change)
    pairs = PersonPairDataset(changed, size=SIZE, pairing='self', flip=False)
    assert '1 with a labelled joint or a box that is not finite' in said[0]
    assert len(pairs) == (INSTANCES - 1) ** 2
    for item in (pairs[i] for i in range(0, len(pairs), 7)):
        assert all(v.isfinite().all() for v in item.values() if isinstance(v, torch.Tensor))
