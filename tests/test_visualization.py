import os

import cv2
import numpy as np
import pytest

from pg2aug.poses.skeleton import Skeleton
from pg2aug.visualization.skeletons import (
    CANVAS_COLOR,
    LEFT_COLOR,
    RIGHT_COLOR,
    contact_sheet,
    draw_skeleton,
    skeleton_image,
    write_png,
)

ARMS = Skeleton(
    keypoint_names=('nose', 'left_wrist', 'left_elbow', 'right_wrist', 'right_elbow'),
    limbs=((1, 2), (3, 4), (0, 1)),
    flip_indices=(0, 3, 4, 1, 2),
)
KEYPOINTS = np.array([[48, 20], [20, 40], [20, 90], [70, 40], [70, 90]], dtype=np.float32)


def solid(color, size=(40, 30)):
    return np.full((size[1], size[0], 3), color, dtype=np.uint8)


def test_left_and_right_limbs_have_their_own_colours():
    image = skeleton_image((96, 128), KEYPOINTS, np.ones(5), ARMS)
    assert image.shape == (128, 96, 3)
    np.testing.assert_allclose(image[65, 20], LEFT_COLOR, atol=25)
    np.testing.assert_allclose(image[65, 70], RIGHT_COLOR, atol=25)
    assert tuple(image[100, 48]) == CANVAS_COLOR


def test_unlabelled_joints_and_their_limbs_are_not_drawn():
    keypoints = KEYPOINTS.copy()
    keypoints[1] = (np.nan, np.inf)
    image = skeleton_image((96, 128), keypoints, np.array([0, 0, 1, 1, 1.0]), ARMS)
    assert (image[:80, :60] == CANVAS_COLOR).all()
    assert tuple(image[90, 20]) == LEFT_COLOR, 'the elbow alone is drawn'


def test_drawing_leaves_the_image_alone_and_survives_far_joints():
    image = solid(10, (96, 128))
    keypoints = KEYPOINTS.copy()
    keypoints[0] = (1e9, -1e9)
    drawn = draw_skeleton(image, keypoints, np.ones(5), ARMS)
    assert (image == 10).all()
    assert (drawn != 10).any()


def test_lines_are_placed_to_a_fraction_of_a_pixel():
    keypoints = KEYPOINTS + np.array([0.5, 0], dtype=np.float32)
    shifted = skeleton_image((96, 128), keypoints, np.array([0, 1, 1, 0, 0.0]), ARMS)
    column = shifted[65].astype(int).sum(-1)
    assert column[20] == pytest.approx(column[21], abs=30)
    assert column[20] > column[18]


def test_a_pose_of_another_skeleton_is_refused():
    with pytest.raises(ValueError, match=r'5 joints, got keypoints \(4, 2\)'):
        draw_skeleton(solid(0), KEYPOINTS[:4], np.ones(4), ARMS)


def test_a_sheet_holds_every_image_in_its_place():
    colors = [[(250, 0, 0), (0, 250, 0)], [(0, 0, 250), (9, 9, 9)]]
    rows = [[solid(color) for color in row] for row in colors]
    sheet = contact_sheet(rows, ['left', 'right'])
    for color in [color for row in colors for color in row]:
        assert (sheet == color).all(-1).sum() >= 40 * 30
    centres = {
        color: np.argwhere((sheet == color).all(-1)).mean(0) for row in colors for color in row
    }
    assert centres[250, 0, 0][1] < centres[0, 250, 0][1], 'columns'
    assert centres[250, 0, 0][0] < centres[0, 0, 250][0], 'rows'
    without_titles = contact_sheet(rows, ['', ''])
    assert (sheet != without_titles).any()


def test_images_of_another_size_keep_their_aspect_ratio():
    tall = solid((0, 0, 200), (20, 80))
    sheet = contact_sheet([[tall, solid((0, 200, 0))]], ['a', 'b'], cell=(40, 40))
    rows, columns = np.nonzero((sheet == (0, 0, 200)).all(-1))
    assert np.ptp(rows) + 1 == 40
    assert np.ptp(columns) + 1 == 10
    rows, columns = np.nonzero((sheet == (0, 200, 0)).all(-1))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (30, 40)


def test_captions_stand_above_their_rows():
    rows = [[solid(100)], [solid(50)]]
    plain = contact_sheet(rows, ['title'], captions=['', ''])
    written = contact_sheet(rows, ['title'], captions=['', 'second'])
    changed = np.argwhere((plain != written).any(-1))[:, 0]
    assert changed.min() > np.argwhere((plain == 100).all(-1))[:, 0].max()
    assert changed.max() < np.argwhere((plain == 50).all(-1))[:, 0].min()


def test_rows_titles_and_captions_must_match():
    with pytest.raises(ValueError, match=r'2 titles, got rows of \[2, 1\]'):
        contact_sheet([[solid(0), solid(0)], [solid(0)]], ['a', 'b'])
    with pytest.raises(ValueError, match='every row needs'):
        contact_sheet([], ['a'])
    with pytest.raises(ValueError, match='1 rows but 2 captions'):
        contact_sheet([[solid(0)]], ['a'], captions=['x', 'y'])


def test_a_png_is_written_whole(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / 'new' / 'sheet.png'
    write_png(path, solid(0))
    write_png(path, image)
    np.testing.assert_array_equal(cv2.imread(str(path)), image)
    assert os.listdir(path.parent) == ['sheet.png']


def test_a_png_that_cannot_be_written_raises_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match=r'sheet\.jpg must end with \.png'):
        write_png(tmp_path / 'sheet.jpg', solid(0))
    (tmp_path / 'taken.png').mkdir()
    with pytest.raises(OSError, match=r'taken\.png'):
        write_png(tmp_path / 'taken.png', solid(0))
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='file'):
        write_png(tmp_path / 'file' / 'sheet.png', solid(0))
    assert sorted(os.listdir(tmp_path)) == ['file', 'taken.png']
