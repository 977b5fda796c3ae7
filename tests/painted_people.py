"""People who are easy to find: each joint is a spot of a colour of its own; and who finds them."""

import json

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner import Runner
from mmpose.registry import MODELS
from torch import nn

METAINFO = dict(from_file='configs/_base_/datasets/coco.py')
SIZE = (60, 80)
INPUT = (48, 64)
CODEC = dict(type='MSRAHeatmap', input_size=INPUT, heatmap_size=INPUT, sigma=1.5)
GREY = 100
CUBE = [(b, g, r) for b in (0, 128, 255) for g in (0, 128, 255) for r in (0, 128, 255)]
# The 17 that differ most from the background; black is what MMPose fills the crop's border with.
CUBE = sorted(CUBE[1:], key=lambda colour: -np.linalg.norm(np.subtract(colour, GREY)))
COLOURS = np.array(CUBE[:17])
CELLS = [(x, y) for y in range(7, 78, 10) for x in range(7, 58, 10)]


@MODELS.register_module()
class Pixelwise(BaseModule):
    """A backbone that sees single pixels: it has to learn which colour is which joint."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.layers = nn.Sequential(nn.Conv2d(3, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 1), nn.ReLU())

    def forward(self, inputs):
        return (self.layers(inputs),)


def draw_person(seed, hidden=(), size=SIZE, offset=(0, 0)):
    """An image (h, w, 3) uint8 and its keypoints (17, 2); hidden joints are not painted."""
    rng = np.random.default_rng(seed)
    keypoints = np.array(CELLS)[rng.permutation(len(CELLS))[:17]] + rng.integers(-2, 3, (17, 2))
    keypoints = keypoints + offset
    image = np.full((size[1], size[0], 3), GREY, np.uint8)
    for joint, (point, colour) in enumerate(zip(keypoints, COLOURS, strict=True)):
        if joint not in hidden:
            cv2.circle(image, point.tolist(), 2, colour.tolist(), -1)
    return cv2.GaussianBlur(image, (3, 3), 0), keypoints


def write_people(folder, number):
    """A COCO data set of labelled people, to train on."""
    (folder / 'img').mkdir(parents=True)
    images, annotations = [], []
    for seed in range(number):
        image, keypoints = draw_person(1000 + seed)
        cv2.imwrite(str(folder / 'img' / f'{seed}.png'), image)
        images.append(dict(id=seed, file_name=f'{seed}.png', width=SIZE[0], height=SIZE[1]))
        triples = np.column_stack([keypoints, np.full(17, 2)]).ravel().tolist()
        person = dict(id=seed, image_id=seed, category_id=1, iscrowd=0, bbox=[0, 0, *SIZE])
        annotations.append(person | dict(num_keypoints=17, keypoints=triples, area=1))
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='person')])
    (folder / 'ann.json').write_text(json.dumps(content))
    return dict(
        type='CocoDataset',
        data_root=str(folder),
        ann_file='ann.json',
        data_prefix=dict(img='img/'),
        metainfo=METAINFO,
    )


def training_config(folder, iterations):
    """An MMPose config as its users have them."""
    first = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
    crop = dict(type='TopdownAffine', input_size=INPUT)
    target = dict(type='GenerateTarget', encoder=CODEC)
    train = [*first, crop, target, dict(type='PackPoseInputs')]
    test = [*first, crop, dict(type='PackPoseInputs')]
    people = write_people(folder / 'people', 16)
    loader = dict(batch_size=4, num_workers=0)
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    return Config(
        dict(
            default_scope='mmpose',
            model=dict(
                type='TopdownPoseEstimator',
                data_preprocessor=dict(
                    type='PoseDataPreprocessor', mean=mean, std=std, bgr_to_rgb=True
                ),
                backbone=dict(type='Pixelwise'),
                head=dict(
                    type='HeatmapHead',
                    in_channels=32,
                    out_channels=17,
                    deconv_out_channels=None,
                    loss=dict(type='KeypointMSELoss', use_target_weight=True),
                    decoder=CODEC,
                ),
            ),
            train_dataloader=dict(
                **loader,
                sampler=dict(type='InfiniteSampler'),
                dataset=dict(**people, pipeline=train),
            ),
            test_dataloader=dict(
                **loader,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(**people, pipeline=test, test_mode=True),
            ),
            test_cfg=dict(),
            test_evaluator=dict(type='PCKAccuracy'),
            train_cfg=dict(by_epoch=False, max_iters=iterations),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=2e-2)),
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=iterations, by_epoch=False),
                logger=dict(type='LoggerHook', interval=iterations),
            ),
            log_processor=dict(by_epoch=False),
            experiment_name='pixelwise',
            work_dir=str(folder / 'work'),
            randomness=dict(seed=0),
        )
    )


def train_estimator(folder, iterations=150):
    """Train, and return the config and checkpoint that the Runner wrote."""
    cfg = training_config(folder, iterations)
    cfg.dump(folder / 'pixelwise.py')
    Runner.from_cfg(cfg).train()
    return str(folder / 'pixelwise.py'), str(folder / 'work' / f'iter_{iterations}.pth')
