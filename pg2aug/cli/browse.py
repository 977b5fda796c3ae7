"""See what a pose estimator will be trained on: PG2Augment's samples as contact sheets.

Every row is one sample: the photo as the network would have seen it, in the same frame; the target
pose; the synthesised person; and the final input with the labels that it is trained on. Joints that
the label check refused are no labels, and neither is any joint of a refused person.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS
from numpy.typing import NDArray
from rich.progress import track

import pg2aug  # noqa: F401 (registers the transform, and makes mmpose.models import)
from pg2aug.augment.person_plan import to_crop
from pg2aug.augment.placement import (
    check_alike,
    check_placement,
    check_preprocessor,
    find_augments,
)
from pg2aug.augment.sample import FINAL_KEYPOINTS
from pg2aug.augment.synthesis.deferred import DeferredBatch
from pg2aug.augment.synthesis.synthesizer import Result
from pg2aug.augment.transform import PG2Augment
from pg2aug.cli.exit_status import exit_status
from pg2aug.cli.printing import print
from pg2aug.poses import Skeleton
from pg2aug.utils.arguments import in_errors
from pg2aug.utils.config_file import read_config
from pg2aug.utils.files import naming
from pg2aug.utils.output import check_folder, writing_folder
from pg2aug.visualization.skeletons import contact_sheet, draw_skeleton, skeleton_image, write_png

TITLES = ('source', 'target pose', 'synthesised', 'final input')
COMMAND = 'browse'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='MMPose config with PG2Augment in its train pipeline')
    parser.add_argument('--num', type=int, default=48, help='samples to show')
    parser.add_argument('--out', default='browse', help='folder of its own for the sheets')
    parser.add_argument('--rows', type=int, default=8, help='samples on a sheet')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings to override')
    args = parser.parse_args(argv)
    if args.num < 1 or args.rows < 1:
        parser.error(f'--num and --rows must be at least 1, got {args.num} and {args.rows}')
    return args


def load(cfg: Config, device: str) -> tuple[Any, Any, list[PG2Augment]]:
    """Train dataset, the model's preprocessor, and its PG2Augments, deferred and at prob 1."""
    described = _setting(cfg, 'train_dataloader.dataset')
    with naming(*_annotation_files(described)):
        dataset = DATASETS.build(described)
    placements = find_augments(dataset)
    if not placements:
        raise ValueError('no PG2Augment in train_dataloader.dataset of the config')
    preprocessor = MODELS.build(_setting(cfg, 'model.data_preprocessor'))
    with in_errors('pg2aug browse makes samples as PG2Hook does'):
        check_preprocessor(preprocessor)
        for placement in placements:
            check_placement(placement)
    for placement in placements:
        placement.augment.prob, placement.augment.deferred = 1.0, True
    augments = [placement.augment for placement in placements]
    check_alike(augments)
    return dataset, preprocessor.to(device), augments


def _setting(cfg: Config, name: str) -> Any:
    """What a config says under a setting, such as 'model.data_preprocessor'."""
    part: Any = cfg
    for key in name.split('.'):
        part = part.get(key) if isinstance(part, Mapping | Config) else None
    if part is None:
        raise ValueError(f'it has no {name}: give the config of a training')
    return part


def _annotation_files(dataset: Any) -> list[str]:
    """The annotation files that a data set, of whatever others, names."""
    if isinstance(dataset, list):
        return [file for item in dataset for file in _annotation_files(item)]
    if not isinstance(dataset, dict):
        return []
    own = [str(dataset['ann_file'])] if dataset.get('ann_file') else []
    return own + [file for value in dataset.values() for file in _annotation_files(value)]


@dataclass(frozen=True)
class Before:
    """A sample before its synthesis.

    Attributes:
        images: (1, 3, H, W) BGR in [0, 255], the network input with the photo's own person.
        keypoints: (K, 2) of its labels, in pixels of the network input.
        labelled: (K,) True for joints that are labels unless the check refuses them.
    """

    images: torch.Tensor
    keypoints: NDArray[np.float32]
    labelled: NDArray[np.bool_]


def final_keypoints(sample: Any) -> NDArray[np.float32]:
    """(K, 2) joints of a packed sample in pixels of the network input, mirrored ones swapped.

    To be read before ``DeferredBatch.take``, which removes them.
    """
    instances = sample.gt_instances
    return np.array(instances.get(FINAL_KEYPOINTS, instances.get('keypoints'))[0], np.float32)


def trained_joints(sample: Any) -> NDArray[np.bool_]:
    """(K,) True for the joints that the loss sees."""
    weights = sample.gt_instance_labels.keypoint_weights
    # Codecs of several levels have weights for each.
    trained: NDArray[np.bool_] = (weights.reshape(-1, weights.shape[-1]).amax(0) > 0).cpu().numpy()
    return trained


def make_row(
    batch: DeferredBatch, before: Before, result: Result, persons: torch.Tensor, skeleton: Skeleton
) -> tuple[list[NDArray[np.uint8]], str]:
    """Images of a batch of one sample, and their caption.

    Args:
        batch: Synthesised already.
        before: What the sample was.
        result: What became of the plan.
        persons: The person as the label check sees it.
        skeleton: Of the labels.
    """
    source, person, final = (
        image[0].permute(1, 2, 0).clamp(0, 255).round().to(torch.uint8).cpu().numpy()
        for image in (before.images, persons, result.images)
    )
    plan, trained = batch.plans[0], trained_joints(batch.samples[0])
    size = person.shape[1], person.shape[0]
    pose = skeleton_image(size, to_crop(plan), plan.target_visible, skeleton)
    drawn = draw_skeleton(final, before.keypoints, trained.astype(float), skeleton, thickness_px=1)
    verdict = 'accepted' if bool(result.accepted[0]) else 'refused'
    caption = f'{verdict}: {trained.sum()} of {before.labelled.sum()} joints'
    return [source, pose, person, drawn], caption


def browse(args: argparse.Namespace) -> None:
    """Synthesise and write the sheets as the command line says."""
    check_folder(args.out, COMMAND, overwrite=True)
    cfg = read_config(args.config, 'the config of the training (CONFIG)')
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    dataset, preprocessor, augments = load(cfg, args.device)
    synthesizer = augments[0].build_synthesizer(args.device)
    np.random.seed(args.seed)  # noqa: NPY002 (the generator that the pipeline's transforms use)
    order = np.random.default_rng(args.seed).permutation(len(dataset))
    rows, captions, left, accepted = [], [], 0, 0
    for number in track(range(args.num), 'synthesising'):
        data = preprocessor(pseudo_collate([dataset[int(order[number % len(order)])]]), True)
        sample = data['data_samples'][0]
        keypoints, labelled = final_keypoints(sample), trained_joints(sample)
        batch = DeferredBatch.take(data)
        if batch is None:
            left += 1
            continue
        before = Before(batch.images(preprocessor).clone(), keypoints, labelled)
        result = batch.synthesize(synthesizer, preprocessor)
        persons = synthesizer.in_scene(batch.plans, result.made)
        row, caption = make_row(batch, before, result, persons, synthesizer.skeleton)
        rows.append(row)
        captions.append(caption)
        accepted += int(result.accepted.sum())
    with writing_folder(args.out, COMMAND, overwrite=True) as folder:
        for first in range(0, len(rows), args.rows):
            chosen = slice(first, first + args.rows)
            sheet = contact_sheet(rows[chosen], TITLES, cell=(192, 256), captions=captions[chosen])
            write_png(folder / f'sheet_{first // args.rows:03d}.png', sheet)
    print(f'{args.num} samples: {len(rows)} synthesised, {accepted} of them accepted')
    if left:
        print(f'{left} left as they are:')
        for reason, count in sum(
            (a.suitable_counts.reasons for a in augments), Counter()
        ).most_common():
            print(f'  {count}: {reason}')
    if rows:
        print(f'sheets: {args.out}/')


@exit_status
def main(argv: Sequence[str] | None = None) -> int:
    """Synthesise, and write the sheets; the exit status."""
    args = parse_args(argv)
    with naming(args.config):
        browse(args)
    return 0
