# SPDX-License-Identifier: GPL-2.0
"""Text of unknown origin, made fit to be shown."""

import re

# Control characters drive terminals and are not allowed in XML; surrogates come from bytes that were
# no UTF-8; the rest reorders the text around it.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
	"""Return text with everything replaced by its number that is not to be seen or misleads who sees it."""
	return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)
