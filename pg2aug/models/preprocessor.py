"""Batches of crops and keypoints to what PG2 takes, on the model's device."""

from typing import Any

from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from pg2aug.models.rasterize import body_alpha, keypoint_heatmaps, limb_radius, pose_mask
from pg2aug.poses.skeleton import Skeleton
from pg2aug.registry import MODELS

FOREGROUND_RADIUS = 1.4
"""Radius of what is cut out around a limb, over the radius of limbs in the pose mask."""


def to_model_range(images: Tensor) -> Tensor:
    """BGR in [0, 255], (N, 3, H, W), to RGB in [-1, 1]: ``x / 127.5 - 1``."""
    return images.flip(1).float().div_(127.5).sub_(1)


def to_image_range(images: Tensor) -> Tensor:
    """RGB around [-1, 1], (N, 3, H, W), to BGR clipped to [0, 255], float32."""
    return images.float().flip(1).add_(1).mul_(127.5).clamp_(0, 255)


@MODELS.register_module()
class PG2DataPreprocessor(BaseDataPreprocessor):
    """Move a batch to the device, scale its images and rasterise its target poses there.

    Args:
        metainfo: MMPose's description of the skeleton, as a dataset's ``metainfo``: either
            ``dict(from_file='configs/_base_/datasets/coco.py')`` or the dict in such a file.
        heatmap_radius: Radius of a joint's disk in pixels.
        heatmap_background: Heatmap value away from the joint: 0 as in the paper, or -1 as in the
            authors' code.
        foreground: Whether to cut the person out of condition and target image, so that the model
            learns the person and not the scene: both are grey further from the pose than
            ``FOREGROUND_RADIUS``. Not in the paper.
    """

    def __init__(
        self,
        metainfo: dict[str, Any],
        heatmap_radius: float = 4.0,
        heatmap_background: float = 0.0,
        foreground: bool = False,
    ) -> None:
        super().__init__()
        # Imported here: mmpose is no requirement of the package, only of its use with MMPose.
        from mmpose.datasets.datasets.utils import parse_pose_metainfo

        self.skeleton = Skeleton.from_metainfo(parse_pose_metainfo(dict(metainfo)))
        self.heatmap_radius = heatmap_radius
        self.heatmap_background = heatmap_background
        self.foreground = foreground

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch of :class:`pg2aug.datasets.PersonPairDataset`.

        Args:
            data: Holds ``condition_image`` (N, 3, H, W) uint8 BGR, ``condition_keypoints`` (N, K,
                2) in crop pixels and ``condition_visible`` (N, K), and the same of the target; in
                synthesis there is no ``target_image``.
            training: Not used: a batch is prepared in the same way for training and testing.

        Returns:
            ``condition`` (N, 3, H, W) RGB in [-1, 1], ``pose`` (N, K, H, W) heatmaps, ``mask``
            (N, 1, H, W) in {0, 1}, and ``target`` like ``condition`` where there is one.

        Raises:
            ValueError: If the number of joints is not the skeleton's.
        """
        data = self.cast_data(data)
        keypoints, visible = data['target_keypoints'], data['target_visible']
        if keypoints.shape[1] != self.skeleton.num_keypoints:
            raise ValueError(
                f'the batch has {keypoints.shape[1]} joints, but the skeleton of '
                f'model.data_preprocessor.metainfo has {self.skeleton.num_keypoints}: '
                'give the model the metainfo of its dataset'
            )
        shape = tuple(data['condition_image'].shape[-2:])
        batch = dict(
            condition=self._image(data, 'condition'),
            pose=keypoint_heatmaps(
                keypoints, visible, shape, self.heatmap_radius, self.heatmap_background
            ),
            mask=pose_mask(keypoints, visible, shape, self.skeleton.limbs, self.skeleton.torso),
        )
        if 'target_image' in data:
            batch['target'] = self._image(data, 'target')
        return batch

    def _image(self, data: dict[str, Any], role: str) -> Tensor:
        image = to_model_range(data[f'{role}_image'])
        if not self.foreground:
            return image
        keypoints, visible = data[f'{role}_keypoints'], data[f'{role}_visible']
        shape = image.shape[-2], image.shape[-1]
        radius = keypoints.new_full((len(image),), FOREGROUND_RADIUS * limb_radius(shape[0]))
        return image * body_alpha(
            keypoints, visible, shape, self.skeleton, radius, hands_and_feet=False
        )
