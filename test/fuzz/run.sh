#!/usr/bin/env bash
# run.sh [SECONDS]: build every fuzz target with libFuzzer and run each for that long on the
# golden objects and an empty corpus.  Any finding fails; the input stays in build/fuzz/.
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-60}
command -v clang >/dev/null || { echo "0 passed, 1 failed"; echo "clang is missing" >&2; exit 1; }
mkdir -p build/fuzz
passed=0 failed=0
core=$(ls src/base/*.c src/format/*.c src/parquet/*.c src/store/s3_xml.c)
for target in test/fuzz/fuzz_*.c; do
	name=$(basename "$target" .c)
	if ! clang -std=gnu11 -g -O1 -Isrc -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all "$target" $core -o "build/fuzz/$name" -lzstd -llz4 -ljansson -lexpat -lm; then
		echo "FAILED $name: does not build"
		failed=$((failed + 1))
		continue
	fi
	mkdir -p "build/fuzz/corpus-$name"
	if "build/fuzz/$name" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=0 \
		-artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus-$name" test/compat/v1 test/fuzz/corpus \
		>"build/fuzz/$name.log" 2>&1; then
		passed=$((passed + 1))
		grep -E '^#[0-9]+.*DONE' "build/fuzz/$name.log" | tail -n 1 | sed "s/^/$name: /"
	else
		echo "FAILED $name"
		tail -n 30 "build/fuzz/$name.log"
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
