"""The benchmark's own arithmetic: what its tables say must follow from what was seen."""

import numpy as np
import pytest

from benchmarks.common.files import METAINFO, check_settings
from benchmarks.label_fidelity import report as fidelity_report
from benchmarks.label_fidelity.arms import (
    ARMS,
    body_error,
    load_generator,
    make_trial,
    moved_joints,
    synthesize,
)
from benchmarks.label_fidelity.worlds import Split, World
from pg2aug.figures import RARE_FAMILIES, make_figures


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('figures')
    make_figures(root, 2, 8, rare_fraction=0.5, seed=3, split_name='test')
    split = Split(root, 'person_keypoints_test.json', 'images/test/')
    return World(split, {0: split}, split, RARE_FAMILIES)


@pytest.fixture(scope='module')
def trials(world):
    pairs = world.trials(0, 3)
    made = [make_trial(*pair, world.skeleton, (48, 64), (96, 128)) for pair in pairs]
    return [trial for trial in made if trial is not None]


def test_trials_are_of_one_person_and_never_of_one_image(world):
    pairs = world.trials(0, 3)
    assert {target.rare for _, target in pairs} == {True, False}
    for source, target in pairs:
        assert source.image_path != target.image_path
        assert source.image_path.name[:6] == target.image_path.name[:6]
        assert not source.rare


def test_the_true_image_has_no_body_error_and_a_copy_has(world, trials):
    truth = np.stack([trial.true_aligned for trial in trials])
    assert np.allclose(body_error(trials, truth, world.skeleton), 0)
    generator = load_generator(ARMS['copy'], None, METAINFO, (48, 64))
    copies, _ = synthesize(ARMS['copy'], generator, trials, 'cpu')
    warped, _ = synthesize(ARMS['limb_warp'], generator, trials, 'cpu')
    errors = [body_error(trials, made, world.skeleton).mean() for made in (copies, warped)]
    assert errors[0] > errors[1] > 5


def test_a_perfect_view_of_a_copy_finds_no_joint_that_moved(trials):
    """A judge who sees the source's own joints must score zero where the pose moves them."""
    moved = moved_joints(trials)
    assert moved.any()
    for trial, is_moved in zip(trials, moved, strict=True):
        plan = trial.plan
        shown = plan.target_keypoints[plan.target_visible > 0]
        diagonal = np.linalg.norm(np.ptp(shown, axis=0))
        distance = np.linalg.norm(plan.source_keypoints - plan.target_keypoints, axis=-1)
        assert (distance[is_moved] > 0.2 * diagonal).all()


def test_the_interval_is_students():
    interval = fidelity_report._interval([0.8, 0.9, 1.0], [0, 1, 2])
    assert interval['mean'] == 0.9
    half = 4.3027 * 0.1 / np.sqrt(3)
    assert np.allclose(interval['ci95'], [0.9 - half, 0.9 + half], atol=1e-4)
    assert interval['seeds'] == {'0': 0.8, '1': 0.9, '2': 1.0}


def test_shares_count_joints_and_the_verdict_names_the_seed_that_misses():
    run = dict(
        rare=np.array([True, False]),
        visible=np.ones((2, 4)),
        hits=np.array([[True, True, False, False], [True] * 4]),
        true_hits=np.ones((2, 4), bool),
        moved=np.array([[False, True, True, False], [True] * 4]),
        error=np.array([3.0, 1.0]),
        accepted=np.array([False, True]),
    )
    rare = fidelity_report._summary([run], [0], 'rare')
    assert (rare['pck_share']['mean'], rare['moved_share']['mean']) == (0.5, 0.5)
    assert rare['accepted']['mean'] == 0
    common = fidelity_report._summary([run], [0], 'common')
    arms = {'self_pairs': {'rare': rare, 'common': common}}
    better = {**rare, 'pck_share': {'mean': 0.6, 'seeds': {'0': 0.6}}}
    arms['limb_warp'] = {'rare': better, 'common': common}
    text = '\n'.join(fidelity_report._verdict(arms, 'self_pairs'))
    assert 'missed (0.500)' in text
    assert 'missed: rare, seed 0' in text


def test_results_of_other_settings_are_not_mixed_in(tmp_path):
    check_settings(tmp_path, dict(crop=(48, 64), per_person=4))
    check_settings(tmp_path, dict(crop=(48, 64), per_person=4))
    with pytest.raises(SystemExit, match=r'other settings'):
        check_settings(tmp_path, dict(crop=(48, 64), per_person=8))
