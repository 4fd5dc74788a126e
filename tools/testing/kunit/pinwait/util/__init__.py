# SPDX-License-Identifier: GPL-2.0
"""Plumbing that knows nothing of kernels: processes, git, files and folders, packages, progress, shares of a job."""
