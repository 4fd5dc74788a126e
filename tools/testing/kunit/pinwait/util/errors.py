# SPDX-License-Identifier: GPL-2.0
"""Exceptions that end the tool with a sentence and an exit code."""

from typing import Any


class PinwaitError(Exception):
	"""The tool cannot go on; exit_code is what the process returns."""

	exit_code = 2

	def __reduce__(self) -> tuple[Any, ...]:
		"""Unpickle as the same type, whatever arguments the constructor takes: the error may come from a worker process."""
		return _again, (type(self), self.args, self.__dict__)


class UsageError(PinwaitError):
	"""The tool was asked for something that does not exist or make sense."""

	exit_code = 64


class CannotJudge(PinwaitError):
	"""Something other than the patch prevents a verdict."""

	exit_code = 2


class Untestable(CannotJudge):
	"""The source prevents a verdict: another commit may be testable."""


def _again(kind: type[PinwaitError], args: tuple[Any, ...], state: dict[str, Any]) -> PinwaitError:
	error = kind.__new__(kind, *args)
	error.__dict__.update(state)
	return error
