import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from pose_samples import COCO_CATEGORY, people

from pg2aug.poses import PoseBank

TOOL = Path(__file__).resolve().parents[1] / 'tools' / 'build_pose_bank.py'
COCO_FILE = 'configs/_base_/datasets/coco.py'
MPII_FILE = 'configs/_base_/datasets/mpii.py'


@pytest.fixture
def main():
    return runpy.run_path(str(TOOL))['main']


@pytest.fixture
def write(tmp_path):
    def write_file(name, keypoints, **contents):
        flags = np.full((*keypoints.shape[:2], 1), 2)
        annotations = [
            {'id': i, 'category_id': 1, 'keypoints': pose.ravel().tolist()}
            for i, pose in enumerate(np.concatenate([keypoints, flags], axis=-1))
        ]
        path = tmp_path / name
        path.write_text(json.dumps({'annotations': annotations, **contents}))
        return str(path)

    return write_file


def _run(main, out, *arguments):
    assert main([*map(str, arguments), '--out', str(out)]) == 0
    return PoseBank.load(out)


def test_rarity_is_measured_against_the_reference(main, write, tmp_path, capsys):
    mine = write('mine.json', people(100), categories=[COCO_CATEGORY])
    both = np.concatenate([people(50, seed=2), people(50, up=-1, seed=3)])
    other = write('other.json', both, categories=[COCO_CATEGORY])
    alone = _run(main, tmp_path / 'alone.npz', other)
    bank = _run(main, tmp_path / 'bank.npz', other, '--reference', mine)
    assert bank.weights[50:].sum() > 0.75
    assert alone.weights[50:].sum() == pytest.approx(0.5, abs=0.15)
    assert bank.options['reference'] == 100
    assert 'mine.json: 17 of 17 joints mapped; 100 poses' in capsys.readouterr().out


def test_other_skeletons_and_3d_keypoints_in_one_bank(main, write, tmp_path, capsys):
    mpii = write('mpii.json', _mpii(40))
    mine = write('mine.json', people(60), categories=[COCO_CATEGORY])
    heights = np.array(
        [*[0.9, 0.9, 0.5, 0.1, 0.9, 0.5, 0.1, 1.1, 1.4, 1.5, 1.7], *[1.4, 1.1, 0.9] * 2]
    )
    sides = np.array([*[0, -0.2, -0.2, -0.2, 0.2, 0.2, 0.2, 0, 0, 0, 0], *[0.3] * 3, *[-0.3] * 3])
    body = np.stack([sides, 0 * sides, heights], axis=-1)
    body = body + np.random.default_rng(0).normal(0, 0.02, (5, 17, 3))
    np.savez(tmp_path / 'h36m.npz', S=body)
    bank = _run(
        main,
        tmp_path / 'bank.npz',
        mine,
        f'{mpii}::{MPII_FILE}',
        tmp_path / 'h36m.npz',
        *('--metainfo', COCO_FILE, '--cameras', 3, '--elevation', 0, 30),
        *('--map', 'nose=upper_neck+head_top', 'nose=neck_base+head'),
        *('--map', 'left_ankle=left_foot', 'right_ankle=right_foot'),
    )
    assert len(bank) == 60 + 40 + 15
    assert bank.visible[60:].sum(axis=1).tolist() == [13] * 55
    out = capsys.readouterr().out
    assert 'mpii.json: 13 of 17 joints mapped; by substitute: nose from upper_neck and' in out
    assert 'not used: pelvis, thorax\n  40 of 40 poses can be targets of a person' in out
    assert '15 of 15 poses can be targets of a person' in out
    assert 'left_ankle from left_foot' in out
    assert 'views of 3-D poses: 15' in out


def _mpii(count):
    """The 12 joints that MPII shares with COCO, and four more, in MPII's order."""
    coco = people(count)
    order = [16, 14, 12, 11, 13, 15, 11, 5, 5, 0, 10, 8, 6, 5, 7, 9]
    return coco[:, order]


def test_new_poses_and_pictures(main, write, tmp_path, capsys):
    mine = write('mine.json', people(60), categories=[COCO_CATEGORY])
    pictures = tmp_path / 'pictures'
    options = ('--num-novel', 30, '--plot', pictures, '--reference', mine)
    bank = _run(main, tmp_path / 'bank.npz', mine, *options)
    assert len(bank) == 90
    assert bank.counts['novel'] == 30
    assert len(list(pictures.glob('*.png'))) == 6
    again = _run(main, tmp_path / 'again.npz', mine, '--num-novel', 30, '--reference', mine)
    np.testing.assert_array_equal(again.keypoints, bank.keypoints)


def test_a_bank_is_kept_where_its_pictures_fail(main, write, tmp_path, capsys):
    mine = write('mine.json', people(60), categories=[COCO_CATEGORY])
    few = write('few.json', people(1), categories=[COCO_CATEGORY])
    options = ('--plot', str(tmp_path / 'charts'), '--reference', few)
    out = tmp_path / 'bank.npz'
    assert main([mine, *options, '--out', str(out)]) == 2
    assert 'error:' in capsys.readouterr().err
    assert len(PoseBank.load(out)) == 60


def test_pictures_without_matplotlib_are_refused_before_the_work(
    main, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr('pg2aug.cli.bank.find_spec', lambda name: None)
    out = tmp_path / 'bank.npz'
    assert main([str(tmp_path / 'no.json'), '--plot', str(tmp_path), '--out', str(out)]) == 2
    assert 'pip install matplotlib' in capsys.readouterr().err


def test_a_mixture_without_scikit_learn_is_refused_and_neighbours_need_none(
    main, write, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, 'sklearn.mixture', None)
    mine = write('mine.json', people(60), categories=[COCO_CATEGORY])
    out = tmp_path / 'bank.npz'
    assert main([mine, '--density', 'gmm', '--out', str(out)]) == 2
    assert 'pip install scikit-learn' in capsys.readouterr().err
    assert main([mine, '--density', 'knn', '--out', str(out)]) == 0


def test_rarity_options_reach_the_bank(main, write, tmp_path):
    mine = write('mine.json', people(60), categories=[COCO_CATEGORY])
    options = ('--density', 'gmm', '--rotation-invariant', '--no-mirror-invariant', '--alpha', 1)
    bank = _run(main, tmp_path / 'bank.npz', mine, *options)
    assert bank.options['density'] == 'gmm'
    assert bank.options['rotation_invariant'] is True
    assert bank.options['mirror_invariant'] is False
    assert bank.options['alpha'] == 1


def test_a_full_disk_leaves_the_bank_that_was_there(main, write, tmp_path, capsys, full_disk):
    mine = write('mine.json', people(60), categories=[COCO_CATEGORY])
    out = tmp_path / 'bank.npz'
    assert main([mine, '--out', str(out)]) == 0
    before = out.read_bytes()
    with full_disk(1000):
        assert main([mine, '--alpha', '1', '--out', str(out), '--overwrite']) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert f"free space, then give the same command again): '{out}'" in error
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bank.npz', 'mine.json']


def test_errors_are_one_line_and_write_nothing(main, write, tmp_path, capsys):
    mine = write('mine.json', people(60), categories=[COCO_CATEGORY])
    out = tmp_path / 'bank.npz'
    for arguments, message in [
        ([mine, '--metainfo', 'configs/_base_/datasets/onehand10k.py'], 'too few joints in common'),
        ([mine, '--map', 'nek=nose'], "'nek' is no joint of the target"),
        ([str(tmp_path / 'no.json')], 'no.json'),
        ([mine, '--num-novel', '10', '--max-turn', '100'], 'max_turn must be in'),
    ]:
        assert main([*arguments, '--out', str(out)]) == 2
        assert message in capsys.readouterr().err
        assert not out.exists()
    with pytest.raises(SystemExit):
        main([mine, '--map', 'neck', '--out', str(out)])


def test_poses_are_not_overwritten_by_the_bank(main, tmp_path, capsys):
    poses = tmp_path / 'mocap.npz'
    np.savez(poses, keypoints_3d=np.zeros((3, 17, 3)))
    before = poses.read_bytes()
    arguments = [f'{poses}::{COCO_FILE}', '--out', str(poses), '--overwrite']
    assert main(arguments) == 2
    assert f'{poses} is read and would be overwritten' in capsys.readouterr().err
    assert poses.read_bytes() == before


def test_a_skeleton_of_few_joints_is_told_what_pg2_augment_must_be_told(
    main, write, tmp_path, capsys
):
    joints = [0, 5, 6, 11, 12]
    category = dict(
        keypoints=[COCO_CATEGORY['keypoints'][k] for k in joints],
        skeleton=[[1, 2], [2, 3], [2, 4], [3, 5], [4, 5]],
    )
    few = write('few.json', people(30)[:, joints], categories=[dict(id=1, **category)])
    _run(main, tmp_path / 'few.npz', few)
    line = '30 of 30 poses can be targets of a person, with min_visible=5 or less'
    assert line in capsys.readouterr().out
