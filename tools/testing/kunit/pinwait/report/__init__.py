# SPDX-License-Identifier: GPL-2.0
"""Judgements and summaries as data, and every form in which they are reported. No verdict is decided here."""
