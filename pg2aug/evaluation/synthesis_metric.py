"""The metrics of person image synthesis in MMEngine's test loop."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from pg2aug.evaluation.inception import InceptionMeasure
from pg2aug.evaluation.lpips import PerceptualMeasure
from pg2aug.evaluation.pairs import ImageChoice, evaluated_pairs
from pg2aug.evaluation.pose_fidelity import PoseFidelityMeasure
from pg2aug.evaluation.scores import Measure, format_report, make_report
from pg2aug.evaluation.ssim import SimilarityMeasure
from pg2aug.poses.skeleton import Skeleton
from pg2aug.registry import METRICS


@METRICS.register_module()
class SynthesisMetric(BaseMetric):
    """SSIM, mask-SSIM, IS, mask-IS, FID, LPIPS and pose fidelity of synthesised persons.

    Images are compared as they would be saved: clipped and rounded to uint8. What needs weights
    that are not given is left out. No image is kept, but scalars of each pair, and with Inception
    weights its features (24 KiB a pair).

    The logged values have their protocols beside them in :attr:`report`, in the main process, which
    is logged too.

    Args:
        image: 'refined' or 'coarse': the output of G2, or of G1 alone.
        foreground: Whether target images are cut out of their background, as a data preprocessor
            with ``foreground`` and without ``matte`` does in training;
            :func:`pg2aug.engine.testing.build_test_runner` sets it from the model's config.
        inception_weights: File of torch-fidelity's Inception weights, for IS, mask-IS and FID.
        lpips_weights: File of torchvision's AlexNet weights, for LPIPS.
        other_weights: Whether weight files with another hash than the published are accepted.
        pose_model: MMPose config of a top-down pose estimator, for PCKh and OKS.
        pose_checkpoint: Its weights.
        collect_device: See MMEngine's ``BaseMetric``.
        collect_dir: See MMEngine's ``BaseMetric``.
        prefix: See MMEngine's ``BaseMetric``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If an argument is none of its choices, or a weight file is not the published.
        ImportError: If a library is missing.
    """

    logs_report = True
    """Whether the report is logged; set it to False to show it yourself."""

    # Empty, and not None: then MMEngine does not warn that there is none.
    default_prefix = ''

    def __init__(
        self,
        image: ImageChoice = 'refined',
        foreground: bool = False,
        inception_weights: str | None = None,
        lpips_weights: str | None = None,
        other_weights: bool = False,
        pose_model: str | None = None,
        pose_checkpoint: str | None = None,
        collect_device: str = 'cpu',
        collect_dir: str | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if image not in ('refined', 'coarse'):
            raise ValueError(f"image must be 'refined' or 'coarse', got {image!r}")
        self.image = image
        self.foreground = foreground
        self.pose_fidelity = PoseFidelityMeasure(pose_model, pose_checkpoint)
        self.measures: list[Measure] = [
            SimilarityMeasure(),
            InceptionMeasure(inception_weights, other_weights),
            PerceptualMeasure(lpips_weights, other_weights),
            self.pose_fidelity,
        ]
        self.report: dict[str, Any] = {}
        self._skeleton: Skeleton | None = None
        self._size = (0, 0)

    def process(
        self,
        data_batch: dict[str, Any],
        data_samples: Sequence[tuple[Tensor, Tensor]],
    ) -> None:
        """Measure a batch.

        Args:
            data_batch: A collated batch of :class:`pg2aug.datasets.PersonPairDataset`.
            data_samples: What :meth:`PG2.test_step` made of it.
        """
        if self._skeleton is None:
            self._skeleton = Skeleton.from_metainfo(self.dataset_meta)
            self.pose_fidelity.set_dataset(self.dataset_meta)
        pairs = evaluated_pairs(
            data_batch, data_samples, self._skeleton, self.image, self.foreground
        )
        self._size = (pairs.synthesised.shape[-1], pairs.synthesised.shape[-2])
        columns: dict[str, Any] = {}
        for measure in self.measures:
            columns.update(measure.measure(pairs))
        # One result a sample: so MMEngine can put ranks in order and drop what was padded.
        for index in range(len(data_samples)):
            self.results.append({name: values[index] for name, values in columns.items()})

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Compute the metrics of all pairs, and set and log ``report``.

        Args:
            results: What was kept of each pair.

        Returns:
            Metrics by name, without those that were not computed; ``report`` says why.

        Raises:
            ValueError: If there is no pair.
        """
        if not results:
            raise ValueError('no pair was evaluated: the test data set is empty')
        columns = {name: np.stack([r[name] for r in results]) for name in results[0]}
        scores = [score for measure in self.measures for score in measure.scores(columns)]
        self.report = make_report(scores, len(results), self._size, self.image)
        if self.logs_report:
            text = format_report(self.report)
            print_log(f'Metrics and their protocols\n{text}', logger='current')
        return {score.name: score.value for score in scores if score.value is not None}
