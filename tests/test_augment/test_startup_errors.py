"""Mistakes in a config are told before training starts, with the line to change."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mmpose
import numpy as np
import pytest
import torch
from augment_world import SKELETON, make_sample
from helpers import COCO_METAINFO
from mmengine.config import Config
from mmengine.dataset import ConcatDataset
from mmpose.datasets.datasets import PoseTrack18VideoDataset
from mmpose.datasets.datasets.base import BaseMocapDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.models.heads import VisPredictHead
from mmpose.models.losses import KeypointMSELoss
from mmpose.registry import DATASETS
from pose_training import train_steps
from torch import nn
from torch.utils.data import DataLoader

from pg2aug.augment import PG2Augment, PG2Hook
from pg2aug.augment.placement import switched_augments
from pg2aug.poses import PoseBank, Skeleton

COCO = 'configs/_base_/datasets/coco.py'
MPII = dict(from_file='configs/_base_/datasets/mpii.py')


def build_dataset(people, steps, **settings):
    return DATASETS.build(dict(people, pipeline=steps, _scope_='mmpose', **settings))


def make_model(use_target_weight=True, preprocessor=None):
    model = nn.Module()
    model.data_preprocessor = preprocessor or PoseDataPreprocessor()
    model.head = nn.Module()
    model.head.loss_module = KeypointMSELoss(use_target_weight=use_target_weight)
    return model


def start(dataset, model=None):
    """What happens before the first iteration of a training."""
    loader = SimpleNamespace(dataset=dataset)
    runner = SimpleNamespace(
        train_dataloader=loader, train_loop=None, hooks=[], model=model or make_model()
    )
    hook = PG2Hook()
    hook.before_train(runner)
    hook.after_train(runner)


@pytest.fixture
def augment(generator, pose_bank):
    return dict(
        type='pg2aug.PG2Augment', generator=generator, pose_bank=pose_bank, check=None, prob=1
    )


def test_a_right_config_starts(people, augment):
    start(build_dataset(people, train_steps(augment)))


def moved(augment, after):
    """A pipeline in which PG2Augment stands behind some other transform."""
    steps = train_steps()
    place = [step['type'] for step in steps].index(after)
    return [*steps[: place + 1], augment, *steps[place + 1 :]]


@pytest.mark.parametrize('after', ['GetBBoxCenterScale', 'RandomFlip', 'TopdownAffine'])
def test_a_pipeline_in_the_wrong_order(people, augment, after):
    dataset = build_dataset(people, moved(augment, after))
    words = rf"right after dict\(type='LoadImage'\) in the train_pipeline .*{after} -> PG2Augment"
    with pytest.raises(ValueError, match=words):
        start(dataset)


def test_a_pipeline_that_begins_with_it(people, augment):
    with pytest.raises(ValueError, match=r"right after dict\(type='LoadImage'\)"):
        start(build_dataset(people, [augment, *train_steps()]))


def test_a_pipeline_that_does_not_pack(people, augment):
    with pytest.raises(ValueError, match=r"must end in dict\(type='PackPoseInputs'\)"):
        start(build_dataset(people, train_steps(augment)[:-1]))


def test_a_pipeline_that_mixes_images(people, augment):
    steps = train_steps(augment)
    steps[2:2] = [dict(type='YOLOXMixUp', img_scale=(64, 64))]
    with pytest.raises(ValueError, match='cannot be followed by YOLOXMixUp; remove it'):
        start(build_dataset(people, steps))


@pytest.mark.parametrize(
    ('step', 'told'),
    [
        (dict(type='PhotometricDistortion'), True),
        (dict(type='mmdet.PhotoMetricDistortion'), True),
        (dict(type='mmcv.RandomGrayscale', prob=0.5, keep_channels=True), True),
        (
            dict(type='mmcv.RandomApply', prob=0.5, transforms=[dict(type='YOLOXHSVRandomAug')]),
            True,
        ),
        (dict(type='mmcv.RandomApply', prob=0.5, transforms=[dict(type='RandomHalfBody')]), False),
    ],
)
def test_colours_that_do_not_reach_the_person_are_told(people, augment, monkeypatch, step, told):
    messages = []
    monkeypatch.setattr(
        'pg2aug.augment.placement.print_log', lambda text, **_: messages.append(text)
    )
    steps = train_steps(augment)
    steps[2:2] = [step]
    start(build_dataset(people, steps))
    name = step['type'].split('.')[-1]
    assert [f'what {name} does to colours' in text for text in messages] == [True] * told


def test_samples_that_do_not_tell_how_they_were_flipped(people, augment):
    steps = [*train_steps(augment)[:-1], dict(type='PackPoseInputs', meta_keys=('id', 'flip'))]
    words = (
        r"add \['flip_direction', 'flip_indices'\] to meta_keys of dict\(type='PackPoseInputs'\)"
    )
    with pytest.raises(ValueError, match=words):
        start(build_dataset(people, steps))


def choice(*steps):
    return dict(type='mmcv.RandomChoice', transforms=[[step] for step in steps])


@pytest.mark.parametrize('beside', [False, True])
@pytest.mark.parametrize(
    ('hide', 'name'),
    [
        (lambda a: dict(type='mmcv.RandomApply', transforms=[a], prob=0.5), 'RandomApply'),
        (lambda a: choice(a, dict(type='RandomFlip')), 'RandomChoice'),
        (lambda a: dict(type='mmcv.Compose', transforms=[choice(a)]), 'Compose'),
        (lambda a: dict(type='mmcv.KeyMapper', transforms=[a]), 'KeyMapper'),
        (lambda a: dict(type='YOLOXMixUp', pre_transform=[a]), 'YOLOXMixUp'),
    ],
)
def test_a_transform_that_hides_it(people, augment, hide, name, beside):
    steps = train_steps(*[augment] * beside)
    steps.insert(1 + beside, hide(augment))
    with pytest.raises(ValueError, match=f'cannot stand inside {name}, .* of CocoDataset: put it'):
        start(build_dataset(people, steps))


def test_one_that_a_pipeline_to_come_hides(people, augment):
    switch = SimpleNamespace(switch_pipeline=[choice(dict(augment, _scope_='mmpose'))])
    dataset = build_dataset(people, train_steps(augment))
    with pytest.raises(ValueError, match='cannot stand inside RandomChoice'):
        switched_augments(switch, dataset)


def test_a_transform_inside_another_is_checked_like_one_outside(people, augment):
    steps = train_steps(augment)
    mixing = dict(type='YOLOXMixUp', img_scale=(64, 64))
    steps.insert(2, choice(dict(type='RandomHalfBody'), mixing))
    with pytest.raises(ValueError, match='cannot be followed by YOLOXMixUp'):
        start(build_dataset(people, steps))


def test_two_of_them_in_one_pipeline(people, augment):
    with pytest.raises(ValueError, match=r'PG2Augment stands twice .*: keep one'):
        start(build_dataset(people, train_steps(augment, augment)))


FLIP, NO_FLIP = dict(type='RandomFlip', prob=0.5), dict(type='RandomHalfBody')


@pytest.mark.parametrize(
    ('more', 'told'),
    [
        ([FLIP], True),
        ([dict(type='mmcv.RandomApply', transforms=[FLIP])], True),
        ([choice(FLIP, NO_FLIP)], True),
        ([NO_FLIP], False),
    ],
)
def test_samples_that_may_be_flipped_twice(people, augment, more, told):
    steps = train_steps(augment)
    steps[3:3] = more
    dataset = build_dataset(people, steps)
    if told:
        with pytest.raises(ValueError, match='flipped more than once: keep one RandomFlip'):
            start(dataset)
    else:
        start(dataset)


def test_of_two_flips_of_which_one_is_chosen_nothing_is_told(people, augment):
    steps = train_steps(augment)
    place = [step['type'] for step in steps].index('RandomFlip')
    steps[place] = choice(FLIP, dict(FLIP, direction='vertical'))
    start(build_dataset(people, steps))


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(color_type='grayscale'), "in colour: remove color_type='grayscale'"),
        (dict(to_float32=True), 'uint8 images: remove to_float32=True'),
    ],
)
def test_images_that_it_cannot_take(people, augment, settings, words):
    load, *steps = train_steps(augment)
    with pytest.raises(ValueError, match=f'PG2Augment needs .*{words}'):
        start(build_dataset(people, [dict(load, **settings), *steps]))


def test_images_that_become_grey_before_the_person_comes_in(people, augment):
    steps = train_steps(augment)
    steps.insert(2, dict(type='mmcv.RandomGrayscale', prob=1.0))
    with pytest.raises(ValueError, match=r'RandomGrayscale has left: set keep_channels=True .* or'):
        start(build_dataset(people, steps))


def test_a_codec_that_drops_the_plan(people, augment):
    dataset = build_dataset(people, train_steps(augment))
    target = next(t for t in dataset.pipeline.transforms if hasattr(t, 'encoder'))
    target.encoder.instance_mapping_table = dict(bbox='bboxes')
    with pytest.raises(ValueError, match='replaces the instance_mapping_table'):
        start(dataset)


def test_a_head_that_learns_visibility_from_weights(people, augment):
    model = make_model()
    model.head = VisPredictHead.__new__(VisPredictHead)
    nn.Module.__init__(model.head)
    with pytest.raises(ValueError, match='VisPredictHead'):
        start(build_dataset(people, train_steps(augment)), model)


@pytest.mark.parametrize(
    'model',
    [make_model(), make_model(use_target_weight=False), make_model(preprocessor=nn.Identity())],
)
def test_a_bottom_up_dataset(people, augment, model):
    dataset = build_dataset(people, train_steps(augment), data_mode='bottomup')
    words = r"CocoDataset \(data_mode='bottomup'\): .* data_mode='topdown', or remove"
    with pytest.raises(ValueError, match=words):
        start(dataset, model)


def test_without_the_hook_a_bottom_up_sample_of_one_person_is_told(people, augment):
    steps = [dict(type='LoadImage'), dict(augment, device='cpu')]
    dataset = build_dataset(people, steps, data_mode='bottomup')
    with pytest.raises(ValueError, match=r"of all persons of an image, .* data_mode='topdown', or"):
        dataset[0]


@pytest.mark.parametrize(
    ('kind', 'words'),
    [
        (BaseMocapDataset, 'lifting joints to 3-D reads none: remove PG2Augment and PG2Hook'),
        (PoseTrack18VideoDataset, 'not a list of video frames: remove PG2Augment and PG2Hook'),
    ],
)
def test_data_without_one_image_a_person(people, augment, kind, words):
    dataset = build_dataset(people, train_steps(augment))
    dataset.__class__ = type('Unusual', (kind,), {})
    with pytest.raises(ValueError, match=f'PG2Augment in the train_pipeline of Unusual: .*{words}'):
        start(dataset)


@pytest.mark.parametrize('name', ['aflw', 'wflw', 'deepfashion_upper', 'deepfashion2'])
def test_faces_and_clothes(people, augment, name):
    metainfo = dict(from_file=f'configs/_base_/datasets/{name}.py')
    dataset = build_dataset(people, train_steps(augment), metainfo=metainfo, lazy_init=True)
    words = 'PG2Augment.* the train dataset CocoDataset has another skeleton.*faces and clothes'
    with pytest.raises(ValueError, match=words) as told:
        start(dataset)
    assert len(str(told.value)) < 1000
    with pytest.raises(ValueError, match=f'PG2Augment: generator metainfo .*{name}'):
        PG2Augment(
            dict(type='LimbWarpGenerator', metainfo=metainfo, size=(48, 64)), augment['pose_bank']
        )


def test_a_dataset_of_the_same_joints_needs_no_links(people, augment):
    metainfo = parse_pose_metainfo(dict(COCO_METAINFO))
    info = Config.fromfile(f'{Path(mmpose.__file__).parent}/.mim/{COCO}').dataset_info
    info.skeleton_info = {}
    assert parse_pose_metainfo(info)['keypoint_id2name'] == metainfo['keypoint_id2name']
    start(build_dataset(people, train_steps(augment), metainfo=info))


def test_a_dataset_that_pairs_joints_on_one_side_alone(people, augment):
    info = Config.fromfile(f'{Path(mmpose.__file__).parent}/.mim/{COCO}').dataset_info
    info.keypoint_info[6].swap = ''
    dataset = build_dataset(people, train_steps(augment), metainfo=info)
    words = "CocoDataset mirrors 'right_shoulder' to 'right_shoulder', the generator to 'left_sh"
    with pytest.raises(ValueError, match=words):
        start(dataset)
    generator = dict(type='LimbWarpGenerator', metainfo=info, size=(48, 64))
    with pytest.raises(ValueError, match=r"PG2Augment: .*opposite of 'right_shoulder' is"):
        PG2Augment(generator, augment['pose_bank'])


def test_a_dataset_with_other_joints(people, augment):
    # The joints are told by the dataset's metainfo; no sample has to be read.
    dataset = build_dataset(people, train_steps(augment), metainfo=MPII, lazy_init=True)
    words = r'PG2Augment\(generator=.*CocoDataset has another skeleton: 17 joints expected, 16'
    with pytest.raises(ValueError, match=words):
        start(dataset)


def test_a_loss_that_ignores_weights(people, augment):
    dataset = build_dataset(people, train_steps(augment))
    words = 'model.head.loss_module .KeypointMSELoss. .* set use_target_weight=True'
    with pytest.raises(ValueError, match=words):
        start(dataset, make_model(use_target_weight=False))


def test_a_preprocessor_that_mixes_the_batch(people, augment):
    dataset = build_dataset(people, train_steps(augment))
    preprocessor = PoseDataPreprocessor()
    preprocessor.batch_augments = nn.ModuleList([nn.Identity()])
    with pytest.raises(ValueError, match='remove batch_augments from the model config'):
        start(dataset, make_model(preprocessor=preprocessor))


def test_a_preprocessor_without_images(people, augment):
    dataset = build_dataset(people, train_steps(augment))
    with pytest.raises(ValueError, match=r"is a Identity: use dict\(type='PoseDataPreprocessor'"):
        start(dataset, make_model(preprocessor=nn.Identity()))


def test_the_hook_without_the_transform(people):
    words = r'no PG2Augment in the train pipeline: add .*, or remove PG2Hook from custom_hooks'
    with pytest.raises(ValueError, match=words):
        start(build_dataset(people, train_steps()))


@pytest.mark.parametrize(
    'other', [dict(min_joints_ok=0.1), dict(check=dict(type='AppearanceCheck')), dict(refine=False)]
)
def test_transforms_that_want_different_synthesizers(people, augment, other):
    datasets = [build_dataset(people, train_steps(a)) for a in (augment, {**augment, **other})]
    with pytest.raises(ValueError, match=f'give them the same {next(iter(other))}'):
        start(ConcatDataset(datasets))


def test_a_failed_start_leaves_the_transform_as_it_was(people, augment):
    dataset = build_dataset(people, train_steps(augment))
    with pytest.raises(ValueError, match='use_target_weight'):
        start(dataset, make_model(use_target_weight=False))
    assert not dataset.pipeline.transforms[1].deferred


@pytest.mark.parametrize('key', ['config', 'checkpoint'])
def test_a_generator_that_is_not_there(generator, pose_bank, key):
    lost = {**generator, key: '/nowhere/pg2.file'}
    words = rf"'/nowhere/pg2.file' does not exist: .*pg2aug train, .*dict\({key}=\.\.\.\)"
    with pytest.raises(FileNotFoundError, match=words):
        PG2Augment(lost, pose_bank)


def test_a_bank_that_is_not_there(generator):
    words = "pose_bank '/nowhere/bank.npz' does not exist: .*pg2aug bank"
    with pytest.raises(FileNotFoundError, match=words):
        PG2Augment(generator, '/nowhere/bank.npz')


def test_a_config_of_something_else(generator, pose_bank, tmp_path):
    (tmp_path / 'other.py').write_text("model = dict(type='TopdownPoseEstimator')")
    lost = {**generator, 'config': str(tmp_path / 'other.py')}
    with pytest.raises(ValueError, match=r"other.py' has no model of type 'pg2aug.PG2'"):
        PG2Augment(lost, pose_bank)


def test_a_checkpoint_of_something_else(generator, pose_bank, tmp_path):
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'other.pth')
    lost = {**generator, 'checkpoint': str(tmp_path / 'other.pth')}
    with pytest.raises(ValueError, match=r"other.pth' .*not trained on a PersonPairDataset"):
        PG2Augment(lost, pose_bank)


def test_weights_of_another_config(generator, pose_bank, tmp_path):
    content = torch.load(generator['checkpoint'])
    content['state_dict'].popitem()
    torch.save(content, tmp_path / 'less.pth')
    augment = PG2Augment({**generator, 'checkpoint': str(tmp_path / 'less.pth')}, pose_bank)
    with pytest.raises(ValueError, match=r'weights in .*less.pth do not fit their config'):
        augment.build_synthesizer('cpu')


def test_a_bank_with_another_skeleton(generator, tmp_path):
    names = (*SKELETON.keypoint_names[:16], 'tail')
    limbs = [(a, b) for a, b in SKELETON.limbs if 16 not in (a, b)]
    flip = (*(k for k in SKELETON.flip_indices[:15]), 15, 16)
    other = Skeleton(names, tuple(limbs), flip, SKELETON.torso, SKELETON.head)
    poses = np.random.default_rng(0).uniform(0, 90, (30, 17, 2))
    bank = replace(PoseBank.from_poses(poses, np.ones((30, 17)), SKELETON), skeleton=other)
    bank.save(tmp_path / 'bank.npz')
    with pytest.raises(ValueError, match=r"pose_bank .*joint 16 is 'tail', not 'right_ankle'"):
        PG2Augment(generator, str(tmp_path / 'bank.npz'))


def test_a_bank_without_a_suitable_pose(generator, pose_bank):
    with pytest.raises(ValueError, match=r'none of the 12 poses .*at least min_visible=18 joints'):
        PG2Augment(generator, pose_bank, min_visible=18)


def test_more_joints_than_the_skeleton_has_cannot_be_asked_for(generator, pose_bank):
    with pytest.raises(ValueError, match=r'skeleton has 17 joints: set min_visible to at most 17$'):
        PG2Augment(generator, pose_bank, min_visible=18)
    assert len(PG2Augment(generator, pose_bank, min_visible=17).bank) == 12


def test_a_list_of_mpii_serves_through_a_bank(generator, tmp_path):
    path = tmp_path / 'mpii.json'
    path.write_text(json.dumps([dict(joints=[[1, 2]] * 16, joints_vis=[1] * 16, image='a.jpg')]))
    words = rf'pose_bank: .*pg2aug bank {path}::configs/_base_/datasets/mpii.py --out bank.npz'
    with pytest.raises(ValueError, match=words):
        PG2Augment(generator, str(path))


def test_a_coco_file_serves_as_a_bank(generator, people):
    path = f'{people["data_root"]}/{people["ann_file"]}'
    with open(path) as file:
        assert len(json.load(file)['annotations']) == len(PG2Augment(generator, path).bank)


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(prob=1.5), r'prob must be in \[0, 1\], got 1.5'),
        (dict(min_joints_ok=-1), r'min_joints_ok must be in \[0, 1\], got -1'),
        (dict(max_draws=0), 'max_draws must be at least 1'),
        (dict(min_visible=2), 'min_visible must be at least 3, got 2'),
        (dict(generator=dict(config='a.py')), r"must be dict\(config='...', checkpoint='...'\)"),
    ],
)
def test_arguments_out_of_range(generator, pose_bank, settings, words):
    with pytest.raises(ValueError, match=words):
        PG2Augment(**{**dict(generator=generator, pose_bank=pose_bank), **settings})


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(keypoints=np.zeros((1, 16, 2))), 'dataset has 16 joints, the generator 17: set gen'),
        (dict(keypoints=np.zeros((2, 17, 2))), "several persons, .* data_mode='topdown', or"),
        (dict(input_size=(48, 64)), r"already transformed .it has \['input_size'\].: move"),
        (dict(flip=False), 'already transformed'),
        (dict(img=np.zeros((96, 72, 3), np.float32)), 'float32, not uint8: remove to_float32'),
        (dict(img=np.zeros((96, 72), np.uint8)), "grey: remove color_type='grayscale'"),
        (dict(img=np.zeros((96, 72, 4), np.uint8)), '4 channels, not 3: remove color_type'),
        (dict(img=[np.zeros((96, 72, 3), np.uint8)]), 'not a list of video frames: remove'),
        (dict(lifting_target=np.zeros((1, 17, 3))), 'lifting joints to 3-D reads none: remove'),
        (dict(bbox_rotation=np.zeros(1)), r"already transformed .it has \['bbox_rotation'\]"),
        (dict(bbox_scale=np.full((1, 2), 1e3)), "has .'a padded bbox_scale'.*move PG2Augment up"),
        (
            dict(flip_indices=list(range(17))),
            "dataset mirrors 'left_eye' to 'left_eye', the generator to 'right_eye': correct swap",
        ),
    ],
)
def test_without_the_hook_the_first_sample_tells(make_augment, change, words):
    with pytest.raises(ValueError, match=words):
        make_augment()({**make_sample(), **change})


def test_without_the_hook_a_pipeline_that_loads_later_is_told(make_augment):
    sample = make_sample()
    del sample['img']
    with pytest.raises(ValueError, match=r"no \['img'\]: put PG2Augment right after"):
        make_augment()(sample)


def test_a_gpu_cannot_be_used_in_a_worker(people, augment, monkeypatch):
    dataset = build_dataset(people, train_steps(augment))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    iterator = iter(DataLoader(dataset, num_workers=1, collate_fn=list))
    words = r"'cuda' in a forked worker.*\s*.*custom_hooks=\[dict\(type='pg2aug.PG2Hook'\)\]"
    with pytest.raises(RuntimeError, match=words):
        next(iterator)
    iterator._shutdown_workers()


def test_a_worker_can_use_the_cpu(people, augment, monkeypatch):
    dataset = build_dataset(people, train_steps({**augment, 'device': 'cpu'}))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert len(list(DataLoader(dataset, num_workers=1, collate_fn=list))) == 16
