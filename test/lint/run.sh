#!/usr/bin/env bash
# run.sh [LINT ...]: the house rules, as programs.
#
# Each lint prints one line for each finding, `file:line: what`, and nothing else.  A finding that is
# right as it is gets a line with the reason in test/lint/exempt.  Whether clang-format
# agrees is not among them: see format.sh.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0

for lint in ${*:-layers functions files words headers exports dead_code}; do
	if found=$(bash "test/lint/$lint.sh" 2>&1) && [ -z "$found" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED %s\n%s\n' "$lint" "$found"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
