"""Reading arrays of 3-D keypoints, as motion capture gives them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pg2aug.poses.scale import Array, Mask

# MMPose's converter writes Human3.6M files with this array; MMPose's h36m.py has the names.
_H36M_KEY = 'S'
_H36M_NAMES = (
    *('root', 'right_hip', 'right_knee', 'right_foot', 'left_hip', 'left_knee', 'left_foot'),
    *('spine', 'thorax', 'neck_base', 'head', 'left_shoulder', 'left_elbow', 'left_wrist'),
    *('right_shoulder', 'right_elbow', 'right_wrist'),
)


def read_keypoints_3d(
    path: str | Path, names: Sequence[str] | None = None
) -> tuple[Array, Mask, tuple[str, ...]]:
    """Read 3-D poses from a ``.npz`` or ``.npy``.

    The array is ``(N, K, 3)``, or ``(T, P, K, 3)`` for P persons over T frames; with a fourth
    coordinate, joints where it is 0 are unlabelled, and so are joints that are not finite. In an
    ``.npz`` it is called ``keypoints_3d``, and ``keypoint_names`` (K strings) names the joints; or
    it is called ``S``, as in the Human3.6M files that MMPose's converter writes.

    Args:
        path: The file.
        names: The K joints, whatever the file calls them.

    Returns:
        Keypoints ``(N, K, 3)`` float64 in the file's unit, 0 where unlabelled; visible ``(N, K)``
        bool; and the names.

    Raises:
        ValueError: If there is no such array, its shape is another, or nothing names the joints.
    """
    array, found = _load(path)
    names = tuple(map(str, names if names is not None else found))
    if array.ndim not in (3, 4) or array.shape[-1] not in (3, 4):
        raise ValueError(f'{path} must hold (N, K, 3) or (T, P, K, 3) keypoints, got {array.shape}')
    if not names:
        raise ValueError(
            f"{path} does not name its {array.shape[-2]} joints: add 'keypoint_names' to the .npz, "
            "or give an MMPose metainfo as 'FILE::METAINFO'"
        )
    if len(names) != array.shape[-2]:
        raise ValueError(f'{path} has {array.shape[-2]} joints, but {len(names)} names: {names}')
    poses = array.reshape(-1, *array.shape[-2:]).astype(np.float64)
    visible = np.isfinite(poses).all(axis=-1)
    if poses.shape[-1] == 4:
        visible &= poses[..., 3] > 0
    return np.where(visible[..., None], poses[..., :3], 0.0), visible, names


def _load(path: str | Path) -> tuple[npt.NDArray[Any], Sequence[str]]:
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded, ()
    with loaded:
        key = next((key for key in ('keypoints_3d', _H36M_KEY) if key in loaded), None)
        if key is None:
            raise ValueError(
                f"{path} has no 'keypoints_3d', only {sorted(loaded.files)}: name the array so"
            )
        names: Sequence[str] = _H36M_NAMES if key == _H36M_KEY else ()
        if 'keypoint_names' in loaded:
            names = loaded['keypoint_names'].tolist()
        return loaded[key], names
