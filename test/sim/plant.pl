#!/usr/bin/perl
# plant.pl BUG ROOT: plant a bug into the sources below ROOT, and print the files it changed.
#
# BUG is a file of hunks.  "# ..." is for people, "~ ..." for bugs.sh, "@ file" names the file, then come lines of "- old" and
# "+ new".  The old lines, taken together and without regard to their indentation, must be in the file
# exactly once: a bug that no longer fits is an error, never silently no bug.
use strict;
use warnings;

my ($bug, $root) = @ARGV;
my (@hunks, $hunk, %changed);

sub trimmed { my ($line) = @_; $line =~ s/^\s+|\s+$//g; return $line; }

open(my $in, '<', $bug) or die "$bug: $!\n";
while (my $line = <$in>)
{
	chomp $line;
	next if $line =~ /^[#~]/ || $line =~ /^\s*$/;
	if ($line =~ /^@ (\S+)$/) { $hunk = { file => $1, old => [], new => [] }; push @hunks, $hunk; next; }
	die "$bug: no file before: $line\n" unless $hunk;
	if ($line =~ /^-(.*)$/)
	{
		# old lines after new ones begin the next place in the same file
		if (@{ $hunk->{new} }) { $hunk = { file => $hunk->{file}, old => [], new => [] }; push @hunks, $hunk; }
		push @{ $hunk->{old} }, trimmed($1);
	}
	elsif ($line =~ /^\+(.*)$/) { push @{ $hunk->{new} }, $1; }
	else { die "$bug: what is this: $line\n"; }
}
close($in);
die "$bug: no hunks\n" unless @hunks;

for my $h (@hunks)
{
	my $path = "$root/$h->{file}";
	open(my $file, '<', $path) or die "$bug: $path: $!\n";
	chomp(my @lines = <$file>);
	close($file);
	my @old = @{ $h->{old} };
	die "$bug: nothing to replace in $h->{file}\n" unless @old;
	my @places;
	for my $i (0 .. @lines - @old)
	{
		push @places, $i unless grep { trimmed($lines[$i + $_]) ne $old[$_] } 0 .. $#old;
	}
	die "$bug: found " . @places . " times in $h->{file}: $old[0]\n" unless @places == 1;
	splice(@lines, $places[0], scalar @old, @{ $h->{new} });
	open(my $out, '>', $path) or die "$bug: $path: $!\n";
	print $out "$_\n" for @lines;
	close($out);
	$changed{ $h->{file} } = 1;
}
print "$_\n" for sort keys %changed;
