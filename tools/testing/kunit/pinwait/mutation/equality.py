# SPDX-License-Identifier: GPL-2.0
"""Find the mutants whose object equals the original in each of several configurations.

Most of the mutants in question do. So many are put into a file at once: an equal object answers for all of them;
otherwise each half is tried by itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from .generate import Variant

EQUAL, DIFFERS, INVALID = "equal", "differs", "invalid"	# INVALID: does not compile


def layers(variants: Iterable[Variant]) -> list[list[Variant]]:
	"""Return variants of one file in groups; no two of a group overlap."""
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
	"""Return text with several mutants, which do not overlap."""
	for variant in sorted(variants, key=lambda variant: variant.start, reverse=True):
		text = variant.applied(text)
	return text


def sort_out(group: Sequence[Variant], attempt: Callable[[Sequence[Variant]], str]) -> dict[str, str]:
	"""Return, by name, the answer that attempt would give for each variant alone."""
	answer = attempt(group)
	if answer == EQUAL or len(group) == 1:
		return {variant.name: answer for variant in group}
	middle = len(group) // 2
	return sort_out(group[:middle], attempt) | sort_out(group[middle:], attempt)


def everywhere(answers: Mapping[str, Mapping[str, str]], name: str) -> tuple[str, str]:
	"""Return the answer for a mutant in all configurations, and the names of those that give it; answers is by configuration."""
	for wanted in (INVALID, DIFFERS):
		where = [place for place, said in answers.items() if said.get(name) == wanted]
		if where:
			return wanted, ", ".join(where)
	return EQUAL, ", ".join(answers)
