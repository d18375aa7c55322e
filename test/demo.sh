#!/usr/bin/env bash
# demo.sh: the main job on real data, from nothing but this checkout.
#
# Installs what is missing, builds, and then: loads Debian's own package index into a
# foreign table whose rows live in a directory; queries and updates it; kills the whole
# server with -9 in the middle of a stream of inserts and shows that exactly the
# acknowledged rows are there after the restart; folds; and finally lets a second, empty
# PostgreSQL read the same rows from the directory alone.
. "$(dirname "$0")/lib.sh"

started=$(date +%s.%N)
step_started=$started
failed=0

step() {
	local now
	now=$(date +%s.%N)
	[ -z "${step_name:-}" ] || printf '   ... %.1f s\n' "$(echo "$now $step_started" | awk '{print $1 - $2}')"
	step_name=$1 step_started=$now
	printf '\n== %s\n' "$1"
}
check() {						# check WHAT EXPECTED ACTUAL
	if [ "$2" = "$3" ]; then
		printf '   ok: %s (%s)\n' "$1" "$3"
	else
		printf '   FAILED: %s: expected %s, found %s\n' "$1" "$2" "$3"
		failed=1
	fi
}
sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }

step "installing what is missing and building"
reef_install_packages $REEF_PACKAGES_BUILD procps
reef_build

work=$(reef_make_tempdir)
a=$work/a b=$work/b store=$work/store
writers=()
cleanup() {
	for pid in "${writers[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null; done
	cluster_stop "$a" immediate
	cluster_stop "$b" immediate
	rm -rf "$work"
}
trap cleanup EXIT
as_server_user mkdir "$store"

step "starting a throw-away PostgreSQL with a store directory beside it"
cluster_create "$a"
cluster_start "$a"
. "$a/env"
sql -c "SELECT '   ' || split_part(version(), ' on ', 1)"
sql <<-SQL
	CREATE EXTENSION reef_fdw;
	CREATE SERVER lake FOREIGN DATA WRAPPER reef_fdw
	    OPTIONS (location 'file://$store');
	CREATE FOREIGN TABLE packages (
	    name text OPTIONS (key 'true'),
	    version text OPTIONS (key 'true'),
	    section text,
	    installed_size int,
	    depends text[],
	    stanza jsonb NOT NULL)
	    SERVER lake OPTIONS (namespace 'demo/packages');
	CREATE FOREIGN TABLE stream (
	    writer int OPTIONS (key 'true'),
	    n int OPTIONS (key 'true'),
	    note text NOT NULL)
	    SERVER lake OPTIONS (namespace 'demo/stream');
SQL

step "loading Debian's package index with COPY"
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt-get update -qq
for list in /var/lib/apt/lists/*_Packages*; do
	/usr/lib/apt/apt-helper cat-file "$list"
	echo
done | perl "$REEF_ROOT/test/packages.pl" >"$work/packages.copy"
rows=$(wc -l <"$work/packages.copy")
sql -c "\\copy packages FROM '$work/packages.copy'"
check "rows loaded" "$rows" "$(sql -c 'SELECT count(*) FROM packages')"

step "querying and updating it"
sql -F ' | ' <<-'SQL' | sed 's/^/   /'
	SELECT section, count(*), sum(installed_size) AS kb FROM packages
	GROUP BY section ORDER BY 2 DESC LIMIT 5;
	SELECT name, version, stanza->>'Description' FROM packages WHERE name = 'postgresql-15';
	SELECT d, count(*) FROM packages, unnest(depends) AS d GROUP BY d ORDER BY 2 DESC, 1 LIMIT 3;
SQL
before=$(sql -c "SELECT count(*) FROM packages WHERE section = 'games'")
changed=$(sql -c "WITH u AS (UPDATE packages SET installed_size = installed_size + 1
	WHERE section = 'games' RETURNING 1) SELECT count(*) FROM u")
check "rows updated" "$before" "$changed"
deleted=$(sql -c "WITH d AS (DELETE FROM packages WHERE section = 'debug' RETURNING 1) SELECT count(*) FROM d")
check "rows after a DELETE of $deleted" "$((rows - deleted))" "$(sql -c 'SELECT count(*) FROM packages')"

step "four writers insert one row a transaction; then kill -9 of the whole server"
for w in 1 2 3 4; do
	seq 1 200000 | sed "s/.*/INSERT INTO stream VALUES ($w, &, repeat('x', 50)) RETURNING writer || ' ' || n;/" |
		psql -XAtq >"$work/acknowledged.$w" 2>"$work/writer.$w.log" &
	writers+=($!)
done
sleep 3
cluster_kill "$a"
for pid in "${writers[@]}"; do wait "$pid" 2>/dev/null; done
writers=()
acknowledged=$(cat "$work"/acknowledged.* | wc -l)
say "   acknowledged before the kill: $acknowledged transactions"
[ "$acknowledged" -gt 100 ] || { say "   FAILED: the writers wrote next to nothing"; head -n 3 "$work"/writer.*.log; failed=1; }

step "restarting"
cluster_start "$a"
cat "$work"/acknowledged.* | tr ' ' '\t' >"$work/acknowledged"
sql <<-SQL
	CREATE TABLE acknowledged (writer int, n int);
	\\copy acknowledged FROM '$work/acknowledged'
SQL
check "acknowledged rows that are missing" 0 \
	"$(sql -c 'SELECT count(*) FROM acknowledged a WHERE NOT EXISTS (SELECT FROM stream s WHERE s.writer = a.writer AND s.n = a.n)')"
# One insert a writer may have been under way: durable, but its answer never sent.
check "rows beyond what was acknowledged and under way" 0 \
	"$(sql -c 'SELECT count(*) FROM stream s JOIN (SELECT writer, max(n) AS last FROM acknowledged GROUP BY 1) m USING (writer) WHERE n > last + 1')"
check "the table of packages is whole" "$((rows - deleted))" "$(sql -c 'SELECT count(*) FROM packages')"
sql -F ' | ' -c "SELECT '   records replayed: ' || last_lsn || ', transactions per record: ' || round($acknowledged::numeric / last_lsn, 1) FROM reef_stats('stream')"

step "folding the write-ahead log into Parquet segments"
sql -F ' | ' -c "SELECT '   packages: ' || f FROM reef_fold('packages') f"
sql -F ' | ' -c "SELECT '   stream: ' || f FROM reef_fold('stream') f"
say "   in the store: $(find "$store" -type f | wc -l) objects, $(du -sk "$store" | cut -f 1) kB (the text was $(($(stat -c %s "$work/packages.copy") / 1024)) kB)"
sum="SELECT count(*) || ' ' || md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM"
packages_sum=$(sql -c "$sum packages t")
stream_sum=$(sql -c "$sum stream t")
check "the fold changed nothing" "$((rows - deleted))" "${packages_sum% *}"

step "a second, empty PostgreSQL reads the same directory"
cluster_create "$b"
cluster_start "$b"
. "$b/env"
sql <<-SQL
	CREATE EXTENSION reef_fdw;
	CREATE SERVER lake FOREIGN DATA WRAPPER reef_fdw
	    OPTIONS (location 'file://$store');
	IMPORT FOREIGN SCHEMA demo FROM SERVER lake INTO public;
SQL
check "checksum of packages" "$packages_sum" "$(sql -c "$sum packages t")"
check "checksum of stream" "$stream_sum" "$(sql -c "$sum stream t")"

step "done"
printf '\n%s after %.1f s\n' "$([ $failed = 0 ] && echo 'everything held' || echo 'SOMETHING FAILED')" \
	"$(echo "$(date +%s.%N) $started" | awk '{print $1 - $2}')"
exit $failed
