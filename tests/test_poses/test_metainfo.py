from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from pg2aug.poses import Skeleton
from pg2aug.poses.read.metainfo import read_metainfo

DATASETS = Path(find_spec('mmpose').submodule_search_locations[0], '.mim/configs/_base_/datasets')
FILES = sorted(DATASETS.glob('*.py'))
JOINTS = {0: dict(name='nose', swap=''), 1: dict(name='left_eye', swap='right_eye')}
JOINTS[2] = dict(name='right_eye', swap='left_eye')


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_metainfo_is_read_as_mmpose_reads_it(file):
    ours = read_metainfo(dict(from_file=str(file)))
    theirs = parse_pose_metainfo(dict(from_file=str(file)))
    for key in ('keypoint_id2name', 'flip_indices', 'skeleton_links'):
        assert ours[key] == theirs[key], key
    np.testing.assert_array_equal(ours['sigmas'], theirs['sigmas'])


def test_a_file_that_is_not_here_is_mmposes_and_else_an_error():
    named = read_metainfo(dict(from_file='configs/_base_/datasets/mpii.py'))
    assert named['keypoint_id2name'][9] == 'head_top'
    with pytest.raises(FileNotFoundError, match=r"'none\.py' does not exist.*correct the path"):
        read_metainfo(dict(from_file='none.py'))


def test_a_dict_is_enough_and_joints_without_swap_are_their_own_mirror():
    links = {0: dict(link=('nose', 'left_eye'))}
    skeleton = Skeleton.from_metainfo(
        read_metainfo(dict(keypoint_info=JOINTS, skeleton_info=links))
    )
    assert skeleton.keypoint_names == ('nose', 'left_eye', 'right_eye')
    assert skeleton.flip_indices == (0, 2, 1)
    assert skeleton.limbs == ((0, 1),)


@pytest.mark.parametrize(
    ('metainfo', 'words'),
    [
        (dict(keypoint_info=JOINTS), r"lacks \['skeleton_info'\].*from_file"),
        (dict(keypoint_info=JOINTS, skeleton_info={0: dict(link=('nose', 'ear'))}), "'ear'.*nose"),
    ],
)
def test_metainfo_of_no_skeleton_is_refused(metainfo, words):
    with pytest.raises(ValueError, match=words):
        read_metainfo(metainfo)


def test_a_file_without_dataset_info_is_refused(tmp_path):
    path = tmp_path / 'other.py'
    path.write_text('model = dict()\n')
    with pytest.raises(ValueError, match=r"other\.py' defines no 'dataset_info'"):
        read_metainfo(dict(from_file=str(path)))
