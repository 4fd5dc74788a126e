# SPDX-License-Identifier: GPL-2.0
"""What the tests are told (options), which of them run (shards), and what counts (a skipped test proves nothing)."""

import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import asked
import rows
from steps import Step


def pytest_addoption(parser: pytest.Parser) -> None:
	asked.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
	asked.choose_inputs(config)
	if not hasattr(config, "workerinput") and config.option.verbose <= 0:
		config.pluginmanager.register(rows.Rows(config))


def pytest_unconfigure(config: pytest.Config) -> None:
	reporter = config.pluginmanager.get_plugin("terminalreporter")
	if reporter and config.getoption("verdicts"):
		said = config.stash.get(asked.SAID, None)
		reporter.write_line(f"{said.right if said else 0} of {len(asked.inputs_of(config))} verdicts right")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
	outcome = yield
	rows.count_skipped(outcome.get_result())
	rows.tell_once(outcome.get_result(), call.excinfo)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
	outcome = yield
	rows.count_skipped(outcome.get_result())


@pytest.fixture(name="step", scope="session")
def _step(request: pytest.FixtureRequest) -> Callable[[str], Step]:
	"""Begin a step, by the name of its log."""
	options = asked.options_of(request.config)
	folder = options.build_root / "check"
	folder.mkdir(parents=True, exist_ok=True)
	capture = request.config.pluginmanager.get_plugin("capturemanager")
	assert capture

	def begin(name: str) -> Step:
		log = folder / f"{name}.log"
		log.write_text("", encoding="utf-8")
		return Step(options, log, capture.global_and_fixture_disabled)
	return begin


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
	"""The command line is a process's own: at its end it lets no signal in any more. A shell's `&` lets none in from the start."""
	before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
	signal.signal(signal.SIGINT, signal.default_int_handler)
	yield
	for number, handler in before.items():
		signal.signal(number, handler)
