# SPDX-License-Identifier: GPL-2.0
"""Write a judgement to a folder, in every form."""

import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..util import outputs
from ..util.outputs import Output
from .adapters import patchwork_checks
from .html import html
from .judgement import Judgement, to_json
from .junit import junit
from .kcidb import kcidb
from .ktap import ktap
from .reply import reply

REPORTER = "PINWAIT_REPORTER"	# environment variable: "Name <address>" that a fix should credit


def write_all(judgement: Judgement, folder: Path, copies: Mapping[str, Output | None] | None = None) -> None:
	"""Write the files atomically, and copies of some of them, by name.

	judgement.json comes first, because all others can be made from it. Failures to write are reported.
	"""
	outputs.write_all(folder, {name: (functools.partial(make, judgement), (copies or {}).get(name))
				   for name, make in FILES.items()})


def _json(content: Any) -> str:
	return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


FILES: dict[str, Callable[[Judgement], str]] = {
	"judgement.json": lambda judgement: _json(to_json(judgement)),
	"junit.xml": junit,
	"judgement.ktap": ktap,
	"kcidb.json": lambda judgement: _json(kcidb(judgement)),
	"reply.md": lambda judgement: reply(judgement, os.environ.get(REPORTER, "")),
	"judgement.html": html,
	"patchwork.json": lambda judgement: _json(patchwork_checks(judgement, judgement.report_url)),
}
