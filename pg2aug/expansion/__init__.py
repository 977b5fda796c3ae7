"""Offline expansion of a dataset: new images and a COCO file."""

from pg2aug.expansion.attempts import Attempt, Job, Refused, Synthesised
from pg2aug.expansion.coco import expansion_info
from pg2aug.expansion.images import ImageFolder
from pg2aug.expansion.merge import Summary
from pg2aug.expansion.pipeline import Progress
from pg2aug.expansion.plan import Plan, PlanRequest, make_draws, make_plan
from pg2aug.expansion.ranks import Ranks
from pg2aug.expansion.run import Output, expand
from pg2aug.expansion.source_filter import SourceFilter
from pg2aug.expansion.sources import Sources, load_sources

__all__ = [
    'Attempt',
    'ImageFolder',
    'Job',
    'Output',
    'Plan',
    'PlanRequest',
    'Progress',
    'Ranks',
    'Refused',
    'SourceFilter',
    'Sources',
    'Summary',
    'Synthesised',
    'expand',
    'expansion_info',
    'load_sources',
    'make_draws',
    'make_plan',
]
