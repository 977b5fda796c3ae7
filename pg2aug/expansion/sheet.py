"""What an expansion made, at a glance."""

from collections.abc import Sequence

from pg2aug.augment.whole_image import affected_window
from pg2aug.expansion.attempts import Synthesised
from pg2aug.poses import Skeleton
from pg2aug.visualization import Image, contact_sheet, draw_skeleton, skeleton_image

TITLES = ('source', 'target pose', 'result', 'result with label')
CELL = (240, 240)


def sheet_row(made: Synthesised, skeleton: Skeleton) -> list[Image]:
    """The part of an image around its new person: source, target pose, result, with label."""
    left, top, right, bottom = affected_window(made.plan)
    keypoints = made.plan.target_keypoints - [left, top]
    result = made.image[top:bottom, left:right].copy()
    pose = skeleton_image(
        (right - left, bottom - top), keypoints, made.plan.target_visible, skeleton
    )
    labelled = draw_skeleton(result, keypoints, made.joints_ok.astype(float), skeleton)
    return [made.source_image[top:bottom, left:right].copy(), pose, result, labelled]


def sheet_caption(made: Synthesised, file_name: str, decile: int) -> str:
    """One line about a new person, whose pose is of a decile of rarity."""
    passed, labelled = int(made.joints_ok.sum()), int((made.plan.target_visible > 0).sum())
    pose = f'pose {made.attempt.pose} (rarity decile {decile})'
    return f'{file_name}: {pose}, {passed} of {labelled} joints passed'


def make_sheet(rows: Sequence[Sequence[Image]], captions: Sequence[str]) -> Image:
    """Lay rows out as a contact sheet."""
    return contact_sheet(rows, TITLES, CELL, captions)
