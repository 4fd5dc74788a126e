# SPDX-License-Identifier: GPL-2.0
"""From a console to a verdict: the lines of a boot become cases and complaints, which are compared with the expected cases."""
