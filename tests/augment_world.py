"""A small world for the tests of augment: a person in a scene, a generator, a pose estimator."""

import copy
from dataclasses import replace

import numpy as np
import torch
from helpers import COCO_METAINFO, TINY_MODEL
from mmcv.transforms import Compose
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import TRANSFORMS
from torch.nn import functional as F

from pg2aug.augment import PersonPlan, plan_person
from pg2aug.compat import load_checkpoint
from pg2aug.engine.training import build_runner
from pg2aug.figures import render_figure, sample_pose
from pg2aug.models import PG2
from pg2aug.models.preprocessor import to_image_range
from pg2aug.poses import Skeleton
from pg2aug.registry import MODELS

METAINFO = parse_pose_metainfo(dict(COCO_METAINFO))
SKELETON = Skeleton.from_metainfo(METAINFO)
SIZE = (48, 64)
PADDING = 1.25
GENERATOR = {
    **TINY_MODEL,
    'size': SIZE,
    'data_preprocessor': {**TINY_MODEL['data_preprocessor'], 'heatmap_radius': 2.0},
}


class SmoothPG2(PG2):
    """Persons that are smooth, and tell left joints (red) from right ones (green).

    Blue is the blurred condition image and a slope, so that a wrong crop or frame shows as well.
    """

    def synthesize(self, data, refine=True):
        batch = self.data_preprocessor(data)
        condition, pose = batch['condition'], batch['pose']
        flip = torch.tensor(SKELETON.flip_indices)
        joints = torch.arange(len(flip))
        # COCO lists the left joint of a pair first.
        left = _blur(pose[:, joints < flip].amax(dim=1, keepdim=True))
        right = _blur(pose[:, joints > flip].amax(dim=1, keepdim=True))
        slope = torch.linspace(-0.5, 0.5, pose.shape[3]).expand(len(pose), 1, *pose.shape[2:])
        blue = (_blur(condition[:, 2:]) + slope) / 2
        return to_image_range(torch.cat([2 * left - 1, 2 * right - 1, blue], dim=1))


def _blur(images):
    for _ in range(2):
        images = F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    return images


@MODELS.register_module()
class RefuseJoints:
    """A label check that refuses some joints, and every joint of every second person."""

    def __init__(self, joints=(), every_second=False):
        self.joints = list(joints)
        self.every_second = every_second

    def __call__(self, synthesis):
        passed = synthesis.visible > 0
        passed[:, self.joints] = False
        if self.every_second:
            passed[1::2] = False
        return passed


@MODELS.register_module()
class AcceptEvery:
    """A label check that accepts the last of so many persons, and refuses the others."""

    def __init__(self, number):
        self.number, self.seen = number, 0

    def __call__(self, synthesis):
        places = self.seen + torch.arange(len(synthesis.visible))
        self.seen += len(places)
        return (synthesis.visible > 0) & (places % self.number == self.number - 1)[:, None]


@MODELS.register_module()
class PassEverything:
    """A label check that passes all joints, labels or not."""

    def __call__(self, synthesis):
        return torch.ones_like(synthesis.visible, dtype=torch.bool)


def write_generator(folder, people):
    """Train a tiny PG2 for two iterations: ``generator=`` of PG2Augment."""
    dataset = dict(type='pg2aug.PersonPairDataset', size=SIZE, padding=PADDING, dataset=people)
    cfg = Config.fromfile('configs/_base_/pg2.py')
    leaf = dict(
        stage1_iters=1,
        stage2_iters=1,
        model=GENERATOR,
        train_dataloader=dict(
            batch_size=2, num_workers=0, persistent_workers=False, dataset=dataset
        ),
        default_hooks=dict(checkpoint=dict(interval=2)),
        experiment_name='tiny_pg2',
        work_dir=str(folder / 'work'),
    )
    cfg.merge_from_dict(leaf)
    cfg.dump(folder / 'tiny_pg2.py')
    build_runner(Config.fromfile(folder / 'tiny_pg2.py')).train()
    checkpoint = folder / 'work' / 'iter_2.pth'
    content = load_checkpoint(checkpoint)
    # Optimisers and message hub are most of a checkpoint, and it is read by nearly every test.
    torch.save({key: content[key] for key in ('state_dict', 'meta')}, checkpoint)
    return dict(config=str(folder / 'work' / 'tiny_pg2.py'), checkpoint=str(checkpoint))


def slope_background(size):
    """A background that interpolates well: each channel rises along another direction."""
    ys, xs = np.mgrid[: size[1], : size[0]].astype(np.float32)
    channels = [60 + 100 * xs / size[0], 200 - 90 * ys / size[1], 40 + 60 * (xs + ys) / sum(size)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def make_figure(person_id=0, family='standing', seed=0, size=(160, 150), zoom=0.55, **angles):
    """A figure in the middle of a smooth scene, wholly in the image."""
    rng = np.random.default_rng(seed)
    settings = dict(zoom=zoom, shift=(0.1, -0.2), yaw=10.0) | angles
    pose = replace(sample_pose(family, rng), **settings)
    return render_figure(person_id, family, size, rng, background=slope_background(size), pose=pose)


def make_sample(**figure):
    """What a pipeline of MMPose has in hand after ``LoadImage``."""
    figure = make_figure(**figure)
    x, y, w, h = figure.bbox
    shown = figure.visible > 0
    keys = ('upper_body_ids', 'lower_body_ids', 'flip_indices', 'dataset_keypoint_weights')
    return dict(
        img=figure.image,
        img_path='figure.png',
        img_shape=figure.image.shape[:2],
        ori_shape=figure.image.shape[:2],
        bbox=np.array([[x, y, x + w, y + h]], np.float32),
        bbox_score=np.ones(1, np.float32),
        keypoints=np.where(shown[:, None], figure.keypoints, 0)[None].astype(np.float32),
        keypoints_visible=shown[None].astype(np.float32),
        num_keypoints=int(shown.sum()),
        area=np.array(0.5 * w * h, np.float32),
        segmentation=[[0.0, 0.0, 1.0, 1.0, 0.0, 1.0]],
        category_id=np.array(1),
        id=1,
        img_id=1,
        **{key: METAINFO[key] for key in keys},
    )


def plan_for(sample, figure, **settings):
    """The plan that gives a sample's person the pose of another figure."""
    arguments = dict(
        image=sample['img'],
        bbox=sample['bbox'][0],
        keypoints=sample['keypoints'][0],
        visible=sample['keypoints_visible'][0],
        target=figure.keypoints,
        target_visible=figure.visible,
        skeleton=SKELETON,
        size=SIZE,
        padding=PADDING,
        min_visible=8,
    )
    return plan_person(**{**arguments, **settings})


def same_arrays(a: PersonPlan, b: PersonPlan):
    x, y = a.to_dict(), b.to_dict()
    return all(np.array_equal(x[name], y[name]) and x[name].dtype == y[name].dtype for name in x)


def compose(*steps):
    """An MMPose pipeline of configs and ready transforms."""
    return Compose(
        [TRANSFORMS.build(copy.deepcopy(s)) if isinstance(s, dict) else s for s in steps]
    )


def as_images(inputs, preprocessor):
    """Network inputs back to BGR in [0, 255]."""
    return (inputs * preprocessor.std + preprocessor.mean).flip(1)
