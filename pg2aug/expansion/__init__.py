"""Offline expansion of a dataset: new images and a COCO file."""

from pg2aug.expansion.plan.expansion_plan import (
    ExpansionPlan,
    PlanRequest,
    make_draws,
    plan_expansion,
)
from pg2aug.expansion.sources.filter import SourceFilter
from pg2aug.expansion.sources.images import ImageFolder
from pg2aug.expansion.sources.sources import Sources, load_sources
from pg2aug.expansion.work.attempts import Attempt, Job, Refused, Synthesised
from pg2aug.expansion.work.items import Output
from pg2aug.expansion.work.pipeline import Progress
from pg2aug.expansion.work.ranks import Ranks
from pg2aug.expansion.work.run import expand
from pg2aug.expansion.write.coco import expansion_info
from pg2aug.expansion.write.merge import Summary

__all__ = [
    'Attempt',
    'ExpansionPlan',
    'ImageFolder',
    'Job',
    'Output',
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
    'plan_expansion',
]
