#!/usr/bin/env bash
# s3.sh [PART ...]: reef tables on a bucket beside the bare store: a loop over libcurl that puts and gets the same
# bytes (s3_loop.c).  One run, one gateway (test/s3/radosgw.sh), interleaved, medians of three.  Parts: commit cold scan.
#
# Everything is measured twice: straight on loopback, and through a proxy that makes each request REEF_BENCH_DELAY ms
# longer (test/s3/delay.pl), which is what a store in the same region is like.
#
# commit	durable single-row commits, 1 and 32 clients, beside PUTs of as many bytes, one at a time
# cold		first row by key from a compacted table: with the table open but nothing of its segment, and on a server that
#		was just started; requests, and how many of them had to wait for another
# scan		all columns of all rows, beside parallel GETs of the same segments, and the same scan in a directory
#
# Nothing here passes or fails: the figures go with the machine; the ratios are what counts.
. "$(dirname "$0")/../lib.sh"

parts=${*:-commit cold scan}
rows=${REEF_BENCH_ROWS:-1000000}
seconds=${REEF_BENCH_SECONDS:-5}
delay=${REEF_BENCH_DELAY:-30}

reef_install_packages $REEF_PACKAGES_BUILD procps ceph-mon ceph-osd radosgw curl
reef_build
work=$(reef_make_tempdir)
proxy_pid=
cleanup() {
	[ -z "$proxy_pid" ] || kill "$proxy_pid" 2>/dev/null
	cluster_stop "$work/c" immediate
	[ ! -d "$work/ceph" ] || as_server_user bash "$work/radosgw.sh" stop "$work/ceph"
	rm -rf "$work"
}
trap cleanup EXIT
cp "$REEF_ROOT/test/s3/radosgw.sh" "$work/"
cc -std=gnu11 -O2 -o "$work/s3_loop" "$REEF_ROOT/test/bench/s3_loop.c" -lcurl || die "s3_loop.c does not compile"
as_server_user bash "$work/radosgw.sh" start "$work/ceph" || die "no store"
. "$work/ceph/env"
direct=$REEF_S3_ENDPOINT
perl "$REEF_ROOT/test/s3/delay.pl" "${direct##*:}" "$delay" "$work/requests" >"$work/proxy.port" &
proxy_pid=$!
until [ -s "$work/proxy.port" ]; do sleep 0.05; done
delayed=http://127.0.0.1:$(cat "$work/proxy.port")
as_server_user mkdir "$work/store"
cluster_create "$work/c" "shared_buffers = 256MB
reef.memtable_size = '256MB'
reef.fold_interval = '1h'
$(cat "${REEF_BENCH_CONF:-/dev/null}")"
cluster_start "$work/c"
. "$work/c/env"
sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }
field() { sed -n "s/.*$1 \([0-9.]*\).*/\1/p"; }
milliseconds() {				# of one command
	local t0 t1
	t0=$(date +%s%N); "$@" >/dev/null; t1=$(date +%s%N)
	awk -v d=$((t1 - t0)) 'BEGIN {printf "%.1f\n", d / 1e6}'
}
restart() { cluster_stop "$work/c" fast; cluster_start "$work/c"; }

columns="id bigint OPTIONS (key 'true'), customer int, price float8, digest text, remark text"
server() {						# server NAME ENDPOINT
	sql -c "CREATE SERVER $1 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://$REEF_S3_BUCKET/bench', endpoint '$2')" \
		-c "CREATE USER MAPPING FOR PUBLIC SERVER $1 OPTIONS (access_key_id '$REEF_S3_KEY', secret_access_key '$REEF_S3_SECRET')"
}
sql -c 'CREATE EXTENSION reef_fdw' -c 'CREATE SEQUENCE ids CACHE 1000' \
	-c "CREATE SERVER disk FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file://$work/store')"
server direct "$direct"
server delayed "$delayed"
say "rows: $rows; delay: $delay ms; $("$REEF_BINDIR/postgres" --version); $(radosgw --version | cut -c1-40)"

# ---- commit ----

# p50 in ms and commits a second of a loop of single-row inserts
commits() {						# commits TABLE CLIENTS
	echo "INSERT INTO $1 VALUES (nextval('ids'), 'a note of some thirty characters');" >"$work/insert.sql"
	rm -f "$work"/log.*
	(cd "$work" && pgbench -n -M prepared -f insert.sql -c "$2" -j 2 -T "$seconds" -l --log-prefix=log >pgbench.out 2>&1)
	say "p50_ms $(cat "$work"/log.* | awk '{print $3 / 1000}' | median) per_second $(field 'tps =' <"$work/pgbench.out")"
}
bench_commit() {
	local way endpoint one many bare size i
	for way in direct delayed; do
		endpoint=${!way} one=() many=() bare=()
		sql -c "CREATE FOREIGN TABLE small_$way (id bigint OPTIONS (key 'true'), note text)
			SERVER $way OPTIONS (namespace 'bench/small_$way')" -c "INSERT INTO small_$way VALUES (0, 'the first')"
		commits "small_$way" 1 >/dev/null
		size=$(sql -c "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY bytes) FROM reef_wal('small_$way')")
		for i in 1 2 3; do
			one+=("$(commits "small_$way" 1)")
			bare+=("$(REEF_S3_ENDPOINT=$endpoint "$work/s3_loop" put 1 "$seconds" "$size" "bare/$way/$i")")
			many+=("$(commits "small_$way" 32)")
		done
		o=$(printf '%s\n' "${one[@]}" | field p50_ms | median)
		b=$(printf '%s\n' "${bare[@]}" | field p50_ms | median)
		m=$(printf '%s\n' "${many[@]}" | field per_second | median)
		n=$(printf '%s\n' "${bare[@]}" | field per_second | median)
		say "commit, $way, 1 client: p50 $o ms; bare PUT of $size bytes $b ms; ratio $(ratio "$o" "$b") (aim: at most 1.3)"
		say "commit, $way, 32 clients: $m commits/s; PUTs one at a time $n/s; ratio $(ratio "$m" "$n") (aim: at least 10)"
	done
}

# ---- cold ----

loaded() {
	[ -z "${is_loaded:-}" ] || return 0
	is_loaded=1
	for server in direct disk; do
		sql -c "CREATE FOREIGN TABLE orders_$server ($columns) SERVER $server OPTIONS (namespace 'bench/orders')"
		sql -c "INSERT INTO orders_$server SELECT i * 4, i % 150000, i / 7.0, md5(i::text), 'remark ' || md5((i * 3)::text)
			FROM generate_series(1, $rows) i"
		sql -c "SELECT reef_fold('orders_$server')" -c "SELECT reef_compact('orders_$server', true)" >/dev/null
	done
	sql -c "CREATE FOREIGN TABLE orders_delayed ($columns) SERVER delayed OPTIONS (namespace 'bench/orders')"
	say "orders: $(sql -c "SELECT count(*) || ' segments of ' || sum(bytes) || ' bytes' FROM reef_segments('orders_direct')")"
}

# The requests since the mark, and the longest row of them in which each came after the answer of the one before.
chain() {						# chain MARK
	tail -n +"$(($1 + 1))" "$work/requests" | sort -n | awk '{
			depth = 0
			for (i = 1; i < NR; i++) if (to[i] <= $1 && depths[i] > depth) depth = depths[i]
			to[NR] = $2; depths[NR] = depth + 1
			if (depth + 1 > longest) longest = depth + 1
			kinds = kinds " " $3 ($4 ~ /list-type/ ? "-list" : "")
		} END {printf "%d requests, %d of them one after the other:%s", NR, longest, kinds}'
}
# A request is written down when the next one comes or its connection ends.
mark() { sleep 0.3; wc -l <"$work/requests"; }
cold_select() {					# cold_select NAME SQL-BEFORE; prints a line
	local name=$1 before=$2 id=$(((RANDOM * 32768 + RANDOM) % rows * 4 + 4)) from out
	from=$(mark)
	# Both statements in one session; only the second is timed.
	out=$(printf '%s\n' "$before" '\timing on' "SELECT customer FROM orders_delayed WHERE id = $id;" | sql)
	mark >/dev/null
	say "cold, $name: $(printf '%s\n' "$out" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n 1) ms with a delay of $delay ms; $(chain "$from") (aim: at most 3)"
}
bench_cold() {
	loaded
	restart
	sql -c "EXPLAIN SELECT customer FROM orders_delayed WHERE id = 4" >/dev/null
	cold_select "table open, nothing of the segment here" ""
	restart
	cold_select "server just started; the time is without the opening, the list with it" "SELECT rows FROM reef_stats('orders_delayed');"
	cold_select "table open, another session and key" ""
}

# ---- scan ----

bench_scan() {
	local way endpoint objects bytes g s d i query='SELECT max(customer), max(price), max(digest), max(remark) FROM'
	loaded
	objects=$(sql -c "SELECT 'bench/' || object || '=' || bytes FROM reef_segments('orders_direct')")
	bytes=$(sql -c "SELECT sum(bytes) FROM reef_segments('orders_direct')")
	for way in direct delayed; do
		endpoint=${!way} g=() s=() d=()
		for i in 1 2 3; do
			restart
			g+=("$(REEF_S3_ENDPOINT=$endpoint "$work/s3_loop" get 8 8388608 $objects | field ' ms')")
			s+=("$(milliseconds sql -c "$query orders_$way")")
			d+=("$(milliseconds sql -c "$query orders_disk")")
		done
		g=$(printf '%s\n' "${g[@]}" | median) s=$(printf '%s\n' "${s[@]}" | median) d=$(printf '%s\n' "${d[@]}" | median)
		say "scan, $way, $bytes bytes: parallel GETs $g ms, in a directory $d ms, here $s ms; throughput / the lesser of both $(awk -v g="$g" -v d="$d" -v s="$s" \
			'BEGIN {printf "%.2f", (g > d ? g : d) / s}') (aim: at least 0.8)"
	done
}
for part in $parts; do "bench_$part"; done
