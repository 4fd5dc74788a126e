// SPDX-License-Identifier: GPL-2.0
// Where a function can be broken: every site, as a line of JSON.
//
// A site has a rule, which operators.toml says what to do with, the function that it is in, the text that stands
// there, and one span or more: [line, column, line behind its end, column]. The tool sees whether that text
// really stands at the first span: in a macro it may not.
//
// No isomorphisms: what is matched is what is written.

@initialize:python@ @@
import json
import sys

def site(rule, text, *spans):
	for several in zip(*spans):
		sys.stdout.write(json.dumps({
			"rule": rule, "function": several[0].current_element, "text": str(text),
			"spans": [[int(p.line), int(p.column), int(p.line_end), int(p.column_end)] for p in several]}) + "\n")

@between disable all@
binary operator o;
expression x, y;
position p;
@@
x o@p y

@script:python@
p << between.p;
o << between.o;
@@
site("binary", o, p)

@assigned disable all@
assignment operator o;
expression x, y;
position p;
@@
x o@p y

@script:python@
p << assigned.p;
o << assigned.o;
@@
site("assignment", o, p)

@increment disable all@
expression x;
position p;
@@
(
x++@p
|
 ++@p x
)

@script:python@
p << increment.p;
@@
site("step", "++", p)

@decrement disable all@
expression x;
position p;
@@
(
x--@p
|
 --@p x
)

@script:python@
p << decrement.p;
@@
site("step", "--", p)

@negation disable all@
expression x;
position p;
@@
!@p x

@script:python@
p << negation.p;
@@
site("negation", "!", p)

@yes disable all@
symbol true;
position p;
@@
true@p

@script:python@
p << yes.p;
@@
site("boolean", "true", p)

@no disable all@
symbol false;
position p;
@@
false@p

@script:python@
p << no.p;
@@
site("boolean", "false", p)

@number disable all@
constant c =~ "^[0-9]";
position p;
@@
c@p

@script:python@
p << number.p;
c << number.c;
@@
site("constant", c, p)

@error_path disable all@
expression e;
identifier l;
position p;
@@
(
if (e@p) goto l;
|
if (e@p) return ...;
|
if (e@p) return;
|
if (e@p) { ... return ...; }
|
if (e@p) { ... return; }
|
if (e@p) { ... goto l; }
)

@script:python@
p << error_path.p;
e << error_path.e;
@@
site("error path", e, p)

@branch disable all@
expression e;
statement S1, S2;
position p;
@@
(
if (e@p) S1 else S2
|
if (e@p) S1
)

@script:python@
p << branch.p;
e << branch.e;
@@
site("branch", e, p)

@choice disable all@
expression e, x, y;
position p;
@@
e@p ? x : y

@script:python@
p << choice.p;
e << choice.e;
@@
site("branch", e, p)

@loop disable all@
expression e, x, y;
statement S;
position p;
@@
(
while (e@p) S
|
for (x; e@p; y) S
|
for (...; e@p; ...) S
)

@script:python@
p << loop.p;
e << loop.e;
@@
site("loop", e, p)

@call disable all@
expression f;
expression list es;
position p, q;
@@
f@p(es) ;@q

@script:python@
p << call.p;
q << call.q;
f << call.f;
@@
site("call", f, p, q)

@store disable all@
assignment operator o;
expression x, y;
position p, q;
@@
x@p o y ;@q

@script:python@
p << store.p;
q << store.q;
x << store.x;
@@
site("store", x, p, q)

// A flag of several: it goes with the operator behind it or before it.
@flag_first disable all@
identifier f =~ "^[A-Z][A-Z0-9_]*$";
expression y;
position p, q;
@@
f@p |@q y

@script:python@
p << flag_first.p;
q << flag_first.q;
f << flag_first.f;
@@
site("first flag", f, p, q)

@flag_last disable all@
identifier f =~ "^[A-Z][A-Z0-9_]*$";
expression x;
position p, q;
@@
x |@q f@p

@script:python@
p << flag_last.p;
q << flag_last.q;
f << flag_last.f;
@@
site("last flag", f, p, q)

@arguments disable all@
expression f, a, b;
expression list xs, ys;
position p, q;
@@
f(xs, a@p, b@q, ys)

@script:python@
p << arguments.p;
q << arguments.q;
a << arguments.a;
@@
site("arguments", a, p, q)

@once disable all@
symbol READ_ONCE;
expression x;
position p, q, r;
@@
READ_ONCE@p(x@q)@r

@script:python@
p << once.p;
q << once.q;
r << once.r;
@@
site("once", "READ_ONCE", p, q, r)
