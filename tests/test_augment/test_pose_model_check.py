import numpy as np
import pytest
import torch
from augment_world import METAINFO, SKELETON
from colour_estimator import (
    INPUT,
    build_model,
    model_config,
    paint,
    spread_keypoints,
    synthesis_of,
    write_estimator,
)
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.evaluation.functional.nms import oks_iou
from mmpose.registry import MODELS as MMPOSE_MODELS
from mmpose.registry import TRANSFORMS
from mmpose.structures import PoseDataSample

from pg2aug.augment import PoseModelCheck, Synthesis
from pg2aug.augment.checks.pose_model_check import BODY_AREA, confirmed_joints
from pg2aug.estimators.prediction import estimate_poses, framing, predict_keypoints
from pg2aug.models.affine import transform_points
from pg2aug.poses import keypoints_bbox
from pg2aug.registry import MODELS

SIGMAS = torch.from_numpy(np.asarray(METAINFO['sigmas'], np.float32))
LIMITS = dict(max_distance=0.1, min_oks=0.0, min_score=0.0)


@pytest.fixture
def estimator(tmp_path):
    return write_estimator(tmp_path)


@pytest.mark.parametrize('codec', ['MSRAHeatmap', 'UDPHeatmap'])
def test_joints_that_are_where_their_labels_say_pass(tmp_path, codec):
    check = PoseModelCheck(**write_estimator(tmp_path, codec=codec), max_distance=0.05)
    assert check(synthesis_of(spread_keypoints())).all()


def test_a_joint_that_lies_elsewhere_fails(estimator):
    keypoints = spread_keypoints()
    painted = keypoints.clone()
    # Two joints of the first person change places, for the label they do not.
    painted[0, [3, 9]] = keypoints[0, [9, 3]]
    passed = PoseModelCheck(**estimator, min_oks=0.0)(synthesis_of(keypoints, painted))
    assert passed[1].all()
    assert not passed[0, [3, 9]].any()
    assert passed[0].sum() == 15


def test_a_person_in_another_pose_fails_altogether(estimator):
    keypoints = spread_keypoints()
    painted = torch.stack([keypoints[0], spread_keypoints(1, seed=5)[0]])
    painted[1, 0] = keypoints[1, 0]
    synthesis = synthesis_of(keypoints, painted)
    lenient = PoseModelCheck(**estimator, min_oks=0.0)(synthesis)
    assert lenient[1, 0]
    passed = PoseModelCheck(**estimator)(synthesis)
    assert passed[0].all()
    assert not passed[1].any()


def test_a_joint_that_is_not_found_is_not_confirmed(estimator):
    keypoints = spread_keypoints()
    synthesis = synthesis_of(keypoints)
    x, y = keypoints[0, 5].long().tolist()
    synthesis.persons[0, :, y - 3 : y + 4, x - 3 : x + 4] = 100.0
    passed = PoseModelCheck(**estimator, min_score=0.3, max_distance=2.0)(synthesis)
    assert not passed[0, 5]
    assert passed.sum() == 33


def test_joints_without_a_label_never_pass_and_do_not_count(estimator):
    keypoints = spread_keypoints()
    visible = torch.ones(2, 17)
    visible[0, :8] = 0
    labels = keypoints.clone()
    labels[0, :8] = 0
    passed = PoseModelCheck(**estimator)(synthesis_of(labels, keypoints, visible))
    assert torch.equal(passed, visible > 0)


def test_a_config_builds_it(estimator):
    config = dict(type='PoseModelCheck', **estimator, _scope_='pg2aug')
    assert isinstance(MODELS.build(config), PoseModelCheck)


def test_the_joints_are_read_from_the_config_where_the_checkpoint_is_silent(tmp_path):
    settings = write_estimator(tmp_path, meta=False)
    with pytest.raises(ValueError, match='which joints it predicts'):
        PoseModelCheck(**settings)
    with open(settings['config'], 'a') as file:
        file.write("train_dataloader = dict(dataset=dict(type='CocoDataset'))\n")
    assert PoseModelCheck(**settings)(synthesis_of(spread_keypoints())).all()


def test_another_skeleton_is_refused(estimator):
    check = PoseModelCheck(**estimator)
    names = (*SKELETON.keypoint_names[:9], 'left_hand', *SKELETON.keypoint_names[10:])
    other = type(SKELETON)(names, SKELETON.limbs, SKELETON.flip_indices)
    synthesis = synthesis_of(spread_keypoints())
    fields = {name: getattr(synthesis, name) for name in Synthesis.__dataclass_fields__}
    with pytest.raises(ValueError, match=r"PoseModelCheck\(config=.*joint 9 is 'left_wrist'"):
        check(Synthesis(**{**fields, 'skeleton': other}))


@pytest.mark.parametrize('missing', ['config', 'checkpoint'])
def test_a_missing_file(estimator, missing):
    with pytest.raises(FileNotFoundError, match=f"{missing} 'no/such.file' does not exist"):
        PoseModelCheck(**{**estimator, missing: 'no/such.file'})


def _bottom_up(config):
    config['model'] = dict(type='BottomupPoseEstimator', backbone=dict(type='ColourBackbone'))


def _no_decoder(config):
    del config['model']['head']['decoder']


def _no_head(config):
    del config['model']['head']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (_bottom_up, 'must be a TopdownPoseEstimator'),
        (lambda config: config.pop('model'), 'model of type None'),
        (_no_decoder, r'\(HeatmapHead\) does not predict keypoints'),
        (_no_head, 'does not predict keypoints'),
    ],
)
def test_a_config_that_is_no_estimator(estimator, change, message):
    config = dict(model=model_config())
    change(config)
    Config(config).dump(estimator['config'])
    with pytest.raises(ValueError, match=message):
        PoseModelCheck(**estimator)


def test_weights_of_another_model(estimator):
    torch.save(dict(state_dict=dict(a=torch.ones(1))), estimator['checkpoint'])
    with pytest.raises(ValueError, match='do not fit'):
        PoseModelCheck(**estimator)


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        (dict(max_distance=0), 'max_distance must be greater than 0, got 0'),
        (dict(min_oks=1.0), r'min_oks must be in \[0, 1\), got 1.0'),
    ],
)
def test_limits_out_of_range(estimator, setting, message):
    with pytest.raises(ValueError, match=message):
        PoseModelCheck(**estimator, **setting)


def test_distances_are_shares_of_the_diagonal():
    keypoints = torch.zeros(1, 17, 2)
    keypoints[0, 1] = torch.tensor([30.0, 40.0])
    estimated = keypoints.clone()
    estimated[0, 2, 0], estimated[0, 3, 0] = 4.9, 5.1
    scores = torch.ones(1, 17)
    passed = confirmed_joints(estimated, scores, keypoints, scores, SIGMAS, **LIMITS)
    assert passed[0].tolist() == [True] * 3 + [False] + [True] * 13


def test_the_similarity_is_coco_s():
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 100, (17, 2))
    estimated = keypoints + rng.normal(0, 8, (17, 2))
    visible = np.ones(17)
    visible[:4] = 0
    extent = np.ptp(keypoints[4:], axis=0)
    area = BODY_AREA * (extent @ extent)
    triples = [np.hstack([k, np.full((17, 1), 2)])[4:].reshape(-1) for k in (keypoints, estimated)]
    sigmas = np.asarray(METAINFO['sigmas'])[4:]
    expected = oks_iou(triples[0], triples[1][None], area, np.array([area]), sigmas=sigmas)[0]
    assert 0.2 < expected < 0.8
    arrays = [torch.from_numpy(a).float()[None] for a in (estimated, visible, keypoints, visible)]
    limits = dict(LIMITS, max_distance=9.0)
    for min_oks, passes in ((expected - 1e-3, True), (expected + 1e-3, False)):
        passed = confirmed_joints(*arrays, SIGMAS, **dict(limits, min_oks=float(min_oks)))
        assert passed[0, 4:].all() == passed.any() == passes


def test_what_lies_exactly_at_a_limit_is_confirmed():
    keypoints, scores, ones = torch.zeros(1, 17, 2), torch.full((1, 17), 0.25), torch.ones(1, 17)
    keypoints[0, 1] = torch.tensor([48.0, 64.0])
    estimated = keypoints.clone()
    estimated[0, 5, 0] = 10.0
    limits = dict(max_distance=0.125, min_score=0.25, min_oks=0.0)
    passed = confirmed_joints(estimated, scores, keypoints, ones, SIGMAS, **limits)
    assert passed.all()
    estimated[0, 5, 0] = 10.5
    scores[0, 7] = 0.2
    passed = confirmed_joints(estimated, scores, keypoints, ones, SIGMAS, **limits)
    assert (~passed[0]).nonzero().flatten().tolist() == [5, 7]
    # Nothing is nearer than this.
    limits['min_oks'] = 1.0
    assert confirmed_joints(keypoints, scores + 1, keypoints, ones, SIGMAS, **limits).all()


@pytest.mark.parametrize(('share', 'passes'), [(0.10, True), (0.13, False)])
def test_a_pose_is_another_where_all_joints_are_an_eighth_of_the_body_away(share, passes):
    # By default: an OKS of 0.3, with the area that COCO's people have in a box of this diagonal.
    keypoints = spread_keypoints(1)
    diagonal = (keypoints.amax(dim=1) - keypoints.amin(dim=1)).norm()
    turns = torch.linspace(0, 6, 17)
    away = share * diagonal * torch.stack([turns.cos(), turns.sin()], dim=1)
    ones, limits = torch.ones(1, 17), dict(LIMITS, max_distance=9.0, min_oks=0.3)
    passed = confirmed_joints(keypoints + away, ones, keypoints, ones, SIGMAS, **limits)
    assert passed.all() == passed.any() == passes


@pytest.mark.parametrize('shape', ['tall', 'wide'])
def test_persons_are_framed_as_mmpose_frames_its_boxes(shape):
    keypoints = spread_keypoints(1)[0] * torch.tensor([0.5, 2.0] if shape == 'tall' else [3.0, 0.4])
    visible = torch.ones(17)
    visible[:3] = 0
    box = keypoints_bbox(keypoints.numpy(), visible.numpy(), 0.1)[None]
    steps = [dict(type='GetBBoxCenterScale'), dict(type='TopdownAffine', input_size=INPUT)]
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    results = dict(img=np.zeros((300, 300, 3), np.uint8), bbox=box, keypoints=keypoints[None])
    expected = pipeline({**results, 'keypoints': keypoints[None].numpy()})['transformed_keypoints']
    matrix = framing(keypoints[None], visible[None], INPUT)
    found = transform_points(keypoints[None], matrix)
    np.testing.assert_allclose(found[0, 3:], expected[0, 3:], atol=1.0)


def test_poses_are_estimated_in_pixels_of_the_crop():
    keypoints = spread_keypoints()
    found, scores = estimate_poses(build_model(), paint(keypoints), keypoints, torch.ones(2, 17))
    assert (found - keypoints).norm(dim=2).max() < 1.0
    assert scores.min() > 0.5


SIMCC = dict(type='SimCCLabel', input_size=(64, 64), sigma=3.0, simcc_split_ratio=2.0)
HEATMAP = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(8, 8), sigma=1)
SIMCC_SIZES = dict(in_channels=8, out_channels=17, input_size=(64, 64), in_featuremap_size=(8, 8))
GAU = dict(hidden_dims=16, s=8, expansion_factor=2, dropout_rate=0.0, drop_path=0.0)
GAU |= dict(act_fn='SiLU', use_rel_bias=False, pos_enc=False)
HEADS = {
    'dark': dict(
        type='HeatmapHead', in_channels=8, out_channels=17, deconv_out_channels=None,
        decoder=dict(HEATMAP, unbiased=True),
    ),
    'udp': dict(
        type='HeatmapHead', in_channels=8, out_channels=17, deconv_out_channels=None,
        decoder=dict(HEATMAP, type='UDPHeatmap'),
    ),
    'simcc': dict(
        type='SimCCHead', **SIMCC_SIZES, simcc_split_ratio=2.0, deconv_out_channels=None,
        decoder=SIMCC,
    ),
    'rtmpose': dict(
        type='RTMCCHead', **SIMCC_SIZES, simcc_split_ratio=2.0, final_layer_kernel_size=1,
        gau_cfg=GAU, decoder=SIMCC,
    ),
    'rle': dict(
        type='RLEHead', in_channels=8, num_joints=17,
        loss=dict(type='RLELoss', use_target_weight=True),
        decoder=dict(type='RegressionLabel', input_size=(64, 64)),
    ),
    'integral': dict(
        type='DSNTHead', in_channels=8, in_featuremap_size=(8, 8), num_joints=17,
        loss=dict(type='MultipleLossWrapper', losses=[
            dict(type='SmoothL1Loss', use_target_weight=True),
            dict(type='KeypointMSELoss', use_target_weight=True),
        ]),
        decoder=dict(type='IntegralRegressionLabel', input_size=(64, 64), heatmap_size=(8, 8),
                     sigma=1.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', HEADS)
def test_every_head_decodes_as_mmpose_has_it(name):
    torch.manual_seed(0)
    config = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor'),
        backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8, num_stages=2,
                      strides=(1, 2), dilations=(1, 1), out_indices=(1,)),
        neck=dict(type='FeatureMapProcessor', select_index=0)
        if name not in ('rle', 'integral') else None,
        head=HEADS[name],
        _scope_='mmpose',
    )  # fmt: skip
    config['head'] = dict(config['head'], in_channels=16)
    if name == 'rle':
        config['neck'] = dict(type='GlobalAveragePooling')
    model = MMPOSE_MODELS.build(config).eval()
    inputs = torch.randn(3, 3, 64, 64)
    samples = []
    for _ in inputs:
        sample = PoseDataSample(
            metainfo=dict(
                input_center=np.full(2, 32.0),
                input_scale=np.full(2, 64.0),
                input_size=np.full(2, 64.0),
            )
        )
        sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
        samples.append(sample)
    with torch.no_grad():
        expected = model(inputs, samples, mode='predict')
    found, scores = predict_keypoints(model, inputs)
    assert found.shape == (3, 17, 2)
    for sample, keypoints, score in zip(expected, found, scores, strict=True):
        np.testing.assert_allclose(keypoints, sample.pred_instances.keypoints[0], atol=1e-3)
        np.testing.assert_allclose(score, sample.pred_instances.keypoint_scores[0], atol=1e-4)
