"""Files that MMPose trains on, however they are spelt: every reader takes them alike."""

import json

import numpy as np
import pytest
from helpers import COCO_METAINFO
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from pg2aug.augment.people import PeopleFile
from pg2aug.cli import bank as bank_command
from pg2aug.cli import split as split_command
from pg2aug.expansion import ImageFolder, load_sources
from pg2aug.poses import PoseBank, Skeleton

SKELETON = Skeleton.from_metainfo(parse_pose_metainfo(dict(COCO_METAINFO)))


def plain(content):
    pass


def nested(content):
    for annotation in content['annotations']:
        annotation['keypoints'] = np.reshape(annotation['keypoints'], (-1, 3)).tolist()


def string_ids(content):
    content['categories'][0]['id'] = '1'


def named_ids(content):
    content['categories'][0]['id'] = 'person'
    for annotation in content['annotations']:
        annotation['category_id'] = 'person'


def string_ids_of_annotations(content):
    content['categories'][0]['id'] = '1'
    for annotation in content['annotations']:
        annotation['category_id'] = '1'


def two_skeletons(content):
    dog = dict(id=2, name='dog', keypoints=['nose', 'tail', 'paw'], skeleton=[[1, 2], [2, 3]])
    content['categories'].append(dog)
    first = content['annotations'][0]
    values = [5, 5, 2, 9, 9, 2, 20, 20, 2]
    pet = dict(first, id=9001, category_id=2, keypoints=values, num_keypoints=3)
    content['annotations'].append(pet)


def no_categories(content):
    del content['categories']


def read_by_all(couples, tmp_path):
    """Poses that the bank, the split, `neighbours` and an expansion find in a file."""
    path, folder = couples
    content = json.loads(path.read_text())
    two = 'categories' in content and len(content['categories']) > 1
    chosen = ['--category', 'person'] if two else []
    named = str(path)
    if 'categories' not in content:
        named += '::configs/_base_/datasets/coco.py'
    out = tmp_path / 'bank.npz'
    assert bank_command.main([named, '--out', str(out), '--overwrite', *chosen]) == 0
    parts = [tmp_path / name for name in ('rarest.json', 'others.json')]
    options = ['--rarest', str(parts[0]), '--others', str(parts[1]), '--overwrite', *chosen]
    assert split_command.main([named, *options]) == 0
    people = PeopleFile(content, SKELETON, 'it').people
    sources = load_sources(path, ImageFolder(str(folder)), SKELETON)
    rare = [a['id'] for a in json.loads(parts[0].read_text())['annotations']]
    return len(PoseBank.load(out)), rare, people, [p['keypoints'] for p in sources.persons]


@pytest.fixture
def expected(couples, tmp_path):
    return read_by_all(couples, tmp_path)


@pytest.mark.parametrize(
    'change',
    [plain, nested, string_ids, named_ids, string_ids_of_annotations, two_skeletons, no_categories],
)
def test_every_reader_takes_what_mmpose_trains_on(expected, couples, tmp_path, change):
    content = json.loads(couples[0].read_text())
    change(content)
    couples[0].write_text(json.dumps(content))
    found = read_by_all(couples, tmp_path)
    assert found[:2] == expected[:2]
    np.testing.assert_array_equal(found[2], expected[2])
    assert found[3] == expected[3]


def test_new_files_are_in_cocos_spelling(synthesize, couples):
    content = json.loads(couples[0].read_text())
    nested(content)
    named_ids(content)
    couples[0].write_text(json.dumps(content))
    status, out = synthesize()
    assert status == 0
    made = json.loads((out / 'person_keypoints.json').read_text())
    assert {len(annotation['keypoints']) for annotation in made['annotations']} == {51}
    assert {annotation['category_id'] for annotation in made['annotations']} == {1}
    assert [category['id'] for category in made['categories']] == [1]


def test_a_category_is_chosen_by_name_or_id_and_the_message_says_how(couples, tmp_path, capsys):
    content = json.loads(couples[0].read_text())
    two_skeletons(content)
    couples[0].write_text(json.dumps(content))
    command = [str(couples[0]), '--out', str(tmp_path / 'bank.npz')]
    assert bank_command.main(command) == 2
    error = capsys.readouterr().err
    assert "1 'person' (17 joints), 2 'dog' (3 joints); choose one by its name or its id" in error
    split = [str(couples[0]), '--rarest', str(tmp_path / 'rarest.json')]
    assert split_command.main(split) == 2
    assert '--category' in capsys.readouterr().err
    for chosen in ('person', '1'):
        assert bank_command.main([*command, '--overwrite', '--category', chosen]) == 0
        assert split_command.main([*split, '--overwrite', '--category', chosen]) == 0
    capsys.readouterr()
    assert bank_command.main([*command, '--overwrite', '--category', 'cat']) == 2
    assert "has no category 'cat': it has 1 'person'" in capsys.readouterr().err
    folder = ImageFolder(str(couples[1]))
    assert len(load_sources(couples[0], folder, SKELETON, category='1').persons) == 12
    with pytest.raises(ValueError, match=r'another skeleton.*choose one by its name or its id'):
        load_sources(couples[0], folder, SKELETON, category='dog')


def test_low_scores_in_the_place_of_flags_label_nothing_for_any_reader(couples, monkeypatch):
    said = []
    monkeypatch.setattr(
        'pg2aug.poses.read.keypoint_file.print_log', lambda text, **_: said.append(text)
    )
    content = json.loads(couples[0].read_text())
    for annotation in content['annotations']:
        shown = np.array(annotation['keypoints'][2::3]) > 0
        scores = np.where(shown, 0.9, 0)
        scores[9] = 0.02
        annotation['keypoints'][2::3] = scores.tolist()
    couples[0].write_text(json.dumps(content))
    people = PeopleFile(content, SKELETON, 'it').people
    assert not people[:, 9, 2].any()
    assert set(np.unique(people[..., 2])) == {0, 2}
    bank = PoseBank.from_annotations([couples[0]])
    assert not bank.visible[:, 9].any()
    assert bank.visible[:, 5].all()
    folder = ImageFolder(str(couples[1]))
    with pytest.raises(ValueError, match='12: left_wrist is not labelled'):
        load_sources(couples[0], folder, SKELETON)
    assert len(said) == 3
    assert said[0].startswith('it: 12 annotations have scores in the place of flags; joints below')
