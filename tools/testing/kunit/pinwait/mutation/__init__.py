# SPDX-License-Identifier: GPL-2.0
"""Broken kernels, as texts: mutants, written by hand or generated from the C sources, and how their score is computed."""
