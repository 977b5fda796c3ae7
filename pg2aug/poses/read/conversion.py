"""Joints of one skeleton as joints of another, by name."""

from collections.abc import Sequence

import numpy as np

from pg2aug.poses.scale import Array, Flags
from pg2aug.poses.skeleton import joint_key

JointMapping = list[tuple[int | tuple[int, int], int]]
Substitutes = Sequence[tuple[str, tuple[str, ...]]]

# Between which joints of the skeletons without a face (MPII; AIC, CrowdPose; Human3.6M; JHMDB) the
# nose lies about in the middle.
_SKULLS = (
    ('upper_neck', 'head_top'),
    ('neck', 'head_top'),
    ('neck_base', 'head'),
    ('neck', 'head'),
)


def joint_mapping(
    source: Sequence[str], target: Sequence[str], substitutes: Substitutes = ()
) -> JointMapping:
    """Find for each joint of the target the same joint of the source.

    Joints are the same if their names are, in whatever spelling
    (:func:`pg2aug.poses.skeleton.joint_key`). What is merely near, such as MPII's ``upper_neck`` to
    a ``neck``, is not taken unless ``substitutes`` say so.

    Args:
        source: Names of the source's joints.
        target: Names of the target's joints.
        substitutes: Pairs of a target joint, for sources which do not have it, and the source joint
            to take, or the two whose middle to take. Of several for a joint, the first of which the
            source has all counts; where it has none, the joint remains without a source.

    Returns:
        Pairs of source index (or two, for their middle) and target index, in the target's order:
        what MMPose's ``KeypointConverter`` takes.

    Raises:
        ValueError: If a substitute is for no joint of the target, stands for one or two joints not,
            or two source joints have the same name.
    """
    _check_substitutes(substitutes, target)
    indices: dict[object, int] = {}
    for index, name in enumerate(source):
        if joint_key(name) in indices:
            other = source[indices[joint_key(name)]]
            raise ValueError(f'the source joints {other!r} and {name!r} have the same name')
        indices[joint_key(name)] = index
    mapping: JointMapping = []
    for index, name in enumerate(target):
        key = joint_key(name)
        choices = [(name,), *(parts for joint, parts in substitutes if joint_key(joint) == key)]
        for keys in ([joint_key(part) for part in parts] for parts in choices):
            if all(part in indices for part in keys):
                first, last = indices[keys[0]], indices[keys[-1]]
                mapping.append((first if len(keys) == 1 else (first, last), index))
                break
    return mapping


def nose_substitute(
    source: Sequence[str], target: Sequence[str]
) -> tuple[str, tuple[str, str]] | None:
    """What can stand for a nose in a source that marks the neck and the top of the head instead.

    Args:
        source: Names of the source's joints.
        target: Names of the target's joints.

    Returns:
        A pair for :func:`joint_mapping`, in the names given; None where the target has no nose, or
        the source has one or lacks such joints.
    """
    names = {joint_key(name): name for name in source}
    nose = next((name for name in target if joint_key(name) == joint_key('nose')), None)
    if nose is None or joint_key('nose') in names:
        return None
    for neck, top in _SKULLS:
        if joint_key(neck) in names and joint_key(top) in names:
            return nose, (names[joint_key(neck)], names[joint_key(top)])
    return None


def convert_joints(
    keypoints: Array, flags: Flags, mapping: JointMapping, num_keypoints: int
) -> tuple[Array, Flags]:
    """Bring poses to another skeleton with MMPose's ``KeypointConverter``.

    Args:
        keypoints: ``(N, S, 2)`` of the source.
        flags: ``(N, S)``, COCO's.
        mapping: From :func:`joint_mapping`; a middle is labelled where both joints are, and hidden
            where either is.
        num_keypoints: Joints K of the target.

    Returns:
        Keypoints ``(N, K, 2)`` float32, 0 where unlabelled, and flags ``(N, K)`` uint8. Joints
        without a source are unlabelled.
    """
    pairs = np.array([np.broadcast_to(part, 2) for part, _ in mapping], int).reshape(-1, 2)
    first, second = pairs.T
    targets = [index for _, index in mapping]
    moved = np.zeros((len(keypoints), num_keypoints, 2), np.float32)
    kept = np.zeros(moved.shape[:2], np.uint8)
    kept[:, targets] = np.minimum(flags[:, first], flags[:, second])
    clean = np.where(flags[..., None] > 0, keypoints, 0).astype(np.float32)
    moved[:, targets] = (clean[:, first] + clean[:, second]) / 2
    return np.where(kept[..., None] > 0, moved, 0), kept


def describe_mapping(source: Sequence[str], target: Sequence[str], mapping: JointMapping) -> str:
    """Say how many joints of the target have a source, which are made, and which are left over."""
    pairs = {index: np.atleast_1d(part).tolist() for part, index in mapping}
    used = {part for parts in pairs.values() for part in parts}
    made = [
        f'{target[index]} from {" and ".join(source[part] for part in parts)}'
        for index, parts in pairs.items()
        if len(parts) > 1 or joint_key(source[parts[0]]) != joint_key(target[index])
    ]
    lacking = [name for index, name in enumerate(target) if index not in pairs]
    unused = [name for index, name in enumerate(source) if index not in used]
    items = {'by substitute': made, 'unlabelled': lacking, 'not used': unused}
    return '; '.join(
        [f'{len(pairs)} of {len(target)} joints mapped']
        + [f'{title}: {", ".join(names)}' for title, names in items.items() if names]
    )


def _check_substitutes(substitutes: Substitutes, target: Sequence[str]) -> None:
    keys = {joint_key(name) for name in target}
    for name, parts in substitutes:
        if joint_key(name) not in keys:
            raise ValueError(f'{name!r} is no joint of the target, which has {list(target)}')
        if len(parts) not in (1, 2):
            raise ValueError(f'{name!r} needs one source joint, or two for their middle: {parts}')
