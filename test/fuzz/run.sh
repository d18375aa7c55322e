#!/usr/bin/env bash
# run.sh [SECONDS [TARGET ...]]: build the fuzz targets with libFuzzer and run each for that long,
# two at a time, on the golden objects, test/fuzz/corpus and what earlier runs found interesting.
# Any finding fails, and so does memory beyond a bound; the input stays in build/fuzz/.
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-60}
[ $# = 0 ] || shift
targets=${*:-$(cd test/fuzz && ls fuzz_*.c | sed 's/\.c$//')}
command -v clang >/dev/null || { echo "0 passed, 1 failed"; echo "clang is missing" >&2; exit 1; }
out=build/fuzz
rm -rf $out/objects $out/*.log $out/*.status
mkdir -p $out/objects
passed=0 failed=0
flags="-std=gnu11 -g -O1 -Isrc -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all"

# What the targets link with; a target may define what is left out here, the outside world.
compile() {
	clang $flags -fsanitize=fuzzer-no-link -c "$1" -o "build/fuzz/objects/$(echo "$1" | tr / _).o"
}
export -f compile
export flags
ls src/base/*.c src/format/*.c src/parquet/*.c src/store/*.c |
	grep -vE 'store/(file|file_tree|http)\.c$' | xargs -n 1 -P 2 bash -c 'compile "$0"' ||
	{ echo "FAILED: does not build"; echo "0 passed, 1 failed"; exit 1; }
ar rc $out/objects/core.a $out/objects/*.o

fuzz() {						# fuzz TARGET SECONDS
	local out=build/fuzz name=$1
	mkdir -p "$out/corpus-$name"
	{
		clang $flags -fsanitize=fuzzer "test/fuzz/$name.c" $out/objects/core.a -o "$out/$name" \
			-lzstd -llz4 -ljansson -lexpat -lcrypto -lm &&
			"$out/$name" -max_total_time="$2" -rss_limit_mb=1024 -malloc_limit_mb=512 -timeout=10 \
				-artifact_prefix="$out/$name-" "$out/corpus-$name" test/compat/v1 test/fuzz/corpus
	} >"$out/$name.log" 2>&1
	echo $? >"$out/$name.status"
}
export -f fuzz
printf '%s\n' $targets | xargs -P 2 -I {} bash -c 'fuzz "$0" "$1"' {} "$seconds"

for name in $targets; do
	if [ "$(cat "$out/$name.status" 2>/dev/null)" = 0 ]; then
		passed=$((passed + 1))
		grep -E '^#[0-9]+.*DONE' "$out/$name.log" | tail -n 1 | sed "s/^/$name: /"
	else
		echo "FAILED $name"
		tail -n 30 "$out/$name.log"
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
