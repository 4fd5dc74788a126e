# SPDX-License-Identifier: GPL-2.0
"""Report a judgement as JUnit XML: a suite for each patch, a case for each check, and a suite for the verdict."""

from . import words
from ..log.results import Outcome
from ..util.errors import CannotJudge
from .judgement import Check, Judgement
from .words import Group, Told, line, lines


def junit(judgement: Judgement) -> str:
	"""Return the XML. Raises CannotJudge when python3-junitparser is missing."""
	try:
		from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
	except ImportError as error:
		raise CannotJudge("junit.xml needs the package python3-junitparser") from error

	def case(name: str, suite: TestSuite, outcome: Outcome, reason: str, text: str, seconds: float) -> None:
		entry = TestCase(name, suite.name, round(seconds, 3))
		if outcome is not Outcome.PASS:
			kinds = {Outcome.NOT_SEEN: Skipped, Outcome.FAIL: Failure, Outcome.CANNOT_JUDGE: Error}
			result = kinds[outcome](line(reason), outcome.value)
			result.text = text
			entry.result = [result]
		suite.add_testcase(entry)

	xml = JUnitXml("pinwait gate")
	for patch in judgement.tried:
		suite = TestSuite(f"{patch.number} {line(patch.subject)}")
		suite.timestamp = judgement.started
		for check in patch.checks:
			texts = [_text(group, judgement) for group in words.grouped([Told(patch, check, finding) for finding in check.held])]
			case(check.name, suite, check.outcome, check.reason, "\n\n".join([*texts, *_ending(check)]), check.seconds)
		for name in judgement.not_made(patch):
			case(name, suite, Outcome.CANNOT_JUDGE, "was not made", "", 0.0)
		xml.add_testsuite(suite)
	# Without a patch no case could fail, so the verdict has its own suite.
	whole = TestSuite("pinwait")
	case("verdict", whole, judgement.outcome, judgement.reason, line(judgement.command), judgement.seconds.get("total", 0.0))
	xml.add_testsuite(whole)
	text: str = xml.tostring().decode("utf-8")
	return text


def _text(group: Group, judgement: Judgement) -> str:
	repairer = words.repaired_by(judgement, group.told)
	others = [f"the same in {line(other.where)}" for other in group.others]
	rows = [group.title, *others, *([f"patch {repairer.number} repairs this"] if repairer else [])]
	return "\n".join([*rows, *lines(group.told.finding.text)])


def _ending(check: Check) -> list[str]:
	"""The place of the logs, and the command to reproduce the check."""
	return [text for text in (check.log and f"logs: {line(check.log)}", check.command and line(check.command)) if text]
