-- Transactions: what commits, what rolls back, what one statement sees of another.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS reef_fdw;
RESET client_min_messages;
\getenv store REEF_STORE
CREATE SERVER transactions_lake FOREIGN DATA WRAPPER reef_fdw OPTIONS (location :'store');
CREATE FOREIGN TABLE accounts (
	id int OPTIONS (key 'true'),
	balance int NOT NULL)
	SERVER transactions_lake OPTIONS (namespace 'transactions/accounts');
CREATE FOREIGN TABLE other (
	id int OPTIONS (key 'true'))
	SERVER transactions_lake OPTIONS (namespace 'transactions/other');
CREATE TABLE heap (id int PRIMARY KEY);

-- read your own writes, roll them back
BEGIN;
INSERT INTO accounts SELECT i, 100 FROM generate_series(1, 5) i;
UPDATE accounts SET balance = balance - 10 WHERE id = 1;
DELETE FROM accounts WHERE id = 5;
SELECT * FROM accounts ORDER BY id;
ROLLBACK;
SELECT count(*) FROM accounts;
SELECT reef_last_lsn('accounts') IS NULL AS nothing_committed;

-- and commit them
INSERT INTO accounts SELECT i, 100 FROM generate_series(1, 5) i;
SELECT reef_last_lsn('accounts') > 0 AS committed;
SELECT count(*), sum(balance) FROM accounts;

-- a transaction that changes nothing writes nothing
SELECT last_lsn AS lsn_before FROM reef_stats('accounts') \gset
BEGIN;
UPDATE accounts SET balance = 0 WHERE id = 99;
DELETE FROM accounts WHERE id = 99;
COMMIT;
SELECT last_lsn = :lsn_before AS unchanged FROM reef_stats('accounts');

-- savepoints: the same name twice, nested, released, rolled back to twice
BEGIN;
UPDATE accounts SET balance = 101 WHERE id = 1;
SAVEPOINT s;
UPDATE accounts SET balance = 102 WHERE id = 1;
SAVEPOINT s;
UPDATE accounts SET balance = 103 WHERE id = 1;
INSERT INTO accounts VALUES (6, 6);
SELECT * FROM accounts WHERE id IN (1, 6) ORDER BY id;
ROLLBACK TO s;
SELECT * FROM accounts WHERE id IN (1, 6) ORDER BY id;
DELETE FROM accounts WHERE id = 1;
SELECT * FROM accounts WHERE id IN (1, 6) ORDER BY id;
ROLLBACK TO s;
RELEASE s;
SELECT * FROM accounts WHERE id IN (1, 6) ORDER BY id;
ROLLBACK TO s;
SELECT * FROM accounts WHERE id IN (1, 6) ORDER BY id;
SAVEPOINT a;
UPDATE accounts SET balance = 104 WHERE id = 1;
SAVEPOINT b;
INSERT INTO accounts VALUES (7, 7);
RELEASE b;
ROLLBACK TO a;
INSERT INTO accounts VALUES (8, 8);
COMMIT;
SELECT * FROM accounts WHERE id IN (1, 6, 7, 8) ORDER BY id;
DELETE FROM accounts WHERE id = 8;

-- exception blocks, deep and wide
DO $$
BEGIN
	FOR i IN 1 .. 2000 LOOP
		BEGIN
			UPDATE accounts SET balance = balance + 1 WHERE id = 2;
			IF i % 2 = 0 THEN
				RAISE division_by_zero;
			END IF;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
	END LOOP;
END $$;
SELECT balance FROM accounts WHERE id = 2;
CREATE FUNCTION nest(depth int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE accounts SET balance = balance + 1 WHERE id = 3;
	IF depth > 0 THEN
		PERFORM nest(depth - 1);
	END IF;
	IF depth % 2 = 0 THEN
		RAISE division_by_zero;
	END IF;
EXCEPTION WHEN division_by_zero THEN
	UPDATE accounts SET balance = balance + 1000 WHERE id = 3;
END $$;
SELECT nest(51);
SELECT balance FROM accounts WHERE id = 3;

-- an error in a transaction, and after it
BEGIN;
INSERT INTO accounts VALUES (9, 9);
INSERT INTO accounts VALUES (9, 9);
SELECT * FROM accounts;
COMMIT;
SELECT * FROM accounts WHERE id = 9;

-- a cursor does not see what is written after it was opened
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM accounts ORDER BY id;
FETCH 1 FROM c;
SAVEPOINT s;
DELETE FROM accounts;
FETCH 1 FROM c;
ROLLBACK TO s;
FETCH 1 FROM c;
CLOSE c;
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM accounts ORDER BY id;
DELETE FROM accounts WHERE id = 4;
COMMIT;
FETCH ALL FROM h;
CLOSE h;
SELECT id FROM accounts ORDER BY id;

-- together with the heap
BEGIN;
INSERT INTO heap VALUES (1);
INSERT INTO accounts VALUES (10, 10);
COMMIT;
BEGIN;
INSERT INTO heap VALUES (2);
INSERT INTO accounts VALUES (11, 11);
ROLLBACK;
SELECT (SELECT count(*) FROM heap) AS heap, (SELECT count(*) FROM accounts WHERE id > 9) AS reef;

-- COMMIT and ROLLBACK in a procedure
CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 20 .. 25 LOOP
		INSERT INTO accounts VALUES (i, 0);
		IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
	END LOOP;
END $$;
CALL steps();
SELECT id FROM accounts WHERE id >= 20 ORDER BY id;

-- an error before our turn at commit
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
SELECT last_lsn AS lsn_before FROM reef_stats('accounts') \gset
BEGIN;
INSERT INTO child VALUES (1);
INSERT INTO accounts VALUES (30, 30);
COMMIT;
SELECT count(*) FROM accounts WHERE id = 30;
SELECT last_lsn - :lsn_before AS records FROM reef_stats('accounts');

-- an error after it: the record is durable already, a second one voids it
BEGIN;
CREATE TEMP TABLE emptied (id int PRIMARY KEY) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE kept (id int REFERENCES emptied);
INSERT INTO accounts VALUES (31, 31);
COMMIT;
SELECT count(*) FROM accounts WHERE id = 31;
SELECT last_lsn - :lsn_before AS records, has_pending_aborts FROM reef_stats('accounts');
INSERT INTO accounts VALUES (31, 0);
SELECT rows > 0 AS folded FROM reef_fold('accounts');
SELECT * FROM accounts WHERE id IN (30, 31);

-- two namespaces; refused: SERIALIZABLE, PREPARE TRANSACTION, read-only
BEGIN;
INSERT INTO accounts VALUES (40, 40);
INSERT INTO other VALUES (1);
ROLLBACK;
BEGIN;
DELETE FROM accounts WHERE id = 99;
INSERT INTO other VALUES (1);
COMMIT;
SELECT count(*) FROM other;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM other;
INSERT INTO other VALUES (2);
ROLLBACK;
BEGIN;
INSERT INTO other VALUES (2);
PREPARE TRANSACTION 'reef';
BEGIN READ ONLY;
INSERT INTO other VALUES (2);
ROLLBACK;
SELECT * FROM other;

DROP TABLE heap, child, parent;
DROP FUNCTION nest;
DROP PROCEDURE steps;
DROP SERVER transactions_lake CASCADE;
