#!/usr/bin/env bash
# cluster.sh start DIR [CONF]   build, install, make a throw-away cluster in DIR (extra
#                               configuration lines from the file CONF) and start it;
#                               DIR/env has the exports for psql
# cluster.sh restart DIR        build, install, restart
# cluster.sh kill DIR           kill -9 of all its processes
# cluster.sh stop DIR           stop it; the directory stays
. "$(dirname "$0")/lib.sh"

[ $# -ge 2 ] || { sed -n '2,7s/^# //p' "$0"; exit 2; }
verb=$1 dir=$2 conf=${3:-}
reef_install_packages $REEF_PACKAGES_BUILD procps
case $verb in
	start)
		reef_build
		cluster_create "$dir" "$([ -n "$conf" ] && cat "$conf")"
		cluster_start "$dir"
		cat "$dir/env"
		;;
	restart)
		reef_build
		cluster_stop "$dir"
		cluster_start "$dir"
		;;
	kill) cluster_kill "$dir" ;;
	stop) cluster_stop "$dir" ;;
	*) die "unknown verb $verb" ;;
esac
