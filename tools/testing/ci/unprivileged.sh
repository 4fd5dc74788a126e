#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# usage: unprivileged.sh COMMAND...
#
# Run the gate as root in a container of a CI server; the container is the isolation. Install the gate's packages, and
# run the command as a separate user with almost no environment. The makefiles of a patch run as that user. They find
# no token: not in their environment, not in that of root's processes, which they may not read, not in the tree's
# .git/config, and not in the server's folder of files.
set -eu

export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends bc bison bubblewrap ccache cpio flex gcc git libelf-dev libssl-dev make perl \
	python3-git python3-jinja2 python3-junitparser python3-ply sparse xz-utils

id judge > /dev/null 2>&1 || useradd --create-home judge
if [ -n "${CI_PROJECT_URL:-}" ] && [ -f .git/config ]; then
	git config --file .git/config remote.origin.url "$CI_PROJECT_URL.git"
fi
if [ -d "$PWD.tmp" ]; then
	chmod go-rwx "$PWD.tmp"
fi
chown -R judge: .
exec runuser -u judge -- env -i PATH="$PATH" HOME=/home/judge LANG=C.UTF-8 TMPDIR="${TMPDIR:-/tmp}" \
	PINWAIT_BUILD="$PINWAIT_BUILD" "$@"
