import numpy as np
import pytest
import torch
from augment_world import METAINFO, SIZE, SKELETON
from colour_estimator import paint, spread_keypoints, write_estimator
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation.functional.nms import oks_iou

from pg2aug.augment.checks.pose_model_check import BODY_AREA
from pg2aug.evaluation import head_boxes, oks, pckh_counts
from pg2aug.evaluation.pairs import EvaluatedPairs
from pg2aug.evaluation.pose_fidelity import PoseFidelityMeasure, coco_sigmas
from pg2aug.poses import Skeleton
from pg2aug.poses.read.conversion import joint_mapping
from pg2aug.poses.skeleton import joint_key

OPENPOSE = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco_openpose.py'))
OPENPOSE_SKELETON = Skeleton.from_metainfo(OPENPOSE)
SIGMAS = torch.tensor(np.asarray(METAINFO['sigmas'], np.float32))


@pytest.fixture
def measure(tmp_path):
    """The measure with an estimator that finds each joint by the colour of its spot."""
    estimator = write_estimator(tmp_path)
    return PoseFidelityMeasure(estimator['config'], estimator['checkpoint'])


def painted(keypoints):
    return paint(keypoints).flip(1).round().to(torch.uint8)


def pairs_of(shown, target, keypoints, visible=None):
    """Pairs of images with COCO's joints painted at given places, and the poses asked for."""
    visible = torch.ones(keypoints.shape[:2]) if visible is None else visible
    mask = torch.ones(len(keypoints), 1, *SIZE[::-1], dtype=torch.uint8)
    return EvaluatedPairs(painted(shown), painted(target), mask, keypoints, visible)


def by_name(scores):
    return {score.name: score for score in scores}


def as_openpose(keypoints):
    """COCO's joints in OpenPose's order, with a neck between the shoulders."""
    moved = torch.zeros(len(keypoints), 18, 2)
    moved[:, 1] = keypoints[:, [5, 6]].mean(dim=1)
    for source, target in joint_mapping(SKELETON.keypoint_names, OPENPOSE_SKELETON.keypoint_names):
        moved[:, target] = keypoints[:, source]
    return moved


def test_head_box_is_that_of_nose_eyes_ears_and_neck():
    keypoints = torch.full((3, 18, 2), 50.0)
    names = OPENPOSE_SKELETON.keypoint_names
    places = dict(nose=(12, 10), neck=(11, 30), right_eye=(9, 8), left_ear=(17, 9))
    visible = torch.zeros(3, 18)
    for name, place in places.items():
        keypoints[:, names.index(name)] = torch.tensor(place).float()
        visible[0, names.index(name)] = 1
    visible[1, names.index('nose')] = visible[1, names.index('neck')] = 1
    visible[2, names.index('nose')] = 1
    boxes = head_boxes(keypoints, visible, OPENPOSE_SKELETON)
    assert boxes[:2].tolist() == [[8, 22], [1, 20]]
    assert boxes[2].isnan().all()


def test_without_a_neck_the_head_reaches_to_the_middle_of_the_shoulders():
    keypoints = torch.zeros(2, 17, 2)
    keypoints[:, 0] = torch.tensor([10.0, 10])
    keypoints[:, 5:7] = torch.tensor([[20.0, 31], [6, 29]])
    visible = torch.zeros(2, 17)
    visible[:, [0, 5, 6]] = 1
    visible[1, 6] = 0
    boxes = head_boxes(keypoints, visible, SKELETON)
    assert boxes[0].tolist() == [3, 20]
    assert boxes[1].isnan().all()


def test_joints_are_right_within_half_a_head_in_both_directions():
    keypoints = torch.zeros(1, 5, 2)
    offsets = [(1.9, 0), (2.1, 0), (0, 4.9), (0, 5.1), (0, 0)]
    estimated = torch.tensor([offsets])
    found = torch.tensor([[True, True, True, True, False]])
    boxes = torch.tensor([[4.0, 10.0]])
    visible = torch.ones(1, 5)
    assert pckh_counts(estimated, found, keypoints, visible, boxes) == (2, 5)
    visible[0, :2] = 0
    assert pckh_counts(estimated, found, keypoints, visible, boxes) == (1, 3)
    assert pckh_counts(estimated, found, keypoints, visible, boxes * torch.nan) == (0, 0)


def test_oks_is_that_of_mmpose():
    keypoints = spread_keypoints(3)
    visible = (torch.rand(3, 17, generator=torch.Generator().manual_seed(1)) < 0.7).float()
    estimated = keypoints + torch.randn(3, 17, 2, generator=torch.Generator().manual_seed(2)) * 3
    found = oks(estimated, torch.ones(3, 17).bool(), keypoints, visible, SIGMAS)
    for i in range(3):
        label = torch.cat([keypoints[i], visible[i, :, None]], dim=1).numpy()
        guess = torch.cat([estimated[i], torch.ones(17, 1)], dim=1).numpy()
        area = BODY_AREA * (np.ptp(label[label[:, 2] > 0, :2], axis=0) ** 2).sum()
        expected = oks_iou(
            label.ravel(), guess.ravel()[None], area, np.array([area]), SIGMAS.numpy(), 0.5
        )
        assert found[i] == pytest.approx(expected[0], abs=1e-5)
    nothing = torch.zeros(3, 17)
    assert oks(estimated, nothing > 0, keypoints, nothing, SIGMAS).isnan().all()


def test_a_joint_that_is_not_found_counts_nothing():
    keypoints = spread_keypoints(1)
    found = torch.ones(1, 17).bool()
    found[0, :5] = False
    similarity = oks(keypoints, found, keypoints, torch.ones(1, 17), SIGMAS)
    assert similarity.item() == pytest.approx(12 / 17)


def test_sigmas_are_cocos_by_name():
    known = coco_sigmas()
    assert len(known) == 17
    assert known[joint_key('left_wrist')] == pytest.approx(0.062)
    assert known[joint_key('right_eye')] == pytest.approx(0.025)


@pytest.mark.parametrize(
    ('metainfo', 'convert'), [(METAINFO, lambda keypoints: keypoints), (OPENPOSE, as_openpose)]
)
def test_persons_in_the_pose_asked_for_score_1_in_whatever_order_of_joints(
    measure, metainfo, convert
):
    measure.set_dataset(metainfo)
    keypoints = spread_keypoints()
    columns = measure.measure(pairs_of(keypoints, keypoints, convert(keypoints)))
    assert columns['pckh_counted'].tolist() == [17, 17]
    scores = by_name(measure.scores(columns))
    assert scores['PCKh'].value == 1
    assert scores['OKS'].value > 0.9
    assert not scores['PCKh'].note


def test_synthesised_and_real_images_are_told_apart(measure):
    measure.set_dataset(METAINFO)
    keypoints, other = spread_keypoints(), spread_keypoints(seed=5)
    scores = by_name(measure.scores(measure.measure(pairs_of(other, keypoints, keypoints))))
    assert scores['PCKh-target'].value == 1
    assert scores['PCKh'].value < 0.6
    assert scores['OKS'].value < 0.3 < 0.9 < scores['OKS-target'].value


def test_persons_without_a_head_or_a_joint_are_left_out_and_counted(measure):
    measure.set_dataset(METAINFO)
    keypoints, visible = spread_keypoints(3), torch.ones(3, 17)
    visible[1, :5] = 0
    visible[2] = 0
    columns = measure.measure(pairs_of(keypoints, keypoints, keypoints, visible))
    scores = by_name(measure.scores(columns))
    assert scores['PCKh'].value == 1
    assert '2 pairs without a head' in scores['PCKh'].note
    assert scores['OKS'].value > 0.9
    assert '1 pairs without a labelled joint' in scores['OKS'].note


def test_an_estimator_of_no_common_joint_is_refused(measure):
    animals = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/zebra.py'))
    with pytest.raises(ValueError, match=r'pose\.py.*no joint of the data set.*left_eye.*tail'):
        measure.set_dataset(animals)


def test_config_and_checkpoint_go_together():
    with pytest.raises(ValueError, match='pose_model and pose_checkpoint go together'):
        PoseFidelityMeasure('pose.py', None)


def test_without_a_pose_model_nothing_is_computed():
    measure = PoseFidelityMeasure(None, None)
    measure.set_dataset(METAINFO)
    keypoints = spread_keypoints()
    assert measure.measure(pairs_of(keypoints, keypoints, keypoints)) == {}
    scores = measure.scores({})
    assert [(s.name, s.value, s.note) for s in scores] == [
        ('PCKh', None, 'no pose model'),
        ('OKS', None, 'no pose model'),
    ]
