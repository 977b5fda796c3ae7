import pytest
import torch
from helpers import COCO_METAINFO, make_batch

from pg2aug.models import PG2DataPreprocessor, keypoint_heatmaps, pose_mask
from pg2aug.models.preprocessor import to_image_range, to_model_range
from pg2aug.models.rasterize import body_distance


def test_model_range_is_rgb_and_the_way_back_is_exact():
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    images = torch.cat([values, values.flip(2), values.flip(3)], dim=1)
    scaled = to_model_range(images)
    assert scaled.min() == -1
    assert scaled.max() == 1
    torch.testing.assert_close(scaled[:, 0] * 127.5 + 127.5, images[:, 2].float())
    back = to_image_range(scaled)
    assert back.dtype == torch.float32
    torch.testing.assert_close(back, images.float(), atol=1e-3, rtol=0)
    assert torch.equal(back.round().to(torch.uint8), images)


def test_what_leaves_the_range_is_clipped_and_inputs_are_not_changed():
    images = torch.full((1, 3, 2, 2), 1.5)
    images[:, 0] = -1.5
    back = to_image_range(images)
    assert back[0, :, 0, 0].tolist() == [255, 255, 0]
    assert images.max() == 1.5
    batch = torch.full((1, 3, 2, 2), 200.0)
    to_model_range(batch)
    assert (batch == 200).all()


@pytest.mark.parametrize('background', [0.0, -1.0])
def test_a_batch_is_scaled_and_rasterised(background):
    preprocessor = PG2DataPreprocessor(COCO_METAINFO, 2.0, background)
    data = make_batch()
    batch = preprocessor(data)
    joints = data['target_keypoints'], data['target_visible'], (64, 32)
    assert set(batch) == {'condition', 'target', 'pose', 'mask'}
    for role in ('condition', 'target'):
        assert torch.equal(batch[role], to_model_range(data[f'{role}_image']))
    assert torch.equal(batch['pose'], keypoint_heatmaps(*joints, 2.0, background))
    skeleton = preprocessor.skeleton
    assert torch.equal(batch['mask'], pose_mask(*joints, skeleton.limbs, skeleton.torso))
    assert batch['mask'].mean() > 0.1


def test_without_a_target_image_there_is_no_target():
    data = make_batch()
    del data['target_image']
    assert 'target' not in PG2DataPreprocessor(COCO_METAINFO)(data)


def test_another_number_of_joints_is_refused():
    data = make_batch()
    data['target_keypoints'] = data['target_keypoints'][:, :14]
    data['target_visible'] = data['target_visible'][:, :14]
    with pytest.raises(ValueError, match=r'14 joints.*metainfo has 17'):
        PG2DataPreprocessor(COCO_METAINFO)(data)


def test_foreground_keeps_the_persons_own_pixels_and_greys_the_rest():
    data = make_batch(size=(64, 128))
    data['condition_keypoints'] = data['target_keypoints'].flip(0)
    data['condition_visible'] = data['target_visible']
    preprocessor = PG2DataPreprocessor(COCO_METAINFO)
    plain, skeleton = preprocessor(data), preprocessor.skeleton
    cut = PG2DataPreprocessor(COCO_METAINFO, foreground=True)(data)
    for role in ('target', 'condition'):
        joints = data[f'{role}_keypoints'], data[f'{role}_visible']
        distance = body_distance(*joints, (128, 64), skeleton.limbs, skeleton.torso)
        body = (distance <= 3.5)[:, None].expand_as(plain[role])
        torch.testing.assert_close(cut[role][body], plain[role][body])
        assert (cut[role][..., :8, :8] == 0).all()
        assert (plain[role][..., :8, :8] != 0).any()
    assert torch.equal(cut['mask'], plain['mask'])
    assert torch.equal(cut['pose'], plain['pose'])
