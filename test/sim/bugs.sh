#!/usr/bin/env bash
# bugs.sh STATES [BUG ...]: plant each bug of bugs/ into a copy of the sources, and see the simulator catch it.
#
# Each of the simulator's ways has so many states; a bug that says which way finds it ("~ years") is looked for
# in that way only, in five times as many.  Only the files that a bug changes are compiled again.  Prints
# how many states each one took, and ends with the line `N passed, N failed`; a bug that no longer fits the sources has failed too.
cd "$(dirname "$0")/../.." || exit 1
states=${1:?} build=${BUILD:-build} root=${SIM_ROOT:-.}
shift
bugs=${*:-test/sim/bugs/*.bug}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

make -s SIM_ROOT="$root" sim || exit 1
for bug in $bugs; do
	name=$(basename "$bug" .bug)
	rm -rf "$work/src" "$work/build"
	mkdir -p "$work/build/sim"
	# with their times, so that only what is changed is compiled
	cp -rp "$root/src" "$work/src"
	cp -rp "$build/sim/src" "$build/sim/test" "$work/build/sim/"
	result="does not fit"
	if perl test/sim/plant.pl "$bug" "$work" >"$work/log" 2>&1; then
		result="does not compile"
		if make -s SIM_ROOT="$work" BUILD="$work/build" sim >"$work/log" 2>&1; then
			way=$(sed -n 's/^~ //p' "$bug")
			SIM_QUIET=1 "$work/build/sim/reef-sim" hunt $((states * (${#way} > 0 ? 5 : 1))) $way >"$work/log" 2>&1
			result=$(tail -n 1 "$work/log")
		fi
	fi
	verdict=$(sed -n 's/^FAILED [a-z]* [0-9]*: //p' "$work/log" | cut -c1-100)
	printf '%-34s %-28s %s\n' "$name" "$result" "$verdict"
	case $result in
		CAUGHT*) passed=$((passed + 1)) ;;
		*) failed=$((failed + 1)); [ -n "$verdict" ] || tail -n 5 "$work/log" ;;
	esac
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
