# SPDX-License-Identifier: GPL-2.0
"""Which mutants make no other object, in any of several configurations?

Most of those that are asked about make none, so many are put into a file at once: an equal object clears them all, and
of others one half is tried after the other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from .generate import Variant

EQUAL, DIFFERS, INVALID = "equal", "differs", "invalid"	# INVALID: does not compile


def layers(variants: Iterable[Variant]) -> list[list[Variant]]:
	"""Return variants of one file in groups in which no two touch each other."""
	found: list[list[Variant]] = []
	for variant in sorted(variants, key=lambda variant: (variant.start, variant.end)):
		for layer in found:
			if layer[-1].end <= variant.start:
				layer.append(variant)
				break
		else:
			found.append([variant])
	return found


def applied(variants: Sequence[Variant], text: str) -> str:
	"""Return text with several mutants, none of which touches another."""
	for variant in sorted(variants, key=lambda variant: variant.start, reverse=True):
		text = variant.applied(text)
	return text


def sort_out(group: Sequence[Variant], attempt: Callable[[Sequence[Variant]], str]) -> dict[str, str]:
	"""Return, by name, what attempt would say of each variant alone."""
	answer = attempt(group)
	if answer == EQUAL or len(group) == 1:
		return {variant.name: answer for variant in group}
	middle = len(group) // 2
	return sort_out(group[:middle], attempt) | sort_out(group[middle:], attempt)


def everywhere(answers: Mapping[str, Mapping[str, str]], name: str) -> tuple[str, str]:
	"""Return what holds of a mutant in all configurations, whose answers are given by their names, and in which it shows."""
	for wanted in (INVALID, DIFFERS):
		where = [place for place, said in answers.items() if said.get(name) == wanted]
		if where:
			return wanted, ", ".join(where)
	return EQUAL, ", ".join(answers)
