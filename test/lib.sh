# lib.sh
#	  What the shell tests share: packages, building, throw-away clusters.
#
# Sourced, not run.  Nothing here touches a cluster of the system's: every
# cluster is made in a temporary directory, listens on loopback on a free
# port, runs as an unprivileged user and is stopped by its process id.

set -u

REEF_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REEF_PACKAGES_BUILD="gcc libc6-dev make libcurl4-openssl-dev libexpat1-dev libjansson-dev liblz4-dev libssl-dev libzstd-dev perl"
REEF_PACKAGES_TEST="clang libclang-rt-dev libipc-run-perl procps"

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The newest installed PostgreSQL, or the one that the distribution has, or nothing.
reef_pg_version() {
	if [ -n "${PG_CONFIG:-}" ]; then
		"$PG_CONFIG" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/'
	else
		local newest
		newest=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null |
			sed 's!.*/\([0-9]*\)/bin/initdb!\1!' | sort -n | tail -n 1)
		say "${newest:-$(apt-cache depends postgresql 2>/dev/null |
			sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p')}"
	fi
}

# Install what is missing; quiet when nothing is.
reef_install_packages() {
	local missing=() package version
	version=$(reef_pg_version)
	if [ -z "$version" ]; then
		# Images come without package lists.
		apt-get update -qq >/dev/null || die "apt-get update failed"
		version=$(reef_pg_version)
		[ -n "$version" ] || die "no package of PostgreSQL to install"
	fi
	for package in $* "postgresql-$version" "postgresql-server-dev-$version"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
			grep -q 'install ok installed' || missing+=("$package")
	done
	if [ ${#missing[@]} -gt 0 ]; then
		[ "$(id -u)" = 0 ] || die "missing packages, and only root can install them: ${missing[*]}"
		say "installing ${missing[*]}"
		# Debian's package would create and start a cluster of its own.
		if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
			mkdir -p /etc/postgresql-common
			say "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
		fi
		apt-get update -qq >/dev/null || die "apt-get update failed"
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			--no-install-recommends "${missing[@]}" >/tmp/reef-apt.$$ 2>&1 ||
			{ tail -n 20 /tmp/reef-apt.$$ >&2; rm -f /tmp/reef-apt.$$; die "apt-get install failed"; }
		rm -f /tmp/reef-apt.$$
	fi
	: "${PG_CONFIG:=/usr/lib/postgresql/$(reef_pg_version)/bin/pg_config}"
	export PG_CONFIG
	REEF_BINDIR=$("$PG_CONFIG" --bindir) || die "no pg_config"
}

# What not every release has a package of; the tests that need it say that they are skipped.
reef_install_optional() {
	local package=$1
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' && return 0
	[ "$(id -u)" = 0 ] && apt-cache show "$package" >/dev/null 2>&1 || return 0
	say "installing $package"
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
		say "could not install $package"
}

# Build with the warnings as errors, then install into PostgreSQL's directories.
reef_build() {
	make -C "$REEF_ROOT" -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG" WERROR=1 all ||
		die "the build failed"
	reef_install
}

reef_install() {
	if [ -w "$("$PG_CONFIG" --pkglibdir)" ]; then
		make -C "$REEF_ROOT" -s PG_CONFIG="$PG_CONFIG" install >/dev/null ||
			die "make install failed"
	else
		die "cannot write to $("$PG_CONFIG" --pkglibdir): run as root"
	fi
}

# PostgreSQL refuses to run as root.
as_server_user() {
	if [ "$(id -u)" = 0 ]; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

# A directory that the server's user owns, outside everything else.
reef_make_tempdir() {
	local dir
	dir=$(mktemp -d /tmp/reef.XXXXXX) || die "mktemp failed"
	chmod 755 "$dir"
	[ "$(id -u)" = 0 ] && chown postgres: "$dir"
	say "$dir"
}

reef_free_port() {
	local port tries=0
	while [ $tries -lt 100 ]; do
		port=$((20000 + RANDOM % 30000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { say $port; return; }
		tries=$((tries + 1))
	done
	die "no free port"
}

# cluster_create DIR [extra configuration lines]: initdb, not started
cluster_create() {
	local dir=$1 extra=${2:-} port
	port=$(reef_free_port)
	mkdir -p "$dir" && { [ "$(id -u)" != 0 ] || chown postgres: "$dir"; }
	as_server_user "$REEF_BINDIR/initdb" -D "$dir/data" -U postgres -A trust \
		-E UTF8 --locale=C.UTF-8 --no-sync >"$dir/initdb.log" 2>&1 ||
		{ cat "$dir/initdb.log" >&2; die "initdb failed"; }
	cat >>"$dir/data/postgresql.conf" <<-CONF
		listen_addresses = '127.0.0.1'
		port = $port
		unix_socket_directories = '$dir'
		shared_preload_libraries = 'reef_fdw'
		max_connections = 100
		log_line_prefix = '%m [%p] '
		timezone = 'UTC'
		datestyle = 'ISO, MDY'
		$extra
	CONF
	cat >"$dir/env" <<-ENV
		export PGHOST='$dir' PGPORT=$port PGUSER=postgres PGDATABASE=postgres
		export PATH="$REEF_BINDIR:\$PATH"
	ENV
}

cluster_start() {
	local dir=$1
	as_server_user "$REEF_BINDIR/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 \
		start >"$dir/pg_ctl.log" 2>&1 ||
		{ cat "$dir/pg_ctl.log" >&2; tail -n 30 "$dir/log" >&2; die "the server did not start"; }
}

cluster_stop() {
	local dir=$1 mode=${2:-fast}
	[ -f "$dir/data/postmaster.pid" ] || return 0
	as_server_user "$REEF_BINDIR/pg_ctl" -D "$dir/data" -m "$mode" -w -t 60 stop >/dev/null 2>&1
}

# kill -9 of every process of the cluster at once
cluster_kill() {
	local dir=$1 postmaster pids
	postmaster=$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null) || return 0
	pids=$(ps -o pid= --ppid "$postmaster" 2>/dev/null)
	kill -9 "$postmaster" $pids 2>/dev/null
	while kill -0 "$postmaster" 2>/dev/null; do sleep 0.05; done
	for pid in $pids; do
		while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
	done
	rm -f "$dir/data/postmaster.pid"
}
