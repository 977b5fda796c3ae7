"""The COCO entries of new images."""

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pg2aug.augment.generator_file import GeneratorFile
from pg2aug.augment.plan import Plan
from pg2aug.augment.synthesizer import PERSON_RADIUS
from pg2aug.expansion.attempts import Synthesised
from pg2aug.expansion.files import file_sha256
from pg2aug.expansion.neighbours import hidden_joints
from pg2aug.expansion.sources import Annotation, Sources
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses import Skeleton
from pg2aug.version import __version__

DESCRIPTION = 'persons synthesised in new poses by pg2aug'
IDENTITY_KEYS = ('person_id', 'track_id')


class CocoEntries:
    """The images and annotations of a new COCO file, numbered from 1 as they are added.

    Args:
        sources: What is expanded.
        skeleton: Skeleton of K joints.
        seed: Of the expansion, for provenance.
        generator: File name of the generator's checkpoint, or its type, for provenance.
    """

    def __init__(self, sources: Sources, skeleton: Skeleton, seed: int, generator: str) -> None:
        self.sources = sources
        self.skeleton = skeleton
        self.provenance = {'seed': seed, 'generator': generator}
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self._annotation_ids = count(1)

    def add(self, made: Synthesised, file_name: str) -> None:
        """Add a new image: the synthesised person, and what is still to be seen of everyone else.

        The image's entry is that of the source, its licence and attribution with it.
        """
        person = self.sources.persons[made.attempt.person]
        source = self.sources.images[person['image_id']]
        height, width = made.image.shape[:2]
        image_id = len(self.images) + 1
        own = {'id': image_id, 'file_name': file_name, 'width': width, 'height': height}
        origin = {'source_image_id': source['id'], 'source_file_name': source['file_name']}
        self.images.append({**source, **own, 'pg2aug': origin})
        for annotation in made.annotations:
            entry = self._person(made, person) if annotation is person else dict(annotation)
            entry |= {'id': next(self._annotation_ids), 'image_id': image_id}
            self.annotations.append(entry)

    def content(self, info: Mapping[str, Any]) -> dict[str, Any]:
        """The COCO file."""
        source = self.sources.content
        return {
            'info': dict(info),
            'licenses': source.get('licenses', []),
            'images': self.images,
            'annotations': self.annotations,
            'categories': source['categories'],
        }

    def _person(self, made: Synthesised, person: Annotation) -> dict[str, Any]:
        attempt = {'attempt': made.attempt.number, 'target_pose': made.attempt.pose}
        kept = {key: person[key] for key in ('category_id', *IDENTITY_KEYS) if key in person}
        origin = {'source_annotation_id': person['id'], **attempt, **self.provenance}
        origin['failed_joints'] = failed_joints(made, self.skeleton)
        label = person_label(made, self.skeleton)
        if person.get('segmentation') is not None:
            # MMPose's bottom-up mode fails on images where some people have one and others none.
            label['segmentation'] = _outlines(made.plan, self.skeleton)
        return {**kept, **label, 'pg2aug': origin}


def person_label(made: Synthesised, skeleton: Skeleton) -> dict[str, Any]:
    """COCO's description of a synthesised person: keypoints, box, area, all of the new pose.

    Joints that passed the label check are visible (2), or hidden (1) where somebody else stays in
    front of them; all others are unlabelled (0).
    """
    triples: list[float | int] = []
    places = made.plan.target_keypoints.tolist()
    flags = np.where(made.joints_ok, np.where(hidden_joints(made.plan, skeleton), 1, 2), 0)
    for (x, y), flag in zip(places, flags.tolist(), strict=True):
        triples += [round(x, 2), round(y, 2), flag] if flag else [0, 0, 0]
    left, top, right, bottom = made.plan.bbox.tolist()
    return {
        'keypoints': triples,
        'num_keypoints': int(made.joints_ok.sum()),
        'bbox': [round(value, 2) for value in (left, top, right - left, bottom - top)],
        'area': float(_body_area(made.plan, skeleton)),
        'iscrowd': 0,
    }


def failed_joints(made: Synthesised, skeleton: Skeleton) -> dict[str, list[float]]:
    """Where the new pose has the joints that failed the label check, which its label leaves out."""
    failed = (made.plan.target_visible > 0) & ~made.joints_ok
    places = np.round(made.plan.target_keypoints.astype(float), 2).tolist()
    return {skeleton.keypoint_names[k]: places[k] for k in np.flatnonzero(failed).tolist()}


def expansion_info(
    sources: Sources,
    generator: GeneratorFile,
    config: str | None,
    pose_bank: str,
    **settings: Any,
) -> dict[str, Any]:
    """The ``info`` of the new COCO file: what it was made with. No time: same seed, same bytes.

    Files are named without their folders, which mean nothing to others. A generator that needed no
    training has no ``config``: it is described by its type and the size of its crops.
    """
    return {
        'description': DESCRIPTION,
        'version': __version__,
        'source': sources.path.name,
        'source_info': sources.content.get('info', {}),
        'generator': _described_generator(generator, config),
        'pose_bank': {'file': Path(pose_bank).name, 'sha256': file_sha256(pose_bank)},
        **settings,
    }


def described_check(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A label check's config for the ``info``: files by their names and contents."""
    if check is None:
        return None
    return {
        key: {'file': Path(value).name, 'sha256': file_sha256(value)}
        if isinstance(value, str) and Path(value).is_file()
        else value
        for key, value in check.items()
    }


def _described_generator(generator: GeneratorFile, config: str | None) -> dict[str, Any]:
    if config is None:
        return {
            'type': generator.source,
            'size': list(generator.size),
            'padding': generator.padding,
        }
    return {
        'config': Path(config).name,
        'checkpoint': Path(generator.source).name,
        'checkpoint_sha256': file_sha256(generator.source),
    }


def _body_area(plan: Plan, skeleton: Skeleton) -> int:
    """Pixels of the new body's mask within the person's box."""
    return int(_body_mask(plan, skeleton).sum())


def _outlines(plan: Plan, skeleton: Skeleton) -> list[list[float]]:
    """COCO polygons around the new body's mask; what is one or two pixels large has none."""
    corner = np.floor(plan.bbox[:2]).astype(int)
    mask = _body_mask(plan, skeleton).astype(np.uint8)
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
    outlines = [(outline[:, 0] + corner).ravel().tolist() for outline in found if len(outline) > 2]
    left, top, right, bottom = plan.bbox.tolist()
    return outlines or [[left, top, right, top, right, bottom, left, bottom]]


def _body_mask(plan: Plan, skeleton: Skeleton) -> NDArray[np.bool_]:
    """The new body in the person's box, whose corner is taken down to a whole pixel."""
    left, top, right, bottom = plan.bbox
    corner = np.floor([left, top]).astype(np.float32)
    shape = int(np.ceil(bottom - corner[1])), int(np.ceil(right - corner[0]))
    mask = body_alpha(
        torch.from_numpy(plan.target_keypoints - corner)[None],
        torch.from_numpy(plan.target_drawn)[None],
        shape,
        skeleton,
        torch.from_numpy(plan.limb_radius * PERSON_RADIUS),
    )
    return np.asarray(mask[0, 0].numpy() > 0.5)
