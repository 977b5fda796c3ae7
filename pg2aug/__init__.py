"""Pose Guided Person Image Generation (PG2) as data augmentation for MMPose."""

from pg2aug.version import __version__

__all__ = ['__version__']
