#!/usr/bin/env bash
# matrix.sh [17] [18]: build, regression and TAP tests on the other PostgreSQL releases.
#
# 17 is Debian 13's (trixie), 18 that of Debian's unstable (sid).  Each gets a fresh minimal tree
# (debootstrap, chroot, nothing but apt) and the committed checkout.  REEF_MATRIX_PARTS: other parts of
# run.sh.  What sid holds changes from
# day to day, so 18 is skipped where it cannot be had; 17 is not.  Needs root; leaves nothing
# behind.  Ends with the line `N passed, N failed, N skipped` and a status that says the same.
. "$(dirname "$0")/lib.sh"

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
passed=0 failed=0 skipped=0
tree=

drop_tree() {
	[ -n "$tree" ] || return 0
	local mount mounted=
	for mount in dev/shm dev proc; do
		umount -l "$tree/$mount" 2>/dev/null
		if mountpoint -q "$tree/$mount"; then mounted=$mount; fi
	done
	# What is still mounted is the system's own, and stays.
	if [ -n "$mounted" ]; then
		say "cannot unmount $tree/$mounted" >&2
	else
		rm -rf --one-file-system "$tree" "$tree.log"
	fi
	tree=
}

# sid's script is that of all later releases, also of those that debootstrap is too old to know.
make_tree() {					# make_tree SUITE
	tree=$(mktemp -d /var/tmp/reef-matrix.XXXXXX) || die "mktemp failed"
	chmod 755 "$tree"
	debootstrap --variant=minbase "$1" "$tree" "$mirror" /usr/share/debootstrap/scripts/sid \
		>"$tree.log" 2>&1 || { tail -n 5 "$tree.log"; return 1; }
	cp /etc/resolv.conf "$tree/etc/" 2>/dev/null
	mount -t proc proc "$tree/proc" &&
		mount --bind /dev "$tree/dev" &&
		mount --make-private "$tree/dev" &&
		mount -t tmpfs shm "$tree/dev/shm" || die "cannot mount in $tree"
	mkdir "$tree/reef_fdw"
	git -C "$REEF_ROOT" archive HEAD | tar -x -C "$tree/reef_fdw" || die "git archive failed"
}

in_tree() {
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 chroot "$tree" "$@"
}

# A release that is not to be had: sid's may be missing, Debian 13's may not.
missing() {						# missing VERSION WHY
	if [ "$1" = 18 ]; then
		say "skipped $1: $2"
		skipped=$((skipped + 1))
	else
		say "FAILED $1: $2"
		failed=$((failed + 1))
	fi
}

run_version() {					# run_version VERSION SUITE
	local version=$1 suite=$2 found line status started=$SECONDS
	say "== PostgreSQL $version ($suite)"
	make_tree "$suite" || { missing "$version" "no tree of $suite"; return; }
	# A mirror of a suite without releases may be older than its index allows; signatures still count.
	[ "$suite" != sid ] ||
		say 'Acquire::Check-Valid-Until "false";' >"$tree/etc/apt/apt.conf.d/99mirror"
	found=$(in_tree bash -c '. /reef_fdw/test/lib.sh && reef_pg_version')
	[ "$found" = "$version" ] ||
		{ missing "$version" "$suite has PostgreSQL ${found:-none}"; return; }
	in_tree bash -c "cd /reef_fdw && bash test/run.sh ${REEF_MATRIX_PARTS:-regress tap}" 2>&1 | tee "$tree.log"
	status=${PIPESTATUS[0]}
	line=$(tail -n 1 "$tree.log" | grep -E '^[0-9]+ passed, [0-9]+ failed')
	# A run that dies before it counts failed.
	[ -n "$line" ] || line="0 passed, 1 failed"
	set -- $line
	[ "$status" = 0 ] || [ "$3" != 0 ] || set -- "$1" passed, 1 failed
	passed=$((passed + $1)) failed=$((failed + $3))
	say "-- PostgreSQL $version: $1 passed, $3 failed, $((SECONDS - started)) s"
}

[ "$(id -u)" = 0 ] || die "needs root"
command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap || die "no debootstrap"
trap drop_tree EXIT
for version in ${*:-17 18}; do
	case $version in
		17) run_version 17 trixie ;;
		18) run_version 18 sid ;;
		*) die "unknown version $version" ;;
	esac
	drop_tree
done
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
