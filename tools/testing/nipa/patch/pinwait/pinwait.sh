#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# NIPA's test of one patch, of a whole series, or of a pull request; for a series NIPA does not set
# FIRST_IN_SERIES.  NIPA starts it in the tree with the patches applied.  PINWAIT_ARGS has more options of
# the gate.  The gate's standard output is the description, its standard error the report.

set -u

WARNING=250	# also for `cannot judge`: that is not the patch's fault
here=$(dirname "$(readlink -f "$0")")
pinwait=${PINWAIT:-$here/../../../kunit/pinwait.py}
python=${PYTHON:-/usr/bin/python3}

# A branch may move while another process fetches; a commit does not.
head=$(git rev-parse HEAD)
if [ "${FIRST_IN_SERIES:-}" = 0 ]; then
	base=$(git rev-parse HEAD~)
else
	# The first patch, and a whole pull, are everything on top of the branch; a pull may be a merge.
	merged=$(git rev-parse --verify --quiet HEAD^2) && head=$merged
	base=$(git merge-base "$BRANCH_BASE" HEAD) || base=$BRANCH_BASE
fi

read -ra more <<< "${PINWAIT_ARGS:-}"
text=$("$python" "$pinwait" gate --kdir=. --range="$base..$head" --results="$RESULTS_DIR" --format=nipa "${more[@]}")
code=$?

# A crash of Python exits with 1 as well.
case "$code:$text" in
0:?* | 1:?* | "$WARNING":?*) ;;
*)
	text="cannot judge: the gate ended with exit code $code and no verdict"
	code=$WARNING
	;;
esac
echo "$text" >&"$DESC_FD"
exit "$code"
