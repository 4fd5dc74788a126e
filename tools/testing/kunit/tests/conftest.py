# SPDX-License-Identifier: GPL-2.0
"""Find the package from whatever folder pytest is started in, and keep what a test makes of signals from the next one."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(autouse=True)
def _signals():
	"""The command line is a process's own: at its end it lets no signal in any more."""
	before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
	yield
	for number, handler in before.items():
		signal.signal(number, handler)
