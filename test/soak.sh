#!/usr/bin/env bash
# soak.sh [MINUTES]: a mixed load for that long (15 unless told), with maintenance at aggressive settings.
#
# Every transaction does the same to a heap table and to its reef twin, so at any moment one
# statement that reads both must see the same rows; readers check that all the time.  In the
# end the twins are compared row by row, reef_verify looks at every page, and again after a restart.
. "$(dirname "$0")/lib.sh"

minutes=${1:-15}
seconds=$(awk -v m="$minutes" 'BEGIN {printf "%d", m * 60}')
clients=${REEF_SOAK_CLIENTS:-8}

reef_install_packages $REEF_PACKAGES_BUILD procps
reef_build
work=$(reef_make_tempdir)
pids=()
cleanup() {
	local pid
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	cluster_stop "$work/c" immediate
	rm -rf "$work"
}
trap cleanup EXIT
as_server_user mkdir "$work/store"
cluster_create "$work/c" "shared_buffers = 256MB
max_wal_size = 4GB
reef.memtable_size = '32MB'
reef.fold_size = '1MB'
reef.fold_interval = '2s'
reef.gc_grace = '10s'
reef.maintenance_workers = 2"
cluster_start "$work/c"
. "$work/c/env"
sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }
passed=0 failed=0
check() {						# NAME EXPECTED ACTUAL
	if [ "$2" = "$3" ]; then passed=$((passed + 1)); say "ok - $1"
	else failed=$((failed + 1)); say "not ok - $1: expected '$2', got '$3'"; fi
}

sql <<-SQL
	CREATE EXTENSION reef_fdw;
	CREATE SERVER lake FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file://$work/store');
	CREATE TABLE heap (id bigint PRIMARY KEY, n bigint NOT NULL, note text, changed int);
	CREATE FOREIGN TABLE reef (id bigint OPTIONS (key 'true'), n bigint NOT NULL, note text, changed int)
	    SERVER lake OPTIONS (namespace 'soak/twin', on_conflict 'update', target_segment_size '1MB');
	INSERT INTO heap SELECT g, 0, repeat('x', g % 40), 0 FROM generate_series(1, 50000) g;
	INSERT INTO reef SELECT * FROM heap;
SQL
mkdir "$work/scripts"
cat >"$work/scripts/upsert" <<-'SQL'
	\set id random_exponential(1, 60000, 3)
	\set d random(1, 100)
	BEGIN;
	INSERT INTO heap VALUES (:id, :d, 'upserted ' || :d, 1) ON CONFLICT (id)
	    DO UPDATE SET n = EXCLUDED.n, note = EXCLUDED.note, changed = EXCLUDED.changed;
	INSERT INTO reef VALUES (:id, :d, 'upserted ' || :d, 1);
	END;
SQL
cat >"$work/scripts/update" <<-'SQL'
	\set id random(1, 60000)
	\set d random(1, 100)
	BEGIN;
	UPDATE heap SET n = n + :d WHERE id = :id;
	UPDATE reef SET n = n + :d WHERE id = :id;
	END;
SQL
cat >"$work/scripts/delete" <<-'SQL'
	\set id random(1, 60000)
	BEGIN;
	DELETE FROM heap WHERE id = :id;
	DELETE FROM reef WHERE id = :id;
	END;
SQL
cat >"$work/scripts/bulk" <<-'SQL'
	\set first random(1, 60) * 1000
	\set d random(1, 100)
	BEGIN;
	INSERT INTO heap SELECT g, :d, 'bulk', 2 FROM generate_series(:first + 1, :first + 500) g ON CONFLICT (id)
	    DO UPDATE SET n = EXCLUDED.n, note = EXCLUDED.note, changed = EXCLUDED.changed;
	INSERT INTO reef SELECT g, :d, 'bulk', 2 FROM generate_series(:first + 1, :first + 500) g;
	END;
SQL
cat >"$work/scripts/rollback" <<-'SQL'
	\set id random(1, 60000)
	BEGIN;
	UPDATE reef SET n = n + 1000000 WHERE id = :id;
	UPDATE heap SET n = n + 1000000 WHERE id = :id;
	ROLLBACK;
SQL
# 1 / 0 ends the client, and pgbench says so
cat >"$work/scripts/compare" <<-'SQL'
	SELECT 1 / (h = r)::int FROM
	    (SELECT count(*) || ',' || sum(n) || ',' || sum(id) || ',' || sum(length(note)) AS h FROM heap) h,
	    (SELECT count(*) || ',' || sum(n) || ',' || sum(id) || ',' || sum(length(note)) AS r FROM reef) r;
SQL
cat >"$work/scripts/lookup" <<-'SQL'
	\set id random(1, 60000)
	SELECT 1 / (NOT EXISTS (SELECT FROM heap FULL JOIN reef USING (id, n, note, changed)
	    WHERE id = :id AND (heap IS NULL OR reef IS NULL)))::int;
SQL
difference() {
	sql -c "SELECT count(*) FROM ((TABLE heap EXCEPT ALL TABLE reef) UNION ALL (TABLE reef EXCEPT ALL TABLE heap)) d"
}

cd "$work" || die "no $work"
for i in 1 2; do				# connections are renewed halfway
	pgbench -n -c "$clients" -j 2 -T $((seconds / 2)) -M prepared --max-tries=1000 --failures-detailed \
		-f scripts/upsert@40 -f scripts/update@30 -f scripts/delete@10 -f scripts/bulk@2 -f scripts/rollback@5 \
		-f scripts/lookup@12 -f scripts/compare@1 >"$work/pgbench.$i" 2>&1 &
	load=$!
	pids=($load)
	while kill -0 $load 2>/dev/null; do
		sleep 5
		sql -c "SELECT reef_compact('reef', true)" -c "SELECT count(*) FROM reef_gc('reef')" >>"$work/maintenance" 2>&1 ||
			say "maintenance: $(tail -n 1 "$work/maintenance")"
	done
	wait $load
	check "load $i ended well" 0 $?
	grep -E 'transactions actually processed|failed transactions|retried|aborted|ERROR' "$work/pgbench.$i" | head -n 8
done
pids=()

check "the twins are equal" 0 "$(difference)"
check "reef_verify finds nothing" "" "$(sql -c "SELECT * FROM reef_verify('reef', deep => true) WHERE severity <> 'info'")"
sql -c "SELECT reef_fold('reef')" -c "SELECT reef_compact('reef', true)" >/dev/null
check "nor after folding and compacting all" "" "$(sql -c "SELECT * FROM reef_verify('reef', deep => true) WHERE severity <> 'info'")"
check "and the twins are still equal" 0 "$(difference)"
sleep 11
sql -c "SELECT count(*) FROM reef_gc('reef')" >/dev/null
files=$(find "$work/store" -name '*.parquet' | wc -l)
check "what is stored is what is used" "$(sql -c "SELECT count(*) FROM reef_segments('reef')")" "$files"
cluster_kill "$work/c"
cluster_start "$work/c"
check "equal after kill -9" 0 "$(difference)"
check "no crash in the log but that one" 0 "$(grep -cE 'PANIC|terminated by signal (6|11)|TRAP' "$work/c/log")"
sql -c "SELECT * FROM reef_stats('reef')" -x
say "$passed passed, $failed failed"
[ $failed = 0 ]
