"""Pose Guided Person Image Generation (PG2) as data augmentation for MMPose.

From Python, torch, MMEngine, NumPy, SciPy and OpenCV are enough for

- procedural people (:mod:`pg2aug.figures`), poses and pose banks (:mod:`pg2aug.poses`);
- PG2, its training step and the limb warp (:mod:`pg2aug.models`), with batches of your own, and the
  optimisers of its networks (:mod:`pg2aug.engine`);
- persons put into other poses: ``GeneratorFile``, ``Synthesizer``, ``plan_person`` and
  ``synthesize_in_image`` (:mod:`pg2aug.augment`);
- expanding a data set (:mod:`pg2aug.expansion`) and checking a COCO file.

MMPose and MMCV are needed by ``PG2Augment`` and ``PG2Hook``; by ``PersonPairDataset``, which reads
MMPose's data sets; and by all that asks a pose estimator: :mod:`pg2aug.estimators`,
``PoseModelCheck``, :mod:`pg2aug.annotation` and the pose fidelity of :mod:`pg2aug.evaluation`.
Without them a skeleton is described by a file of your own or by the dict in it, for MMPose's
``configs/_base_/datasets`` are not there.
"""

from pg2aug.compat import (
    allow_runner_checkpoints,
    install_mmcv_ops_standins,
    mmpose_is_installed,
)
from pg2aug.version import __version__

__all__ = ['__version__']

allow_runner_checkpoints()

if mmpose_is_installed():
    install_mmcv_ops_standins()
    # Makes `custom_imports = dict(imports=['pg2aug'])` register what users write in configs.
    from pg2aug import augment as _augment  # noqa: F401
