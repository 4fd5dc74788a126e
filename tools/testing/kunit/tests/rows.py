# SPDX-License-Identifier: GPL-2.0
"""How results are told: a row for each file of tests, at once what fails, and nothing that was skipped as if it were good."""

import pytest

from pinwait.commands.check import ABSENT

KERNEL = "kernel"	# marker, and group for one worker
NAMED = 5		# tests of a file that are named as soon as they fail


def absent(what: str) -> None:
	"""End a test of something that the kernel under test does not have, and is listed as not having."""
	pytest.skip(f"{ABSENT}{what}")


def count_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
	"""Let what is skipped count as failed, unless it is listed as absent: a skip hides a failure."""
	if report.outcome != "skipped":
		return
	reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
	if not reason.startswith(f"Skipped: {ABSENT}"):
		report.outcome, report.longrepr = "failed", f"{reason}\na test that is skipped proves nothing"
		vars(report).pop("wasxfail", None)


_told: list[BaseException] = []


def tell_once(report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> None:
	"""Tell in a line, not at length, that a fixture is broken if a test before has told why."""
	if not excinfo or report.outcome != "failed":
		return
	if any(excinfo.value is one for one in _told):
		report.longrepr = f"as above: {_first_line(str(excinfo.value))}"
	else:
		_told.append(excinfo.value)


def _first_line(text: str) -> str:
	return (text.strip().splitlines() or [""])[0]


class Rows:
	"""Prints the rows. A file has its row when all of its tests have run, wherever they did."""

	def __init__(self, config: pytest.Config):
		self.config = config
		self.left: dict[str, int] = {}
		self.failed: dict[str, set[str]] = {}
		self.passed: dict[str, int] = {}
		self.seconds: dict[str, float] = {}

	def pytest_collection_finish(self, session: pytest.Session) -> None:
		"""Count the tests of each file where this process runs them."""
		self._begin([item.nodeid for item in session.items])

	@pytest.hookimpl(optionalhook=True)
	def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
		"""The same where others do: all of them find the same tests."""
		self._begin(ids)

	def _begin(self, ids: list[str]) -> None:
		if self.left or not ids:
			return
		for name in ids:
			self.left[_file(name)] = self.left.get(_file(name), 0) + 1
		self._say(f"{len(ids)} tests in {len(self.left)} files")

	def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
		"""Print no dots; the list at the end names what failed."""
		if report.passed and report.when != "call":
			return None
		return report.outcome if report.when == "call" or not report.failed else "error", "", report.outcome.upper() if report.failed else ""

	@pytest.hookimpl(tryfirst=True)
	def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
		"""Count, name what fails, and print the row of a file that is done."""
		# Without the group, which xdist puts behind it, --lf knows a test again.
		report.nodeid = report.nodeid.removesuffix(f"@{KERNEL}")
		name = _file(report.nodeid)
		failed = self.failed.setdefault(name, set())
		self.seconds[name] = self.seconds.get(name, 0.0) + report.duration
		if report.failed and report.nodeid not in failed:
			failed.add(report.nodeid)
			if len(failed) <= NAMED:
				self._say(f"FAIL  {report.nodeid}: {_why(report)}")
		if report.passed and report.when == "call":
			self.passed[name] = self.passed.get(name, 0) + 1
		if report.when == "teardown" or report.when == "???":	# of a worker that crashed
			self.left[name] = self.left.get(name, 1) - 1
			if not self.left[name]:
				self._say(f"{'FAIL' if failed else 'ok':5} {name:<32} {self.passed.get(name, 0):5} passed {len(failed):4} failed "
					  f"{self.seconds[name]:7.1f} s")

	def pytest_sessionfinish(self) -> None:
		"""Say what did not run, as after a worker has crashed."""
		if left := sum(self.left.values()):
			self._say(f"FAIL  {left} tests did not run")

	def _say(self, text: str) -> None:
		reporter = self.config.pluginmanager.get_plugin("terminalreporter")
		if reporter:
			reporter.write_line(text)


def _file(nodeid: str) -> str:
	return nodeid.partition("::")[0].removeprefix("tests/")


def _why(report: pytest.TestReport) -> str:
	crash = getattr(report.longrepr, "reprcrash", None)
	return _first_line(crash.message if crash else str(report.longrepr))[:160]
