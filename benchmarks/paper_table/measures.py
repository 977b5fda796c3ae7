"""What is looked at beside Table 1: the body alone, and images that no model made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from skimage.filters import sobel
from torch.utils.data import default_collate

from pg2aug.evaluation.images_hook import pair_names
from pg2aug.evaluation.ssim import mask_ssim, ssim
from pg2aug.models.rasterize import pose_mask
from pg2aug.registry import DATASETS

ON_BODY = ('L1 inside', 'detail')


@dataclass(frozen=True)
class TestPairs:
    """The pairs of a test.

    Attributes:
        names: Name of each pair, as of the files that tools/test_pg2.py writes.
        conditions: (N, H, W, 3) uint8 RGB.
        targets: (N, H, W, 3) uint8 RGB.
        masks: (N, H, W) uint8, the pose masks of the targets.
    """

    names: list[str]
    conditions: np.ndarray
    targets: np.ndarray
    masks: np.ndarray

    @classmethod
    def load(cls, config: Path, num_pairs: int) -> 'TestPairs':
        """Load the pairs that tools/test_pg2.py tests with this config."""
        settings = Config.fromfile(config).test_dataloader.dataset
        dataset = DATASETS.build(dict(settings, num_pairs=num_pairs, _scope_='pg2aug'))
        files = pair_names(dataset)
        items = [dataset[i] for i in range(len(dataset))]
        names = [f'{files[i["condition_id"]]}__{files[i["target_id"]]}' for i in items]
        batch = default_collate(items)
        images = [
            batch[f'{role}_image'].flip(1).permute(0, 2, 3, 1).numpy()
            for role in ('condition', 'target')
        ]
        poses = (batch['target_keypoints'], batch['target_visible'], images[0].shape[1:3])
        masks = pose_mask(*poses, dataset.skeleton.mask_limbs, dataset.skeleton.torso)
        return cls(names, *images, masks[:, 0].numpy().astype(np.uint8))

    def read(self, folder: Path) -> np.ndarray:
        """The images of these pairs in a folder, (N, H, W, 3) uint8 RGB."""
        return np.stack([cv2.imread(str(folder / f'{n}.png'))[..., ::-1] for n in self.names])

    def on_body(self, images: np.ndarray) -> dict[str, float]:
        """How far images are right on the body.

        Returns:
            ``L1 inside``, the mean absolute difference in grey levels; ``detail``, the strength of
            the edges (Sobel, mean over channels) over that of the targets.
        """
        inside = self.masks > 0
        error = np.abs(images.astype(float) - self.targets).mean(axis=-1)
        edges = [sobel(batch, axis=(1, 2)).mean(axis=-1) for batch in (images, self.targets)]
        made, true = (float(e[inside].mean()) for e in edges)
        return {'L1 inside': float(error[inside].mean()), 'detail': made / true}

    def without_a_model(self) -> dict[str, dict[str, Any]]:
        """Scores of the condition image as it is, and of the mean of all targets."""
        mean = self.targets.mean(axis=0).round().astype(np.uint8)
        images = {
            'condition image': self.conditions,
            'mean of the targets': np.broadcast_to(mean, self.targets.shape),
        }
        return {name: self._scores(made) | self.on_body(made) for name, made in images.items()}

    def _scores(self, images: np.ndarray) -> dict[str, float]:
        triples = list(zip(images, self.targets, self.masks, strict=True))
        masked = np.array([mask_ssim(*triple) for triple in triples])
        return {
            'SSIM': float(np.mean([ssim(a, b) for a, b, _ in triples])),
            'mask-SSIM': float(masked[:, 0].mean()),
            'mask-SSIM-inside': float(np.nanmean(masked[:, 1])),
        }
