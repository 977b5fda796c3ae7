"""The command `pg2aug convert deepfashion`, from the checkout."""

import sys

from pg2aug.cli.convert import converter

main = converter('deepfashion')

if __name__ == '__main__':
    sys.exit(main())
