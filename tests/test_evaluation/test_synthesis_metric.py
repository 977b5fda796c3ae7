import numpy as np
import pytest
import torch
from helpers import COCO_METAINFO, SIZE, make_batch
from mmengine.registry import METRICS
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from pg2aug.evaluation import SynthesisMetric, mask_ssim, ssim
from pg2aug.evaluation.pairs import evaluated_pairs, target_images
from pg2aug.models.preprocessor import PG2DataPreprocessor, to_model_range
from pg2aug.poses import Skeleton

METAINFO = parse_pose_metainfo(dict(COCO_METAINFO))
SKELETON = Skeleton.from_metainfo(METAINFO)
NUM_PAIRS = 6


def preprocess(batch, **settings):
    return PG2DataPreprocessor(COCO_METAINFO, **settings)(batch)


@pytest.fixture
def batch():
    return make_batch(NUM_PAIRS)


@pytest.fixture
def outputs(batch):
    """Coarse and refined images, here and there out of range."""
    generator = torch.Generator().manual_seed(0)
    target = to_model_range(batch['target_image'])
    noise = torch.randn(2, *target.shape, generator=generator)
    return list(zip(target + 0.6 * noise[0], target + 0.3 * noise[1], strict=True))


def evaluate(batch, outputs, batch_size=NUM_PAIRS, **settings):
    metric = SynthesisMetric(**settings)
    metric.dataset_meta = METAINFO
    for start in range(0, len(outputs), batch_size):
        part = slice(start, start + batch_size)
        metric.process({name: value[part] for name, value in batch.items()}, outputs[part])
    return metric.evaluate(len(outputs)), metric.report


def saved(image):
    """An image as a file holds it: (H, W, 3) uint8 RGB."""
    return ((image.numpy() + 1) * 127.5).clip(0, 255).round().astype(np.uint8).transpose(1, 2, 0)


def test_registered_in_the_projects_scope():
    assert isinstance(METRICS.build(dict(type='pg2aug.SynthesisMetric')), SynthesisMetric)


@pytest.mark.parametrize(('image', 'index'), [('refined', 1), ('coarse', 0)])
def test_scores_are_means_over_pairs_of_images_as_saved(batch, outputs, image, index):
    metrics, _ = evaluate(batch, outputs, image=image)
    made = [saved(pair[index]) for pair in outputs]
    targets = batch['target_image'].flip(1).permute(0, 2, 3, 1).numpy()
    masks = preprocess(batch)['mask'][:, 0].numpy()
    expected = [ssim(a, b) for a, b in zip(made, targets, strict=True)]
    masked = [mask_ssim(*each) for each in zip(made, targets, masks, strict=True)]
    assert metrics['SSIM'] == pytest.approx(np.mean(expected), abs=1e-9)
    names = 'mask-SSIM', 'mask-SSIM-inside'
    assert [metrics[n] for n in names] == pytest.approx(np.mean(masked, axis=0), abs=1e-9)


def test_the_targets_themselves_score_1(batch):
    images = to_model_range(batch['target_image'])
    metrics, _ = evaluate(batch, list(zip(images, images, strict=True)))
    assert {metrics[name] for name in ('SSIM', 'mask-SSIM', 'mask-SSIM-inside')} == {1.0}


def test_what_the_batch_size_is_does_not_matter(batch, outputs):
    assert evaluate(batch, outputs, batch_size=4) == evaluate(batch, outputs)


def test_what_needs_weights_is_not_computed_without_them(batch, outputs):
    metrics, report = evaluate(batch, outputs)
    missing = {name for name, entry in report['metrics'].items() if entry['value'] is None}
    assert metrics.keys() == report['metrics'].keys() - missing
    assert missing == {'IS', 'mask-IS', 'FID', 'LPIPS', 'PCKh', 'OKS'}
    assert {report['metrics'][name]['note'] for name in missing} == {'no weights', 'no pose model'}


def test_beside_every_number_is_what_it_must_be_read_with(batch, outputs):
    _, report = evaluate(batch, outputs)
    for name, entry in report['metrics'].items():
        assert entry['num_pairs'] == NUM_PAIRS
        assert entry['image_size'] == list(SIZE)
        assert entry['image'] == 'refined'
        assert entry['protocol'], name
        assert entry['settings'], name
        assert all(entry['versions'].values()), name
    assert report['metrics']['IS']['splits'] == 10
    assert report['metrics']['SSIM']['versions'].keys() == {'scikit-image', 'numpy'}


@pytest.mark.parametrize('foreground', [False, True])
def test_targets_are_those_that_the_model_learns(batch, foreground):
    learned = preprocess(batch, foreground=foreground)['target']
    found = target_images(batch, SKELETON, foreground)
    for image, expected in zip(found, learned, strict=True):
        np.testing.assert_array_equal(image.permute(1, 2, 0), saved(expected))


def test_cut_out_targets_reach_the_scores(batch):
    images = preprocess(batch, foreground=True)['target']
    outputs = list(zip(images, images, strict=True))
    assert evaluate(batch, outputs, foreground=True)[0]['SSIM'] == 1
    assert evaluate(batch, outputs)[0]['SSIM'] < 0.9


def test_images_are_rgb_and_masks_those_of_the_target_pose(batch, outputs):
    pairs = evaluated_pairs(batch, outputs, SKELETON)
    assert torch.equal(pairs.target, batch['target_image'].flip(1))
    assert torch.equal(pairs.mask.float(), preprocess(batch)['mask'])
    np.testing.assert_array_equal(pairs.synthesised[2].permute(1, 2, 0), saved(outputs[2][1]))


def test_an_unknown_image_is_refused():
    with pytest.raises(ValueError, match="'refined' or 'coarse', got 'both'"):
        SynthesisMetric(image='both')


def test_no_pair_is_an_error():
    with pytest.raises(ValueError, match='no pair'):
        SynthesisMetric().compute_metrics([])
