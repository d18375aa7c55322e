#!/usr/bin/env bash
# words.sh: words that do not belong where they are.
#
# Functions that overrun or share hidden state, leftovers, banner art, and code that does what some
# other file owns: integers from bytes (base/bytes.h) and object names (format/layout.c).
exec perl -Itest/lint -e '
use strict;
use warnings;
require "./test/lint/source.pl";

my $banned = qr/\b(strcpy|strcat|sprintf|vsprintf|strtok|localtime|gmtime|ctime|asctime|gets|alloca)\s*\(/;
# Spelled apart, or this file would find itself.
my $leftover = join("|", map { "\\b$_\\b" } "TO" . "DO", "FIX" . "ME", "XX" . "X");
# A comment that is a rule with or without a title; drawings and tables have more in a line.
my $art = qr{^\s*/?\*+\s*([-=*~\#_])\1{4,}[^-=]*$};

for my $path (c_files(glob("src/*"), "test/unit", "test/fuzz", "test/store", "test/sim"))
{
	my $line = 0;
	next if is_exempt("words", $path);
	for (code_lines($path))
	{
		$line++;
		print "$path:$line: $1() is banned\n" if /$banned/;
		next unless $path =~ m{^src/};
		if ($path !~ m{^src/base/(bytes\.[ch]|crc32c\.c)$})
		{
			# A constant is no byte of an integer.
			while (/(\S+)\s*<<\s*(8|16|24|32|40|48|56)\b/g)
			{
				print "$path:$line: shifts bytes together: see base/bytes.h\n"
					unless $1 =~ /^\(*\d+[uUlL]*$/ || $1 =~ /_C\(\d+\)$/;
			}
		}
		if ($path ne "src/format/layout.c" && !/^\s*#/)
		{
			print "$path:$line: object names are made in format/layout.c\n"
				if m{"[^"]*\b(?:wal|manifest|segment|quarantine)/[^"]*"};
		}
	}
	$line = 0;
	for (split(/\n/, read_file($path)))
	{
		$line++;
		print "$path:$line: banner art\n" if /$art/;
	}
}

# A checkout without git, such as an unpacked release, has nothing in it that git would ignore but what was built.
my @text = grep { -f } split(/\n/, -d ".git" ? `git ls-files -co --exclude-standard` :
	`find . -type f -not -path "./build/*" -not -name "*.o" -not -name "*.d" -not -name "*.so" -not -path "./results/*" | sed "s!^\\./!!"`);
for my $path (@text)
{
	my $line = 0;
	next if -B $path || is_exempt("words", $path);
	for (split(/\n/, read_file($path)))
	{
		$line++;
		print "$path:$line: leftover: $1\n" if /($leftover)/;
	}
}
'
