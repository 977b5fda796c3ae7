"""Offline expansion of a dataset: new images and a COCO file."""

from pg2aug.expansion.attempts import Attempt, Job, Refused, Synthesised, draw_attempt, run_attempts
from pg2aug.expansion.coco import expansion_info
from pg2aug.expansion.run import Summary, expand
from pg2aug.expansion.sources import Sources, load_sources

__all__ = [
    'Attempt',
    'Job',
    'Refused',
    'Sources',
    'Summary',
    'Synthesised',
    'draw_attempt',
    'expand',
    'expansion_info',
    'load_sources',
    'run_attempts',
]
