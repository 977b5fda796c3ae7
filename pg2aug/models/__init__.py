"""PG2's networks, rasterisation and losses."""

from pg2aug.models.discriminator import Discriminator
from pg2aug.models.generators import PoseIntegrationGenerator, RefinementGenerator
from pg2aug.models.limbs.bones import Body
from pg2aug.models.limbs.generator import LimbWarpGenerator
from pg2aug.models.limbs.warp import limb_warp
from pg2aug.models.losses import adversarial_loss, masked_l1, matte_l1
from pg2aug.models.pg2 import PG2
from pg2aug.models.preprocessor import PG2DataPreprocessor
from pg2aug.models.rasterize import keypoint_heatmaps, pose_mask

__all__ = [
    'PG2',
    'Body',
    'Discriminator',
    'LimbWarpGenerator',
    'PG2DataPreprocessor',
    'PoseIntegrationGenerator',
    'RefinementGenerator',
    'adversarial_loss',
    'keypoint_heatmaps',
    'limb_warp',
    'masked_l1',
    'matte_l1',
    'pose_mask',
]
