"""Batches of crops and keypoints to what PG2 takes, on the model's device."""

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.distance_fields import BodyDistances, body_distances
from pg2aug.models.holes.push_pull import push_pull
from pg2aug.models.limbs.bones import Body
from pg2aug.models.limbs.warp import limb_warp
from pg2aug.models.rasterize import alpha_within, keypoint_heatmaps, mask_within
from pg2aug.models.tensor_cache import constant
from pg2aug.poses.read.metainfo import read_metainfo
from pg2aug.poses.skeleton import Skeleton
from pg2aug.registry import MODELS

FOREGROUND_RADIUS = 1.4
"""Radius of what is cut out around a limb, over the radius of the person's limbs."""

SUPPORT_RADIUS = 2.0
"""Radius within which a person is looked for: clothes and hair too."""

CORE_RADIUS = 0.6
"""Radius within which there is nothing but the person."""


def to_model_range(images: Tensor) -> Tensor:
    """BGR in [0, 255], (N, 3, H, W), to RGB in [-1, 1]: ``x / 127.5 - 1``."""
    return images.flip(1).float().div_(127.5).sub_(1)


def to_image_range(images: Tensor) -> Tensor:
    """RGB around [-1, 1], (N, 3, H, W), to BGR clipped to [0, 255], float32."""
    return images.float().flip(1).add_(1).mul_(127.5).clamp_(0, 255)


def inside_photo(images: Tensor, black: float = 0.0) -> Tensor:
    """Which pixels of upright crops show the photo, rather than the black beyond its border.

    Rows and columns that are black from a side of the crop on lie beyond the photo; black anywhere
    else is dark clothing. The first row or column of the photo, blended with the black, is left
    out.

    Args:
        images: (N, 3, H, W) crops.
        black: Value of black.

    Returns:
        (N, 1, H, W) float32, 1 inside and 0 outside.
    """
    shown = (images > black).any(dim=1)
    return (_extent(shown.any(dim=2))[:, :, None] * _extent(shown.any(dim=1))[:, None])[:, None]


def _extent(shown: Tensor) -> Tensor:
    """From the first to the last True of (N, L), less one where that is not the end: (N, L)."""
    counts = shown.int()
    within = (counts.cumsum(dim=1) > 0) & (counts.flip(1).cumsum(dim=1).flip(1) > 0)
    return -F.max_pool1d(-within.float(), 3, stride=1, padding=1)


def smooth_background(images: Tensor, person: Tensor, black: float = 0.0) -> Tensor:
    """Crops without their persons, who are replaced by a smooth continuation of what is around.

    Args:
        images: (N, 3, H, W) crops. What :func:`inside_photo` leaves out is not continued.
        person: (N, 1, H, W), greater than 0 where the person may be.
        black: Value of black.

    Returns:
        (N, 3, H, W) float32.
    """
    free = person <= 0
    known = free * inside_photo(images, black)
    return torch.where(free, images.float(), push_pull(images, known))


@MODELS.register_module()
class PG2DataPreprocessor(BaseDataPreprocessor):
    """Move a batch to the device, scale its images and rasterise its target poses there.

    ``foreground``, ``aligned`` and ``matte`` are not in the paper; without them its batches result.

    Args:
        metainfo: MMPose's description of the skeleton, as a dataset's ``metainfo``: either
            ``dict(from_file='configs/_base_/datasets/coco.py')`` or the dict in such a file.
        heatmap_radius: Radius of a joint's disk in pixels.
        heatmap_background: Heatmap value away from the joint: 0 as in the paper, or -1 as in the
            authors' code.
        foreground: Whether to cut the person out of condition and target image, so that the model
            learns the person and not the scene: both are grey further from the pose than
            ``FOREGROUND_RADIUS``.
        aligned: Whether to lay the condition's limbs into the target pose (:func:`limb_warp`) as a
            further condition, which G1 corrects instead of drawing the person anew.
        matte: Whether the model is to predict how much of each pixel is the person, too. The target
            then keeps its background, and comes with that background without the person.
        coordinates: Whether the target pose is given as coordinates instead of heatmaps, for the
            coordinate embedding that the paper compares with; :class:`PG2` sets it.
    """

    def __init__(
        self,
        metainfo: dict[str, Any],
        heatmap_radius: float = 4.0,
        heatmap_background: float = 0.0,
        foreground: bool = False,
        aligned: bool = False,
        matte: bool = False,
        coordinates: bool = False,
    ) -> None:
        super().__init__(non_blocking=True)
        self.skeleton = Skeleton.from_metainfo(read_metainfo(metainfo))
        self.heatmap_radius = heatmap_radius
        self.heatmap_background = heatmap_background
        self.foreground = foreground
        self.aligned = aligned
        self.matte = matte
        self.coordinates = coordinates

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch of :class:`pg2aug.datasets.PersonPairDataset`.

        Args:
            data: Holds ``condition_image`` (N, 3, H, W) uint8 BGR, ``condition_keypoints`` (N, K,
                2) in crop pixels, ``condition_visible`` (N, K) and ``condition_radius`` (N,), and
                the same of the target; in synthesis there is no ``target_image``, and what is in
                the paper needs no more of the condition than its image. With
                ``via_keypoints``, ``via_visible`` and ``via_radius`` the condition is first moved
                into that pose, which damages it, limb by limb.
            training: Not used: a batch is prepared in the same way for training and testing.

        Returns:
            ``condition`` (N, 3, H, W) RGB in [-1, 1], ``pose`` (N, K, H, W) heatmaps, or with
            ``coordinates`` (N, 2 K), see :class:`CoordinateEmbedding`; where there is a target,
            ``target`` like ``condition`` and ``mask`` (N, 1, H, W) in {0, 1}.
            If ``aligned``: ``warp`` (N, 4, H, W), RGB in [-1, 1] times matte, and matte. If
            ``matte``: ``support`` (N, 1, H, W) in [0, 1], where the person may be; where there is a
            target, ``core`` alike, where there is nothing but the person, and ``background``
            (N, 3, H, W).

        Raises:
            ValueError: If the number of joints is not the skeleton's, or there is a pose ``via``
                without ``foreground`` and ``aligned``.
        """
        data = self.cast_data(data)
        self._check_joints(data['target_keypoints'])
        if 'via_keypoints' in data:
            self._check_self_pairs()
        shape = tuple(data['condition_image'].shape[-2:])
        joints = data['target_keypoints'], data['target_visible'], shape
        batch = dict(pose=self._pose(*joints)) | self._conditions(data)
        if self.matte or 'target_image' in data:
            # Only losses and metrics want to know where the target's body is.
            batch |= self._target(data, body_distances(*joints, self.skeleton))
        return batch

    def _pose(self, keypoints: Tensor, visible: Tensor, shape: tuple[int, int]) -> Tensor:
        if not self.coordinates:
            return keypoint_heatmaps(
                keypoints, visible, shape, self.heatmap_radius, self.heatmap_background
            )
        shares = keypoints / constant([shape[1] - 1, shape[0] - 1], keypoints)
        return torch.where((visible > 0)[..., None], shares, -1.0).flatten(1).float()

    def _conditions(self, data: dict[str, Any]) -> dict[str, Tensor]:
        image = to_model_range(data['condition_image'])
        if not (self.foreground or self.aligned or 'via_keypoints' in data):
            return {'condition': image}
        source, known = _body(data, 'condition'), inside_photo(image, black=-1.0)
        # Grey where nothing is known, as where a moved person is not: black is no sleeve.
        image = image * known
        shape = image.shape[-2], image.shape[-1]
        if 'via_keypoints' in data:
            via = _body(data, 'via')
            moved = limb_warp(image, source, via, self.skeleton, known)
            image, known, source = moved[:, :3], moved[:, 3:], via
        batch = {'condition': image}
        if self.foreground:
            joints = source.keypoints, source.visible
            distances = body_distances(*joints, shape, self.skeleton)
            batch['condition'] = image * _cut_out(distances, source.radius)
        if self.aligned:
            batch['warp'] = limb_warp(image, source, _body(data, 'target'), self.skeleton, known)
        return batch

    def _target(self, data: dict[str, Any], distances: BodyDistances) -> dict[str, Tensor]:
        batch = dict[str, Tensor]()
        if self.matte:
            batch['support'] = alpha_within(distances, SUPPORT_RADIUS * data['target_radius'])
        if 'target_image' not in data:
            return batch
        batch['target'] = image = to_model_range(data['target_image'])
        batch['mask'] = mask_within(distances.limbs)
        if self.matte:
            core = CORE_RADIUS * data['target_radius']
            batch['core'] = alpha_within(distances, core, hands_and_feet=False)
            batch['background'] = smooth_background(image, batch['support'], -1.0)
        elif self.foreground:
            batch['target'] = image * _cut_out(distances, data['target_radius'])
        return batch

    def _check_self_pairs(self) -> None:
        missing = [name for name in ('foreground', 'aligned') if not getattr(self, name)]
        if missing:
            raise ValueError(
                "the pairs of PersonPairDataset(pairing='self') show a person moved limb by limb "
                'and nothing around it, which nothing of a target can be told from without the '
                f'warp back, cut out: set {" and ".join(f"{name}=True" for name in missing)} in '
                "model.data_preprocessor, or pairing='identity'"
            )

    def _check_joints(self, keypoints: Tensor) -> None:
        if keypoints.shape[1] != self.skeleton.num_keypoints:
            raise ValueError(
                f'the batch has {keypoints.shape[1]} joints, but the skeleton of '
                f'model.data_preprocessor.metainfo has {self.skeleton.num_keypoints}: '
                'give the model the metainfo of its dataset'
            )


def _cut_out(distances: BodyDistances, radius: Tensor) -> Tensor:
    return alpha_within(distances, FOREGROUND_RADIUS * radius, hands_and_feet=False)


def _body(data: dict[str, Any], role: str) -> Body:
    return Body(*(data[f'{role}_{name}'] for name in ('keypoints', 'visible', 'radius')))
