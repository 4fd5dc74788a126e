# SPDX-License-Identifier: GPL-2.0
"""From a console to a verdict: the lines of a boot become cases and complaints, and these are held against what is promised."""
