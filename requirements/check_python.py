"""Stops an install of the pinned set on a Python for which it has no packages."""

import shutil
import sys

REMEDY = 'Choose another Python, for example: make PYTHON=python3.11'


def main() -> None:
    """Exit with a message, where this Python cannot hold the pinned set."""
    version = sys.version_info[:2]
    this = f'{version[0]}.{version[1]} ({sys.executable})'
    if version < (3, 11):
        sys.exit(f'pg2aug needs Python 3.11 or newer, not {this}. {REMEDY}')
    if version > (3, 12):
        sys.exit(
            f'The pinned set of requirements/ exists for Python 3.11 and 3.12, not {this}: '
            f'MMPose 1.3 needs NumPy 1, which has no release for it. {REMEDY}'
        )
    if version == (3, 12) and not shutil.which('cc'):
        sys.exit(f'On Python 3.12 xtcocotools is built from source, which needs `cc`. {REMEDY}')


main()
