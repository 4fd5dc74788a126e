# SPDX-License-Identifier: GPL-2.0
"""Where cases run: each somewhere, and where one does not, it is known why."""

import tomllib

import pytest

from logs import listed
from pinwait.kernel.profile import booted, expected_cases
from pinwait.report import skips
from pinwait.util.errors import UsageError
from pinwait.util.project import CONFIGS, PROJECT, SKIPS

PAGE = "# A page\n\n<!-- skips -->\n\nold\n\n<!-- end of skips -->\n\nthe end\n"
PROFILES = ["p", "q", "r"]
LIST = ("s.one", "s.two[a] skip:q,r", "s.two[b] skip:q,r", "s.three[a] skip:q", "s.three[b] skip:q", "s.three[c]", "t.one only:p", "u.one skip:r", "u.two skip:r")
REASONS = {"q": {"s.two[a]": "takes N s", "s.two[b]": "takes N s", "s.three[a]": "takes N s", "s.three[b]": "takes N s"},
	   "r": {"s.two[a]": "takes N s", "s.two[b]": "takes N s", "u.one": "no node", "u.two": "no node"}}


@pytest.fixture(name="cases")
def _cases(tmp_path):
	return listed(tmp_path, *LIST)


def test_tables(cases):
	assert skips.documented(PAGE, REASONS, cases, PROFILES) == """\
# A page

<!-- skips -->

| suite | p | q | r |
| --- | --- | --- | --- |
| `s` | 6 | 2 of 6 | 4 of 6 |
| `t` | 1 | 0 of 1 | 0 of 1 |
| `u` | 2 | 2 | 0 of 2 |

| suite | do not run | in | why |
|---|---|---|---|
| `s` | `two` | all but p | takes N s |
| `s` | `three` (all but `c`) | q | takes N s |
| `t` | all | all but p | not built |
| `u` | all | r | no node |

<!-- end of skips -->

the end
"""


def test_file_says_what_it_was_told(cases, tmp_path):
	text = skips.text_of(REASONS, list(cases.cases.values()))
	(tmp_path / "skips.toml").write_text(text, encoding="utf-8")
	assert skips.load(tmp_path / "skips.toml") == REASONS
	assert [(table["reason"], table["profiles"], len(table["cases"])) for table in tomllib.loads(text)["skip"]] == [
		("takes N s", ["q", "r"], 2), ("takes N s", ["q"], 2), ("no node", ["r"], 2)]


@pytest.mark.parametrize("text", ["[", "[[skip]]\nreason = 'x'\n", "skip = 3\n", "skip = [3]\n"])
def test_faulty_file_is_named(tmp_path, text):
	(tmp_path / "s.toml").write_text(text, encoding="utf-8")
	with pytest.raises(UsageError, match="s.toml: "):
		skips.load(tmp_path / "s.toml")


def test_gaps(cases):
	assert not skips.gaps(REASONS, cases, PROFILES)
	wrong = {"q": REASONS["q"] | {"s.one": "x"}, "r": {name: why for name, why in REASONS["r"].items() if name != "u.two"}, "none": {}}
	assert skips.gaps(wrong, cases, PROFILES) == [
		"q: s.one does not skip there, as the list says", "r: it is not known why u.two skips", "none is no profile that runs the suites"]


def test_case_that_runs_nowhere(tmp_path):
	reasons = {name: {"s.two": "x"} for name in ("p", "q")}
	cases = listed(tmp_path, "s.one", "s.two skip:p,q", "s.three only:none", "s.four only:p")
	assert skips.gaps(reasons, cases, ["p", "q"]) == ["s.two runs nowhere", "s.three runs nowhere"]


def _summary(**more):
	return {"profile": "p", "series": {"name": "rfc"}, "filter": "", "cases": [
		{"suite": "s", "name": "one", "param": None, "status": "pass", "text": ""},
		{"suite": "s", "name": "two", "param": "a[1]", "status": "skip", "text": "takes 10 s"}]} | more


def test_what_a_run_says():
	assert skips.said(_summary(), "rfc") == ("p", {"s.two[a[1]]": "takes N s"})


@pytest.mark.parametrize("more", [{"filter": "s.*"}, {"series": {"name": "none"}}, {"cases": []}])
def test_part_of_a_run_does_not_count(more):
	with pytest.raises(UsageError, match="not a run of all cases"):
		skips.said(_summary(**more), "rfc")


def test_every_case_runs_somewhere_and_says_why_not_elsewhere():
	cases, profiles = expected_cases(CONFIGS), booted(CONFIGS)
	assert "uml" in profiles and "x86_64" in profiles and "uml-stubs" not in profiles
	assert skips.gaps(skips.load(SKIPS), cases, profiles) == [], "run the suites in these profiles, then tools/testing/kunit/skips.py"


def test_documentation_is_up_to_date():
	text = (PROJECT / "Documentation/profiles.md").read_text(encoding="utf-8")
	cases, profiles = expected_cases(CONFIGS), booted(CONFIGS)
	assert skips.documented(text, skips.load(SKIPS), cases, profiles) == text, "run tools/testing/kunit/skips.py"
	assert skips.documented(text, {}, cases, profiles[:1]) != text
