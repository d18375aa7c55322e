#!/usr/bin/env bash
# headers.sh: each header compiles alone.
#
# Those of pg/ may count on postgres.h, which every file there includes first.
cc=${CC:-cc}
flags="-std=gnu11 -fsyntax-only -Wall -Werror -Isrc -D_GNU_SOURCE -x c"
server=$("${PG_CONFIG:-pg_config}" --includedir-server) || exit 1
status=0
for header in src/*/*.h; do
	extra=
	case $header in src/pg/*) extra="-isystem $server -include postgres.h" ;; esac
	$cc $flags $extra "$header" || status=1
done
exit $status
