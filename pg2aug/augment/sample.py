"""MMPose samples: is it one that can be replaced, and how its annotation becomes the new pose."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pg2aug.augment.person_plan import PersonPlan
from pg2aug.poses import Skeleton

PLAN = 'pg2_plan'
FINAL_KEYPOINTS = 'pg2_final_keypoints'

ONE_PERSON = (
    'it needs one person a sample. Train a top-down estimator, with '
    "data_mode='topdown', or remove PG2Augment and PG2Hook: in bottom-up training they do not work"
)
NO_LIFTING = (
    'it needs the image of each person, and lifting joints to 3-D reads none: remove PG2Augment '
    'and PG2Hook'
)
ONE_IMAGE = 'it needs one image a sample, not a list of video frames: remove PG2Augment and PG2Hook'
OTHER_GENERATOR = "set generator=dict(...) to one of the dataset's skeleton"
BODIES_ALONE = 'For joints that no limbs link, as those of faces and clothes, there is none'
GREY_REMEDY = (
    "remove color_type='grayscale' from dict(type='LoadImage'). For a network of one channel, make "
    "images grey by dict(type='mmcv.RandomGrayscale', prob=1.0) after PG2Augment, without PG2Hook"
)

_LATE_KEYS = ('input_size', 'transformed_keypoints', 'flip', 'bbox_rotation')
_NEEDED_KEYS = ('img', 'keypoints', 'keypoints_visible', 'bbox')


def check_sample(results: dict[str, Any], skeleton: Skeleton) -> None:
    """Raise ValueError unless a sample is one person's, fresh from ``LoadImage``.

    Args:
        results: Sample of the pipeline.
        skeleton: Skeleton of the generator.
    """
    if getattr(results.get('dataset'), 'test_mode', False):
        raise ValueError(
            'PG2Augment stands in the pipeline of a data set with test_mode=True: poses that '
            'nobody took would be evaluated; remove PG2Augment from val_pipeline and test_pipeline'
        )
    _check_kind(results)
    _check_place(results)
    _check_image(results)
    joints = results['keypoints'].shape[1]
    if joints != skeleton.num_keypoints:
        raise ValueError(
            f'PG2Augment: the dataset has {joints} joints, the generator {skeleton.num_keypoints}: '
            f'{OTHER_GENERATOR}. {BODIES_ALONE}'
        )
    flip_indices = results.get('flip_indices', skeleton.flip_indices)
    check_mirrors(flip_indices, skeleton, 'PG2Augment: the dataset')


def _check_kind(results: dict[str, Any]) -> None:
    """Refuse what no place in the pipeline would help."""
    count = len(results.get('keypoints', ()))
    # A bottom-up sample of one person has a list of the one id.
    if count > 1 or isinstance(results.get('id'), list):
        what = 'several persons' if count > 1 else 'all persons of an image'
        raise ValueError(f'PG2Augment: the sample is of {what}, but {ONE_PERSON}')
    if 'lifting_target' in results:
        raise ValueError(f'PG2Augment: {NO_LIFTING}')
    if isinstance(results.get('img'), (list, tuple)):
        raise ValueError(f'PG2Augment: {ONE_IMAGE}')


def _check_place(results: dict[str, Any]) -> None:
    missing = [key for key in _NEEDED_KEYS if key not in results]
    if missing:
        raise ValueError(
            f'PG2Augment: the sample has no {missing}: put PG2Augment right after '
            "dict(type='LoadImage') in train_pipeline"
        )
    late = [key for key in _LATE_KEYS if key in results]
    if 'bbox_scale' in results and not np.allclose(
        results['bbox_scale'], results['bbox'][:, 2:] - results['bbox'][:, :2], rtol=1e-2
    ):
        # Some datasets come with the scale of their boxes; only GetBBoxCenterScale pads it.
        late.append('a padded bbox_scale')
    if late:
        raise ValueError(
            f'PG2Augment: the sample was already transformed (it has {late}): move PG2Augment up, '
            "right after dict(type='LoadImage') in train_pipeline"
        )


def _check_image(results: dict[str, Any]) -> None:
    image = results['img']
    if image.dtype != np.uint8:
        raise ValueError(
            f'PG2Augment: the image is {image.dtype}, not uint8: remove to_float32=True '
            "from dict(type='LoadImage') in train_pipeline"
        )
    if image.ndim == 2:
        raise ValueError(f'PG2Augment: the image {results.get("img_path")} is grey: {GREY_REMEDY}')
    if image.shape[2] != 3:
        raise ValueError(
            f'PG2Augment: the image {results.get("img_path")} has {image.shape[2]} channels, not '
            "3: remove color_type from dict(type='LoadImage') in train_pipeline"
        )


def check_mirrors(flip_indices: Sequence[int], skeleton: Skeleton, context: str) -> None:
    """Raise ValueError, which begins with ``context``, where joints have other opposites."""
    pairs = enumerate(zip(flip_indices, skeleton.flip_indices, strict=True))
    odd = [(k, int(theirs), ours) for k, (theirs, ours) in pairs if theirs != ours]
    if odd:
        joint, theirs, ours = (skeleton.keypoint_names[k] for k in odd[0])
        raise ValueError(
            f'{context} mirrors {joint!r} to {theirs!r}, the generator to {ours!r}: correct swap '
            f'in the metainfo of the dataset, or {OTHER_GENERATOR}'
        )


def relabel(results: dict[str, Any], plan: PersonPlan, visible: NDArray[Any]) -> dict[str, Any]:
    """Make the new pose the annotation of a sample.

    A joint behind a neighbour who stays in front keeps its weight: it is labelled and hidden, as
    occluded joints of COCO (flag 1) are, on which MMPose trains as on any other.

    Args:
        results: Sample of the pipeline.
        plan: What the person was, or will be, replaced by.
        visible: (K,), greater than 0 for joints to be trained on.

    Returns:
        A new dict; arrays of the old one are not written to.
    """
    shown = np.asarray(visible) > 0
    old_visible = results['keypoints_visible']
    new_visible = np.zeros_like(old_visible)
    new_visible[0, shown] = 1
    box = _framing_box(results, plan)[None].astype(_real(results['bbox']))
    width, height = (box[0, 2:] - box[0, :2]).tolist()
    updates: dict[str, Any] = {
        'keypoints': plan.target_keypoints[None].astype(_real(results['keypoints'])),
        'keypoints_visible': new_visible,
        'bbox': box,
    }
    optional = {
        'num_keypoints': int(shown.sum()),
        'area': _like(results.get('area'), width * height * _fill_share(results)),
        # The outline was that of the old pose.
        'segmentation': None,
        'bbox_center': (box[:, :2] + box[:, 2:]) / 2,
        'bbox_scale': box[:, 2:] - box[:, :2],
    }
    updates.update({key: value for key, value in optional.items() if key in results})
    return {**results, **updates}


def _framing_box(results: dict[str, Any], plan: PersonPlan) -> NDArray[Any]:
    """(4,) x1, y1, x2, y2 of the box that the person in the new pose is framed by.

    A square that came with its scale says how large the person is, whatever the pose, as MPII's
    does: it is moved to the new pose.
    """
    tight = plan.bbox
    width, height = np.reshape(results.get('bbox_scale', (0, 1)), 2)
    if width != height:
        return tight
    centre, half = (tight[:2] + tight[2:]) / 2, width * plan.target_radius / plan.source_radius / 2
    return np.concatenate([centre - half, centre + half])


def _real(values: NDArray[Any]) -> np.dtype[Any]:
    """The type of an array, or float32 where whole numbers would cut a new pose off."""
    return values.dtype if np.issubdtype(values.dtype, np.floating) else np.dtype(np.float32)


def attach_plan(results: dict[str, Any], plan: PersonPlan) -> dict[str, Any]:
    """Make ``PackPoseInputs`` carry a plan, and the keypoints that tell the final affine."""
    # Imported here: mmpose is no requirement of the package, only of its use with MMPose.
    from mmpose.datasets.transforms.formatting import PackPoseInputs

    table = results.get('instance_mapping_table', PackPoseInputs.instance_mapping_table)
    table = {**table, PLAN: PLAN, 'transformed_keypoints': FINAL_KEYPOINTS}
    return {**results, PLAN: [plan], 'instance_mapping_table': table}


def _fill_share(results: dict[str, Any]) -> float:
    """Share of the old box that the person covered; a new pose is taken to cover as much."""
    area, box = np.asarray(results.get('area', 0), float).reshape(-1), results['bbox'][0]
    covered = float(box[2] - box[0]) * float(box[3] - box[1])
    return float(area[0]) / covered if area.size and covered > 0 else 0.0


def _like(old: Any, value: float) -> Any:
    return np.full_like(old, value) if isinstance(old, np.ndarray) else value
