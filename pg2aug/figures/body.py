"""The body of a procedural person: a posed 3-D skeleton and the solids that hang on it.

Body frame, in body heights: x to the person's left, y up, z forward. After the view's rotation x is
to the right of the image and z towards the camera.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pg2aug.figures.identity import Identity
from pg2aug.figures.poses import Limb, Pose

Floats = NDArray[np.float64]

JOINT_NAMES = (
    'nose',
    'left_eye',
    'right_eye',
    'left_ear',
    'right_ear',
    'left_shoulder',
    'right_shoulder',
    'left_elbow',
    'right_elbow',
    'left_wrist',
    'right_wrist',
    'left_hip',
    'right_hip',
    'left_knee',
    'right_knee',
    'left_ankle',
    'right_ankle',
)
SIDES = (('left', 1.0), ('right', -1.0))

_TORSO = 0.27
_NECK_TOP = 0.318
_UPPER_ARM, _FOREARM = 0.165, 0.145
_THIGH, _SHANK = 0.245, 0.24
HEAD_RADII = (0.048, 0.066, 0.056)
HEAD_CENTRE = (0.0, 0.072, 0.012)
# Directions of the face's joints on the head's ellipsoid; the nose sticks out of it.
_FACE = {'eye': (0.36, 0.1, 0.93), 'ear': (1.0, -0.02, -0.05)}
_NOSE = (0.0, 0.062, 0.078)


@dataclass(frozen=True)
class Bone:
    """A posed segment: ``rotation`` (3, 3) and ``origin`` (3,); limbs run along -y."""

    rotation: Floats
    origin: Floats

    def at(self, *local: float) -> Floats:
        """Point (3,) of the view frame for coordinates of this bone."""
        return self.origin + self.rotation @ np.array(local)


def rotation(axis: int, degrees: float) -> Floats:
    """Right-handed rotation (3, 3) about axis 0, 1 or 2."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def pose_bones(identity: Identity, pose: Pose) -> dict[str, Bone]:
    """Forward kinematics: the bones of a person in a pose, in the view frame."""
    view = rotation(0, pose.camera_pitch) @ rotation(1, pose.yaw)
    root = Bone(view @ rotation(2, pose.roll) @ rotation(1, pose.spin), np.zeros(3))
    torso = Bone(root.rotation @ _turn(pose.torso), root.origin)
    head = Bone(torso.rotation @ _turn(pose.head), torso.at(0, _NECK_TOP, 0.006))
    bones = {'pelvis': root, 'torso': torso, 'head': head}
    for name, side in SIDES:
        arm = pose.left_arm if side > 0 else pose.right_arm
        leg = pose.left_leg if side > 0 else pose.right_leg
        shoulder = torso.at(side * identity.shoulder, _TORSO, 0)
        hip = root.at(side * identity.hip, 0, 0)
        scale = identity.arm_scale
        upper = Bone(torso.rotation @ _swing(arm, side), shoulder)
        fore = Bone(upper.rotation @ rotation(0, -arm.bend), upper.at(0, -_UPPER_ARM * scale, 0))
        thigh = Bone(root.rotation @ _swing(leg, side), hip)
        scale = identity.leg_scale
        shank = Bone(thigh.rotation @ rotation(0, leg.bend), thigh.at(0, -_THIGH * scale, 0))
        # The sole stays level as far as an ankle can bend.
        level = rotation(0, float(np.clip(leg.flex - leg.bend, -38, 28)))
        bones[f'{name}_upper_arm'], bones[f'{name}_forearm'] = upper, fore
        bones[f'{name}_hand'] = Bone(fore.rotation, fore.at(0, -_FOREARM * identity.arm_scale, 0))
        bones[f'{name}_thigh'], bones[f'{name}_shank'] = thigh, shank
        bones[f'{name}_foot'] = Bone(shank.rotation @ level, shank.at(0, -_SHANK * scale, 0))
    return bones


def joint_positions(identity: Identity, bones: dict[str, Bone]) -> tuple[Floats, Floats]:
    """The joints in the view frame and how deep each may lie below the surface and still be seen.

    Returns:
        Positions (17, 3) and depths (17,) in body heights, in the order of ``JOINT_NAMES``.
    """
    head, scale, girth = bones['head'], identity.head_scale, identity.girth
    found: dict[str, tuple[Floats, float]] = {'nose': (head.at(*np.multiply(_NOSE, scale)), 0.022)}
    for name, side in SIDES:
        for feature, direction in _FACE.items():
            unit = np.array(direction) * (side, 1, 1) / np.linalg.norm(direction)
            local = (np.array(HEAD_CENTRE) + unit * HEAD_RADII) * scale
            found[f'{name}_{feature}'] = (head.at(*local), 0.024)
        for joint, bone, depth in (
            ('shoulder', 'upper_arm', 0.068),
            ('elbow', 'forearm', 0.045),
            ('wrist', 'hand', 0.036),
            ('hip', 'thigh', 0.1),
            ('knee', 'shank', 0.06),
            ('ankle', 'foot', 0.05),
        ):
            found[f'{name}_{joint}'] = (bones[f'{name}_{bone}'].origin, depth * max(girth, 1))
    positions, depths = zip(*(found[name] for name in JOINT_NAMES), strict=True)
    return np.stack(positions), np.array(depths)


def _turn(angles: tuple[float, float, float]) -> Floats:
    forward, sideways, turn = angles
    return rotation(0, forward) @ rotation(2, -sideways) @ rotation(1, turn)


def _swing(limb: Limb, side: float) -> Floats:
    spread, twist = rotation(2, side * limb.spread), rotation(1, side * limb.twist)
    return rotation(0, -limb.flex) @ spread @ twist
