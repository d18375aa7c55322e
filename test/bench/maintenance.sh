#!/usr/bin/env bash
# maintenance.sh [PART ...]: what background maintenance costs and what it buys.  Parts: upserts open latency.
#
# upserts	random-key upserts in batches of 1,000: bytes put for each byte of the user's, space, scan time
# open		a namespace of many segments: requests of opening it, segments that a key lookup touches
# latency	commit latency, 8 clients, while a fold and a compaction run all the time, and without
#
# Nothing here passes or fails: the figures go with the machine; the ratios are what counts.
. "$(dirname "$0")/../lib.sh"

all_parts="upserts open latency"
parts=${*:-$all_parts}
batches=${REEF_BENCH_BATCHES:-10000}
keys=${REEF_BENCH_KEYS:-1000000}
seconds=${REEF_BENCH_SECONDS:-30}

reef_install_packages $REEF_PACKAGES_BUILD procps
reef_build
work=$(reef_make_tempdir)
cleanup() { cluster_stop "$work/c" immediate; rm -rf "$work"; }
trap cleanup EXIT
as_server_user mkdir "$work/store"
cluster_create "$work/c" "shared_buffers = 512MB
max_wal_size = 8GB
reef.memtable_size = '128MB'
reef.gc_grace = '5s'
$(cat "${REEF_BENCH_CONF:-/dev/null}")"
cluster_start "$work/c"
. "$work/c/env"
sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }
milliseconds() {				# of one command
	local t0 t1
	t0=$(date +%s%N); "$@" >/dev/null; t1=$(date +%s%N)
	awk -v d=$((t1 - t0)) 'BEGIN {printf "%.1f\n", d / 1e6}'
}
stored() { du -sb "$work/store/bench/$1/segment" | cut -f1; }
sql -c "CREATE EXTENSION reef_fdw" \
	-c "CREATE SERVER lake FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file://$work/store')"

# Fold, merge (all into one: true) until there is nothing left to do, collect.
settle() {
	sql -c "SELECT reef_fold('$1')" -c "SELECT reef_compact('$1', ${2:-false})" >/dev/null
	sleep 6
	sql -c "SELECT count(*) FROM reef_gc('$1')" >/dev/null
}

# The most row groups that one of 200 key lookups had to look into.
lookup_reads() {
	for i in $(seq 200); do
		say "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT note FROM $1 WHERE id = $((RANDOM * 30 + i));"
	done | sql | sed -n 's/.*Key Lookup Reads: //p' | sort -n | tail -n 1
}

bench_upserts() {
	local user put bare
	sql <<-SQL
		CREATE FOREIGN TABLE up (id bigint OPTIONS (key 'true'), n int, v float8, note text)
		    SERVER lake OPTIONS (namespace 'bench/up', on_conflict 'update');
		CREATE FOREIGN TABLE fresh (id bigint OPTIONS (key 'true'), n int, v float8, note text)
		    SERVER lake OPTIONS (namespace 'bench/fresh');
		CREATE PROCEDURE upserts(batches int, keys int) LANGUAGE plpgsql AS \$\$
		BEGIN
		    FOR i IN 1 .. batches LOOP
		        INSERT INTO up SELECT DISTINCT ON (id) id, i, random(), 'note ' || md5(id::text || i)
		            FROM (SELECT (random() * keys)::bigint AS id FROM generate_series(1, 1000)) k;
		        COMMIT;
		    END LOOP;
		END \$\$;
	SQL
	say "upserts: $batches batches of 1,000 on $keys keys took $(milliseconds sql -c "CALL upserts($batches, $keys)") ms"
	say "upserts: $(sql -c "SELECT count(*) || ' segments, ' || count(*) FILTER (WHERE level = 0) || ' of them in level 0' FROM reef_segments('up')"); 200 lookups looked into at most $(lookup_reads up) of them"
	settle up
	user=$(sql -c "SELECT user_bytes FROM reef_stats('up')")
	put=$(sql -c "SELECT bytes FROM reef_stat_store WHERE request = 'put'")
	say "upserts: user bytes $user, bytes put $put: $(ratio "$put" "$user") (aim: at most 6); reef_stats says $(sql -c "SELECT write_amplification FROM reef_stats('up')")"
	settle up true
	sql -c "INSERT INTO fresh SELECT * FROM up"
	sql -c "SELECT reef_fold('fresh')" >/dev/null
	bare=$(stored fresh)
	say "upserts: space after a full compaction $(stored up), freshly loaded $bare: $(ratio "$(stored up)" "$bare") (aim: at most 1.3)"
	for t in up fresh up fresh up fresh; do
		eval "$t=$(milliseconds sql -c "SELECT sum(n), max(note) FROM $t")"
	done
	say "upserts: scan after it $up ms, of the fresh table $fresh ms: $(ratio "$up" "$fresh") (aim: at most 1.1)"
}

bench_open() {
	sql <<-SQL
		CREATE FOREIGN TABLE many (id bigint OPTIONS (key 'true'), note text)
		    SERVER lake OPTIONS (namespace 'bench/many', target_segment_size '64kB');
		INSERT INTO many SELECT g, md5(g::text) || md5((g * 7)::text) FROM generate_series(1, 1200000) g;
	SQL
	settle many
	say "open: $(sql -c "SELECT count(*) || ' segments, levels ' || string_agg(DISTINCT level::text, ',') FROM reef_segments('many')")"
	cluster_stop "$work/c" fast
	cluster_start "$work/c"
	sql -c "SELECT note FROM many WHERE id = 777" >/dev/null
	say "open: requests of opening and the first lookup after a restart: $(sql -c "SELECT string_agg(request || ' ' || requests, ', ') FROM reef_stat_store WHERE requests > 0")"
	say "open: 200 lookups looked into at most $(lookup_reads many) segments each (aim: at most 2)"
}

# The workers either leave everything alone, or fold and merge all the time.
workers() {						# FOLD_INTERVAL FOLD_SIZE AUTO_COMPACT
	sql -c "ALTER SYSTEM SET reef.fold_interval = '$1'" -c "ALTER SYSTEM SET reef.fold_size = '$2'" \
		-c "ALTER SYSTEM SET reef.auto_compact = $3" -c "SELECT pg_reload_conf()" >/dev/null
	sleep 3
}
p99() { cat "$work"/"$1".* | awk '{print $3}' | sort -n | awk '{v[NR] = $1} END {printf "%.2f", v[int(NR * 0.99)] / 1000}'; }
bench_latency() {
	local jobs
	sql <<-SQL
		CREATE FOREIGN TABLE hot (id bigint OPTIONS (key 'true'), note text)
		    SERVER lake OPTIONS (namespace 'bench/hot', on_conflict 'update');
		INSERT INTO hot SELECT g, md5(g::text) || md5((g * 7)::text) FROM generate_series(1, 1000000) g;
	SQL
	sql -c "SELECT reef_fold('hot')" >/dev/null
	printf '%s\n' '\set id random(1, 1000000)' "INSERT INTO hot VALUES (:id, 'changed');" >"$work/hot.sql"
	for run in idle busy idle2 busy2; do
		case $run in
			idle*) workers 1h 1GB off ;;
			busy*) workers 500ms 64kB on ;;
		esac
		jobs=$(sql -c "SELECT string_agg(job || ' ' || runs, ', ') FROM reef_stat_maintenance WHERE namespace = 'bench/hot'")
		(cd "$work" && pgbench -n -c 8 -j 2 -T "$seconds" --max-tries=100 -l --log-prefix="$run" -f hot.sql >"$run.out" 2>&1)
		say "latency: 8 clients, $run: p99 $(p99 "$run") ms, $(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$work/$run.out") commits/s; jobs before: $jobs, after: $(sql -c "SELECT string_agg(job || ' ' || runs, ', ') FROM reef_stat_maintenance WHERE namespace = 'bench/hot'")"
	done
	say "latency: p99 under maintenance / idle: $(ratio "$(p99 busy)" "$(p99 idle)") and $(ratio "$(p99 busy2)" "$(p99 idle2)") (aim: at most 2)"
}

for part in $parts; do "bench_$part"; done
