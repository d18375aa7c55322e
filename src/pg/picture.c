/*
 * picture.c
 *	  reef_report: a table's state as one HTML page.
 *
 * The page stands for itself: no scripts, no fonts or pictures from elsewhere,
 * and a policy in it that forbids the browser to load any.  Whatever comes from
 * a user - names, keys, the location, messages - goes through
 * reefpg_html_text.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "pg/picture.h"
#include "pg/shmem.h"

#define KEY_TEXT_MAX 60

/*
 * What requests would cost in a bucket: list prices of S3's standard storage, in
 * US dollars.  Deleting is free, and so is what stays in the region.
 */
#define DOLLARS_A_PUT 0.000005	/* a list costs the same */
#define DOLLARS_A_GET 0.0000004
#define DOLLARS_A_GB_MONTH 0.023

PG_FUNCTION_INFO_V1(reef_sql_report);

static const char *const style =
"body{font:14px/1.45 system-ui,sans-serif;color:#1f2937;background:#fff;max-width:1080px;margin:24px auto;padding:0 20px}"
"h1{font-size:22px;margin:0 0 2px}h2{font-size:16px;margin:28px 0 8px;border-bottom:1px solid #e5e7eb;padding-bottom:4px}"
".sub{color:#6b7280;margin:0 0 16px;overflow-wrap:anywhere}"
".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px}"
".tile{border:1px solid #e5e7eb;border-radius:6px;padding:8px 12px}.tile b{display:block;font-size:18px}.tile span{color:#6b7280;font-size:12px}"
"svg{max-width:100%}.label{text-anchor:end;font-size:12px;fill:#6b7280}.bar{text-anchor:middle;font-size:11px;fill:#111827}"
".none{font-size:12px;fill:#9ca3af}.axis{stroke:#9ca3af}.key{font-size:11px;fill:#374151}.end{text-anchor:end}"
".memtable{fill:#dbeafe;stroke:#93c5fd;stroke-dasharray:4 3}.legend{font-size:12px;color:#6b7280;margin:6px 0}"
".gauges{display:grid;grid-template-columns:repeat(auto-fit,minmax(400px,1fr));gap:14px 28px}.gauge span{float:right;color:#6b7280}.gauge svg{width:100%;height:12px;display:block}"
"table{border-collapse:collapse;width:100%;font-size:13px}th{text-align:left;color:#6b7280;font-weight:600}"
"th,td{padding:3px 10px 3px 0;border-bottom:1px solid #f3f4f6}.n{text-align:right;font-variant-numeric:tabular-nums}"
".error{color:#b91c1c;overflow-wrap:anywhere}";

/* ---- what there is ---- */

static void
free_segments(void *arg)
{
	ReefPicSegments *segments = arg;

	for (int i = 0; i < segments->count; i++)
	{
		free(unconstify(uint8_t *, segments->segments[i].key_min.data));
		free(unconstify(uint8_t *, segments->segments[i].key_max.data));
	}
	free(segments->segments);
}

static bool
copy_key(ReefSlice *copy, ReefSlice key)
{
	uint8_t    *data = malloc(key.size + 1);

	if (data == NULL)
		return false;
	if (key.size > 0)
		memcpy(data, key.data, key.size);
	copy->data = data;
	copy->size = key.size;
	return true;
}

static ReefCode
append_segment(void *arg, const ReefSegmentInfo *info, ReefError *err)
{
	ReefPicSegments *segments = arg;
	ReefPicSegment *segment;

	if (segments->count == segments->capacity)
	{
		int			capacity = segments->capacity * 2 + 64;
		ReefPicSegment *larger = realloc(segments->segments,
										 capacity * sizeof(*larger));

		if (larger == NULL)
			return reef_error_no_memory(err, capacity * sizeof(*larger));
		segments->segments = larger;
		segments->capacity = capacity;
	}
	segment = &segments->segments[segments->count];
	memset(segment, 0, sizeof(*segment));
	segments->count++;
	strlcpy(segment->id, info->id, sizeof(segment->id));
	segment->level = info->level;
	segment->rows = info->row_count;
	segment->tombstones = info->tombstone_count;
	segment->superseding = info->superseding_count;
	segment->lsn_min = info->lsn_min;
	segment->lsn_max = info->lsn_max;
	segment->bytes = info->size;
	if (!copy_key(&segment->key_min, info->key_min) ||
		!copy_key(&segment->key_max, info->key_max))
		return reef_error_no_memory(err, info->key_max.size);
	return REEF_OK;
}

/* Does the table declare the key that is stored, type by type? */
static bool
has_stored_key(const ReefPgTable *table, const ReefSchema *stored)
{
	for (int position = 1;; position++)
	{
		int			ours = reef_schema_key_column(&table->schema, position);
		int			theirs = reef_schema_key_column(stored, position);

		if (ours < 0 || theirs < 0)
			return ours < 0 && theirs < 0 && position > 1;
		if (table->schema.columns[ours].type.kind !=
			stored->columns[theirs].type.kind)
			return false;
	}
}

static const char *
shorten(char *text)
{
	int			length = pg_mbcliplen(text, (int) strlen(text), KEY_TEXT_MAX);

	if (text[length] == '\0')
		return text;
	text[length] = '\0';
	return psprintf("%s...", text);
}

/* A key for people: as in messages, or without its columns in hex. */
static const char *
key_text(const ReefPgTable *table, const ReefSchema *stored, ReefSlice key)
{
	StringInfoData hex;
	char	   *text = NULL;

	if (has_stored_key(table, stored))
	{
		Relation	relation = RelationIdGetRelation(table->relid);
		ReefPgConverter *converter;
		ReefValue  *values = reefpg_values_new(table->schema.column_count);
		ReefArena	arena;
		ReefError	err;

		converter = reefpg_converter_new(table, RelationGetDescr(relation));
		reef_arena_init(&arena, 0);
		reef_error_init(&err);
		if (reef_key_decode(key, &table->schema, &arena, values,
							&err) == REEF_OK)
			text = reefpg_key_description(converter, table, values);
		reef_arena_release(&arena);
		RelationClose(relation);
	}
	if (text != NULL)
		return shorten(text);
	initStringInfo(&hex);
	appendStringInfoString(&hex, "\\x");
	for (size_t i = 0; i < key.size && i < KEY_TEXT_MAX / 2; i++)
		appendStringInfo(&hex, "%02x", key.data[i]);
	return hex.data;
}

static ReefPicSegments *
collect_segments(const ReefPgTable *table, const ReefView *view)
{
	ReefPicSegments *segments = palloc0(sizeof(ReefPicSegments));
	MemoryContextCallback *callback = palloc0(sizeof(*callback));
	const ReefPicSegment *lowest;
	const ReefPicSegment *highest;
	ReefError	err;

	callback->func = free_segments;
	callback->arg = segments;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	reef_error_init(&err);
	REEFPG_CHECK(reef_view_segments(view, append_segment, segments, &err),
				 &err, NULL);
	segments->lowest = segments->highest = "";
	if (segments->count == 0)
		return segments;
	lowest = highest = &segments->segments[0];
	for (int i = 1; i < segments->count; i++)
	{
		const ReefPicSegment *segment = &segments->segments[i];

		if (reef_slice_compare(segment->key_min, lowest->key_min) < 0)
			lowest = segment;
		if (reef_slice_compare(segment->key_max, highest->key_max) > 0)
			highest = segment;
	}
	segments->lowest = key_text(table, reef_view_schema(view),
								lowest->key_min);
	segments->highest = key_text(table, reef_view_schema(view),
								 highest->key_max);
	return segments;
}

/* ---- the page ---- */

static void
add_tile(StringInfo html, const char *name, const char *value)
{
	appendStringInfo(html,
					 "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n",
					 value, name);
}

static void
add_tiles(StringInfo html, const ReefView *view,
		  const ReefPicSegments *segments, ReefPgTraffic *traffic)
{
	uint64		user_bytes = pg_atomic_read_u64(&traffic->user_bytes);
	uint64		put_bytes = 0;
	uint64		rows = 0;
	uint64		dead = 0;

	for (int i = 0; i < segments->count; i++)
	{
		const ReefPicSegment *segment = &segments->segments[i];

		rows += segment->rows;
		dead += segment->tombstones + segment->superseding;
	}
	for (int kind = 0; kind < REEFPG_PUT_KIND_COUNT; kind++)
		put_bytes += pg_atomic_read_u64(&traffic->put_bytes[kind]);
	appendStringInfoString(html, "<div class=\"tiles\">\n");
	add_tile(html, "rows", reefpg_html_number(reef_view_row_count(view)));
	add_tile(html, "in live segments",
			 reefpg_html_bytes(reef_view_size(view)));
	add_tile(html, "segments", reefpg_html_number(segments->count));
	add_tile(html, "of segments' rows dead",
			 psprintf("%.1f%%", rows == 0 ? 0.0 :
					  Min(100.0, 100.0 * (double) dead / (double) rows)));
	add_tile(html, "written here", reefpg_html_bytes(user_bytes));
	add_tile(html, "put for each byte written",
			 user_bytes == 0 ? "&#8211;" :
			 psprintf("%.2f", (double) put_bytes / (double) user_bytes));
	appendStringInfoString(html, "</div>\n");
}

static void
add_tail(StringInfo html, const ReefNamespaceStatus *status,
		 ReefPgTraffic *traffic)
{
	Size		total = reefpg_pool_bytes();
	Size		used = total - reefpg_pool_free_bytes();
	uint64		fold_size = (uint64) reefpg_fold_size_kb * 1024;

	appendStringInfoString(html, "<h2>Log and memory</h2>\n<div class=\"gauges\">\n");
	reefpg_svg_gauge(html, "Records to replay at opening",
					 psprintf("%s (LSN %s to %s)",
							  reefpg_html_number(status->unfolded_records),
							  reefpg_html_number(status->last_applied_lsn),
							  reefpg_html_number(status->last_lsn)),
					 (double) status->unfolded_records / 4096);
	reefpg_svg_gauge(html, "Not folded, of reef.fold_size",
					 psprintf("%s of %s",
							  reefpg_html_bytes(status->unfolded_bytes),
							  reefpg_html_bytes(fold_size)),
					 (double) status->unfolded_bytes / (double) fold_size);
	reefpg_svg_gauge(html, "Memtables of all tables",
					 psprintf("%s of %s, %s of it here",
							  reefpg_html_bytes(used),
							  reefpg_html_bytes(total),
							  reefpg_html_bytes(status->memtable_bytes)),
					 (double) used / (double) total);
	reefpg_svg_gauge(html, "Writers waiting for folds",
					 psprintf("%u now, %s ms in all",
							  pg_atomic_read_u32(&traffic->writers_waiting),
							  reefpg_html_number(pg_atomic_read_u64(&traffic->waited_us) / 1000)),
					 pg_atomic_read_u32(&traffic->writers_waiting) > 0 ? 2 : 0);
	appendStringInfo(html,
					 "</div>\n<p class=\"legend\">This server is %sthe writer; manifest %s, epoch %s.</p>\n",
					 status->is_writer ? "" : "not ",
					 reefpg_html_number(status->manifest_version),
					 reefpg_html_number(status->epoch));
}

static void
add_run(StringInfo html, const ReefPgRun *run, uint64 greatest)
{
	/* a fold has only outputs, a collection only inputs */
	bool		has_input = run->job != REEFPG_JOB_FOLD;
	bool		has_output = run->job != REEFPG_JOB_GC;
	const char *arrow = has_input && has_output ? " &#8594; " : "";

	appendStringInfo(html,
					 "<tr><td>%s<td>%s<td class=\"n\">%.0f ms",
					 timestamptz_to_str(run->ended),
					 reefpg_job_name(run->job),
					 (double) run->duration_us / 1000);
	appendStringInfo(html, "<td class=\"n\">%s%s%s",
					 has_input ? reefpg_html_number(run->objects_in) : "",
					 arrow,
					 has_output ? reefpg_html_number(run->objects_out) : "");
	appendStringInfo(html, "<td class=\"n\">%s%s%s",
					 has_input ? reefpg_html_bytes(run->bytes_in) : "",
					 arrow,
					 has_output ? reefpg_html_bytes(run->bytes_out) : "");
	appendStringInfoString(html, "<td>");
	reefpg_svg_bar(html, has_output ? run->bytes_out : run->bytes_in,
				   greatest);
	appendStringInfoString(html, "\n");
}

static void
add_runs(StringInfo html, const ReefPgMaintenance *maintenance)
{
	uint64		count = Min(maintenance->run_count, REEFPG_RUNS_MAX);
	uint64		greatest = 0;

	appendStringInfoString(html, "<h2>Recent maintenance</h2>\n");
	for (int i = 0; i < REEFPG_JOB_COUNT; i++)
	{
		const ReefPgJobState *job = &maintenance->jobs[i];

		if (job->last_error[0] == '\0')
			continue;
		appendStringInfo(html, "<p class=\"error\">%s fails (%d times): ",
						 reefpg_job_name((ReefPgJob) i), job->failures);
		reefpg_html_text(html, job->last_error);
		appendStringInfoString(html, "</p>\n");
	}
	if (count == 0)
	{
		appendStringInfoString(html, "<p class=\"legend\">None since the table was opened here.</p>\n");
		return;
	}
	for (uint64 i = 0; i < count; i++)
		greatest = Max(greatest, Max(maintenance->runs[i].bytes_in,
									 maintenance->runs[i].bytes_out));
	appendStringInfoString(html,
						   "<table><tr><th>ended<th>job<th class=\"n\">took<th class=\"n\">objects<th class=\"n\">bytes<th>\n");
	for (uint64 i = 1; i <= count; i++)
		add_run(html,
				&maintenance->runs[(maintenance->run_count - i) %
								   REEFPG_RUNS_MAX], greatest);
	appendStringInfoString(html, "</table>\n");
}

static double
dollars_of(ReefRequestKind kind, uint64 requests)
{
	switch (kind)
	{
		case REEF_REQUEST_PUT:
		case REEF_REQUEST_LIST:
			return (double) requests * DOLLARS_A_PUT;
		case REEF_REQUEST_GET:
		case REEF_REQUEST_HEAD:
			return (double) requests * DOLLARS_A_GET;
		case REEF_REQUEST_DELETE:
			break;
	}
	return 0;
}

static bool
copy_counters(const char *location, ReefRequestCounters *counters)
{
	for (int i = 0; i < REEFPG_STORES_MAX; i++)
	{
		ReefPgStoreLine *line = &reefpg_shared->stores[i];
		bool		is_it;

		SpinLockAcquire(&line->mutex);
		is_it = strcmp(line->location, location) == 0;
		if (is_it)
			memcpy(counters, line->counters, sizeof(line->counters));
		SpinLockRelease(&line->mutex);
		if (is_it)
			return true;
	}
	return false;
}

static void
add_requests(StringInfo html, const char *location, uint64 live_bytes)
{
	static const char *const names[REEF_REQUEST_KIND_COUNT] =
	{"put", "get", "head", "list", "delete"};
	ReefRequestCounters counters[REEF_REQUEST_KIND_COUNT];
	double		sum = 0;

	appendStringInfoString(html, "<h2>Requests to the store</h2>\n");
	reefpg_count_requests();
	if (copy_counters(location, counters))
	{
		appendStringInfoString(html,
							   "<table><tr><th>request<th class=\"n\">number<th class=\"n\">bytes<th class=\"n\">errors<th class=\"n\">retries<th class=\"n\">mean<th class=\"n\">estimated cost\n");
		for (int i = 0; i < REEF_REQUEST_KIND_COUNT; i++)
		{
			const ReefRequestCounters *count = &counters[i];
			double		dollars = dollars_of((ReefRequestKind) i,
											 count->requests);

			sum += dollars;
			appendStringInfo(html,
							 "<tr><td>%s<td class=\"n\">%s<td class=\"n\">%s<td class=\"n\">%s<td class=\"n\">%s<td class=\"n\">%.2f ms<td class=\"n\">$%.4f\n",
							 names[i], reefpg_html_number(count->requests),
							 reefpg_html_bytes(count->bytes),
							 reefpg_html_number(count->errors),
							 reefpg_html_number(count->retries),
							 count->requests == 0 ? 0.0 :
							 (double) count->time_us / 1000 /
							 (double) count->requests, dollars);
		}
		appendStringInfo(html,
						 "<tr><td>all<td><td><td><td><td><td class=\"n\"><b>$%.4f</b>\n</table>\n",
						 sum);
	}
	appendStringInfo(html,
					 "<p class=\"legend\">All tables of this location, since the server started, as if the store were a bucket at $%.2f a million puts and lists and $%.2f a million gets. Keeping this table's live segments: $%.4f a month at $%.3f a GB.</p>\n",
					 DOLLARS_A_PUT * 1e6, DOLLARS_A_GET * 1e6,
					 (double) live_bytes / (1024.0 * 1024 * 1024) *
					 DOLLARS_A_GB_MONTH, DOLLARS_A_GB_MONTH);
}

static void
add_head(StringInfo html, const ReefPgTable *table, const ReefPgEntry *entry)
{
	char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(table->relid)),
												  get_rel_name(table->relid));

	appendStringInfoString(html,
						   "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
						   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
						   "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
	reefpg_html_text(html, name);
	appendStringInfo(html, "</title>\n<style>%s</style></head><body>\n<h1>",
					 style);
	reefpg_html_text(html, name);
	appendStringInfoString(html, "</h1>\n<p class=\"sub\">namespace ");
	reefpg_html_text(html, entry->name);
	appendStringInfoString(html, " in ");
	reefpg_html_text(html, entry->location);
	appendStringInfo(html, " &#183; %s</p>\n",
					 timestamptz_to_str(GetCurrentTimestamp()));
}

Datum
reef_sql_report(PG_FUNCTION_ARGS)
{
	ReefPgTable *table = reefpg_argument_table(PG_GETARG_OID(0), true);
	ReefNamespace *ns = reefpg_table_namespace(table);
	ReefPgEntry *entry = reefpg_namespace_entry(ns);
	ReefView   *view = reefpg_view_pin(ns, table, NULL, CurrentMemoryContext);
	ReefPicSegments *segments = collect_segments(table, view);
	ReefPgMaintenance *maintenance = palloc(sizeof(ReefPgMaintenance));
	ReefNamespaceStatus status;
	StringInfoData html;

	reef_namespace_status(reefpg_host(), entry->shared, &status);
	SpinLockAcquire(&entry->mutex);
	*maintenance = entry->maintenance;
	SpinLockRelease(&entry->mutex);

	initStringInfo(&html);
	add_head(&html, table, entry);
	add_tiles(&html, view, segments, &entry->traffic);
	appendStringInfoString(&html, "<h2>Segments</h2>\n");
	reefpg_svg_segments(&html, segments, status.unfolded_records,
						status.unfolded_bytes);
	add_tail(&html, &status, &entry->traffic);
	add_runs(&html, maintenance);
	add_requests(&html, entry->location, reef_view_size(view));
	appendStringInfoString(&html, "</body></html>\n");
	reefpg_view_release(view);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(html.data, html.len));
}
