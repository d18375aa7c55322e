-- What a condition on the key may leave out, and must not.
\set test scan
\getenv abs_srcdir PG_ABS_SRCDIR
\set twin :abs_srcdir '/sql/include/twin.psql'
\i :twin

CREATE TABLE scan_heap.t (a int, b text COLLATE "C", c numeric(6,2), v int, PRIMARY KEY (a, b, c));
CREATE FOREIGN TABLE scan_reef.t (a int OPTIONS (key 'true'), b text OPTIONS (key 'true') COLLATE "C", c numeric(6,2) OPTIONS (key 'true'), v int)
	SERVER store OPTIONS (namespace 'scan/t');
SELECT twin($$INSERT INTO t SELECT i / 20 - 3, chr(96 + i % 5) || repeat('z', i % 3), (i % 4) - 1.5, i FROM generate_series(1, 150) i$$);
SELECT twin($$INSERT INTO t VALUES (2147483647, '', 'NaN', -1), (-2147483648, 'ä', 9999.99, -2), (0, E'\x01', -9999.99, -3)$$);

-- is the whole of what a heap returns returned, for every operator and value?
CREATE FUNCTION scan.sweep() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text; b text; c text; condition text; tried int := 0; result text;
	as_ text[] := '{"","a = 0","a = -3","a = 2::bigint","a = 3000000000","a < 1","a <= 1","a > 1::smallint","a >= 4","a BETWEEN 0 AND 2","a = ANY (''{1,1,2,NULL,77}'')","a IN (0, 2147483647)","a <> 1","a = 1.0","a > 2147483646","a < -2147483647","a = NULL","0 < a","2 = a"}';
	bs text[] := '{"","b = ''a''","b = ''azz''::varchar","b = ''a ''::char(3)","b > ''b''","b >= ''bz'' AND b < ''d''","b < ''''","b >= ''ä''","b IN (''a'', ''c'', ''nothing'')","b LIKE ''a%''","b COLLATE \"und-x-icu\" > ''b''","b > ''b'' AND b > ''c''"}';
	cs text[] := '{"","c = 0.5","c = 0.505","c > 0.499","c >= 0.505","c < 0.505","c <= -0.5","c = ''NaN''","c < ''NaN''","c > 99999999999999999999999999999999999999999","c < 1e40 AND c > -1e40","c = 1::int","c = 0.5::float8","c > ''-Infinity''","c > -0.505","c >= -0.505","c < -0.495"}';
BEGIN
	FOREACH a IN ARRAY as_ LOOP
		FOREACH b IN ARRAY bs LOOP
			FOREACH c IN ARRAY cs LOOP
				condition := concat_ws(' AND ', nullif(a, ''), nullif(b, ''), nullif(c, ''));
				result := twin('SELECT a, b, c, v FROM t' || CASE condition WHEN '' THEN '' ELSE ' WHERE ' || condition END);
				tried := tried + 1;
				IF result LIKE 'DIFFERENT%' OR result LIKE 'ERROR%' THEN
					RETURN condition || ': ' || result;
				END IF;
			END LOOP;
		END LOOP;
	END LOOP;
	RETURN tried || ' conditions, no difference';
END $$;
SELECT sweep();
SELECT reef_fold('scan_reef.t') IS NOT NULL;
SELECT twin($$UPDATE t SET v = v + 1000 WHERE v % 7 = 0$$);
SELECT twin($$DELETE FROM t WHERE v % 11 = 0$$);
SELECT sweep();

-- other kinds of values
PREPARE p AS SELECT count(*) FROM scan_reef.t WHERE a = $1 AND b > $2;
SET plan_cache_mode = force_generic_plan;
EXECUTE p (1, 'a');
EXECUTE p (2, 'b');
EXECUTE p (NULL, 'b');
EXECUTE p (2, NULL);
RESET plan_cache_mode;
DEALLOCATE p;
SELECT twin($$SELECT count(*) FROM t WHERE a = (SELECT max(a) - 1 FROM t WHERE a < 4)$$);
SELECT twin($$SELECT count(*) FROM t WHERE a = abs(-1) AND b = lower('A')$$);
SELECT twin($$SELECT count(*) FROM t WHERE a = ANY (ARRAY(SELECT g FROM generate_series(0, 2) g))$$);
SELECT twin($$SELECT count(*) FROM t WHERE a = 1 OR a = 2$$);
SELECT twin($$SELECT x, (SELECT count(*) FROM t WHERE a = x) FROM generate_series(-1, 3) x$$);
SELECT twin($$SELECT x, s.* FROM generate_series(0, 2) x, LATERAL (SELECT b, c FROM t WHERE a = x ORDER BY b, c LIMIT 2) s$$);
SELECT twin($$SELECT count(*), count(v), min(b), max(c) FROM t$$);
SELECT twin($$SELECT 1 FROM t LIMIT 3$$);
SELECT twin($$SELECT t, t.a FROM t WHERE a = 1 AND b = 'a'$$);
SELECT twin($$SELECT tableoid::regclass::text LIKE '%t', v FROM t WHERE a = 2 AND b = 'd'$$);
SELECT twin($$SELECT DISTINCT a FROM t ORDER BY a$$);
SELECT twin($$SELECT a, b FROM t ORDER BY b COLLATE "und-x-icu" DESC, a, c LIMIT 5$$);
SELECT twin($$SELECT count(*) FROM t WHERE EXISTS (SELECT FROM t u WHERE u.a = t.a + 1 AND t.a < 1000)$$);
-- a batch holds 1024 rows
CREATE TABLE scan_heap.big (id int PRIMARY KEY, v text);
CREATE FOREIGN TABLE scan_reef.big (id int OPTIONS (key 'true'), v text) SERVER store OPTIONS (namespace 'scan/big');
SELECT twin($$INSERT INTO big SELECT i, md5(i::text) FROM generate_series(1, 5000) i$$);
SELECT twin($$SELECT count(*), min(v), max(v) FROM big$$);
SELECT twin($$SELECT count(*) FROM big a, big b WHERE a.id = b.id + 1$$);
SELECT reef_fold('scan_reef.big') IS NOT NULL;
SELECT twin($$DELETE FROM big WHERE id % 1000 = 1$$);
SELECT twin($$SELECT count(*), min(v), max(v) FROM big$$);
SELECT twin($$SELECT id FROM big WHERE id BETWEEN 1023 AND 1026$$);

-- scans that start again, also before their first row
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SELECT twin($$SELECT count(*) FROM (VALUES (1), (2), (2), (NULL)) s (x) LEFT JOIN t ON t.a = s.x$$);
SELECT twin($$SELECT count(*) FROM (VALUES (1), (2)) s (x) LEFT JOIN t ON t.v < s.x$$);
SELECT twin($$SELECT x, (SELECT v FROM t WHERE a = x AND v > y ORDER BY v LIMIT 1) FROM (VALUES (1, 0), (1, 100), (2, 0), (9, 9)) s (x, y)$$);
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM scan_reef.big WHERE id < 10 ORDER BY id;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ABSOLUTE 1 FROM c;
MOVE FORWARD ALL FROM c;
FETCH BACKWARD 1 FROM c;
DECLARE w CURSOR WITH HOLD FOR SELECT id FROM scan_reef.big WHERE id BETWEEN 10 AND 12;
INSERT INTO scan_reef.big VALUES (-5, 'x');
COMMIT;
FETCH ALL FROM w;
CLOSE w;
DELETE FROM scan_reef.big WHERE id = -5;

-- statistics
ANALYZE scan_reef.big;
SELECT reltuples FROM pg_class WHERE oid = 'scan_reef.big'::regclass;
SELECT attname, n_distinct, null_frac FROM pg_stats WHERE schemaname = 'scan_reef' AND tablename = 'big' ORDER BY 1;
ANALYZE scan_reef.t (a, c);
-- a namespace that nobody has written to
CREATE FOREIGN TABLE scan.empty (a int OPTIONS (key 'true')) SERVER store OPTIONS (namespace 'scan/empty');
SELECT count(*) FROM scan.empty;
SELECT * FROM scan.empty WHERE a = 1;
UPDATE scan.empty SET a = 2;
DELETE FROM scan.empty;
ANALYZE scan.empty;
SELECT xmin FROM scan_reef.t;

SET client_min_messages = warning;
DROP SCHEMA scan_reef, scan_heap, scan CASCADE;
