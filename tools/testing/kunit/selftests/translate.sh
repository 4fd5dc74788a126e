# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# For init: translate what a program of kselftest says into what KUnit would.

# Say a result, and why it was skipped, if it was. A name that was there before gets a number.
report()
{
	head=${1%%ok *}ok
	rest=${1#*ok }
	name=${rest#* }
	count=1
	while case $names in *"
$name
"*) true ;; *) false ;; esac; do
		count=$((count + 1))
		name="${rest#* } (no. $count)"
	done
	names="$names$name
"
	say "    $head ${rest%% *} $name${2:+ # SKIP $2}"
}

# Read what a suite says, and its exit status in a last line of its own; say it with its number in the plan. KUnit has names
# before the word SKIP and its like, kselftest has them behind.
translate()
{
	suite=$1
	number=$2
	status=
	planned=
	results=0
	reason=
	names="
"
	while IFS= read -r line; do
		case $line in
		"TAP version"*) ;;
		"exit status "*) status=${line##* } ;;
		"1..0 # SKIP "*) reason=${line#1..0 # SKIP } ;;
		1..[0-9]*)
			planned=1
			say "    $line"
			;;
		"ok "* | "not ok "*)
			results=$((results + 1))
			case $line in
			*" # "[A-Za-z]*)
				head=${line%% # *}
				rest=${line#* # }
				word=${rest%% *}
				name=${rest#* }
				case $head in
				*ok" "[0-9]*" "*) ;;
				*) head="$head $name" ;;
				esac
				[ "$word" = SKIP ] || name=
				report "$head" "$name"
				;;
			*) report "$line" ;;
			esac
			;;
		*) say "    # ${line#\# }" ;;
		esac
	done
	# A program that says nothing of tests is one by itself.
	if [ "$results" = 0 ]; then
		[ "$planned" ] || say "    1..1"
		case $status in
		0) say "    ok 1 exit" ;;
		4) say "    ok 1 exit # SKIP ${reason:-it says no reason}" ;;
		*) say "    not ok 1 exit" ;;
		esac
	fi
	case $status in
	0 | 4) say "ok $number $suite" ;;
	*)
		say "    # exit status $status"
		say "not ok $number $suite"
		;;
	esac
}
