"""The json of the report, in which what was measured on a CPU and on a GPU stand side by side."""

import json
from typing import Any

import torch

from benchmarks.common.files import write_report
from benchmarks.common.machine import device_name, versions
from benchmarks.speed.markdown import speed_markdown


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
        args: Of the command line.
        load: Processes that wanted to run (mean of a minute) before and after.
    """
    command = f'python -m benchmarks.speed --size {args.size} --parts {" ".join(args.parts)}'
    how = {'command': command, 'load': [round(number, 1) for number in load]}
    return {
        'device': device_name(),
        'versions': versions(),
        'threads': torch.get_num_threads(),
        'commands': dict.fromkeys(args.parts, how),
    }


def report(args: Any, counts: dict[str, Any], measured: dict[str, Any], load: list[float]) -> None:
    """Write ``args.out`` as .json and .md."""
    path = args.out.with_suffix('.json')
    old = json.loads(path.read_text()) if path.exists() else {}
    found = merge(old, args.size, describe(args, load) | measured, counts)
    write_report(args.out, found, speed_markdown(found))
    print(args.out.with_suffix('.md').read_text())
