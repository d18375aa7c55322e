# Transactions over several reef tables: all of them or none [I2], after kill -9 at random moments,
# on another server, and when the commit fails behind the records.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use ReefSession;
use ReefTest;

my $store = new_store();
my $elsewhere = new_store();
my $node = new_node('main', conf => "reef.fold_size = '64kB'\n");
my $ddl = <<'SQL';
CREATE FOREIGN TABLE a (id bigint OPTIONS (key 'true'), balance bigint NOT NULL)
	SERVER lake OPTIONS (namespace 'public/a');
CREATE FOREIGN TABLE b (id bigint OPTIONS (key 'true'), balance bigint NOT NULL)
	SERVER lake OPTIONS (namespace 'public/b');
CREATE FOREIGN TABLE c (id bigint OPTIONS (key 'true'), note text)
	SERVER lake OPTIONS (namespace 'public/c');
SQL
attach($node, $store, $ddl);
$node->safe_psql('postgres', <<SQL);
CREATE SERVER pond FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file://$elsewhere');
CREATE FOREIGN TABLE far (id bigint OPTIONS (key 'true')) SERVER pond OPTIONS (namespace 'public/far');
CREATE TABLE h (id bigint PRIMARY KEY, amount bigint);
INSERT INTO a SELECT i, 1000 FROM generate_series(1, 20) i;
INSERT INTO b SELECT i, 1000 FROM generate_series(1, 20) i;
SQL
my $session = ReefSession->new($node);

sub gives
{
	my ($what, $sql, $sqlstate, $query, $expected) = @_;
	my $answer = $session->run($sql);
	is($answer->{sqlstate}, $sqlstate, "$what: SQLSTATE") or diag $answer->{err};
	$session->run('ROLLBACK') if $sqlstate ne '00000';
	is($session->run($query)->{out}, $expected, "$what: the rows");
	is($node->safe_psql('postgres', $query), $expected, "$what: the rows for others");
	return;
}

#
# What ends well, and what does not.
#
my $all = 'SELECT (SELECT sum(balance) FROM a), (SELECT sum(balance) FROM b), (SELECT count(*) FROM c)';
gives('two tables', <<'SQL', '00000', $all, '19995|20005|0');
BEGIN;
UPDATE a SET balance = balance - 5 WHERE id = 1;
UPDATE b SET balance = balance + 5 WHERE id = 2;
COMMIT;
SQL
gives('three tables, two of them in one statement', <<'SQL', '00000', $all, '19990|20010|1');
BEGIN;
WITH taken AS (UPDATE a SET balance = balance - 5 WHERE id = 2 RETURNING id)
	INSERT INTO c SELECT id, 'moved' FROM taken;
UPDATE b SET balance = balance + 5 WHERE id = 2;
COMMIT;
SQL
gives('ROLLBACK', <<'SQL', '00000', $all, '19990|20010|1');
BEGIN;
DELETE FROM a;
DELETE FROM b;
INSERT INTO c VALUES (100);
ROLLBACK;
SQL
gives('one table undone by a savepoint', <<'SQL', '00000', $all, '19990|20010|2');
BEGIN;
SAVEPOINT s;
DELETE FROM a;
ROLLBACK TO s;
INSERT INTO c VALUES (101);
COMMIT;
SQL
gives('another location', <<'SQL', '0A000', "$all, (SELECT count(*) FROM far)", '19990|20010|2|0');
BEGIN;
INSERT INTO c VALUES (102);
INSERT INTO far VALUES (1);
COMMIT;
SQL
gives('SERIALIZABLE', <<'SQL', '0A000', $all, '19990|20010|2');
BEGIN ISOLATION LEVEL SERIALIZABLE;
DELETE FROM a;
DELETE FROM b;
COMMIT;
SQL

# A record of the first namespace is there when the second one refuses.
{
	my $other = ReefSession->new($node, options => '-c default_transaction_isolation=repeatable\ read');
	$other->run('BEGIN; SELECT count(*) FROM a; SELECT count(*) FROM b; UPDATE a SET balance = 0 WHERE id = 3; UPDATE b SET balance = 0 WHERE id = 3');
	$session->run('UPDATE b SET balance = balance + 1 WHERE id = 3');
	is($other->run('COMMIT')->{sqlstate}, '40001', 'the last namespace refuses');
	is($session->run($all)->{out}, '19990|20011|2', 'and nothing is left in the first');
	$session->run('UPDATE b SET balance = balance - 1 WHERE id = 3');
	$other->quit;
}

# PostgreSQL's own ON COMMIT actions fail behind our records.
my $late_failure = <<'SQL';
CREATE TEMP TABLE x (i int PRIMARY KEY) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE y (i int REFERENCES x);
SQL
gives("failure behind the records, $_", <<"SQL", '0A000', "$all, (SELECT count(*) FROM h)", '19990|20010|2|0') for 1 .. 3;
BEGIN;
UPDATE a SET balance = balance - 1000 WHERE id = $_;
UPDATE b SET balance = balance + 1000 WHERE id = $_;
INSERT INTO c VALUES (200 + $_);
INSERT INTO h VALUES ($_, 1000);
$late_failure
COMMIT;
SQL
for my $table (qw(a b c))
{
	is($node->safe_psql('postgres', "SELECT has_pending_aborts FROM reef_stats('$table')"), 'f', "$table: no abort is still to come");
}
$session->quit;

# Voided everywhere, as another server sees it.
my $other = new_node('other');
attach($other, $store, $ddl);
is($other->safe_psql('postgres', $all), '19990|20010|2', 'another server sees the same');
is($other->safe_psql('postgres', <<SQL), '19991|20009|2', 'and can go on');
BEGIN;
UPDATE a SET balance = balance + 1 WHERE id = 1;
UPDATE b SET balance = balance - 1 WHERE id = 1;
COMMIT;
$all
SQL
# The first one learns of it by its next record.
for my $table (qw(a b))
{
	my ($status, $out, $err) = $node->psql('postgres', "UPDATE $table SET balance = balance WHERE id = 1",
		extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	like($err, qr/40001/, "$table: the first server is fenced");
}
is($node->safe_psql('postgres', $all), '19991|20009|2', 'and sees what the other one did');
$other->stop;

#
# Money is moved between a and b, with a line in the heap ledger, by four clients, and everything
# is killed.  The sum is the same, and each transfer that was acknowledged is in the ledger.
#
my $dir = PostgreSQL::Test::Utils::tempdir();

sub start_movers
{
	my ($round, $w) = @_;
	my ($script, $log) = ("$dir/script.$round.$w", "$dir/acknowledged.$round.$w");
	open my $fh, '>', $script or die;
	for my $n (1 .. 3000)
	{
		my $id = $round * 10_000_000 + $w * 1_000_000 + $n;
		my ($from, $to) = $n % 2 ? qw(a b) : qw(b a);
		my $account = ($w - 1) * 5 + 1 + $n % 5;
		my $heap = $w % 2 ? "INSERT INTO h VALUES ($id, 1);" : "INSERT INTO c VALUES ($id, 'x');";
		print $fh "BEGIN; UPDATE $from SET balance = balance - 1 WHERE id = $account; ",
			"UPDATE $to SET balance = balance + 1 WHERE id = $account; $heap COMMIT;\n\\warn $id\n";
	}
	close $fh;
	my $pid = fork // die;
	if ($pid == 0)
	{
		open STDERR, '>', $log;
		open STDOUT, '>', '/dev/null';
		exec 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $script;
		die;
	}
	return $pid;
}

# What each client's transfers add up to, as its ledger (heap or reef) says.
my $sums = <<'SQL';
SELECT (SELECT sum(balance) FROM a) + (SELECT sum(balance) FROM b),
	(SELECT sum(balance) FROM a) - (19991 - (SELECT count(*) FILTER (WHERE id % 2 = 1) - count(*) FILTER (WHERE id % 2 = 0)
		FROM (SELECT id FROM h UNION ALL SELECT id FROM c WHERE id > 1000) l))
SQL
my $rounds = 2 * ($ENV{REEF_ROUNDS} // 5);
my $total = 0;
for my $round (1 .. $rounds)
{
	my @movers = map { start_movers($round, $_) } 1 .. 4;
	usleep(150_000 + int rand 500_000);
	kill_everything($node);
	kill 'TERM', @movers;
	waitpid $_, 0 for @movers;
	$node->start;
	is($node->safe_psql('postgres', $sums), '40000|0', "round $round: nothing is moved by half");
	my @ids = acknowledged($dir);
	my $list = join ',', @ids, 0;
	is($node->safe_psql('postgres', <<"SQL"), '0', "round $round: nothing of " . @ids . ' is lost');
SELECT count(*) FROM unnest(ARRAY[$list]) l (id)
	WHERE id > 0 AND NOT EXISTS (SELECT FROM h WHERE h.id = l.id) AND NOT EXISTS (SELECT FROM c WHERE c.id = l.id)
SQL
	cmp_ok(scalar(@ids), '>', $total, "round $round: the movers got somewhere");
	$total = @ids;
}

#
# The same keyed transactions again and again, with everything killed in between: each is applied
# once [I6].
#
my $per_client = 150;
sub run_keyed
{
	my ($kill_after_us) = @_;
	my @clients;
	for my $w (1 .. 3)
	{
		my $script = "$dir/keyed.$w";
		unlink $script;
		append_to_file($script, join '', map { <<"SQL" } 1 .. $per_client);
BEGIN;
SET LOCAL reef.idempotency_key = 'client $w, $_';
UPDATE a SET balance = balance + 1 WHERE id = 10 + $w;
UPDATE b SET balance = balance - 1 WHERE id = 10 + $w;
COMMIT;
SQL
		my $pid = fork // die;
		if ($pid == 0)
		{
			open STDERR, '>', '/dev/null';
			open STDOUT, '>', '/dev/null';
			exec 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $script;
			die;
		}
		push @clients, $pid;
	}
	if ($kill_after_us)
	{
		usleep($kill_after_us);
		kill_everything($node);
		kill 'TERM', @clients;
	}
	waitpid $_, 0 for @clients;
	$node->start if $kill_after_us;
	return;
}
my $accounts = 'SELECT a.balance, b.balance FROM a JOIN b USING (id) WHERE id IN (11, 12, 13) ORDER BY id';
my @before = split /\n/, $node->safe_psql('postgres', $accounts);
run_keyed(100_000 + int rand 300_000) for 1 .. 3;
# (the first commits after a start may be refused)
run_keyed(0) for 1 .. 2;
my $once = join "\n", map { my ($x, $y) = split /\|/; join '|', $x + $per_client, $y - $per_client } @before;
is($node->safe_psql('postgres', $accounts), $once, 'what was repeated is applied once');

# From the store alone, on a server without the heap: what it cannot decide counts as committed,
# so stop in order first.
$node->restart;
my $expected = $node->safe_psql('postgres', $all);
$node->stop;
$other->start;
is($other->safe_psql('postgres', $all), $expected, 'another server sees the same');
$other->safe_psql('postgres', "SELECT reef_fold('a'), reef_fold('b'), reef_fold('c')");
$other->restart;
is($other->safe_psql('postgres', $all), $expected, 'the same after folds and a restart');
$other->stop;
done_testing();
