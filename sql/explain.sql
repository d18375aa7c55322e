-- What EXPLAIN says, and that it asks nothing of the store.
\set test explain
\getenv abs_srcdir PG_ABS_SRCDIR
\set twin :abs_srcdir '/sql/include/twin.psql'
\i :twin

CREATE FOREIGN TABLE explain.t (a int OPTIONS (key 'true'), "B" text OPTIONS (key 'true') COLLATE "C", v int, w text, lsn bigint OPTIONS (reef_lsn 'true')) SERVER store OPTIONS (namespace 'explain/t');
INSERT INTO explain.t SELECT i / 10, 'b' || i, i, repeat('w', 100) FROM generate_series(1, 3000) i;
EXPLAIN (COSTS OFF) SELECT * FROM explain.t;
EXPLAIN (COSTS OFF) SELECT v FROM explain.t WHERE a = 1;
EXPLAIN (COSTS OFF) SELECT v FROM explain.t WHERE a = 1 AND "B" > 'x' AND "B" <= 'y' AND v = 3;
EXPLAIN (COSTS OFF) SELECT lsn FROM explain.t WHERE a IN (1, 2);
EXPLAIN (COSTS OFF) SELECT count(*) FROM explain.t;
EXPLAIN (COSTS OFF) SELECT count(*) FROM explain.t WHERE v = 1 OR a = 1;
EXPLAIN (COSTS OFF) SELECT t FROM explain.t WHERE "B" = 'b';
EXPLAIN (COSTS OFF, VERBOSE) UPDATE explain.t SET v = v + 1 WHERE a = 7;
EXPLAIN (COSTS OFF, VERBOSE) DELETE FROM explain.t WHERE a = 7 RETURNING v;
EXPLAIN (COSTS OFF, VERBOSE) INSERT INTO explain.t (a, "B") VALUES (1, 'x');
EXPLAIN (COSTS OFF) SELECT * FROM generate_series(1, 3) x, LATERAL (SELECT sum(v) FROM explain.t WHERE a = x) s;
-- without what PostgreSQL 18 adds to it
CREATE FUNCTION explain.explained(options text, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, query) LOOP
		line := regexp_replace(line, '\n *"Disabled": false,', '');
		RETURN NEXT regexp_replace(line, '(actual rows=\d+)\.00 ', '\1 ');
	END LOOP;
END $$;
SELECT explain.explained('COSTS OFF, FORMAT json', 'SELECT v FROM explain.t WHERE a = 1');
-- rows that the planner expects
EXPLAIN SELECT v FROM explain.t WHERE a = 1 AND "B" = 'b10';
CREATE FUNCTION explain.rows_expected(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	EXECUTE 'EXPLAIN ' || query INTO line;
	RETURN substring(line FROM 'rows=(\d+)');
END $$;
SELECT explain.rows_expected('SELECT * FROM explain.t');
SELECT explain.rows_expected('SELECT * FROM explain.t WHERE a = ANY (''{1,2,3}'') AND "B" = ''b10''');
-- what was done
\set analyze 'ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF'
SELECT explain.explained(:'analyze', 'SELECT v FROM explain.t WHERE a = 5');
SELECT explain.explained(:'analyze', 'SELECT v FROM explain.t WHERE a = 5 AND "B" = ''b55''');
SELECT reef_fold('explain.t') IS NOT NULL;
SELECT explain.explained(:'analyze', 'SELECT v FROM explain.t WHERE a = 5');
SELECT explain.explained(:'analyze', 'SELECT v FROM explain.t WHERE a = 5 AND "B" = ''b55''');
SELECT explain.explained(:'analyze', 'SELECT v FROM explain.t WHERE a = 5 AND "B" = ''not there''');
UPDATE explain.t SET v = 0 WHERE a = 5;
SELECT explain.explained(:'analyze', 'SELECT v FROM explain.t WHERE a = 5');
-- nothing is written by EXPLAIN, and nothing by what does not happen
EXPLAIN (COSTS OFF) DELETE FROM explain.t;
SELECT count(*) FROM explain.t;
-- a store that is not there can be explained, and says so when it is read
CREATE SERVER explain_gone FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///nowhere/at/all');
CREATE FOREIGN TABLE explain.gone (a int OPTIONS (key 'true')) SERVER explain_gone OPTIONS (namespace 'x/y');
EXPLAIN (COSTS OFF) SELECT * FROM explain.gone WHERE a = 1;
SELECT * FROM explain.gone WHERE a = 1;

SET client_min_messages = warning;
DROP SERVER explain_gone CASCADE;
DROP SCHEMA explain_reef, explain_heap, explain CASCADE;
