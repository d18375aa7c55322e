-- INSERT, UPDATE, DELETE and what surrounds them, beside heap twins.
\set test dml
\getenv abs_srcdir PG_ABS_SRCDIR
\set twin :abs_srcdir '/sql/include/twin.psql'
\i :twin

CREATE TABLE dml_heap.t (id int PRIMARY KEY, v int, note text);
CREATE FOREIGN TABLE dml_reef.t (id int OPTIONS (key 'true'), v int, note text) SERVER store OPTIONS (namespace 'dml/t');
CREATE TABLE dml_heap.c (a text, b int, v int, PRIMARY KEY (a, b));
CREATE FOREIGN TABLE dml_reef.c (a text OPTIONS (key 'true'), b int OPTIONS (key 'true'), v int) SERVER store OPTIONS (namespace 'dml/c');
CREATE TABLE dml_heap.n (v int, note text);
CREATE FOREIGN TABLE dml_reef.n (v int, note text) SERVER store OPTIONS (namespace 'dml/n');
CREATE TABLE dml_heap.d (id int PRIMARY KEY, a int DEFAULT 7, b text DEFAULT 'none', g int GENERATED ALWAYS AS (id * 2) STORED);
CREATE FOREIGN TABLE dml_reef.d (id int OPTIONS (key 'true'), a int DEFAULT 7, b text DEFAULT 'none', g int GENERATED ALWAYS AS (id * 2) STORED) SERVER store OPTIONS (namespace 'dml/d');

-- inserts
SELECT twin($$INSERT INTO t SELECT i, i % 5, 'row ' || i FROM generate_series(1, 50) i$$);
SELECT twin($$INSERT INTO t VALUES (51, 1, NULL), (52, NULL, 'x') RETURNING *, id + 1$$);
SELECT twin($$INSERT INTO t VALUES (50, 0, 'again')$$);
SELECT twin($$INSERT INTO t VALUES (60, 0, 'new'), (60, 1, 'twice')$$);
-- (the detail differs)
SELECT outcome($$INSERT INTO t VALUES (NULL, 0, 'no key')$$, 'dml_reef');
SELECT twin($$INSERT INTO t VALUES (50, 0, 'a'), (61, 1, 'b') ON CONFLICT DO NOTHING RETURNING id$$);
SELECT twin($$INSERT INTO t SELECT i, 1, 'c' FROM generate_series(40, 65) i ON CONFLICT DO NOTHING$$);
SELECT outcome($$INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET v = 1$$, 'dml_reef');
SELECT twin($$INSERT INTO c VALUES ('a', 1, 1), ('a', 2, 2), ('b', 1, 3), ('', 0, 0)$$);
SELECT twin($$INSERT INTO c VALUES ('b', 1, 4)$$);
SELECT twin($$INSERT INTO n SELECT i % 3, 'x' FROM generate_series(1, 9) i$$);
SELECT twin($$INSERT INTO n VALUES (1, 'x'), (1, 'x') RETURNING *$$);
SELECT twin($$INSERT INTO d (id) VALUES (1), (2) RETURNING *$$);
SELECT twin($$INSERT INTO d (id, a, b) VALUES (3, DEFAULT, NULL)$$);

-- updates
SELECT twin($$UPDATE t SET v = v + 10 WHERE id <= 10$$);
SELECT twin($$UPDATE t SET v = v + 10, note = note || '!' WHERE id = 7 RETURNING *$$);
SELECT twin($$UPDATE t SET v = 1 WHERE id = 1000$$);
SELECT twin($$UPDATE t SET v = 1 WHERE false$$);
SELECT twin($$UPDATE t SET id = id + 1000 WHERE id > 45 RETURNING id, v$$);
SELECT twin($$UPDATE t SET id = 2 WHERE id = 1$$);
SELECT twin($$UPDATE t SET id = NULL WHERE id = 1$$) ~ '23502';
SELECT twin($$UPDATE c SET b = b + 10$$);
SELECT twin($$UPDATE c SET a = a || 'x', v = v * 2 WHERE a <> '' RETURNING *$$);
SELECT twin($$UPDATE n SET v = v + 1 WHERE v = 1$$);
SELECT twin($$UPDATE n SET note = v::text RETURNING *$$);
SELECT twin($$UPDATE d SET id = id + 10, b = 'changed' RETURNING *$$);
SELECT twin($$UPDATE d SET a = DEFAULT, b = DEFAULT$$);
-- a row that matches twice is updated once
SELECT twin($$UPDATE t SET v = t.v + 100 FROM (VALUES (3, 1), (3, 1), (4, 1)) s (id, x) WHERE t.id = s.id$$);
-- both sides of the same table
SELECT twin($$UPDATE t SET v = o.v FROM t o WHERE o.id = t.id + 1 AND t.id < 20$$);
SELECT twin($$UPDATE t SET v = (SELECT max(v) FROM t) WHERE id = 5$$);
SELECT twin($$WITH u AS (UPDATE t SET v = -1 WHERE id = 6 RETURNING id, v), i AS (INSERT INTO t VALUES (500, 5, 'cte') RETURNING id)
	SELECT u.id, u.v, i.id, (SELECT count(*) FROM t) FROM u, i$$);
-- no row is met again further on (Halloween)
SELECT twin($$UPDATE t SET id = id + 10000$$);
SELECT twin($$UPDATE t SET id = id - 10000$$);
SELECT twin($$INSERT INTO n SELECT * FROM n$$);
SELECT twin($$INSERT INTO t SELECT id + 5000, v, note FROM t WHERE id < 10$$);

-- deletes
SELECT twin($$DELETE FROM t WHERE id = 8 RETURNING *$$);
SELECT twin($$DELETE FROM t USING (VALUES (9), (9), (10)) s (id) WHERE t.id = s.id RETURNING t.*, s.id$$);
SELECT twin($$DELETE FROM c WHERE a = 'bx'$$);
SELECT twin($$DELETE FROM n WHERE ctid IS NOT NULL AND v = 0 RETURNING v$$);
SELECT twin($$DELETE FROM t WHERE id IN (SELECT id FROM t WHERE v = 2 ORDER BY id LIMIT 3)$$);
SELECT twin($$INSERT INTO t VALUES (8, 88, 'back')$$);
SELECT twin($$DELETE FROM t WHERE id = 8$$);
SELECT twin($$INSERT INTO t VALUES (8, 89, 'back again')$$);

-- own writes, savepoints, and rollback
BEGIN;
SELECT twin($$INSERT INTO t VALUES (900, 1, 'a')$$);
SELECT twin($$SELECT * FROM t WHERE id = 900$$);
SELECT twin($$UPDATE t SET v = v + 1 WHERE id = 900 RETURNING *$$);
SELECT twin($$UPDATE t SET id = 901 WHERE id = 900 RETURNING *$$);
SAVEPOINT a;
SELECT twin($$DELETE FROM t WHERE id = 901$$);
SELECT twin($$INSERT INTO t VALUES (901, 7, 'again')$$);
SAVEPOINT b;
SELECT twin($$DELETE FROM t$$);
ROLLBACK TO b;
SELECT twin($$SELECT count(*), sum(v) FROM t$$);
ROLLBACK TO a;
SELECT twin($$SELECT * FROM t WHERE id >= 900 AND id < 1000$$);
SELECT twin($$INSERT INTO t VALUES (902, 1, 'kept')$$);
COMMIT;
SELECT twin($$SELECT count(*), sum(v) FROM t$$);
BEGIN;
SELECT twin($$DELETE FROM t$$);
SELECT twin($$INSERT INTO t VALUES (1, 1, 'only')$$);
ROLLBACK;
SELECT twin($$SELECT count(*), sum(v) FROM t$$);

-- a cursor sees what there was when it was declared
BEGIN;
DECLARE h CURSOR FOR SELECT id FROM dml_heap.t ORDER BY id;
DECLARE r CURSOR FOR SELECT id FROM dml_reef.t ORDER BY id;
SELECT twin($$INSERT INTO t VALUES (-1, 0, 'later')$$);
FETCH 1 FROM h;
FETCH 1 FROM r;
SELECT twin($$DELETE FROM t WHERE id < 5$$);
FETCH 2 FROM h;
FETCH 2 FROM r;
ROLLBACK;

-- functions that read the table that is being written
CREATE FUNCTION dml.rows_seen() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$ DECLARE n bigint; BEGIN SELECT count(*) INTO n FROM t; RETURN n; END $$;
CREATE FUNCTION dml.rows_seen_stable() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ DECLARE n bigint; BEGIN SELECT count(*) INTO n FROM t; RETURN n; END $$;
SELECT twin($$INSERT INTO t SELECT 2000 + i, rows_seen(), 'v' FROM generate_series(1, 3) i RETURNING v$$);
SELECT twin($$INSERT INTO t SELECT 2010 + i, rows_seen_stable(), 's' FROM generate_series(1, 3) i RETURNING v$$);
SELECT twin($$UPDATE t SET v = rows_seen() WHERE id BETWEEN 2000 AND 2020$$);
SELECT twin($$DELETE FROM t WHERE id BETWEEN 2000 AND 2020 AND rows_seen() > 0$$);

-- triggers
CREATE TABLE dml.log (at serial, line text);
CREATE FUNCTION dml.log_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO n;
	INSERT INTO dml.log (line) VALUES (TG_TABLE_SCHEMA || ' ' || TG_WHEN || ' ' || TG_OP || ' ' ||
		coalesce(OLD::text, '-') || ' ' || coalesce(NEW::text, '-') || ' ' || n);
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE FUNCTION dml.change_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.v = 13 THEN RETURN NULL; END IF;
	NEW.note := 'trigger ' || coalesce(NEW.note, '');
	RETURN NEW;
END $$;
CREATE TABLE dml_heap.g (id int PRIMARY KEY, v int, note text);
CREATE FOREIGN TABLE dml_reef.g (id int OPTIONS (key 'true'), v int, note text) SERVER store OPTIONS (namespace 'dml/g', batch_size '10');
DO $$
DECLARE s text;
BEGIN
	FOREACH s IN ARRAY array['dml_heap', 'dml_reef'] LOOP
		EXECUTE format('CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON %I.g FOR EACH ROW EXECUTE FUNCTION dml.log_row()', s);
		EXECUTE format('CREATE TRIGGER b BEFORE INSERT OR UPDATE ON %I.g FOR EACH ROW EXECUTE FUNCTION dml.change_row()', s);
		EXECUTE format('CREATE TRIGGER c AFTER INSERT OR UPDATE OR DELETE ON %I.g FOR EACH ROW EXECUTE FUNCTION dml.log_row()', s);
	END LOOP;
END $$;
SELECT twin($$INSERT INTO g SELECT i, i, NULL FROM generate_series(10, 15) i$$);
SELECT twin($$UPDATE g SET v = v + 1 WHERE id <> 11$$);
SELECT twin($$UPDATE g SET v = v + 1 RETURNING *$$);
SELECT twin($$DELETE FROM g WHERE id > 13$$);
SELECT twin($$DELETE FROM g WHERE id = 10 RETURNING *$$);
-- (heap tables change rows in another order)
SELECT count(*) AS lines, (SELECT count(*) FROM
	(SELECT replace(line, 'dml_heap', '') FROM dml.log WHERE line LIKE 'dml_heap%'
	EXCEPT ALL SELECT replace(line, 'dml_reef', '') FROM dml.log WHERE line LIKE 'dml_reef%') d) AS different
FROM dml.log WHERE line LIKE 'dml_reef%';
-- batches
CREATE TABLE dml_heap.b (id int PRIMARY KEY, v int);
CREATE FOREIGN TABLE dml_reef.b (id int OPTIONS (key 'true'), v int) SERVER store OPTIONS (namespace 'dml/b', batch_size '7');
SELECT twin($$INSERT INTO b SELECT i, i FROM generate_series(1, 100) i$$);
SELECT twin($$INSERT INTO b SELECT i, i FROM generate_series(101, 120) i RETURNING id$$);
SELECT twin($$INSERT INTO b SELECT i, i FROM generate_series(115, 125) i$$);
SELECT twin($$INSERT INTO b SELECT i, i FROM generate_series(115, 125) i ON CONFLICT DO NOTHING$$);
SELECT twin($$INSERT INTO b SELECT id + 1000, v FROM b$$);

-- the column that shows the LSN
CREATE FOREIGN TABLE dml.l (id int OPTIONS (key 'true'), v int, lsn bigint OPTIONS (reef_lsn 'true')) SERVER store OPTIONS (namespace 'dml/l');
INSERT INTO dml.l VALUES (1, 1), (2, 2);
SELECT id, v, lsn > 0 AS has_lsn FROM dml.l ORDER BY id;
SELECT lsn AS lsn1 FROM dml.l WHERE id = 1 \gset
UPDATE dml.l SET v = 10 WHERE id = 1 AND lsn = :lsn1 RETURNING *;
UPDATE dml.l SET v = 11 WHERE id = 1 AND lsn = :lsn1 RETURNING *;
SELECT id, v, lsn > :lsn1 AS newer FROM dml.l ORDER BY id;
INSERT INTO dml.l VALUES (3, 3, 3);
UPDATE dml.l SET lsn = 1;
BEGIN;
UPDATE dml.l SET v = 12 WHERE id = 2;
SELECT id, v, lsn IS NULL AS unknown FROM dml.l ORDER BY id;
ROLLBACK;

-- two tables with different columns in one namespace
CREATE FOREIGN TABLE dml.wide (id int OPTIONS (key 'true'), a int, b int) SERVER store OPTIONS (namespace 'dml/w');
CREATE FOREIGN TABLE dml.narrow (id int OPTIONS (key 'true'), a int) SERVER store OPTIONS (namespace 'dml/w');
INSERT INTO dml.wide VALUES (1, 1, 1), (2, 2, 2);
UPDATE dml.narrow SET a = 10 WHERE id = 1;
SELECT * FROM dml.wide ORDER BY id;
BEGIN;
INSERT INTO dml.narrow VALUES (3, 3);
UPDATE dml.wide SET b = 30 WHERE id = 3;
UPDATE dml.narrow SET a = 31 WHERE id = 3;
UPDATE dml.narrow SET a = 20 WHERE id = 2;
SELECT * FROM dml.wide ORDER BY id;
COMMIT;
SELECT * FROM dml.wide ORDER BY id;

-- all of it again out of segments
SELECT reef_fold('dml_reef.t') IS NOT NULL, reef_fold('dml_reef.c') IS NOT NULL, reef_fold('dml_reef.n') IS NOT NULL, reef_fold('dml_reef.d') IS NOT NULL, reef_fold('dml.wide') IS NOT NULL;
SELECT twin($$SELECT count(*), sum(v) FROM t$$);
SELECT * FROM dml.wide ORDER BY id;
SELECT twin($$UPDATE t SET v = v + 1 WHERE id % 2 = 0$$);
SELECT twin($$UPDATE t SET id = id + 50000 WHERE id >= 5000$$);
SELECT twin($$DELETE FROM t WHERE id % 3 = 0$$);
SELECT twin($$INSERT INTO t SELECT id, 0, 'again' FROM generate_series(1, 60) id ON CONFLICT DO NOTHING$$);
SELECT twin($$INSERT INTO t VALUES (17, 0, 'dup')$$);
SELECT twin($$UPDATE c SET v = v + 1 WHERE a = 'ax' AND b = 11 RETURNING *$$);
SELECT twin($$UPDATE n SET v = v + 1$$);
SELECT twin($$DELETE FROM n WHERE v = 3$$);
SELECT reef_fold('dml_reef.t') IS NOT NULL, reef_fold('dml_reef.n') IS NOT NULL;
SELECT twin($$SELECT count(*), sum(v) FROM t$$);
SELECT twin($$SELECT count(*), sum(v) FROM n$$);

SET client_min_messages = warning;
DROP SCHEMA dml_reef, dml_heap, dml CASCADE;
