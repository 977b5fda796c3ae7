"""A top-down model of MMPose that is asked for the pose of one person an image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from numpy.typing import NDArray

from pg2aug.estimators.loading import load_pose_estimator
from pg2aug.poses.skeleton import Skeleton
from pg2aug.utils.config_file import read_config
from pg2aug.utils.files import naming


class ImageEstimator:
    """A trained estimator with the test pipeline and test settings of its own config.

    It gives what ``mmpose.apis.inference_topdown`` gives, flip test and all, but takes many images
    at once, downloads nothing and loads its checkpoint as nothing but weights.

    Args:
        config: MMPose config file of a top-down model.
        checkpoint: Its weights.
        device: Where it runs.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If they are no such estimator, its joints are not told or have no limbs, or the
            config has no test pipeline.
    """

    def __init__(self, config: str, checkpoint: str, device: str | torch.device = 'cpu') -> None:
        self.config, self.checkpoint = config, checkpoint
        self.model, self.metainfo = load_pose_estimator(config, checkpoint)
        self.model.to(device)
        with naming(config, checkpoint), DefaultScope.overwrite_default_scope('mmpose'):
            self.skeleton = Skeleton.from_metainfo(self.metainfo)
            self._pipeline = Compose(_test_pipeline(config))

    def prepare(self, image: NDArray[np.uint8], bbox: NDArray[np.float32]) -> dict[str, Any]:
        """What the network is given of an image; done in workers.

        Args:
            image: ``(H, W, 3)`` uint8 BGR.
            bbox: ``(4,)`` left, top, right, bottom of the person.
        """
        info = {'img': image, 'bbox': bbox[None], 'bbox_score': np.ones(1, np.float32)}
        with naming(self.config):
            prepared: dict[str, Any] = self._pipeline({**info, **self.metainfo})
        return prepared

    def estimate(
        self, prepared: Sequence[dict[str, Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Estimate poses.

        Args:
            prepared: At least one result of :meth:`prepare`.

        Returns:
            ``(N, K, 2)`` float32 keypoints in pixels of the images, and ``(N, K)`` scores.

        Raises:
            ValueError: If the model predicts another number of joints than its metainfo names.
        """
        model: Any = self.model
        with torch.inference_mode(), naming(self.config):
            samples = model.test_step(pseudo_collate(list(prepared)))
        found = [sample.pred_instances for sample in samples]
        keypoints = _stacked([instances.keypoints for instances in found])[..., :2]
        if keypoints.shape[1] != self.skeleton.num_keypoints:
            raise ValueError(
                f'{self.config!r} predicts {keypoints.shape[1]} joints, but its metainfo names '
                f'{self.skeleton.num_keypoints}: correct dataset_meta of the checkpoint, or the '
                'output_keypoint_indices of test_cfg'
            )
        return keypoints, _stacked([instances.keypoint_scores for instances in found])


def _stacked(arrays: Sequence[Any]) -> NDArray[np.float32]:
    return np.concatenate([torch.as_tensor(array).cpu().float().numpy() for array in arrays])


def _test_pipeline(path: str) -> Any:
    config = read_config(path, 'pose estimator config')
    for name in ('test_dataloader', 'val_dataloader'):
        pipeline = ((config.get(name) or {}).get('dataset') or {}).get('pipeline')
        if pipeline:
            return pipeline
    raise ValueError(
        f'{path!r} has no pipeline in test_dataloader.dataset or val_dataloader.dataset: it must '
        'say how images are prepared for the network'
    )
