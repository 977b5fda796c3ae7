"""Augmentation: the transform that decides, the synthesizer that does, the hook between them."""

from pg2aug.augment.estimator_check import EstimatorCheck
from pg2aug.augment.generator_file import GeneratorFile
from pg2aug.augment.label_check import AppearanceCheck, LabelCheck, Synthesis
from pg2aug.augment.pg2_augment import PG2Augment
from pg2aug.augment.pg2_hook import PG2Hook
from pg2aug.augment.plan import Plan, make_plan
from pg2aug.augment.pose_model_check import PoseModelCheck
from pg2aug.augment.suitable import UnsuitableError
from pg2aug.augment.synthesizer import Result, Synthesizer
from pg2aug.augment.whole_image import synthesize_in_image, synthesize_in_images

__all__ = [
    'AppearanceCheck',
    'EstimatorCheck',
    'GeneratorFile',
    'LabelCheck',
    'PG2Augment',
    'PG2Hook',
    'Plan',
    'PoseModelCheck',
    'Result',
    'Synthesis',
    'Synthesizer',
    'UnsuitableError',
    'make_plan',
    'synthesize_in_image',
    'synthesize_in_images',
]
