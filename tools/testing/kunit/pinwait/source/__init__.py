# SPDX-License-Identifier: GPL-2.0
"""From what was asked (a release, a tree, patches, mails) to a worktree that holds it."""
