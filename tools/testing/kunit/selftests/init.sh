#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The first program of a kernel of profile selftests: run the programs that /programs lists, and say what they
# say as KUnit would, through the kernel's log, so that lines of both stay whole and in order.

PATH=/bin
LIMIT=600	# seconds for a program

# shellcheck disable=SC1091 # it is beside this one
. /translate.sh

say()
{
	printf '%s\n' "$1" >/dev/kmsg
}

mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
mount -t debugfs none /sys/kernel/debug
mkdir /dev/shm
mount -t tmpfs none /dev/shm
mount -t tmpfs none /tmp
mkswap /dev/ram0 >/dev/null && swapon /dev/ram0
# The programs ask for as many huge pages as they map; a longterm pin may have to move each out of ZONE_MOVABLE.
echo 64 >/proc/sys/vm/nr_overcommit_hugepages

filter=
read -r arguments </proc/cmdline
for word in $arguments; do
	case $word in kunit.filter_glob=*) filter=${word#*=} ;; esac
done
while read -r words; do
	suite=$(printf '%s' "$words" | tr ' ' _)
	# shellcheck disable=SC2254 # it is a pattern
	case $suite in ${filter:-*}) echo "$suite $words" ;; esac
done </programs >/tmp/chosen

say "KTAP version 1"
say "1..$(wc -l </tmp/chosen)"
number=0
cd /selftests || exit
while read -r suite words; do
	number=$((number + 1))
	say "    KTAP version 1"
	say "    # Subtest: $suite"
	# shellcheck disable=SC2086 # its arguments are words
	{ timeout $LIMIT ./$words </dev/null 2>&1; echo "exit status $?"; } | translate "$suite" "$number"
done </tmp/chosen
reboot -f
