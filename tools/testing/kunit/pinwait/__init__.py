# SPDX-License-Identifier: GPL-2.0
"""Proves that page migration waits for transient references to memory that is pinned for long."""
