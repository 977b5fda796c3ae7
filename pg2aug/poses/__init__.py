"""Poses in pure NumPy: skeletons, the pose bank, fitting a pose to a person."""

from pg2aug.poses.bank.pose_bank import PoseBank
from pg2aug.poses.fitting import fit_pose
from pg2aug.poses.frame import (
    BOX_MARGIN,
    check_affine_joints,
    inside_image,
    keypoints_bbox,
    recover_affine,
    recover_affines,
    shift_into_image,
    shrink_into_image,
)
from pg2aug.poses.retarget import typical_proportions
from pg2aug.poses.scale import person_limb_radius
from pg2aug.poses.skeleton import Skeleton, check_same_joints, describe_differences
from pg2aug.poses.view import view_angles

__all__ = [
    'BOX_MARGIN',
    'PoseBank',
    'Skeleton',
    'check_affine_joints',
    'check_same_joints',
    'describe_differences',
    'fit_pose',
    'inside_image',
    'keypoints_bbox',
    'person_limb_radius',
    'recover_affine',
    'recover_affines',
    'shift_into_image',
    'shrink_into_image',
    'typical_proportions',
    'view_angles',
]
