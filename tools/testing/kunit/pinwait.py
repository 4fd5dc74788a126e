#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Entry point: see pinwait/commands/cli.py, or --help."""

import sys

from pinwait.commands.cli import main

if __name__ == "__main__":
	sys.exit(main())
