#!/usr/bin/env bash
# dead_code.sh: every function of the library is called by something in it.
#
# What only a test calls is dead too.  The linker finds them: see the Makefile.
exec make -s --no-print-directory ${PG_CONFIG:+PG_CONFIG="$PG_CONFIG"} dead-code
