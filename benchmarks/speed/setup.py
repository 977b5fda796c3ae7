"""What is measured with: people, generators with random weights, and pose estimators."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from benchmarks.common.files import METAINFO, PG2_CONFIGS, ROOT
from benchmarks.common.people import make_people, read_poses
from pg2aug.augment import GeneratorFile, PersonPlan, UnsuitableError, plan_person
from pg2aug.datasets.crop import crop_matrix
from pg2aug.datasets.topdown import load_image
from pg2aug.poses import Skeleton
from pg2aug.registry import MODELS

PADDING, MIN_VISIBLE = 1.25, 8
ANN_FILE, IMAGES = 'person_keypoints_train.json', 'images/train'
_COCO = 'mmpose::body_2d_keypoint/{}_coco-256x192.py'
POSE_CONFIGS = {
    'res18-small_128x96': str(ROOT / 'configs/pose/td-hm_res18-small_pg2aug_figures-128x96.py'),
    'hrnet-w32_256x192': _COCO.format('topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e'),
    'rtmpose-m_256x192': _COCO.format('rtmpose/coco/rtmpose-m_8xb256-420e'),
}
LIMB_WARP = 'limb-warp'
"""Name of the generator without a network: what is left when G1 and G2 cost nothing."""


def load_people(folder: Path, people: int, image_size: tuple[int, int]) -> Path:
    """Procedural people to load, to synthesise from and to take poses of; made once.

    Returns:
        A folder with ``ANN_FILE`` and ``IMAGES``.
    """
    made = folder / f'people_{people}_{image_size[0]}x{image_size[1]}'
    return make_people(made, 'train', people, 8, image_size, rare_share=0.3).parent


def generator_config(name: str) -> Config:
    """A config of configs/pg2, by its name."""
    return Config.fromfile(PG2_CONFIGS / f'{name}.py')


def crop_size(name: str) -> tuple[int, int]:
    """(width, height) of a generator's crops; the limb warp gets those of the smallest."""
    named = 'pg2-self_figures-64x48' if name == LIMB_WARP else name
    width, height = generator_config(named).model.size
    return width, height


def random_generator(name: str, folder: Path) -> dict[str, Any]:
    """A generator as PG2Augment takes it, with random weights: time does not depend on them."""
    if name == LIMB_WARP:
        return dict(type='LimbWarpGenerator', metainfo=METAINFO, size=crop_size(name))
    config, checkpoint = folder / f'{name}.py', folder / f'{name}.pth'
    cfg = generator_config(name)
    if not checkpoint.exists():
        folder.mkdir(parents=True, exist_ok=True)
        cfg.dump(config)
        torch.manual_seed(0)
        model = MODELS.build(dict(cfg.model, stage1_iters=0, _scope_='pg2aug'))
        crop = dict(size=tuple(cfg.model.size), padding=PADDING)
        meta = dict(dataset_meta=dict(parse_pose_metainfo(dict(METAINFO)), crop=crop))
        partial = checkpoint.with_suffix('.partial')
        torch.save(dict(state_dict=model.state_dict(), meta=meta), partial)
        partial.rename(checkpoint)
    return dict(config=str(config), checkpoint=str(checkpoint))


def load_generator(name: str, folder: Path) -> Any:
    """The same, built."""
    return GeneratorFile.from_config(random_generator(name, folder)).build()


def pose_config(name: str) -> Config:
    """A pose estimator as it is, without PG2Augment and without pretrained weights."""
    path = POSE_CONFIGS[name]
    cfg = get_config(path) if '::' in path else Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    dataset = cfg.train_dataloader.dataset
    # Albumentation needs a package of its own, and takes the same time with and without PG2Augment.
    dataset.pipeline = [
        transform
        for transform in dataset.pipeline
        if transform['type'] not in ('PG2Augment', 'Albumentation')
    ]
    hooks = cfg.get('custom_hooks', [])
    dropped = ('PG2Hook', 'mmdet.PipelineSwitchHook')
    cfg.custom_hooks = [hook for hook in hooks if hook['type'] not in dropped]
    return cfg


@dataclass(frozen=True)
class Batch:
    """Persons to synthesise, as :class:`pg2aug.augment.Synthesizer` takes them.

    Attributes:
        images: (N, 3, H, W) float32 BGR in [0, 255].
        plans: N plans.
        matrices: (N, 2, 3) float32, image as loaded to final frame.
    """

    images: torch.Tensor
    plans: list[PersonPlan]
    matrices: torch.Tensor


def make_batch(people: Path, count: int, crop: tuple[int, int], frame: tuple[int, int]) -> Batch:
    """Persons in poses of one another; the first of them again where there are too few.

    Args:
        people: From :func:`load_people`.
        count: N.
        crop: (width, height) of the generator's crops.
        frame: (width, height) of the images.
    """
    content = json.loads((people / ANN_FILE).read_text())
    skeleton = Skeleton.from_coco_category(content['categories'][0])
    files = {image['id']: image['file_name'] for image in content['images']}
    annotations = content['annotations']
    keypoints, visible = read_poses(annotations)
    made: list[tuple[np.ndarray, PersonPlan, np.ndarray]] = []
    for i, annotation in enumerate(annotations):
        image = load_image(str(people / IMAGES / files[annotation['image_id']]), None)
        x, y, w, h = annotation['bbox']
        other = (i + 3) % len(annotations)
        try:
            plan = plan_person(
                *(image, np.array([x, y, x + w, y + h]), keypoints[i], visible[i]),
                *(keypoints[other], visible[other], skeleton, crop, PADDING, MIN_VISIBLE),
            )
        except UnsuitableError:
            continue
        matrix = crop_matrix(plan.bbox, frame, PADDING)
        made.append((cv2.warpAffine(image, matrix, frame), plan, matrix))
        if len(made) == count:
            break
    chosen = [made[i % len(made)] for i in range(count)]
    images = torch.from_numpy(np.stack([image for image, _, _ in chosen]).transpose(0, 3, 1, 2))
    matrices = np.stack([matrix for _, _, matrix in chosen]).astype(np.float32)
    plans = [plan for _, plan, _ in chosen]
    return Batch(images.contiguous().float(), plans, torch.from_numpy(matrices))
