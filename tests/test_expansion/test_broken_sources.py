"""Sources with broken entries: what is left out, completed, refused, and that the rest is valid."""

import json

import numpy as np
import pytest
from mmpose.datasets import CrowdPoseDataset
from pycocotools.coco import COCO

from pg2aug.expansion import ImageFolder, load_sources
from pg2aug.poses import Skeleton
from pg2aug.poses.read.pose_files import metainfo_skeleton
from pg2aug.validation.coco import validate_coco

DATASETS = 'configs/_base_/datasets/'
LIMB_WARP = ['--limb-warp', f'{DATASETS}coco.py', '--size', 48, 64]
# As in the files of these data sets, which MMPose names otherwise.
CROWDPOSE_LIMBS = [[16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7]]
AP10K_NAMES = ['left_eye', 'right_eye', 'nose', 'neck', 'root_of_tail']
AP10K_NAMES += ['left_shoulder', 'left_elbow', 'left_front_paw']
AP10K_NAMES += ['right_shoulder', 'right_elbow', 'right_front_paw']
AP10K_NAMES += ['left_hip', 'left_knee', 'left_back_paw', 'right_hip', 'right_knee']
AP10K_NAMES += ['right_back_paw']
NAN = float('nan')
NEIGHBOUR = 'the annotation of somebody else in its image is broken'
ONE_NOBODY = 'an entry of annotations that is no object'
NO_IMAGE = 'its image is not in the file'


def change_file(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return content


@pytest.fixture
def load(couples):
    """Load the couples, six images of two each, after a change of their file."""

    def run(change=lambda content: None, **settings):
        content = change_file(couples[0], change)
        category = json.loads((couples[0]).read_text())['categories'][0]
        skeleton = settings.pop('skeleton', None) or Skeleton.from_coco_category(category)
        folder = ImageFolder(str(couples[1]))
        return load_sources(couples[0], folder, skeleton, **settings), content

    return run


def of(list_name, place, **changes):
    return lambda content: content[list_name][place].update(changes)


def joint(place, *triple):
    def change(content):
        content['annotations'][place]['keypoints'][:3] = triple

    return change


BROKEN = [
    # What is changed of the first person or their image; why how many of the twelve are left out.
    (of('images', 0, file_name=None), {'the entry of its image is broken': 2}),
    (of('images', 0, file_name=42), {'the entry of its image is broken': 2}),
    (of('images', 0, file_name='../0.png'), {'the entry of its image is broken': 2}),
    (of('images', 0, width='144'), {'the entry of its image is broken': 2}),
    (of('images', 0, height=NAN), {'the entry of its image is broken': 2}),
    (
        of('images', 0, id=[1]),
        {NO_IMAGE: 2, 'an image without a valid id': 1},
    ),
    (
        lambda content: content['images'].__setitem__(0, 7),
        {NO_IMAGE: 2, 'an entry of images that is no object': 1},
    ),
    (
        lambda content: content['annotations'].__setitem__(0, None),
        {ONE_NOBODY: 1},
    ),
    (of('annotations', 0, image_id={}), {NO_IMAGE: 1}),
    (of('annotations', 0, keypoints=['a'] * 51), {'no valid keypoints': 1, NEIGHBOUR: 1}),
    (of('annotations', 0, keypoints='a' * 51), {"'aaaaaaaaaaaa...aaaaaaaaaaaaa' joints": 1}),
    (of('annotations', 0, keypoints=[1, 2, 3, 4, 5]), {'1.66667 joints, not 17': 1, NEIGHBOUR: 1}),
    (joint(0, NAN, 5, 2), {'no valid keypoints': 1, NEIGHBOUR: 1}),
    (joint(0, 10**400, 5, 2), {'no valid keypoints': 1, NEIGHBOUR: 1}),
    (of('annotations', 0, bbox='abcd'), {'no valid box': 1, NEIGHBOUR: 1}),
    (of('annotations', 0, bbox=None), {'no valid box': 1, NEIGHBOUR: 1}),
    (of('annotations', 0, category_id=[1]), {'no keypoints': 1, NEIGHBOUR: 1}),
    (of('annotations', 0, id={}), {'no valid id': 1, NEIGHBOUR: 1}),
    # Of no matter where they are replaced themselves.
    (of('annotations', 0, area=-1), {NEIGHBOUR: 1}),
    (of('annotations', 0, area=10**400), {NEIGHBOUR: 1}),
    (joint(0, 300, 5, 2), {NEIGHBOUR: 1}),
]


@pytest.mark.parametrize(('change', 'expected'), BROKEN)
def test_a_broken_entry_is_left_out_and_the_rest_is_used(load, change, expected):
    sources, _ = load(change)
    found = {reason: entry['count'] for reason, entry in sources.left_out.items()}
    for reason, count in expected.items():
        assert [n for name, n in found.items() if name.startswith(reason)] == [count]
    assert all(len(entry['first']) < 150 for entry in sources.left_out.values())
    alone = {NEIGHBOUR: 1}, {ONE_NOBODY: 1}, {NO_IMAGE: 1}
    assert len(sources.persons) == (11 if expected in alone else 10)


def test_the_first_of_each_reason_is_told(synthesize, couples, capsys):
    change_file(couples[0], of('annotations', 3, bbox='abcd'))
    status, out = synthesize('--no-report', chosen=LIMB_WARP)
    assert status == 0
    first = "annotation 1004: 'abcd'"
    assert f'left out 1: no valid box (first: {first})' in capsys.readouterr().out
    left_out = json.loads((out / 'refused.json').read_text())['sources_left_out']
    assert left_out['no valid box'] == {'count': 1, 'first': first}
    assert left_out[NEIGHBOUR]['first'].startswith('annotation 1010: annotation 1004: bbox is')


DEEP = '[' * 100_000


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda content: content.update(images=None), 'images: is a NoneType, not a list'),
        (lambda content: content.update(annotations={}), 'annotations: is a dict, not a list'),
        (lambda content: content.update(licenses=3), 'licenses: is a int, not a list'),
        (lambda content: content['categories'][0].pop('id'), 'categories[0]: has no id'),
        (of('categories', 0, keypoints=3), 'no list of names'),
        (of('annotations', 1, id=1001), 'the id 1001 is there twice'),
        (lambda content: content['images'].clear(), '12: its image is not in the file (first'),
    ],
)
def test_a_broken_file_is_one_error(synthesize, couples, capsys, change, message):
    change_file(couples[0], change)
    status, out = synthesize(chosen=LIMB_WARP)
    assert status == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert message in error
    assert not out.exists()


def test_a_deeply_nested_file(synthesize, couples, capsys):
    couples[0].write_text(DEEP)
    assert synthesize(chosen=LIMB_WARP)[0] == 2
    assert 'nested too deeply' in capsys.readouterr().err
    (found,) = validate_coco(couples[0])
    assert found.rule == 'file'


COMPLETED = [
    (lambda a: a.pop('iscrowd'), dict(iscrowd=0)),
    (lambda a: a.pop('area'), dict(area=1200)),
    (lambda a: a.update(area=None), dict(area=1200)),
    (lambda a: a.pop('num_keypoints'), dict(num_keypoints=17)),
    (lambda a: a.update(num_keypoints=3), dict(num_keypoints=17)),
    (lambda a: a.pop('keypoints'), dict(keypoints=[0] * 51, num_keypoints=0)),
    (lambda a: a.update(keypoints=None), dict(keypoints=[0] * 51, num_keypoints=0)),
    (
        lambda a: a['keypoints'].__setitem__(slice(3), [NAN, NAN, 0]),
        dict(keypoints=[0, 0, 0, *[100, 50, 2] * 16], num_keypoints=16),
    ),
    (lambda a: a.update(bbox=[90, 10, 80, 90]), dict(bbox=[90, 10, 54, 86])),
    (
        lambda a: a.update(bbox=[90, 10, 80, 90], area=7200),
        dict(bbox=[90, 10, 54, 86], area=54 * 86),
    ),
]


@pytest.mark.parametrize(('change', 'expected'), COMPLETED)
def test_what_can_be_told_is_completed(load, change, expected):
    def all_right_ones(content):
        for annotation in content['annotations'][6:]:
            annotation.update(bbox=[90, 20, 30, 40], area=600, keypoints=[100, 50, 2] * 17)
            annotation.update(num_keypoints=17)
            change(annotation)

    sources, before = load(all_right_ones)
    assert len(sources.persons) >= 6
    for read, (_, right) in zip(
        before['annotations'][6:], sources.neighbours.values(), strict=True
    ):
        assert right == {**read, **expected}


def test_sizes_that_are_not_stated_are_those_of_the_files(synthesize, couples, tmp_path):
    def change(content):
        for image in content['images']:
            del image['width'], image['height']
        content['annotations'][6]['bbox'][2] = 200

    change_file(couples[0], change)
    status, out = synthesize('--no-report', '--per-image', 1, num=None, chosen=LIMB_WARP)
    assert status == 0
    content = json.loads((out / 'person_keypoints.json').read_text())
    assert '0.png' not in {image['pg2aug']['source_file_name'] for image in content['images']}
    details = {r['detail'] for r in json.loads((out / 'refused.json').read_text())['refused']}
    assert any('stands out of the image of 144x96' in detail for detail in details)
    assert list(validate_coco(out / 'person_keypoints.json', out / 'images')) == []


def test_what_is_written_is_valid_whatever_the_source(synthesize, couples):
    def change(content):
        right = content['annotations'][6:]
        for change_one, annotation in zip([case for case, _ in COMPLETED[:5]], right, strict=False):
            change_one(annotation)
        right[5]['keypoints'][:3] = [NAN, NAN, 2]
        content['images'][1]['license'] = 77
        content['images'][2]['license'] = None
        content['licenses'] = None if not content.get('licenses') else content['licenses']
        for number, image in enumerate(content['images']):
            image['width'] = float(image['width'])
            image['attribution'] = f'author {number}'

    change_file(couples[0], change)
    assert list(validate_coco(*couples)) != []
    status, out = synthesize('--per-image', 2, num=None, chosen=LIMB_WARP)
    assert status == 0
    assert list(validate_coco(out / 'person_keypoints.json', out / 'images')) == []
    text = (out / 'person_keypoints.json').read_text()
    assert 'NaN' not in text
    unlisted = {
        image['pg2aug']['source_file_name']: image['pg2aug'].get('source_license')
        for image in json.loads(text)['images']
        if 'license' not in image
    }
    assert unlisted['1.png'] == 77


def test_joints_without_names_get_those_of_the_generator(synthesize, couples):
    def change(content):
        for key in ('keypoints', 'skeleton'):
            del content['categories'][0][key]

    change_file(couples[0], change)
    assert synthesize('--no-report', chosen=LIMB_WARP)[0] == 2
    named = ['--no-report', '--ignore-joint-names']
    status, out = synthesize(*named, chosen=LIMB_WARP)
    assert status == 0
    assert list(validate_coco(out / 'person_keypoints.json', out / 'images')) == []


@pytest.mark.parametrize('limbs', [[[0, 1], [1, 2]], [[16, 99]], 'none', None, []])
def test_limbs_that_cannot_be_used_are_those_of_the_generator(load, limbs):
    skeleton = metainfo_skeleton(f'{DATASETS}coco.py')
    sources, before = load(of('categories', 0, skeleton=limbs), skeleton=skeleton)
    (category,) = sources.content['categories']
    assert category['skeleton'] == [[a + 1, b + 1] for a, b in skeleton.limbs]
    assert category['keypoints'] == before['categories'][0]['keypoints']


def test_limbs_do_not_hide_that_the_joints_are_others(load):
    def change(content):
        category = content['categories'][0]
        category.update(keypoints=category['keypoints'][:14], skeleton=CROWDPOSE_LIMBS)

    skeleton = metainfo_skeleton(f'{DATASETS}coco.py')
    with pytest.raises(ValueError, match='17 joints expected, 14 found'):
        load(change, skeleton=skeleton)


def test_of_categories_those_of_other_joints_keep_their_names(load):
    def change(content):
        pets = [dict(id=9, name='pet', keypoints=['tail', 'nose'], skeleton=[[0, 1]])]
        content['categories'] = [*content['categories'], *pets]

    skeleton = metainfo_skeleton(f'{DATASETS}coco.py')
    pet = load(change, skeleton=skeleton, ignore_joint_names=True)[0].content['categories'][1]
    assert (pet['keypoints'], pet['skeleton']) == (['tail', 'nose'], [])


def test_the_animals_of_ap10k_are_joints_of_other_names(load):
    def change(content):
        kinds = [dict(id=1, name='antelope'), dict(id=3, name='bison')]
        joints = dict(keypoints=AP10K_NAMES, skeleton=[[1, 2], [1, 3]])
        content['categories'] = [kind | joints for kind in kinds]
        for annotation in content['annotations'][:6]:
            annotation['category_id'] = 3

    skeleton = metainfo_skeleton(f'{DATASETS}ap10k.py')
    with pytest.raises(ValueError, match=r"'left_front_paw', not 'L_F_Paw'.*--ignore-joint-names"):
        load(change, skeleton=skeleton)
    sources, _ = load(change, skeleton=skeleton, ignore_joint_names=True)
    assert len(sources.persons) == 12
    for category in sources.content['categories']:
        assert category['keypoints'] == list(skeleton.keypoint_names)
        assert category['skeleton'] == [[a + 1, b + 1] for a, b in skeleton.limbs]


def crowdpose(content):
    """The 14 joints of CrowdPose from those of COCO, named and linked as its files do."""
    names = content['categories'][0]['keypoints'][5:17]
    content['categories'][0].update(keypoints=[*names, 'head', 'neck'], skeleton=CROWDPOSE_LIMBS)
    for annotation in content['annotations']:
        coco = np.reshape(annotation['keypoints'], (17, 3))
        neck = [*coco[5:7, :2].mean(axis=0), coco[5:7, 2].min()]
        annotation['keypoints'] = [*coco[5:].ravel().tolist(), *coco[0].tolist(), *neck]
        annotation['num_keypoints'] = int(np.count_nonzero(annotation['keypoints'][2::3]))


def test_the_file_of_crowdpose_is_expanded_and_mmpose_reads_the_result(synthesize, couples, capsys):
    change_file(couples[0], crowdpose)
    chosen = ['--limb-warp', f'{DATASETS}crowdpose.py', '--size', 48, 64]
    arguments = '--no-report', '--pose-bank', couples[0]
    assert synthesize(*arguments, chosen=chosen)[0] == 2
    error = capsys.readouterr().err
    assert "joint 12 is 'head', not 'top_head'" in error
    assert '--ignore-joint-names' in error
    status, out = synthesize(*arguments, '--ignore-joint-names', chosen=chosen)
    assert status == 0
    file, images = out / 'person_keypoints.json', out / 'images'
    assert list(validate_coco(file, images)) == []
    (category,) = COCO(file).loadCats(1)
    skeleton = metainfo_skeleton(f'{DATASETS}crowdpose.py')
    assert category['keypoints'] == list(skeleton.keypoint_names)
    assert category['skeleton'] == [[a + 1, b + 1] for a, b in skeleton.limbs]
    read = CrowdPoseDataset(ann_file=str(file), data_prefix=dict(img=str(images)), pipeline=[])
    assert len(read) == len(json.loads(file.read_text())['annotations'])


def test_an_item_is_given_up_with_the_image_that_it_is_bound_to(synthesize, couples):
    (couples[1] / '0.png').write_bytes(b'not an image')
    status, out = synthesize('--no-report', '--per-image', 3, num=None, chosen=LIMB_WARP)
    assert status == 0
    refused = json.loads((out / 'refused.json').read_text())['refused']
    unusable = [r['item'] for r in refused if r['reason'] == 'the source image cannot be used']
    assert len(unusable) == len(set(unusable)) == 3
    assert len(json.loads((out / 'person_keypoints.json').read_text())['images']) == 15


def test_balance_counts_everybody_in_the_data_set(synthesize, couples):
    sizes = sorted(max(a['bbox'][2:]) for a in json.loads(couples[0].read_text())['annotations'])
    before = []
    for number, least in enumerate((0, sizes[-1])):
        arguments = '--no-report', '--balance', 3, '--min-size', least
        status, out = synthesize(*arguments, out=str(number), num=2, chosen=LIMB_WARP)
        assert status == 0
        before.append(json.loads((out / 'plan.json').read_text())['images_by_region']['before'])
    assert before[0] == before[1]
    assert np.sum(before[0]) > 6
