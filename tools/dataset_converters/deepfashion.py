"""Convert DeepFashion In-shop and its poses to COCO keypoints with identities, and pairs.

Writes person_keypoints.json, pairs.csv and report.json into DIR. IMAGE_DIR may be the download's
folder img, as it is (img/WOMEN/Dresses/id_00000002/02_1_front.jpg), or one of images under the
names of the annotations (fashionWOMENDressesid0000000202_1front.jpg): nothing need be renamed.
Joints are OpenPose's 18.
"""

import sys

from pg2aug.datasets.reid.command import run_converter
from pg2aug.datasets.reid.formats import DEEPFASHION


def main(argv: list[str] | None = None) -> int:
    return run_converter(DEEPFASHION, str(__doc__), argv)


if __name__ == '__main__':
    sys.exit(main())
