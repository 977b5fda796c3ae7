"""Metrics of person image synthesis, which need scikit-image, torchmetrics and torch-fidelity."""

from pg2aug.evaluation.inception import frechet_distance, inception_score, load_inception
from pg2aug.evaluation.lpips import load_lpips, lpips
from pg2aug.evaluation.pose_scores import head_boxes, oks, pckh_counts
from pg2aug.evaluation.scores import format_report
from pg2aug.evaluation.ssim import mask_ssim, ssim
from pg2aug.evaluation.synthesis_metric import SynthesisMetric

__all__ = [
    'SynthesisMetric',
    'format_report',
    'frechet_distance',
    'head_boxes',
    'inception_score',
    'load_inception',
    'load_lpips',
    'lpips',
    'mask_ssim',
    'oks',
    'pckh_counts',
    'ssim',
]
