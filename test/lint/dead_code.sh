#!/usr/bin/env bash
# dead_code.sh: every function of the library is called by something in it.
#
# What only a test calls is dead too.  The linker finds them: see the Makefile.
# The outer make, if there is one, would only add warnings about its job server to the findings.
unset MAKEFLAGS MAKELEVEL
exec make -s -j"$(nproc)" --no-print-directory ${PG_CONFIG:+PG_CONFIG="$PG_CONFIG"} dead-code
