"""Augmentation: the transform that decides, the synthesizer that does, the hook between them.

Without MMPose there is neither transform nor hook; the rest is used from Python.
"""

from typing import NoReturn

from pg2aug.augment.checks.label_check import AppearanceCheck, LabelCheck, Synthesis
from pg2aug.augment.checks.pose_model_check import PoseModelCheck
from pg2aug.augment.eligibility import UnsuitableError
from pg2aug.augment.generator_file import GeneratorFile
from pg2aug.augment.person_plan import PersonPlan, plan_person
from pg2aug.augment.synthesis.synthesizer import Result, Synthesizer
from pg2aug.augment.synthesis.whole_image import synthesize_in_image, synthesize_in_images
from pg2aug.compat import mmpose_is_installed

if mmpose_is_installed():
    from pg2aug.augment.hook import PG2Hook
    from pg2aug.augment.transform import PG2Augment
else:

    def __getattr__(name: str) -> NoReturn:
        if name not in ('PG2Augment', 'PG2Hook'):
            raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
        raise ImportError(
            f"{__name__}.{name} is a part of MMPose's pipelines and trainings: install mmpose and "
            "mmcv, for example by pip install 'pg2aug[mmpose]'"
        )


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
