# SPDX-License-Identifier: GPL-2.0
"""Plumbing without knowledge of kernels: processes, git, files and folders, packages, progress, shards of a job."""
