"""Persons in new poses without any learning."""

from typing import Any

import torch
from torch import Tensor, nn

from pg2aug.models.limbs.bones import Body
from pg2aug.models.limbs.warp import limb_warp
from pg2aug.models.preprocessor import inside_photo
from pg2aug.poses.read.metainfo import read_metainfo
from pg2aug.poses.skeleton import Skeleton
from pg2aug.registry import MODELS


@MODELS.register_module()
class LimbWarpGenerator(nn.Module):
    """Lay the condition person's limbs into the target pose, and do nothing else.

    Takes the place of a trained PG2 wherever persons are synthesised: the baseline that learning
    has to beat, and what there is before any training. See :func:`pg2aug.models.limbs.warp`.

    Args:
        metainfo: MMPose's description of the skeleton, as a dataset's ``metainfo``: either
            ``dict(from_file='configs/_base_/datasets/coco.py')`` or the dict in such a file.
    """

    def __init__(self, metainfo: dict[str, Any]) -> None:
        super().__init__()
        self.skeleton = Skeleton.from_metainfo(read_metainfo(metainfo))

    def synthesize(self, data: dict[str, Any], refine: bool = True) -> Tensor:
        """Synthesise the persons of a batch as images.

        Args:
            data: See :class:`pg2aug.models.PG2DataPreprocessor`; on the device it is to be done on.
            refine: Not used; there is nothing to refine with.

        Returns:
            (N, 4, H, W) float32, BGR in [0, 255] and matte in [0, 1].
        """
        warped = laid_limbs(data, self.skeleton)
        matte = warped[:, 3:]
        return torch.cat([warped[:, :3] / matte.clamp_min(1e-3), matte], dim=1)


def laid_limbs(data: dict[str, Any], skeleton: Skeleton) -> Tensor:
    """The condition person's limbs, laid into the target pose.

    Args:
        data: See :class:`pg2aug.models.PG2DataPreprocessor`.
        skeleton: Of the poses.

    Returns:
        (N, 4, H, W) float32, BGR in [0, 255] multiplied by the matte, and the matte in [0, 1].
    """
    source, target = (
        Body(*(data[f'{role}_{name}'] for name in ('keypoints', 'visible', 'radius')))
        for role in ('condition', 'target')
    )
    images = data['condition_image'].float()
    known = inside_photo(images)
    return limb_warp(images * known, source, target, skeleton, known)
