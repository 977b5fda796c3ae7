import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pg2aug.cli import demo_data
from pg2aug.figures import (
    COMMON_FAMILIES,
    JOINT_NAMES,
    RARE_FAMILIES,
    Figure,
    figure_rng,
    make_figures,
    render_figure,
    sample_pose,
)

SIZE = (96, 128)
FAMILIES = COMMON_FAMILIES + RARE_FAMILIES


def joint(figure: Figure, *names: str) -> np.ndarray:
    """Mean position of joints."""
    return figure.keypoints[[JOINT_NAMES.index(name) for name in names]].mean(axis=0)


def many(family: str, count: int = 12) -> list[Figure]:
    return [render_figure(k, family, SIZE, figure_rng(3, k, k)) for k in range(count)]


def front_pose(family: str = 'standing', yaw: float = 0.0, seed: int = 0):
    pose = sample_pose(family, np.random.default_rng(seed))
    straight = {'roll': 0.0, 'head': (0.0, 0.0, 0.0), 'torso': (0.0, 0.0, 0.0)}
    return replace(pose, yaw=yaw, camera_pitch=0.0, zoom=0.9, shift=(0.0, 0.0), **straight)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


@pytest.fixture(scope='module')
def figures_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('figures')
    demo_data.main(
        [str(folder), '--train-people', '3', '--val-people', '2', '--images-per-person', '3']
    )
    return folder


@pytest.mark.parametrize('size', [(96, 128), (64, 128), (192, 256)])
@pytest.mark.parametrize('family', ['walking', 'lying'])
def test_figure_has_the_documented_arrays(size, family):
    figure = render_figure(5, family, size, np.random.default_rng(0))
    width, height = size
    assert figure.image.shape == (height, width, 3)
    assert figure.image.dtype == np.uint8
    assert figure.mask.shape == (height, width)
    assert figure.mask.dtype == np.uint8
    assert figure.keypoints.shape == (17, 2)
    assert figure.keypoints.dtype == np.float32
    assert figure.visible.dtype == np.int64
    assert set(figure.visible) <= {0, 1, 2}
    ys, xs = np.nonzero(figure.mask > 127)
    expected = [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
    np.testing.assert_array_equal(figure.bbox, expected)
    assert (figure.person_id, figure.pose_family) == (5, family)


@pytest.mark.parametrize('family', FAMILIES)
def test_joints_in_the_image_lie_on_the_person(family):
    on_mask, total = 0, 0
    for figure in many(family):
        columns, rows = np.round(figure.keypoints).astype(int).T
        inside = figure.visible > 0
        width, height = SIZE
        within = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        assert not (inside & ~within).any()
        on_mask += (figure.mask[rows[inside], columns[inside]] > 127).sum()
        total += inside.sum()
    assert on_mask / total > 0.97


def test_joints_outside_the_image_are_flagged_unlabelled():
    pose = replace(front_pose(), zoom=1.6)
    figure = render_figure(0, 'standing', SIZE, np.random.default_rng(0), pose=pose)
    outside = (figure.keypoints < -0.5) | (figure.keypoints > np.array(SIZE) - 0.5)
    np.testing.assert_array_equal(figure.visible == 0, outside.any(axis=1))
    assert (figure.visible == 0).any()


@pytest.mark.parametrize(('yaw', 'sign'), [(0, 1), (30, 1), (180, -1), (150, -1)])
@pytest.mark.parametrize('name', ['shoulder', 'hip', 'ear'])
def test_left_is_the_persons_own_left(yaw, sign, name):
    pose = front_pose(yaw=yaw)
    for person_id in range(5):
        figure = render_figure(person_id, 'standing', SIZE, np.random.default_rng(0), pose=pose)
        gap = joint(figure, f'left_{name}') - joint(figure, f'right_{name}')
        assert sign * gap[0] > 1


@pytest.mark.parametrize(
    ('yaw', 'seen', 'hidden'),
    [
        (0, ('nose', 'left_eye', 'right_eye', 'left_hip', 'right_hip'), ()),
        (180, ('left_shoulder', 'right_shoulder'), ('nose', 'left_eye', 'right_eye')),
        (90, ('left_eye',), ('right_eye', 'right_shoulder', 'right_hip')),
        (-90, ('right_eye',), ('left_eye', 'left_shoulder', 'left_hip')),
    ],
)
def test_joints_behind_the_own_body_are_flagged_hidden(yaw, seen, hidden):
    # A turn to the left side shows the right of a person, and the other way round.
    pose = front_pose(yaw=-yaw)
    figure = render_figure(4, 'standing', SIZE, np.random.default_rng(0), pose=pose)
    flags = dict(zip(JOINT_NAMES, figure.visible.tolist(), strict=True))
    assert {flags[name] for name in seen} == {2}
    assert {flags[name] for name in hidden} <= {1}


@pytest.mark.parametrize(
    ('family', 'higher', 'lower'),
    [
        ('standing', ('nose',), ('left_hip', 'right_hip')),
        ('standing', ('left_hip', 'right_hip'), ('left_knee', 'right_knee')),
        ('arms_overhead', ('left_wrist', 'right_wrist'), ('nose',)),
        ('upside_down', ('left_ankle', 'right_ankle'), ('left_hip', 'right_hip')),
        ('upside_down', ('left_hip', 'right_hip'), ('nose',)),
    ],
)
def test_families_put_joints_where_their_name_says(family, higher, lower):
    for figure in many(family):
        assert joint(figure, *higher)[1] < joint(figure, *lower)[1]


def test_bending_brings_the_shoulders_down():
    def torso_rise(family: str) -> float:
        """How far the shoulders are above the hips, in body boxes."""
        rises = []
        for figure in many(family):
            hips = joint(figure, 'left_hip', 'right_hip')
            rises.append((hips - joint(figure, 'left_shoulder', 'right_shoulder'))[1])
            rises[-1] /= figure.bbox[3]
        return float(np.median(rises))

    assert torso_rise('bending') < 0.7 * torso_rise('standing')


def test_rare_families_differ_from_standing_in_shape():
    def aspect(family: str) -> float:
        return float(np.median([f.bbox[2] / f.bbox[3] for f in many(family)]))

    def knee_height(family: str) -> float:
        """How far the knees are below the hips, in torso lengths."""
        ratios = []
        for figure in many(family):
            hips = joint(figure, 'left_hip', 'right_hip')
            torso = np.linalg.norm(hips - joint(figure, 'left_shoulder', 'right_shoulder'))
            ratios.append((joint(figure, 'left_knee', 'right_knee') - hips)[1] / torso)
        return float(np.median(ratios))

    assert aspect('lying') > 1.2 > 0.6 > aspect('standing')
    assert aspect('kick_or_split') > 1.3 * aspect('standing')
    assert knee_height('deep_squat') < 0.4 < knee_height('standing')


def test_an_identity_keeps_its_colours_and_changes_everything_else():
    same, other = [], []
    for person_id in range(6):
        first, second = (
            render_figure(person_id, 'standing', SIZE, rng, pose=front_pose(seed=seed))
            for seed, rng in ((0, np.random.default_rng(0)), (1, np.random.default_rng(9)))
        )
        stranger = render_figure(
            person_id + 50, 'standing', SIZE, np.random.default_rng(9), pose=front_pose(seed=1)
        )
        same.append(np.abs(torso_colour(first) - torso_colour(second)).mean())
        other.append(np.abs(torso_colour(first) - torso_colour(stranger)).mean())
    assert np.mean(same) < 15
    assert np.mean(other) > 2 * np.mean(same)


def torso_colour(figure: Figure) -> np.ndarray:
    low = joint(figure, 'left_hip', 'right_hip')
    high = joint(figure, 'left_shoulder', 'right_shoulder')
    x = int(low[0])
    return figure.image[int(high[1]) + 4 : int(low[1]) - 4, x - 3 : x + 4].mean(axis=(0, 1))


def test_a_copy_of_another_image_of_the_person_is_a_bad_answer():
    families = ('standing', 'walking', 'arms_overhead', 'deep_squat', 'lying', 'arms_bent')
    errors = []
    for person_id in range(4):
        figures = [
            render_figure(person_id, family, SIZE, figure_rng(0, person_id, index))
            for index, family in enumerate(families)
        ]
        for target in figures:
            for source in figures:
                if source is not target:
                    inside = target.mask > 127
                    gap = np.abs(target.image[inside].astype(float) - source.image[inside])
                    errors.append(gap.mean())
    assert np.mean(errors) > 40


def test_background_is_kept_outside_the_mask():
    background = np.random.default_rng(1).integers(0, 256, (128, 96, 3), dtype=np.uint8)
    figure = render_figure(0, 'walking', SIZE, np.random.default_rng(0), background=background)
    outside = figure.mask == 0
    np.testing.assert_array_equal(figure.image[outside], background[outside])
    assert (figure.image[~outside] != background[~outside]).mean() > 0.9


def test_any_person_can_be_rendered_in_a_given_pose():
    pose = sample_pose('kick_or_split', np.random.default_rng(4))
    render = [
        render_figure(person_id, pose.family, SIZE, np.random.default_rng(0), pose=pose)
        for person_id in (7, 7, 8)
    ]
    np.testing.assert_array_equal(render[0].image, render[1].image)
    assert (render[0].image != render[2].image).any()
    # Proportions differ, so joints agree to a few pixels only.
    assert np.abs(render[0].keypoints - render[2].keypoints).max() < 12


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'pose_family': 'flying'}, "unknown pose family 'flying'.*standing"),
        ({'person_id': -1}, 'person_id.*-1'),
        ({'size': (8, 128)}, 'at least 16.*8'),
        ({'background': np.zeros((96, 128, 3), np.uint8)}, r'\(128, 96, 3\)'),
        ({'pose': sample_pose('lying', np.random.default_rng(0))}, "'lying'.*'standing'"),
    ],
)
def test_wrong_requests_are_refused(arguments, message):
    request = {'person_id': 0, 'pose_family': 'standing', 'size': SIZE} | arguments
    with pytest.raises(ValueError, match=message):
        render_figure(**request, rng=np.random.default_rng(0))


def test_same_seed_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        make_figures(tmp_path / name, 2, 3, (64, 64), 0.5, seed)
    first, second, other = (files(tmp_path / name) for name in 'abc')
    assert first == second
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


def test_splits_share_no_identity(figures_folder):
    people = {}
    for split, count in (('train', 3), ('val', 2)):
        content = json.loads((figures_folder / f'person_keypoints_{split}.json').read_text())
        people[split] = {annotation['person_id'] for annotation in content['annotations']}
        assert len(people[split]) == count
        assert len(list((figures_folder / 'images' / split).iterdir())) == 3 * count
    assert not people['train'] & people['val']


@pytest.mark.parametrize(('fraction', 'families'), [(0, COMMON_FAMILIES), (1, RARE_FAMILIES)])
def test_rare_fraction_chooses_the_families(tmp_path, fraction, families):
    path = make_figures(tmp_path, 2, 6, (32, 32), rare_fraction=fraction)
    drawn = {a['pose_family'] for a in json.loads(path.read_text())['annotations']}
    assert drawn <= set(families)
    assert len(drawn) > 2


def test_pycocotools_loads_the_annotation(figures_folder):
    from pycocotools.coco import COCO

    coco = COCO(str(figures_folder / 'person_keypoints_train.json'))
    assert coco.cats[1]['keypoints'] == list(JOINT_NAMES)
    assert [16, 14] in coco.cats[1]['skeleton']
    for annotation in coco.loadAnns(coco.getAnnIds()):
        image = coco.imgs[annotation['image_id']]
        flags = np.array(annotation['keypoints']).reshape(17, 3)[:, 2]
        assert annotation['num_keypoints'] == (flags > 0).sum()
        x, y, width, height = annotation['bbox']
        assert 0 <= x < x + width <= image['width']
        assert 0 <= y < y + height <= image['height']
        assert 0.1 * width * height < annotation['area'] < width * height
        assert annotation['pose_family'] in FAMILIES


def test_mmpose_coco_dataset_loads_the_annotation(figures_folder):
    from mmpose.datasets import CocoDataset

    dataset = CocoDataset(
        ann_file='person_keypoints_val.json',
        data_root=str(figures_folder),
        data_prefix={'img': 'images/val/'},
        pipeline=[],
        test_mode=True,
    )
    assert len(dataset) == 6
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        assert Path(info['img_path']).is_file()
        assert info['keypoints'].shape == (1, 17, 2)
        assert info['raw_ann_info']['person_id'] >= 0


def test_the_command_refuses_a_folder_with_anything_else(tmp_path, capsys):
    (tmp_path / 'thesis.txt').write_text('years of work')
    assert demo_data.main([str(tmp_path), '--overwrite']) == 2
    assert re.fullmatch(r'error: .*thesis\.txt.*empty folder\n', capsys.readouterr().err)
    assert (tmp_path / 'thesis.txt').read_text() == 'years of work'


def test_the_command_never_deletes_a_data_set_of_the_same_layout(tmp_path, capsys):
    (tmp_path / 'images' / 'train').mkdir(parents=True)
    photo, annotation = tmp_path / 'images/train/1.jpg', tmp_path / 'person_keypoints_train.json'
    photo.write_bytes(b'photo')
    assert demo_data.main([str(tmp_path), '--overwrite']) == 2
    assert '1.jpg' in capsys.readouterr().err
    photo.unlink()
    annotation.write_text('{"info": {"description": "mine"}}')
    assert demo_data.main([str(tmp_path), '--overwrite']) == 2
    assert 'person_keypoints_train.json' in capsys.readouterr().err
    assert annotation.exists()


def test_the_command_replaces_figures_only_when_told(tmp_path, capsys):
    small = ['--train-people', '1', '--val-people', '1', '--images-per-person', '2']
    demo_data.main([str(tmp_path), *small])
    assert 'train: 1 people, 2 images' in capsys.readouterr().out
    before = files(tmp_path)
    assert demo_data.main([str(tmp_path), *small]) == 2
    assert '--overwrite' in capsys.readouterr().err
    with pytest.raises(FileExistsError, match='already holds'):
        make_figures(tmp_path, 1, 2)
    demo_data.main([str(tmp_path), *small, '--overwrite'])
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    'arguments', [{'num_people': 0}, {'rare_fraction': 1.5}, {'seed': -1}, {'images_per_person': 0}]
)
def test_make_figures_names_the_number_out_of_range(tmp_path, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=name):
        make_figures(tmp_path, **({'num_people': 1, 'images_per_person': 1} | arguments))
