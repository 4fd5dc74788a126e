# SPDX-License-Identifier: GPL-2.0
"""Seeds repeat their boots, orders of events are told apart, and a seed that fails is named."""

import json

import pytest

from logs import changed, lines_of
from pinwait.commands import explore
from pinwait.source.options import Options
from pinwait.util.errors import CannotJudge, UsageError
from sessions import FakeSession

OPTIONS = Options(profile=explore.PROFILE)


@pytest.fixture(name="explored")
def _explored(tmp_path, monkeypatch, capsys):
	def start(logs, seeds=4, seed=0):
		def lines(number, arguments, machine):
			printed, order = logs(number, arguments, machine)
			return printed if order is None else [*printed, f"[    1.000000]     # ok_first: order of 12 events: {order:08x}"]
		session = FakeSession(tmp_path, OPTIONS, lines)
		monkeypatch.setattr(explore, "Session", lambda *_: session)
		monkeypatch.setattr(explore.deps, "ensure", lambda _: None)
		code = explore.explore(session.options, seeds, seed)
		return session, code, capsys.readouterr().out.strip(), json.loads((tmp_path / "explore.json").read_text(encoding="utf-8"))
	return start


def test_orders_are_counted(explored):
	_session, code, said, written = explored(lambda seed, _arguments, _machine: (lines_of("two-suites"), seed // 2))
	assert (code, said) == (0, "explore: 0 of 4 seeds fail; 3 different orders of events")
	assert written["seeds"] == 4 and written["orders"] == 3 and written["failed"] == {}


def test_a_seed_that_fails_is_named_and_its_log_kept(explored, tmp_path):
	def logs(seed, _arguments, _machine):
		lines = lines_of("two-suites")
		return (changed(lines, "    ok 2 ok_only", "    not ok 2 ok_only") if seed == 3 else lines), seed
	session, code, said, written = explored(logs)
	assert (code, said) == (1, "explore: 1 of 4 seeds fail; 4 different orders of events")
	assert session.finished.reason.startswith("seed 3: ") and session.finished.reason.endswith("(SEED=3 repeats it)")
	assert list(written["failed"]) == ["3"] and (tmp_path / "seed-3/kernel.log").exists()


def test_a_seed_is_the_same_boot_each_time(explored):
	def logs(seed, arguments, machine):
		assert (arguments, machine) == explore.drawn(17)
		return lines_of("two-suites"), seed
	_session, _code, _said, written = explored(logs, seed=17)
	assert written["seeds"] == 1 and list(written["order"]) == ["17"]
	assert explore.drawn(17) == explore.drawn(17) and explore.drawn(17)[0] == ["folio_explore.seed=17"]
	assert {explore.drawn(seed)[1] for seed in range(1, 20)} == {"-smp 2,sockets=2", "-smp 4,sockets=4"}


def test_a_kernel_that_records_nothing_proves_nothing(explored):
	with pytest.raises(CannotJudge, match="records no order of events"):
		explored(lambda _seed, _arguments, _machine: (lines_of("two-suites"), None))


@pytest.mark.parametrize("seeds, seed, parallel", [(0, 0, 1), (1, -1, 1), (1, 0, 0)])
def test_wrong_numbers(seeds, seed, parallel):
	with pytest.raises(UsageError, match="at least one seed"):
		explore.explore(OPTIONS, seeds, seed, parallel)


def test_a_profile_of_one_order_is_refused(tmp_path):
	with pytest.raises(UsageError, match="explore boots profile x86_64-smp"):
		explore.explore(Options(profile="uml", build_root=tmp_path), 1, 0)
	assert not list(tmp_path.iterdir())
