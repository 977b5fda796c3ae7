"""The command `pg2aug train`, from the checkout."""

import sys

from pg2aug.cli.train import main

if __name__ == '__main__':
    sys.exit(main())
