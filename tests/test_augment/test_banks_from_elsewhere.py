"""Poses of data sets that mark no face, for a generator that knows faces."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from augment_world import SIZE, SKELETON, make_figure, make_sample
from helpers import COCO_METAINFO

from pg2aug.augment import PG2Augment
from pg2aug.augment.eligibility import restrict_bank
from pg2aug.poses import PoseBank
from pg2aug.poses.read.pose_files import metainfo_skeleton

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'build_pose_bank.py'
COCO_FILE, MPII_FILE, AIC_FILE = (
    f'configs/_base_/datasets/{n}.py' for n in ('coco', 'mpii', 'aic')
)
GENERATOR = dict(type='LimbWarpGenerator', metainfo=COCO_METAINFO, size=SIZE)
NOSE, MPII_NOSE, AIC_NOSE = 0, 'nose=upper_neck+head_top', 'nose=neck+head_top'


def without_a_face(figure, names):
    """The joints of a figure as another data set marks them, COCO triplets."""
    joints = dict(zip(SKELETON.keypoint_names, figure.keypoints, strict=True))
    neck = (joints['left_shoulder'] + joints['right_shoulder']) / 2
    pelvis = (joints['left_hip'] + joints['right_hip']) / 2
    up = joints['nose'] - neck
    joints |= dict(neck=neck, thorax=neck, pelvis=pelvis)
    joints |= dict(upper_neck=neck + 0.4 * up, head_top=neck + 1.6 * up)
    return np.array([(*joints[name], 2) for name in names]).ravel().tolist()


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('elsewhere')
    figures = [make_figure(seed=seed) for seed in range(12)]
    for name, config in (('mpii', MPII_FILE), ('aic', AIC_FILE), ('coco', COCO_FILE)):
        names = metainfo_skeleton(config).keypoint_names
        poses = [without_a_face(figure, names) for figure in figures]
        annotations = [dict(id=i, category_id=1, keypoints=pose) for i, pose in enumerate(poses)]
        (folder / f'{name}.json').write_text(json.dumps(dict(annotations=annotations)))
    paths = {name: folder / f'{name}.json' for name in ('mpii', 'aic', 'coco')}
    return [
        f'{paths["mpii"]}::{MPII_FILE}',
        f'{paths["aic"]}::{AIC_FILE}',
        f'{paths["coco"]}::{COCO_FILE}',
    ]


@pytest.fixture
def build(tmp_path):
    def run(files, *substitutes):
        options = ['--metainfo', COCO_FILE, '--out', str(tmp_path / 'bank.npz'), '--overwrite']
        options += ['--map', *substitutes] if substitutes else []
        assert runpy.run_path(str(TOOL))['main']([*files, *options]) == 0
        return str(tmp_path / 'bank.npz')

    return run


def test_without_a_head_the_tool_and_the_transform_name_the_remedy(files, build, capsys):
    bank = build(files[:2])
    told = capsys.readouterr().out
    assert told.count('0 of 12 poses can be targets of a person') == 2
    assert f'--map {MPII_NOSE}' in told
    assert f'--map {AIC_NOSE}' in told
    with pytest.raises(ValueError, match=r'pg2aug bank --map, e.g. nose=upper_neck\+head'):
        PG2Augment(GENERATOR, bank)


def test_poses_that_are_not_used_are_told_of(files, build, capfd):
    bank = build([files[0], files[2]])
    capfd.readouterr()
    augment = PG2Augment(GENERATOR, bank)
    told = ''.join(capfd.readouterr())
    assert '12 of 24 drawable poses are not used' in told
    assert '--map' in told
    assert augment.bank.weights[:12].sum() == 0


@pytest.mark.parametrize(('unused', 'warned'), [(7, False), (8, True)])
def test_from_a_quarter_of_the_poses_on_that_are_not_used_the_remedy_is_named(
    capfd, unused, warned
):
    visible = np.ones((30, 17))
    visible[:unused, SKELETON.head] = 0
    keypoints = np.stack([make_figure(seed=seed).keypoints for seed in range(30)])
    bank = PoseBank.from_poses(keypoints, visible, SKELETON)
    capfd.readouterr()
    restrict_bank(bank, SKELETON, 8, 'bank')
    told = ''.join(capfd.readouterr())
    assert f'bank: {unused} of 30 drawable poses are not used' in told
    assert ('--map' in told) == ('WARNING' in told) == warned


def test_a_file_of_other_names_is_refused_and_the_way_out_named(files, build, tmp_path):
    """As AP-10K, whose file has other names than MMPose for the same joints."""
    source = Path(files[2].partition('::')[0])
    names = ['muzzle', *SKELETON.keypoint_names[1:]]
    limbs = [[a + 1, b + 1] for a, b in SKELETON.limbs]
    category = dict(id=1, name='person', keypoints=names, skeleton=limbs)
    path = tmp_path / 'other.json'
    path.write_text(json.dumps({**json.loads(source.read_text()), 'categories': [category]}))
    words = "'muzzle', not 'nose'; to build a bank .* 'PATH::METAINFO' for pg2aug bank"
    with pytest.raises(ValueError, match=words):
        PG2Augment(GENERATOR, str(path))
    assert len(PG2Augment(GENERATOR, build([f'{path}::{COCO_FILE}'])).bank) == 12


def test_the_remedy_makes_people_in_their_poses(files, build, capsys):
    path = build(files[:2], MPII_NOSE, AIC_NOSE)
    told = capsys.readouterr().out
    assert told.count('12 of 12 poses can be targets of a person') == 2
    assert 'nose from neck and head_top' in told
    bank = PoseBank.load(path)
    assert bank.visible[:, NOSE].all()
    # The middle of both, which the figures have at 1 and at 0.8 of the way from neck to nose.
    shoulders = bank.keypoints[:, list(SKELETON.torso[:2])].mean(axis=1)
    expected = np.array(
        [figure.keypoints[NOSE] for figure in (make_figure(seed=seed) for seed in range(12))]
    )
    lengths = np.linalg.norm(expected - shoulders[:12], axis=1)
    for first, share in ((0, 1.0), (12, 0.8)):
        found = np.linalg.norm((bank.keypoints[:, NOSE] - shoulders)[first : first + 12], axis=1)
        np.testing.assert_allclose(found, share * lengths, rtol=1e-4)
    augment = PG2Augment(GENERATOR, path, prob=1, check=None, device='cpu')
    sample = make_sample(seed=30)
    before = sample['img'].copy()
    made = augment.transform(sample)
    assert made['keypoints_visible'][0].sum() == 13
    assert np.abs(made['img'].astype(int) - before).max() > 50
