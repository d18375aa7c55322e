-- NOT NULL, CHECK, domains, partition bounds and views' checks hold.
\set test constraints
\getenv abs_srcdir PG_ABS_SRCDIR
\set twin :abs_srcdir '/sql/include/twin.psql'
\i :twin

CREATE DOMAIN constraints.even AS int CHECK (VALUE % 2 = 0);
CREATE TABLE constraints_heap.t (id int PRIMARY KEY, n int NOT NULL, c int CHECK (c > 0), e constraints.even,
	CONSTRAINT ordered CHECK (n < c), g int GENERATED ALWAYS AS (n * 2) STORED CHECK (g < 1000));
CREATE FOREIGN TABLE constraints_reef.t (id int OPTIONS (key 'true') NOT NULL, n int NOT NULL, c int CHECK (c > 0), e constraints.even,
	CONSTRAINT ordered CHECK (n < c), g int GENERATED ALWAYS AS (n * 2) STORED CHECK (g < 1000)) SERVER store OPTIONS (namespace 'constraints/t');
SELECT twin($$INSERT INTO t VALUES (1, 1, 2, 4), (2, 1, NULL, NULL)$$);
SELECT twin($$INSERT INTO t VALUES (3, NULL, 2, 4)$$);
SELECT twin($$INSERT INTO t VALUES (NULL, 1, 2, 4)$$);
SELECT twin($$INSERT INTO t VALUES (3, -2, -1, 4)$$);
SELECT twin($$INSERT INTO t VALUES (3, 5, 2, 4)$$);
SELECT twin($$INSERT INTO t VALUES (3, 1, 2, 5)$$);
SELECT twin($$INSERT INTO t VALUES (3, 600, 700, 4)$$);
SELECT twin($$UPDATE t SET n = NULL$$);
SELECT twin($$UPDATE t SET c = -1 WHERE id = 1$$);
SELECT twin($$UPDATE t SET n = 2 WHERE id = 1$$);
SELECT twin($$UPDATE t SET e = 1 WHERE id = 1$$);
SELECT twin($$UPDATE t SET id = NULL WHERE id = 1$$);
SELECT twin($$UPDATE t SET n = 600, c = 601 WHERE id = 1$$);
SELECT twin($$UPDATE t SET n = 10, c = 11, e = 12 WHERE id = 1 RETURNING *$$);
-- the statement as a whole, not the rows before the bad one
SELECT twin($$INSERT INTO t SELECT i, i, 8 FROM generate_series(5, 10) i$$);
-- a key without NOT NULL is not null all the same
CREATE FOREIGN TABLE constraints.k (id int OPTIONS (key 'true')) SERVER store OPTIONS (namespace 'constraints/k');
INSERT INTO constraints.k VALUES (NULL);
INSERT INTO constraints.k VALUES (1);
UPDATE constraints.k SET id = NULL;

-- what COPY says
COPY constraints_reef.t (id, n, c) FROM stdin;
20	1	5
21	9	5
\.
COPY constraints_reef.t (id, n, c) FROM stdin;
20	\N	5
\.
COPY constraints_reef.t (id, n, c) FROM stdin;
1	1	5
\.
SELECT twin($$SELECT count(*) FROM t$$);

-- views
CREATE VIEW constraints_heap.v AS SELECT * FROM constraints_heap.t WHERE n < 50 WITH CHECK OPTION;
CREATE VIEW constraints_reef.v AS SELECT * FROM constraints_reef.t WHERE n < 50 WITH CHECK OPTION;
SELECT twin($$INSERT INTO v (id, n, c) VALUES (30, 49, 60)$$);
SELECT twin($$INSERT INTO v (id, n, c) VALUES (31, 50, 60)$$);
SELECT twin($$UPDATE v SET n = 55 WHERE id = 30$$);
SELECT twin($$UPDATE v SET n = 48 WHERE id = 30 RETURNING *$$);
SELECT twin($$DELETE FROM v WHERE id = 30 RETURNING *$$);

-- partitions
CREATE TABLE constraints_heap.p (id int, v int, note text) PARTITION BY RANGE (id);
CREATE TABLE constraints_heap.p0 (note text, id int, v int);
ALTER TABLE constraints_heap.p ATTACH PARTITION constraints_heap.p0 FOR VALUES FROM (0) TO (10);
CREATE TABLE constraints_heap.p1 PARTITION OF constraints_heap.p FOR VALUES FROM (10) TO (20);
CREATE TABLE constraints_heap.p2 PARTITION OF constraints_heap.p FOR VALUES FROM (20) TO (30);
CREATE TABLE constraints_reef.p (id int, v int, note text) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE constraints_reef.p0 (note text, id int OPTIONS (key 'true'), v int) SERVER store OPTIONS (namespace 'constraints/p0');
ALTER TABLE constraints_reef.p ATTACH PARTITION constraints_reef.p0 FOR VALUES FROM (0) TO (10);
CREATE TABLE constraints_reef.p1 PARTITION OF constraints_reef.p FOR VALUES FROM (10) TO (20);
CREATE TABLE constraints_reef.p2 PARTITION OF constraints_reef.p FOR VALUES FROM (20) TO (30);
SELECT twin($$INSERT INTO p SELECT i, i, 'x' FROM generate_series(0, 29) i$$);
SELECT twin($$INSERT INTO p VALUES (30)$$);
SELECT count(*), min(id), max(id) FROM constraints_reef.p0;
SELECT outcome($$INSERT INTO p0 (id) VALUES (11)$$, 'constraints_reef');
SELECT twin($$UPDATE p SET v = v + 1 WHERE id IN (5, 15, 25) RETURNING *$$);
SELECT outcome($$UPDATE p SET id = 12 WHERE id = 5$$, 'constraints_reef');
SELECT outcome($$UPDATE p0 SET id = 12 WHERE id = 5$$, 'constraints_reef');
SELECT twin($$DELETE FROM p WHERE id IN (6, 16, 26) RETURNING *$$);
-- from a heap partition into a foreign one, which the same UPDATE changes, too
SELECT twin($$DELETE FROM p WHERE id = 5$$);
SELECT twin($$UPDATE p SET id = 6 WHERE id = 25$$);
SELECT twin($$UPDATE p SET v = v + 100, id = CASE WHEN id = 27 THEN 5 ELSE id END WHERE id IN (7, 17, 27)$$);
SELECT twin($$SELECT * FROM p WHERE id < 10$$);
SELECT twin($$DELETE FROM p RETURNING id$$);
-- inheritance
CREATE TABLE constraints_heap.a (id int, v int);
CREATE TABLE constraints_heap.a1 (x text) INHERITS (constraints_heap.a);
CREATE TABLE constraints_reef.a (id int, v int);
CREATE FOREIGN TABLE constraints_reef.a1 (x text) INHERITS (constraints_reef.a) SERVER store OPTIONS (namespace 'constraints/a1');
ALTER FOREIGN TABLE constraints_reef.a1 ALTER id OPTIONS (ADD key 'true');
SELECT twin($$INSERT INTO a VALUES (1, 1), (2, 2)$$);
SELECT twin($$INSERT INTO a1 VALUES (1, 1, 'c'), (3, 3, 'd')$$);
SELECT twin($$UPDATE a SET v = v * 10 RETURNING *$$);
SELECT twin($$DELETE FROM a WHERE id = 1 RETURNING *$$);
SELECT twin($$SELECT * FROM a$$);

SET client_min_messages = warning;
DROP SCHEMA constraints_reef, constraints_heap, constraints CASCADE;
