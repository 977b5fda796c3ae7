import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from pose_samples import COCO, COCO_CATEGORY, LEGS, people

from pg2aug.poses import PoseBank, Skeleton
from pg2aug.poses.bank.novel import add_novel_poses

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / 'shared' / 'data'
ALL = np.ones((1000, 17), bool)


def _annotations(keypoints, visible=None):
    visible = np.full(keypoints.shape[:2], 2) if visible is None else 2 * visible
    triplets = np.concatenate([keypoints, visible[..., None]], axis=-1)
    return [
        {'id': i, 'image_id': i, 'category_id': 1, 'keypoints': pose.ravel().tolist()}
        for i, pose in enumerate(triplets)
    ]


@pytest.fixture
def write(tmp_path):
    def write_coco(annotations, name='ann.json', **category):
        path = tmp_path / name
        categories = [{**COCO_CATEGORY, **category}]
        path.write_text(
            json.dumps({'images': [], 'annotations': annotations, 'categories': categories})
        )
        return path

    return write_coco


def _mostly_standing(visible=ALL, **options):
    keypoints = np.concatenate([people(950), people(50, up=-1, seed=1)])
    return PoseBank.from_poses(keypoints, visible, COCO, **options)


def test_handstands_are_drawn_several_times_as_often():
    bank = _mostly_standing()
    assert bank.weights[950:].mean() > 4 * bank.weights[:950].mean()
    assert bank.weights.sum() == pytest.approx(1)
    uniform = _mostly_standing(alpha=0)
    np.testing.assert_allclose(uniform.weights, 1 / 1000)


def test_half_bodies_of_common_poses_are_not_rare():
    visible = ALL.copy()
    visible[:60, LEGS] = False
    visible[60:120, [7, 8, 9, 10]] = False
    bank = _mostly_standing(visible)
    assert bank.weights[:120].mean() < 1.3 * bank.weights[120:950].mean()
    assert bank.weights[950:].mean() > 4 * bank.weights[:120].mean()


def test_half_bodies_of_rare_poses_stay_rare():
    visible = ALL.copy()
    visible[950:, LEGS] = False
    bank = _mostly_standing(visible)
    assert bank.weights[950:].mean() > 3 * bank.weights[:950].mean()


def test_full_poses_stay_common_where_most_wrists_are_missing():
    visible = ALL.copy()
    visible[:850, [9, 10]] = False
    bank = _mostly_standing(visible)
    assert bank.weights[850:950].mean() < 2 * bank.weights[:850].mean()


def test_a_rare_pose_repeated_often_enough_is_not_rare():
    keypoints = np.concatenate([people(500), np.repeat(people(1, up=-1), 500, axis=0)])
    bank = PoseBank.from_poses(keypoints, ALL, COCO)
    assert bank.weights[500:].mean() <= bank.weights[:500].mean()


def test_corrupted_annotations_are_never_drawn():
    keypoints = people(1000)
    keypoints[:20, 9] += 3000
    keypoints[20, 3] = np.nan
    bank = PoseBank.from_poses(keypoints, ALL, COCO)
    assert (bank.weights[:21] == 0).all()
    assert (bank.weights[21:] > 0).all()
    assert bank.counts['implausible'] == 21
    assert min(bank.draw(u) for u in np.linspace(0, 1, 5000, endpoint=False)) >= 21


def test_unlabelled_joints_are_never_read():
    visible = np.random.default_rng(0).random((1000, 17)) < 0.8
    expected = _mostly_standing(visible)
    keypoints = np.concatenate([people(950), people(50, up=-1, seed=1)])
    for fill in (np.nan, 1e9):
        bank = PoseBank.from_poses(np.where(visible[..., None], keypoints, fill), visible, COCO)
        np.testing.assert_array_equal(bank.weights, expected.weights)
        np.testing.assert_array_equal(bank.keypoints, expected.keypoints)


def test_effective_sample_size_stays_above_a_tenth():
    keypoints = np.concatenate([people(995, jitter=0.001), people(5, up=-1, jitter=0.3)])
    bank = PoseBank.from_poses(keypoints, ALL, COCO, alpha=8)
    assert bank.effective_sample_size >= 100
    assert bank.effective_sample_size == pytest.approx(1 / (bank.weights**2).sum())


def test_draws_follow_the_weights():
    bank = _mostly_standing()
    uniforms = (np.arange(200_000) + 0.5) / 200_000
    drawn = np.bincount([bank.draw(u) for u in uniforms], minlength=1000) / 200_000
    np.testing.assert_allclose(drawn, bank.weights, atol=5e-5)
    with pytest.raises(ValueError, match=r'\[0, 1\), got 1'):
        bank.draw(1.0)


def test_bank_is_deterministic_and_survives_saving(tmp_path):
    bank = _mostly_standing(seed=3)
    bank.save(tmp_path / 'a.npz')
    _mostly_standing(seed=3).save(tmp_path / 'b.npz')
    assert (tmp_path / 'a.npz').read_bytes() == (tmp_path / 'b.npz').read_bytes()
    loaded = PoseBank.load(tmp_path / 'a.npz')
    assert loaded.skeleton == COCO
    assert loaded.summary() == bank.summary()
    for name in ('keypoints', 'visible', 'hidden', 'weights', 'rarity'):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(bank, name))


def test_a_bank_is_saved_where_a_link_leads_to(tmp_path):
    (tmp_path / 'disk').mkdir()
    link = tmp_path / 'bank.npz'
    link.symlink_to(tmp_path / 'disk' / 'bank.npz')
    _mostly_standing().save(link)
    assert link.is_symlink()
    assert len(PoseBank.load(tmp_path / 'disk' / 'bank.npz')) == 1000


def test_flags_tell_what_is_hidden_if_they_differ():
    keypoints, flags = people(30), np.full((30, 17), 2)
    flags[0, 9] = flags[1, [9, 10]] = 1
    flags[2] = 1
    flags[3, 4] = 0
    bank = PoseBank.from_poses(keypoints, flags, COCO)
    assert np.argwhere(bank.hidden).tolist() == [[0, 9], [1, 9], [1, 10]]
    np.testing.assert_array_equal(bank.flags(1), flags[1])
    np.testing.assert_array_equal(bank.flags(3), flags[3])
    # No joint of this one is seen: its flags say no more than that joints are labelled.
    np.testing.assert_array_equal(bank.flags(2), np.full(17, 2))
    larger, new = add_novel_poses(bank, 40, seed=1)
    both = bank.hidden[new.parents].all(axis=1) & new.visible
    np.testing.assert_array_equal(larger.hidden, np.concatenate([bank.hidden, both]))


def test_scores_in_the_place_of_flags_hide_nothing_and_low_ones_label_nothing(write):
    annotations = _annotations(people(20))
    for annotation in annotations:
        annotation['keypoints'][2::3] = np.linspace(0.2, 1.03, 17).tolist()
    bank = PoseBank.from_annotations([write(annotations)])
    labelled = np.linspace(0.2, 1.03, 17) >= 0.3
    np.testing.assert_array_equal(bank.visible, np.tile(labelled, (20, 1)))
    assert not bank.hidden.any()


def test_json_is_read_as_a_bank_and_what_is_left_out_is_counted(write):
    annotations = _annotations(people(30))
    annotations[0]['iscrowd'] = 1
    annotations[1]['keypoints'][2 : 3 * 12 : 3] = [0] * 12
    del annotations[2]['keypoints']
    bank = PoseBank.load(write(annotations))
    assert len(bank) == 27
    assert dict(bank.counts) == {
        **{'read': 30, 'crowd': 1, 'no keypoints': 1, 'few joints': 1},
        **{'implausible': 0, 'doubtful': 0},
    }
    np.testing.assert_allclose(bank.keypoints, people(30)[3:], rtol=1e-5)
    assert len(PoseBank.from_annotations([write(annotations)], min_visible=5)) == 28


def test_files_with_other_joints_are_refused_unless_told_what_they_are(write):
    good = write(_annotations(people(10)))
    names = ['muzzle', *COCO_CATEGORY['keypoints'][1:]]
    other = write(_annotations(people(10)), 'other.json', keypoints=names, skeleton=[])
    with pytest.raises(
        ValueError, match=r"other\.json: .* no limbs.*'PATH::METAINFO' for pg2aug bank"
    ):
        PoseBank.load(other)
    other = write(_annotations(people(10)), 'other.json', keypoints=names)
    with pytest.raises(ValueError, match=r"other\.json.* joint 0 is 'muzzle', not 'nose'"):
        PoseBank.from_annotations([good, other])
    assert len(PoseBank.from_annotations([good, other], skeleton=COCO)) == 20


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('bank.txt', 'x', 'must be a .npz'),
        ('bank.npz', 'x', 'is no pose bank'),
        ('list.json', '[1]', "needs 'annotations'"),
        ('broken.json', '{', 'is no json file'),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        PoseBank.load(tmp_path / name)


def test_a_pickle_in_a_bank_is_not_loaded(tmp_path):
    np.savez(tmp_path / 'evil.npz', keypoints=np.array([object()], dtype=object))
    with pytest.raises(ValueError, match='is no pose bank'):
        PoseBank.load(tmp_path / 'evil.npz')


@pytest.mark.parametrize('damage', ['cut', 'garbled', 'PK only'])
def test_a_damaged_bank_is_told_as_one(tmp_path, damage):
    path = tmp_path / 'bank.npz'
    _mostly_standing().save(path)
    content = path.read_bytes()
    garbled = bytearray(content)
    garbled[200:400] = b'x' * 200
    wrong = {
        'cut': content[: len(content) // 2],
        'garbled': bytes(garbled),
        'PK only': b'PK\x03\x04',
    }
    path.write_bytes(wrong[damage])
    with pytest.raises(ValueError, match='is no pose bank'):
        PoseBank.load(path)


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('weights', np.nan, 'weights must be finite, 0 or more.* 1 are not, such as nan'),
        ('weights', -1.0, r'weights must be .*such as -1\.0'),
        ('weights', np.inf, 'weights must be .*such as inf'),
        ('weights', np.zeros(1000), 'weights must be .*not all 0'),
        ('weights', np.ones(999), r'weights must be \(1000,\), got \(999,\)'),
        ('weights', np.array(['a'] * 1000), 'weights must be floating'),
        ('rarity', np.inf, 'rarity must be finite'),
        ('rarity', np.ones((1000, 2)), r'rarity must be \(1000,\)'),
        ('keypoints', np.nan, 'keypoints must be finite'),
        ('keypoints', np.ones((1000, 16, 2)), r'keypoints must be \(N, 17, 2\)'),
        ('keypoints', np.ones(()), 'keypoints|len'),
        ('visible', np.full((1000, 17), 2), 'visible must be true or false'),
        ('hidden', np.ones((1000, 16), bool), r'hidden must be \(1000, 17\)'),
        ('meta', '[]', 'no pose bank'),
        ('meta', '{}', "KeyError: 'skeleton'"),
        ('meta', {'keypoint_names': [1] * 17}, 'names must be texts'),
        ('meta', {'limbs': [[0, 99]]}, 'outside 0'),
        ('meta', {'limbs': [[0, 'nose']]}, 'outside 0'),
        ('meta', {'limbs': [[0, 1, 2]]}, 'pairs of joints'),
        ('meta', {'flip_indices': [0]}, 'flip_indices must swap'),
        ('meta', {'eyes': 3}, 'eyes'),
        ('meta', '{' * 100_000, 'no pose bank'),
        ('meta', '[' * 100_000, 'no pose bank'),
    ],
)
def test_a_bank_of_wrong_values_is_refused_by_the_name_of_the_field(tmp_path, name, value, words):
    _mostly_standing().save(tmp_path / 'good.npz')
    with np.load(tmp_path / 'good.npz') as good:
        arrays = dict(good)
    if isinstance(value, dict):
        meta = json.loads(str(arrays['meta']))
        value = json.dumps(dict(meta, skeleton=dict(meta['skeleton'], **value)))
    if isinstance(value, float):
        arrays[name].flat[0] = value
    else:
        arrays[name] = np.array(value)
    np.savez(tmp_path / 'wrong.npz', **arrays)
    with pytest.raises(ValueError, match=rf'wrong\.npz.*{words}'):
        PoseBank.load(tmp_path / 'wrong.npz')


def test_wrong_number_of_triplets_is_refused(write):
    annotations = _annotations(people(3))
    annotations[2]['keypoints'] = [0] * 42
    with pytest.raises(ValueError, match=r'annotation 2 of .* has 42 .* 17 joints need 51'):
        PoseBank.from_annotations([write(annotations)])


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r'must be \(N, 17, 2\)'):
        PoseBank.from_poses(np.zeros((3, 14, 2)), np.ones((3, 14)), COCO)
    with pytest.raises(ValueError, match='neighbours must be at least 1, got 0'):
        _mostly_standing(neighbours=0)
    with pytest.raises(ValueError, match='none of 2 poses is plausible'):
        PoseBank.from_poses(np.zeros((2, 17, 2)), np.ones((2, 17)), COCO)
    with pytest.raises(ValueError, match=r'saved as \.npz'):
        _mostly_standing().save(tmp_path / 'bank.json')


@pytest.mark.parametrize('count', [1, 2, 5])
def test_tiny_banks_work(count):
    bank = PoseBank.from_poses(people(count), np.ones((count, 17)), COCO)
    assert bank.weights.sum() == pytest.approx(1)
    assert bank.draw(0.999) in range(count)


def test_any_skeleton_will_do():
    tail = Skeleton(('a', 'b', 'c'), ((0, 1), (1, 2)), (0, 1, 2))
    poses = np.random.default_rng(0).uniform(0, 100, (50, 3, 2))
    assert len(PoseBank.from_poses(poses, np.ones((50, 3)), tail)) == 50


def test_tool_writes_a_bank_and_never_overwrites_unasked(write, tmp_path, capsys):
    main = runpy.run_path(str(ROOT / 'tools' / 'build_pose_bank.py'))['main']
    annotation, out = str(write(_annotations(people(30)))), tmp_path / 'bank.npz'
    assert main([annotation, '--out', str(out), '--alpha', '1', '--min-keypoints', '4']) == 0
    assert 'effective sample size' in capsys.readouterr().out
    before = out.read_bytes()
    assert main([annotation, '--out', str(out), '--alpha', '3']) == 2
    assert '--overwrite' in capsys.readouterr().err
    assert out.read_bytes() == before
    assert main([annotation, '--out', str(out), '--alpha', '3', '--overwrite']) == 0
    assert out.read_bytes() != before
    assert main([str(tmp_path / 'no.json'), '--out', str(tmp_path / 'c.npz')]) == 2


def test_real_estimates_with_wrong_joints_lose_exactly_those():
    path = DATA / 'balance4view' / 'person_keypoints_train.json'
    if not path.exists():
        pytest.skip('needs ../shared/data/balance4view')
    bank = PoseBank.load(path)
    # In the last, an eye is half a torso away from the nose.
    assert np.nonzero(bank.weights == 0)[0].tolist() == [4, 5, 6, 7, 8, 15, 119]
    assert bank.effective_sample_size > 28
