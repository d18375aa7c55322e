# Waiting for a store that does not answer, or for another session that waits for it: cancel,
# terminate, time-outs, DROP DATABASE, reload and shutdown take effect within about a second,
# with the right SQLSTATE, and whatever was said is true afterwards [I1] [I2] [I3].
#
# Two kinds of stall: a process that cannot open files, which tries again and must react
# itself, and a process stopped by a signal, which cannot react but must not stop the others.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);
use ReefSession;
use ReefTest;

# A cancel gives a request under way 0.7 s; the rest is for a busy machine.
my $soon = 2.5;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = new_node('main', conf => "reef.fold_interval = '1h'\nmax_prepared_transactions = 2\n");
attach($node, new_store(), <<'SQL');
ALTER SERVER lake OPTIONS (ADD request_timeout '60s', ADD max_retries '100');
CREATE FOREIGN TABLE t (id bigint OPTIONS (key 'true'), note text)
	SERVER lake OPTIONS (namespace 'public/t');
CREATE FOREIGN TABLE ledger (
	id bigint OPTIONS (key 'true'),
	part int OPTIONS (key 'true'),
	note text NOT NULL)
	SERVER lake OPTIONS (namespace 'public/ledger');
SQL
my $control = ReefSession->new($node);

sub ended
{
	my ($session, $sqlstate, $what) = @_;
	my $done = $session->is_done(20);
	my $answer = $done ? $session->answer : { sqlstate => 'none', seconds => 20, err => '' };
	is($answer->{sqlstate}, $sqlstate, "$what: SQLSTATE") or diag $answer->{err};
	return $answer;
}

# The answer to a request made at $since came soon.
sub in_time
{
	my ($since, $what) = @_;
	cmp_ok(time - $since, '<', $soon, "$what: soon");
	return;
}

# A session that leads the commits and cannot open files.
sub stalled_leader
{
	my ($id) = @_;
	my $leader = ReefSession->new($node);
	die unless $leader->run("INSERT INTO t VALUES ($id, 'before')")->{sqlstate} eq '00000';
	stall_files($leader->pid);
	$leader->send('INSERT INTO t VALUES (' . ($id + 1) . ", 'leader')");
	die 'the leader did not stall: ' . $leader->answer->{err} if $leader->is_done(0.3);
	return $leader;
}

sub session { return ReefSession->new($node) }

sub waits
{
	my ($session, $sql) = @_;
	$session->send($sql);
	ok(!$session->is_done(0.4), "waits: $sql") or diag $session->answer->{err};
	return;
}

sub count_ids
{
	my ($ids) = @_;
	return $control->run("SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM t WHERE id IN ($ids)")->{out};
}

#
# A leader that tries and tries: it and those who wait for it can be cancelled.
#
{
	my $leader = stalled_leader(100);
	my ($cancelled, $terminated, $timed_out, $patient) = map { session() } 1 .. 4;
	waits($cancelled, "INSERT INTO t VALUES (110, 'cancelled')");
	waits($terminated, "INSERT INTO t VALUES (111, 'terminated')");
	$timed_out->run("SET reef.commit_timeout = '1s'");
	$timed_out->send("INSERT INTO t VALUES (112, 'timed out')");
	waits($patient, "INSERT INTO t VALUES (113, 'patient')");

	my $since = time;
	$control->run('SELECT pg_cancel_backend(' . $cancelled->pid . ')');
	ended($cancelled, '57014', 'cancel of a waiter');
	in_time($since, 'cancel of a waiter');
	$since = time;
	$control->run('SELECT pg_terminate_backend(' . $terminated->pid . ')');
	ended($terminated, '57P01', 'termination of a waiter');
	in_time($since, 'termination of a waiter');
	my $answer = ended($timed_out, '08006', 'reef.commit_timeout');
	cmp_ok($answer->{seconds}, '<', 1 + $soon, 'reef.commit_timeout: in time');

	# The others are not the leader's victims: they have a store that works.
	$since = time;
	$control->run('SELECT pg_cancel_backend(' . $leader->pid . ')');
	ended($leader, '57014', 'cancel of the leader');
	in_time($since, 'cancel of the leader');
	ended($patient, '00000', 'the next one leads');
	in_time($since, 'the next one leads');
	unstall_files($leader->pid);
	is(count_ids('100, 101, 110, 111, 112, 113'), '100 113', 'what failed is not there');
	is($leader->run("INSERT INTO t VALUES (101, 'again')")->{sqlstate}, '00000', 'the leader goes on');
	$_->quit for $leader, $cancelled, $timed_out, $patient;
}

#
# Termination of the leader, with followers in its batch.
#
{
	my $leader = stalled_leader(200);
	my $since = time;
	$control->run('SELECT pg_terminate_backend(' . $leader->pid . ')');
	ended($leader, '57P01', 'termination of the leader');
	in_time($since, 'termination of the leader');
	is(count_ids('200, 201'), '200', 'its row is not there');
	is($control->run("INSERT INTO t VALUES (201, 'again')")->{sqlstate}, '00000', 'others commit');
}

#
# A leader that has taken others along.  Whoever leaves it then cannot know the outcome; and if
# it is cancelled before it put anything, the others do not fall with it.
#
{
	my $first = stalled_leader(300);
	my ($second, $unknown, $patient) = map { session() } 1 .. 3;
	$_->run('SELECT count(*) FROM t') for $second, $unknown, $patient;
	# it has committed before, so that it needs no file but the store's
	$second->run('CREATE TEMP TABLE warm AS SELECT 1');
	waits($second, "INSERT INTO t VALUES (310, 'second')");
	waits($unknown, "INSERT INTO t VALUES (311, 'unknown')");
	waits($patient, "INSERT INTO t VALUES (312, 'patient')");
	stall_files($second->pid);
	$control->run('SELECT pg_cancel_backend(' . $first->pid . ')');
	ended($first, '57014', 'cancel of the first leader');
	ok(!$second->is_done(0.5) && !$patient->is_done, 'the second leader stalls');
	my $since = time;
	$control->run('SELECT pg_cancel_backend(' . $unknown->pid . ')');
	ended($unknown, '08007', 'cancel of one that was taken along');
	in_time($since, 'cancel of one that was taken along');
	$since = time;
	$control->run('SELECT pg_cancel_backend(' . $second->pid . ')');
	ended($second, '57014', 'cancel of the second leader');
	in_time($since, 'cancel of the second leader');
	ended($patient, '00000', 'one that was taken along by a cancelled leader');
	is(count_ids('300, 301, 310, 311, 312'), '300 312', 'what was committed is there, and nothing else');
	unstall_files($_->pid) for $first, $second;
	$_->quit for $first, $second, $unknown, $patient;
}

#
# Opening a namespace that another session is about to open.
#
$node->restart;
$control = session();
{
	my $opener = session();
	# it needs the catalogs and the library before it goes without files
	$opener->run('EXPLAIN SELECT count(*) FROM t');
	stall_files($opener->pid);
	$opener->send('SELECT count(*) FROM t');
	ok(!$opener->is_done(0.4), 'the opener waits') or diag $opener->answer->{err};
	my ($timed_out, $terminated) = (session(), session());
	$timed_out->run("SET statement_timeout = '300ms'");
	$terminated->send('SELECT count(*) FROM t');
	my $answer = $timed_out->run('SELECT count(*) FROM t');
	is($answer->{sqlstate}, '57014', 'statement_timeout while another session opens the namespace');
	cmp_ok($answer->{seconds}, '<', $soon, 'statement_timeout: in time');
	my $since = time;
	$control->run('SELECT pg_terminate_backend(' . $terminated->pid . ')');
	ended($terminated, '57P01', 'termination while another session opens the namespace');
	in_time($since, 'termination while another session opens the namespace');
	$since = time;
	$control->run('SELECT pg_cancel_backend(' . $opener->pid . ')');
	ended($opener, '57014', 'cancel of the opener');
	in_time($since, 'cancel of the opener');
	unstall_files($opener->pid);
	is($opener->run('SELECT count(*) > 3 FROM t')->{out}, 't', 'it opens it the next time');
	$_->quit for $opener, $timed_out;
}

#
# What the whole cluster waits for: barriers, reloads, and shutdown.
#
{
	my $leader = stalled_leader(400);
	my ($waiter, $other) = (session(), session());
	waits($waiter, "INSERT INTO t VALUES (410, 'waiter')");
	my $since = time;
	is($other->run('CREATE DATABASE other')->{sqlstate}, '00000', 'CREATE DATABASE');
	in_time($since, 'CREATE DATABASE');
	$since = time;
	is($other->run('DROP DATABASE other')->{sqlstate}, '00000', 'DROP DATABASE');
	in_time($since, 'DROP DATABASE');
	$since = time;
	$other->run("ALTER SYSTEM SET reef.fold_size = '7MB'");
	$other->run('SELECT pg_reload_conf()');
	ok(wait_until(5, sub { $other->run('SHOW reef.fold_size')->{out} eq '7MB' }), 'reload');
	ok(!$waiter->is_done && !$leader->is_done, 'they still wait');

	$since = time;
	$node->stop('fast');
	in_time($since, 'fast shutdown');
	like($waiter->answer->{err}, qr/57P01/, 'the waiter was told');
	$node->start;
	$control = session();
	is(count_ids('400, 401, 410'), '400', 'nothing of them is there');
}

#
# Stopped processes among busy writers.  Whatever the writers were told is true.
#
my (%outcomes, %unknown);
for my $round (1 .. 4)
{
	my @writers = start_writers($node, 5, $round, $dir);
	my $stopped;
	usleep(300_000);
	# Stop one; if the others stand still it leads.  Not if it stopped in the middle of a
	# memory operation: then they wait for a lock, which is not what this is about.
	for my $try (1 .. 60)
	{
		my $pid = pick_backend($node) or next;
		kill 'STOP', $pid;
		usleep(150_000);
		my $states = $control->run(<<"SQL")->{out};
SELECT count(*), count(*) FILTER (WHERE query = 'COMMIT;' AND wait_event_type = 'Extension')
FROM pg_stat_activity WHERE state = 'active' AND pid NOT IN ($pid, pg_backend_pid()) AND backend_type = 'client backend'
SQL
		if ($states eq '4|4') { $stopped = $pid; last; }
		kill 'CONT', $pid;
		usleep(10_000 + int rand 30_000);
	}
	ok($stopped, "round $round: a leader is stopped") or do { stop_writers(@writers); next };
	my $since = time;
	my $signal = $round % 2 ? 'cancel' : 'terminate';
	$control->run(<<"SQL");
SELECT pg_${signal}_backend(pid) FROM pg_stat_activity
WHERE state = 'active' AND pid NOT IN ($stopped, pg_backend_pid()) AND backend_type = 'client backend'
SQL
	ok( wait_until(10, sub { $control->run(
			"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%COMMIT%' AND pid NOT IN ($stopped, pg_backend_pid()) AND backend_type = 'client backend'"
		)->{out} eq '0' }), "round $round: the waiters are gone");
	in_time($since, "round $round: $signal");
	kill 'CONT', $stopped;
	usleep(300_000);
	stop_writers(@writers);

	for my $w (1 .. 5)
	{
		my $log = slurp_file("$dir/acknowledged.$round.$w");
		my ($state) = $log =~ /(?:ERROR|FATAL):  (\w{5}):/;
		next unless $state;
		$outcomes{$state}++;
		my @ids = $log =~ /^(\d+)\n/mg;
		my $failed = @ids ? $ids[-1] + 1 : $round * 1_000_000_000 + $w * 10_000_000 + 1;
		my $rows = $control->run("SELECT count(*) FROM ledger WHERE id = $failed")->{out};
		if ($state eq '08007')
		{
			like($rows, qr/^[03]$/, "$failed, unknown, is not there in part");
			$unknown{$failed} = $rows;
		}
		else { is($rows, 0, "$failed, reported as failed with $state, is not there") }
	}
}
is_deeply([ grep { !/^(57014|57P01|08007)$/ } keys %outcomes ], [], 'no other SQLSTATE');
note join ', ', map { "$_: $outcomes{$_}" } sort keys %outcomes;

$node->restart;
$control = session();
is($control->run("SELECT count(*) FROM ledger WHERE id = $_")->{out}, $unknown{$_}, "$_, unknown, stays what it was")
	for keys %unknown;
my @ids = acknowledged($dir);
$control->run('CREATE TEMP TABLE acknowledged (id bigint)');
$control->run('INSERT INTO acknowledged SELECT unnest(ARRAY[' . join(',', @ids) . ']::bigint[])');
is($control->run('SELECT count(*) FROM acknowledged a WHERE (SELECT count(*) FROM ledger l WHERE l.id = a.id) <> 3')->{out},
	0, 'none of ' . scalar(@ids) . ' acknowledged transactions is lost');
is($control->run('SELECT count(*) FROM (SELECT FROM ledger GROUP BY id HAVING count(*) <> 3) x')->{out},
	0, 'none is there in part');

#
# The worker stopped: nobody can fold, but commits and cancels work, and DROP DATABASE.
#
{
	my $worker = worker_pid($node);
	$node->append_conf('postgresql.conf', "reef.memtable_size = '4MB'\n");
	$node->restart;
	$control = session();
	$worker = worker_pid($node);
	kill 'STOP', $worker;
	my $writer = session();
	$writer->send(<<'SQL');
DO $$ BEGIN
	FOR i IN 1000..9000 LOOP
		INSERT INTO t SELECT i * 100 + j, repeat('x', 2000) FROM generate_series(1, 50) j;
		COMMIT;
	END LOOP;
END $$
SQL
	# waiting, and still for the same transaction a moment later
	my $state = sub {
		return $control->run('SELECT wait_event, xact_start FROM pg_stat_activity WHERE pid = ' . $writer->pid)->{out};
	};
	ok(wait_until(30, sub {
		my $before = $state->();
		usleep(400_000);
		return $before =~ /^Extension/ && $state->() eq $before;
	}), 'a writer waits for memory');
	my $since = time;
	$control->run('CREATE DATABASE other');
	is($control->run('DROP DATABASE other')->{sqlstate}, '00000', 'DROP DATABASE while the worker is stopped');
	in_time($since, 'DROP DATABASE while the worker is stopped');
	$since = time;
	$control->run('SELECT pg_cancel_backend(' . $writer->pid . ')');
	ended($writer, '57014', 'cancel of a wait for memory');
	in_time($since, 'cancel of a wait for memory');
	kill 'CONT', $worker;
	ok(wait_until(20, sub { $control->run("SELECT last_fold IS NOT NULL FROM reef_namespaces WHERE namespace = 'public/t'")->{out} eq 't' }),
		'the worker goes on');
	is($writer->run("INSERT INTO t SELECT i, 'after' FROM generate_series(1, 10) i")->{sqlstate}, '00000', 'so does the writer');
}
$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|still waiting for backend/, 'no crash, no long wait for a backend');

done_testing();
