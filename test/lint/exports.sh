#!/usr/bin/env bash
# exports.sh: the library shows what src/pg/exports.map names, and nothing else.
library=reef_fdw.so
[ -e $library ] || { echo "$library: not built"; exit 1; }
exec perl -e '
use strict;
use warnings;

my ($library) = @ARGV;
open(my $map, "<", "src/pg/exports.map") or die "src/pg/exports.map: $!";
my $text = join("", <$map>);
my ($global) = $text =~ /global:(.*?)local:/s or die "src/pg/exports.map: no global names\n";
my @patterns = map { s/\*/\\w*/r } $global =~ /([\w*]+);/g;
my %symbols;
for (`nm -D --defined-only $library`)
{
	next unless /^\S+ (\w) (\S+)$/;
	my ($kind, $symbol) = ($1, $2);
	$symbols{$symbol} = 1;
	print "$library: shows $symbol\n" unless grep { $symbol =~ /^$_$/ } @patterns;
}
for my $needed (qw(Pg_magic_func _PG_init))
{
	print "$library: does not show $needed\n" unless $symbols{$needed};
}
' $library
