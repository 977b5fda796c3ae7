"""What reads COCO keypoint files reads an expansion: COCO's tools and MMPose's dataset classes."""

import json
from functools import cache

import numpy as np
import pytest

from pg2aug import compat  # noqa: F401
from pg2aug.poses.read.conversion import joint_mapping
from pg2aug.validation.coco import validate_coco

SHOULDERS, HIPS = ('left_shoulder', 'right_shoulder'), ('left_hip', 'right_hip')
# About where it is: what is tested is whether files are read.
NEAR = [
    *(('neck', SHOULDERS), ('head_bottom', SHOULDERS), ('thorax', SHOULDERS), ('pelvis', HIPS)),
    *(('head_top', ('nose',)), ('top_head', ('nose',)), ('head', ('nose',))),
    *(('upper_neck', ('nose', 'left_shoulder')), ('belly', ('left_shoulder', 'right_hip'))),
]
SKELETONS = ('coco', 'aic', 'crowdpose', 'exlpose', 'jhmdb', 'mhp', 'posetrack18')
OTHER_FORMATS = {'MpiiDataset', 'PoseTrack18VideoDataset'}
"""The first reads files of its own kind, the second images that are frames of videos."""


def metainfo(name):
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    return parse_pose_metainfo(dict(from_file=f'configs/_base_/datasets/{name}.py'))


def with_joints(content, info):
    """A COCO file of figures with another skeleton's joints."""
    (category,) = content['categories']
    names = [info['keypoint_id2name'][k] for k in range(info['num_keypoints'])]
    near = [(name, parts) for name, parts in NEAR if name in names]
    mapping = joint_mapping(category['keypoints'], names, near)
    assert [target for _, target in mapping] == list(range(len(names)))
    links = [[a + 1, b + 1] for a, b in info['skeleton_links']]
    converted = []
    for annotation in content['annotations']:
        own = np.reshape(annotation['keypoints'], (-1, 3)).astype(float)
        joints = np.stack([own[np.atleast_1d(source)].mean(axis=0) for source, _ in mapping])
        seen = np.array([(own[np.atleast_1d(source), 2] > 0).all() for source, _ in mapping])
        triples = np.where(seen[:, None], np.column_stack([joints[:, :2], 2 * seen]), 0)
        new = dict(keypoints=triples.ravel().tolist(), num_keypoints=int(seen.sum()))
        converted.append({**annotation, **new})
    category = {**category, 'keypoints': names, 'skeleton': links}
    return {**content, 'annotations': converted, 'categories': [category]}


@pytest.fixture(scope='module', params=SKELETONS)
def expansion(request, tool, all_couples, pose_bank, tmp_path_factory):
    """An expansion with the joints of one of MMPose's data sets: their names, and its folder."""
    folder = tmp_path_factory.mktemp(request.param)
    info = metainfo(request.param)
    for name, path in (('ann', all_couples / 'couples.json'), ('bank', pose_bank)):
        content = json.loads(path.read_text())
        (folder / f'{name}.json').write_text(json.dumps(with_joints(content, info)))
    command = ['--limb-warp', f'configs/_base_/datasets/{request.param}.py', '--size', 48, 64]
    command += ['--ann-file', folder / 'ann.json', '--img-root', all_couples / 'couples']
    command += ['--pose-bank', folder / 'bank.json', '--num', 4, '--out', folder / 'out']
    command += ['--no-check', '--device', 'cpu', '--batch-size', 4]
    assert tool.main([str(item) for item in command]) == 0
    return tuple(info['keypoint_id2name'].values()), folder / 'out'


@cache
def joints_of_classes():
    """Names of the joints of each of MMPose's dataset classes."""
    import mmpose.datasets  # noqa: F401
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    from mmpose.registry import DATASETS

    kinds = [kind for kind in DATASETS.module_dict.values() if getattr(kind, 'METAINFO', None)]
    infos = {kind: parse_pose_metainfo(dict(kind.METAINFO)) for kind in kinds}
    return {kind: tuple(info['keypoint_id2name'].values()) for kind, info in infos.items()}


def dataset_classes(names):
    """MMPose's dataset classes that have these joints, in this order, and read COCO files."""
    found = [kind for kind, joints in joints_of_classes().items() if joints == names]
    return [kind for kind in found if kind.__name__ not in OTHER_FORMATS]


def test_it_is_valid(expansion):
    _, out = expansion
    assert list(validate_coco(out / 'person_keypoints.json', out / 'images')) == []


@pytest.mark.parametrize('package', ['pycocotools', 'xtcocotools'])
def test_coco_tools_read_it_and_score_it(expansion, package, capsys):
    coco = pytest.importorskip(f'{package}.coco')
    evaluation = pytest.importorskip(f'{package}.cocoeval')
    names, out = expansion
    truth = coco.COCO(str(out / 'person_keypoints.json'))
    assert len(truth.getImgIds()) == 4
    assert len(truth.getAnnIds()) == 8
    people = truth.loadAnns(truth.getAnnIds())
    found = [{**a, 'score': 1.0} for a in people if a['num_keypoints']]
    sigmas = np.full(len(names), 0.05)
    arguments = [truth, truth.loadRes(found), 'keypoints']
    scored = evaluation.COCOeval(*arguments, *([sigmas] if package == 'xtcocotools' else []))
    scored.params.kpt_oks_sigmas = sigmas
    # All of them: small people are left out otherwise.
    scored.params.areaRng, scored.params.areaRngLbl = [[0, 1e10]] * 3, ['all', 'medium', 'large']
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    assert scored.stats[0] == pytest.approx(1)


@pytest.mark.parametrize('mode', ['topdown', 'bottomup'])
def test_dataset_classes_of_its_skeleton_read_it(expansion, mode):
    names, out = expansion
    content = json.loads((out / 'person_keypoints.json').read_text())
    people = [a for a in content['annotations'] if a['num_keypoints']]
    kinds = dataset_classes(names)
    assert kinds
    for kind in kinds:
        data = kind(
            data_root=str(out),
            ann_file='person_keypoints.json',
            data_prefix=dict(img='images/'),
            data_mode=mode,
            pipeline=[],
        )
        entries = [data.get_data_info(n) for n in range(len(data))]
        read = {
            number: keypoints
            for entry in entries
            for number, keypoints in zip(
                np.atleast_1d(entry['id']).tolist(), entry['keypoints'], strict=True
            )
        }
        assert read.keys() == {a['id'] for a in people}, kind
        assert len(entries) == (len(people) if mode == 'topdown' else 4)
        # JHMDB's own files count pixels from 1.
        shift = 1 if kind.__name__ == 'JhmdbDataset' else 0
        for annotation in people:
            own = np.reshape(annotation['keypoints'], (-1, 3))
            np.testing.assert_allclose(read[annotation['id']], own[:, :2] - shift, atol=1e-3)


def test_where_it_comes_from_is_told(expansion, all_couples):
    _, out = expansion
    content = json.loads((out / 'person_keypoints.json').read_text())
    source = json.loads((all_couples / 'couples.json').read_text())
    images = {image['id']: image for image in source['images']}
    people = {annotation['id']: annotation for annotation in source['annotations']}
    assert content['licenses'] == source['licenses']
    for image in content['images']:
        origin = images[image['pg2aug']['source_image_id']]
        assert image['pg2aug']['source_file_name'] == origin['file_name']
        assert (image['license'], image['flickr_url']) == (origin['license'], origin['flickr_url'])
    made = [a for a in content['annotations'] if 'pg2aug' in a]
    origins = {image['id']: image['pg2aug']['source_image_id'] for image in content['images']}
    assert {a['image_id'] for a in made} == origins.keys()
    for annotation in made:
        person = people[annotation['pg2aug']['source_annotation_id']]
        assert person['image_id'] == origins[annotation['image_id']]
        assert annotation['pg2aug'].keys() >= {'seed', 'attempt', 'target_pose', 'generator'}


def test_coco_joints_are_those_of_several_classes():
    from mmpose.datasets import CocoDataset

    names = tuple(metainfo('coco')['keypoint_id2name'].values())
    kinds = {kind.__name__ for kind in dataset_classes(names)}
    assert kinds >= {CocoDataset.__name__, 'HumanArtDataset', 'OCHumanDataset'}
