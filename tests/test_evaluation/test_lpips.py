import numpy as np
import pytest
import torch
from torchmetrics.functional.image import learned_perceptual_image_patch_similarity
from torchvision.models import alexnet

from pg2aug.evaluation import load_lpips, lpips
from pg2aug.evaluation.lpips import PerceptualMeasure
from pg2aug.evaluation.pairs import EvaluatedPairs
from pg2aug.evaluation.weights import ALEXNET


@pytest.fixture(scope='module')
def layers():
    """The part of AlexNet that LPIPS reads, with random weights."""
    torch.manual_seed(0)
    return alexnet(weights=None).features


@pytest.fixture(scope='module')
def weights_file(layers, tmp_path_factory):
    path = tmp_path_factory.mktemp('lpips') / 'alexnet.pth'
    torch.save({f'features.{name}': v for name, v in layers.state_dict().items()}, path)
    return str(path)


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (2, 3, 3, 64, 32), generator=generator).to(torch.uint8)


def test_distances_are_those_of_torchmetrics(weights_file, layers, images, monkeypatch):
    found = lpips(load_lpips(weights_file), *images)
    # Its public function takes AlexNet from torchvision, which would download it.
    monkeypatch.setattr(
        'torchmetrics.functional.image.lpips._get_tv_model_features', lambda *_: layers
    )
    for i in range(len(found)):
        expected = learned_perceptual_image_patch_similarity(
            *(batch[i : i + 1] / 255 for batch in images), net_type='alex', normalize=True
        )
        assert found[i] == pytest.approx(expected.item(), rel=1e-5)
        assert found[i] > 1e-4


def test_an_image_has_no_distance_to_itself(weights_file, images):
    assert lpips(load_lpips(weights_file), images[0], images[0]).tolist() == [0, 0, 0]


def test_the_score_is_the_mean_over_pairs(weights_file, images):
    measure = PerceptualMeasure(weights_file, other_weights=True)
    poses = torch.zeros(3, 17, 2), torch.ones(3, 17)
    columns = measure.measure(EvaluatedPairs(*images, images[0, :, :1], *poses))
    (score,) = measure.scores(columns)
    assert columns['lpips'].shape == (3,)
    assert score.value == pytest.approx(np.mean(columns['lpips']))
    assert 'not the published' in score.note


def test_other_weights_are_refused_unless_they_are_asked_for(weights_file):
    with pytest.raises(ValueError, match=rf'lpips_weights=.*{ALEXNET.sha256}.*--other-weights'):
        PerceptualMeasure(weights_file)


def test_without_weights_nothing_is_computed(images):
    measure = PerceptualMeasure(None)
    assert measure.measure(images) == {}
    (score,) = measure.scores({})
    assert (score.name, score.value, score.note) == ('LPIPS', None, 'no weights')


def test_images_too_small_for_alexnet_are_refused(weights_file, images):
    network = load_lpips(weights_file)
    lpips(network, images[0, ..., :31], images[1, ..., :31])
    with pytest.raises(ValueError, match='at least 31 pixels a side, got 30x64'):
        lpips(network, images[0, ..., :30], images[1, ..., :30])


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / 'linear.pth')
    with pytest.raises(ValueError, match=r"linear\.pth does not hold torchvision's alexnet"):
        load_lpips(str(tmp_path / 'linear.pth'))
