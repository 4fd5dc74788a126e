# SPDX-License-Identifier: GPL-2.0
"""From the request (a release, a tree, patches, mails) to a worktree that holds it."""
