# ReefTest.pm: nodes with reef_fdw, a ledger of acknowledged transactions, and kills.
package ReefTest;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep time);

our @EXPORT = qw(new_node new_store store_options store_mapping attach kill_everything start_writers stop_writers
	acknowledged pick_backend wait_until stall_files unstall_files worker_pid);

# An initialised node that preloads the library.
sub new_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(no_data_checksums => 1);
	$node->append_conf('postgresql.conf', <<CONF);
shared_preload_libraries = 'reef_fdw'
max_connections = 50
reef.maintenance_workers = 1
restart_after_crash = on
reef.fold_interval = '1s'
fsync = on
CONF
	$node->append_conf('postgresql.conf', $options{conf}) if $options{conf};
	$node->start;
	return $node;
}

# A store that outlives every node: a directory, or a place in the bucket where REEF_S3_ENDPOINT names a server.
my $store_count = 0;

sub new_store
{
	return PostgreSQL::Test::Utils::tempdir() . '/store' unless $ENV{REEF_S3_ENDPOINT};
	return "s3://$ENV{REEF_S3_BUCKET}/tap-$$-" . time . '-' . ++$store_count;
}

# The options of a server for it, and what must follow its creation.
sub store_options
{
	my ($store) = @_;
	return "location '$store', endpoint '$ENV{REEF_S3_ENDPOINT}'" if $store =~ /^s3:/;
	return "location 'file://$store'";
}

sub store_mapping
{
	my ($store, $server) = @_;
	return '' unless $store =~ /^s3:/;
	return "CREATE USER MAPPING FOR PUBLIC SERVER $server "
		. "OPTIONS (access_key_id '$ENV{REEF_S3_KEY}', secret_access_key '$ENV{REEF_S3_SECRET}');";
}

sub attach
{
	my ($node, $store, $ddl) = @_;
	my ($options, $mapping) = (store_options($store), store_mapping($store, 'lake'));
	$node->safe_psql('postgres', <<SQL);
CREATE EXTENSION reef_fdw;
CREATE SERVER lake FOREIGN DATA WRAPPER reef_fdw OPTIONS ($options);
$mapping
$ddl
SQL
	return;
}

# kill -9 of the postmaster and all its children at once.
sub kill_everything
{
	my ($node) = @_;
	my ($pid) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	my @children = map { s/\s//gr } `ps -o pid= --ppid $pid`;
	kill 'KILL', $pid, @children;
	for my $p ($pid, @children)
	{
		usleep(20_000) while kill 0, $p;
	}
	unlink $node->data_dir . '/postmaster.pid';
	$node->{_pid} = undef;
	return;
}

sub pick_backend
{
	my ($node) = @_;
	return $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%INTO ledger%' AND pid <> pg_backend_pid()
		  ORDER BY random() LIMIT 1});
}

#
# Writers: each sends transactions of $rows rows with one number, and logs the number when the
# server has acknowledged it.  A transaction is three statements, so that a half-done one
# would show.
#
sub start_writers
{
	my ($node, $count, $round, $dir, %options) = @_;
	my @writers;
	my $rows = $options{rows} // 3;
	for my $w (1 .. $count)
	{
		my $script = "$dir/script.$round.$w";
		my $log = "$dir/acknowledged.$round.$w";
		open my $fh, '>', $script or die;
		for my $n (1 .. ($options{transactions} // 20_000))
		{
			my $id = $round * 1_000_000_000 + $w * 10_000_000 + $n;
			print $fh "BEGIN;\n";
			print $fh "INSERT INTO ledger VALUES ($id, $_, repeat('r', 20));\n" for 1 .. $rows;
			print $fh "COMMIT;\n\\warn $id\n";
		}
		close $fh;
		my $pid = fork // die;
		if ($pid == 0)
		{
			# \warn, because psql does not buffer what goes to standard error
			open STDERR, '>', $log;
			open STDOUT, '>', "$dir/stdout.$round.$w";
			exec 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose',
				'-d', $node->connstr('postgres'), '-f', $script;
			die;
		}
		push @writers, $pid;
	}
	return @writers;
}

sub stop_writers
{
	my (@writers) = @_;
	kill 'TERM', @writers;
	waitpid $_, 0 for @writers;
	return;
}

sub acknowledged
{
	my ($dir) = @_;
	my @ids;
	for my $log (glob "$dir/acknowledged.*")
	{
		# whole lines only: a writer may have been killed in the middle of one
		push @ids, slurp_file($log) =~ /^(\d+)\n/mg;
	}
	return @ids;
}

# Until the condition holds; false if it never did.
sub wait_until
{
	my ($seconds, $condition) = @_;
	my $deadline = time + $seconds;
	until ($condition->())
	{
		return 0 if time > $deadline;
		usleep(20_000);
	}
	return 1;
}

#
# Make every open(2) of a server process fail with EMFILE.  To reef_fdw that is a store that
# cannot be reached for the moment: the process tries again and again, and should react to
# everything meanwhile.  What PostgreSQL itself needs must be open already.
#
sub stall_files
{
	my ($pid) = @_;
	system('prlimit', '--pid', $pid, '--nofile=3:') == 0 or die 'prlimit failed';
	return;
}

sub unstall_files
{
	my ($pid) = @_;
	system('prlimit', '--pid', $pid, '--nofile=1024:') == 0 or die 'prlimit failed';
	return;
}

# The maintenance worker; it has no database and so no line in pg_stat_activity.
sub worker_pid
{
	my ($node) = @_;
	my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	my ($pid) = map { /^\s*(\d+) .*reef worker/ ? $1 : () } `ps -o pid=,args= --ppid $postmaster`;
	return $pid;
}

1;
