"""SSIM and mask-SSIM in the form of PG2's authors, by scikit-image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.evaluation.pairs import EvaluatedPairs
from pg2aug.evaluation.scores import Columns, Score, library_versions

WINDOW = 7
"""Side of the uniform window in pixels."""

_SETTINGS = f'scikit-image, uniform {WINDOW}x{WINDOW} window, RGB uint8, data range 255'

Image = NDArray[np.uint8]


def ssim(image: Image, reference: Image) -> float:
    """Structural similarity of two colour images, averaged over pixels and channels.

    The outermost 3 pixels, where the window is not whole, are not averaged.

    Args:
        image: (H, W, 3) uint8.
        reference: (H, W, 3) uint8.

    Returns:
        At most 1, for equal images.
    """
    return float(_similarity_map(image, reference).mean())


def mask_ssim(image: Image, reference: Image, mask: NDArray[Any]) -> tuple[float, float]:
    """Structural similarity of two images that are black outside a mask.

    Args:
        image: (H, W, 3) uint8.
        reference: (H, W, 3) uint8.
        mask: (H, W), 1 inside and 0 outside.

    Returns:
        The mean over the whole frame, in which the black around counts as equal: the form of PG2's
        authors. And the mean over the mask, NaN where that is empty.
    """
    inside = mask.astype(np.uint8)[..., None]
    similarity = _similarity_map(image * inside, reference * inside)
    margin = WINDOW // 2
    within = similarity[mask[margin:-margin, margin:-margin] > 0]
    return float(similarity.mean()), float(within.mean()) if within.size else float('nan')


def _similarity_map(image: Image, reference: Image) -> NDArray[np.float64]:
    """Similarity at each pixel with a whole window around it: (H - 6, W - 6, 3)."""
    # Imported here: an optional requirement of the package.
    from skimage.metrics import structural_similarity

    compare: Any = structural_similarity
    settings = dict(win_size=WINDOW, data_range=255, channel_axis=-1, full=True)
    similarity: NDArray[np.float64] = compare(image, reference, **settings)[1]
    margin = WINDOW // 2
    return similarity[margin:-margin, margin:-margin]


class SimilarityMeasure:
    """SSIM, mask-SSIM over the whole frame, and mask-SSIM over the mask."""

    def __init__(self) -> None:
        self.versions = library_versions('scikit-image', 'numpy')

    def measure(self, pairs: EvaluatedPairs) -> Columns:
        """See :class:`pg2aug.evaluation.scores.Measure`."""
        images, targets = (
            batch.permute(0, 2, 3, 1).cpu().numpy() for batch in (pairs.synthesised, pairs.target)
        )
        masks = pairs.mask[:, 0].cpu().numpy()
        whole = [ssim(a, b) for a, b in zip(images, targets, strict=True)]
        masked = [mask_ssim(a, b, m) for a, b, m in zip(images, targets, masks, strict=True)]
        columns = np.array([whole, *zip(*masked, strict=True)])
        return dict(zip(('ssim', 'mask_ssim', 'mask_ssim_inside'), columns, strict=True))

    def scores(self, columns: Columns) -> list[Score]:
        """See :class:`pg2aug.evaluation.scores.Measure`."""
        inside = columns['mask_ssim_inside']
        known = inside[np.isfinite(inside)]
        empty = len(inside) - len(known)
        return [
            Score(
                'SSIM',
                float(columns['ssim'].mean()),
                'SSIM of the PG2 authors',
                f'{_SETTINGS}; mean over the frame',
                versions=self.versions,
            ),
            Score(
                'mask-SSIM',
                float(columns['mask_ssim'].mean()),
                'mask-SSIM of the PG2 authors',
                f'{_SETTINGS}; both images times the mask of the target pose, mean over the frame',
                versions=self.versions,
            ),
            Score(
                'mask-SSIM-inside',
                float(known.mean()) if len(known) else None,
                'mask-SSIM over the mask',
                f'{_SETTINGS}; both images times the mask of the target pose, mean over the mask',
                versions=self.versions,
                note=f'{empty} pairs have an empty mask and are left out' if empty else '',
            ),
        ]
