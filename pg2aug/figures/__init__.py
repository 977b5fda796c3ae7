"""Procedural people: rendered figures with identities, poses, true keypoints and true masks."""

from pg2aug.figures.body import JOINT_NAMES
from pg2aug.figures.files import (
    draw_family,
    figure_annotation,
    figure_rng,
    make_figures,
)
from pg2aug.figures.poses import COMMON_FAMILIES, RARE_FAMILIES, Pose, sample_pose
from pg2aug.figures.render import Figure, render_figure

__all__ = [
    'COMMON_FAMILIES',
    'JOINT_NAMES',
    'RARE_FAMILIES',
    'Figure',
    'Pose',
    'draw_family',
    'figure_annotation',
    'figure_rng',
    'make_figures',
    'render_figure',
    'sample_pose',
]
