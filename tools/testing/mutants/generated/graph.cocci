// SPDX-License-Identifier: GPL-2.0
// Which functions a file defines, and which names each of them uses: called, or handed on to be called.

@initialize:python@ @@
import json
import sys

def out(what, name, positions):
	for p in positions:
		sys.stdout.write(json.dumps({"what": what, "name": str(name), "function": p.current_element}) + "\n")

@defined@
identifier f;
position p;
@@
f@p(...) { ... }

@script:python@
p << defined.p;
f << defined.f;
@@
out("defined", f, p)

@used disable all@
identifier f;
position p;
@@
f@p

@script:python@
p << used.p;
f << used.f;
@@
out("used", f, p)
