#!/usr/bin/env bash
# files.sh: a file has at most 900 lines, and a source file at least 20.
#
# Above 700 it is time to split it along a noun; below 20 it has no content of its own.
exec perl -Itest/lint -e '
use strict;
use warnings;
require "./test/lint/source.pl";

for my $path (c_files(glob("src/*"), "test/unit", "test/fuzz", "test/store", "test/sim"))
{
	my $count = () = read_file($path) =~ /\n/g;
	next if is_exempt("files", $path);
	print "$path:$count: $count lines are more than 900\n" if $count > 900;
	print "$path:$count: $count lines are fewer than 20\n"
		if $count < 20 && $path =~ /\.c$/;
}
'
