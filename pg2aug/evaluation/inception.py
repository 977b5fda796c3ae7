"""Inception score, mask-IS and FID by torch-fidelity, with weights from a file."""

import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pg2aug.compat import load_checkpoint
from pg2aug.evaluation.pairs import EvaluatedPairs
from pg2aug.evaluation.scores import Columns, Score, library_versions
from pg2aug.evaluation.weights import INCEPTION, check_weights, note_weights

SPLITS = 10
SHUFFLE_SEED = 2020
"""torch-fidelity's default: pairs come sorted by person, and a split should not be one person's."""

NUM_CLASSES = 1008
NUM_FEATURES = 2048

_NETWORK = 'Inception of 2015-12-05 as in torch-fidelity'


def load_inception(path: str) -> nn.Module:
    """Build torch-fidelity's feature extractor with weights from a file.

    Args:
        path: Weights in the format of ``weights-inception-2015-12-05-6726825d.pth``.

    Returns:
        A network in evaluation mode for uint8 RGB images (N, 3, H, W) of any size, which gives pool
        features (N, 2048) and logits without bias (N, 1008).

    Raises:
        ValueError: If the file cannot be read safely, or holds no such weights.
    """
    # Imported here: an optional requirement of the package, and slow to load.
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # The class loads unrestricted pickles: it gets what the restricted loader has read.
    buffer = io.BytesIO()
    torch.save(load_checkpoint(path), buffer)
    buffer.seek(0)
    layers = ['2048', 'logits_unbiased']
    try:
        network: nn.Module = FeatureExtractorInceptionV3(
            'inception-v3-compat', layers, feature_extractor_weights_path=buffer
        )
    except (RuntimeError, TypeError) as error:
        message = str(error).splitlines()[0]
        raise ValueError(f'{path} does not hold {INCEPTION.name}: {message}') from error
    return network


def inception_score(logits: Tensor, splits: int = SPLITS) -> tuple[float, float]:
    """Inception score (Salimans et al., 2016): mean and spread over splits.

    Args:
        logits: (N, C) of N images, shuffled here with a fixed seed.
        splits: Number of splits.

    Raises:
        ValueError: If there are fewer images than splits.
    """
    from torch_fidelity.metric_isc import isc_features_to_metric

    if len(logits) < splits:
        raise ValueError(f'{splits} splits need at least {splits} images, got {len(logits)}')
    result = isc_features_to_metric(logits, splits, shuffle=True, rng_seed=SHUFFLE_SEED)
    return result['inception_score_mean'], result['inception_score_std']


def frechet_distance(features: Tensor, reference: Tensor) -> float:
    """Frechet distance of the normal distributions fitted to two sets of features (FID).

    Args:
        features: (N, F), N at least 2.
        reference: (M, F), M at least 2.

    Raises:
        ValueError: If one of them has fewer than 2 rows.
    """
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    if min(len(features), len(reference)) < 2:
        raise ValueError(f'a covariance needs 2 images, got {len(features)} and {len(reference)}')
    statistics = [fid_features_to_statistics(f.double()) for f in (features, reference)]
    distance: float = fid_statistics_to_metric(*statistics, False)['frechet_inception_distance']
    return distance


class InceptionMeasure:
    """IS, mask-IS and FID; None each without weights.

    Args:
        path: Weights, see :func:`load_inception`; None for none.
        other_weights: Whether weights with another hash than the published ones' are accepted.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the weights are not those.
    """

    def __init__(self, path: str | None, other_weights: bool = False) -> None:
        self.versions = library_versions('torch-fidelity', 'torch', 'numpy')
        self.weights: dict[str, Any] | None = None
        self.network: nn.Module | None = None
        if path is not None:
            self.weights = check_weights(path, INCEPTION, 'inception_weights', other_weights)
            self.network = load_inception(path)

    def measure(self, pairs: EvaluatedPairs) -> Columns:
        """See :class:`pg2aug.evaluation.scores.Measure`."""
        if self.network is None:
            return {}
        network = self.network.to(pairs.synthesised.device)
        with torch.no_grad():
            features, logits = network(pairs.synthesised)
            masked_logits = network(pairs.synthesised * pairs.mask)[1]
            target_features = network(pairs.target)[0]
        kept = dict(
            inception_features=features,
            inception_logits=logits,
            inception_masked_logits=masked_logits,
            inception_target_features=target_features,
        )
        return {name: value.cpu().numpy() for name, value in kept.items()}

    def scores(self, columns: Columns) -> list[Score]:
        """See :class:`pg2aug.evaluation.scores.Measure`."""
        logits = columns.get('inception_logits')
        masked = columns.get('inception_masked_logits')
        return [
            self._inception_score('IS', logits, 'synthesised images'),
            self._inception_score('mask-IS', masked, 'synthesised images times the pose mask'),
            self._frechet_distance(columns),
        ]

    def _inception_score(self, name: str, logits: NDArray[Any] | None, images: str) -> Score:
        value, note = None, 'no weights'
        extra: dict[str, Any] = dict(splits=SPLITS, shuffle_seed=SHUFFLE_SEED)
        if logits is not None and len(logits) < SPLITS:
            note = f'{SPLITS} splits need at least {SPLITS} images, got {len(logits)}'
        elif logits is not None:
            value, spread = inception_score(torch.from_numpy(logits))
            extra['spread_over_splits'] = spread
            note = few_images_in_a_split(len(logits))
        settings = (
            f'{_NETWORK}, logits without bias, {SPLITS} splits, shuffled with seed {SHUFFLE_SEED}; '
            f'{images}'
        )
        return self._score(name, value, 'Inception score', settings, extra, note)

    def _frechet_distance(self, columns: Columns) -> Score:
        value, note = None, 'no weights'
        if columns.get('inception_features') is not None:
            features, reference = (
                torch.from_numpy(np.asarray(columns[name]))
                for name in ('inception_features', 'inception_target_features')
            )
            note = few_images_for_a_covariance(len(features))
            if len(features) >= 2:
                value = frechet_distance(features, reference)
        settings = (
            f'{_NETWORK}, {NUM_FEATURES} pool features; synthesised against target images of the '
            'pairs, each as often as it is a target'
        )
        return self._score('FID', value, 'FID', settings, {}, note)

    def _score(
        self,
        name: str,
        value: float | None,
        protocol: str,
        settings: str,
        extra: dict[str, Any],
        note: str,
    ) -> Score:
        note = note_weights(self.weights, note)
        return Score(name, value, protocol, settings, self.versions, self.weights, extra, note)


def few_images_in_a_split(count: int) -> str:
    """What to say beside an Inception score of so many images; empty if they are enough."""
    each = count // SPLITS
    if each >= NUM_CLASSES:
        return ''
    return (
        f'too few images: {each} in a split, fewer than the {NUM_CLASSES} classes, bias the score '
        'downwards'
    )


def few_images_for_a_covariance(count: int) -> str:
    """What to say beside a FID of so many images; empty if they are enough."""
    if count < 2:
        return f'a covariance needs at least 2 images, got {count}'
    if count > NUM_FEATURES:
        return ''
    return (
        f'too few images: {count} give a covariance of {NUM_FEATURES} features no full rank and '
        'bias the distance upwards'
    )
