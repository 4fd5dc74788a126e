# SPDX-License-Identifier: GPL-2.0
"""From patches to a judgement: try the states of a tree before and after each patch, compare them, report what is new."""
