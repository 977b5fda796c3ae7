import pickle

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from pg2aug.evaluation import frechet_distance, inception_score, load_inception
from pg2aug.evaluation.inception import SHUFFLE_SEED, InceptionMeasure
from pg2aug.evaluation.pairs import EvaluatedPairs
from pg2aug.evaluation.weights import INCEPTION
from pg2aug.utils.files import file_sha256


@pytest.fixture(scope='module')
def library(tmp_path_factory):
    """The network of torch-fidelity with weights drawn so that its features differ."""

    class Unloaded(FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict):
            """Keep what the constructor drew."""

    path = tmp_path_factory.mktemp('library') / 'none.pth'
    torch.save({}, path)
    torch.manual_seed(0)
    layers = ['2048', 'logits_unbiased']
    network = Unloaded('random', layers, feature_extractor_weights_path=path)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity='relu')
    return network


@pytest.fixture(scope='module')
def weights_file(library, tmp_path_factory):
    path = tmp_path_factory.mktemp('inception') / 'random.pth'
    torch.save(library.state_dict(), path)
    return str(path)


def make_pairs(count=1, size=(20, 32)):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (2, count, 3, *size[::-1]), generator=generator).to(torch.uint8)
    mask = torch.zeros(count, 1, *size[::-1], dtype=torch.uint8)
    mask[:, :, 8:24, 5:15] = 1
    return EvaluatedPairs(*images, mask, torch.zeros(count, 17, 2), torch.ones(count, 17))


def columns_of(count, features=8, classes=5):
    """What is kept of pairs, from a seeded extractor of few features."""
    rng = np.random.default_rng(count)
    sizes = dict(features=features, logits=classes, masked_logits=classes, target_features=features)
    return {
        f'inception_{name}': rng.normal(size=(count, size)).astype(np.float32)
        for name, size in sizes.items()
    }


def slow_inception_score(logits, splits):
    """Salimans et al. (2016): exp of the mean divergence from the split's own marginal."""
    logits = logits[np.random.RandomState(SHUFFLE_SEED).permutation(len(logits))].astype(float)
    scores = []
    for i in range(splits):
        rows = logits[i * len(logits) // splits : (i + 1) * len(logits) // splits]
        p = np.array([np.exp(row) / np.exp(row).sum() for row in rows])
        marginal = p.mean(axis=0)
        divergences = [
            sum(a * np.log(a / b) for a, b in zip(row, marginal, strict=True)) for row in p
        ]
        scores.append(np.exp(np.mean(divergences)))
    return np.mean(scores), np.std(scores)


@pytest.mark.parametrize('count', [10, 37, 200])
def test_inception_score_is_that_of_the_paper(count):
    logits = columns_of(count)['inception_logits']
    found = inception_score(torch.from_numpy(logits))
    assert found == pytest.approx(slow_inception_score(logits, splits=10))


def test_inception_score_is_1_of_equal_images_and_the_number_of_classes_of_sure_ones():
    assert inception_score(torch.ones(50, 7)) == pytest.approx((1, 0))
    sure = 100 * torch.eye(7).repeat(300, 1)
    assert inception_score(sure)[0] == pytest.approx(7, rel=0.02)


def test_too_few_images_for_the_splits():
    with pytest.raises(ValueError, match='10 splits need at least 10 images, got 9'):
        inception_score(torch.ones(9, 5))


def test_frechet_distance_is_that_of_the_matrix_square_root():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(60, 6))
    b = rng.normal(size=(45, 6)) @ rng.normal(size=(6, 6)) + 1
    root = sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    means = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    expected = means + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert frechet_distance(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(expected)
    assert frechet_distance(*2 * [torch.from_numpy(a)]) == pytest.approx(0, abs=1e-6)


def test_the_network_is_the_librarys_with_the_weights_of_the_file(weights_file, library):
    measure = InceptionMeasure(weights_file, other_weights=True)
    pairs = make_pairs()
    columns = measure.measure(pairs)
    features, logits = library(pairs.synthesised)
    expected = dict(
        inception_features=features,
        inception_logits=logits,
        inception_masked_logits=library(pairs.synthesised * pairs.mask)[1],
        inception_target_features=library(pairs.target)[0],
    )
    assert columns.keys() == expected.keys()
    assert not np.allclose(logits, expected['inception_masked_logits'], rtol=1e-2)
    assert not np.allclose(features, expected['inception_target_features'], rtol=1e-2)
    for name, value in expected.items():
        np.testing.assert_allclose(columns[name], value, rtol=1e-5, err_msg=name)


def test_other_weights_are_refused_unless_they_are_asked_for(weights_file):
    with pytest.raises(ValueError) as caught:
        InceptionMeasure(weights_file)
    for part in (weights_file, INCEPTION.sha256, file_sha256(weights_file), '--other-weights'):
        assert part in str(caught.value)


def test_scores_by_other_weights_say_so(weights_file, monkeypatch):
    monkeypatch.setattr('pg2aug.evaluation.inception.load_inception', lambda path: None)
    scores = InceptionMeasure(weights_file, other_weights=True).scores(columns_of(40))
    for score in scores:
        assert 'not the published' in score.note
        assert score.weights == dict(
            file='random.pth', sha256=file_sha256(weights_file), published=False
        )


def test_without_weights_nothing_is_computed():
    measure = InceptionMeasure(None)
    assert measure.measure(make_pairs()) == {}
    scores = measure.scores({})
    assert [score.name for score in scores] == ['IS', 'mask-IS', 'FID']
    assert {(score.value, score.note) for score in scores} == {(None, 'no weights')}


def test_a_missing_file_names_the_option():
    with pytest.raises(FileNotFoundError, match=r"inception_weights='none.pth'.*nothing is down"):
        InceptionMeasure('none.pth')


@pytest.mark.parametrize(
    ('count', 'computed', 'notes'),
    [
        (1, [], ['at least 10', 'at least 10', 'at least 2']),
        (9, ['FID'], ['at least 10', 'at least 10', '9 give a covariance']),
        (40, ['IS', 'mask-IS', 'FID'], ['4 in a split', '4 in a split', '40 give']),
        (12800, ['IS', 'mask-IS', 'FID'], ['', '', '']),
    ],
)
def test_numbers_from_few_images_say_so(count, computed, notes):
    scores = InceptionMeasure(None).scores(columns_of(count))
    assert [score.name for score in scores if score.value is not None] == computed
    for score, note in zip(scores, notes, strict=True):
        assert note in score.note
        assert note or not score.note


def test_each_score_reads_its_own_features():
    columns = columns_of(60)
    scores = {score.name: score.value for score in InceptionMeasure(None).scores(columns)}
    logits, masked = columns['inception_logits'], columns['inception_masked_logits']
    assert scores['IS'] == pytest.approx(slow_inception_score(logits, 10)[0])
    assert scores['mask-IS'] == pytest.approx(slow_inception_score(masked, 10)[0])
    features = [columns[f'inception_{name}'] for name in ('features', 'target_features')]
    assert scores['FID'] == pytest.approx(frechet_distance(*map(torch.from_numpy, features)))


class Payload:
    def __reduce__(self):
        return (open, (str(self.path), 'w'))


def test_no_code_of_a_weight_file_is_run(tmp_path):
    payload = Payload()
    payload.path = tmp_path / 'ran'
    (tmp_path / 'evil.pth').write_bytes(pickle.dumps(payload, protocol=2))
    with pytest.raises(ValueError, match=r'evil\.pth'):
        load_inception(str(tmp_path / 'evil.pth'))
    assert not payload.path.exists()


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / 'linear.pth')
    with pytest.raises(ValueError, match=r'linear\.pth does not hold torch-fidelity'):
        load_inception(str(tmp_path / 'linear.pth'))
