"""Pose Guided Person Image Generation (PG2) as data augmentation for MMPose."""

from importlib.util import find_spec

from pg2aug.compat import allow_runner_checkpoints, install_mmcv_ops_standins
from pg2aug.version import __version__

__all__ = ['__version__']

allow_runner_checkpoints()

# MMCV and MMPose are no requirement: without them PG2 can be used from Python, not from MMPose.
if find_spec('mmcv') is not None and find_spec('mmpose') is not None:
    install_mmcv_ops_standins()
    # Makes `custom_imports = dict(imports=['pg2aug'])` register what users write in configs.
    from pg2aug import augment as _augment  # noqa: F401
