# SPDX-License-Identifier: GPL-2.0
"""Generated mutants: what Coccinelle finds is what stands there, names last, nobody picks, and no function of the road is forgotten."""

import pytest

from logs import TREE
from pinwait.mutation import coccinelle, generate, road
from pinwait.util.errors import UsageError
from pinwait.util.project import GENERATED

OPERATORS = generate.load(GENERATED / "operators.toml")
SOURCE = """\
#define TWICE(x)	((x) + (x))

static int helper(int a, int *b)
{
	return a < *b;
}

#ifdef CONFIG_NEVER
static inline void never(void)
{
	folio_put(0);
}
#endif

int entry(int a, int *b, struct work *w)
{
	int ret;

	ret = helper(a, b);
	if (ret && !a)
		return true;
	if (WARN_ON(a == 1 ||
		    a == 3))
		goto out;
	spin_lock(&w->lock);
	count_vm_event(a + 1);
	w->flags = FOLL_PIN | FOLL_GET | FOLL_WRITE;
	for (; a; a--)
		w->op(&never);
	spin_unlock(&w->lock);
out:
	return READ_ONCE(*b) ? TWICE(a) : 0;
}
"""


@pytest.fixture(name="cache", scope="module")
def _cache(tmp_path_factory):
	return tmp_path_factory.mktemp("cache")


@pytest.fixture(name="found")
def _found(cache):
	return coccinelle.look(GENERATED, {"mm/a.c": SOURCE}, cache)["mm/a.c"]


def _made(found, *functions, operators=OPERATORS):
	return {variant.name: variant for variant in generate.variants("mm/a.c", found, functions, operators)}


@pytest.mark.parametrize("name, old, new", [
	("relational-1:!=", "a == 1", "a != 1"),
	("relational-2:!=", "a == 3", "a != 3"),
	("logical-1:||", "ret && !a", "ret || !a"),
	("negation-1:gone", "!a)", "a)"),
	("boolean-1:false", "return true", "return false"),
	("constant-1:0", "a == 1", "a == 0"),
	("constant-2:+1", "a == 3", "a == (3 + 1)"),
	("error-path-2:dropped", "if (WARN_ON(a == 1 ||\n\t\t    a == 3))", "if (false\n)"),
	("condition-1:negated", "if (ret && !a)", "if (!(ret && !a))"),
	("condition-1:true", "if (ret && !a)", "if (true)"),
	("drop-lock-1:spin_lock", "spin_lock(&w->lock);", ";"),
	("drop-unlock-1:spin_unlock", "spin_unlock(&w->lock);", ";"),
	("drop-call-1:count_vm_event", "count_vm_event(a + 1);", ";"),
	("drop-call-2:w->op", "w->op(&never);", ";"),
	("drop-assignment-1:ret", "ret = helper(a, b);", ";"),
	("drop-flag-1:FOLL_PIN", "FOLL_PIN | ", " "),
	("drop-flag-3:FOLL_WRITE", "| FOLL_WRITE", ""),
	("swap-arguments-1:swapped", "helper(a, b)", "helper(b, a)"),
	("step-1:++", "a--", "a++"),
	("plain-access-1:READ_ONCE", "READ_ONCE(*b)", "(*b)"),
])
def test_operators(found, name, old, new):
	made = _made(found, "entry")
	assert SOURCE.count(old) == 1
	changed = made[f"a.c:entry:{name}"].applied(SOURCE)
	assert changed == SOURCE.replace(old, new)
	assert changed.count("\n") == SOURCE.count("\n")


def test_every_operator_makes_something(cache):
	calls = ("folio_get(f)", "folio_put(f)", "atomic_inc(&a)", "atomic_dec(&a)", "folio_isolate_lru(f)", "putback_lru(f)", "a += 1")
	text = SOURCE.replace("\tint ret;\n", "\tint ret;\n" + "".join(f"\t{call};\n" for call in calls))
	made = _made(coccinelle.look(GENERATED, {"mm/a.c": text}, cache)["mm/a.c"], "entry", "helper")
	assert {variant.operator for variant in made.values()} == {operator.name for operator in OPERATORS.operators}


def test_every_branch_of_the_preprocessor_is_parsed(found):
	assert "a.c:never:drop-put-1:folio_put" in _made(found, "never")
	assert (found.rejected, found.unparsed) == ([], 0)


def test_one_name_and_one_source_each(found):
	made = _made(found, "entry", "helper", "never")
	assert len({variant.applied(SOURCE) for variant in made.values()}) == len(made)
	# A condition that is always false is what drops its error path.
	assert "a.c:entry:condition-1:false" not in made and "a.c:entry:error-path-1:dropped" in made


def test_names_survive_what_is_added_elsewhere(found, cache):
	moved = SOURCE.replace("int entry(", "/*\n * Something new.\n */\nint entry(").replace("return a < *b;", "return a < *b && a > 1;")
	again = coccinelle.look(GENERATED, {"mm/a.c": moved}, cache)["mm/a.c"]
	assert _made(again, "entry").keys() == _made(found, "entry").keys()


def test_classes(found):
	kinds = {name.split(":", 2)[2]: variant.kind for name, variant in _made(found, "entry").items()}
	assert kinds["drop-call-1:count_vm_event"] == kinds["arithmetic-1:-"] == "statistics"
	assert kinds["plain-access-1:READ_ONCE"] == "ordering"
	assert kinds["drop-lock-1:spin_lock"] == kinds["error-path-2:dropped"] == ""


def test_mutant_of_the_corpus(found):
	for variant in _made(found, "entry").values():
		assert variant.mutant(SOURCE).applied(SOURCE) == variant.applied(SOURCE)


@pytest.mark.parametrize("span, text", [([4, 9, 4, 10], "a"), ([5, 12, 5, 13], "<"), ([99, 0, 99, 1], "<")])
def test_site_that_does_not_stand_there_is_rejected(tmp_path, monkeypatch, span, text):
	match = {"rule": "binary", "function": "helper", "text": text, "spans": [span]}
	monkeypatch.setattr(coccinelle, "_matches", lambda *_: ([match], [], 0))
	found = coccinelle.look(GENERATED, {"mm/a.c": SOURCE}, tmp_path)["mm/a.c"]
	assert (found.sites, found.rejected) == ([], ["helper"])


def test_what_was_not_parsed_is_told(tmp_path):
	broken = SOURCE + "void bad(void)\n{\n\tif (;\n}\n"
	found = coccinelle.look(GENERATED, {"mm/a.c": broken}, tmp_path)["mm/a.c"]
	assert found.unparsed and "bad" not in found.defined and "entry" in found.defined


def test_looked_at_once(found, cache, monkeypatch):
	monkeypatch.setattr(coccinelle, "run", lambda *_, **__: pytest.fail("Coccinelle is called"))
	assert coccinelle.look(GENERATED, {"mm/a.c": SOURCE}, cache)["mm/a.c"] == found


def test_seed_decides(found):
	made = list(_made(found, "entry").values())
	seed = generate.seed_of("7.3.4")
	assert seed != generate.seed_of("7.3.5")
	drawn = generate.drawn(made, seed)
	assert drawn != generate.drawn(made, "other") and sorted(drawn, key=made.index) == made
	assert generate.drawn(made[::-1], seed) == drawn
	assert generate.drawn(made, seed, 9) == drawn[:9]


def test_unknown_name(found):
	made = list(_made(found, "entry", "never").values())
	assert [one.name for one in generate.named(made, [made[3].name])] == [made[3].name]
	with pytest.raises(UsageError, match="there are: .*a.c:never:drop-put-1:folio_put"):
		generate.named(made, ["a.c:never:drop-put-9:folio_put"])
	with pytest.raises(UsageError, match="a name is file:function"):
		generate.named(made, ["key-no-dec"])


@pytest.mark.parametrize("text, said", [
	("operator = 1", "iterable"), ("[classes]\n", "operator"), ("[[operator]]\nname = 'a'\nrule = 'b'\n", "needs `swaps` or `becomes`"),
	("[[operator]]\nname = 'a'\nrule = 'b'\nswaps = {a = ['b']}\nbecomes = {a = 'b'}\n", "and not both"),
	("[[operator]]\nname = 'a'\nrule = 'b'\nextra = 1\nbecomes = {a = 'b'}\n", "extra"),
])
def test_operators_that_make_no_sense(tmp_path, text, said):
	(tmp_path / "operators.toml").write_text(text, encoding="utf-8")
	with pytest.raises(UsageError, match=said):
		generate.load(tmp_path / "operators.toml")


def test_every_rule_has_an_operator_and_every_operator_a_rule():
	rules = {line.split('"')[1] for line in (GENERATED / "sites.cocci").read_text(encoding="utf-8").splitlines()
		 if line.startswith("site(")}
	assert rules == {operator.rule for operator in OPERATORS.operators}


def _road(tmp_path, functions, left_out="", changed=()):
	(tmp_path / "road.toml").write_text(f"entries = ['entry']\nchanged = {[*changed]}\n[functions]\n'mm/a.c' = {functions}\n[rebuild]\n{left_out}",
					    encoding="utf-8")
	return road.load(tmp_path / "road.toml")


@pytest.mark.parametrize("functions, left_out, said", [
	(["entry", "helper", "never"], [], []),
	(["entry", "helper"], ["never"], []),
	(["entry", "helper"], ["*"], []),
	(["entry", "never"], [], ["mm/a.c: helper is reachable, but neither listed nor left out"]),
	(["entry", "never", "helper"], ["helper"], ["mm/a.c: helper is both listed and left out"]),
	(["entry", "never", "helper", "gone"], [], ["mm/a.c: gone is not defined there"]),
])
def test_road(tmp_path, found, functions, left_out, said):
	table = f"[[left-out]]\nfile = 'mm/a.c'\nfunctions = {left_out}\nwhy = 'w'\n" if left_out else ""
	assert road.problems(_road(tmp_path, functions, table), {"mm/a.c": found}) == said


def test_entry_point_that_is_gone(tmp_path, found):
	told = road.problems(_road(tmp_path, []), {"mm/b.c": found, "mm/a.c": coccinelle.Found("")})
	assert "mm/b.c: helper is reachable, but neither listed nor left out" in told
	found = coccinelle.Found("")
	assert road.problems(_road(tmp_path, []), {"mm/a.c": found}) == ["entry: the files of the road have no such entry point"]


def test_function_is_left_out_for_a_reason(tmp_path):
	with pytest.raises(UsageError, match="helper is left out without a why"):
		_road(tmp_path, [], "[[left-out]]\nfile = 'mm/a.c'\nfunctions = ['helper']\nwhy = ''\n")


def test_changed_function_is_on_the_road(tmp_path):
	with pytest.raises(UsageError, match="`changed` has gone, `functions` does not"):
		_road(tmp_path, ["entry"], changed=["entry", "gone"])


def test_who_is_near_the_series(tmp_path):
	sees = coccinelle.Found("", defined={"entry", "helper", "deeper", "beside"},
				uses={"beside": {"entry"}, "entry": {"helper", "memset"}, "helper": {"deeper"}})
	there = _road(tmp_path, ["entry", "helper", "deeper", "beside"], changed=["entry"])
	assert road.near(there, {"mm/a.c": sees}) == {("mm/a.c", "entry"), ("mm/a.c", "helper")}


def test_mutant_by_its_name(cache):
	text = (TREE / "kernel/sched/wait_bit.c").read_text(encoding="utf-8")
	asked = []
	mutant = generate.broken(GENERATED, "wait_bit.c:wake_up_var:swap-arguments-2:swapped", lambda name: asked.append(name) or text, cache)
	assert asked == ["kernel/sched/wait_bit.c"] and mutant.file == asked[0]
	assert mutant.applied(text) == text.replace("__wake_up_bit(__var_waitqueue(var), var, -1)", "__wake_up_bit(__var_waitqueue(var), -1, var)")
	with pytest.raises(UsageError, match="unknown mutant 'other.c:f:o-1:x'"):
		generate.broken(GENERATED, "other.c:f:o-1:x", lambda _name: "", cache)
