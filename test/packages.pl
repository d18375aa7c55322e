# packages.pl: Debian's package index on standard input becomes rows for COPY (text format):
# name, version, section, installed size, depends as text[], the whole stanza as jsonb.
use strict;
use warnings;

my %seen;
$/ = '';						# one stanza a read

sub copy_text { my $s = shift; $s =~ s/([\\\t\n\r])/{"\\"=>"\\\\","\t"=>"\\t","\n"=>"\\n","\r"=>"\\r"}->{$1}/ge; $s }
sub json_text
{
	my $s = shift;
	$s =~ s/(["\\])/\\$1/g;
	$s =~ s/([\x00-\x1f])/sprintf('\\u%04x', ord $1)/ge;
	qq("$s");
}
sub array_text { '{' . join(',', map { my $e = $_; $e =~ s/(["\\])/\\$1/g; qq("$e") } @_) . '}' }

while (my $stanza = <STDIN>)
{
	$stanza =~ s/\n+\z//;
	$stanza =~ s/\n[ \t]+/ /g;	# continuation lines
	my (%field, @order);
	for (split /\n/, $stanza)
	{
		my ($name, $value) = /^([A-Za-z0-9-]+):\s*(.*)$/ or next;
		push @order, $name unless exists $field{$name};
		$field{$name} = $value;
	}
	next unless defined $field{Package} && defined $field{Version};
	next if $seen{"$field{Package} $field{Version}"}++;
	my @depends = map { s/^\s+|\s+$//gr } split /,/, $field{Depends} // '';
	my $json = '{' . join(',', map { json_text($_) . ': ' . json_text($field{$_}) } @order) . '}';
	print join("\t",
		(map { copy_text($_) } $field{Package}, $field{Version}),
		defined $field{Section} ? copy_text($field{Section}) : '\N',
		$field{'Installed-Size'} // '\N',
		copy_text(array_text(@depends)), copy_text($json)), "\n";
}
