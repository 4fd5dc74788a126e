# SPDX-License-Identifier: GPL-2.0
"""The HTML report: complete, by itself, and not to be taken over by a patch."""

from html.parser import HTMLParser

import pytest

import judgements
from judgements import check, found, judgement, patch
from pinwait.log.results import Outcome
from pinwait.report.html import HEADLINE, UNFOLDED, html

VOID = ("meta", "br", "link", "img", "input")


class _Page(HTMLParser):
	"""Elements with their attributes, text, and whether all that was opened is closed."""

	def __init__(self, page):
		super().__init__()
		self.elements, self.texts, self.stack = [], [], []
		self.feed(page)
		self.close()
		assert not self.stack

	def handle_starttag(self, tag, attrs):
		self.elements.append((tag, dict(attrs)))
		if tag not in VOID:
			self.stack.append(tag)

	def handle_endtag(self, tag):
		assert self.stack.pop() == tag

	def handle_data(self, data):
		self.texts.append(data)

	def of(self, tag):
		return [attrs for name, attrs in self.elements if name == tag]

	@property
	def text(self):
		return " ".join(" ".join(self.texts).split())


@pytest.mark.parametrize("name", judgements.ALL)
def test_needs_nothing_beside_it(name):
	page = _Page(html(judgements.ALL[name]()))
	assert not {"script", "link", "img", "iframe", "object", "form"} & {tag for tag, _ in page.elements}
	assert not any(key in ("src", "srcset", "background") or key.startswith("on") for _, attrs in page.elements for key in attrs)
	targets = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
	assert all(attrs["href"][0] == "#" and attrs["href"][1:] in targets for attrs in page.of("a"))
	assert any("default-src 'none'" in attrs.get("content", "") for attrs in page.of("meta"))


def test_patch_cannot_take_it_over():
	source = html(judgements.hostile())
	assert "<script" not in source and "&lt;script&gt;alert(1)" in source
	assert "\033" not in source and "\0" not in source and "\u202e" not in source
	assert "logs in ../../etc/" in _Page(source).text


def test_tells_all_of_a_failure():
	page = _Page(html(judgements.failing_case()))
	for text in ("patch 2 of 3 fails", "3 patches: 2 pass, 1 fail", "(in 5/5 boots, before the patch in 0/5)", "fail (4)",
		     "EXPECTATION FAILED at mm/tests/", "migrate_pages_batch+0x4a1/0xb20", "1613-1615", "1 of 4",
		     "There before the patches (1)", "none was given, so it is the prepared kernel", "gcc 12.2.0",
		     judgements.COMMAND, "sparse: not installed", "62.0 s in all", "uml of all patches"):
		assert text in page.text, text


def test_colour_is_not_all_there_is():
	page = _Page(html(judgements.cannot_judge()))
	assert page.text.count("cannot judge") >= 4 and "Nearest base to which it applies: v7.2-rc3" in page.text
	less = patch(1, "mm: x")
	del less.checks[2]
	text = _Page(html(judgement(less))).text
	assert "not made" in text and "stubs was to be made and has no result" in text


def test_series_that_repairs_itself_and_what_is_found_twice():
	text = _Page(html(judgements.broken_build())).text
	assert "Patch 2 repairs this; each patch has to pass by itself." in text
	assert "error mm/migrate.c:1204: as in warnings" in text


def test_many_texts_are_folded():
	def opened(number):
		page = _Page(html(judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad", *judgements.failures(number))))))
		return sum("open" in attrs for attrs in page.of("details"))
	assert opened(UNFOLDED) == UNFOLDED and opened(UNFOLDED + 1) == 1


def test_two_hundred_patches():
	bad = check("uml", Outcome.FAIL, "bad", found("case", "a.b", "text"))
	page = _Page(html(judgement(*(patch(number, "mm: x", *([bad] if number == 57 else [])) for number in range(1, 201)))))
	assert len([attrs for attrs in page.of("tr") if attrs.get("id", "").startswith("patch-")]) == 200
	assert {"href": "#patch-57-says"} in page.of("a") and "199 pass, 1 fail" in page.text


def test_head_is_short_and_has_the_command():
	why = " ".join(["it broke"] * 80)
	text = html(judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, why))))
	head = text[text.index("<header"):text.index("</header>")]
	title = head[head.index("<h1>") + 4:head.index("</h1>")]
	assert len(title) <= HEADLINE and title.startswith("the patch fails (mm: x): uml: it broke") and title.endswith(" ...")
	assert why in head and judgements.COMMAND in head and text.count(judgements.COMMAND) == 1
