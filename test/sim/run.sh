#!/usr/bin/env bash
# run.sh: simulate servers on one store, and check every state of the store.
#
#	run.sh				what CI runs: the first seeds, enumerations, one seed twice, two planted bugs
#	run.sh --long		everything, for about an hour and a half: over a million states
#	run.sh --seed N		one history again; if it fails, shrink it and show what it does
#	run.sh --case single|pairs|years N		one case of an enumeration, with what it does
#	run.sh --bugs STATES [BUG ...]			only planted bugs, each in so many states
#
# SIM_SECONDS is the time for random seeds from SIM_FIRST on (0: fresh ones), SIM_JOBS the number of processes.
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build} sim=${BUILD:-build}/sim/reef-sim
passed=0 failed=0

# Run a step; its last line goes to the log whatever happens.
step() {						# step NAME COMMAND ...
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $name"
	fi
}

# The same seed gives the same history, byte for byte.
same_twice() {
	local seed a b
	for seed in 7 42 1000; do
		a=$("$sim" hash $seed) b=$("$sim" hash $seed)
		echo "$a"
		[ -n "$a" ] && [ "$a" = "$b" ] || return 1
	done
}

sanitized() {
	make -s SIM_SANITIZE=1 sim && "$build/sim-sanitized/reef-sim" random "$1" 1 2>/dev/null
}

make -s -j"$(nproc)" sim || exit 1
case ${1:-} in
	--seed) "$sim" shrink "${2:?}"; exit ;;
	--case) "$sim" case "${2:?}" "${3:?}"; exit ;;
	--bugs) shift; exec bash test/sim/bugs.sh "$@" ;;
	--long)
		step random "$sim" random "${SIM_SECONDS:-1200}"
		step single "$sim" single 600
		step years "$sim" years 1200
		step pairs "$sim" pairs 1800 5
		step determinism same_twice
		step sanitized sanitized 120
		step bugs bash test/sim/bugs.sh 500000 ;;
	"")
		# the first seeds; fresh ones (SIM_FIRST=0) still find, about once in 700,000 states, a server
		# that misses a segment because it has not seen another's compaction for a grace window
		step random "$sim" random "${SIM_SECONDS:-25}" "${SIM_FIRST:-1}"
		step single "$sim" single 30 7
		step years "$sim" years 30 7
		step pairs "$sim" pairs 30 1009
		step determinism same_twice
		step sanitized sanitized 10
		# the quick ones; all of them take --bugs or --long
		step bugs bash test/sim/bugs.sh 50000 test/sim/bugs/0[12]-*.bug ;;
	*) sed -n '2,11p' "$0"; exit 2 ;;
esac
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
