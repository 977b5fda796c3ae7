"""The configs of the paper's systems, as files: what differs between them is what it should be."""

import pytest
import torch
from mmengine.config import Config

from pg2aug.engine.training import build_runner
from pg2aug.registry import MODELS

DATA = ('market1501-128x64', 'deepfashion-256x256', 'figures-64x48')
SYSTEMS = ('g1-ce-l1', 'g1-hme-l1', 'g1-l1', 'g1-mask', 'g1-d', 'pg2', 'pg2-triplet')
STAGE2 = ('g1-d', 'pg2', 'pg2-triplet')


def load(system, data):
    return Config.fromfile(f'configs/pg2/paper/{system}_{data}.py')


def build(cfg):
    with torch.device('meta'):
        return MODELS.build(dict(cfg.model, stage1_iters=cfg.stage1_iters))


@pytest.mark.parametrize('data', DATA)
@pytest.mark.parametrize('system', SYSTEMS)
def test_each_system_has_its_parts(system, data):
    cfg = load(system, data)
    model = build(cfg)
    assert (model.generator2 is not None) == system.startswith('pg2')
    assert (model.discriminator is not None) == (system in STAGE2) == (cfg.stage2_iters > 0)
    assert model.mask_weight == (0 if system.endswith('-l1') else 1)
    kind = type(model.generator1.pose_embedding).__name__
    expected = {'g1-ce-l1': 'CoordinateEmbedding', 'g1-hme-l1': 'HeatmapEmbedding'}
    assert kind == expected.get(system, 'NoneType')
    triplet = system == 'pg2-triplet'
    assert triplet == (getattr(model.discriminator, 'scheme', None) == 'triplet')
    assert model.data_preprocessor.heatmap_background == (-1 if triplet else 0)
    preprocessor = model.data_preprocessor
    assert not any((preprocessor.foreground, preprocessor.aligned, preprocessor.matte))


@pytest.mark.parametrize(
    ('data', 'size', 'batch', 'iters', 'l1_weight', 'g1', 'g2', 'd'),
    [
        (DATA[0], (64, 128), 16, (22000, 14000), 10, 70_795_075, 6_058_883, 4_324_737),
        (DATA[1], (256, 256), 8, (30000, 20000), 50, 122_103_235, 12_696_067, 10_896_257),
    ],
)
def test_the_paper_sizes_and_schedules(data, size, batch, iters, l1_weight, g1, g2, d):
    """Sizes of the networks: those of the authors' code, whose scheme pg2-triplet is."""
    for system in SYSTEMS:
        cfg = load(system, data)
        assert cfg.train_dataloader.batch_size == batch
        optimizer = dict(type='Adam', lr=2e-5, betas=(0.5, 0.999), fused=True)
        assert cfg.optim_wrapper.to_dict() == dict(
            constructor='pg2aug.PG2OptimWrapperConstructor',
            type='OptimWrapper',
            optimizer=optimizer,
        )
        for dataset in (cfg.train_dataloader.dataset, cfg.test_dataloader.dataset):
            assert dataset.size == cfg.model.size == size
        stages = {'g1-d': (0, sum(iters)), 'pg2': iters, 'pg2-triplet': iters}
        expected = stages.get(system, (iters[0], 0))
        assert (cfg.stage1_iters, cfg.stage2_iters) == expected
        assert cfg.model.l1_weight == l1_weight
    cfg = load('pg2-triplet', data)
    model = build(cfg)
    networks = (model.generator1, model.generator2, model.discriminator)
    assert [sum(p.numel() for p in n.parameters()) for n in networks] == [g1, g2, d]


def test_a_second_stage_without_a_discriminator_is_refused_before_training():
    cfg = load('g1-mask', DATA[2])
    cfg.stage2_iters = 10
    with pytest.raises(ValueError, match=r'stage2_iters is 10, but model\.discriminator is None'):
        build_runner(cfg)
