"""What the tests of pages in Chromium need, which `make browser` installs."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which('chromium')


def require_browser():
    """Skip the test, or let it fail in CI, where there is no browser to drive."""
    package = Path(__file__).parent / 'node_modules' / 'playwright-core'
    found = {
        'node': shutil.which('node'),
        'chromium': CHROMIUM,
        'playwright-core': package.is_dir(),
    }
    missing = [what for what, there in found.items() if not there]
    if missing:
        reason = f'needs {", ".join(missing)}: make browser'
        if os.environ.get('PG2AUG_REQUIRE_BROWSER'):
            pytest.fail(reason)
        pytest.skip(reason)


def drive(script, *arguments):
    """Run a script of Node.js, with Chromium's path as its first argument; the json it prints."""
    command = ['node', script, CHROMIUM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
