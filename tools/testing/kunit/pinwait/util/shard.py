# SPDX-License-Identifier: GPL-2.0
"""A shard of a long job, i/n: every machine does one, and `merge` joins the results."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from .errors import UsageError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
	"""The index-th of count shares, from 1."""
	index: int = 1
	count: int = 1

	@classmethod
	def parse(cls, text: str) -> "Shard":
		"""Return the shard for "i/n", the whole job for "". Raises UsageError for anything else."""
		if not text:
			return cls()
		match = re.fullmatch(r"(\d+)/(\d+)", text)
		shard = cls(*map(int, match.groups())) if match else None
		if not shard or not 1 <= shard.index <= shard.count:
			raise UsageError(f"'{text}' is no shard: give i/n with i from 1 to n, as in 2/5")
		return shard

	def block(self, items: Sequence[Item]) -> Sequence[Item]:
		"""Return a contiguous share of the items; the shares' sizes differ by one at most."""
		total = len(items)
		return items[total * (self.index - 1) // self.count:total * self.index // self.count]

	def spread(self, items: Sequence[Item]) -> Sequence[Item]:
		"""Return every count-th item."""
		return items[self.index - 1::self.count]

	def __str__(self) -> str:
		return "" if self.count == 1 else f"{self.index}/{self.count}"


def units(checks: Sequence[str], patches: int, only: int = 0) -> list[tuple[str, int]]:
	"""Return every check of every patch, or of one, in an order in which neighbours share states and objects."""
	return [(check, number) for check in checks for number in range(1, patches + 1) if only in (0, number)]
