"""The benchmark of the paper's Table 1: its sizes fit the configs, and its verdicts the numbers."""

import pytest
import torch
from mmengine.config import Config

from benchmarks.paper_table.report import _ordering, _spread
from benchmarks.paper_table.systems import SIZES, SYSTEMS, TRAININGS, networks, options
from pg2aug.registry import MODELS


@pytest.mark.parametrize('name', SIZES)
@pytest.mark.parametrize('training', TRAININGS)
def test_the_sizes_fit_the_configs(name, training, tmp_path):
    size = SIZES[name]
    cfg = Config.fromfile(f'configs/pg2/paper/{training}_figures-64x48.py')
    cfg.merge_from_dict(options(size, tmp_path, 3) | networks(training, size))
    with torch.device('meta'):
        model = MODELS.build(dict(cfg.model, stage1_iters=cfg.stage1_iters))
    assert model.generator1.encoder.stem[0].out_channels == size.base_channels
    assert (model.generator2 is not None) == (training == 'pg2')
    assert (model.discriminator is not None) == (cfg.stage2_iters > 0)
    assert cfg.randomness.seed == 3
    datasets = [cfg.train_dataloader.dataset, cfg.test_dataloader.dataset]
    for dataset in [*datasets, cfg.custom_hooks[0].dataset]:
        assert tuple(dataset.size) == tuple(model.size) == size.crop
        assert dataset.dataset.data_root == str(tmp_path / 'people')


def test_every_system_has_a_training():
    assert {system.training for system in SYSTEMS.values()} == set(TRAININGS)


@pytest.mark.parametrize(
    ('better', 'worse', 'metric', 'holds'),
    [
        ([0.5, 0.51, 0.52], [0.4, 0.41, 0.42], 'SSIM', 'yes'),
        ([0.4, 0.41, 0.42], [0.5, 0.51, 0.52], 'SSIM', 'no'),
        ([0.5, 0.4, 0.6], [0.45, 0.5, 0.5], 'SSIM', 'undecided'),
        ([30.0, 30.5, 31.0], [40.0, 40.0, 41.0], 'L1 inside', 'yes'),
        ([0.5], [0.4], 'SSIM', 'one seed'),
        ([None, None], [None, None], 'IS', 'not computed'),
    ],
)
def test_an_ordering_holds_where_the_interval_is_above_zero(better, worse, metric, holds):
    systems = {'a': [{metric: v} for v in better], 'b': [{metric: v} for v in worse]}
    assert _ordering(systems, 'a > b', 'a', 'b', metric)['holds'] == holds


def test_one_run_has_no_spread():
    assert _spread([0.5]) == {'mean': 0.5, 'std': None, 'runs': [0.5]}
    assert _spread([0.4, 0.6])['std'] == pytest.approx(0.02**0.5)
    assert _spread([None, 0.5]) is None
