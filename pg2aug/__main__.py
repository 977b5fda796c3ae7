"""`python -m pg2aug` is the command `pg2aug`."""

import sys

from pg2aug_command import main

if __name__ == '__main__':
    sys.exit(main())
