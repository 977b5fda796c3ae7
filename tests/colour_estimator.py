"""A pose estimator that needs no training: each joint is painted in a colour of its own."""

import torch
from augment_world import METAINFO, SIZE, SKELETON
from mmengine.config import Config
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import nn

from pg2aug.augment import Synthesis

INPUT = (96, 128)
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
# Of 27 colours at the corners and in the middle of the cube, those that are not grey.
COLOURS = torch.tensor(
    [(b, g, r) for b in (0, 128, 255) for g in (0, 128, 255) for r in (0, 128, 255)]
)
COLOURS = COLOURS[(COLOURS.float().std(dim=1) > 0)][:17].float()


@MODELS.register_module()
class ColourBackbone(BaseModule):
    """A map for each joint of how near each pixel is to its colour; it knows the normalisation."""

    def __init__(self):
        super().__init__()
        self.register_buffer('colours', COLOURS.flip(1), persistent=False)
        self.norm = nn.BatchNorm2d(17)
        self.scale = nn.Parameter(torch.ones(1))
        self.lazy = None

    def forward(self, inputs):
        mean, std = (inputs.new_tensor(v).view(3, 1, 1) for v in (MEAN, STD))
        difference = (inputs * std + mean)[:, None] - self.colours[:, :, None, None]
        near = torch.exp(-difference.square().sum(dim=2) / (2 * 25.0**2))
        self.norm(near)  # keeps statistics in training
        if self.lazy is None:
            self.lazy = near.new_ones(1)
        return (near * self.scale * self.lazy,)


def model_config(codec='MSRAHeatmap', **settings):
    codec = dict(type=codec, input_size=INPUT, heatmap_size=INPUT, sigma=2)
    head = dict(
        type='HeatmapHead',
        in_channels=17,
        out_channels=17,
        deconv_out_channels=None,
        final_layer=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=codec,
    )
    return dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=MEAN, std=STD, bgr_to_rgb=True),
        backbone=dict(type='ColourBackbone'),
        head=head,
        **settings,
    )


def build_model(**settings):
    return MODELS.build(dict(model_config(**settings), _scope_='mmpose'))


def write_estimator(folder, meta=True, **settings):
    """Config and checkpoint of the estimator: arguments of PoseModelCheck."""
    config, checkpoint = folder / 'pose.py', folder / 'pose.pth'
    Config(dict(model=model_config(**settings))).dump(config)
    content = dict(state_dict=build_model(**settings).state_dict())
    content['meta'] = dict(dataset_meta=METAINFO) if meta else {}
    torch.save(content, checkpoint)
    return dict(config=str(config), checkpoint=str(checkpoint))


def paint(keypoints, size=SIZE):
    """Grey images (N, 3, h, w) with a spot of its colour at each of (N, 17, 2) keypoints."""
    ys, xs = torch.meshgrid(torch.arange(size[1]), torch.arange(size[0]), indexing='ij')
    images = torch.full((len(keypoints), 3, size[1], size[0]), 100.0)
    for image, points in zip(images, keypoints, strict=True):
        for (x, y), colour in zip(points.tolist(), COLOURS, strict=True):
            near = torch.exp(-((xs - x).square() + (ys - y).square()) / 6)
            near[near < 0.1] = 0
            torch.lerp(image, colour[:, None, None].expand_as(image), near, out=image)
    return images


def spread_keypoints(persons=2, seed=0):
    """(N, 17, 2) poses in crops of SIZE, no joint near another."""
    generator = torch.Generator().manual_seed(seed)
    cells = [(x, y) for y in range(7, 60, 9) for x in range(6, 44, 9)]
    chosen = [torch.randperm(len(cells), generator=generator)[:17] for _ in range(persons)]
    return torch.stack([torch.tensor(cells)[c] for c in chosen]).float()


def synthesis_of(keypoints, painted=None, visible=None):
    """Persons painted at some joints, labelled at others."""
    persons = paint(keypoints if painted is None else painted)
    visible = torch.ones(keypoints.shape[:2]) if visible is None else visible
    return Synthesis(persons, keypoints, visible, persons, keypoints, visible, SKELETON)
