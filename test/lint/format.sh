#!/usr/bin/env bash
# format.sh: how far clang-format is from agreeing.  Advisory, and no part of run.sh.
#
# The house style is pgindent's, which the server packages do not have.  clang-format comes
# close, but knows neither its aligned declarations nor that a list of arguments may be broken where the
# sense breaks; so this shows, ignoring blanks, how many lines of each file it would change.  Many in a
# new file mean that something is off; a few mean nothing.
cd "$(dirname "$0")/../.." || exit 1
command -v clang-format >/dev/null || { echo "clang-format is missing" >&2; exit 1; }
for file in src/*/*.[ch] test/unit/*.[ch]; do
	lines=$(wc -l <"$file")
	changed=$(clang-format "$file" | diff -w "$file" - | grep -c '^<')
	echo "$((changed * 100 / (lines + 1)))% $changed of $lines $file"
done | sort -rn
