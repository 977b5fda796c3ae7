import pytest
import torch
from helpers import COCO_METAINFO, make_batch

from pg2aug.models import Body, PG2DataPreprocessor, keypoint_heatmaps, limb_warp, pose_mask
from pg2aug.models.distance_fields import limb_distance
from pg2aug.models.preprocessor import (
    CORE_RADIUS,
    FOREGROUND_RADIUS,
    SUPPORT_RADIUS,
    inside_photo,
    smooth_background,
    to_image_range,
    to_model_range,
)
from pg2aug.models.rasterize import body_alpha

SELF_PAIRS = dict(foreground=True, aligned=True)


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
    assert torch.equal(batch['mask'], pose_mask(*joints, skeleton.mask_limbs, skeleton.torso))
    assert batch['mask'].mean() > 0.1


def test_a_head_from_behind_is_in_the_mask():
    """OpenPose finds neck and ears there, and neither nose nor eyes."""
    openpose = dict(from_file='configs/_base_/datasets/coco_openpose.py')
    preprocessor = PG2DataPreprocessor(openpose)
    names = preprocessor.skeleton.keypoint_names
    places = dict(neck=(16, 16), left_ear=(19, 8), right_ear=(13, 8))
    places |= dict(left_shoulder=(22, 17), right_shoulder=(10, 17))
    data = make_batch()
    count = len(data['target_keypoints'])
    data['target_keypoints'] = torch.tensor([places.get(name, (0, 0)) for name in names]).float()
    data['target_keypoints'] = data['target_keypoints'].repeat(count, 1, 1)
    data['target_visible'] = torch.tensor([float(name in places) for name in names]).repeat(
        count, 1
    )
    mask = preprocessor(data)['mask'][0, 0]
    for x, y in (*places.values(), (16, 8), (17, 12)):
        assert mask[y, x] == 1


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
        distance = limb_distance(*joints, (128, 64), skeleton.limbs, skeleton.torso)
        body = (distance <= 3.5)[:, None].expand_as(plain[role])
        torch.testing.assert_close(cut[role][body], plain[role][body])
        assert (cut[role][..., :8, :8] == 0).all()
        assert (plain[role][..., :8, :8] != 0).any()
    assert torch.equal(cut['mask'], plain['mask'])
    assert torch.equal(cut['pose'], plain['pose'])


def person(data, role):
    return Body(*(data[f'{role}_{name}'] for name in ('keypoints', 'visible', 'radius')))


def test_aligned_is_the_condition_warped_to_the_target():
    data = make_batch()
    preprocessor = PG2DataPreprocessor(COCO_METAINFO, aligned=True)
    batch, plain = preprocessor(data), PG2DataPreprocessor(COCO_METAINFO)(data)
    bodies = person(data, 'condition'), person(data, 'target')
    image = to_model_range(data['condition_image'])
    assert torch.equal(batch.pop('warp'), limb_warp(image, *bodies, preprocessor.skeleton))
    assert batch.keys() == plain.keys()
    assert all(torch.equal(batch[name], plain[name]) for name in plain)


def test_what_is_cut_out_of_the_condition_is_warped_whole():
    """The cut is made for G1 to see the person alone; the limbs are cut by the warp itself."""
    data = make_batch()
    both = PG2DataPreprocessor(COCO_METAINFO, aligned=True, foreground=True)(data)
    aligned = PG2DataPreprocessor(COCO_METAINFO, aligned=True)(data)
    assert torch.equal(both['warp'], aligned['warp'])
    assert not torch.equal(both['condition'], aligned['condition'])


def test_a_matte_comes_with_where_the_person_is_and_may_be():
    data = make_batch(size=(64, 128))
    preprocessor = PG2DataPreprocessor(COCO_METAINFO, matte=True, foreground=True)
    batch, body = preprocessor(data), person(data, 'target')
    for name, radius, tips in (('core', CORE_RADIUS, False), ('support', SUPPORT_RADIUS, True)):
        expected = body_alpha(
            body.keypoints,
            body.visible,
            (128, 64),
            preprocessor.skeleton,
            radius * body.radius,
            hands_and_feet=tips,
        )
        assert torch.equal(batch[name], expected)
    assert (batch['core'] <= batch['support']).all()
    assert 0.02 < batch['core'].mean() < batch['support'].mean() < 0.9
    assert torch.equal(batch['target'], to_model_range(data['target_image'])), 'nothing cut out'
    free = (batch['support'] == 0).expand(-1, 3, -1, -1)
    assert torch.equal(batch['background'][free], batch['target'][free])


def test_nothing_of_the_person_is_left_in_the_background():
    data = make_batch(size=(64, 128))
    support = PG2DataPreprocessor(COCO_METAINFO, matte=True)(data)['support']
    data['target_image'] = torch.where(support > 0, 250, 100).expand(-1, 3, -1, -1).to(torch.uint8)
    background = PG2DataPreprocessor(COCO_METAINFO, matte=True)(data)['background']
    torch.testing.assert_close(background, torch.full_like(background, 100 / 127.5 - 1))


def test_in_synthesis_a_matte_needs_no_target_image():
    data = make_batch()
    del data['target_image']
    batch = PG2DataPreprocessor(COCO_METAINFO, matte=True, aligned=True)(data)
    assert set(batch) == {'condition', 'pose', 'warp', 'support'}


@pytest.mark.parametrize('black', [0.0, -1.0])
def test_black_beyond_the_image_is_not_continued_into_the_background(black):
    images = torch.full((1, 3, 20, 30), black + 0.5)
    images[..., 20:] = black
    hole = torch.zeros(1, 1, 20, 30)
    hole[..., 5:15, 12:22] = 1
    made = smooth_background(images, hole, black)
    torch.testing.assert_close(made[..., 12:20], images[..., 12:20])
    assert torch.equal(made[..., :12], images[..., :12])
    assert torch.equal(made[..., 22:], images[..., 22:])


@pytest.mark.parametrize('black', [0.0, -1.0])
def test_what_is_black_within_the_photo_is_inside(black):
    images = torch.full((2, 3, 20, 30), black + 0.5)
    # Dark clothing that reaches the border of the first crop; of the other it is the whole crop.
    images[:, :, 5:20, 8:12] = black
    images[0, :, :, 22:], images[0, :, :3] = black, black
    expected = torch.zeros(1, 20, 30)
    expected[:, 4:, :21] = 1
    inside = inside_photo(images, black)
    assert torch.equal(inside[0], expected)
    assert (inside[1] == 1).all()
    assert not inside_photo(torch.full((1, 3, 20, 30), black), black).any()


def truncated_batch():
    """White crops of photos that end at the knees, in the same pose twice."""
    data = make_batch(size=(64, 128))
    for name in ('keypoints', 'visible', 'radius'):
        data[f'condition_{name}'] = data[f'target_{name}']
    end = int(data['condition_keypoints'][:, 13:15, 1].min())
    data['condition_image'] = torch.full((3, 3, 128, 64), 255, dtype=torch.uint8)
    data['condition_image'][:, :, end:] = 0
    return data, end


def test_black_beyond_the_photo_is_not_part_of_the_person():
    data, end = truncated_batch()
    batch = PG2DataPreprocessor(COCO_METAINFO, **SELF_PAIRS)(data)
    warp, legs = batch['warp'], batch['mask'][:, 0, end + 2 :]
    assert legs.sum() > 100
    assert not warp[:, 3, end + 2 :].any()
    # White times coverage, without a dark edge.
    assert (warp[:, 3] > 0.99).sum() > 500
    torch.testing.assert_close(warp[:, :3], warp[:, 3:].expand(-1, 3, -1, -1))
    assert batch['condition'].min() >= 0


def test_through_via_it_stays_unknown():
    data, end = truncated_batch()
    for name in ('keypoints', 'visible', 'radius'):
        data[f'via_{name}'] = data[f'target_{name}']
    data['via_keypoints'] = data['via_keypoints'] - torch.tensor([3.0, 4.0])
    warp = PG2DataPreprocessor(COCO_METAINFO, **SELF_PAIRS)(data)['warp']
    assert not warp[:, 3, end + 4 :].any()
    assert (warp[:, 3] > 0.99).sum() > 500
    torch.testing.assert_close(warp[:, :3], warp[:, 3:].expand(-1, 3, -1, -1))


@pytest.mark.parametrize(
    ('options', 'missing'),
    [
        ({}, 'set foreground=True and aligned=True in'),
        (dict(aligned=True), 'set foreground=True in'),
        (dict(foreground=True, matte=True), 'set aligned=True in'),
    ],
)
def test_self_pairs_that_nothing_can_be_learnt_from_are_refused(options, missing):
    with pytest.raises(ValueError, match=missing):
        PG2DataPreprocessor(COCO_METAINFO, **options)(via_batch())


def via_batch():
    """A batch whose condition is the target, and goes through another pose."""
    data, other = make_batch(size=(64, 128)), make_batch(size=(64, 128), seed=7)
    # What interpolates well, so that being moved twice loses little.
    ys, xs = torch.meshgrid(torch.arange(128.0), torch.arange(64.0), indexing='ij')
    wave = torch.stack([(xs / 9).sin(), (ys / 11).cos(), ((xs + ys) / 13).sin()])
    data['target_image'] = (127 + 100 * wave).to(torch.uint8).expand(3, -1, -1, -1)
    for name in ('image', 'keypoints', 'visible', 'radius'):
        data[f'condition_{name}'] = data[f'target_{name}']
        data[f'via_{name}'] = other.get(f'target_{name}')
    del data['via_image']
    return data


def test_via_the_condition_is_in_another_pose_and_damaged():
    data = via_batch()
    preprocessor = PG2DataPreprocessor(COCO_METAINFO, **SELF_PAIRS)
    batch = preprocessor(data)
    bodies = person(data, 'condition'), person(data, 'via')
    moved = limb_warp(to_model_range(data['condition_image']), *bodies, preprocessor.skeleton)
    via = bodies[1]
    cut = (via.keypoints, via.visible, (128, 64), preprocessor.skeleton)
    cut = body_alpha(*cut, FOREGROUND_RADIUS * via.radius, hands_and_feet=False)
    assert torch.equal(batch['condition'], moved[:, :3] * cut)
    error = (batch['condition'] - batch['target']).abs().mean(dim=1, keepdim=True)
    assert error[batch['mask'] > 0].mean() > 0.1
    # Of the scene around it nothing is left.
    assert (batch['condition'][moved[:, 3:].expand(-1, 3, -1, -1) == 0] == 0).all()


def test_via_the_warp_leads_back_near_the_truth():
    data = via_batch()
    batch = PG2DataPreprocessor(COCO_METAINFO, **SELF_PAIRS)(data)
    covered = (batch['warp'][:, 3:] > 0.99) & (batch['mask'] > 0)
    assert covered.sum() > 0.7 * batch['mask'].sum()
    errors = {
        name: (batch[name][:, :3] - batch['target']).abs().mean(dim=1, keepdim=True)[covered].mean()
        for name in ('warp', 'condition')
    }
    assert errors['warp'] < 0.05
    assert errors['warp'] < 0.2 * errors['condition']


def test_via_what_the_condition_does_not_show_is_not_known_afterwards():
    data = via_batch()
    data['condition_visible'] = data['condition_visible'].clone()
    data['condition_visible'][:, [13, 14, 15, 16]] = 0
    warp = PG2DataPreprocessor(COCO_METAINFO, **SELF_PAIRS)(data)['warp']
    for i, joints in enumerate(data['target_keypoints'].round().long()):
        x, y = joints[15:].T
        assert (warp[i, 3, y.clamp(0, 127), x.clamp(0, 63)] == 0).all()
