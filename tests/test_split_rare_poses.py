"""tools/split_rare_poses.py: rare people on one side, all others on the other."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from pose_samples import COCO_CATEGORY, people

TOOL = Path(__file__).resolve().parents[1] / 'tools' / 'split_rare_poses.py'


@pytest.fixture
def main():
    run = runpy.run_path(str(TOOL))['main']
    return lambda *arguments: run([str(argument) for argument in arguments])


@pytest.fixture
def write(tmp_path):
    """A file of people, one an image; the last are upside down. Returns its path."""

    def write_file(name, upright, turned, seed=0):
        poses = np.concatenate([people(upright, seed=seed), people(turned, up=-1, seed=seed + 1)])
        flags = np.full((*poses.shape[:2], 1), 2)
        annotations = [
            {'id': 10 + i, 'image_id': i, 'category_id': 1, 'keypoints': pose.ravel().tolist()}
            for i, pose in enumerate(np.concatenate([poses, flags], axis=-1))
        ]
        images = [{'id': i, 'file_name': f'{i}.jpg'} for i in range(len(poses))]
        content = {'images': images, 'annotations': annotations, 'categories': [COCO_CATEGORY]}
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return write_file


def ids(path):
    content = json.loads(path.read_text())
    assert {i['id'] for i in content['images']} == {a['image_id'] for a in content['annotations']}
    assert content['categories'] == [COCO_CATEGORY]
    return {a['id'] for a in content['annotations']}


def test_people_in_rare_poses_are_apart_from_all_others(main, write, tmp_path, capsys):
    path = write('all.json', 95, 5)
    rarest, others = tmp_path / 'rarest.json', tmp_path / 'others.json'
    assert main(path, '--share', 0.05, '--rarest', rarest, '--others', others) == 0
    assert ids(rarest) == set(range(105, 110))
    assert ids(others) == set(range(10, 105))
    assert '5 rare of 100 judged poses' in capsys.readouterr().out


def test_who_shows_too_little_and_crowds_are_never_rare(main, write, tmp_path):
    path = write('all.json', 94, 6)
    content = json.loads(path.read_text())
    few, crowd = content['annotations'][-2:]
    few['keypoints'] = few['keypoints'][: 3 * 8] + [0] * (3 * 9)
    crowd['iscrowd'] = 1
    path.write_text(json.dumps(content))
    rarest, others = tmp_path / 'rarest.json', tmp_path / 'others.json'
    assert main(path, '--share', 0.04, '--rarest', rarest, '--others', others) == 0
    assert ids(rarest) == set(range(104, 108))
    assert {few['id'], crowd['id']} <= ids(others)


def test_nobody_is_in_both_parts(main, write, tmp_path):
    path = write('all.json', 96, 4)
    content = json.loads(path.read_text())
    for person in content['annotations'][-1], content['annotations'][0]:
        # Annotated again, a pixel away, and with too few joints to be judged.
        values = np.reshape(person['keypoints'], (-1, 3))
        values[:, 0] += 1
        values[8:] = 0
        double = dict(person, id=person['id'] + 1000, keypoints=values.ravel().tolist())
        content['annotations'].append(double)
    path.write_text(json.dumps(content))
    rarest, others = tmp_path / 'rarest.json', tmp_path / 'others.json'
    assert main(path, '--share', 0.04, '--rarest', rarest, '--others', others) == 0
    assert ids(rarest) == {*range(106, 110), 1109}
    assert ids(others) == {*range(10, 106), 1010}


def test_rare_is_what_the_reference_lacks(main, write, tmp_path):
    path = write('half.json', 50, 50)
    reference = write('upright.json', 100, 0, seed=5)
    rarest = tmp_path / 'rarest.json'
    assert main(path, '--share', 0.5, '--reference', reference, '--rarest', rarest) == 0
    assert ids(rarest) == set(range(60, 110))


def test_a_metainfo_names_the_joints_and_limbs(main, write, tmp_path, capsys):
    path = write('all.json', 95, 5)
    content = json.loads(path.read_text())
    names = ['muzzle', *COCO_CATEGORY['keypoints'][1:]]
    content['categories'] = [dict(COCO_CATEGORY, keypoints=names, skeleton=[[0, 1], [16, 18]])]
    path.write_text(json.dumps(content))
    rarest = tmp_path / 'rarest.json'
    assert main(path, '--share', 0.05, '--rarest', rarest) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'error: {path}: joint indices [-1, 17] are outside 0..16')
    assert "'PATH::METAINFO' for pg2aug bank or pg2aug split" in error
    named = f'{path}::configs/_base_/datasets/coco.py'
    assert main(named, '--share', 0.05, '--rarest', path, '--overwrite') == 2
    assert f'{path} is read and would be overwritten' in capsys.readouterr().err
    assert main(named, '--share', 0.05, '--rarest', rarest) == 0
    part = json.loads(rarest.read_text())
    assert {a['id'] for a in part['annotations']} == set(range(105, 110))
    assert part['categories'] == content['categories']


def test_whole_bodies_are_split_by_all_their_joints(main, write, tmp_path):
    path = write('all.json', 95, 5)
    content = json.loads(path.read_text())
    sizes = dict(foot_kpts=6, face_kpts=68, lefthand_kpts=21, righthand_kpts=21)
    for annotation in content['annotations']:
        for name, joints in sizes.items():
            annotation[name] = [0, 0, 0] * joints
    path.write_text(json.dumps(content))
    rarest = tmp_path / 'rarest.json'
    named = f'{path}::configs/_base_/datasets/coco_wholebody.py'
    assert main(named, '--share', 0.05, '--min-keypoints', 17, '--rarest', rarest) == 0
    assert ids(rarest) == set(range(105, 110))


def test_a_file_without_images_is_told(main, write, tmp_path, capsys):
    path = write('all.json', 20, 2)
    content = json.loads(path.read_text())
    del content['images']
    path.write_text(json.dumps(content))
    assert main(path, '--rarest', tmp_path / 'rarest.json') == 2
    assert "it has no 'images'" in capsys.readouterr().err


def test_no_file_is_written_over_another(main, write, tmp_path, capsys):
    path = write('all.json', 20, 2)
    text = path.read_text()
    out = tmp_path / 'new' / 'part.json'
    for arguments, message in (
        (['--rarest', out, '--others', out], 'named twice'),
        (['--others', path, '--overwrite'], 'is read and would be overwritten'),
    ):
        assert main(path, *arguments) == 2
        assert message in capsys.readouterr().err
        assert not out.exists()
    assert path.read_text() == text
    assert main(path, '--rarest', out) == 0
    assert len(ids(out)) == 2


def test_on_a_full_disk_no_part_is_written(main, write, tmp_path, capsys, full_disk):
    path = write('all.json', 40, 2)
    old = tmp_path / 'rarest.json'
    old.write_text('mine')
    before = sorted(tmp_path.iterdir())
    with full_disk(10_000):
        arguments = '--rarest', old, '--others', tmp_path / 'others.json', '--overwrite'
        assert main(path, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith('error: ')
    assert f"free space, then give the same command again): '{tmp_path}/others" in captured.err
    assert 'rare of' not in captured.out
    assert old.read_text() == 'mine'
    assert sorted(tmp_path.iterdir()) == before


def test_annotations_need_neither_ids_nor_keypoints(main, write, tmp_path):
    path = write('all.json', 20, 2)
    content = json.loads(path.read_text())
    for annotation in content['annotations']:
        del annotation['id']
    content['annotations'].insert(0, {'image_id': 0, 'category_id': 1, 'keypoints': None})
    path.write_text(json.dumps(content))
    parts = tmp_path / 'rarest.json', tmp_path / 'others.json'
    assert main(path, '--rarest', parts[0], '--others', parts[1]) == 0
    found = [len(json.loads(part.read_text())['annotations']) for part in parts]
    assert found == [2, 21]


def test_existing_files_and_bad_input_are_refused(main, write, tmp_path, capsys):
    path = write('all.json', 20, 2)
    out = tmp_path / 'rarest.json'
    out.write_text('mine')
    assert main(path, '--rarest', out) == 2
    assert out.read_text() == 'mine'
    assert '--overwrite' in capsys.readouterr().err
    assert main(path, '--rarest', out, '--overwrite') == 0
    assert len(ids(out)) == 2
    assert main(tmp_path / 'none.json', '--rarest', tmp_path / 'other.json') == 2
    assert 'none.json' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(path)
    assert '--others' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(path, '--rarest', out, '--share', '10')
    assert 'between 0 and 1' in capsys.readouterr().err
