"""From which side a camera sees a body: front, side or back, from 2-D joints."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pg2aug.poses.skeleton import Skeleton

FRONTAL_WIDTH = 0.55
"""Mean of shoulder and hip width over the length of the spine, of a body seen from the front."""


def view_angles(
    keypoints: npt.NDArray[Any], visible: npt.NDArray[Any], skeleton: Skeleton
) -> npt.NDArray[np.float64]:
    """Angle between where a chest faces and where the camera is, about the body's own spine.

    Left and right shoulder, and left and right hip, lie one way across the spine in a front view,
    on one another in a side view, the other way in a back view: the signed width by that of a front
    view is the angle's cosine. Up is where the shoulders are, so that it holds upside down.

    It does not tell the left side from the right one. It rests on sides being annotated rightly.
    Broad people look more, narrow ones less frontal; a spine that points at the camera (bending
    towards it, lying with the feet to it) leaves little to measure, and gives 0 or 180 too often.

    Args:
        keypoints: ``(N, K, 2)``, pixels, y down.
        visible: ``(N, K)``, greater than 0 where labelled.
        skeleton: Of K joints.

    Returns:
        ``(N,)`` float64, degrees from 0 (front) over 90 (either side) to 180 (back); NaN where the
        torso has no extent or is not labelled.
    """
    if not skeleton.torso:
        return np.full(len(keypoints), np.nan)
    torso = list(skeleton.torso)
    whole = (np.asarray(visible)[:, torso] > 0).all(axis=1)
    corners = np.where(whole[:, None, None], np.asarray(keypoints, np.float64)[:, torso], 0.0)
    left_shoulder, right_shoulder, right_hip, left_hip = corners.transpose(1, 0, 2)
    spine = (left_shoulder + right_shoulder - left_hip - right_hip) / 2
    # Unit vector to the person's left in a front view, in an image whose y points down.
    length = np.linalg.norm(spine, axis=1)
    across = np.stack([-spine[:, 1], spine[:, 0]], axis=1) / np.maximum(length, 1e-9)[:, None]
    width = (left_shoulder - right_shoulder + left_hip - right_hip) / 2
    cosine = (width * across).sum(axis=1) / np.maximum(FRONTAL_WIDTH * length, 1e-9)
    angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return np.where(whole & ((length > 0) | (np.linalg.norm(width, axis=1) > 0)), angles, np.nan)
