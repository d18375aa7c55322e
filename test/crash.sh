#!/usr/bin/env bash
# crash.sh [ROUNDS]: the long form of test/tap/001_kill.pl (100 rounds unless told).
REEF_ROUNDS=${1:-100} REEF_TAP=tap/001_kill.pl exec bash "$(dirname "$0")/run.sh" tap
