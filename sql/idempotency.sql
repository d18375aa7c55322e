-- reef.idempotency_key: a transaction that may be repeated without harm.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS reef_fdw;
RESET client_min_messages;
\getenv store REEF_STORE
CREATE SERVER idempotency_lake FOREIGN DATA WRAPPER reef_fdw OPTIONS (location :'store');
CREATE FOREIGN TABLE accounts (
	id int OPTIONS (key 'true'),
	balance int NOT NULL CHECK (balance >= 0))
	SERVER idempotency_lake OPTIONS (namespace 'idempotency/accounts');
CREATE FOREIGN TABLE moves (id int OPTIONS (key 'true'), note text)
	SERVER idempotency_lake OPTIONS (namespace 'idempotency/moves');
CREATE FOREIGN TABLE short (id int OPTIONS (key 'true'))
	SERVER idempotency_lake OPTIONS (namespace 'idempotency/short', idempotency_retention '1s');
CREATE TABLE heap (id int);
CREATE SEQUENCE numbers;
INSERT INTO accounts VALUES (1, 100), (2, 100);

-- once, and again: the same row counts, and nothing happens
BEGIN;
SET LOCAL reef.idempotency_key = 'move 1';
UPDATE accounts SET balance = balance - 10 WHERE id = 1;
UPDATE accounts SET balance = balance + 10 WHERE id = 2;
INSERT INTO moves VALUES (1, '1 to 2') RETURNING *;
COMMIT;
BEGIN;
SET LOCAL reef.idempotency_key = 'move 1';
WITH updated AS (UPDATE accounts SET balance = balance - 10 WHERE id = 1 RETURNING id) SELECT count(*) FROM updated;
WITH updated AS (UPDATE accounts SET balance = balance + 10 WHERE id = 2 RETURNING id) SELECT count(*) FROM updated;
INSERT INTO moves VALUES (1, '1 to 2') RETURNING *;
WITH deleted AS (DELETE FROM moves RETURNING id) SELECT count(*) FROM deleted;
COPY moves FROM stdin;
7	seven
\.
COMMIT;
SELECT * FROM accounts ORDER BY id;
SELECT * FROM moves;

-- also after a fold
SELECT rows > 0 AS folded FROM reef_fold('accounts');
SELECT rows > 0 AS folded FROM reef_fold('moves');
BEGIN;
SET LOCAL reef.idempotency_key = 'move 1';
DELETE FROM accounts;
COMMIT;
SELECT count(*) FROM accounts;

-- another key, and none, are others
BEGIN;
SET LOCAL reef.idempotency_key = 'move 2';
UPDATE accounts SET balance = balance - 10 WHERE id = 1;
COMMIT;
UPDATE accounts SET balance = balance - 10 WHERE id = 1;
SELECT * FROM accounts ORDER BY id;

-- what was rolled back was not applied
BEGIN;
SET LOCAL reef.idempotency_key = 'move 3';
DELETE FROM accounts;
ROLLBACK;
BEGIN;
SET LOCAL reef.idempotency_key = 'move 3';
INSERT INTO accounts VALUES (3, 30);
COMMIT;
SELECT count(*) FROM accounts;

-- not together with heap tables, known or not; sequences and temporary tables do not matter
\set VERBOSITY sqlstate
BEGIN;
SET LOCAL reef.idempotency_key = 'move 4';
INSERT INTO moves VALUES (4);
INSERT INTO heap VALUES (4);
COMMIT;
BEGIN;
INSERT INTO heap VALUES (4);
SET LOCAL reef.idempotency_key = 'move 3';
DELETE FROM accounts;
COMMIT;
SELECT (SELECT count(*) FROM heap) AS heap, (SELECT count(*) FROM moves) AS moves;
BEGIN;
SET LOCAL reef.idempotency_key = 'move 4';
CREATE TEMP TABLE scratch (id int);
INSERT INTO scratch SELECT nextval('numbers') FROM generate_series(1, 100);
INSERT INTO moves SELECT max(id) FROM scratch;
COMMIT;
SELECT count(*) FROM moves;

-- the key stands from the first write on
BEGIN;
SET LOCAL reef.idempotency_key = 'move 5';
INSERT INTO moves VALUES (5);
SET LOCAL reef.idempotency_key = 'move 6';
INSERT INTO moves VALUES (6);
ROLLBACK;
BEGIN;
INSERT INTO moves VALUES (5);
SET LOCAL reef.idempotency_key = 'move 5';
INSERT INTO moves VALUES (6);
ROLLBACK;
BEGIN;
SELECT set_config('reef.idempotency_key', repeat('x', 1025), true) IS NOT NULL AS set;
INSERT INTO moves VALUES (5);
ROLLBACK;

-- retention
BEGIN;
SET LOCAL reef.idempotency_key = 'short';
INSERT INTO short VALUES (1);
COMMIT;
BEGIN;
SET LOCAL reef.idempotency_key = 'short';
INSERT INTO short VALUES (2);
COMMIT;
SELECT pg_sleep(1.2);
BEGIN;
SET LOCAL reef.idempotency_key = 'short';
INSERT INTO short VALUES (3);
COMMIT;
SELECT id FROM short ORDER BY id;
ALTER FOREIGN TABLE short OPTIONS (SET idempotency_retention '0');
\set VERBOSITY default

SET client_min_messages = warning;
DROP TABLE heap, scratch;
DROP SEQUENCE numbers;
DROP SERVER idempotency_lake CASCADE;
RESET client_min_messages;
