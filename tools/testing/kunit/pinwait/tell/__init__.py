# SPDX-License-Identifier: GPL-2.0
"""Tell a judgement: to people, to mailing lists, to other programs. Nothing here decides anything."""
