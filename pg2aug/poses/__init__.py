"""Poses in pure NumPy: skeletons, the pose bank, fitting a pose to a person."""

from pg2aug.poses.skeleton import Skeleton, check_same_joints, describe_differences

__all__ = ['Skeleton', 'check_same_joints', 'describe_differences']
