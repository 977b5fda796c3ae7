"""The json of speed.py, in which what was measured on a CPU and on a GPU stand side by side."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import mmpose
import torch
from speed_markdown import speed_markdown


def merge(
    report: dict[str, Any], size: str, entry: dict[str, Any], counts: dict[str, Any]
) -> dict[str, Any]:
    """A report with what was measured now, and all of the old one that it does not replace.

    Args:
        report: The old one, or an empty dict.
        size: 'cpu' or 'gpu': the other is left as it is.
        entry: What was measured now. Parts measured earlier stay only where device and versions
            were the same.
        counts: Of operations and bytes, which are the same on every device.
    """
    old = report.get(size, {})
    if any(old.get(key) != entry[key] for key in ('device', 'versions')):
        old = {}
    commands = {**old.get('commands', {}), **entry['commands']}
    return {**report, 'counts': counts, size: {**old, **entry, 'commands': commands}}


def describe(args: Any, load: list[float]) -> dict[str, Any]:
    """The device, the software, and by part the command and how busy the machine was.

    Args:
        args: Of speed.py.
        load: Processes that wanted to run (mean of a minute) before and after.
    """
    command = f'python benchmarks/speed.py --size {args.size} --parts {" ".join(args.parts)}'
    how = {'command': command, 'load': [round(number, 1) for number in load]}
    cuda = torch.cuda.is_available()
    return {
        'device': torch.cuda.get_device_name() if cuda else cpu_name(),
        'versions': {'torch': torch.__version__, 'mmpose': mmpose.__version__},
        'threads': torch.get_num_threads(),
        'commands': dict.fromkeys(args.parts, how),
    }


def cpu_name() -> str:
    """What /proc/cpuinfo calls the processor, where there is one, and the number of cores."""
    path = Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return f'{os.cpu_count()} cores, {names[0] if names else platform.machine()}'


def write_report(
    args: Any, counts: dict[str, Any], measured: dict[str, Any], load: list[float]
) -> None:
    """Write ``args.out`` as .json and .md."""
    path = args.out.with_suffix('.json')
    report = json.loads(path.read_text()) if path.exists() else {}
    report = merge(report, args.size, describe(args, load) | measured, counts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + '\n')
    args.out.with_suffix('.md').write_text(speed_markdown(report))
    print(args.out.with_suffix('.md').read_text())
