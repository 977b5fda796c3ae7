"""What results depend on: the device, the versions, the code."""

import os
import platform
import subprocess
from pathlib import Path

import mmpose
import torch

from benchmarks.common.files import ROOT


def device_name() -> str:
    """The GPU; without one the number of CPU cores, and what /proc/cpuinfo calls the processor."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    path = Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return f'{os.cpu_count()} cores, {names[0] if names else platform.machine()}'


def versions() -> dict[str, str]:
    """Of torch and MMPose."""
    return {'torch': torch.__version__, 'mmpose': mmpose.__version__}


def commit() -> str:
    """Of the code, marked where it was changed since."""
    command = ['git', '-C', str(ROOT), 'describe', '--always', '--dirty']
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
