import json
import warnings

import pytest
from pose_samples import COCO_CATEGORY

from pg2aug.poses import Skeleton, check_same_joints, describe_differences

TORSO = ('left_shoulder', 'right_shoulder', 'right_hip', 'left_hip')


def _metainfo(name: str) -> dict:
    utils = pytest.importorskip('mmpose.datasets.datasets.utils')
    with warnings.catch_warnings():
        # The path is found in the installed MMPose, which warns that it is not in this folder.
        warnings.simplefilter('ignore', UserWarning)
        return utils.parse_pose_metainfo({'from_file': f'configs/_base_/datasets/{name}.py'})


def _names(skeleton: Skeleton, joints: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(skeleton.keypoint_names[k] for k in joints)


@pytest.mark.parametrize(
    ('name', 'count', 'torso', 'head'),
    [
        ('coco', 17, TORSO, ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear')),
        ('crowdpose', 14, TORSO, ('top_head',)),
        ('mpii', 16, TORSO, ('head_top',)),
        ('aic', 14, TORSO, ('head_top',)),
        ('ap10k', 17, ('L_Shoulder', 'R_Shoulder', 'R_Hip', 'L_Hip'), ('L_Eye', 'R_Eye', 'Nose')),
        ('halpe26', 26, TORSO, ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'head')),
        ('h36m', 17, TORSO, ('head',)),
        ('animalpose', 20, (), ('L_Eye', 'R_Eye', 'L_EarBase', 'R_EarBase', 'Nose')),
    ],
)
def test_mmpose_metainfo_gives_joints_torso_and_head(name, count, torso, head):
    skeleton = Skeleton.from_metainfo(_metainfo(name))
    assert skeleton.num_keypoints == count
    assert _names(skeleton, skeleton.torso) == torso
    assert _names(skeleton, skeleton.head) == head
    tops = ('head_top', 'top_head', 'head')
    assert _names(skeleton, skeleton.crown) == tuple(name for name in head if name in tops)


@pytest.mark.parametrize(
    'name',
    [
        *('coco', 'crowdpose', 'mpii', 'aic', 'ap10k', 'animalpose', 'halpe26', 'h36m'),
        *('jhmdb', 'posetrack18', 'ak', 'zebra', 'fly', 'atrw', 'coco_openpose'),
    ],
)
def test_flip_pairs_read_from_names_are_those_of_mmpose(name):
    expected = Skeleton.from_metainfo(_metainfo(name))
    limbs = [[a + 1, b + 1] for a, b in expected.limbs]
    category = {'keypoints': list(expected.keypoint_names), 'skeleton': limbs}
    assert Skeleton.from_coco_category(category) == expected


def test_metainfo_survives_a_json_round_trip():
    metainfo = _metainfo('coco')
    keys = ('keypoint_id2name', 'skeleton_links', 'flip_indices')
    stored = json.loads(json.dumps({key: metainfo[key] for key in keys}))
    assert Skeleton.from_metainfo(stored) == Skeleton.from_metainfo(metainfo)


def test_raw_metainfo_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match='parse_pose_metainfo'):
        Skeleton.from_metainfo({'keypoint_info': {}, 'skeleton_info': {}})


@pytest.mark.parametrize(
    ('left', 'right'),
    [
        *(('left_eye', 'right_eye'), ('L_Eye', 'R_Eye'), ('l_eye', 'r_eye'), ('leye', 'reye')),
        *(('LeftEye', 'RightEye'), ('Eye_Left', 'Eye_Right'), ('eyeL', 'eyeR')),
        *(('LEye', 'REye'), ('left-eye', 'right-eye'), ('LEFT_EYE', 'RIGHT_EYE')),
    ],
)
def test_every_spelling_of_sides_pairs(left, right):
    names = [left, 'nose', 'leg', right]
    skeleton = Skeleton.from_coco_category({'keypoints': names, 'skeleton': [[1, 2]]})
    assert skeleton.flip_indices == (3, 1, 2, 0)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'skeleton': []}, 'no limbs.*add links'),
        ({'skeleton': [[1, 99]]}, r'\[98\] are outside 0..16'),
        ({'keypoints': []}, "no 'keypoints'"),
        ({'keypoints': ['nose', 'left_eye']}, "'left_eye' must have exactly one opposite"),
        ({'keypoints': ['nose', 'nose']}, 'unique'),
    ],
)
def test_unusable_category_is_refused_with_the_reason(change, message):
    with pytest.raises(ValueError, match=message):
        Skeleton.from_coco_category({**COCO_CATEGORY, **change})


def test_the_mask_of_openpose_has_the_limbs_of_the_authors():
    """17 of MMPose's, and neck to ears, ear to ear, the sides and the bottom of the torso."""
    skeleton = Skeleton.from_metainfo(_metainfo('coco_openpose'))
    names = {frozenset(skeleton.keypoint_names[k] for k in limb) for limb in skeleton.mask_limbs}
    assert len(skeleton.mask_limbs) == len(names) == 23
    assert skeleton.mask_limbs[:17] == skeleton.limbs
    sides = [('neck', 'left_ear'), ('neck', 'right_ear'), ('left_ear', 'right_ear')]
    sides += [(f'{side}_shoulder', f'{side}_hip') for side in ('left', 'right')]
    assert names >= {frozenset(pair) for pair in [*sides, ('left_hip', 'right_hip')]}


def test_a_skeleton_that_is_closed_gets_no_more_limbs():
    skeleton = Skeleton.from_metainfo(_metainfo('coco'))
    assert skeleton.mask_limbs == skeleton.limbs


def test_hands_hang_on_wrists_that_nothing_links_them_to():
    skeleton = Skeleton.from_metainfo(_metainfo('coco_wholebody'))
    names = [[skeleton.keypoint_names[k] for k in pair] for pair in skeleton.attachments]
    assert names == [[f'{side}_wrist', f'{side}_hand_root'] for side in ('left', 'right')]
    assert not Skeleton.from_metainfo(_metainfo('coco')).attachments


@pytest.mark.parametrize('name', ['coco', 'coco_wholebody', 'halpe26', 'mpii'])
def test_beyond_wrists_and_ankles_there_is_more_of_the_person(name):
    skeleton = Skeleton.from_metainfo(_metainfo(name))
    expected = {f'{side}_{part}' for side in ('left', 'right') for part in ('wrist', 'ankle')}
    assert {skeleton.keypoint_names[k] for k in skeleton.tips} == expected


def test_metainfo_without_links_is_refused():
    with pytest.raises(ValueError, match='no limbs'):
        Skeleton.from_metainfo(_metainfo('aflw'))


def test_flip_that_is_no_swap_is_refused():
    with pytest.raises(ValueError, match='swap 3 joints'):
        Skeleton(('a', 'b', 'c'), ((0, 1),), (1, 2, 0))


def test_joints_of_which_one_alone_names_its_opposite_are_named():
    words = "opposite of 'left' is 'right', but the opposite of 'right' is 'right'.* both sides"
    with pytest.raises(ValueError, match=words):
        Skeleton(('nose', 'left', 'right'), ((0, 1),), (0, 2, 2))


def test_of_many_differing_joints_the_first_are_named():
    a, b = (tuple(f'{kind}{k}' for k in range(20)) for kind in 'ab')
    found = describe_differences(Skeleton(a, ((0, 1),), tuple(range(20))), b)
    assert found.count('joint ') == 8
    assert found.endswith("joint 7 is 'b7', not 'a7' and 12 more")


def test_spelling_does_not_make_skeletons_differ():
    a = Skeleton(('left_eye', 'head_top', 'right_eye'), ((0, 1),), (2, 1, 0))
    b = Skeleton(('L_Eye', 'top_head', 'R_Eye'), ((0, 2),), (2, 1, 0))
    assert describe_differences(a, b) == ''
    check_same_joints(a, b, 'bank')


def test_differing_joints_are_named_with_their_origin():
    a = Skeleton(('nose', 'neck'), ((0, 1),), (0, 1))
    b = Skeleton(('nose', 'tail'), ((0, 1),), (0, 1))
    with pytest.raises(ValueError, match=r"bank\.npz has another .* joint 1 is 'tail', not 'neck'"):
        check_same_joints(a, b, 'bank.npz')
    more = Skeleton(('nose', 'neck', 'tail'), ((0, 1),), (0, 1, 2))
    assert "not expected: ['tail']" in describe_differences(a, more)


@pytest.mark.parametrize('skeleton', [3, [3], [[1, 2, 3]], [['a', 'b']], [[None, 1]]])
def test_limbs_of_a_category_that_are_none_are_told(skeleton):
    category = dict(name='person', keypoints=['nose', 'left_eye', 'right_eye'], skeleton=skeleton)
    with pytest.raises(ValueError, match="'skeleton' of category 'person' must be pairs"):
        Skeleton.from_coco_category(category)


def test_thousands_of_joints_are_refused_in_few_words():
    names = [f'{side} part {k}' for k in range(10_000) for side in ('left', 'right')]
    with pytest.raises(ValueError, match='20000 keypoint names, more than the 2000') as refused:
        Skeleton.from_coco_category(dict(keypoints=names, skeleton=[[1, 2]]))
    assert len(str(refused.value)) < 500
    with pytest.raises(ValueError, match='exactly one opposite joint') as refused:
        Skeleton.from_coco_category(dict(keypoints=names[:1001], skeleton=[[1, 2]]))
    assert len(str(refused.value)) < 10_000
