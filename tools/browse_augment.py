"""The command `pg2aug browse`, from the checkout."""

import sys

from pg2aug.cli.browse import main

if __name__ == '__main__':
    sys.exit(main())
