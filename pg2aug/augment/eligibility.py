"""Which persons and which poses there is something to synthesise from."""

import logging
from functools import lru_cache
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from pg2aug.poses import PoseBank, Skeleton, check_same_joints, typical_proportions, view_angles
from pg2aug.poses.read.coco import BUILD_A_BANK

Body = tuple[NDArray[Any], NDArray[np.bool_]]
"""Joints (K, 2) in pixels and which of them are labelled (K,)."""

MIN_EXTENT_PX = 16
"""Least size, larger side of the box around its joints, of a person and of a fitted pose."""

# Share of unused poses from which on it is no accident but another skeleton.
_MANY = 0.25


class UnsuitableError(ValueError):
    """This person, or this pose for this person, is nothing to synthesise from; says why."""


class UnsuitablePersonError(UnsuitableError):
    """This person is nothing to synthesise from, in whatever pose; says why."""


def check_source(visible: NDArray[Any], skeleton: Skeleton, min_visible: int) -> None:
    """Raise UnsuitablePersonError unless enough of a person is labelled to remove it.

    A limb of which one end alone is labelled would stay in the picture, beside the new pose.

    Args:
        visible: (K,), greater than 0 where labelled.
        skeleton: Skeleton of K joints.
        min_visible: Least number of labelled joints.
    """
    labelled = np.asarray(visible) > 0
    if labelled.sum() < min_visible:
        raise UnsuitablePersonError(
            f'{int(labelled.sum())} labelled joints, fewer than {min_visible}'
        )
    if skeleton.torso and not labelled[list(skeleton.torso)].all():
        raise UnsuitablePersonError('the torso is not labelled')
    if skeleton.head and not labelled[list(skeleton.head)].any():
        raise UnsuitablePersonError('no joint of the head is labelled')
    for a, b in skeleton.limbs:
        if labelled[a] != labelled[b] and not {a, b} & set(skeleton.head):
            name = skeleton.keypoint_names[b if labelled[a] else a]
            raise UnsuitablePersonError(f'{name} is not labelled: where a limb is cannot be told')


def drawn_joints(visible: NDArray[Any], skeleton: Skeleton) -> NDArray[np.bool_]:
    """Which labelled joints of poses (..., K) a drawn part of the body reaches: (..., K) bool.

    A limb is drawn where both of its ends are labelled: at a wrist without its elbow nothing is.
    Joints of torso and head are reached, for no pose is drawn without these.
    """
    labelled = np.asarray(visible) > 0
    linked, always = _links(skeleton)
    drawn: NDArray[np.bool_] = labelled & (always | labelled @ linked)
    return drawn


@lru_cache(maxsize=16)
def _links(skeleton: Skeleton) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which joints a limb links (K, K), and which belong to torso or head (K,)."""
    linked = np.zeros((skeleton.num_keypoints, skeleton.num_keypoints), bool)
    for a, b in skeleton.limbs:
        linked[a, b] = linked[b, a] = True
    always = np.isin(np.arange(len(linked)), [*skeleton.torso, *skeleton.head])
    return linked, always


def suitable_targets(visible: NDArray[Any], skeleton: Skeleton, min_visible: int) -> NDArray[Any]:
    """Which poses (N, K) of a bank show enough of a person to be drawn: (N,) bool.

    The rule of :func:`check_source`, but that limbs may be cut off: nothing has to be removed.
    """
    labelled = np.asarray(visible) > 0
    enough = drawn_joints(visible, skeleton).sum(axis=1) >= min_visible
    if skeleton.torso:
        enough &= labelled[:, list(skeleton.torso)].all(axis=1)
    if skeleton.head:
        enough &= labelled[:, list(skeleton.head)].any(axis=1)
    return enough


def restrict_bank(bank: PoseBank, skeleton: Skeleton, min_visible: int, context: str) -> PoseBank:
    """The bank, with the same indices, drawing suitable poses of the skeleton's joints alone.

    Args:
        bank: Bank of target poses.
        skeleton: Skeleton of the generator.
        min_visible: Least number of labelled joints of a target pose.
        context: Names the bank in errors.

    Raises:
        ValueError: If the bank has other joints, or no suitable pose. Poses left out while others
            remain are counted in the log.
    """
    check_same_joints(skeleton, bank.skeleton, context, BUILD_A_BANK)
    suitable = suitable_targets(bank.visible, skeleton, min_visible)
    needed = f'a pose must show a torso, a head and at least min_visible={min_visible} joints'
    remedy = _remedy(skeleton, min_visible)
    try:
        restricted = bank.restrict(suitable)
    except ValueError as error:
        raise ValueError(f'{context}: {error}; {needed}{remedy}') from error
    drawable = int((bank.weights > 0).sum())
    unused = drawable - int((restricted.weights > 0).sum())
    if unused:
        many = unused > _MANY * drawable
        print_log(
            f'{context}: {unused} of {drawable} drawable poses are not used; {needed}'
            + (remedy if many else ''),
            logger='current',
            level=logging.WARNING if many else logging.INFO,
        )
    return restricted


def _remedy(skeleton: Skeleton, min_visible: int) -> str:
    """What to do about too few joints, or poses of a data set that marks heads by other joints."""
    if min_visible > skeleton.num_keypoints:
        return (
            f', and the skeleton has {skeleton.num_keypoints} joints: set min_visible to at most '
            f'{skeleton.num_keypoints}'
        )
    head = [skeleton.keypoint_names[k] for k in skeleton.head]
    if not head:
        return ''
    example = ', e.g. nose=upper_neck+head_top' if 'nose' in head else ''
    return (
        f'. Poses of a data set without a joint of this head ({", ".join(head)}) need one made '
        f'when the bank is built: pg2aug bank --map{example}'
    )


def bank_proportions(bank: PoseBank, skeleton: Skeleton) -> NDArray[np.float64]:
    """Typical proportions (S,) of the bodies in a bank's drawable poses, for ``plan_person``."""
    drawable = bank.weights > 0
    return typical_proportions(bank.keypoints[drawable], bank.visible[drawable], skeleton)


def check_view(source: Body, pose: Body, skeleton: Skeleton, max_change: float) -> None:
    """Raise UnsuitableError where a pose shows a person from too different a side.

    Args:
        source: The person's joints in pixels.
        pose: Those of the pose.
        skeleton: Skeleton of K joints.
        max_change: Largest difference of :func:`pg2aug.poses.view_angles`, degrees.
    """
    keypoints, visible = (np.stack(arrays) for arrays in zip(source, pose, strict=True))
    before, after = view_angles(keypoints, visible, skeleton).tolist()
    # Not the other way round: a comparison with NaN, a view that is not known, is False.
    if not abs(after - before) <= max_change:
        raise UnsuitableError(
            f'seen from {before:.0f} degrees (0 is the front), the pose is from {after:.0f}'
        )


def check_size(person: Body) -> None:
    """Raise UnsuitablePersonError if a person, by its joints in pixels, is too small."""
    extent = _extent(person)
    if extent < MIN_EXTENT_PX:
        raise UnsuitablePersonError(f'the person is too small: {extent:.0f} pixels')


def check_fit(fitted: Body, skeleton: Skeleton) -> None:
    """Raise UnsuitableError unless a fitted pose is of a size and at a place to be synthesised.

    Args:
        fitted: Its joints in pixels of the image; visible are those labelled and inside the image.
        skeleton: Skeleton of K joints.
    """
    extent = _extent(fitted)
    if extent < MIN_EXTENT_PX:
        raise UnsuitableError(f'the fitted pose is too small: {extent:.0f} pixels')
    shown = fitted[1]
    if skeleton.torso and not shown[list(skeleton.torso)].all():
        raise UnsuitableError('the fitted pose is too large: its torso is not all in the image')
    if skeleton.head and not shown[list(skeleton.head)].any():
        raise UnsuitableError('the fitted pose is too large: its head is not in the image')


def _extent(body: Body) -> float:
    joints = np.asarray(body[0])[body[1]]
    return float(np.ptp(joints, axis=0).max()) if len(joints) else 0.0
