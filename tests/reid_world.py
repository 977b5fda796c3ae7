"""Small re-identification data sets, and the converters run on them in this process."""

import contextlib
import functools
import io
import runpy
from pathlib import Path

import cv2
import numpy as np

TOOLS = Path(__file__).resolve().parents[1] / 'tools' / 'dataset_converters'
RNG = np.random.default_rng(0)


@functools.cache
def load_main(tool):
    return runpy.run_path(str(TOOLS / f'{tool}.py'))['main']


def convert(tool, *arguments):
    """Run a converter as its command line does: exit status, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = load_main(tool)([str(argument) for argument in arguments])
    return status, out.getvalue(), err.getvalue()


def pose(size):
    """18 joints about the middle of an image of (width, height)."""
    return (RNG.uniform(0.3, 0.7, (18, 2)) * size).astype(int)


def write_csv(path, rows):
    """Rows are (name, keypoints) or whole lines."""
    lines = ['name:keypoints_y:keypoints_x']
    for row in rows:
        if not isinstance(row, str):
            name, keypoints = row
            row = f'{name}: {keypoints[:, 1].tolist()}: {keypoints[:, 0].tolist()}'
        lines.append(row)
    path.write_text('\n'.join(lines) + '\n')
    return path


def write_images(folder, *names, size):
    """Whole images of noise."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        assert cv2.imwrite(str(path), image)
