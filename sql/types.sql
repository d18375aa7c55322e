-- Every type keeps every value: heap twins, before and after a fold.
\set test types
\getenv abs_srcdir PG_ABS_SRCDIR
\set twin :abs_srcdir '/sql/include/twin.psql'
\i :twin

CREATE TYPE types.mood AS ENUM ('sad', 'ok', 'happy', 'with space', 'quo"te');
CREATE DOMAIN types.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN types.code AS varchar(5);
CREATE TYPE types.pair AS (a int, b text);

SELECT $$(
	id int %1$s,
	bo bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8,
	nu numeric, n5 numeric(5,2), n18 numeric(18,0), n19 numeric(19,4), n38 numeric(38,38), n38i numeric(38,0), nneg numeric(5,-2),
	te text, vc varchar, vc5 varchar(5), ch char(5), c1 char, bp bpchar, na name, qc "char",
	by bytea, uu uuid, da date, ti time, ti3 time(3), ttz timetz, ts timestamp, ts0 timestamp(0), tz timestamptz,
	iv interval, js json, jb jsonb, ip inet, cr cidr, ma macaddr, mo mood, po positive, co code, pa pair,
	ai int[], at text[], ad date[], aiv interval[], afl float8[], am mood[], atz timestamptz[], an numeric(6,2)[],
	ra int4range, tr tstzrange, bi bit(3), vb varbit, pt point, xm xml, mny money, oi oid, rc regclass, tq tsquery)$$ AS columns \gset
SELECT 'CREATE TABLE types_heap.t ' || format(:'columns', 'PRIMARY KEY') AS create_heap,
	'CREATE FOREIGN TABLE types_reef.t ' || format(:'columns', 'OPTIONS (key ''true'')') || ' SERVER store OPTIONS (namespace ''types/t'')' AS create_reef \gset
:create_heap;
:create_reef;

-- nothing, zeros, and the ends of every range
SELECT twin($$INSERT INTO t (id) VALUES (1)$$);
SELECT twin($$INSERT INTO t (id, bo, i2, i4, i8, f4, f8, nu, n5, n18, n19, n38, n38i, nneg) VALUES
	(10, false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
	(11, true, -32768, -2147483648, -9223372036854775808, '-0', '-0', '-0.000', -999.99, -999999999999999999, -999999999999999.9999, -0.99999999999999999999999999999999999999, -99999999999999999999999999999999999999, -9999900),
	(12, true, 32767, 2147483647, 9223372036854775807, 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', 'NaN'),
	(13, NULL, 1, 1, 1, 'Infinity', 'Infinity', 'Infinity', 999.99, 999999999999999999, 999999999999999.9999, 0.99999999999999999999999999999999999999, 99999999999999999999999999999999999999, 9999900),
	(14, NULL, -1, -1, -1, '-Infinity', '-Infinity', '-Infinity', 0.01, 10000, 0.0001, 0.00000000000000000000000000000000000001, 10000000000000000000000000000000000000, 100),
	(15, NULL, 10, 100, 1000, 1e-45, 5e-324, 1e-16383, 0.10, 100000000, 10000.0001, 0.1, 18446744073709551616, 12300),
	(16, NULL, 10, 100, 1000, 3.4028235e38, 1.7976931348623157e308, 1e131071, 100, 12345678, 1234, 0.00010000, 9223372036854775808, 0),
	(17, NULL, 10, 100, 1000, 0.1, 0.1, 1.10, 1.1, 1, 1.1, 0.12345678901234567890123456789012345678, 9223372036854775807, 0),
	(18, NULL, 10, 100, 1000, 16777217, 0.30000000000000004, 12345.678900, 12.30, 120000, 0.5, 0.5, 12340000, 0)$$);
-- every number of digits, each side of the point, both signs
SELECT twin($$INSERT INTO t (id, n5, n18, n19, n38, n38i, nu)
	SELECT 1000 + i * 2 + s, (CASE s WHEN 0 THEN 1 ELSE -1 END) * (i * 7 % 1000) / 100.0,
	(CASE s WHEN 0 THEN 1 ELSE -1 END) * (10::numeric ^ (i % 18) - i % 3),
	(CASE s WHEN 0 THEN 1 ELSE -1 END) * (10::numeric ^ (i % 19 - 4))::numeric(19,4),
	(CASE s WHEN 0 THEN 1 ELSE -1 END) * (10::numeric ^ (-(i % 38) - 1))::numeric(38,38),
	(CASE s WHEN 0 THEN 1 ELSE -1 END) * (10::numeric ^ (i % 38) + i),
	(CASE s WHEN 0 THEN 1 ELSE -1 END) * 123456789.123456789 * 10::numeric ^ (i - 40)
	FROM generate_series(1, 80) i, generate_series(0, 1) s$$);
SELECT twin($$INSERT INTO t (id, te, vc, vc5, ch, c1, bp, na, qc, by, uu) VALUES
	(20, '', '', '', '', '', '', '', '', '', '00000000-0000-0000-0000-000000000000'),
	(21, ' ', '  ', '     ', ' a', ' ', 'a  ', ' n', 'x', '\x00', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
	(22, E'a\nb\t\\ "''', 'ünï', 'äöüß€', 'äö', 'ß', 'trail   ', 'name', '\', '\x00ff00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
	(23, repeat('0123456789', 30000), repeat('x', 5000), 'abcde', 'abcde', 'x', repeat('b', 300), repeat('n', 63), 'z', decode(repeat('00ff10', 30000), 'hex'), NULL),
	(24, U&'\+01F600 \2028', 'e' || U&'\0301', '12345', E'a\tb', E'\t', E'\n ', 'q"uote', NULL, '\x5c27', NULL)$$);
SELECT twin($$INSERT INTO t (id, te) SELECT 30, string_agg(md5(i::text), '') FROM generate_series(1, 20000) i$$);
SELECT twin($$INSERT INTO t (id, da, ti, ti3, ttz, ts, ts0, tz, iv) VALUES
	(40, 'infinity', '00:00', '00:00', '00:00+15:59', 'infinity', 'infinity', 'infinity', '0'),
	(41, '-infinity', '24:00', '23:59:59.999', '24:00-15:59', '-infinity', '-infinity', '-infinity', '-1 year 2 mons -3 days 04:05:06.000007'),
	(42, '4714-11-24 BC', '23:59:59.999999', '12:34:56.7894', '12:34:56.789+05:30', '4714-11-24 00:00:00 BC', '2000-01-01', '4714-11-24 00:00:00+00 BC', '1 year -2 mons 3 days -04:05:06'),
	(43, '5874897-12-31', '00:00:00.000001', NULL, NULL, '294276-12-31 23:59:59.999999', '294276-12-31 23:59:58', '294276-12-31 23:59:59.999999+00', '178000000 years'),
	(44, '2000-01-01', NULL, NULL, NULL, '1999-12-31 23:59:59.999999', '1970-01-01', '2024-03-10 02:30:00 America/New_York', '-178000000 years 2147483647 days -2562047788:00:54.775807'),
	(45, '0001-01-01', NULL, NULL, NULL, '0001-12-31 BC', '0044-03-15 BC', '1883-11-18 12:03:58-08', '1 mon -1 day 00:00:00.000001'),
	(46, '1582-10-15', NULL, NULL, NULL, '2024-02-29 12:00', '2024-02-29', '2024-11-03 01:30:00-07', '-00:00:00.000001')$$);
SELECT twin($$INSERT INTO t (id, js, jb, ip, cr, ma, mo, po, co, pa) VALUES
	(50, 'null', 'null', '0.0.0.0/0', '0.0.0.0/0', '00:00:00:00:00:00', 'sad', 1, '', NULL),
	(51, ' {"a" : 1, "a":2, "b": [1,2, {"c":null}]} ', '{"b": [1, 2.50, {"c": null}], "a": "ü\n\"", "z": 1e400}', '::1', '::/0', 'ff:ff:ff:ff:ff:ff', 'happy', 2147483647, 'abcde', '(1,"a ""b"", c")'),
	(52, '"\u00fc\u2028"', '[]', '10.1.2.3/8', '10.0.0.0/8', NULL, 'with space', NULL, NULL, '(,)'),
	(53, '[]', '""', '2001:db8::1/64', NULL, NULL, 'quo"te', NULL, NULL, '(7,)')$$);
SELECT twin($$INSERT INTO t (id, ai, at, ad, aiv, afl, am, atz, an) VALUES
	(60, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
	(61, '{1,NULL,-3}', '{"",NULL,"NULL","a,b","q\"uote","back\\slash"," "}', '{2000-01-01,infinity,0044-03-15 BC,NULL}', '{-1 mon 2 days,1 year -00:00:01}', '{NaN,-0,0.1,1e-310,Infinity,0.30000000000000004}', '{sad,"with space","quo\"te",NULL}', '{2024-03-10 02:30:00+00,-infinity}', '{1.10,NaN,-9999.99}'),
	(62, '[2:3]={5,6}', '{{a,b},{c,d}}', NULL, NULL, NULL, NULL, NULL, NULL)$$);
SELECT twin($$INSERT INTO t (id, ra, tr, bi, vb, pt, xm, mny, oi, rc, tq) VALUES
	(70, 'empty', 'empty', B'000', B'', '(0,0)', '<a>b</a>', 0, 0, 'pg_class', 'a & b'),
	(71, '[1,10)', '[2024-01-01 00:00+00,)', B'101', B'1010101010101', '(0.1,-1e300)', 'content', -12345.67, 4294967295, 'pg_catalog.pg_type', $q$'q u'' o' | !x$q$),
	(72, '(,)', '(,2024-01-01 00:00:00.000001+00]', B'111', B'0', '(NaN,Infinity)', NULL, 92233720368547758.07, 1, 'types_heap.t', NULL)$$);

-- the text forms under settings that make text forms inexact
CREATE FUNCTION same() RETURNS text LANGUAGE sql AS $$
	SELECT CASE differences('types_heap', 'types_reef') WHEN 0 THEN 'same' ELSE 'DIFFERENT' END $$;
SELECT same();
SET datestyle = 'German';
SET intervalstyle = 'sql_standard';
SET extra_float_digits = -15;
SET timezone = 'Asia/Kathmandu';
SET bytea_output = 'escape';
SET lc_monetary = 'C';
SELECT twin($$INSERT INTO t (id, da, iv, f8, f4, ts, tz, ad, aiv, afl, mny, rc, by, atz, ra, pt) VALUES
	(80, '2024-02-01', '1-2', 0.1, 0.1, '1.2.2024 03:04:05.6', '1.2.2024 03:04:05.6', '{1.2.2024}', '{-1-2,"1 2:03:04"}', '{0.30000000000000004}', 1.23, 'types_heap.t', '\x5c00', '{1.2.2024 03:04}', '[1,3]', '(0.1,0.2)')$$);
SELECT twin($$INSERT INTO t (id, iv) VALUES (81, '-1-2 +3 -4:05:06'), (82, interval '-1 mon 2 days -3 hours')$$);
SELECT same();
SET datestyle = 'SQL, DMY';
SET intervalstyle = 'iso_8601';
SELECT same();
RESET ALL;
SET search_path = types, public;
SELECT same();
-- from one table to the other, and updates in place
TRUNCATE types_heap.t;
INSERT INTO types_heap.t SELECT * FROM types_reef.t;
SELECT same();
UPDATE types_reef.t SET (bo, i2, te, n19) = (NOT bo, i2, te || '.', n19 / 2);
UPDATE types_heap.t SET (bo, i2, te, n19) = (NOT bo, i2, te || '.', n19 / 2);
SELECT same();
SELECT count(*), sum(i4), max(length(te)) FROM types_reef.t;
-- and out of Parquet
SELECT reef_fold('types_reef.t') IS NOT NULL;
SELECT same();
UPDATE types_reef.t SET jb = '{"k": 1}', nu = nu + 1 WHERE id BETWEEN 10 AND 60;
UPDATE types_heap.t SET jb = '{"k": 1}', nu = nu + 1 WHERE id BETWEEN 10 AND 60;
SELECT same();
SELECT reef_fold('types_reef.t') IS NOT NULL;
SELECT same();
SELECT count(*) FROM types_reef.t r JOIN types_heap.t h USING (id)
	WHERE r.ch = h.ch AND octet_length(r.ch) = octet_length(h.ch) AND octet_length(r.bp) = octet_length(h.bp);

-- every type that may be a key finds its rows, and no other
CREATE FUNCTION key_works(type text, vals text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v text; n int; found int; explained text;
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE k (k %s OPTIONS (key ''true''), n int) SERVER store OPTIONS (namespace %L)',
		type, 'types/key ' || type);
	FOR n IN 1 .. cardinality(vals) LOOP
		EXECUTE format('INSERT INTO k VALUES (%L, %s)', vals[n], n);
	END LOOP;
	FOR n IN 1 .. cardinality(vals) LOOP
		EXECUTE format('SELECT n FROM k WHERE k = %L', vals[n]) INTO found;
		IF found IS DISTINCT FROM n THEN
			DROP FOREIGN TABLE k;
			RETURN type || ': not found: ' || vals[n];
		END IF;
	END LOOP;
	EXECUTE format('SELECT count(*) FROM k WHERE k = ANY (%L)', vals::text) INTO found;
	FOR explained IN EXECUTE format('EXPLAIN SELECT n FROM k WHERE k = %L', vals[1]) LOOP
		EXIT WHEN explained LIKE '%Key: %';
	END LOOP;
	BEGIN
		EXECUTE format('INSERT INTO k VALUES (%L, 0)', vals[1]);
		found := -1;
	EXCEPTION WHEN unique_violation THEN
		NULL;
	END;
	DROP FOREIGN TABLE k;
	RETURN type || ': ' || found || ' of ' || cardinality(vals) || CASE WHEN explained LIKE '%Key: %' THEN '' ELSE ', full scan' END;
END $$;
SELECT key_works('bool', '{t,f}');
SELECT key_works('int2', '{0,-32768,32767,1,-1}');
SELECT key_works('int4', '{0,-2147483648,2147483647,255,256,-256}');
SELECT key_works('int8', '{0,-9223372036854775808,9223372036854775807}');
SELECT key_works('float4', '{0,NaN,Infinity,-Infinity,0.1,-0.1}');
SELECT key_works('float8', '{0,NaN,Infinity,-Infinity,0.1,-0.1,5e-324}');
SELECT key_works('numeric(5,2)', '{0,NaN,999.99,-999.99,0.01}');
SELECT key_works('numeric(38,10)', '{0,NaN,9999999999999999999999999999.9999999999,-0.0000000001}');
SELECT key_works('text', array['', ' ', 'a', 'a ', 'A', 'ä', repeat('k', 1000), U&'\+01F600']);
SELECT key_works('varchar(10)', array['', ' ', 'a', 'a ', 'A']);
SELECT key_works('char(3)', array['', 'a', ' a', 'A']);
SELECT key_works('name', array['', 'a', 'A']);
SELECT key_works('bytea', array['\x', '\x00', '\x0000', '\x00ff', '\xff', '\xff00']);
SELECT key_works('uuid', '{00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff}');
SELECT key_works('date', '{infinity,-infinity,2000-01-01,4714-11-24 BC}');
SELECT key_works('time', '{00:00,24:00,23:59:59.999999}');
SELECT key_works('timestamp', '{infinity,-infinity,2000-01-01,1999-12-31 23:59:59.999999}');
SELECT key_works('timestamptz', '{infinity,-infinity,2000-01-01,1999-12-31 23:59:59.999999}');
SELECT key_works('mood', array['sad', 'happy', 'quo"te']);
SELECT key_works('inet', '{1.2.3.4,1.2.3.0/24,::1}');
SELECT key_works('positive', '{1,2,2147483647}');
SELECT key_works('oid', '{0,4294967295}');
SELECT key_works('"char"', '{a,b}');

SET client_min_messages = warning;
DROP SCHEMA types_reef, types_heap, types CASCADE;
