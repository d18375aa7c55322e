#!/usr/bin/env bash
# fresh.sh [demo|suite|both]: run the README's two commands on a fresh minimal Debian 12: debootstrap, chroot,
# nothing but apt.  Needs root and the debootstrap package; leaves nothing behind.
set -u
what=${1:-both}
root=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 2; }
command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap || exit 2
tree=$(mktemp -d /var/tmp/reef-fresh.XXXXXX)
chmod 755 "$tree"
cleanup() {
	umount -l "$tree/proc" "$tree/dev/shm" "$tree/dev" 2>/dev/null
	mountpoint -q "$tree/proc" || mountpoint -q "$tree/dev" || mountpoint -q "$tree/dev/shm" || rm -rf --one-file-system "$tree"
}
trap cleanup EXIT
echo "== debootstrap"
debootstrap --variant=minbase bookworm "$tree" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$tree.log" 2>&1 ||
	{ tail "$tree.log"; exit 1; }
rm -f "$tree.log"
cp /etc/resolv.conf "$tree/etc/" 2>/dev/null
mount -t proc proc "$tree/proc"
mount --bind /dev "$tree/dev"
mount --make-private "$tree/dev"
mount -t tmpfs shm "$tree/dev/shm"
mkdir "$tree/reef_fdw"
git -C "$root" archive HEAD | tar -x -C "$tree/reef_fdw"
status=0
run() {
	echo "== $*"
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 chroot "$tree" \
		sh -c "cd /reef_fdw && $*" || status=1
}
case $what in
	demo) run bash test/demo.sh ;;
	suite) run bash test/run.sh ;;
	both) run bash test/demo.sh; run bash test/run.sh ;;
esac
exit $status
