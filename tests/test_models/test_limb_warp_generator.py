import pytest
import torch
from helpers import COCO_METAINFO, SIZE, make_batch
from mmengine.registry import DefaultScope
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from pg2aug.models import Body, LimbWarpGenerator, limb_warp
from pg2aug.registry import MODELS


@pytest.fixture(scope='module')
def generator():
    return LimbWarpGenerator(COCO_METAINFO)


def warped(data, skeleton):
    source, target = (
        Body(*(data[f'{role}_{name}'] for name in ('keypoints', 'visible', 'radius')))
        for role in ('condition', 'target')
    )
    return limb_warp(data['condition_image'].float(), source, target, skeleton)


def test_persons_are_the_limb_warp_in_bgr_with_its_coverage(generator):
    data = make_batch()
    made, expected = generator.synthesize(data), warped(data, generator.skeleton)
    assert made.shape == (3, 4, SIZE[1], SIZE[0])
    assert made.dtype == torch.float32
    assert torch.equal(made[:, 3:], expected[:, 3:])
    torch.testing.assert_close(made[:, :3] * made[:, 3:], expected[:, :3], atol=1e-2, rtol=0)
    assert made[:, :3].min() >= 0
    assert made[:, :3].max() <= 255.1
    assert torch.equal(generator.synthesize(data, refine=False), made)


def test_edges_have_the_colour_of_the_person_and_are_not_darkened(generator):
    data = make_batch()
    color = torch.tensor([200.0, 120, 40])[:, None, None]
    data['condition_image'] = color.to(torch.uint8).expand(3, 3, SIZE[1], SIZE[0])
    made = generator.synthesize(data)
    edge = (made[:, 3] > 0.05) & (made[:, 3] < 0.5)
    assert edge.sum() > 50
    found = made[:, :3].movedim(1, -1)[edge]
    torch.testing.assert_close(found, color[:, 0, 0].expand_as(found), atol=0.1, rtol=0)


def test_what_lies_beyond_the_photo_is_not_laid_anywhere(generator):
    data = make_batch()
    data['condition_image'] = torch.full_like(data['condition_image'], 200)
    data['condition_image'][:, :, SIZE[1] // 2 :] = 0
    made = generator.synthesize(data)
    whole = warped(data, generator.skeleton)[:, 3]
    assert made[:, 3].sum() < 0.8 * whole.sum()
    found = made[:, :3].movedim(1, -1)[made[:, 3] > 0.05]
    torch.testing.assert_close(found, torch.full_like(found, 200), atol=0.1, rtol=0)


def test_neither_weights_nor_gradients(generator):
    assert not generator.state_dict()
    assert not generator.synthesize(make_batch()).requires_grad


@pytest.mark.parametrize('scope', ['mmengine', 'mmpose', 'pg2aug'])
def test_it_is_built_by_name_from_a_file_or_from_its_contents(scope, generator):
    with DefaultScope.overwrite_default_scope(scope):
        built = MODELS.build(dict(type='pg2aug.LimbWarpGenerator', metainfo=COCO_METAINFO))
    assert built.skeleton == generator.skeleton


def test_a_dict_describes_the_skeleton_as_well():
    metainfo = dict(
        dataset_name='stick',
        keypoint_info={
            0: dict(name='left_end', id=0, color=[0, 0, 0], type='', swap='right_end'),
            1: dict(name='right_end', id=1, color=[0, 0, 0], type='', swap='left_end'),
        },
        skeleton_info={0: dict(link=('left_end', 'right_end'), id=0, color=[0, 0, 0])},
        joint_weights=[1.0, 1.0],
        sigmas=[0.1, 0.1],
    )
    skeleton = LimbWarpGenerator(metainfo).skeleton
    assert skeleton.limbs == ((0, 1),)
    parsed = parse_pose_metainfo(dict(metainfo))
    assert skeleton.keypoint_names == tuple(parsed['keypoint_name2id'])
