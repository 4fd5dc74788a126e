# SPDX-License-Identifier: GPL-2.0
"""What was found out, as data, and every form in which it is told. Nothing here decides anything."""
