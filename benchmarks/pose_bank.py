"""Time and memory of building a pose bank, and the time of one draw.

Usage: python benchmarks/pose_bank.py [--num 1000000] [--out docs/results/pose_bank]

Every size runs in a process of its own, so that its peak memory is its own. The poses are those of
the procedural people seen from random sides, with jitter, sizes, places and missing joints; making
them is not part of the measured time.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from pg2aug.figures.body import joint_positions, pose_bones, rotation
from pg2aug.figures.identity import sample_identity
from pg2aug.figures.poses import COMMON_FAMILIES, RARE_FAMILIES, sample_pose
from pg2aug.poses import PoseBank, Skeleton

ROOT = Path(__file__).resolve().parents[1]
_BODIES = 3000
_RARE = 0.1
_BATCHES, _BATCH = 1000, 100
_LIMITS = {'seconds': 60.0, 'peak_gb': 4.0, 'draw_us': 20.0}


def sample_bodies(count: int, rng: np.random.Generator) -> np.ndarray:
    """Joints of procedural people in 3-D, ``(count, 17, 3)`` in body heights, y up."""
    bodies = []
    for index in range(count):
        families = RARE_FAMILIES if rng.random() < _RARE else COMMON_FAMILIES
        pose = sample_pose(str(rng.choice(families)), rng)
        identity = sample_identity(index)
        bodies.append(joint_positions(identity, pose_bones(identity, pose))[0])
    return np.stack(bodies)


def sample_poses(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Many different poses, fast: few bodies, seen from a random side each time.

    Args:
        count: N.
        seed: Of everything.

    Returns:
        Keypoints ``(N, 17, 2)`` float32 in pixels and visibility ``(N, 17)`` bool: every tenth
        joint is missing, and every sixth pose has no legs.
    """
    rng = np.random.default_rng(seed)
    bodies = sample_bodies(min(count, _BODIES), rng).astype(np.float32)
    turns = np.stack([rotation(1, angle)[[0, 1]] for angle in range(-24, 25)]).astype(np.float32)
    keypoints = np.empty((count, 17, 2), np.float32)
    for part in np.array_split(np.arange(count), max(1, count // 50_000)):
        body = bodies[rng.integers(len(bodies), size=len(part))]
        turn = turns[rng.integers(len(turns), size=len(part))]
        flat = body @ turn.transpose(0, 2, 1)
        flat += rng.normal(0, 0.01, flat.shape).astype(np.float32)
        size = rng.uniform(60, 600, (len(part), 1, 1)).astype(np.float32)
        place = rng.uniform(0, 1000, (len(part), 1, 2)).astype(np.float32)
        keypoints[part] = flat * size * np.float32([1, -1]) + place
    visible = rng.random((count, 17), np.float32) > 0.1
    visible[rng.random(count) < 1 / 6, 13:] = False
    return keypoints, visible


def coco_skeleton() -> Skeleton:
    """The joints of COCO, as the procedural people have them."""
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    with warnings.catch_warnings():
        # The path is found in the installed MMPose, which warns that it is not in this folder.
        warnings.simplefilter('ignore', UserWarning)
        metainfo = parse_pose_metainfo({'from_file': 'configs/_base_/datasets/coco.py'})
    return Skeleton.from_metainfo(metainfo)


def measure(count: int) -> dict[str, float]:
    """Build one bank in this process and draw from it.

    Returns:
        ``seconds`` and ``cpu_seconds`` of :meth:`PoseBank.from_poses`, ``seconds_table`` of the
        first draw, which makes the alias table, ``draw_us``, the median of a draw, ``peak_gb`` of
        the process with poses and bank, and the effective sample size.
    """
    keypoints, visible = sample_poses(count)
    skeleton = coco_skeleton()
    begin, begin_cpu = time.perf_counter(), time.process_time()
    bank = PoseBank.from_poses(keypoints, visible, skeleton)
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - begin_cpu
    begin = time.perf_counter()
    bank.draw(0.5)
    table = time.perf_counter() - begin
    return {
        'poses': count,
        'seconds': seconds,
        'cpu_seconds': cpu_seconds,
        'seconds_table': table,
        'draw_us': _draw_microseconds(bank),
        'peak_gb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        'effective_sample_size': bank.effective_sample_size,
    }


def _draw_microseconds(bank: PoseBank) -> float:
    rng, batches = np.random.default_rng(0), []
    for _ in range(_BATCHES):
        uniforms = rng.random(_BATCH).tolist()
        begin = time.perf_counter()
        for uniform in uniforms:
            bank.draw(uniform)
        batches.append((time.perf_counter() - begin) / _BATCH)
    return float(np.median(batches)) * 1e6


def measure_apart(count: int) -> dict[str, float]:
    """:func:`measure` in a new process."""
    command = [sys.executable, __file__, '--only', str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    return {
        'cpu_cores': str(os.cpu_count()),
        'python': platform.python_version(),
        'numpy': np.__version__,
        'scipy': scipy.__version__,
    }


def to_markdown(result: dict[str, Any]) -> str:
    """The table of ``docs/results/pose_bank.md``."""
    where = result['machine']
    lines = [
        '# Building a pose bank',
        '',
        f'`{result["command"]}` on {where["cpu_cores"]} CPU cores, Python {where["python"]}, '
        f'NumPy {where["numpy"]}, SciPy {where["scipy"]}.',
        '',
        '| Poses | Build, s | CPU time, s | Microseconds a pose (CPU) | Peak memory, GB '
        '| Alias table, s | One draw, microseconds |',
        '|---:|---:|---:|---:|---:|---:|---:|',
    ]
    for row in result['sizes']:
        lines.append(
            f'| {row["poses"]:,} | {row["seconds"]:.1f} | {row["cpu_seconds"]:.1f} '
            f'| {row["cpu_seconds"] / row["poses"] * 1e6:.0f} | {row["peak_gb"]:.2f} '
            f'| {row["seconds_table"]:.2f} | {row["draw_us"]:.2f} |'
        )
    limits = ', '.join(
        f'{name} {row[name]:.3g} of {limit:g} ({"kept" if row[name] <= limit else "MISSED"})'
        for name, limit in _LIMITS.items()
    )
    note = (
        f'Limits for a million poses, at {row["poses"]:,}: {limits}. Seconds are wall-clock, with '
        f'{row["cpu_seconds"] / row["seconds"]:.1f} cores to be had on average: what other '
        "programs take, this has to wait for. Memory is the process's, with the interpreter, "
        'MMPose and the poses themselves.'
    )
    return '\n'.join([*lines, '', note, ''])


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--num', type=int, default=1_000_000, help='poses of the largest bank')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/results/pose_bank')
    parser.add_argument('--only', type=int, help='measure one size, print json, write nothing')
    args = parser.parse_args(argv)
    if args.only is not None:
        print(json.dumps(measure(args.only)))
        return 0
    sizes = sorted({max(1000, args.num // 100), max(1000, args.num // 10), args.num})
    command = f'python benchmarks/pose_bank.py --num {args.num}'
    rows = [measure_apart(count) for count in sizes]
    result = {'command': command, 'machine': machine(), 'limits': _LIMITS, 'sizes': rows}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.with_suffix('.json').write_text(json.dumps(result, indent=2) + '\n')
    text = to_markdown(result)
    args.out.with_suffix('.md').write_text(text)
    print(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
