"""See what a pose estimator will be trained on: PG2Augment's samples as contact sheets.

Every row is one sample: the input without augmentation, the target pose, the synthesised person,
and the final input with its labels. Joints that the label check refused are not drawn; refused
persons say so.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS
from rich.progress import track

import pg2aug  # noqa: F401 (registers the transform, and makes mmpose.models import)
from pg2aug.augment.deferred import DeferredBatch
from pg2aug.augment.pipelines import check_placement, find_augments
from pg2aug.augment.plan import to_crop
from pg2aug.augment.synthesizer import Synthesizer
from pg2aug.datasets.crop import transform_keypoints
from pg2aug.visualization import contact_sheet, draw_skeleton, skeleton_image, write_png

TITLES = ('source', 'target pose', 'synthesised', 'final input')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='MMPose config with PG2Augment in its train pipeline')
    parser.add_argument('--num', type=int, default=48, help='samples to show')
    parser.add_argument('--out', default='browse', help='folder of the sheets')
    parser.add_argument('--rows', type=int, default=8, help='samples on a sheet')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings to override')
    args = parser.parse_args()
    if args.num < 1 or args.rows < 1:
        parser.error(f'--num and --rows must be at least 1, got {args.num} and {args.rows}')
    return args


def load(cfg: Config, device: str) -> tuple[object, object, Synthesizer]:
    """Train dataset with PG2Augment deferred at prob 1, the model's preprocessor, synthesizer."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    placements = find_augments(dataset)
    if not placements:
        raise SystemExit('no PG2Augment in train_dataloader.dataset of the config')
    for placement in placements:
        check_placement(placement)
        placement.augment.prob, placement.augment.deferred = 1.0, True
    preprocessor = MODELS.build(cfg.model.data_preprocessor).to(device)
    return dataset, preprocessor, placements[0].augment.build_synthesizer(device)


def make_row(index: int, batch: DeferredBatch, source: torch.Tensor, result: object, skeleton):
    """One row of a sheet and its caption."""
    plan = batch.plans[index]
    images = [source[index], result.persons[index], result.images[index]]
    source_image, person, final = (
        image.permute(1, 2, 0).clamp(0, 255).round().to(torch.uint8).cpu().numpy()
        for image in images
    )
    joints_ok = result.joints_ok[index].cpu().numpy()
    accepted = bool(result.accepted[index])
    size = person.shape[1], person.shape[0]
    pose = skeleton_image(size, to_crop(plan), plan.target_visible, skeleton)
    keypoints = transform_keypoints(plan.target_keypoints, batch.matrices[index].numpy())
    labelled = draw_skeleton(final, keypoints, joints_ok * accepted, skeleton, thickness_px=1)
    verdict = 'accepted' if accepted else 'refused'
    joints = f'{int(joints_ok.sum())} of {int((plan.target_visible > 0).sum())} joints'
    return [source_image, pose, person, labelled], f'{verdict}: {joints}'


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    dataset, preprocessor, synthesizer = load(cfg, args.device)
    np.random.seed(args.seed)  # noqa: NPY002 (the generator that the pipeline's transforms use)
    order = np.random.default_rng(args.seed).permutation(len(dataset))
    rows, captions, left, accepted = [], [], 0, 0
    for number in track(range(args.num), 'synthesising'):
        data = preprocessor(pseudo_collate([dataset[int(order[number % len(order)])]]), True)
        batch = DeferredBatch.take(data)
        if batch is None:
            left += 1
            continue
        source = batch.images(preprocessor).clone()
        result = batch.synthesize(synthesizer, preprocessor)
        row, caption = make_row(0, batch, source, result, synthesizer.skeleton)
        rows.append(row)
        captions.append(caption)
        accepted += int(result.accepted.sum())
    for first in range(0, len(rows), args.rows):
        chosen = slice(first, first + args.rows)
        sheet = contact_sheet(rows[chosen], TITLES, cell=(192, 256), captions=captions[chosen])
        write_png(Path(args.out) / f'sheet_{first // args.rows:03d}.png', sheet)
    print(f'{args.num} samples: {len(rows)} synthesised, {accepted} of them accepted')
    if left:
        print(f'{left} left as they are: too little of the person or of the pose to be seen')
    print(f'sheets: {args.out}/')


if __name__ == '__main__':
    main()
