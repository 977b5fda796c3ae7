"""Sample sheets: what the generator makes of the same pairs as training goes on."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from numpy.typing import NDArray
from torch.utils.data import default_collate

from pg2aug.models.preprocessor import to_image_range
from pg2aug.poses.skeleton import Skeleton
from pg2aug.registry import DATASETS, HOOKS
from pg2aug.visualization.skeletons import contact_sheet, skeleton_image, write_png

TITLES = ('condition', 'target pose', 'target', 'coarse', 'refined')


@HOOKS.register_module()
class SampleSheetHook(Hook):
    """Every so many iterations, a sheet: condition, target pose, target, coarse, refined.

    With a model whose preprocessor is ``aligned``, also the condition warped to the target pose,
    which is what G1 corrects: of self-pairs the condition is the target, until it is warped.

    The pairs are spread evenly over the dataset and stay the same, so that sheets can be compared.
    A sheet goes to ``samples/`` in the work directory and to the visualizer's backends.

    Args:
        dataset: Config of a :class:`PersonPairDataset`, usually of validation images.
        interval: Iterations between two sheets; one is made after the last iteration as well.
        num_pairs: Rows of a sheet.
        scale: Integer enlargement of the images.
    """

    priority = 'LOW'

    def __init__(
        self, dataset: dict[str, Any], interval: int = 1000, num_pairs: int = 8, scale: int = 1
    ) -> None:
        self.dataset_cfg = dataset
        self.interval = interval
        self.num_pairs = num_pairs
        self.scale = scale

    def before_train(self, runner: Runner) -> None:
        """Load the fixed pairs: a dataset that cannot be read fails here, not after an hour."""
        dataset = DATASETS.build(dict(self.dataset_cfg, _scope_='pg2aug'))
        count = min(self.num_pairs, len(dataset))
        indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
        self.batch = default_collate([dataset[int(i)] for i in indices])

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Make a sheet where the interval says so."""
        if self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(runner):
            self._make_sheet(runner)

    @master_only
    def _make_sheet(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.eval()
        with torch.no_grad():
            outputs = model.val_step(self.batch)
            warps = model.data_preprocessor(self.batch).get('warp')
        model.train()
        skeleton = model.data_preprocessor.skeleton
        sheet = sample_sheet(self.batch, outputs, skeleton, self.scale, warps)
        iteration = runner.iter + 1
        write_png(Path(runner.work_dir) / 'samples' / f'iter_{iteration}.png', sheet)
        runner.visualizer.add_image('samples', sheet[..., ::-1], step=iteration)


def sample_sheet(
    batch: dict[str, Any],
    outputs: Any,
    skeleton: Skeleton,
    scale: int = 1,
    warps: torch.Tensor | None = None,
) -> NDArray[np.uint8]:
    """Draw a sheet of synthesised pairs.

    Args:
        batch: A collated batch of :class:`PersonPairDataset`.
        outputs: What :meth:`PG2.val_step` made of it.
        skeleton: Skeleton of the poses.
        scale: Integer enlargement of the images.
        warps: (N, 4, H, W) ``warp`` of :class:`PG2DataPreprocessor`, shown on grey after the
            condition; None leaves this column out.

    Returns:
        (H, W, 3) BGR uint8 sheet, one row a pair.
    """
    rows = []
    for i, images in enumerate(outputs):
        coarse, refined = (to_image_range(image[None])[0] for image in images)
        size = coarse.shape[-1], coarse.shape[-2]
        keypoints = batch['target_keypoints'][i].numpy()
        pose = skeleton_image(size, keypoints, batch['target_visible'][i].numpy(), skeleton)
        shown = [batch['condition_image'][i], pose, batch['target_image'][i], coarse, refined]
        if warps is not None:
            shown.insert(1, to_image_range(warps[i : i + 1, :3])[0])
        rows.append([_enlarge(_to_array(image), scale) for image in shown])
    titles = TITLES if warps is None else (TITLES[0], 'warped', *TITLES[1:])
    return contact_sheet(rows, titles)


def _to_array(image: NDArray[np.uint8] | torch.Tensor) -> NDArray[np.uint8]:
    if isinstance(image, np.ndarray):
        return image
    return image.permute(1, 2, 0).round().to(torch.uint8).cpu().numpy()


def _enlarge(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    enlarged = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged, np.uint8)
