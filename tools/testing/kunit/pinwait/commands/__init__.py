# SPDX-License-Identifier: GPL-2.0
"""The subcommands, a file each: from a command line to an exit code."""
