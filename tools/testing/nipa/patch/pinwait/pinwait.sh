#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# NIPA's test of one patch, of a whole series, or of a pull request: only for a patch or a pull NIPA sets
# FIRST_IN_SERIES.  It starts in the tree with what is to be judged applied.  PINWAIT_ARGS has more options
# of the gate, which says the rest: its standard output is the description, standard error the report.

set -u

WARNING=250	# also when nothing can be said: that is not the patch's fault
here=$(dirname "$(readlink -f "$0")")
pinwait=${PINWAIT:-$here/../../../kunit/pinwait.py}
python=${PYTHON:-/usr/bin/python3}

# Names of branches move while others fetch, commits do not.
head=$(git rev-parse HEAD)
if [ "${FIRST_IN_SERIES:-}" = 0 ]; then
	base=$(git rev-parse HEAD~)
else
	# The first patch is all that is on top of the branch; a pull is, too, and may be a merge.
	merged=$(git rev-parse --verify --quiet HEAD^2) && head=$merged
	base=$(git merge-base "$BRANCH_BASE" HEAD) || base=$BRANCH_BASE
fi

read -ra more <<< "${PINWAIT_ARGS:-}"
text=$("$python" "$pinwait" gate --kdir=. --range="$base..$head" --results="$RESULTS_DIR" --format=nipa "${more[@]}")
code=$?

# Python ends with 1 as well, when it breaks.
case "$code:$text" in
0:?* | 1:?* | "$WARNING":?*) ;;
*)
	text="cannot judge: the gate ended with exit code $code and no verdict"
	code=$WARNING
	;;
esac
echo "$text" >&"$DESC_FD"
exit "$code"
