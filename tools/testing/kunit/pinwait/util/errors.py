# SPDX-License-Identifier: GPL-2.0
"""Exceptions that end the tool with a sentence and an exit code."""


class PinwaitError(Exception):
	"""The tool cannot go on; exit_code is what the process returns."""

	exit_code = 2


class UsageError(PinwaitError):
	"""The tool was asked for something that does not exist or make sense."""

	exit_code = 64


class CannotJudge(PinwaitError):
	"""Something other than the patch prevents a verdict."""

	exit_code = 2


class Untestable(CannotJudge):
	"""It is the source that prevents a verdict: on the next commit all may be well."""
