from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from pg2aug.poses import Skeleton
from pg2aug.poses.read.metainfo import mmpose_metainfo, read_metainfo

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


PROGRAM = (
    "open('ran', 'w')\ndataset_info = dict(dataset_name='x', keypoint_info={}, skeleton_info={})"
)


@pytest.fixture
def strange_folder(tmp_path, monkeypatch):
    """A current folder in which a program lies under the name of MMPose's coco.py."""
    for name in ('coco.py', 'coco_openpose.py', 'only_here.py'):
        path = tmp_path / 'configs/_base_/datasets' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_name_of_mmposes_files_runs_no_file_of_the_current_folder(strange_folder):
    name = 'configs/_base_/datasets/coco.py'
    with pytest.warns(UserWarning, match=r"that of MMPose, .*write '\./configs/_base_/datasets/co"):
        read = read_metainfo(dict(from_file=name))
    assert len(read['keypoint_id2name']) == 17
    assert len(mmpose_metainfo('coco_openpose.py')['keypoint_id2name']) == 18
    assert not Path('ran').exists()
    with pytest.raises(FileNotFoundError, match='MMPose has none of its name'):
        mmpose_metainfo('only_here.py')
    assert not Path('ran').exists()


@pytest.mark.parametrize('name', ['./configs/_base_/datasets/coco.py', 'only_here', 'absolute'])
def test_a_file_that_is_named_is_the_one_that_is_read(strange_folder, name):
    if name == 'only_here':
        name = 'configs/_base_/datasets/only_here.py'
    elif name == 'absolute':
        name = str(strange_folder / 'configs/_base_/datasets/coco.py')
    assert read_metainfo(dict(from_file=name))['keypoint_id2name'] == {}
    assert Path('ran').exists()


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('dataset_info = [', 'cannot be read: SyntaxError'),
        ('dataset_info = 3', "defines no 'dataset_info'"),
        ('dataset_info = dict(keypoint_info=3, skeleton_info={})', 'is a int, not a dict'),
        ('dataset_info = dict(keypoint_info={0: 3}, skeleton_info={})', "needs 'name'"),
        ("dataset_info = dict(keypoint_info={'a': dict(name='b')}, skeleton_info={})", 'whole'),
        ('dataset_info = dict(keypoint_info={0: dict(name=[])}, skeleton_info={})', 'a text'),
        ('dataset_info = dict(keypoint_info={}, skeleton_info={0: {}})', "needs 'link'"),
        ('dataset_info = dict(keypoint_info={}, skeleton_info={0: dict(link=3)})', 'two joints'),
        ("dataset_info = dict(keypoint_info={}, skeleton_info={}, sigmas='a')", 'no numbers'),
        ('raise RuntimeError(3)', 'cannot be read: RuntimeError: 3'),
    ],
)
def test_a_broken_file_is_refused_by_its_name(tmp_path, text, words):
    path = tmp_path / 'broken.py'
    path.write_text(text)
    with pytest.raises(ValueError, match=rf'broken\.py.*{words}'):
        read_metainfo(dict(from_file=str(path)))
