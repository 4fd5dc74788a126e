# SPDX-License-Identifier: GPL-2.0
"""Broken kernels, as texts: what can be broken, listed by hand or found in the C sources, and how a score is reckoned."""
