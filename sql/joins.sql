-- Joins: the same rows as heap tables, and lookups where they pay.
\set test joins
\getenv abs_srcdir PG_ABS_SRCDIR
\set twin :abs_srcdir '/sql/include/twin.psql'
\i :twin

CREATE TABLE joins_heap.o (id int PRIMARY KEY, customer int, day date);
CREATE FOREIGN TABLE joins_reef.o (id int OPTIONS (key 'true'), customer int, day date) SERVER store OPTIONS (namespace 'joins/o');
CREATE TABLE joins_heap.i (o int, line int, item text, n int, PRIMARY KEY (o, line));
CREATE FOREIGN TABLE joins_reef.i (o int OPTIONS (key 'true'), line int OPTIONS (key 'true'), item text, n int) SERVER store OPTIONS (namespace 'joins/i');
CREATE TABLE joins.c (id int PRIMARY KEY, name text);
INSERT INTO joins.c SELECT g, 'customer ' || g FROM generate_series(1, 50) g;
ANALYZE joins.c;
SELECT twin($$INSERT INTO o SELECT g, g % 60, date '2024-01-01' + g % 365 FROM generate_series(1, 3000) g$$);
SELECT twin($$INSERT INTO i SELECT g % 3100, g / 3100, 'item ' || g % 7, g % 11 FROM generate_series(1, 9000) g$$);
SELECT reef_fold('joins_reef.o') IS NOT NULL, reef_fold('joins_reef.i') IS NOT NULL;
ANALYZE joins_heap.o; ANALYZE joins_heap.i; ANALYZE joins_reef.o; ANALYZE joins_reef.i;

SELECT twin($$SELECT count(*), sum(n) FROM o JOIN i ON o.id = i.o$$);
SELECT twin($$SELECT count(*), sum(n) FROM o LEFT JOIN i ON o.id = i.o AND i.line = 1$$);
SELECT twin($$SELECT count(*), sum(n) FROM o FULL JOIN i ON o.id = i.o$$);
SELECT twin($$SELECT c.name, o.id, i.line FROM c JOIN o ON o.customer = c.id JOIN i ON i.o = o.id WHERE c.id = 7 AND o.id < 300$$);
SELECT twin($$SELECT count(*) FROM o WHERE id IN (SELECT o FROM i WHERE n = 3)$$);
SELECT twin($$SELECT count(*) FROM o WHERE NOT EXISTS (SELECT FROM i WHERE i.o = o.id)$$);
SELECT twin($$SELECT count(*) FROM o a JOIN o b ON a.id = b.customer$$);
SELECT twin($$SELECT count(*) FROM i a JOIN i b ON a.o = b.o AND a.line = b.line - 1$$);
SELECT twin($$SELECT count(*), min(x) FROM generate_series(1, 20) x JOIN i ON i.o = x AND i.line = x % 3$$);
SELECT twin($$SELECT count(*) FROM (VALUES (1::bigint), (5000000000), (NULL)) s (x) JOIN o ON o.id = s.x$$);
SELECT twin($$SELECT count(*) FROM c JOIN o ON o.id = c.id * 10 JOIN i ON i.o = o.id AND i.line >= c.id % 2$$);

-- few outer rows: lookups; many: one scan
EXPLAIN (COSTS OFF) SELECT * FROM joins.c JOIN joins_reef.o ON o.id = c.id WHERE c.id IN (1, 2, 3);
EXPLAIN (COSTS OFF) SELECT * FROM joins_reef.o JOIN joins_reef.i ON i.o = o.id;
-- without filters: PostgreSQL 15 writes the implied clause the other way round
CREATE FUNCTION joins.explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line !~ '^ *Filter:' THEN
			RETURN NEXT line;
		END IF;
	END LOOP;
END $$;
SELECT joins.explained('SELECT * FROM joins_reef.i a, joins_reef.o b WHERE a.o = 5 AND a.line = 2 AND b.id = a.n');
-- composite keys need all their outer tables
EXPLAIN (COSTS OFF) SELECT * FROM joins.c x, joins.c y, joins_reef.i WHERE i.o = x.id AND i.line = y.id AND x.id = 3 AND y.name = 'customer 1';
SELECT twin($$SELECT i.* FROM c x, c y, i WHERE i.o = x.id AND i.line = y.id AND x.name = 'customer 3' AND y.name = 'customer 1'$$);
-- lateral references
SELECT twin($$SELECT c.id, l.* FROM c, LATERAL (SELECT o.id AS oid, i.line FROM o JOIN i ON i.o = o.id WHERE o.id = c.id AND i.n > c.id % 3) l WHERE c.id < 4$$);
-- changes through joins
SELECT twin($$UPDATE i SET n = n + 1 FROM o WHERE o.id = i.o AND o.customer = 5 AND o.id < 400 RETURNING i.o, i.line, i.n, o.customer$$);
SELECT twin($$UPDATE o SET customer = c.id + 100 FROM c WHERE c.id = o.id$$);
SELECT twin($$DELETE FROM i USING o, c WHERE o.id = i.o AND c.id = o.customer - 100 AND c.id < 5 RETURNING i.*, c.name$$);
SELECT twin($$INSERT INTO o SELECT id + 10000, id, NULL FROM c ON CONFLICT DO NOTHING$$);

SET client_min_messages = warning;
DROP SCHEMA joins_reef, joins_heap, joins CASCADE;
