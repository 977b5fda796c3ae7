"""Which limb of the source is drawn for each of the target, against a reference limb by limb."""

from itertools import product

import numpy as np
import pytest
import torch
from helpers import COCO_METAINFO
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from pg2aug.models.limbs.anatomy import body_limbs
from pg2aug.models.limbs.bones import Body, limb_bones
from pg2aug.poses import Skeleton

COCO = Skeleton.from_metainfo(parse_pose_metainfo(dict(COCO_METAINFO)))
LIMBS = body_limbs(COCO)
# Half widths over the limb radius, and how far hands and feet reach beyond wrists and ankles.
WIDTHS = {5: 1.3, 7: 1.1, 9: 0.8, 11: 1.9, 13: 1.5, 15: 1.0}
WIDTHS |= {joint + 1: width for joint, width in WIDTHS.items()}
TIPS = {9: 0.9, 10: 0.9, 15: 0.9, 16: 0.9}


def slow_limb(limb, source, target):
    """One limb of one person: where it is taken from, and whether it can be drawn.

    Args:
        limb: Two joints.
        source: Keypoints (K, 2) and COCO's flags (K,).
        target: The same.
    """
    keypoints, flags = source
    mirrored = tuple(COCO.flip_indices[joint] for joint in limb)
    told = (flags == 2).any()
    shown = {which: all(flags[k] > 0 for k in which) for which in (limb, mirrored)}
    hidden = {which: told and any(flags[k] == 1 for k in which) for which in (limb, mirrored)}
    better = shown[mirrored] and not hidden[mirrored]
    used = limb if shown[limb] and not (hidden[limb] and better) else mirrored
    drawn = (shown[limb] or shown[mirrored]) and all(target[1][k] > 0 for k in limb)
    return keypoints[list(used)], drawn


def bodies(flags):
    """Persons at random places, with the flags (N, K) given."""
    rng = np.random.default_rng(len(flags))
    keypoints = rng.uniform(0, 100, (*flags.shape, 2)).astype(np.float32)
    radius = rng.uniform(2, 6, len(flags)).astype(np.float32)
    return Body(torch.from_numpy(keypoints), torch.from_numpy(flags), torch.from_numpy(radius))


def every_forearm():
    """All flags of both forearms, each with and without another joint that tells of hidden ones."""
    flags = np.zeros((3**5, 17), np.float32)
    flags[:, [7, 8, 9, 10, 0]] = list(product(range(3), repeat=5))
    return flags


@pytest.mark.parametrize(
    'flags',
    [every_forearm(), np.random.default_rng(0).integers(0, 3, (50, 17)).astype(np.float32)],
    ids=['every forearm', 'random'],
)
def test_limbs_are_those_of_the_slow_reference(flags):
    source, target = bodies(flags), bodies(flags[::-1].copy())
    bones = limb_bones(source, target, COCO, LIMBS)
    for n, (b, limb) in product(range(len(flags)), enumerate(LIMBS)):
        places, drawn = slow_limb(
            limb,
            *((body.keypoints[n].numpy(), body.visible[n].numpy()) for body in (source, target)),
        )
        assert bones.known[n, b] == drawn
        if drawn:
            found = torch.stack([end[n, b] for end in bones.source])
            np.testing.assert_array_equal(found.numpy(), places)
            found = torch.stack([end[n, b] for end in bones.target])
            assert torch.equal(found, target.keypoints[n, list(limb)])
    for body, widths in ((source, bones.source_width), (target, bones.target_width)):
        for end, joints in zip(widths, zip(*LIMBS, strict=True), strict=True):
            expected = torch.tensor([WIDTHS[k] for k in joints]) * body.radius[:, None]
            torch.testing.assert_close(end, expected)
    for end, joints in zip(bones.caps, zip(*LIMBS, strict=True), strict=True):
        torch.testing.assert_close(end[0], torch.tensor([TIPS.get(k, 0.0) for k in joints]))
    assert bones.rounded.all()
    assert (bones.side == 1).all()


def test_no_limbs_are_no_bones():
    bones = limb_bones(bodies(every_forearm()), bodies(every_forearm()), COCO, [])
    assert bones.known.shape == bones.source.start.shape[:2] == bones.caps.end.shape == (243, 0)
