"""A tiny PG2, its batches and its steps, and what every test leaves behind otherwise."""

import numpy as np
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

from pg2aug.engine import PG2OptimWrapperConstructor
from pg2aug.models import PG2

COCO_METAINFO = dict(from_file='configs/_base_/datasets/coco.py')
SIZE = (32, 64)
TINY_MODEL = dict(
    type='pg2aug.PG2',
    size=SIZE,
    num_keypoints=17,
    generator1=dict(num_blocks=3, base_channels=4, bottleneck_features=8),
    generator2=dict(num_blocks=2, base_channels=4),
    discriminator=dict(channels=(4, 8)),
    l1_weight=10,
    data_preprocessor=dict(type='pg2aug.PG2DataPreprocessor', metainfo=COCO_METAINFO),
)

# Nose, eyes, ears; then shoulders, elbows, wrists, hips, knees, ankles, left before right: (x, y)
# in units of the image's size.
STANDING = np.array(
    [
        *[(0.50, 0.14), (0.53, 0.12), (0.47, 0.12), (0.57, 0.13), (0.43, 0.13)],
        *[(0.66, 0.26), (0.34, 0.26), (0.74, 0.38), (0.26, 0.38), (0.76, 0.50), (0.24, 0.50)],
        *[(0.60, 0.54), (0.40, 0.54), (0.61, 0.74), (0.39, 0.74), (0.61, 0.92), (0.39, 0.92)],
    ],
    dtype=np.float32,
)
LIMBS = [(5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12)]
LIMBS += [(11, 13), (13, 15), (12, 14), (14, 16)]


def make_pg2(stage1_iters=10, seed=0, **overrides):
    torch.manual_seed(seed)
    settings = {**TINY_MODEL, **overrides}
    settings.pop('type')
    return PG2(stage1_iters=stage1_iters, **settings)


def make_optim_wrapper(model, optimizer=None, **settings):
    optimizer = optimizer or dict(type='Adam', lr=1e-3)
    cfg = dict(type='OptimWrapper', optimizer=optimizer, **settings)
    return PG2OptimWrapperConstructor(cfg)(model)


def train_step(model, batch, optim_wrapper, iteration):
    """One training step at a given iteration, as the Runner's hooks announce it."""
    MessageHub.get_current_instance().update_info('iter', iteration)
    return model.train_step(batch, optim_wrapper)


def make_batch(num=3, size=SIZE, seed=0):
    """A collated batch of random images in which standing poses move about."""
    rng = np.random.default_rng(seed)
    poses = (STANDING + rng.normal(0, 0.03, (num, 17, 2))) * size
    shape = (num, 3, size[1], size[0])
    return dict(
        condition_image=torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8)),
        target_image=torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8)),
        target_keypoints=torch.from_numpy(poses.astype(np.float32)),
        target_visible=torch.ones(num, 17),
        target_radius=torch.full((num,), size[1] / 32),
        condition_keypoints=torch.from_numpy(poses[::-1].astype(np.float32)),
        condition_visible=torch.ones(num, 17),
        condition_radius=torch.full((num,), size[1] / 32),
    )


def weights(module):
    """A copy of all parameters and buffers."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def same_weights(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def forget_runners():
    """Clear what every Runner leaves behind: its logger, message hub, default scope, visualizer."""
    for manager in (DefaultScope, MessageHub, MMLogger, Visualizer):
        manager._instance_dict.clear()
