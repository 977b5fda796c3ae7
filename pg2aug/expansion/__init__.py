"""Offline expansion of a dataset: new images and a COCO file."""

from pg2aug.expansion.plan.plan import Plan, PlanRequest, make_draws, make_plan
from pg2aug.expansion.sources.filter import SourceFilter
from pg2aug.expansion.sources.images import ImageFolder
from pg2aug.expansion.sources.sources import Sources, load_sources
from pg2aug.expansion.work.attempts import Attempt, Job, Refused, Synthesised
from pg2aug.expansion.work.pipeline import Progress
from pg2aug.expansion.work.ranks import Ranks
from pg2aug.expansion.work.run import Output, expand
from pg2aug.expansion.write.coco import expansion_info
from pg2aug.expansion.write.merge import Summary

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
