"""Convert Market-1501 and its poses to COCO keypoints with identities, and pairs.

Writes person_keypoints.json, pairs.csv and report.json into DIR. IMAGE_DIR is the folder of the
part that the annotations are of: bounding_box_train or bounding_box_test. Joints are OpenPose's 18.
"""

import sys

from pg2aug.datasets.reid.command import run_converter
from pg2aug.datasets.reid.formats import MARKET1501


def main(argv: list[str] | None = None) -> int:
    return run_converter(MARKET1501, str(__doc__), argv)


if __name__ == '__main__':
    sys.exit(main())
