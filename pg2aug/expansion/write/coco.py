"""The COCO entries of new images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pg2aug.augment.generator_file import GeneratorFile
from pg2aug.augment.person_plan import PersonPlan
from pg2aug.augment.synthesis.compositing import PERSON_RADIUS
from pg2aug.expansion.sources.sources import Annotation, Sources
from pg2aug.expansion.work.attempts import Synthesised
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses import Skeleton
from pg2aug.poses.read.coco import flagged_hidden
from pg2aug.utils.files import file_sha256
from pg2aug.version import __version__

DESCRIPTION = 'persons synthesised in new poses by pg2aug'
IDENTITY_KEYS = ('person_id', 'track_id')

Window = tuple[int, int, int, int]
"""Left, top, right and bottom in image pixels, the latter two exclusive."""


def new_entries(
    sources: Sources,
    made: Synthesised,
    skeleton: Skeleton,
    provenance: Mapping[str, Any],
    window: Window | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The entries of a new image and of everybody who is still to be seen in it.

    Other annotations of the new person, who is annotated twice, go with the old pose: their ids are
    ``removed_annotation_ids`` of the new person's ``pg2aug``.

    The image's entry is that of the source, its licence and attribution with it; a licence that the
    source does not list is ``source_license`` under ``pg2aug``. Ids and the file name are the
    merge's to give.

    Args:
        sources: What is expanded.
        made: The new image.
        skeleton: Skeleton of K joints.
        provenance: Of all new persons.
        window: Left, top, right and bottom of the part of the image that is kept, with its person
            alone; None keeps everything.
    """
    person = sources.persons[made.attempt.person]
    source = sources.images[person['image_id']]
    origin = {'source_image_id': source['id'], 'source_file_name': source['file_name']}
    doubles = [double['id'] for double in sources.doubles.get(person['id'], ())]
    removed = {'removed_annotation_ids': doubles} if doubles else {}
    new_person = _person(made, person, skeleton, {**provenance, **removed})
    if window is None:
        height, width = made.image.shape[:2]
        annotations = [new_person if a is person else _kept(a) for a in made.annotations]
    else:
        left, top, right, bottom = window
        width, height = right - left, bottom - top
        annotations = [_moved(new_person, left, top)]
        origin['window'] = [left, top, width, height]
    entry = {**source, 'width': width, 'height': height, 'pg2aug': origin}
    if 'license' in source and not sources.lists_license(source['license']):
        # Of no meaning to a reader of the file, but perhaps to whoever made the source.
        origin['source_license'] = entry.pop('license')
    return entry, annotations


def _kept(annotation: Annotation) -> dict[str, Any]:
    """Somebody who stays. What an earlier expansion says of them is not about this one."""
    kept = dict(annotation)
    if 'pg2aug' in kept:
        kept['pg2aug_before'] = kept.pop('pg2aug')
    return kept


def crop_window(plan: PersonPlan, padding: float) -> Window:
    """The part of an image around a new person: its box times ``padding``, within the image."""
    left, top, right, bottom = plan.bbox.astype(float)
    margin = np.array([right - left, bottom - top]) * (padding - 1) / 2
    low = np.maximum(np.floor(np.subtract([left, top], margin)), 0).astype(int)
    high = np.minimum(np.ceil(np.add([right, bottom], margin)) + 1, plan.image_size).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _person(
    made: Synthesised, person: Annotation, skeleton: Skeleton, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    attempt = {'item': made.attempt.item, 'attempt': made.attempt.number}
    kept = {key: person[key] for key in ('category_id', *IDENTITY_KEYS) if key in person}
    origin = {'source_annotation_id': person['id'], 'target_pose': made.attempt.pose}
    origin |= {**attempt, **provenance, 'failed_joints': failed_joints(made, skeleton)}
    # MMPose's bottom-up mode fails on images where some people have one and others none.
    label = person_label(made, skeleton, outlined=person.get('segmentation') is not None)
    return {**kept, **label, 'pg2aug': origin}


def _moved(annotation: dict[str, Any], left: int, top: int) -> dict[str, Any]:
    """A new person's annotation in the frame of a window."""
    values, (x, y, width, height) = annotation['keypoints'], annotation['bbox']
    keypoints: list[float | int] = []
    for joint in range(0, len(values), 3):
        flag = values[joint + 2]
        place = round(values[joint] - left, 2), round(values[joint + 1] - top, 2)
        keypoints += [*place, flag] if flag else [0, 0, 0]
    failed = annotation['pg2aug']['failed_joints'].items()
    moved = {name: [round(u - left, 2), round(v - top, 2)] for name, (u, v) in failed}
    new = {
        **annotation,
        'keypoints': keypoints,
        'bbox': [round(x - left, 2), round(y - top, 2), width, height],
        'pg2aug': {**annotation['pg2aug'], 'failed_joints': moved},
    }
    if 'segmentation' in annotation:
        corner = np.array([left, top])
        polygons = [np.reshape(polygon, (-1, 2)) - corner for polygon in annotation['segmentation']]
        new['segmentation'] = [polygon.round(2).ravel().tolist() for polygon in polygons]
    return new


def person_label(made: Synthesised, skeleton: Skeleton, outlined: bool = False) -> dict[str, Any]:
    """COCO's description of a synthesised person: keypoints, box, area, all of the new pose.

    And a ``segmentation``, the outlines of the new body, where it is to be ``outlined``.

    Joints that passed the label check are visible (2), or hidden (1) where they are in the pose, or
    somebody else stays in front of them; all others are unlabelled (0).
    """
    triples: list[float | int] = []
    places = made.plan.target_keypoints.tolist()
    behind = made.hidden | flagged_hidden(made.plan.target_visible)
    flags = np.where(made.joints_ok, np.where(behind, 1, 2), 0)
    for (x, y), flag in zip(places, flags.tolist(), strict=True):
        triples += [round(x, 2), round(y, 2), flag] if flag else [0, 0, 0]
    left, top, right, bottom = made.plan.bbox.tolist()
    mask = _body_mask(made.plan, skeleton)
    label = {
        'keypoints': triples,
        'num_keypoints': int(made.joints_ok.sum()),
        'bbox': [round(value, 2) for value in (left, top, right - left, bottom - top)],
        'area': float(mask.sum()),
        'iscrowd': 0,
    }
    return {**label, 'segmentation': _outlines(made.plan, mask)} if outlined else label


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
        'source': Path(sources.path).name,
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
        'detail': generator.detail,
    }


def _outlines(plan: PersonPlan, mask: NDArray[np.bool_]) -> list[list[float]]:
    """COCO polygons around the new body's mask; what is one or two pixels large has none."""
    corner = np.floor(plan.bbox[:2]).astype(int)
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
    outlines = [(outline[:, 0] + corner).ravel().tolist() for outline in found if len(outline) > 2]
    left, top, right, bottom = plan.bbox.tolist()
    return outlines or [[left, top, right, top, right, bottom, left, bottom]]


def _body_mask(plan: PersonPlan, skeleton: Skeleton) -> NDArray[np.bool_]:
    """The new body in the person's box, whose corner is taken down to a whole pixel."""
    left, top, right, bottom = plan.bbox
    corner = np.floor([left, top]).astype(np.float32)
    shape = int(np.ceil(bottom - corner[1])), int(np.ceil(right - corner[0]))
    mask = body_alpha(
        torch.from_numpy(plan.target_keypoints - corner)[None],
        torch.from_numpy(plan.target_drawn)[None],
        shape,
        skeleton,
        torch.from_numpy(plan.target_radius * PERSON_RADIUS),
    )
    return np.asarray(mask[0, 0].numpy() > 0.5)
