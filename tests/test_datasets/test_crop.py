import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine
from mmpose.structures.bbox import bbox_xyxy2cs, get_warp_matrix

from pg2aug.datasets.crop import (
    crop_matrix,
    crop_person,
    flip_crop,
    inside_crop,
    transform_keypoints,
)

BOXES = [(30, 20, 90, 220), (10, 40, 300, 100), (-50, -20, 80, 90), (5, 5, 6, 7)]
SIZES = [(96, 128), (64, 128), (256, 256), (64, 48)]


@pytest.mark.parametrize('bbox', BOXES)
@pytest.mark.parametrize('size', SIZES)
def test_the_crop_is_the_one_that_mmpose_makes(bbox, size):
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    keypoints = np.array([[[40, 60], [200.5, 90.25], [-3, 500]]], dtype=np.float32)
    results = {'img': image, 'bbox': np.array([bbox], dtype=np.float32), 'keypoints': keypoints}
    results = GetBBoxCenterScale(padding=1.25).transform(results)
    results = TopdownAffine(input_size=size).transform(results)

    matrix = crop_matrix(np.array(bbox), size)

    np.testing.assert_allclose(
        transform_keypoints(keypoints, matrix), results['transformed_keypoints'], atol=1e-2
    )
    difference = crop_person(image, matrix, size).astype(int) - results['img']
    # float32 against float64 matrices move a sample by at most a step of the interpolation table.
    assert np.abs(difference).mean() < 0.5


@given(
    corner=st.tuples(*[st.floats(-3000, 3000, width=32)] * 2),
    extent=st.tuples(*[st.floats(0.5, 3000, width=32)] * 2),
    size=st.tuples(*[st.integers(1, 600)] * 2),
    padding=st.floats(0.1, 3),
)
def test_the_matrix_is_that_of_mmpose_to_the_last_bit(corner, extent, size, padding):
    bbox = np.array([*corner, *np.add(corner, extent)], np.float32)
    center, scale = bbox_xyxy2cs(bbox, padding=padding)
    scale = np.maximum(scale, scale[::-1] * np.array([size[0] / size[1], size[1] / size[0]]))
    expected = get_warp_matrix(center, scale, 0.0, size).astype(np.float32)
    assert crop_matrix(bbox, size, padding).tobytes() == expected.tobytes()


def test_padding_zooms_out_about_the_box_centre():
    box, size = np.array([40.0, 20, 88, 84]), (48, 64)
    centre, corner = np.array([[64.0, 52]]), np.array([[88.0, 84]])
    near, far = crop_matrix(box, size, 1.0), crop_matrix(box, size, 2.0)
    np.testing.assert_allclose(transform_keypoints(centre, near), [[24, 32]], atol=1e-4)
    np.testing.assert_allclose(transform_keypoints(centre, far), [[24, 32]], atol=1e-4)
    np.testing.assert_allclose(transform_keypoints(corner, near), [[48, 64]], atol=1e-4)
    np.testing.assert_allclose(transform_keypoints(corner, far), [[36, 48]], atol=1e-4)


@pytest.mark.parametrize('bbox', BOXES[:2])
@pytest.mark.parametrize('size', SIZES)
def test_a_dot_lands_where_its_keypoint_lands(bbox, size):
    joint = np.array([[(bbox[0] + bbox[2]) / 2 + 7, (bbox[1] + bbox[3]) / 2 - 11]])
    image = np.zeros((240, 320, 3), dtype=np.uint8)
    cv2.circle(image, tuple(int(v) for v in joint[0]), 5, (255, 255, 255), -1)
    matrix = crop_matrix(np.array(bbox), size)
    crop = crop_person(image, matrix, size)[..., 0].astype(float)
    rows, columns = np.indices(crop.shape)
    centroid = [(columns * crop).sum() / crop.sum(), (rows * crop).sum() / crop.sum()]
    np.testing.assert_allclose(transform_keypoints(np.trunc(joint), matrix)[0], centroid, atol=0.3)


def test_outside_the_image_is_black_unless_asked_otherwise():
    image = np.full((40, 40, 3), 200, dtype=np.uint8)
    matrix = crop_matrix(np.array([-40.0, 0, 40, 40]), (80, 40), padding=1.0)
    assert (crop_person(image, matrix, (80, 40))[:, :38] == 0).all()
    assert (crop_person(image, matrix, (80, 40))[:, 42:] == 200).all()
    assert (crop_person(image, matrix, (80, 40), border=(1, 2, 3))[:, :38] == (1, 2, 3)).all()


def test_a_flip_mirrors_pixels_and_swaps_joints():
    image = np.zeros((8, 6, 3), dtype=np.uint8)
    image[2, 1], image[5, 4] = (255, 0, 0), (0, 255, 0)
    keypoints = np.array([[3, 0], [1, 2], [4, 5]], dtype=np.float32)
    flipped, mirrored, visible = flip_crop(image, keypoints, np.array([1, 1, 0.0]), (0, 2, 1))
    np.testing.assert_array_equal(mirrored, [[2, 0], [1, 5], [4, 2]])
    np.testing.assert_array_equal(visible, [1, 0, 1])
    assert tuple(flipped[5, 1]) == (0, 255, 0)
    assert tuple(flipped[2, 4]) == (255, 0, 0)
    again = flip_crop(flipped, mirrored, visible, (0, 2, 1))
    for twice, once in zip(again, (image, keypoints, [1, 1, 0]), strict=True):
        np.testing.assert_array_equal(twice, once)


def test_inside_is_what_rounds_to_a_pixel_of_the_crop():
    keypoints = np.array([[-0.5, 0], [-0.51, 0], [3.49, 0], [3.5, 0], [0, 6.5], [np.nan, 1]])
    expected = [True, False, True, False, False, False]
    assert inside_crop(keypoints, (4, 7)).tolist() == expected


@pytest.mark.parametrize('bbox', [(10, 10, 10, 30), (10, 10, 5, 30), (0, 0, np.nan, 5), (0, 0, 5)])
def test_a_degenerate_box_is_refused(bbox):
    with pytest.raises(ValueError, match='person box must be'):
        crop_matrix(np.array(bbox, dtype=float), (96, 128))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r'size=\(0, 128\)'):
        crop_matrix(np.array([0, 0, 5, 5]), (0, 128))
    with pytest.raises(ValueError, match=r'\(8, 8\) uint8'):
        crop_person(np.zeros((8, 8), np.uint8), np.eye(2, 3), (4, 4))
    with pytest.raises(ValueError, match='3 keypoints need as many flip_indices, got 2'):
        flip_crop(np.zeros((8, 8, 3), np.uint8), np.zeros((3, 2)), np.ones(3), (1, 0))
