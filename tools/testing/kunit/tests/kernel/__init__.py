# SPDX-License-Identifier: GPL-2.0
"""Tests that build and boot kernels: the suites, mutants of the change, the gate, our sources and patches."""
