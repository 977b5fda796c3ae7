"""Where experiments read and write, and what lets an interrupted one go on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from pg2aug.utils.files import write_files

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'benchmarks' / 'configs'
PG2_CONFIGS = ROOT / 'configs' / 'pg2'
RESULTS = ROOT / 'docs' / 'results'
METAINFO = dict(from_file='configs/_base_/datasets/coco.py')
"""COCO's joints, from MMPose's own package."""

Runs = list[dict[str, Any]]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process at a time makes what is in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / '.lock'):
        yield


def write_json(path: Path, content: Any) -> None:
    """Write a json that is there whole or not at all."""
    write_files({path: json.dumps(content).encode()})


def read_runs(path: Path) -> Runs:
    """The results in a file, one json a line; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add_run(path: Path, result: dict[str, Any]) -> None:
    """Append the result of a run to a file."""
    with path.open('a') as file:
        file.write(json.dumps(result) + '\n')


def check_settings(work_dir: Path, settings: dict[str, Any]) -> None:
    """Keep what decides the results beside them.

    Raises:
        SystemExit: If the folder holds results of other settings, which are not to be mixed.
    """
    path = work_dir / 'settings.json'
    settings = json.loads(json.dumps(settings))
    if not path.exists():
        path.write_text(json.dumps(settings, indent=1) + '\n')
    elif (found := json.loads(path.read_text())) != settings:
        raise SystemExit(
            f'{work_dir} holds results of other settings, {found} instead of {settings}: '
            'choose another --work-dir'
        )


def write_report(path: Path, report: dict[str, Any], text: str) -> None:
    """Write the numbers of a report as ``path.json`` and its tables as ``path.md``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix('.json').write_text(json.dumps(report, indent=1, allow_nan=False) + '\n')
    path.with_suffix('.md').write_text(text)
