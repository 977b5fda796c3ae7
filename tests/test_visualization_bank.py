import cv2
import numpy as np
import pytest
from pose_samples import COCO, people

from pg2aug.poses import PoseBank
from pg2aug.poses.bank.novel import add_novel_poses
from pg2aug.visualization.bank import plot_bank, rarity_figure
from pg2aug.visualization.poses import novel_sheet, pose_thumbnail, unlike_poses


@pytest.fixture(scope='module')
def bank():
    keypoints = np.concatenate([people(60), people(20, up=-1, seed=1)])
    return PoseBank.from_poses(keypoints, np.ones((80, 17)), COCO)


def test_all_pictures_are_written(bank, tmp_path):
    larger, new = add_novel_poses(bank, 30)
    reference = people(50, seed=7), np.ones((50, 17), bool)
    files = plot_bank(larger, tmp_path / 'new', reference=reference, parents=new.parents)
    names = {'rarest', 'commonest', 'novel', 'rarity', 'map', 'coverage'}
    assert {file.stem for file in files} == names
    for file in files:
        image = cv2.imread(str(file))
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 10, file
    few = plot_bank(bank, tmp_path / 'few')
    assert {file.stem for file in few} == names - {'novel', 'coverage'}


def test_alike_poses_are_shown_once(bank):
    keypoints = np.concatenate([np.repeat(people(1), 30, axis=0), people(2, up=-1, seed=1)])
    copies = PoseBank.from_poses(keypoints, np.ones((32, 17)), COCO)
    shown = unlike_poses(copies, np.arange(32), 10)
    assert shown[0] == 0
    assert set(shown) <= {0, 30, 31}
    assert 30 in shown
    assert unlike_poses(bank, np.arange(80), 3, distance=0).tolist() == [0, 1, 2]


def test_a_thumbnail_shows_the_whole_pose():
    image = pose_thumbnail(1000 + 900 * people(1)[0], np.ones(17), COCO, size=(60, 80))
    assert image.shape == (80, 60, 3)
    drawn = np.argwhere((image != image[0, 0]).any(axis=2))
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    assert (low > 2).all()
    assert high[0] - low[0] > 0.7 * 80
    assert (high < [77, 57]).all()


def test_draws_in_the_histogram_are_those_of_the_bank(bank):
    axes = rarity_figure(bank).axes[0]
    poses = sum(patch.get_height() for patch in axes.patches[:40])
    assert poses == pytest.approx(1)
    draws = axes.patches[40].get_xy()
    right = draws[:, 0] > np.median(bank.rarity[60:]) - 1e-3
    assert draws[right, 1].max() > max(patch.get_height() for patch in axes.patches[20:40])


@pytest.mark.parametrize('count', [1, 2, 7])
def test_few_new_poses_make_a_small_sheet(bank, count):
    larger, new = add_novel_poses(bank, count)
    assert novel_sheet(larger, new.parents).shape[2] == 3
