# SPDX-License-Identifier: GPL-2.0
"""Report a judgement as one HTML file: no network, no script, no other files."""

import textwrap
from collections import Counter
from pathlib import Path

from . import words
from ..log.results import LABELS, Outcome
from ..util.errors import CannotJudge
from ..util.text import printable
from .judgement import Change, Judgement

TEMPLATE = Path(__file__).parent / "judgement.html.j2"
HEADLINE = 160		# characters of the first sentence, about two lines on a screen
UNFOLDED = 12		# with more findings than this, all but the first are folded
_CLASSES = {Outcome.PASS: "pass", Outcome.NOT_SEEN: "doubt", Outcome.FAIL: "fail", Outcome.CANNOT_JUDGE: "doubt"}


def html(judgement: Judgement) -> str:
	"""Return the page. Raises CannotJudge when python3-jinja2 is missing."""
	try:
		from jinja2 import Environment, StrictUndefined
		from markupsafe import Markup
	except ImportError as error:
		raise CannotJudge("judgement.html needs the package python3-jinja2") from error

	def shown(value: object) -> object:
		"""Make a text of the page printable; every one passes through here before it is escaped."""
		return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

	environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=shown, trim_blocks=True, lstrip_blocks=True)
	found, groups = list(words.findings(judgement)), words.grouped(words.held(judgement))
	page: str = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
		judgement=judgement, headline=textwrap.shorten(words.line(judgement.reason), HEADLINE, placeholder=" ..."), words=words, classes=_CLASSES, labels=LABELS,
		columns=list(dict.fromkeys([*judgement.checks, *(check.name for patch in judgement.tried for check in patch.checks)])),
		tally=Counter(patch.outcome for patch in judgement.tried), outcomes=list(Outcome), doubt=Outcome.CANNOT_JUDGE,
		notable=[patch for patch in judgement.tried
			 if patch.outcome is not Outcome.PASS or judgement.not_made(patch)],
		groups=groups, unfolded=len(groups) <= UNFOLDED, remarks=words.remarks(judgement),
		lasting=words.lasting(found), fixed=words.distinct(found, Change.FIXED), old=words.distinct(found, Change.PRE_EXISTING),
		spent=_spent(judgement))
	return page


def _spent(judgement: Judgement) -> dict[str, float]:
	"""Return the seconds of each stage and of each check, the longest first."""
	spent = {name: seconds for name, seconds in judgement.seconds.items() if name != "total"}
	for patch in judgement.tried:
		for check in patch.checks:
			name = f"{check.name} of all patches"
			spent[name] = spent.get(name, 0.0) + check.seconds
	return dict(sorted(spent.items(), key=lambda item: -item[1]))
