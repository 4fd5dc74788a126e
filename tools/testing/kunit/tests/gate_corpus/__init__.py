# SPDX-License-Identifier: GPL-2.0
"""Inputs of the gate whose verdict is known become real mails, and what the gate says of them right or wrong."""
