"""The experiment on rare poses: its worlds are what they say, its arms and numbers too."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from scipy import stats

from benchmarks.common.files import CONFIGS
from benchmarks.common.people import make_people
from benchmarks.rare_pose.arms import ARMS, TITLES, arm_config, extra_source
from benchmarks.rare_pose.markdown import rare_markdown
from benchmarks.rare_pose.plan import REGIMES, done, settings
from benchmarks.rare_pose.report import report
from benchmarks.rare_pose.runs import SHARE, SIZES, Setting
from benchmarks.rare_pose.runs import run as run_setting
from benchmarks.rare_pose.worlds import (
    FEW_ALPHA,
    FEW_NOVEL,
    World,
    drawn_pose,
    origin,
    render_in,
)
from pg2aug.figures import RARE_FAMILIES
from pg2aug.poses import PoseBank

SETTING = Setting('few_rare', 'pg2', 0, 600, 0.025, SHARE, SIZES['cpu'].iterations)


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp('world') / 'own', 0, 90, 0.2, False, (64, 64))


@pytest.fixture
def base():
    return Config.fromfile(CONFIGS / SIZES['cpu'].config)


def annotations(path):
    return json.loads(path.read_text())['annotations']


def test_a_render_differs_from_the_training_image_in_its_pose_alone(world):
    own = annotations(world.train())
    for index in (0, 1, 5):
        scene = origin(own, index)
        image = cv2.imread(
            str(world.folder / 'images' / 'train' / f'{scene[0]:06d}_{scene[1]:03d}.jpg')
        )
        same = render_in(scene, world.rare_share, drawn_pose(scene, world.rare_share), world.size)
        _, encoded = cv2.imencode('.jpg', same.image, (cv2.IMWRITE_JPEG_QUALITY, 95))
        np.testing.assert_array_equal(cv2.imdecode(encoded, cv2.IMREAD_COLOR), image)


def test_people_that_were_interrupted_are_made_anew(tmp_path):
    path = make_people(tmp_path, 'few', 1, 2)
    whole = path.read_bytes()
    path.unlink()
    assert make_people(tmp_path, 'few', 1, 2).read_bytes() == whole
    assert len(list((tmp_path / 'images' / 'few').iterdir())) == 2


def test_renders_show_training_people_in_rare_poses(world):
    made, own = annotations(world.render(40)), annotations(world.train())
    assert {a['person_id'] for a in made} <= {a['person_id'] for a in own}
    rare = [np.mean([a['pose_family'] in RARE_FAMILIES for a in found]) for found in (made, own)]
    assert rare[0] > rare[1] + 0.1


def test_oversampling_draws_by_the_weights_of_the_bank(world):
    own = annotations(world.train())
    counts = np.bincount(world.oversampled(20_000), minlength=len(own))
    bank = PoseBank.load(world.bank(novel=False))
    expected = dict(zip(map(bytes, bank.keypoints), bank.weights, strict=True))
    rare = [a['pose_family'] in RARE_FAMILIES for a in own]
    assert counts[rare].mean() > 1.5 * counts[np.logical_not(rare)].mean()
    assert counts.max() / 20_000 == pytest.approx(max(expected.values()), rel=0.2)


def test_a_bank_of_few_rare_poses_has_new_ones_too(world):
    annotated, bank = (PoseBank.load(world.bank(novel=novel)) for novel in (False, True))
    assert len(annotated) == 90
    np.testing.assert_array_equal(bank.keypoints[:90], annotated.keypoints)
    assert len(bank) == 90 + FEW_NOVEL
    assert annotated.options['alpha'] == FEW_ALPHA


def test_an_external_bank_has_poses_and_no_image(tmp_path, monkeypatch):
    monkeypatch.setattr('benchmarks.rare_pose.worlds.BANK_PEOPLE', 10)
    world = World(tmp_path / 'world', 0, 60, 0.0, True, (64, 64))
    content = json.loads(world.poses().read_text())
    assert content['images'] == []
    assert len(content['annotations']) == 40
    assert not {a['person_id'] for a in content['annotations']} & {
        a['person_id'] for a in annotations(world.train())
    }
    assert not any(a['pose_family'] in RARE_FAMILIES for a in annotations(world.train()))
    bank = PoseBank.load(world.bank())
    assert len(bank) == 40
    assert bank.options['reference'] == 60


def test_the_rarest_poses_of_the_test_are_mostly_of_rare_families(world, monkeypatch):
    monkeypatch.setattr('benchmarks.rare_pose.worlds.TEST_PEOPLE', 10)
    subsets = world.test().subsets()
    assert len(subsets['rare']) + len(subsets['common']) == 100
    assert len(subsets['rarest']) == pytest.approx(10, abs=2)
    assert len(subsets['rarest'] & subsets['rare']) > len(subsets['rarest'] & subsets['common'])


def test_all_arms_of_the_tables_but_one_can_be_run():
    assert set(TITLES) - set(ARMS) == {'pg2_own_check'}
    assert not set(ARMS) - set(TITLES)


@pytest.mark.parametrize('name', ARMS)
def test_arms_differ_from_the_baseline_in_what_they_say(name, world, base):
    arm = ARMS[name]
    generator = dict(config='a', checkpoint='b') if arm.generator else None
    cfg = arm_config(arm, base, world, 0.25, generator, extra_source(arm, world, Path('o'), 10))
    source = cfg.train_dataloader.dataset
    if arm.extra:
        assert cfg.train_dataloader.sampler.source_ratio == [0.75, 0.25]
        assert source.datasets[1].ann_file != source.datasets[0].ann_file or (
            len(source.datasets[1].indices) == 20_000
        )
        assert 'PG2Augment' not in [step.type for step in source.datasets[1].pipeline]
        source = source.datasets[0]
    names = [transform.type for transform in source.pipeline]
    assert names.index('PG2Augment') == 1 if arm.generator else 'PG2Augment' not in names
    assert [hook.type for hook in cfg.custom_hooks] == (['PG2Hook'] if arm.generator else [])
    turned = next(t for t in source.pipeline if t.type == 'RandomBBoxTransform')
    assert turned.get('rotate_factor', 80.0) == (180.0 if arm.rotation else 80.0)
    assert cfg.model == base.model
    assert cfg.optim_wrapper == base.optim_wrapper


def run(arm, seed, rare, regime='few_rare', start='a', **changes):
    setting = replace(SETTING, regime=regime, arm=arm, seed=seed, **changes)
    scores = {'ap': rare / 2, 'pck': rare}
    subsets = {'rare': scores, 'common': scores, 'rarest': scores}
    return {**asdict(setting), **subsets, 'families': {'lying': scores}, 'accepted': 0.9,
            'seconds': {'training': 60}, 'commit': f'{seed}abc', 'start': start}  # fmt: skip


def test_arms_are_compared_seed_by_seed():
    bar, best = [0.50, 0.61, 0.55, 0.58], [0.57, 0.65, 0.63, 0.63]
    runs = [run('rotation_oversampling', seed, value) for seed, value in enumerate(bar)]
    # Out of order, and with a seed that the bar does not have.
    runs += [run('pg2', seed, value) for seed, value in reversed(list(enumerate([*best, 0.9])))]
    found = report(runs, 'cpu', {'few_rare': 0.025})['regimes']['few_rare']
    gain = found['paired']['pg2_vs_rotation_oversampling']['rare']['pck']
    expected = stats.ttest_rel([100 * v for v in best], [100 * v for v in bar])
    assert gain['mean'] == pytest.approx(6.0)
    assert gain['p'] == pytest.approx(expected.pvalue)
    np.testing.assert_allclose(gain['ci95'], expected.confidence_interval(0.95), atol=0.01)
    assert found['arms']['pg2']['rare']['ap']['seeds'] == [28.5, 32.5, 31.5, 31.5, 45.0]
    page = rare_markdown(report(runs, 'cpu', {'few_rare': 0.025}))
    assert '+6.0' in page
    assert 'code: 0abc, 1abc, 2abc, 3abc, 4abc' in page
    assert '1,500 iterations on 600 images' in page


def test_how_much_of_the_possible_gain_an_arm_makes():
    scores = {'rotation_oversampling': (0.4, 0.5), 'render_rotation': (0.7, 0.8), 'pg2': (0.6, 0.6)}
    runs = [run(arm, seed, v) for arm, found in scores.items() for seed, v in enumerate(found)]
    # A seed that the render lacks says nothing about how far it is.
    runs += [run('rotation_oversampling', 2, 0.1), run('pg2', 2, 0.9)]
    # Nor is a loss part of a gain.
    runs += [run('limb_warp', seed, 0.3) for seed in range(2)]
    found = report(runs, 'cpu', {'few_rare': 0.025})
    assert found['regimes']['few_rare']['closed'] == {
        'pg2': {'ap': pytest.approx(0.5), 'pck': pytest.approx(0.5)},
        'limb_warp': {},
    }
    page = rare_markdown(found)
    assert '| 50%, 50% |' in page
    assert '| -, - |' in page


def test_the_summary_has_the_arms_that_both_regimes_have_run():
    runs = [run('baseline', 0, 0.5), run('rotation_oversampling', 0, 0.6)]
    runs += [run('baseline', 0, 0.25, regime='external_bank', rare_share=0.0)]
    page = rare_markdown(report(runs, 'cpu', REGIMES))
    summary = page.split('## Summary')[1].split('##')[0].split()
    assert ' '.join(summary).count('| usual augmentation | 25.0 |') == 1
    assert 'rotation,' not in summary
    assert 'Summary' not in rare_markdown(report(runs[:2], 'cpu', REGIMES))


def test_every_run_is_planned_once_and_the_deciding_ones_with_five_seeds():
    parts = settings(SIZES['cpu'])
    every = [setting for part in parts.values() for setting in part]
    assert len(every) == len(set(every))
    for arm in ('rotation', 'pg2_rotation', 'limb_warp_rotation', 'render_rotation', 'baseline'):
        seeds = {s.seed for s in parts['deciding'] if s.arm == arm and s.rare_share == 0}
        assert len(seeds) == 5
    found = report([asdict(s) | run(s.arm, s.seed, 0.5) | asdict(s) for s in every], 'cpu', REGIMES)
    assert set(found['sweeps']) == {'share', 'images', 'rare_share', 'iterations'}
    assert list(found['sweeps']['rare_share']['few_rare']) == ['0', '0.005', '0.025', '0.08']
    points = [p for of in found['sweeps'].values() for sweep in of.values() for p in sweep.values()]
    assert min(len(arm['rare']['pck']['seeds']) for point in points for arm in point.values()) == 2


@pytest.mark.parametrize('name', SIZES)
def test_the_estimator_of_a_size_takes_its_images(name):
    config = Config.fromfile(CONFIGS / SIZES[name].config)
    with MODELS.switch_scope_and_registry('mmpose') as registry:
        model = registry.build(config.model)
    width, height = config.codec.input_size
    found = model(torch.zeros(2, 3, height, width), None, mode='tensor')
    assert found.shape == (2, 17, *config.codec.heatmap_size[::-1])
    for loader in (config.train_dataloader, config.test_dataloader):
        sizes = [t.input_size for t in loader.dataset.pipeline if t.type == 'TopdownAffine']
        assert sizes == [(width, height)]
    encoders = [
        t.encoder for t in config.train_dataloader.dataset.pipeline if t.type == 'GenerateTarget'
    ]
    assert [*encoders, config.model.head.decoder] == [config.codec] * 2


def test_sweeps_are_apart_from_the_main_table():
    runs = [run('pg2', 0, 0.5), run('pg2', 0, 0.7, share=0.6), run('baseline', 0, 0.4)]
    found = report(runs, 'cpu', {'few_rare': 0.025})
    arms = found['regimes']['few_rare']['arms']
    assert arms['pg2']['rare']['pck'] == {'mean': 50.0, 'ci95': None, 'seeds': [50.0]}
    sweep = found['sweeps']['share']['few_rare']
    assert [sweep[v]['pg2']['rare']['pck']['mean'] for v in ('0.5', '0.6')] == [50.0, 70.0]
    of_sweep = rare_markdown(found).split('## share')[1]
    # Nothing was varied for the other arm.
    assert TITLES['pg2'] in of_sweep
    assert TITLES['baseline'] not in of_sweep


def test_points_of_a_sweep_have_the_same_seeds():
    runs = [run('pg2', seed, value) for seed, value in enumerate((0.1, 0.5, 0.6))]
    runs += [run('pg2', seed, 0.7, share=0.6) for seed in (1, 2, 3)]
    # No seed in common: nothing can be compared.
    runs += [run('pg2_rare', 0, 0.5), run('pg2_rare', 1, 0.5, share=0.6)]
    sweep = report(runs, 'cpu', {'few_rare': 0.025})['sweeps']['share']['few_rare']
    assert {value: list(arms) for value, arms in sweep.items()} == {'0.5': ['pg2'], '0.6': ['pg2']}
    assert sweep['0.5']['pg2']['rare']['pck']['seeds'] == [50.0, 60.0]
    assert sweep['0.6']['pg2']['rare']['pck']['seeds'] == [70.0, 70.0]


def test_what_is_compared_started_from_the_same_estimator():
    runs = [run('pg2', seed, v, start=s) for seed, v, s in ((0, 0.5, 'a'), (1, 0.6, 'b'))]
    runs += [run('rotation_oversampling', seed, 0.4) for seed in (0, 1)]
    runs += [run('pg2', 2, 0.9, start='b'), run('rotation_oversampling', 2, 0.3)]
    runs += [run('rotation_oversampling', 2, 0.5, start='b')]
    found = report(runs, 'cpu', {'few_rare': 0.025})
    paired = found['regimes']['few_rare']['paired']['pg2_vs_rotation_oversampling']
    assert paired['rare']['pck']['seeds'] == [10.0, 40.0]
    # Of two starts that both have, the first.
    runs += [run('pg2', 0, 0.8, start='c'), run('rotation_oversampling', 0, 0.1, start='c')]
    paired = report(runs, 'cpu', {'few_rare': 0.025})['regimes']['few_rare']['paired']
    assert paired['pg2_vs_rotation_oversampling']['rare']['pck']['seeds'] == [10.0, 40.0]
    # Means are over the first run of each seed.
    arms = found['regimes']['few_rare']['arms']
    assert arms['rotation_oversampling']['rare']['pck']['seeds'] == [40.0, 40.0, 30.0]


def test_a_sweep_is_of_one_start():
    runs = [run('pg2', 0, 0.5, share=s, start='b') for s in (0.1, 0.2)]
    runs += [run('pg2', 0, 0.6), run('pg2', 0, 0.7, start='b')]
    sweep = report(runs, 'cpu', {'few_rare': 0.025})['sweeps']['share']['few_rare']
    means = [of_value['pg2']['rare']['pck']['mean'] for of_value in sweep.values()]
    assert list(sweep) == ['0.1', '0.2', '0.5']
    assert means == [50.0, 50.0, 70.0]


def test_no_synthesis_is_a_share_of_0():
    runs = [run('pg2_rotation', 0, 0.5), run('rotation', 0, 0.3)]
    sweep = report(runs, 'cpu', {'few_rare': 0.025})['sweeps']['share']['few_rare']
    means = {v: of_value['pg2_rotation']['rare']['pck']['mean'] for v, of_value in sweep.items()}
    assert means == {'0': 30.0, '0.5': 50.0}


def test_the_points_of_a_share_are_compared_with_the_usual_augmentation():
    runs = [run('pg2', seed, 0.5 + seed / 10) for seed in (0, 1)]
    runs += [run('pg2', seed, 0.7, share=0.6) for seed in (0, 1)]
    # The third seed is nobody else's.
    runs += [run('baseline', seed, 0.3) for seed in (0, 1, 2)]
    found = report(runs, 'cpu', {'few_rare': 0.025})
    points = found['sweeps']['share']['few_rare']
    assert points['0.5']['pg2']['against']['common']['pck']['mean'] == pytest.approx(25)
    assert points['0.6']['pg2']['against']['rare']['ap']['seeds'] == [20.0, 20.0]
    assert '| 2 | +25.0, +12.5, +25.0, +12.5 | +40.0, +20.0,' in rare_markdown(found)


def test_no_difference_at_all_has_no_p_value():
    runs = [run(arm, seed, 0.5) for arm in ('pg2', 'rotation_oversampling') for seed in (0, 1)]
    paired = report(runs, 'cpu', {'few_rare': 0.025})['regimes']['few_rare']['paired']
    assert paired['pg2_vs_rotation_oversampling']['rare']['pck']['p'] is None


def test_a_run_that_was_run_twice_counts_once():
    runs = [run('pg2', 0, 0.5), run('pg2', 1, 0.6), run('pg2', 0, 0.7)]
    found = report(runs, 'cpu', {'few_rare': 0.025})
    arms = found['regimes']['few_rare']['arms']
    assert arms['pg2']['rare']['pck']['seeds'] == [50.0, 60.0]
    assert list(found['again']) == [SETTING.name]
    assert [of['rare']['pck'] for of in found['again'][SETTING.name]] == [50.0, 70.0]
    assert f'| {SETTING.name} | a | 70.0 | 35.0 |' in rare_markdown(found)


def test_finished_runs_are_not_run_again(tmp_path):
    path = tmp_path / 'runs.jsonl'
    assert done(path) == set()
    path.write_text(json.dumps(run('pg2', 3, 0.5)) + '\n')
    assert done(path) == {replace(SETTING, seed=3)}


TINY = replace(
    SIZES['cpu'],
    image=(64, 64),
    pretraining=(30, 2),
    images=60,
    iterations=10,
    generator=replace(
        SIZES['cpu'].generator, base_channels=8, batch_size=2, stage1_iters=2, stage2_iters=1
    ),
    renders=8,
    offline=4,
)


@pytest.fixture(scope='module')
def tiny_dir(tmp_path_factory):
    return tmp_path_factory.mktemp('tiny')


@pytest.mark.slow
@pytest.mark.parametrize('arm', ['pg2', 'pg2_offline', 'render'])
def test_an_arm_runs_from_people_to_scores(arm, tiny_dir, monkeypatch):
    monkeypatch.setattr('benchmarks.rare_pose.worlds.TEST_PEOPLE', 6)
    setting = Setting('few_rare', arm, 0, TINY.images, 0.2, 0.5, TINY.iterations)
    result = run_setting(setting, TINY, tiny_dir)
    assert {name: result[name] for name in asdict(setting)} == asdict(setting)
    for subset in ('rare', 'common', 'rarest'):
        assert 0 <= result[subset]['pck'] <= 1
        assert 0 <= result[subset]['ap'] <= 1
    assert len(result['families']) == 11
    assert len(result['start']) == 8
    assert (result['accepted'] is not None) == (arm == 'pg2')
    config = next((tiny_dir / 'runs' / setting.name).glob('*.py'))
    assert Config.fromfile(config).load_from == str(tiny_dir / 'pretrained' / 'iter_2.pth')


@pytest.mark.slow
def test_what_all_runs_start_from_is_tested_as_it_is(tiny_dir, monkeypatch):
    monkeypatch.setattr('benchmarks.rare_pose.worlds.TEST_PEOPLE', 6)
    setting = Setting('few_rare', 'baseline', 0, TINY.images, 0.2, 0.5, 0)
    result = run_setting(setting, TINY, tiny_dir)
    assert 0 <= result['rare']['pck'] <= 1
    assert not list((tiny_dir / 'runs' / setting.name).glob('*.pth'))


def test_before_any_training_there_is_one_arm():
    starts = [s for s in settings(SIZES['cpu'])['sweeps'] if s.iterations == 0]
    assert {(s.regime, s.arm) for s in starts} == {('external_bank', 'baseline')}
