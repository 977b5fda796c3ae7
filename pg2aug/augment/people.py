"""Who else is in an image: everybody's pose by image, from a COCO keypoint file."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from pg2aug.poses import Skeleton, check_same_joints, describe_differences
from pg2aug.poses.read.categories import keypoint_categories
from pg2aug.poses.read.coco import keypoint_values
from pg2aug.poses.read.keypoint_file import as_read
from pg2aug.poses.same_person import annotated_boxes, annotated_twice, same_person
from pg2aug.utils.files import load_json

People = NDArray[np.float32]
"""(P, K, 3): x and y in image pixels and COCO's flag (0 unlabelled, 1 hidden, 2 seen)."""


class PeopleFile:
    """Everybody in the images of a COCO keypoint file, in a few flat arrays.

    Forked workers share the arrays: reading them writes to no page, as reading Python objects does.

    Args:
        content: A COCO keypoint file's content. People without labelled joints and crowds are left
            out, for their outlines are not known, and so are people of categories with another
            number of joints, beside one with K. No categories are needed.
        skeleton: Of K joints. Joints that the file names otherwise are told in a warning and taken
            for the skeleton's, as MMPose's data sets take them.
        context: Names the file in errors.

    Raises:
        ValueError: If it is no COCO keypoint file, or has another number of joints.
    """

    def __init__(self, content: Mapping[str, Any], skeleton: Skeleton, context: str) -> None:
        missing = {'images', 'annotations'} - set(content)
        if missing:
            raise ValueError(f'{context} is no COCO keypoint file: it has no {sorted(missing)}')
        content = as_read(content, context)
        annotations = [a for a in content['annotations'] if _is_posed(a)]
        # As MMPose's data sets, this needs no categories.
        categories = content.get('categories') or []
        meant = keypoint_categories(categories, context, skeleton.keypoint_names)
        others = {c.get('id') for c in categories} - {c.get('id') for c in meant}
        annotations = [a for a in annotations if a.get('category_id') not in others]
        count, width = skeleton.num_keypoints, 3 * skeleton.num_keypoints
        # The category of COCO-WholeBody names the joints of the body alone.
        whole_body = any(len(keypoint_values(a, count)) > len(a['keypoints']) for a in annotations)
        if not whole_body:
            _check_joints(meant, skeleton, context)
        wrong = [a.get('id') for a in annotations if len(keypoint_values(a, count)) != width]
        if wrong:
            raise ValueError(
                f'{context}: annotation {wrong[0]} does not have {width} keypoint values'
            )
        images = sorted(content['images'], key=lambda image: image['id'])
        annotations.sort(key=lambda annotation: annotation['image_id'])
        self.joints = skeleton.keypoint_names
        annotations = self._annotated_once(annotations, context)
        values = [keypoint_values(a, count) for a in annotations]
        self.people: People = np.array(values, np.float32).reshape(-1, count, 3)
        self.boxes = annotated_boxes(annotations)
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

    def _annotated_once(
        self, annotations: Sequence[Mapping[str, Any]], context: str
    ) -> list[Mapping[str, Any]]:
        """The annotations without those of people who are annotated before; tells how many."""
        count = len(self.joints)
        people = np.array([keypoint_values(a, count) for a in annotations], np.float32)
        images, boxes = [a['image_id'] for a in annotations], annotated_boxes(annotations)
        people = people.reshape(-1, count, 3)
        doubles = {later for later, _ in annotated_twice(people, images, self.joints, boxes)}
        if doubles:
            first = annotations[min(doubles)].get('id')
            print_log(
                f'{context}: {len(doubles)} annotations, such as {first}, are of people who are '
                'annotated twice; they count once',
                logger='current',
                level=logging.WARNING,
            )
        return [a for k, a in enumerate(annotations) if k not in doubles]

    def of(self, results: Mapping[str, Any]) -> People:
        """The other people in the image of a sample.

        The sample's person is told by its keypoints, and so is a second annotation of the same:
        see :func:`pg2aug.poses.same_person.same_person`.

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
        here = slice(self.starts[index], self.ends[index])
        left, top, right, bottom = results['bbox'][0]
        box = np.array([left, top, right - left, bottom - top])
        visible = np.asarray(results['keypoints_visible'][0]).reshape(len(self.joints), -1)
        person = np.concatenate([results['keypoints'][0], visible[:, :1]], axis=1)
        same = same_person(self.people[here], person, self.joints, self.boxes[here], box)
        return _with_flags(self.people[here])[~same]


def other_people(
    annotations: Sequence[Mapping[str, Any]], person: Mapping[str, Any], names: Sequence[str]
) -> People:
    """The people of COCO annotations who are others than that of one of them.

    Crowds, people without labelled joints and things of other joints are left out.

    Args:
        annotations: All of an image.
        person: Of K joints.
        names: Of the K joints.
    """
    count = len(names)
    posed = [a for a in annotations if _is_posed(a) and len(keypoint_values(a, count)) == 3 * count]
    values = [keypoint_values(a, count) for a in (*posed, person)]
    people = np.array(values, np.float32).reshape(-1, count, 3)
    boxes = annotated_boxes([*posed, person])
    keep = ~same_person(people[:-1], people[-1], names, boxes[:-1], boxes[-1])
    keep[[later for later, _ in annotated_twice(people[:-1], [0] * len(posed), names, boxes)]] = (
        False
    )
    return _with_flags(people[:-1])[keep]


def _with_flags(people: People) -> People:
    if not (people[..., 2] > 1).any():
        # Flags of 0 and 1 alone say nothing about who is hidden.
        people = people.copy()
        people[..., 2] *= 2
    return people


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
