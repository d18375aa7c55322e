-- The picture of a table: one HTML page that stands for itself, whatever the names in it are.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS reef_fdw;
RESET client_min_messages;
\getenv store REEF_STORE
CREATE SERVER report_lake FOREIGN DATA WRAPPER reef_fdw OPTIONS (location :'store');
CREATE FOREIGN TABLE "<script>alert('t')</script> &amp; é" (
	"<b>k</b>" text OPTIONS (key 'true'),
	note text)
	SERVER report_lake OPTIONS (namespace 'report/<i>"x');

CREATE FUNCTION pg_temp.check(page text, OUT is_page bool, OUT has_elements_of_others bool, OUT has_references bool,
	OUT is_ascii bool, OUT segments bigint)
LANGUAGE sql AS $$
	SELECT page LIKE '<!DOCTYPE html>%</body></html>' || E'\n', page ~* '<(script|img|b>k|i>|iframe|object|link)',
		page ~* '<[^>]*\m(src|href|on[a-z]+)\s*=' OR page LIKE '%url(%', page ~ '^[\x01-\x7f]*$',
		(SELECT count(*) FROM regexp_matches(page, '<g><title>', 'g'))
$$;

-- never written; written; folded; compacted
SELECT * FROM pg_temp.check(reef_report('"<script>alert(''t'')</script> &amp; é"'));
INSERT INTO "<script>alert('t')</script> &amp; é" VALUES ('!<img src=x onerror=alert(1)>', 'low'), ('é" onload="alert(1)', 'high');
SELECT * FROM pg_temp.check(reef_report('"<script>alert(''t'')</script> &amp; é"'));
SELECT reef_report('"<script>alert(''t'')</script> &amp; é"') LIKE '%2 records not folded%' AS unfolded;
SELECT segments FROM reef_fold('"<script>alert(''t'')</script> &amp; é"');
UPDATE "<script>alert('t')</script> &amp; é" SET note = 'newer' WHERE note = 'low';
SELECT segments FROM reef_fold('"<script>alert(''t'')</script> &amp; é"');
SELECT * FROM pg_temp.check(reef_report('"<script>alert(''t'')</script> &amp; é"'));
SELECT page LIKE '%&#60;script&#62;alert(&#39;t&#39;)&#60;/script&#62; &#38;amp; &#233;%' AS name,
	page LIKE '%namespace report/&#60;i&#62;&#34;x in %' AS namespace,
	page LIKE '%(&#34;&#60;b&#62;k&#60;/b&#62;&#34;)=(!&#60;img src=x onerror=alert(1)&#62;)%' AS lowest,
	page LIKE '%=(&#233;&#34; onload=&#34;alert(1))%' AS highest,
	page LIKE '%everything is folded%' AS folded
	FROM reef_report('"<script>alert(''t'')</script> &amp; é"') page;
SELECT merges FROM reef_compact('"<script>alert(''t'')</script> &amp; é"', full => true);
SELECT * FROM pg_temp.check(reef_report('"<script>alert(''t'')</script> &amp; é"'));
SELECT reef_report('"<script>alert(''t'')</script> &amp; é"') LIKE '%<td>compact<td%' AS run;

-- without a key, and with one that is declared otherwise than it is stored
CREATE FOREIGN TABLE keyless (note text) SERVER report_lake OPTIONS (namespace 'report/keyless');
INSERT INTO keyless SELECT 'x' FROM generate_series(1, 10);
SELECT segments FROM reef_fold('keyless');
SELECT * FROM pg_temp.check(reef_report('keyless'));
CREATE FOREIGN TABLE pairs (a int OPTIONS (key 'true'), b timestamptz OPTIONS (key 'true')) SERVER report_lake OPTIONS (namespace 'report/pairs');
INSERT INTO pairs VALUES (1, '2026-01-01 00:00+00'), (2, '2026-01-02 00:00+00');
SELECT segments FROM reef_fold('pairs');
SELECT page LIKE '%(a, b)=(1, %2026%' AS lowest, page LIKE '%(a, b)=(2, %2026%' AS highest FROM reef_report('pairs') page;
CREATE FOREIGN TABLE wider (a bigint OPTIONS (key 'true'), b timestamptz OPTIONS (key 'true')) SERVER report_lake OPTIONS (namespace 'report/pairs');
SELECT * FROM pg_temp.check(reef_report('wider'));

-- for the owner
CREATE ROLE reef_looker;
GRANT SELECT ON pairs TO reef_looker;
SET ROLE reef_looker;
SELECT reef_report('pairs');
RESET ROLE;
SELECT reef_report('pg_class');
DROP OWNED BY reef_looker;
DROP ROLE reef_looker;
DROP FUNCTION pg_temp.check;
SET client_min_messages = warning;
DROP SERVER report_lake CASCADE;
