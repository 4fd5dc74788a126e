# SPDX-License-Identifier: GPL-2.0
"""Text for people: untrusted text, escaped; line numbers."""

import re

# Control characters drive terminals and are not allowed in XML; surrogates come from bytes that were
# no UTF-8; the rest reorders the text around it.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
	"""Escape control, bidi and surrogate characters as their numbers."""
	return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def ranges(numbers: list[int]) -> str:
	"""Return line numbers as people write them: 3-5, 9."""
	runs: list[list[int]] = []
	for number in sorted(set(numbers)):
		if runs and number == runs[-1][1] + 1:
			runs[-1][1] = number
		else:
			runs.append([number, number])
	return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
