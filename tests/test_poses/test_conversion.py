import numpy as np
import pytest
from mmpose.datasets.transforms import KeypointConverter

from pg2aug.poses.read.conversion import (
    convert_joints,
    describe_mapping,
    joint_mapping,
    nose_substitute,
)
from pg2aug.poses.read.pose_files import metainfo_skeleton

DATASETS = 'configs/_base_/datasets/'


@pytest.fixture(scope='module')
def names():
    return {
        name: metainfo_skeleton(f'{DATASETS}{name}.py').keypoint_names
        for name in ('coco', 'mpii', 'aic', 'crowdpose', 'h36m', 'jhmdb')
    }


def test_every_joint_keeps_its_name(names):
    rng = np.random.default_rng(0)
    for source in names.values():
        for target in names.values():
            mapping = joint_mapping(source, target)
            keypoints = rng.normal(size=(3, len(source), 2))
            visible = rng.random((3, len(source))) > 0.3
            moved, labelled = convert_joints(keypoints, visible, mapping, len(target))
            for k, name in enumerate(target):
                same = [i for i, other in enumerate(source) if _spelt(other) == _spelt(name)]
                if not same:
                    assert not labelled[:, k].any(), name
                    continue
                np.testing.assert_array_equal(labelled[:, k], visible[:, same[0]])
                expected = np.where(visible[:, same[0], None], keypoints[:, same[0]], 0)
                np.testing.assert_allclose(moved[:, k], expected, rtol=1e-6)


@pytest.mark.parametrize('mapping', [[(1, 0), (3, 2)], [(1, 0), ((0, 3), 2), ((2, 1), 4)], []])
def test_joints_are_converted_as_mmpose_converts_them(mapping):
    rng = np.random.default_rng(0)
    keypoints = rng.normal(size=(50, 4, 2)).astype(np.float32)
    visible = rng.integers(0, 2, (50, 4)).astype(np.uint8)
    clean = np.where(visible[..., None] > 0, keypoints, 0)
    results = dict(keypoints=clean, keypoints_visible=visible.astype(np.float32))
    expected = KeypointConverter(5, mapping).transform(results)
    labelled = expected['keypoints_visible'][..., 0] > 0
    moved, flags = convert_joints(keypoints, visible, mapping, 5)
    np.testing.assert_array_equal(flags > 0, labelled)
    expected = np.where(labelled[..., None], expected['keypoints'], 0).astype(np.float32)
    np.testing.assert_array_equal(moved, expected)


def test_flags_come_along_and_a_middle_is_hidden_where_either_is():
    flags = np.array([[2, 1, 0], [2, 2, 1], [1, 2, 0]], np.uint8)
    keypoints = np.arange(18.0).reshape(3, 3, 2)
    moved, found = convert_joints(keypoints, flags, [(1, 0), ((0, 1), 2)], 4)
    np.testing.assert_array_equal(found, [[1, 0, 1, 0], [2, 0, 2, 0], [2, 0, 1, 0]])
    assert found.dtype == np.uint8
    np.testing.assert_allclose(moved[:, 2], keypoints[:, :2].mean(axis=1))


def _spelt(name):
    return {'top_head': 'head_top'}.get(name, name)


def test_what_is_merely_near_is_not_taken(names):
    mapping = joint_mapping(names['mpii'], names['coco'])
    assert len(mapping) == 12
    assert {names['mpii'][i] for i, _ in mapping}.isdisjoint(
        {'pelvis', 'thorax', 'upper_neck', 'head_top'}
    )
    text = describe_mapping(names['mpii'], names['coco'], mapping)
    assert text.startswith('12 of 17 joints mapped; unlabelled: nose, left_eye')
    assert text.endswith('not used: pelvis, thorax, upper_neck, head_top')


def test_substitutes_stand_in_only_where_the_joint_is_lacking(names):
    substitutes = [('neck', ('left_shoulder', 'right_shoulder')), ('left_ankle', ('left_foot',))]
    mapping = joint_mapping(names['coco'], names['crowdpose'], substitutes)
    text = describe_mapping(names['coco'], names['crowdpose'], mapping)
    assert 'by substitute: neck from left_shoulder and right_shoulder' in text
    neck, coco = names['crowdpose'].index('neck'), list(names['coco'])
    keypoints, visible = np.zeros((2, 17, 2)), np.ones((2, 17), bool)
    keypoints[:, coco.index('left_shoulder')] = [10, 4]
    visible[1, coco.index('right_shoulder')] = False
    moved, labelled = convert_joints(keypoints, visible, mapping, 14)
    np.testing.assert_allclose(moved[0, neck], [5, 2])
    assert labelled[:, neck].tolist() == [True, False]
    own = joint_mapping(names['aic'], names['crowdpose'], substitutes)
    assert (names['aic'].index('neck'), neck) in own
    # The ankle itself goes before what stands for it; h36m has only the latter.
    assert (coco.index('left_ankle'), names['crowdpose'].index('left_ankle')) in mapping
    h36m = joint_mapping(names['h36m'], names['coco'], [('left_ankle', ('left_foot',))])
    assert (names['h36m'].index('left_foot'), coco.index('left_ankle')) in h36m


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('mpii', ('upper_neck', 'head_top')),
        ('aic', ('neck', 'head_top')),
        ('crowdpose', ('neck', 'top_head')),
        ('h36m', ('neck_base', 'head')),
        ('jhmdb', ('neck', 'head')),
        ('coco', None),
    ],
)
def test_a_nose_lies_between_neck_and_crown(names, source, expected):
    found = nose_substitute(names[source], names['coco'])
    assert found == (expected and ('nose', expected))
    assert nose_substitute(names[source], names['mpii']) is None
    if found:
        # Of several for one joint, each file takes the first that it has.
        several = [('nose', ('upper_neck', 'head_top')), ('nose', ('left_toe',)), found]
        own = tuple(names[source].index(part) for part in expected)
        assert (own, 0) in joint_mapping(names[source], names['coco'], several)


def test_bad_mappings_are_refused(names):
    with pytest.raises(ValueError, match="'nek' is no joint of the target"):
        joint_mapping(names['coco'], names['aic'], [('nek', ('nose',))])
    with pytest.raises(ValueError, match='one source joint, or two'):
        joint_mapping(names['coco'], names['aic'], [('neck', ('nose', 'left_eye', 'right_eye'))])
    with pytest.raises(ValueError, match="'left_eye' and 'LEye' have the same name"):
        joint_mapping(['left_eye', 'LEye'], names['coco'])
