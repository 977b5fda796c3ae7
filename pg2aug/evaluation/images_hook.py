"""Writing what a test run synthesised, as it was evaluated."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from numpy.typing import NDArray
from torch import Tensor

from pg2aug.datasets.person_pairs import PersonPairDataset
from pg2aug.datasets.topdown import image_name
from pg2aug.evaluation.pairs import EvaluatedPairs, ImageChoice, evaluated_pairs
from pg2aug.poses.skeleton import Skeleton
from pg2aug.visualization.skeletons import contact_sheet, encode_png, skeleton_image, write_png

FOLDERS = ('condition', 'pose', 'target', 'synthesised')
SHEET_NAME = 'sheet.png'
TITLES = ('condition', 'target pose', 'target', 'synthesised')
CELL_WIDTH_PX = 128
"""Smaller images are enlarged on the sheet, to about this width."""


class SynthesisImagesHook(Hook):
    """Writes the images of every pair as PNG, and a sheet of the first pairs.

    ``condition/``, ``pose/`` (the target pose), ``target/`` and ``synthesised/`` hold a file of the
    same name for each pair, see :func:`pair_names`; ``sheet.png`` compares them. Every process
    writes its own pairs; the sheet shows those of the first one.

    Args:
        out_dir: Folder to write to, which is there.
        image: See :class:`SynthesisMetric`.
        foreground: See :class:`SynthesisMetric`.
        num_rows: Pairs on the sheet.
    """

    def __init__(
        self,
        out_dir: str | Path,
        image: ImageChoice = 'refined',
        foreground: bool = False,
        num_rows: int = 16,
    ) -> None:
        self.out_dir = Path(out_dir)
        self.image = image
        self.foreground = foreground
        self.num_rows = num_rows
        self._rows: list[list[NDArray[np.uint8]]] = []
        self._captions: list[str] = []

    def before_test(self, runner: Runner) -> None:
        """Read the names of the images."""
        dataset = runner.test_loop.dataloader.dataset
        self.skeleton = Skeleton.from_metainfo(dataset.metainfo)
        self._names = pair_names(dataset)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Write the images of a batch."""
        pairs = evaluated_pairs(data_batch, outputs, self.skeleton, self.image, self.foreground)
        conditions = _to_bgr(data_batch['condition_image'].flip(1))
        images = conditions, self._poses(pairs), _to_bgr(pairs.target), _to_bgr(pairs.synthesised)
        for i, row in enumerate(zip(*images, strict=True)):
            ids = (int(data_batch[f'{role}_id'][i]) for role in ('condition', 'target'))
            name = '__'.join(self._names[number] for number in ids)
            for folder, image in zip(FOLDERS, row, strict=True):
                (self.out_dir / folder).mkdir(exist_ok=True)
                # In a folder that is not in its place yet: there is nothing to replace.
                (self.out_dir / folder / f'{name}.png').write_bytes(encode_png(image))
            if len(self._rows) < self.num_rows:
                self._rows.append(list(row))
                self._captions.append(name)

    def _poses(self, pairs: EvaluatedPairs) -> list[NDArray[np.uint8]]:
        size = pairs.target.shape[-1], pairs.target.shape[-2]
        poses = zip(pairs.keypoints.cpu().numpy(), pairs.visible.cpu().numpy(), strict=True)
        return [skeleton_image(size, *pose, self.skeleton) for pose in poses]

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Write the sheet."""
        if self._rows:
            height, width = self._rows[0][0].shape[:2]
            scale = max(1, CELL_WIDTH_PX // width)
            cell = scale * width, scale * height
            sheet = contact_sheet(self._rows, TITLES, cell, self._captions)
            write_png(self.out_dir / SHEET_NAME, sheet)


def pair_names(dataset: PersonPairDataset) -> dict[int, str]:
    """What each annotation's image is called in names of pairs, such as ``0002_c1__0002_c3``.

    It is the image's file name in the annotations, with ``_`` for ``/``, and with the annotation's
    id where others would be called the same: no two pairs share a name, also where a file system
    does not tell small letters from large ones.

    Returns:
        Names by annotation id.
    """
    source = dataset.dataset
    infos = (source.get_data_info(index) for index in range(len(source)))
    files = {int(info['id']): image_name(source, info) for info in infos}
    names = {
        number: str(Path(file).with_suffix('')).strip('/').replace('/', '_')
        for number, file in files.items()
    }
    plain = {number: re.sub('_+', '_', name).strip('_') for number, name in names.items()}
    persons = Counter(name.casefold() for name in plain.values())
    # What joins two names in that of a pair must not be in one.
    clear = {n for n, name in names.items() if plain[n] == name and persons[name.casefold()] == 1}
    numbered = {n: name if n in clear else f'{name}-{n}' for n, name in plain.items()}
    if len({name.casefold() for name in numbered.values()}) == len(numbered):
        return numbered
    return {number: f'{name}-{number}' for number, name in plain.items()}


def _to_bgr(images: Tensor) -> NDArray[np.uint8]:
    """(N, 3, H, W) uint8 RGB to (N, H, W, 3) BGR."""
    bgr: NDArray[np.uint8] = images.flip(1).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return bgr
