#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# NIPA's test of one patch, or of a whole series: only for a patch NIPA sets FIRST_IN_SERIES.
# It starts in the tree with what is to be judged applied.  PINWAIT_ARGS has more options of the gate.

set -u

WARNING=250	# also when nothing can be said: that is not the patch's fault
here=$(dirname "$(readlink -f "$0")")
pinwait=${PINWAIT:-$here/../../../kunit/pinwait.py}
python=${PYTHON:-/usr/bin/python3}
judgement=$RESULTS_DIR/judgement.json

finish() {
	echo "${2:0:240}" >&"$DESC_FD"
	exit "$1"
}

# Names of branches move while others fetch, commits do not.
head=$(git rev-parse HEAD)
if [ -n "${FIRST_IN_SERIES:-}" ]; then
	base=$(git rev-parse HEAD~)
else
	base=$(git merge-base "$BRANCH_BASE" HEAD)
fi
[ -n "$base" ] || finish $WARNING "cannot judge: no base in this tree"

rm -f "$judgement"
read -ra more <<< "${PINWAIT_ARGS:-}"
"$python" "$pinwait" gate --kdir=. --range="$base..$head" --json="$judgement" --junit="$RESULTS_DIR/junit.xml" "${more[@]}"
code=$?

# Python ends with 1 as well, when it breaks.
reason=$("$python" -c '
import json, sys
verdict = json.load(open(sys.argv[1], encoding="utf-8"))["verdict"]
if verdict["exit_code"] != int(sys.argv[2]):
    sys.exit(1)
print(" ".join(verdict["reason"].split()))
' "$judgement" "$code") || finish $WARNING "cannot judge: the gate ended with exit code $code and no verdict"

[ "$code" = 2 ] && finish $WARNING "cannot judge: $reason"
finish "$code" "$reason"
