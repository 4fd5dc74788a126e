# SPDX-License-Identifier: GPL-2.0
"""The list of expected cases and KUnit's filter."""

from dataclasses import replace

import pytest

from logs import listed
from pinwait.log import expected
from pinwait.util.errors import UsageError


def test_entries(tmp_path):
	cases = listed(tmp_path, "# comment", "", "a.b", "a.c[order 2, x[1]]  change skip:uml,uml-rt  # why",
		       "a.d skip:uml").cases
	assert list(cases) == ["a.b", "a.c[order 2, x[1]]", "a.d"]
	one = cases["a.c[order 2, x[1]]"]
	assert (one.suite, one.name, one.param, one.change) == ("a", "c", "order 2, x[1]", True)
	assert one.skips == {"uml", "uml-rt"}
	assert not cases["a.b"].change and not cases["a.b"].skips


def test_case_about_what_a_series_does_not_have(tmp_path):
	cases = listed(tmp_path, "a.b", "a.key change absent:none,other skip:uml-rt")
	key = cases.cases["a.key"]
	assert key.change and key.absent == {"none", "other"}
	skips = {(promises, profile) for promises in ("rfc", "none") for profile in ("uml", "uml-rt")
		 if replace(cases, promises=promises).skips(key, profile)}
	assert skips == {("none", "uml"), ("none", "uml-rt"), ("rfc", "uml-rt")}
	assert not replace(cases, promises="none").skips(cases.cases["a.b"], "uml")


def test_case_of_one_profile(tmp_path):
	cases = listed(tmp_path, "a.b", "leaks.none only:uml-debug,uml-kasan")
	assert [case.id for case in cases.select("uml")] == ["a.b"]
	assert [case.id for case in cases.select("uml-debug")] == ["a.b", "leaks.none"]
	with pytest.raises(UsageError, match="selects no case"):
		cases.select("uml", "leaks")


@pytest.mark.parametrize("entry, said", [
	("suite", "is not suite.case"), ("a.b chnage", "unknown word 'chnage'"),
	("a.b skip:", "unknown word 'skip:'"), ("a.b absent", "unknown word 'absent'"), ("a.b skip:uml,", "unknown word"), (".b", "is not suite.case"),
])
def test_wrong_line_is_named(tmp_path, entry, said):
	with pytest.raises(UsageError, match=said) as error:
		listed(tmp_path, "a.ok", entry)
	assert "expected-cases.txt:2" in str(error.value)


def test_case_listed_twice(tmp_path):
	with pytest.raises(UsageError, match="a.b is listed twice"):
		listed(tmp_path, "a.b", "a.b change")


def test_empty_or_missing_list(tmp_path):
	with pytest.raises(UsageError, match="lists no case"):
		listed(tmp_path, "# nothing")
	with pytest.raises(UsageError, match="No such file"):
		expected.load(tmp_path / "none.txt")


@pytest.mark.parametrize("glob, chosen", [
	("", ["put.one", "put.two[x]", "pin.one"]),
	("put", ["put.one", "put.two[x]"]),
	("p*", ["put.one", "put.two[x]", "pin.one"]),
	("*.one", ["put.one", "pin.one"]),
	("put.t?o", ["put.two[x]"]),
	("p[!u]*.*", ["pin.one"]),
])
def test_filter(tmp_path, glob, chosen):
	assert [case.id for case in listed(tmp_path, "put.one", "put.two[x]", "pin.one").select("uml", glob)] == chosen


@pytest.mark.parametrize("glob", ["nope", "put.three", "PUT", "put.two[x]", "put.one.more"])
def test_filter_that_selects_nothing(tmp_path, glob):
	with pytest.raises(UsageError, match="selects no case") as error:
		listed(tmp_path, "put.one", "put.two[x]").select("uml", glob)
	assert error.value.exit_code == 64
