"""Who else is in an image: everybody's pose by image, from a COCO keypoint file."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from pg2aug.poses import Skeleton, check_same_joints, describe_differences
from pg2aug.poses.read.coco import keypoint_values
from pg2aug.utils.files import load_json

SAME_PX = 1.5
"""Distance within which all joints of two annotations lie where both are of the same person.

Data sets may move the joints that they read: MMPose's JhmdbDataset counts pixels from 0.
"""

People = NDArray[np.float32]
"""(P, K, 3): x and y in image pixels and COCO's flag (0 unlabelled, 1 hidden, 2 seen)."""


class PeopleFile:
    """Everybody in the images of a COCO keypoint file, in a few flat arrays.

    Forked workers share the arrays: reading them writes to no page, as reading Python objects does.

    Args:
        content: A COCO keypoint file's content. People without labelled joints and crowds are left
            out, for their outlines are not known.
        skeleton: Of K joints. Joints that the file names otherwise are told in a warning and taken
            for the skeleton's, as MMPose's data sets take them.
        context: Names the file in errors.

    Raises:
        ValueError: If it is no COCO keypoint file, or has another number of joints.
    """

    def __init__(self, content: Mapping[str, Any], skeleton: Skeleton, context: str) -> None:
        missing = {'images', 'annotations', 'categories'} - set(content)
        if missing:
            raise ValueError(f'{context} is no COCO keypoint file: it has no {sorted(missing)}')
        annotations = [a for a in content['annotations'] if _is_posed(a)]
        count, width = skeleton.num_keypoints, 3 * skeleton.num_keypoints
        # The category of COCO-WholeBody names the joints of the body alone.
        whole_body = any(len(keypoint_values(a, count)) > len(a['keypoints']) for a in annotations)
        if not whole_body:
            _check_joints(content['categories'], skeleton, context)
        wrong = [a.get('id') for a in annotations if len(keypoint_values(a, count)) != width]
        if wrong:
            raise ValueError(
                f'{context}: annotation {wrong[0]} does not have {width} keypoint values'
            )
        images = sorted(content['images'], key=lambda image: image['id'])
        annotations.sort(key=lambda annotation: annotation['image_id'])
        values = [keypoint_values(a, count) for a in annotations]
        self.people: People = np.array(values, np.float32).reshape(-1, count, 3)
        self.image_ids = np.array([image['id'] for image in images])
        self.file_names = np.array([image['file_name'].encode() for image in images], np.bytes_)
        owners = np.array([a['image_id'] for a in annotations], self.image_ids.dtype)
        self.starts = np.searchsorted(owners, self.image_ids, 'left')
        self.ends = np.searchsorted(owners, self.image_ids, 'right')
        self.context = context

    @classmethod
    def load(cls, path: str | Path, skeleton: Skeleton, context: str) -> 'PeopleFile':
        """Read a file; see the class.

        Raises:
            ValueError: If it is no json file; and as the class.
        """
        return cls(load_json(path, context), skeleton, context)

    def of(self, results: Mapping[str, Any]) -> People:
        """The other people in the image of a sample.

        The sample's person is told by its keypoints, and so is a second annotation of the same.

        Args:
            results: Sample of a top-down dataset, after ``LoadImage``.

        Raises:
            ValueError: If the sample's image is not in the file.
        """
        image_id, path = results.get('img_id'), str(results.get('img_path'))
        index = int(np.searchsorted(self.image_ids, image_id)) if image_id is not None else -1
        known = 0 <= index < len(self.image_ids) and self.image_ids[index] == image_id
        name = self.file_names[index].decode() if known else None
        if name is None or not f'/{path}'.endswith(f'/{name}'):
            raise ValueError(
                f'{self.context} has another image, {name!r}, or none, under the img_id '
                f'{image_id!r} of {path!r}: give the annotation file of the dataset that '
                'PG2Augment is used with'
            )
        people = self.people[self.starts[index] : self.ends[index]]
        return _but(people, results['keypoints'][0])


def other_people(annotations: Sequence[Mapping[str, Any]], keypoints: NDArray[Any]) -> People:
    """The people of COCO annotations whose pose is another than a person's keypoints (K, 2).

    Crowds, people without labelled joints and things of other joints are left out.
    """
    values = [keypoint_values(a, len(keypoints)) for a in annotations if _is_posed(a)]
    posed = [v for v in values if len(v) == 3 * len(keypoints)]
    return _but(np.array(posed, np.float32).reshape(-1, len(keypoints), 3), keypoints)


def _but(people: People, keypoints: NDArray[Any]) -> People:
    if not (people[..., 2] > 1).any():
        # Flags of 0 and 1 alone say nothing about who is hidden.
        people = people.copy()
        people[..., 2] *= 2
    apart = np.abs(people[..., :2] - np.asarray(keypoints, np.float32))
    # What is unlabelled may be NaN.
    return people[(apart > SAME_PX).any(axis=(1, 2))]


def _check_joints(
    categories: Sequence[Mapping[str, Any]], skeleton: Skeleton, context: str
) -> None:
    """Raise ValueError for another number of joints, warn of other names."""
    # Data sets of animals have many categories of the same joints.
    for names in dict.fromkeys(tuple(c['keypoints']) for c in categories if c.get('keypoints')):
        if len(names) != skeleton.num_keypoints:
            check_same_joints(skeleton, names, context)
        elif differences := describe_differences(skeleton, names):
            print_log(
                f'{context} names joints otherwise: {differences}; they are taken for the same, as '
                'the data set in training takes them. Give another file if that is not so',
                logger='current',
                level=logging.WARNING,
            )


def _is_posed(annotation: Mapping[str, Any]) -> bool:
    values = annotation.get('keypoints') or ()
    return any(values[2::3]) and not annotation.get('iscrowd')
