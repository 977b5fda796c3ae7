"""Augmentation: the transform that decides, the synthesizer that does, the hook between them."""

from pg2aug.augment.checks.label_check import AppearanceCheck, LabelCheck, Synthesis
from pg2aug.augment.checks.pose_model_check import PoseModelCheck
from pg2aug.augment.eligibility import UnsuitableError
from pg2aug.augment.generator_file import GeneratorFile
from pg2aug.augment.hook import PG2Hook
from pg2aug.augment.person_plan import PersonPlan, plan_person
from pg2aug.augment.synthesis.synthesizer import Result, Synthesizer
from pg2aug.augment.synthesis.whole_image import synthesize_in_image, synthesize_in_images
from pg2aug.augment.transform import PG2Augment

__all__ = [
    'AppearanceCheck',
    'GeneratorFile',
    'LabelCheck',
    'PG2Augment',
    'PG2Hook',
    'PersonPlan',
    'PoseModelCheck',
    'Result',
    'Synthesis',
    'Synthesizer',
    'UnsuitableError',
    'plan_person',
    'synthesize_in_image',
    'synthesize_in_images',
]
