"""Whole trainings of a tiny PG2: data, configs, and hooks that interrupt or record them.

Configs import this module by name, so that a training in another process has the hooks as well.
"""

import json
import os
import socket
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from helpers import LIMBS, STANDING, TINY_MODEL
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

import pg2aug_command

ROOT = Path(__file__).resolve().parents[1]
# A fork has everything imported, which takes seconds; it cannot use CUDA.
START_METHOD = 'spawn' if torch.cuda.is_available() else 'fork'
STAGE1_ITERS, STAGE2_ITERS = 4, 4
TOTAL_ITERS = STAGE1_ITERS + STAGE2_ITERS


class Interrupted(Exception):
    """Raised by :class:`InterruptHook` in the middle of a training."""


@HOOKS.register_module()
class InterruptHook(Hook):
    """Stop before iteration ``at``: with an exception, or waiting to be killed."""

    def __init__(self, at, wait=False):
        self.at = at
        self.wait = wait

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            if not self.wait:
                raise Interrupted
            Path(runner.work_dir, 'waiting').touch()
            time.sleep(120)


@HOOKS.register_module()
class SaveRankHook(Hook):
    """Save what each process ends with: its weights, and the losses of every iteration."""

    def before_train(self, runner):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({name: float(value) for name, value in outputs.items()})

    def after_train(self, runner):
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        names = ('generator1', 'generator2', 'discriminator')
        networks = {name: getattr(model, name) for name in names}
        weights = {
            f'{network}.{name}'.replace('.module.', '.'): parameter.detach()
            for network, module in networks.items()
            for name, parameter in module.named_parameters()
        }
        state = dict(weights=weights, losses=self.losses)
        torch.save(state, Path(runner.work_dir, f'rank{get_rank()}.pth'))


def run_command(name, *arguments):
    """Run a command of pg2aug as its command line does, in a process that ends with it."""
    raise SystemExit(pg2aug_command.main([name, *arguments]))


def run_ranks(function, *arguments, start_method=START_METHOD):
    """Call a function in two processes, in the environment that torchrun gives them.

    The first that fails, or whose function returns another status than 0, ends both with an error.
    """
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        _run_rank, (port, function, arguments), nprocs=2, start_method=start_method
    )


def _run_rank(rank, port, function, arguments):
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE='2',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
    )
    raise SystemExit(function(*arguments))


def train_config(people, work_dir, batch_size=2, num_workers=0, hooks=(), **settings):
    """A config on top of the project's own base config, as a user writes one.

    Args:
        people: Config of a COCO dataset, from :func:`write_stick_people`.
        work_dir: Where the training writes; its name becomes the experiment's.
        hooks: Custom hooks beside the sample sheets.
        settings: Merged over the config.
    """
    dataset = dict(type='pg2aug.PersonPairDataset', size=TINY_MODEL['size'], dataset=people)
    sheets = dict(type='pg2aug.SampleSheetHook', interval=3, num_pairs=2, dataset=dataset)
    loader = dict(batch_size=batch_size, num_workers=num_workers, dataset=dataset)
    cfg = Config.fromfile(ROOT / 'configs/_base_/pg2.py')
    leaf = dict(
        custom_imports=dict(imports=['training_helpers']),
        stage1_iters=STAGE1_ITERS,
        stage2_iters=STAGE2_ITERS,
        model=TINY_MODEL,
        optim_wrapper=dict(optimizer=dict(lr=1e-3)),
        train_dataloader=dict(loader, persistent_workers=num_workers > 0),
        default_hooks=dict(checkpoint=dict(interval=2, max_keep_ckpts=-1), logger=dict(interval=1)),
        custom_hooks=[sheets, *hooks],
        # Two Runners of the same name in one process would share their loggers.
        experiment_name=Path(work_dir).name,
        work_dir=str(work_dir),
    )
    cfg.merge_from_dict(leaf)
    cfg.merge_from_dict(settings)
    return cfg


def write_stick_people(folder, identities=3, poses=3, size=(48, 96), seed=0):
    """Images of stick people in their own colours and a COCO file: the config of its dataset."""
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(identities * poses):
        colors = np.random.default_rng(index // poses).integers(0, 256, (2, 3)).tolist()
        keypoints = (STANDING + rng.normal(0, 0.03, (17, 2))) * size
        image = np.full((size[1], size[0], 3), 120, np.uint8)
        for a, b in LIMBS:
            ends = [tuple(int(v) for v in keypoints[joint]) for joint in (a, b)]
            cv2.line(image, *ends, colors[a > 10], 3)
        cv2.imwrite(str(folder / f'{index}.png'), image)
        common = dict(id=index + 1, width=size[0], height=size[1])
        images.append(dict(common, file_name=f'{index}.png'))
        labels = np.column_stack([keypoints, np.full(17, 2)]).ravel().tolist()
        box = dict(bbox=[4, 4, size[0] - 8, size[1] - 8], area=1.0, iscrowd=0, category_id=1)
        annotations.append(
            dict(id=index + 1, image_id=index + 1, keypoints=labels, num_keypoints=17, **box)
            | dict(person_id=index // poses)
        )
    data = dict(images=images, annotations=annotations, categories=[dict(id=1, name='person')])
    (folder / 'people.json').write_text(json.dumps(data))
    prefix = dict(img='')
    return dict(
        type='CocoDataset', data_root=str(folder), ann_file='people.json', data_prefix=prefix
    )
