"""Where instances and images come from: an MMPose dataset, and MMEngine's file backends."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine import fileio
from mmengine.fileio import LocalBackend
from numpy.typing import NDArray

from pg2aug.datasets.crop import Image
from pg2aug.poses.read.coco import keypoint_values
from pg2aug.poses.read.keypoint_file import without_scores
from pg2aug.utils.files import is_local
from pg2aug.utils.images import TooLargeError, decode_image, read_bytes

if TYPE_CHECKING:
    from mmpose.datasets.datasets.base import BaseCocoStyleDataset


def build_topdown_dataset(
    config: Mapping[str, Any], backend_args: dict[str, Any] | None = None
) -> 'BaseCocoStyleDataset':
    """Build an MMPose dataset of single instances, without a pipeline.

    The type is looked up in MMPose's scope whatever the default scope is.

    Args:
        config: Config of the dataset.
        backend_args: Of MMEngine's file backend for the images.

    Raises:
        FileNotFoundError: If its annotation file or its folder of images does not exist.
        ValueError: If the type is unknown or no MMPose dataset of its own (a wrapper, say), or the
            config asks for bottom-up data or for detected boxes, which carry no identity.
    """
    # Imported here: MMPose is no requirement of the package, only of its data sets.
    from mmpose.datasets.datasets.base import BaseCocoStyleDataset
    from mmpose.registry import DATASETS as MMPOSE_DATASETS

    options = {**config, 'pipeline': [], 'lazy_init': True}
    name = options.pop('type', None)
    scope = options.pop('_scope_', 'mmpose')
    with MMPOSE_DATASETS.switch_scope_and_registry(scope) as registry:
        cls = registry.get(name) if isinstance(name, str) else name
        if not (isinstance(cls, type) and issubclass(cls, BaseCocoStyleDataset)):
            raise ValueError(
                f'dataset type {name!r} is not an MMPose keypoint dataset: give the config of one '
                'dataset such as CocoDataset, not of a wrapper (RepeatDataset, ConcatDataset, '
                'CombinedDataset); import your own through custom_imports'
            )
        if options.setdefault('data_mode', 'topdown') != 'topdown' or options.get('bbox_file'):
            raise ValueError(
                f"{name} needs data_mode='topdown' and no bbox_file to make person pairs, got "
                f'data_mode={options["data_mode"]!r}, bbox_file={options.get("bbox_file")!r}'
            )
        dataset = cls(**options)
        _check_files(dataset, backend_args)
        _read(dataset)
        return dataset


def _read(dataset: 'BaseCocoStyleDataset') -> None:
    """Read the annotations, which MMPose does without a word on the file in which it fails."""
    try:
        dataset.full_init()
    except (ValueError, KeyError, AssertionError, IndexError, TypeError) as error:
        raise ValueError(
            f'annotation file {dataset.ann_file!r} cannot be read by {type(dataset).__name__} '
            f'({type(error).__name__}: {error}): in it at least one person must have a box and '
            'keypoints, and all the joints of the data set; pg2aug validate lists what is '
            'wrong with a COCO keypoint file'
        ) from error


def _check_files(dataset: 'BaseCocoStyleDataset', backend_args: dict[str, Any] | None) -> None:
    """Refuse what MMPose would meet with a bare assertion, or in a worker at the first image."""
    root, folder = dataset.data_root, dataset.data_prefix.get('img')
    kind, file = type(dataset).__name__, dataset.ann_file
    if file and not fileio.exists(file):
        raise FileNotFoundError(
            f'annotation file {file!r} of {kind} does not exist: make it by '
            'pg2aug convert or pg2aug annotate, or correct ann_file or '
            f'data_root={root!r} of this dataset'
        )
    # Other backends need not know folders.
    backend = fileio.get_file_backend(folder or '', backend_args=backend_args)
    if folder and isinstance(backend, LocalBackend) and not backend.isdir(folder):
        raise FileNotFoundError(
            f'image folder {folder!r} of {kind} {file!r} does not exist: correct '
            f'data_prefix=dict(img=...) or data_root={root!r} of this dataset'
        )


def load_image(path: str, backend_args: dict[str, Any] | None = None) -> Image:
    """Read an image through MMEngine's file backends, as ``(H, W, 3)`` uint8 BGR.

    Raises:
        ValueError: With the path, if it cannot be read or decoded.
    """
    try:
        # A file of this machine may be a pipe, which nobody writes to, or larger than the memory.
        local = backend_args is None and is_local(path)
        data = read_bytes(path) if local else fileio.get(path, backend_args=backend_args)
    except (OSError, TooLargeError) as error:
        raise ValueError(f'cannot read image {path!r}: {error}') from error
    try:
        return decode_image(data)
    except ValueError as error:
        raise ValueError(f'cannot decode image {path!r}: {error}') from error


def image_name(dataset: 'BaseCocoStyleDataset', info: Mapping[str, Any]) -> str:
    """File name of an instance's image as the annotations have it, below the image folder."""
    folder, path = str(dataset.data_prefix.get('img') or ''), str(info['img_path'])
    return path.removeprefix(folder).lstrip('/') if folder and path.startswith(folder) else path


def keypoint_flags(info: Mapping[str, Any]) -> NDArray[np.float32]:
    """Visibility (K,) of an instance, with COCO's flags where its annotation is at hand.

    MMPose's data sets make 1 of both of them; but what is hidden looks different. Where the joints
    were converted to another skeleton since, the annotation's flags are not theirs. Of scores in
    the place of flags, those below :data:`pg2aug.poses.read.keypoint_file.MIN_SCORE` become 0.

    Args:
        info: Data info or sample of a top-down MMPose data set, whose visibility may carry weights
            as a last dimension.
    """
    visible = np.asarray(info['keypoints_visible'][0], np.float32)
    visible = without_scores(visible[:, 0] if visible.ndim == 2 else visible)
    raw = keypoint_values(info.get('raw_ann_info') or {}, len(visible))
    if len(raw) != 3 * len(visible):
        return visible
    triples = np.array(raw, np.float32).reshape(-1, 3)
    triples[:, 2] = without_scores(triples[:, 2])
    labelled = visible > 0
    same = ((triples[:, 2] > 0) == labelled).all() and np.array_equal(
        triples[labelled, :2], np.asarray(info['keypoints'][0], np.float32)[labelled]
    )
    return triples[:, 2] if same else visible


def person_bbox(info: Mapping[str, Any], image_size: tuple[int, int]) -> NDArray[np.float32]:
    """The box of a person, up to the edges of the image.

    MMPose's COCO data sets clip a box at the last pixel, ``width - 1``. A box of the whole image
    would then be enlarged by a pixel, and the image resampled: here it ends at ``width``.

    Args:
        info: MMPose's data info of the instance.
        image_size: ``(width, height)`` of the image.

    Returns:
        ``(4,)`` left, top, right, bottom in image pixels.
    """
    bbox = np.array(info['bbox'][0], dtype=np.float32)
    annotated = (info.get('raw_ann_info') or {}).get('bbox')
    if annotated is not None:
        end = np.minimum(np.add(annotated[:2], annotated[2:4]), image_size)
        clipped = (bbox[2:] == np.array(image_size) - 1) & (end > bbox[2:])
        bbox[2:] = np.where(clipped, end, bbox[2:])
    return bbox
