"""What the pixels of an image become: holes, persons with a matte of their own, neighbours."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from augment_world import (
    SIZE,
    SKELETON,
    RefuseJoints,
    make_figure,
    make_sample,
    plan_for,
    slope_background,
)
from helpers import COCO_METAINFO
from torch import nn

from pg2aug.augment import Synthesizer
from pg2aug.augment.people_in_front import in_front_alpha
from pg2aug.augment.settings import SynthesisSettings
from pg2aug.augment.synthesis.compositing import HOLE_RADIUS
from pg2aug.augment.synthesis.synthesizer import Result
from pg2aug.models import LimbWarpGenerator
from pg2aug.models.affine import transform_points
from pg2aug.models.rasterize import body_alpha, limb_distance

SHAPE = (150, 160)
FRONT = ('keypoints', 'visible', 'radius')
KEEP = SynthesisSettings(remove_source=False)
STAY = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
BACKGROUND = torch.from_numpy(slope_background(SHAPE[::-1]).transpose(2, 0, 1).copy()).float()


class Patch(nn.Module):
    """A red patch in the middle of the crop, in front of a green nothing."""

    skeleton = SKELETON

    def __init__(self, matte=1.0):
        super().__init__()
        self.matte = matte

    def synthesize(self, data, refine=True):
        made = torch.zeros(len(data['condition_image']), 4, SIZE[1], SIZE[0])
        made[:, 1] = 255
        made[:, :, 24:40, 16:32] = torch.tensor([0, 0, 255, self.matte])[:, None, None]
        return made


class Red(nn.Module):
    """Red persons who cover the pose that they were told."""

    skeleton = SKELETON

    def synthesize(self, data, refine=True):
        made = torch.zeros(len(data['condition_image']), 4, SIZE[1], SIZE[0])
        made[:, 2] = 255
        made[:, 3:] = body_alpha(
            data['target_keypoints'],
            data['target_visible'],
            SIZE[::-1],
            SKELETON,
            data['target_radius'],
        )
        return made


def planned(seed=1, others=None, **target):
    """The image of a sample as a batch of one, and the plan of a new pose for its person."""
    sample = make_sample(seed=seed)
    image = torch.from_numpy(sample['img'].transpose(2, 0, 1).copy()).float()[None]
    settings = dict(seed=seed + 1, family='arms_out') | target
    return image, plan_for(sample, make_figure(**settings), others=others), sample


def place_in_crop(plan):
    """For each pixel of the image its place (H, W, 2) in the target's crop."""
    ys, xs = torch.meshgrid(*(torch.arange(float(n)) for n in SHAPE), indexing='ij')
    points = torch.stack([xs, ys], dim=-1).reshape(1, -1, 2)
    return transform_points(points, torch.from_numpy(plan.target_matrix)[None]).reshape(*SHAPE, 2)


def inside_patch(plan, margin=0.0):
    x, y = place_in_crop(plan).unbind(dim=-1)
    centre = torch.maximum((x - 23.5).abs(), (y - 31.5).abs())
    return centre <= 8 - 0.5 - margin if margin >= 0 else centre >= 8 + 0.5 - margin


def beside(sample, shift_px):
    """A neighbour in the same pose, as COCO annotates them."""
    joints = sample['keypoints'][0] + [shift_px, 0]
    return np.concatenate([joints, np.full((17, 1), 2)], axis=1).astype(np.float32)


def test_a_person_is_pasted_where_it_is_covered_and_nowhere_else():
    image, plan, _ = planned()
    made = Synthesizer(Patch(), None, SynthesisSettings(remove_source=False))(
        image, [plan], STAY
    ).images[0]
    inside, outside = inside_patch(plan), inside_patch(plan, margin=-0.6)
    assert 150 < inside.sum() < outside.sum()
    red = torch.tensor([0.0, 0, 255])[:, None]
    torch.testing.assert_close(made[:, inside], red.expand(-1, int(inside.sum())))
    assert torch.equal(made[:, outside], image[0][:, outside])
    # Of the green that is not covered nothing bleeds into the edge.
    edge = ~inside & ~outside
    assert (made[1, edge] <= image[0][1, edge] + 1e-3).all()


@pytest.mark.parametrize('matte', [0.25, 0.75])
def test_half_a_matte_shows_both(matte):
    image, plan, _ = planned()
    made = Synthesizer(Patch(matte), None, SynthesisSettings(remove_source=False))(
        image, [plan], STAY
    ).images[0]
    inside = inside_patch(plan)
    expected = (1 - matte) * image[0][:, inside]
    expected[2] += matte * 255
    torch.testing.assert_close(made[:, inside], expected, atol=1e-2, rtol=0)


def test_of_the_removed_person_next_to_nothing_is_left():
    for seed in range(3):
        image, plan, _ = planned(seed)
        before = (image[0] - BACKGROUND).abs().amax(dim=0)
        after = Synthesizer(Patch(0.0), None)(image, [plan], STAY).images[0]
        error = (after - BACKGROUND).abs().amax(dim=0)
        person = before > 30
        assert person.sum() > 500
        assert error[person].mean() < 0.15 * before[person].mean()
        assert (error > 20).sum() < 0.1 * person.sum()


def test_the_soft_edge_of_a_hole_is_blended_once():
    image, plan, _ = planned()
    hole = body_alpha(
        torch.from_numpy(plan.source_keypoints)[None],
        torch.from_numpy(plan.source_visible)[None],
        SHAPE,
        SKELETON,
        HOLE_RADIUS * torch.from_numpy(plan.source_radius),
    )
    # A person who ends where the hole begins, and of whom the edge has a share.
    image = torch.lerp(torch.full_like(image, 100.0), torch.full_like(image, 220.0), hole)
    made = Synthesizer(Patch(0.0), None)(image, [plan], STAY).images
    edge = (hole > 0.05) & (hole < 0.95)
    assert edge.sum() > 100
    expected = 100 + 120 * hole * (1 - hole)
    torch.testing.assert_close(made[:, :1][edge], expected[edge], atol=0.5, rtol=0)
    torch.testing.assert_close(made[:, :1][hole == 1], torch.full_like(hole, 100)[hole == 1])


def test_far_from_the_person_nothing_changes():
    image, plan, _ = planned()
    made = Synthesizer(Patch(0.0), None)(image, [plan], STAY).images[0]
    joints = torch.from_numpy(plan.source_keypoints)[None], torch.ones(1, 17)
    distance = limb_distance(*joints, SHAPE, SKELETON.limbs, SKELETON.torso)[0]
    far = distance > 7 * float(plan.source_radius[0])
    assert far.float().mean() > 0.3
    assert torch.equal(made[:, far], image[0][:, far])


@pytest.mark.parametrize('remove_source', [False, True])
@pytest.mark.parametrize('shift', [-14, 6, 18])
def test_neighbours_in_front_keep_every_pixel(shift, remove_source):
    image, alone, sample = planned()
    others = np.array([beside(sample, shift)])
    _, plan, _ = planned(others=others)
    assert plan.front_radius[0] > 0
    silhouette = in_front_alpha(
        *(torch.from_numpy(getattr(plan, f'front_{n}')[None, :1]) for n in FRONT),
        SHAPE,
        SKELETON,
    )[0, 0]
    synthesizer = Synthesizer(
        LimbWarpGenerator(COCO_METAINFO), None, SynthesisSettings(remove_source=remove_source)
    )
    made, without = (synthesizer(image, [p], STAY).images[0] for p in (plan, alone))
    theirs = silhouette == 1
    assert torch.equal(made[:, theirs], image[0][:, theirs])
    changed = (without - image[0]).abs().amax(dim=0) > 10
    assert (changed & theirs).sum() > 50, 'they would have been painted over'
    free = silhouette == 0
    changed = (made - image[0]).abs().amax(dim=0) > 10
    assert (changed & free).sum() > 50, 'and the person is replaced all the same'


def test_chunks_make_the_same_as_one_batch():
    images, plans = [], []
    for seed in range(5):
        sample = planned(seed)[2]
        others = np.array([beside(sample, 10 + 5 * i) for i in range(seed % 3)]).reshape(-1, 17, 3)
        image, plan, _ = planned(seed, others=others)
        images.append(image)
        plans.append(plan)
    assert [int((plan.front_radius > 0).sum()) for plan in plans] == [0, 1, 2, 0, 1]
    matrices = STAY + 0.05 * torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    check, generator = RefuseJoints(joints=[0, 9]), LimbWarpGenerator(COCO_METAINFO)
    whole, *parts = (
        Synthesizer(generator, check, max_batch=n)(torch.cat(images), plans, matrices)
        for n in (64, 1, 2)
    )
    for part in parts:
        for field in fields(Result):
            found, expected = getattr(part, field.name), getattr(whole, field.name)
            torch.testing.assert_close(found, expected, atol=2e-2, rtol=0)
    made = Synthesizer(generator, check, max_batch=2).generate(plans).made
    torch.testing.assert_close(made, whole.made, atol=2e-2, rtol=0)


def test_a_limb_that_leaves_the_image_is_drawn_up_to_the_border():
    sample = make_sample(seed=1)
    # Much of the image cut off, for the person is seen from near.
    keypoints = sample['keypoints'] * 3.5
    sample = dict(sample, keypoints=keypoints - keypoints.min(axis=1))
    sample['img'] = np.full_like(sample['img'], 200)
    low, high = sample['keypoints'][0].min(axis=0), sample['keypoints'][0].max(axis=0)
    sample['bbox'] = np.r_[low, np.minimum(high, [159, 149])][None]
    plan = plan_for(sample, make_figure(seed=2), min_visible=3)
    hip, knee = plan.target_keypoints[11], plan.target_keypoints[13]
    assert (plan.target_visible[[11, 13]] > 0).tolist() == [True, False]
    last = SHAPE[0] - 2
    x = hip[0] + (knee[0] - hip[0]) * (last - hip[1]) / (knee[1] - hip[1])
    synthesizer = Synthesizer(Red(), None, KEEP)
    image = torch.from_numpy(sample['img'].transpose(2, 0, 1).copy()).float()[None]
    result = synthesizer(image, [plan], STAY)
    torch.testing.assert_close(
        result.images[0][:, last, round(float(x))], torch.tensor([0.0, 0, 255]), atol=5, rtol=0
    )
    # What is judged are the labels.
    np.testing.assert_array_equal(result.joints_ok[0].numpy(), plan.target_visible > 0)
    checked = []
    synthesizer.check = lambda synthesis: checked.append(synthesis.visible) or synthesis.visible > 0
    synthesizer.generate([plan])
    np.testing.assert_array_equal(checked[0][0].numpy(), plan.target_visible)


def test_refused_persons_leave_their_images():
    images, plans, _ = zip(*(planned(seed) for seed in range(3)), strict=True)
    batch = torch.cat(images)
    check = RefuseJoints(every_second=True)
    result = Synthesizer(Patch(), check)(batch, plans, STAY.expand(3, -1, -1))
    assert result.accepted.tolist() == [True, False, True]
    assert torch.equal(result.images[1], batch[1])
    assert not torch.equal(result.images[0], batch[0])


def test_persons_are_checked_in_front_of_their_scene_without_the_source():
    _, plan, _ = planned()
    seen = []
    Synthesizer(Patch(0.0), lambda s: seen.append(s) or s.visible > 0).generate([plan])
    persons = seen[0].persons[0]
    condition = torch.from_numpy(plan.condition.transpose(2, 0, 1).copy()).float()
    joints = torch.from_numpy(plan.source_keypoints)[None]
    joints = transform_points(joints, torch.from_numpy(plan.condition_matrix)[None])
    visible = torch.from_numpy(plan.source_visible)[None]
    distance = limb_distance(joints, visible, SIZE[::-1], SKELETON.limbs, SKELETON.torso)[0]
    assert (persons - condition).abs().amax(dim=0)[distance < 1].mean() > 30, 'they are gone'
    far = distance > 20
    assert torch.equal(persons[:, far], condition[:, far])
    assert (persons[1] < 250).all(), 'nor is there anything of what is not covered'


def test_limbs_laid_into_their_own_pose_leave_the_person_as_it_is():
    look = dict(seed=1, size=(60, 76), zoom=0.8)
    sample, figure = make_sample(**look), make_figure(**look)
    image = torch.from_numpy(sample['img'].transpose(2, 0, 1).copy()).float()[None]
    plan = plan_for(sample, figure)
    np.testing.assert_allclose(plan.target_keypoints, figure.keypoints, atol=0.5)
    synthesizer = Synthesizer(LimbWarpGenerator(COCO_METAINFO), None)
    made = synthesizer(image, [plan], STAY).images[0]
    joints = torch.from_numpy(figure.keypoints)[None].float(), torch.ones(1, 17)
    distance = limb_distance(*joints, (76, 60), SKELETON.limbs, SKELETON.torso)[0]
    body = distance < 0.6 * float(plan.target_radius[0])
    background = torch.from_numpy(slope_background((60, 76)).transpose(2, 0, 1).copy())
    error, gone = ((x - image[0]).abs().mean(dim=0)[body].mean() for x in (made, background))
    assert error < 0.45 * gone


@pytest.mark.parametrize(
    ('labelled', 'passed', 'share', 'accepted'),
    [(10, 7, 0.7, True), (10, 6, 0.7, False), (16, 8, 0.5, True), (17, 17, 1.0, True)],
)
def test_exactly_the_share_of_joints_asked_for_is_enough(labelled, passed, share, accepted):
    # Nose, torso, then limbs: what must be there comes first.
    order = [0, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16, 1, 2, 3, 4]
    shown = torch.zeros(17).index_fill(0, torch.tensor(order[:labelled]), 1)
    sample, figure = make_sample(seed=1), make_figure(seed=2, family='arms_out')
    plan = plan_for(sample, figure, target_visible=shown.numpy())
    assert (plan.target_visible > 0).sum() == labelled
    check = RefuseJoints(joints=order[passed:])
    settings = SynthesisSettings(min_joints_ok=share)
    made = Synthesizer(Red(), check, settings).generate([plan])
    assert made.joints_ok.sum() == passed
    assert made.accepted.tolist() == [accepted]


class NotFinite(Red):
    """The first person of a batch has a pixel that is no number."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def synthesize(self, data, refine=True):
        made = super().synthesize(data, refine)
        made[0, :, 30, 30] = self.value
        return made


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_what_is_not_finite_is_never_used_and_counted(value):
    samples = [make_sample(seed=1), make_sample(seed=2)]
    plans = [plan_for(sample, make_figure(seed=3)) for sample in samples]
    images = torch.stack([BACKGROUND, BACKGROUND])
    matrices = STAY.expand(2, 2, 3)
    synthesizer = Synthesizer(NotFinite(value), None)
    result = synthesizer(images, plans, matrices)
    assert result.accepted.tolist() == [False, True]
    torch.testing.assert_close(result.images[0], BACKGROUND, rtol=0, atol=0)
    assert result.images.isfinite().all()
    assert not torch.equal(result.images[1], BACKGROUND)
    assert synthesizer.take_not_finite() == 1
    assert synthesizer.take_not_finite() == 0
    assert synthesizer.generate(plans).accepted.tolist() == [False, True]


def test_an_image_that_is_not_finite_is_no_input_either():
    plan = plan_for(make_sample(seed=1), make_figure(seed=3))
    nowhere = torch.full((1, 2, 3), float('nan'))
    synthesizer = Synthesizer(Red(), None)
    result = synthesizer(BACKGROUND[None], [plan], nowhere)
    assert result.images.isfinite().all()
