#!/usr/bin/env bash
# basic.sh [PART ...]: reef tables beside heap tables with the same primary key, in one server and
# one run, interleaved, medians of three, as ratios.  Parts: copy size insert lookup scan memory.
#
# Nothing here passes or fails: the figures go with the machine; the ratios are what counts.
. "$(dirname "$0")/../lib.sh"

all_parts="copy size insert lookup scan memory"
parts=${*:-$all_parts}
rows=${REEF_BENCH_ROWS:-1000000}
seconds=${REEF_BENCH_SECONDS:-5}

reef_install_packages $REEF_PACKAGES_BUILD procps
reef_build
work=$(reef_make_tempdir)
cleanup() { cluster_stop "$work/c" immediate; rm -rf "$work"; }
trap cleanup EXIT
as_server_user mkdir "$work/store"
cluster_create "$work/c" "shared_buffers = 1GB
max_wal_size = 8GB
reef.memtable_size = '256MB'
$(cat "${REEF_BENCH_CONF:-/dev/null}")"
cluster_start "$work/c"
. "$work/c/env"
sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }
milliseconds() {				# of one command
	local t0 t1
	t0=$(date +%s%N); "$@" >/dev/null; t1=$(date +%s%N)
	awk -v d=$((t1 - t0)) 'BEGIN {printf "%.1f\n", d / 1e6}'
}

columns="id bigint %K, customer int %N, status char(1), total numeric(15,2), placed date, priority varchar(15),
 clerk varchar(15), ship_priority int, price numeric(15,2), discount numeric(4,2), tax numeric(4,2), flag char(1),
 changed timestamptz, paid boolean, weight float8, remark text"
sql <<-SQL
	CREATE EXTENSION reef_fdw;
	CREATE SERVER lake FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file://$work/store');
	CREATE TABLE heap ($(echo "$columns" | sed 's/%K/PRIMARY KEY/; s/%N//'));
	CREATE FOREIGN TABLE reef ($(echo "$columns" | sed "s/%K/OPTIONS (key 'true')/; s/%N//"))
	    SERVER lake OPTIONS (namespace 'bench/orders');
	CREATE TABLE heap_small (id bigint PRIMARY KEY, note text);
	CREATE FOREIGN TABLE reef_small (id bigint OPTIONS (key 'true'), note text)
	    SERVER lake OPTIONS (namespace 'bench/small');
	CREATE SEQUENCE heap_id CACHE 100;
	CREATE SEQUENCE reef_id CACHE 100;
SQL
perl -e '
	srand 42;
	my @words = qw(carefully quickly furiously ironic express regular pending final bold special deposits
		requests accounts packages theodolites instructions foxes ideas platelets asymptotes sleep haggle nag
		wake cajole boost detect integrate among across above along after the);
	for my $id (1 .. shift) {
		my $price = sprintf "%.2f", 900 + rand 100000;
		print join("\t", $id * 4, int rand 150000, (qw(O F P))[int rand 3], sprintf("%.2f", $price * 1.1),
			sprintf("%04d-%02d-%02d", 1992 + int rand 7, 1 + int rand 12, 1 + int rand 28),
			(qw(1-URGENT 2-HIGH 3-MEDIUM 5-LOW))[int rand 4], sprintf("Clerk#%09d", rand 1000), 0, $price,
			sprintf("%.2f", int(rand 11) / 100), sprintf("%.2f", int(rand 9) / 100), (qw(A N R))[int rand 3],
			sprintf("2026-01-01 %02d:%02d:%02d.%06d+00", rand 24, rand 60, rand 60, rand 1e6), (qw(t f))[rand 2],
			sprintf("%.6f", rand 50), join(" ", map { $words[rand @words] } 1 .. 3 + rand 6)), "\n";
	}' "$rows" >"$work/rows.copy"
say "rows: $rows of 16 columns, $(($(stat -c %s "$work/rows.copy") / 1000000)) MB of text; $("$REEF_BINDIR/postgres" --version)"

load() { sql -c "\\copy $1 FROM '$work/rows.copy'"; }
bench_copy() {
	local h=() r=() i
	for i in 1 2 3; do
		sql -c 'TRUNCATE heap'
		h+=("$(milliseconds load heap)")
		sql -c "DROP FOREIGN TABLE reef" -c "CALL reef_drop_namespace('lake', 'bench/orders')" \
			-c "CREATE FOREIGN TABLE reef ($(echo "$columns" | sed "s/%K/OPTIONS (key 'true')/; s/%N//")) SERVER lake OPTIONS (namespace 'bench/orders')"
		r+=("$(milliseconds load reef)")
	done
	h=$(printf '%s\n' "${h[@]}" | median) r=$(printf '%s\n' "${r[@]}" | median)
	say "copy: heap $h ms, reef $r ms; reef/heap rows per second $(ratio "$h" "$r") (aim: at least 0.5)"
	sql -c 'VACUUM ANALYZE heap'
}
loaded() {
	[ "$(sql -c 'SELECT count(*) FROM heap')" = "$rows" ] || { load heap; sql -c 'VACUUM ANALYZE heap'; }
	[ "$(sql -c 'SELECT count(*) FROM reef')" = "$rows" ] || load reef
	sql -c "SELECT reef_fold('reef')" >/dev/null
}
bench_size() {
	loaded
	local h r
	h=$(sql -c "SELECT pg_total_relation_size('heap')")
	r=$(sql -c "SELECT sum(bytes) FROM reef_segments('reef')")
	say "size: heap with index $h, live segments $r; reef/heap $(ratio "$r" "$h") (aim: at most 0.3)"
}
insert_tps() {					# insert_tps TABLE CLIENTS
	echo "INSERT INTO $1_small VALUES (nextval('$1_id'), 'a note of some thirty characters');" >"$work/insert.sql"
	pgbench -n -M prepared -f "$work/insert.sql" -c "$2" -j 2 -T "$seconds" 2>/dev/null | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
}
bench_insert() {
	local clients h r i before after
	for clients in 1 8 32; do
		h=() r=()
		before=$(sql -c "SELECT commits || ' ' || records FROM reef_stats('reef_small')" 2>/dev/null)
		for i in 1 2 3; do
			h+=("$(insert_tps heap $clients)")
			r+=("$(insert_tps reef $clients)")
		done
		after=$(sql -c "SELECT commits || ' ' || records FROM reef_stats('reef_small')")
		h=$(printf '%s\n' "${h[@]}" | median) r=$(printf '%s\n' "${r[@]}" | median)
		say "insert, $clients clients: heap $h commits/s, reef $r; reef/heap $(ratio "$r" "$h")$([ $clients = 32 ] && echo ' (aim: at least 0.4)'); $(echo "${before:-0 0} $after" |
			awk '{printf "%d commits in %d records", $3 - $1, $4 - $2}')"
	done
}
lookup_latency() {				# milliseconds
	echo "\\set id random(1, $rows) * 4
SELECT * FROM $1 WHERE id = :id;" >"$work/lookup.sql"
	pgbench -n -M prepared -f "$work/lookup.sql" -c "$2" -j "$2" -T "$seconds" 2>/dev/null | sed -n 's/^latency average = \([0-9.]*\).*/\1/p'
}
bench_lookup() {
	local h=() r=() i clients
	loaded
	for clients in 1 2; do
		h=() r=()
		lookup_latency reef $clients >/dev/null
		for i in 1 2 3; do
			h+=("$(lookup_latency heap $clients)")
			r+=("$(lookup_latency reef $clients)")
		done
		h=$(printf '%s\n' "${h[@]}" | median) r=$(printf '%s\n' "${r[@]}" | median)
		say "lookup, $clients clients: heap $h ms, reef $r ms; reef/heap latency $(ratio "$r" "$h") (aim: at most 3)"
	done
}
bench_scan() {
	local h r i q
	loaded
	for q in 'count(*)' 'sum(customer)' 'sum(price)' 'max(remark)'; do
		h=() r=()
		for i in 1 2 3; do
			h+=("$(milliseconds sql -c 'SET max_parallel_workers_per_gather = 0' -c "SELECT $q FROM heap")")
			r+=("$(milliseconds sql -c "SELECT $q FROM reef")")
		done
		h=$(printf '%s\n' "${h[@]}" | median) r=$(printf '%s\n' "${r[@]}" | median)
		say "scan $q: heap $h ms, reef $r ms; reef/heap time $(ratio "$r" "$h")$([ "$q" = 'sum(customer)' ] && echo ' (aim: at most 1.0)')"
	done
}
peak_memory() {					# private memory of the backend that runs the statement, kB
	local out=$work/peak.pid pid peak=0 now client
	rm -f "$out"; : >"$out"
	{ echo 'SELECT pg_backend_pid();'; echo "$1"; echo ';'; } | psql -XAtq >"$out" 2>&1 &
	client=$!
	while [ ! -s "$out" ] && kill -0 $client 2>/dev/null; do sleep 0.02; done
	pid=$(head -n 1 "$out")
	while kill -0 $client 2>/dev/null; do
		now=$(awk '/^RssAnon/ {print $2}' "/proc/$pid/status" 2>/dev/null)
		[ "${now:-0}" -gt "$peak" ] && peak=$now
		sleep 0.05
	done
	echo $peak
}
bench_memory() {
	sql -c "DROP FOREIGN TABLE reef" -c "CALL reef_drop_namespace('lake', 'bench/orders')" \
		-c "CREATE FOREIGN TABLE reef ($(echo "$columns" | sed "s/%K/OPTIONS (key 'true')/; s/%N//")) SERVER lake OPTIONS (namespace 'bench/orders')"
	say "memory, COPY of $rows rows: $(peak_memory "\\copy reef FROM '$work/rows.copy'") kB private (aim: under 262144)"
	say "memory, full scan: $(peak_memory 'SELECT count(t), max(remark) FROM reef t') kB private (aim: under 262144)"
}
for part in $parts; do "bench_$part"; done
