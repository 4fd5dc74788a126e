# SPDX-License-Identifier: GPL-2.0
"""From a worktree to a console: configure, build, relink, boot, sandbox."""
