#!/usr/bin/env bash
# layers.sh: who may include whom.
#
# A folder of src/ includes itself and what is below it, never a sibling; pg/ sees the engine through
# engine/reef.h only, and opens the stores that it hands to it.  A library's header belongs to one file
# (or one kind of file), so that there is one place where its errors and its versions are dealt with.
exec perl -Itest/lint -e '
use strict;
use warnings;
require "./test/lint/source.pl";

my %below = (
	base => [qw(base)],
	store => [qw(base store)],
	format => [qw(base format)],
	parquet => [qw(base parquet)],
	engine => [qw(base store format parquet engine)],
	pg => [qw(base pg)],
);
my @owners = (
	[qr{^curl/}, qr{^store/http\.c$}],
	[qr{^expat}, qr{^store/s3_xml\.c$}],
	[qr{^openssl/}, qr{^store/(sign|http)\.c$}],
	[qr{^(zstd|zdict|zstd_errors)\.h$}, qr{^base/compress\.c$}],
	[qr{^lz4\w*\.h$}, qr{^base/compress\.c$}],
	[qr{^jansson\.h$}, qr{^(format/manifest\w*|store/metadata)\.c$}],
	[qr{^zlib\.h$}, qr{^parquet/}],
	[qr{^xxhash\.h$}, qr{^parquet/}],
	[qr{^(libpq|postgres)}, qr{^pg/}],
);

for my $folder (glob("src/*/"))
{
	my ($layer) = $folder =~ m{^src/(\w+)/$};
	print "$folder: not a layer\n" unless $below{$layer};
}
for my $layer (sort keys %below)
{
	for my $path (c_files("src/$layer"))
	{
		my ($file) = $path =~ m{^src/(.*)};
		my $line = 0;
		for (code_lines($path))
		{
			$line++;
			next unless /^\s*#\s*include\s*([<"])([^>"]+)[>"]/;
			my ($quote, $header) = ($1, $2);
			my ($target) = $header =~ m{^(\w+)/};
			my $ours = $quote eq "\"" && defined $target && $below{$target};
			if ($ours)
			{
				next if grep { $_ eq $target } @{$below{$layer}};
				next if $layer eq "pg" && $header =~ m{^(engine/reef|store/store)\.h$};
				print "$path:$line: $layer/ may not include $header\n";
			}
			elsif ($quote eq "\"" && $layer ne "pg")
			{
				print "$path:$line: \"$header\" is not in src/; only pg/ includes PostgreSQL\n";
			}
			for my $owner (@owners)
			{
				print "$path:$line: $file may not include $header\n"
					if $header =~ $owner->[0] && $file !~ $owner->[1];
			}
		}
	}
}
'
