#!/bin/sh
# DuckDB reads every value of our Parquet files, and we of DuckDB's.
# Installs DuckDB from npm into a temporary directory; needs the network.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
src=$here/../../src

if ! command -v npm >/dev/null; then
	echo "skipped: npm is not installed"
	exit 0
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

${CC:-cc} -std=gnu11 -O2 -Wall -D_GNU_SOURCE -I"$src" -o "$dir/cells" \
	"$here/parquet_cells.c" "$src"/base/*.c "$src"/parquet/*.c \
	-lzstd -llz4 -ljansson -lm
cp "$here/duckdb.js" "$dir"
cd "$dir"
npm install --silent --no-audit --no-fund @duckdb/node-api >/dev/null

compare()
{
	# the two programs go through columns and rows in different orders
	sort "$1" >"$1.sorted"
	sort "$2" >"$2.sorted"
	if ! cmp -s "$1.sorted" "$2.sorted"; then
		echo "FAILED: $3"
		diff "$1.sorted" "$2.sorted" | head -20
		exit 1
	fi
	echo "ok: $3, $(wc -l <"$1") values"
}

for codec in 0 6 7; do				# Parquet's numbers: none, zstd, LZ4_RAW
	./cells write ours.parquet $codec
	./cells read ours.parquet >ours.txt
	node duckdb.js read "$dir/ours.parquet" >duckdb.txt
	compare ours.txt duckdb.txt "DuckDB reads our file, codec $codec"
done

for version in v1 v2; do
	for codec in uncompressed zstd lz4_raw; do
		node duckdb.js write "$dir/theirs.parquet" $version $codec
		node duckdb.js read "$dir/theirs.parquet" >duckdb.txt
		./cells read theirs.parquet >ours.txt
		compare duckdb.txt ours.txt "we read DuckDB's $version file, $codec"
	done
done
