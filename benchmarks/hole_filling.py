"""What fills the hole of a removed person best: true backgrounds under the silhouettes of people.

Usage: python benchmarks/hole_filling.py [--data data] [--out docs/results/hole_filling]

People's silhouettes, as wide as the Synthesizer removes them, are laid over places of photographs
where nobody is (COCO images with open licences, balance4view) and over the backgrounds of the
procedural people. All methods see the same hard mask: no true pixel of the hole. Also measured: how
much of annotated people (COCO segments) holes of several radii leave, and the time of a batch.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from hole_cases import Case, figure_cases, left_over, photo_cases
from numpy.typing import NDArray
from sheets import write_sheet

from pg2aug.models.holes.filling import fill_holes
from pg2aug.models.holes.push_pull import push_pull
from pg2aug.visualization.skeletons import contact_sheet

ROOT = Path(__file__).resolve().parents[1]
SHEET_ROWS = 8
CELL = 144, 192


def torch_fill(
    fill: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Callable[[NDArray[np.uint8], NDArray[np.bool_]], NDArray[np.uint8]]:
    """A batched method as one of single images."""

    def run(image: NDArray[np.uint8], unknown: NDArray[np.bool_]) -> NDArray[np.uint8]:
        batch = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].float()
        filled = fill(batch, torch.from_numpy(~unknown)[None, None].float())
        return filled[0].permute(1, 2, 0).clamp(0, 255).round().byte().numpy()

    return run


def opencv_fill(
    flag: int,
) -> Callable[[NDArray[np.uint8], NDArray[np.bool_]], NDArray[np.uint8]]:
    """OpenCV's inpainting with a radius of 3 pixels."""
    return lambda image, unknown: np.asarray(
        cv2.inpaint(image, unknown.astype(np.uint8), 3, flag), np.uint8
    )


METHODS = {
    'fill_holes': torch_fill(fill_holes),
    'push_pull': torch_fill(push_pull),
    'opencv_telea': opencv_fill(cv2.INPAINT_TELEA),
    'opencv_ns': opencv_fill(cv2.INPAINT_NS),
}


def ssim_map(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """SSIM of Wang et al. (2004): Gaussian window of deviation 1.5, mean over channels."""

    def blur(image: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(cv2.GaussianBlur(image, (11, 11), 1.5))

    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    cov = blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return (top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean(axis=2)


def gradient_energy(image: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Mean squared gradient of the grey image."""
    grey = image.astype(np.float64).mean(axis=2)
    dx, dy = np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1]
    whole = where[:-1, :-1] & where[1:, :-1] & where[:-1, 1:]
    return float((dx**2 + dy**2)[whole].mean())


def score(case: Case, filled: NDArray[np.uint8]) -> dict[str, float]:
    """How a fill compares with the truth, inside the hole."""
    where = case.hole & ~case.outside
    error = ((case.frame.astype(float) - filled) ** 2)[where].mean()
    return {
        'psnr': float(10 * np.log10(255**2 / max(error, 1e-3))),
        'ssim': float(ssim_map(case.frame, filled)[where].mean()),
        'texture': gradient_energy(filled, where) / max(gradient_energy(case.frame, where), 1e-6),
    }


def summarise(scores: list[dict[str, float]]) -> dict[str, float]:
    """Means, and the median of the ratio."""
    means = {name: float(np.mean([s[name] for s in scores])) for name in ('psnr', 'ssim')}
    return {**means, 'texture': float(np.median([s['texture'] for s in scores]))}


def seconds(case: Case, shape: tuple[int, int, int]) -> dict[str, float]:
    """CPU time of each method for a batch of frames, the least of three runs; one thread."""
    count, height, width = shape
    frame = cv2.resize(case.frame, (width, height))
    unknown = cv2.resize(case.hole.astype(np.uint8), (width, height))
    images = torch.from_numpy(frame.transpose(2, 0, 1).copy())[None].float().repeat(count, 1, 1, 1)
    known = 1 - torch.from_numpy(unknown)[None, None].float().repeat(count, 1, 1, 1)

    def opencv() -> None:
        for _ in range(count):
            cv2.inpaint(frame, unknown, 3, cv2.INPAINT_TELEA)

    runs: dict[str, Callable[[], Any]] = {
        'fill_holes': lambda: fill_holes(images, known),
        'push_pull': lambda: push_pull(images, known),
        'opencv_telea': opencv,
    }
    taken = dict.fromkeys(runs, np.inf)
    for _ in range(3):
        for name, run in runs.items():
            start = time.process_time()
            run()
            taken[name] = min(taken[name], time.process_time() - start)
    return {name: float(value) for name, value in taken.items()}


def sheet(cases: list[Case], filled: dict[str, list[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Truth, hole and every method, one row a case."""
    rows = []
    for index, case in enumerate(cases):
        hole = np.where(case.hole[..., None], np.uint8([255, 0, 255]), case.frame)
        rows.append([case.frame, hole, *(filled[name][index] for name in METHODS)])
    captions = [case.group for case in cases]
    return contact_sheet(rows, ('truth', 'hole', *METHODS), CELL, captions)


def markdown(result: dict[str, Any]) -> str:
    """The result as tables."""
    lines = ['| | photographs | | | procedural | | |', '|---|---|---|---|---|---|---|']
    lines.append('| | PSNR | SSIM | texture | PSNR | SSIM | texture |')
    for name, groups in result['methods'].items():
        cells = [groups[group] for group in ('photographs', 'procedural')]
        row = [f'{c["psnr"]:.2f} | {c["ssim"]:.3f} | {c["texture"]:.2f}' for c in cells]
        lines.append(f'| `{name}` | {" | ".join(row)} |')
    lines += ['', '| radius | left, mean | left, worst | hole over person |', '|---|---|---|---|']
    for radius, row in result['left_over']['radius'].items():
        left = f'{row["left_mean"]:.1%} | {row["left_worst"]:.1%}'
        lines.append(f'| {radius} | {left} | {row["hole_over_person"]:.2f} |')
    names = ('fill_holes', 'push_pull', 'opencv_telea')
    lines += ['', f'| frames | {" | ".join(f"`{name}`" for name in names)} |', '|---|---|---|---|']
    for shape, row in result['seconds'].items():
        lines.append(f'| {shape} | {" | ".join(f"{row[name]:.3f} s" for name in names)} |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Measure, print the tables, write json and sheets."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--data', type=Path, default=ROOT / 'data')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'results' / 'hole_filling')
    parser.add_argument('--photos', type=Path, help='PNG to write all photographs to')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(args.seed)
    photos = photo_cases(args.data, rng)
    cases = photos + figure_cases(photos, 24, rng)
    filled = {
        name: [method(case.frame, case.hole | case.outside) for case in cases]
        for name, method in METHODS.items()
    }
    methods = {}
    for name, results in filled.items():
        scores = [score(case, result) for case, result in zip(cases, results, strict=True)]
        split = len(photos)
        methods[name] = {
            'photographs': summarise(scores[:split]),
            'procedural': summarise(scores[split:]),
        }
    result = {
        'cases': {'photographs': len(photos), 'procedural': len(cases) - len(photos)},
        'methods': methods,
        'left_over': left_over(args.data),
        'seconds': {
            f'{n} x {h} x {w}': seconds(photos[0], (n, h, w))
            for n, h, w in ((64, 256, 192), (1, 480, 640))
        },
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.with_suffix('.json').write_text(json.dumps(result, indent=2) + '\n')
    free = [i for i, case in enumerate(cases) if case.group != 'coco']
    shown = [free[i] for i in np.linspace(0, len(free) - 1, SHEET_ROWS).astype(int)]
    for path, chosen in ((args.out.with_suffix('.png'), shown), (args.photos, range(len(photos)))):
        if path is not None:
            part = {name: [results[i] for i in chosen] for name, results in filled.items()}
            write_sheet(path, sheet([cases[i] for i in chosen], part))
    print(markdown(result))


if __name__ == '__main__':
    main()
