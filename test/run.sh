#!/usr/bin/env bash
# run.sh [PART ...]: the whole test suite, from nothing but this checkout.
#
# Installs what is missing, builds with warnings as errors, and runs the parts in order
# (or just the ones named): lint unit sim regress isolation tap interop fuzz s3.  Ends with the line
# `N passed, N failed` and a status that says the same.
. "$(dirname "$0")/lib.sh"

all_parts="lint unit sim regress isolation tap interop fuzz s3"
parts=${*:-$all_parts}
passed=0 failed=0
work=
cleanup() {
	if [ -n "$work" ]; then
		cluster_stop "$work/regress" immediate
		cluster_stop "$work/isolation" immediate
		cluster_stop "$work/regress_s3" immediate
		[ ! -d "$work/ceph" ] || as_server_user bash "$work/radosgw.sh" stop "$work/ceph"
		rm -rf "$work"
	fi
}
trap cleanup EXIT

# Add up the last line `N passed, N failed` that a part printed.
count() {						# count NAME STATUS LOG
	local name=$1 status=$2 log=$3 line p f
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
	p=$(printf '%s' "$line" | sed -n 's/^\([0-9]*\) passed.*/\1/p')
	f=$(printf '%s' "$line" | sed -n 's/.* \([0-9]*\) failed.*/\1/p')
	# A part that dies before it counts, or counts no failure and fails, failed.
	if [ -z "$line" ] || { [ "$status" != 0 ] && [ "$f" = 0 ]; }; then f=$((${f:-0} + 1)); fi
	passed=$((passed + ${p:-0})) failed=$((failed + f))
	printf -- '-- %s: %d passed, %d failed, %d s\n' "$name" "${p:-0}" "$f" $((SECONDS - part_started))
}

part_lint() { bash "$REEF_ROOT/test/lint/run.sh"; }

part_unit() { make -C "$REEF_ROOT" -s -j"$(nproc)" unit; }

# Simulated servers on a simulated store; test/sim/run.sh --long is the long form.
part_sim() { bash "$REEF_ROOT/test/sim/run.sh"; }

# pg_regress on a cluster of our own; one psql script a feature.
part_regress() {
	local tests
	tests=$(cd "$REEF_ROOT/sql" && ls ./*.sql | sed 's!^\./!!; s/\.sql$//' | sort)
	mkdir -p "$work/store"
	[ "$(id -u)" = 0 ] && chown postgres: "$work/store"
	run_regress regress "file://$work/store" $tests
}

# The scripts on one store.  On a bucket, the database comes prepared for it (test/s3/template.psql).
run_regress() {					# run_regress NAME LOCATION TESTS...
	local name=$1 location=$2 cluster=$work/$1 regress out=$work/$1_files status p f existing=
	shift 2
	regress=$(dirname "$("$PG_CONFIG" --pgxs)")/../test/regress/pg_regress
	mkdir -p "$out"
	cluster_create "$cluster" "reef.fold_interval = '1h'"
	cluster_start "$cluster"
	(
		. "$cluster/env"
		if [ "${location#s3:}" != "$location" ]; then
			existing=--use-existing
			createdb reef_regression &&
				psql -Xq -d reef_regression -v endpoint="$REEF_S3_ENDPOINT" -v key="$REEF_S3_KEY" \
					-v secret="$REEF_S3_SECRET" -f "$REEF_ROOT/test/s3/template.psql" || exit 1
		fi
		export REEF_STORE="$location" REEF_TEST_DIR=$work
		"$regress" $existing --inputdir="$REEF_ROOT" --outputdir="$out" --bindir="$REEF_BINDIR" \
			--host="$PGHOST" --port="$PGPORT" --user=postgres --dbname=reef_regression "$@"
	) >"$work/$name.log" 2>&1
	status=$?
	cat "$work/$name.log"
	[ $status = 0 ] || cat "$out/regression.diffs"
	cluster_stop "$cluster" fast || status=1
	# A crash of the server is a failure whatever the outputs say.
	if grep -E 'PANIC|terminated by signal|TRAP' "$cluster/log"; then status=1; fi
	p=$(grep -cE '^(test .*ok +[0-9]+ ms|ok [0-9]+ )' "$work/$name.log")
	f=$(grep -cE '^(test .*FAILED|not ok )' "$work/$name.log")
	say "$p passed, $f failed"
	return $status
}

# Specs of PostgreSQL's isolation tester: what concurrent sessions see of one another.
part_isolation() {
	local cluster=$work/isolation runner specs status p f out=$work/isolation_files
	runner=$(dirname "$("$PG_CONFIG" --pgxs)")/../test/isolation/pg_isolation_regress
	specs=${REEF_SPECS:-$(cd "$REEF_ROOT/test/isolation/specs" && ls ./*.spec | sed 's!^\./!!; s/\.spec$//' | sort)}
	mkdir -p "$out" "$work/isolation_store"
	[ "$(id -u)" = 0 ] && chown postgres: "$work/isolation_store"
	cluster_create "$cluster" "reef.fold_interval = '1h'
		reef.auto_compact = off
		reef.auto_gc = off"
	cluster_start "$cluster"
	(
		. "$cluster/env"
		createdb reef_isolation &&
			psql -Xq -d reef_isolation -v store="file://$work/isolation_store" \
				-v twin="${REEF_TWIN:-reef}" -f "$REEF_ROOT/test/isolation/setup.sql" &&
			"$runner" --use-existing --inputdir="$REEF_ROOT/test/isolation" --outputdir="$out" \
				--bindir="$REEF_BINDIR" --host="$PGHOST" --port="$PGPORT" --user=postgres \
				--dbname=reef_isolation $specs
	) >"$work/isolation.log" 2>&1
	status=$?
	cat "$work/isolation.log"
	[ $status = 0 ] || cat "$out/regression.diffs"
	[ -z "${REEF_ISOLATION_OUTPUT:-}" ] || cp "$out"/results/*.out "$REEF_ISOLATION_OUTPUT/"
	cluster_stop "$cluster" fast || status=1
	if grep -E 'PANIC|terminated by signal|TRAP' "$cluster/log"; then status=1; fi
	p=$(grep -cE '^(test .*ok +[0-9]+ ms|ok [0-9]+ )' "$work/isolation.log")
	f=$(grep -cE '^(test .*FAILED|not ok )' "$work/isolation.log")
	say "$p passed, $f failed"
	return $status
}

# Perl tests with PostgreSQL's own test modules; they start and kill servers.
part_tap() {
	local perl_dir copy=$work/tap regress status p f
	perl_dir=$(dirname "$("$PG_CONFIG" --pgxs)")/../test/perl
	regress=$(dirname "$("$PG_CONFIG" --pgxs)")/../test/regress/pg_regress
	rm -rf "$copy"
	mkdir -p "$copy"
	cp -r "$REEF_ROOT/test/tap" "$REEF_ROOT/test/s3" "$copy/"
	[ "$(id -u)" = 0 ] && chown -R postgres: "$copy"
	(
		cd "$copy" &&
			as_server_user env PATH="$REEF_BINDIR:$PATH" PERL5LIB="$perl_dir:$copy/tap" \
				PG_REGRESS="$regress" TESTDATADIR="$copy/data" TESTLOGDIR="$copy/log" TESTDIR="$copy" \
				REEF_ROUNDS="${REEF_ROUNDS:-5}" TMPDIR="$copy" \
				prove --timer --nocolor --failures ${REEF_TAP:-tap/*.pl}
	) >"$work/tap.log" 2>&1
	status=$?
	cat "$work/tap.log"
	if [ $status != 0 ]; then
		find "$copy" -name '*regress_log*' -exec tail -n 40 {} +
	fi
	# prove counts tests in all, and failures by file
	p=$(sed -n 's/^Files=[0-9]*, Tests=\([0-9]*\),.*/\1/p' "$work/tap.log")
	f=$(sed -n 's/^ *Failed \([0-9]*\)\/[0-9]* subtests.*/\1/p' "$work/tap.log" | awk '{n += $1} END {print n + 0}')
	[ $status = 0 ] || [ "$f" -gt 0 ] || f=1
	p=$((${p:-0} - f))
	say "$p passed, $f failed"
	return $status
}

# Other programs on our files; needs npm, which Debian has but the suite does not install.
part_interop() {
	local status p f=0
	sh "$REEF_ROOT/test/interop/duckdb.sh" >"$work/interop.log" 2>&1
	status=$?
	cat "$work/interop.log"
	p=$(grep -c '^ok: ' "$work/interop.log")
	[ $status = 0 ] || f=1
	say "$p passed, $f failed"
	return $status
}

part_fuzz() { bash "$REEF_ROOT/test/fuzz/run.sh" "${REEF_FUZZ_SECONDS:-15}"; }

# The suite once more, on a bucket of a real S3 store: the contract of stores, the scripts of pg_regress and the
# Perl tests that do not reach into a directory.  encoding makes databases that are not prepared for a bucket, and
# options counts what there is in the catalogs.
part_s3() {
	local tests status=0 log p=0 f=0 n
	reef_install_packages ceph-mon ceph-osd radosgw curl nginx-light openssl
	# Where the server's user can read it.
	cp "$REEF_ROOT/test/s3/radosgw.sh" "$work/radosgw.sh"
	as_server_user bash "$work/radosgw.sh" start "$work/ceph" || return 1
	. "$work/ceph/env"
	export REEF_S3_DIR=$work/ceph REEF_S3_SCRIPT=$work/radosgw.sh
	tests=$(cd "$REEF_ROOT/sql" && ls ./*.sql | sed 's!^\./!!; s/\.sql$//' | grep -vE '^(encoding|options)$' | sort)
	log=$work/s3_parts
	(
		make -C "$REEF_ROOT" -s -j"$(nproc)" unit TEST=test_store__
		run_regress regress_s3 "s3://$REEF_S3_BUCKET/regress" $tests
		REEF_TAP=${REEF_S3_TAP:-tap/001_kill.pl tap/002_two_clusters.pl tap/005_transactions.pl tap/012_s3.pl tap/013_s3_tls.pl tap/014_credentials.pl} part_tap
	) >"$log" 2>&1
	cat "$log"
	as_server_user bash "$work/radosgw.sh" stop "$work/ceph" || status=1
	p=$(sed -n 's/^\([0-9]*\) passed, [0-9]* failed$/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
	f=$(sed -n 's/^[0-9]* passed, \([0-9]*\) failed$/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
	n=$(grep -cE '^[0-9]+ passed, [0-9]+ failed$' "$log")
	# Each of the three must have counted.
	[ "$n" = 3 ] || f=$((f + 1))
	say "$p passed, $f failed"
	[ "$f" = 0 ] && return $status
}

reef_install_packages $REEF_PACKAGES_BUILD $REEF_PACKAGES_TEST
say "== build"
reef_build
work=$(reef_make_tempdir)
for part in $parts; do
	case " $all_parts " in *" $part "*) ;; *) die "unknown part $part" ;; esac
	say "== $part"
	part_started=$SECONDS
	"part_$part" >"$work/$part.out" 2>&1
	status=$?
	cat "$work/$part.out"
	count "$part" $status "$work/$part.out"
done
say "$passed passed, $failed failed"
[ "$failed" = 0 ]
