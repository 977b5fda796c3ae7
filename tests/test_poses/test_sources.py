import json
from pathlib import Path

import numpy as np
import pytest
from pose_samples import COCO, COCO_CATEGORY, people

from pg2aug.poses.read.coco import read_coco_triplets, split_triplets
from pg2aug.poses.read.keypoints_3d import read_keypoints_3d
from pg2aug.poses.read.pose_files import PoseFile, metainfo_skeleton, read_poses

MPII = 'configs/_base_/datasets/mpii.py'
H36M = 'configs/_base_/datasets/h36m.py'
MPII_NAMES = metainfo_skeleton(MPII).keypoint_names
FEET = (('left_ankle', ('left_foot',)), ('right_ankle', ('right_foot',)))


def _write(path, keypoints, **contents):
    triplets = np.concatenate([keypoints, np.full((*keypoints.shape[:2], 1), 2)], axis=-1)
    annotations = [
        {'id': i, 'category_id': 1, 'keypoints': pose.ravel().tolist()}
        for i, pose in enumerate(triplets)
    ]
    path.write_text(json.dumps({'annotations': annotations, **contents}))
    return str(path)


@pytest.fixture
def coco(tmp_path):
    return _write(tmp_path / 'coco.json', people(20), categories=[COCO_CATEGORY])


@pytest.fixture
def mpii(tmp_path):
    """Poses alone: no images, no boxes, no categories."""
    rng = np.random.default_rng(0)
    return _write(tmp_path / 'mpii.json', rng.uniform(0, 100, (5, 16, 2)))


def test_files_of_two_skeletons_become_one(coco, mpii):
    poses = read_poses([PoseFile(coco), PoseFile(mpii, MPII)])
    assert poses.skeleton == COCO
    assert poses.keypoints.shape == (25, 17, 2)
    assert (poses.flags[:20] > 0).all()
    assert (poses.flags[20:] > 0).sum(axis=1).tolist() == [12] * 5
    assert not poses.flags[20:, list(COCO.head)].any()
    first = np.array(json.loads(Path(mpii).read_text())['annotations'][0]['keypoints']).reshape(
        16, 3
    )
    for name in set(COCO.keypoint_names) & set(MPII_NAMES):
        mine, theirs = COCO.keypoint_names.index(name), MPII_NAMES.index(name)
        np.testing.assert_allclose(poses.keypoints[20, mine], first[theirs, :2], rtol=1e-6)
    assert poses.report[0].endswith('coco.json: 17 of 17 joints mapped')
    assert 'mpii.json: 12 of 17 joints mapped; unlabelled: nose' in poses.report[1]
    assert poses.counts['read'] == 25
    assert poses.sizes == (20, 5)
    assert poses.joints == (COCO.keypoint_names, MPII_NAMES)


def test_the_target_may_be_any_skeleton(coco, mpii):
    target = metainfo_skeleton(MPII)
    poses = read_poses([PoseFile(coco), PoseFile(mpii, MPII)], target)
    assert (poses.flags > 0).sum(axis=1).tolist() == [12] * 20 + [16] * 5
    neck = MPII_NAMES.index('upper_neck')
    shoulders = ('left_shoulder', 'right_shoulder')
    poses = read_poses([PoseFile(coco)], target, substitutes=[('upper_neck', shoulders)])
    assert poses.flags[:, neck].all()


def test_names_of_a_metainfo_stand_for_those_of_the_file(tmp_path):
    category = {**COCO_CATEGORY, 'keypoints': [f'j{k}' for k in range(17)]}
    path = _write(tmp_path / 'odd.json', people(3), categories=[category])
    with pytest.raises(ValueError, match='0 of 17 joints mapped; unlabelled: nose'):
        read_poses([PoseFile(path)], COCO)
    crowdpose = {**COCO_CATEGORY, 'skeleton': [[16, 18]]}
    unlinked = _write(tmp_path / 'crowd.json', people(3), categories=[crowdpose])
    with pytest.raises(ValueError, match=r"crowd\.json: .*\[17\] are outside.*'PATH::METAINFO'"):
        read_poses([PoseFile(unlinked)])
    source = PoseFile(path, 'configs/_base_/datasets/coco.py')
    assert read_poses([source], COCO).flags.all()


def test_too_few_joints_in_common_are_named(coco, mpii):
    target = metainfo_skeleton('configs/_base_/datasets/onehand10k.py')
    with pytest.raises(
        ValueError, match=r'11 are needed of a pose.*coco.json.*not used: nose, left'
    ):
        read_poses([PoseFile(coco)], target)
    with pytest.raises(ValueError, match=r'13 are needed.*12 of 17 .*not used: pelvis, thorax'):
        read_poses([PoseFile(mpii, MPII)], COCO, min_visible=13)


def test_nameless_joints_are_refused(mpii, tmp_path):
    with pytest.raises(ValueError, match=r"mpii.json .* needs .*'categories'"):
        read_poses([PoseFile(mpii)], COCO)
    nameless = _write(tmp_path / 'a.json', people(3), categories=[{'id': 1, 'name': 'person'}])
    with pytest.raises(ValueError, match=r'a\.json has 0 lists of joint names.*PATH::METAINFO'):
        read_poses([PoseFile(nameless)], COCO)
    with pytest.raises(ValueError, match='has 48 keypoint values; 17 joints need 51'):
        read_poses([PoseFile(mpii, 'configs/_base_/datasets/coco.py')], COCO)
    with pytest.raises(ValueError, match='no pose with enough labelled joints'):
        read_poses([PoseFile(_write(tmp_path / 'b.json', people(0), categories=[COCO_CATEGORY]))])


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('a/b.json', PoseFile('a/b.json')),
        ('a.npz::h36m.py', PoseFile('a.npz', 'h36m.py')),
    ],
)
def test_a_source_is_a_path_and_a_metainfo(text, expected):
    assert PoseFile.parse(text) == expected
    for wrong in ('', '::h36m.py', 'a.npz::'):
        with pytest.raises(ValueError, match='PATH::METAINFO'):
            PoseFile.parse(wrong)


def _h36m(count=6):
    """People who stand in a world with z up, in metres; the joints of h36m."""
    heights = dict(root=0.9, hip=0.9, knee=0.5, foot=0.1, spine=1.15, thorax=1.4, head=1.75)
    heights |= dict(base=1.5, shoulder=1.4, elbow=1.1, wrist=0.9)
    names = metainfo_skeleton(H36M).keypoint_names
    side = [0.2 * (('left' in name) - ('right' in name)) for name in names]
    up = [heights[next(h for h in heights if h in name.split('_'))] for name in names]
    body = np.stack([side, np.zeros(17), up], axis=-1)
    return body + np.random.default_rng(0).normal(0, 0.02, (count, 17, 3))


def test_3d_keypoints_are_seen_by_cameras(tmp_path):
    path = tmp_path / 'h36m.npz'
    np.savez(path, S=np.concatenate([_h36m(), np.ones((6, 17, 1))], axis=-1))
    poses = read_poses([PoseFile(str(path))], COCO, substitutes=FEET, cameras=5)
    assert poses.keypoints.shape == (30, 17, 2)
    assert (poses.flags > 0).sum(axis=1).tolist() == [12] * 30
    assert 'by substitute: left_ankle from left_foot' in poses.report[0]
    assert poses.counts == {'read': 6, 'views of 3-D poses': 30, 'few joints': 0}
    shoulder, ankle = (COCO.keypoint_names.index(f'left_{n}') for n in ('shoulder', 'ankle'))
    assert (poses.keypoints[:, shoulder, 1] < poses.keypoints[:, ankle, 1] - 50).all()
    with pytest.raises(ValueError, match='has no limbs: name the skeleton'):
        read_poses([PoseFile(str(path))])


def test_3d_arrays_of_several_shapes(tmp_path):
    names = metainfo_skeleton(H36M).keypoint_names
    body = _h36m()
    body[0, 3] = np.nan
    np.save(tmp_path / 'people.npy', body.reshape(3, 2, 17, 3))
    np.savez(tmp_path / 'named.npz', keypoints_3d=body, keypoint_names=np.array(names))
    first = read_keypoints_3d(tmp_path / 'people.npy', names)
    second = read_keypoints_3d(tmp_path / 'named.npz')
    for keypoints, visible, found in (first, second):
        assert found == names
        assert np.nonzero(~visible) == (0, 3)
        np.testing.assert_array_equal(keypoints[visible], body[visible])
        assert np.isfinite(keypoints).all()


def test_mpii_s_own_list_is_read(tmp_path):
    poses = people(4)[:, :16]
    shown = np.ones((4, 16), int)
    shown[1, 3] = 0
    entries = [
        {'joints': pose.tolist(), 'joints_vis': seen.tolist(), 'image': 'a.jpg'}
        for pose, seen in zip(poses, shown, strict=True)
    ]
    (tmp_path / 'mpii.json').write_text(json.dumps(entries))
    triplets, _, counts = read_coco_triplets(tmp_path / 'mpii.json', [f'j{k}' for k in range(16)])
    np.testing.assert_allclose(triplets[..., :2], poses)
    np.testing.assert_array_equal(triplets[..., 2], 2 * shown)
    assert counts['read'] == 4


def test_the_lists_of_coco_wholebody_are_one_pose(tmp_path):
    path = tmp_path / 'whole.json'
    sizes = dict(foot_kpts=6, face_kpts=68, lefthand_kpts=21, righthand_kpts=21)
    body = people(2)
    _write(path, body, categories=[COCO_CATEGORY])
    content = json.loads(path.read_text())
    for annotation in content['annotations']:
        # Of hands the third value is a score.
        annotation.update({name: [7.0, 8.0, 0.3] * count for name, count in sizes.items()})
        annotation['keypoints'][5::6] = [1] * len(annotation['keypoints'][5::6])
    path.write_text(json.dumps(content))
    whole = 'configs/_base_/datasets/coco_wholebody.py'
    poses = read_poses([PoseFile(str(path), whole)])
    assert poses.keypoints.shape == (2, 133, 2)
    np.testing.assert_allclose(poses.keypoints[:, :17], body, atol=1e-4)
    assert (poses.keypoints[:, 17:] == [7, 8]).all()
    assert poses.flags[0, :5].tolist() == [2, 1, 2, 1, 2]
    assert (poses.flags[:, 17:] == 2).all()
    assert read_poses([PoseFile(str(path))]).keypoints.shape == (2, 17, 2)


def test_a_score_of_1_is_no_flag():
    scores = np.array([[1.0, 0.93, 0.0, 1.0], [1, 2, 0, 1]])
    triplets = np.concatenate([np.ones((2, 4, 2)), scores[..., None]], axis=-1)
    _, flags = split_triplets(triplets)
    assert flags.tolist() == [[2, 2, 0, 2], [1, 2, 0, 1]]


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.npz', b'PK\x03\x04 no archive', r'a\.npz: BadZipFile'),
        ('a.npy', b'no array', r'a\.npy: .*pickled'),
        ('a.json', b'{"annotations": [null], "categories": []}', r'a\.json'),
        ('b.json', dict(skeleton=[]), r'b\.json: the skeleton of 17 joints has no limbs'),
        ('b.json', dict(skeleton=[[0, 1]]), r'b\.json: joint indices \[-1\].*counts joints from 1'),
    ],
)
def test_errors_name_their_file(tmp_path, coco, name, content, message):
    path = tmp_path / name
    if isinstance(content, dict):
        _write(path, people(3), categories=[COCO_CATEGORY | content])
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_poses([PoseFile(str(path)), PoseFile(coco)])


def test_bad_3d_files_are_refused(tmp_path):
    np.save(tmp_path / 'a.npy', _h36m())
    np.save(tmp_path / 'flat.npy', _h36m()[..., :2])
    np.savez(tmp_path / 'other.npz', joints=_h36m())
    for name, names, message in [
        ('a.npy', None, 'does not name its 17 joints'),
        ('a.npy', ['nose'], 'has 17 joints, but 1 names'),
        ('flat.npy', None, r'must hold \(N, K, 3\)'),
        ('other.npz', None, r"has no 'keypoints_3d', only \['joints'\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            read_keypoints_3d(tmp_path / name, names)
