-- COPY in, COPY of a query out, and what stops it.
\set test copy
\getenv abs_srcdir PG_ABS_SRCDIR
\set twin :abs_srcdir '/sql/include/twin.psql'
\i :twin

CREATE TABLE copy_heap.t (id int PRIMARY KEY, v numeric(10,2) DEFAULT 1.5, note text, g int GENERATED ALWAYS AS (id + 1) STORED);
CREATE FOREIGN TABLE copy_reef.t (id int OPTIONS (key 'true'), v numeric(10,2) DEFAULT 1.5, note text, g int GENERATED ALWAYS AS (id + 1) STORED)
	SERVER store OPTIONS (namespace 'copy/t');
COPY copy_heap.t (id, note) FROM stdin;
1	one
2	\N
3	tab\there\\n
\.
COPY copy_reef.t (id, note) FROM stdin;
1	one
2	\N
3	tab\there\\n
\.
COPY copy_heap.t (note, id, v) FROM stdin (FORMAT csv);
"a,b",10,3.14159
,11,
"",12,NaN
\.
COPY copy_reef.t (note, id, v) FROM stdin (FORMAT csv);
"a,b",10,3.14159
,11,
"",12,NaN
\.
SELECT differences('copy_heap', 'copy_reef');
COPY (SELECT * FROM copy_reef.t ORDER BY id) TO stdout;
COPY copy_reef.t TO stdout;
-- all or nothing
COPY copy_reef.t (id, note) FROM stdin;
20	twenty
3	three again
\.
COPY copy_reef.t (id, note) FROM stdin;
21	twenty-one
x	no number
\.
SELECT count(*), differences('copy_heap', 'copy_reef') FROM copy_reef.t;
-- in a transaction, with a savepoint
BEGIN;
COPY copy_reef.t (id, note) FROM stdin;
30	kept
\.
SAVEPOINT a;
COPY copy_reef.t (id, note) FROM stdin;
31	not kept
\.
SELECT id FROM copy_reef.t WHERE id >= 30 ORDER BY id;
ROLLBACK TO a;
COPY copy_reef.t (id, note) FROM stdin;
31	kept, too
\.
COMMIT;
SELECT id, note FROM copy_reef.t WHERE id >= 30 ORDER BY id;
-- with triggers
CREATE TABLE copy.log (line text);
CREATE FUNCTION copy.log_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO copy.log VALUES (TG_WHEN || ' ' || NEW::text || ' ' || (SELECT count(*) FROM copy_reef.t));
	NEW.note := upper(NEW.note);
	RETURN NEW;
END $$;
CREATE TRIGGER a BEFORE INSERT ON copy_reef.t FOR EACH ROW EXECUTE FUNCTION copy.log_row();
CREATE TRIGGER b AFTER INSERT ON copy_reef.t FOR EACH ROW EXECUTE FUNCTION copy.log_row();
COPY copy_reef.t (id, note) FROM stdin;
40	forty
41	forty-one
\.
SELECT * FROM copy.log;
SELECT id, note, g FROM copy_reef.t WHERE id >= 40 ORDER BY id;
-- binary, and more than one batch
CREATE FOREIGN TABLE copy_reef.big (id bigint OPTIONS (key 'true'), a float8, b text) SERVER store OPTIONS (namespace 'copy/big');
\getenv directory REEF_TEST_DIR
\set file :directory '/copy.bin'
COPY (SELECT g, sqrt(g), md5(g::text) FROM generate_series(1::bigint, 20000) g) TO :'file' (FORMAT binary);
COPY copy_reef.big FROM :'file' (FORMAT binary);
SELECT count(*), count(*) FILTER (WHERE a = sqrt(id) AND b = md5(id::text)) AS right FROM copy_reef.big;
COPY copy_reef.big FROM :'file' (FORMAT binary);
SELECT count(*) FROM copy_reef.big;
-- into partitions
CREATE TABLE copy.p (id int, v text) PARTITION BY LIST (id);
CREATE TABLE copy.p1 PARTITION OF copy.p FOR VALUES IN (1);
CREATE FOREIGN TABLE copy.p2 PARTITION OF copy.p FOR VALUES IN (2, 3) SERVER store OPTIONS (namespace 'copy/p2');
ALTER FOREIGN TABLE copy.p2 ALTER id OPTIONS (ADD key 'true');
COPY copy.p FROM stdin;
1	heap
2	reef
3	reef, too
\.
COPY copy.p2 FROM stdin;
1	wrong partition
\.
SELECT tableoid::regclass, * FROM copy.p ORDER BY id;

SET client_min_messages = warning;
DROP SCHEMA copy_reef, copy_heap, copy CASCADE;
