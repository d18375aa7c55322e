# source.pl: what the lints share.
#
# A lint reads files with their comments blanked, so that prose cannot break a
# rule that is about code, and asks whether a finding is exempt.
use strict;
use warnings;

our %exempt;
open(my $list, '<', 'test/lint/exempt') or die "test/lint/exempt: $!";
while (<$list>)
{
	next if /^#/ || !/\S/;
	my ($lint, $place, $reason) = split(' ', $_, 3);
	die "test/lint/exempt:$.: no reason\n" unless defined $reason && $reason =~ /\S/;
	$exempt{"$lint $place"} = 1;
}

sub is_exempt { my ($lint, $place) = @_; return $exempt{"$lint $place"}; }

sub read_file
{
	my ($path) = @_;
	open(my $in, '<', $path) or die "$path: $!";
	local $/;
	return scalar(<$in>) // '';
}

# The lines of a C file, comments replaced by blanks; strings are kept.
sub code_lines
{
	my ($path) = @_;
	my $text = read_file($path);
	$text =~ s{("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')|(/\*.*?\*/|//[^\n]*)}
		{ defined $1 ? $1 : join('', $2 =~ /(\n)/g) . ' ' }gesx;
	return split(/\n/, $text, -1);
}

# All C files below the folders, sorted.
sub c_files
{
	my @folders = @_;
	return sort map { glob("$_/*.[ch]") } @folders;
}

1;
