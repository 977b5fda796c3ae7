"""Trainings of a tiny pose estimator, and what its network and its loss were given."""

from dataclasses import dataclass, field

from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner import Runner
from mmpose.registry import MODELS
from torch import Tensor, nn

INPUT = (48, 64)
CODEC = dict(type='MSRAHeatmap', input_size=INPUT, heatmap_size=INPUT, sigma=1.5)
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


@MODELS.register_module()
class OneConvolution(BaseModule):
    """The smallest backbone, at full resolution."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, inputs):
        return (self.convolution(inputs),)


def train_steps(*augments, flip=0.5):
    """A usual train pipeline, with PG2Augment where it belongs."""
    return [
        dict(type='LoadImage'),
        *augments,
        dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='RandomFlip', prob=flip),
        dict(type='TopdownAffine', input_size=INPUT),
        dict(type='GenerateTarget', encoder=CODEC),
        dict(type='PackPoseInputs'),
    ]


def pose_config(work_dir, dataset, val_dataset=None, hooks=(), num_workers=0, by_epoch=True):
    """An MMPose config: two epochs, or four iterations, of batches of four."""
    loader = dict(
        batch_size=4,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        sampler=dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler', shuffle=True),
        dataset=dataset,
    )
    cfg = dict(
        default_scope='mmpose',
        model=dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(
                type='PoseDataPreprocessor', mean=MEAN, std=STD, bgr_to_rgb=True
            ),
            backbone=dict(type='OneConvolution'),
            head=dict(
                type='HeatmapHead',
                in_channels=4,
                out_channels=17,
                deconv_out_channels=None,
                loss=dict(type='KeypointMSELoss', use_target_weight=True),
                decoder=CODEC,
            ),
        ),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=2)
        if by_epoch
        else dict(by_epoch=False, max_iters=4),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=2 if by_epoch else 4, by_epoch=by_epoch)
        ),
        log_processor=dict(by_epoch=by_epoch),
        custom_hooks=list(hooks),
        experiment_name=work_dir.name,
        work_dir=str(work_dir),
        randomness=dict(seed=0),
        env_cfg=dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0)),
    )
    if val_dataset is not None:
        cfg['val_dataloader'] = dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=val_dataset,
        )
        cfg['val_cfg'] = dict()
        cfg['val_evaluator'] = dict(type='PCKAccuracy', norm_item='bbox')
    return Config(cfg)


@dataclass
class Spy:
    """What went through a model, batch by batch.

    Attributes:
        loaded: What the pipelines gave, (B, 3, H, W) BGR uint8 of training batches.
        inputs: What the network got instead, normalised.
        samples: Their data samples as the loss got them.
        validated: Raw and normalised inputs of validation batches.
        hooked: Whether the preprocessor had forward hooks in training.
    """

    loaded: list[Tensor] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    samples: list = field(default_factory=list)
    validated: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    hooked: list[bool] = field(default_factory=list)

    @classmethod
    def on(cls, runner: Runner) -> 'Spy':
        import torch

        spy, model = cls(), runner.model
        loss, predict = model.loss, model.predict
        raw = []

        def load(preprocessor, args):
            raw[:] = [torch.stack([image.clone() for image in args[0]['inputs']])]

        def spy_on_loss(inputs, data_samples):
            spy.loaded.append(raw[0])
            spy.inputs.append(inputs.clone())
            spy.samples.append([sample.clone() for sample in data_samples])
            spy.hooked.append(len(model.data_preprocessor._forward_hooks) > 0)
            return loss(inputs, data_samples)

        def spy_on_predict(inputs, data_samples):
            spy.validated.append((raw[0], inputs.clone()))
            return predict(inputs, data_samples)

        model.data_preprocessor.register_forward_pre_hook(load)
        model.loss, model.predict = spy_on_loss, spy_on_predict
        return spy
