"""From images to COCO keypoints with identities, by a pose estimator."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from pg2aug.annotation.inputs import Boxes, Input, Unreadable, load_inputs
from pg2aug.datasets.coco_files import image_entry, person_category, person_entry
from pg2aug.datasets.conversion_report import ConversionReport, describe_findings
from pg2aug.datasets.image_index import image_sizes
from pg2aug.datasets.reid.pose_csv import Finding
from pg2aug.estimators.image_estimator import ImageEstimator
from pg2aug.poses import inside_image
from pg2aug.utils.files import file_sha256
from pg2aug.version import __version__


def annotate_images(
    root: str | Path,
    people: Mapping[str, str],
    estimator: ImageEstimator,
    report: ConversionReport,
    *,
    boxes: Boxes | None = None,
    min_score: float = 0.3,
    batch_size: int = 32,
    workers: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """Estimate the pose of the person of each image.

    A joint is labelled if its score is high enough and it lies in the image. Images that cannot be
    read, and those without a labelled joint, are left out and reported.

    Args:
        root: Folder of the images.
        people: For each image, by its path below ``root``, the person it shows.
        estimator: What finds the joints.
        report: Where the counts are entered, and all that is left out.
        boxes: ``(4,)`` left, top, right, bottom of each image's person; the whole images if None.
        min_score: Least score of a labelled joint, in the unit of the estimator's head.
        batch_size: Images that go through the network together.
        workers: Processes that read and prepare images; none but this one if 0.
        progress: Whether to show bars on stderr.

    Returns:
        The COCO file.

    Raises:
        ValueError: If nothing is left, or the model's joints are not those that it names.
    """
    root = Path(root)
    names = _boxed(_readable(root, sorted(people), report, progress), boxes, report)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar:
        task = bar.add_task('estimating poses', total=len(names))
        for batch in load_inputs(root, names, estimator, boxes, batch_size, workers):
            for found, keypoints, labelled in _find_joints(batch, estimator, report, min_score):
                number, size = len(images) + 1, found.size
                images.append(image_entry(number, found.name, size))
                person = person_entry(number, people[found.name], keypoints, labelled, size)
                annotations.append(person if boxes is None else person | _box_entry(found.bbox))
            bar.advance(task, len(batch))
    if not images:
        reasons = '\n'.join(describe_findings(report.left_out))
        raise ValueError(f'no image in {root} can be annotated:\n{reasons}')
    _count(images, annotations, report)
    return {
        'info': _info(estimator, min_score),
        'licenses': [],
        'images': images,
        'annotations': annotations,
        'categories': [person_category(estimator.skeleton)],
    }


def _readable(
    root: Path, names: Sequence[str], report: ConversionReport, progress: bool
) -> list[str]:
    sizes = image_sizes([root / name for name in names], progress)
    readable = []
    for name, size in zip(names, sizes, strict=True):
        if isinstance(size, ValueError):
            report.add('unreadable images', Finding(name, str(size)))
        else:
            readable.append(name)
    return readable


def _boxed(names: Sequence[str], boxes: Boxes | None, report: ConversionReport) -> list[str]:
    for name in names:
        if boxes is not None and name not in boxes:
            report.add('images without a box', Finding(name, 'the box file has none'))
    return [name for name in names if boxes is None or name in boxes]


def _find_joints(
    batch: Sequence[Input | Unreadable],
    estimator: ImageEstimator,
    report: ConversionReport,
    min_score: float,
) -> Iterator[tuple[Input, NDArray[np.float32], NDArray[np.bool_]]]:
    """Each image of a batch that shows a joint, its keypoints (K, 2) and which are labelled."""
    for item in batch:
        if isinstance(item, Unreadable):
            report.add('unreadable images', Finding(item.name, item.reason))
    inputs = [item for item in batch if isinstance(item, Input)]
    if not inputs:
        return
    poses = estimator.estimate([item.prepared for item in inputs])
    for item, keypoints, scores in zip(inputs, *poses, strict=True):
        # NaN is neither a high enough score nor in the image.
        labelled = (scores >= min_score) & inside_image(keypoints, item.size[::-1])
        if labelled.any():
            yield item, keypoints, labelled
        else:
            reason = f'the highest score of a joint is {scores.max():.2f}'
            report.add('images in which no joint was found', Finding(item.name, reason))


def _box_entry(bbox: NDArray[np.float32]) -> dict[str, Any]:
    left, top, right, bottom = np.round(bbox, 2).tolist()
    width, height = round(right - left, 2), round(bottom - top, 2)
    return {'bbox': [left, top, width, height], 'area': round(width * height, 2)}


def _count(
    images: Sequence[dict[str, Any]],
    annotations: Sequence[dict[str, Any]],
    report: ConversionReport,
) -> None:
    counts = Counter(annotation['person_id'] for annotation in annotations)
    report.counts = {'images': len(images), 'identities': len(counts)}
    for image, annotation in zip(images, annotations, strict=True):
        if counts[annotation['person_id']] == 1:
            reason = f'the only one of person {annotation["person_id"]!r}'
            report.add(
                'images without a partner', Finding(image['file_name'], reason), left_out=False
            )


def _info(estimator: ImageEstimator, min_score: float) -> dict[str, Any]:
    return {
        'description': f'poses estimated by {Path(estimator.config).name}',
        'version': f'annotated by pg2aug {__version__}',
        'pose_model': Path(estimator.config).name,
        'pose_checkpoint': Path(estimator.checkpoint).name,
        'pose_checkpoint_sha256': file_sha256(estimator.checkpoint),
        'min_score': min_score,
    }
