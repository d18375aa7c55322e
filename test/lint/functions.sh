#!/usr/bin/env bash
# functions.sh [-v]: a function has at most 100 lines, braces included.
#
# With -v also names those above 70, which are worth a look but no failure.
# Relies on the house style: a function begins and ends with a brace in the first column.
exec perl -Itest/lint -e '
use strict;
use warnings;
require "./test/lint/source.pl";

my $limit = @ARGV && $ARGV[0] eq "-v" ? 70 : 100;
for my $path (c_files(glob("src/*"), "test/unit", "test/fuzz", "test/store", "test/sim"))
{
	my ($name, $start, $line) = ("", 0, 0);
	for (code_lines($path))
	{
		$line++;
		if (/^\{\s*$/) { $start = $line; }
		elsif (/^\}\s*$/ && $start > 0)
		{
			my $length = $line - $start + 1;
			print "$path:$start: $name() has $length lines\n"
				if $length > $limit && !is_exempt("functions", "$path:$name");
			$start = 0;
		}
		elsif (/^\}/) { $start = 0; }
		elsif (/^UNIT_TEST\((\w+)\)/ || /^(?:\w[\w\s*]*?[\s*])?(\w+)\s*\(/) { $name = $1; }
	}
}
' -- "$@"
