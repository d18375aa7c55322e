/*
 * verify_segment.c
 *	  One segment: its bytes, its footer, every page of it.
 *
 * The whole-file checksum says whether the bytes are those that were written;
 * decoding says where they are not, and whether what was written was right:
 * keys ascend, statistics that readers skip pages by are true, counts that they
 * leave work out by are true, bloom filters have every key.  Decoding is asked
 * for ("deep"), or done because the checksum is wrong, to say which pages are
 * affected.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "engine/verify.h"

/* What is known of a column so far. */
typedef struct ColumnBounds
{
	uint64_t	null_count;
	bool		has_values;
	ReefValue	min;			/* fixed kinds and bytes in "page_arena" */
	ReefValue	max;
} ColumnBounds;

typedef struct SegmentCheck
{
	ReefVerify *verify;
	const ReefSegmentMeta *meta;
	const ReefSchema *schema;	/* of the namespace */
	const uint8_t *namespace_id;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefSegmentCache *cache;	/* of this segment only */
	ReefSegment *segment;
	const ReefColumnStats **stats;	/* [column], NULL: none */
	uint64_t   *null_counts;	/* [column], all pages */
	ReefBuf		last_key;
	uint64_t	row_count;
	uint64_t	tombstones;
	uint64_t	lost_pages;		/* that do not decode */
} SegmentCheck;

static ReefCode
report_error(SegmentCheck *check, ReefCode rc, const ReefError *found,
			 ReefError *err)
{
	if (rc == REEF_UNSUPPORTED)
		return reef_finding_report_error(check->verify, REEF_SEVERITY_ERROR,
										 check->key, "newer format", found,
										 err);
	if (reef_verify_is_damage(rc, found))
		return reef_finding_report_error(check->verify, REEF_SEVERITY_ERROR,
										 check->key, "unreadable", found, err);
	*err = *found;
	return rc;
}

/* ---- bytes ---- */

static ReefCode
compute_crc(SegmentCheck *check, uint32_t *crc, ReefError *err)
{
	uint64_t	size = check->meta->size;
	uint64_t	offset;
	uint8_t    *bytes = malloc(REEF_VERIFY_READ_SIZE);
	ReefCode	rc = REEF_OK;

	*crc = 0;
	if (bytes == NULL)
		return reef_error_no_memory(err, REEF_VERIFY_READ_SIZE);
	for (offset = 0; offset < size && rc == REEF_OK;)
	{
		size_t		part = size - offset < REEF_VERIFY_READ_SIZE ?
			(size_t) (size - offset) : REEF_VERIFY_READ_SIZE;

		rc = reef_store_get_range(check->verify->ns->store, check->key, offset,
								  part, bytes, err);
		if (rc == REEF_OK)
		{
			*crc = reef_crc32c(*crc, bytes, part);
			rc = reef_verify_step(check->verify, part, err);
		}
		offset += part;
	}
	free(bytes);
	return rc;
}

/*
 * REEF_NOT_FOUND: there is no such object.  What follows the bytes that were
 * written does not matter to who reads these.
 */
static ReefCode
check_bytes(SegmentCheck *check, bool *is_complete, bool *is_intact,
			ReefError *err)
{
	ReefObjectInfo object;
	ReefError	found;
	uint32_t	crc;
	ReefCode	rc;

	*is_intact = false;
	REEF_TRY(reef_store_head(check->verify->ns->store, check->key, &object,
							 err));
	*is_complete = object.size >= check->meta->size;
	if (object.size != check->meta->size)
		REEF_TRY(reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
									 check->key, "size",
									 "the object has %" PRIu64 " bytes instead of %" PRIu64,
									 object.size, check->meta->size));
	if (!*is_complete)
		return REEF_OK;
	reef_error_init(&found);
	rc = compute_crc(check, &crc, &found);
	if (rc == REEF_NOT_FOUND)
	{
		*err = found;
		return rc;
	}
	if (rc != REEF_OK)
		return report_error(check, rc, &found, err);
	*is_intact = crc == check->meta->crc;
	if (!*is_intact)
		return reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
								   check->key, "checksum",
								   "the object's checksum is %08x instead of %08x",
								   crc, check->meta->crc);
	return REEF_OK;
}

/* ---- footer ---- */

static ReefCode
check_pair(SegmentCheck *check, const char *pair, uint64_t expected,
		   bool may_be_less, ReefError *err)
{
	const char *value = reef_parquet_reader_value(check->segment->reader,
												  pair);
	char		text[24];

	snprintf(text, sizeof(text), "%" PRIu64, expected);
	if (value != NULL && strcmp(value, text) == 0)
		return REEF_OK;
	/* repair raises the number of rows that may hide others */
	if (value != NULL && may_be_less &&
		(strlen(value) < strlen(text) ||
		 (strlen(value) == strlen(text) && strcmp(value, text) < 0)))
		return REEF_OK;
	return reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
							   check->key, "agreement",
							   "footer pair %s is %s instead of %s", pair,
							   value == NULL ? "missing" : value, text);
}

static ReefCode
check_footer(SegmentCheck *check, ReefError *err)
{
	const ReefSegmentMeta *meta = check->meta;
	ReefParquetReader *reader = check->segment->reader;

	REEF_TRY(check_pair(check, "reef.level", (uint64_t) meta->level, false,
						err));
	REEF_TRY(check_pair(check, "reef.tombstones", meta->tombstone_count, false,
						err));
	REEF_TRY(check_pair(check, "reef.superseding", meta->superseding_count,
						true, err));
	if (reef_parquet_reader_value(reader, "reef.lsn_min") == NULL &&
		meta->lsn_min == meta->lsn_max)
		return REEF_OK;			/* attached */
	REEF_TRY(check_pair(check, "reef.lsn_min", meta->lsn_min, false, err));
	return check_pair(check, "reef.lsn_max", meta->lsn_max, false, err);
}

static ReefCode
match_stats(SegmentCheck *check, ReefArena *arena, ReefError *err)
{
	size_t		count = (size_t) check->segment->schema->column_count;
	int			i;

	check->stats = reef_arena_calloc(arena, sizeof(*check->stats) * count);
	check->null_counts = reef_arena_calloc(arena,
										   sizeof(*check->null_counts) * count);
	if (check->stats == NULL || check->null_counts == NULL)
		return reef_error_no_memory(err, sizeof(*check->stats) * count);
	for (i = 0; i < check->meta->stats_count; i++)
	{
		const ReefColumnStats *stats = &check->meta->stats[i];
		int			column = reef_schema_find(check->segment->schema,
											  stats->name);

		if (column < 0)
			REEF_TRY(reef_finding_report(check->verify, err,
										 REEF_SEVERITY_ERROR, check->key,
										 "agreement",
										 "there are statistics of column \"%s\", which is not in the file",
										 stats->name));
		else
			check->stats[column] = stats;
	}
	return REEF_OK;
}

/* ---- pages ---- */

static ReefCode
check_page_keys(SegmentCheck *check, int group, int page, ReefError *err)
{
	ReefPage   *keys;
	uint32_t	row;
	ReefCode	rc;

	rc = reef_segment_pin(check->segment, group, page, REEF_PAGE_KEYS,
						  REEF_PAGE_PASSED, &keys, err);
	if (rc != REEF_OK)
		return rc;
	for (row = 0; row < keys->row_count && rc == REEF_OK; row++)
	{
		ReefSlice	key = keys->keys[row];

		if (check->row_count == 0 &&
			!reef_slice_equal(key, check->meta->key_min))
			rc = reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
									 check->key, "agreement",
									 "the first key is not the lowest one of its description");
		else if (check->row_count > 0 &&
				 reef_slice_compare(reef_buf_slice(&check->last_key),
									key) >= 0)
			rc = reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
									 check->key, "order",
									 "row %u of page %d of row group %d is not above the one before it",
									 (unsigned) row, page, group);
		check->row_count++;
		reef_buf_reset(&check->last_key);
		reef_buf_append(&check->last_key, key.data, key.size);
		if (rc == REEF_OK)
			rc = reef_buf_check(&check->last_key, err);
	}
	reef_page_unpin(keys);
	return rc;
}

static ReefCode
check_bounds(SegmentCheck *check, int group, int page, int column,
			 const ColumnBounds *seen, bool has_min_max, ReefKind kind,
			 const ReefValue *min, const ReefValue *max, const char *whose,
			 ReefError *err)
{
	const char *name = check->segment->schema->columns[column].name;

	if (!has_min_max || !seen->has_values)
		return REEF_OK;
	if (kind == check->segment->schema->columns[column].type.kind &&
		reef_value_compare(kind, &seen->min, min) >= 0 &&
		reef_value_compare(kind, &seen->max, max) <= 0)
		return REEF_OK;
	return reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
							   check->key, "statistics",
							   "column \"%s\" of page %d of row group %d has values outside the bounds of the %s",
							   name, page, group, whose);
}

/* Values against the statistics of page, row group and description. */
static ReefCode
check_stats(SegmentCheck *check, int group, int page, int column,
			const ColumnBounds *seen, ReefError *err)
{
	ReefKind	kind = check->segment->schema->columns[column].type.kind;
	const ReefColumnStats *stats = check->stats[column];
	ReefParquetStats found;

	REEF_TRY(reef_parquet_reader_stats(check->segment->reader, group, page,
									   column, &found, err));
	if (found.has_null_count && found.null_count != seen->null_count)
		REEF_TRY(reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
									 check->key, "statistics",
									 "column \"%s\" of page %d of row group %d has %" PRIu64 " nulls instead of %" PRIu64,
									 check->segment->schema->columns[column].name,
									 page, group, seen->null_count,
									 found.null_count));
	REEF_TRY(check_bounds(check, group, page, column, seen, found.has_min_max,
						  kind, &found.min, &found.max, "page", err));
	REEF_TRY(reef_parquet_reader_stats(check->segment->reader, group, -1,
									   column, &found, err));
	REEF_TRY(check_bounds(check, group, page, column, seen, found.has_min_max,
						  kind, &found.min, &found.max, "row group", err));
	if (stats == NULL)
		return REEF_OK;
	return check_bounds(check, group, page, column, seen, stats->has_min_max,
						stats->kind, &stats->min, &stats->max, "segment", err);
}

static ReefCode
check_bloom(SegmentCheck *check, int group, int page, int column,
			const ReefValue *value, ReefError *err)
{
	bool		may_contain;

	REEF_TRY(reef_parquet_reader_bloom_check(check->segment->reader, group,
											 column, value, &may_contain,
											 err));
	if (may_contain)
		return REEF_OK;
	return reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
							   check->key, "bloom",
							   "the filter of column \"%s\" lacks a value of page %d of row group %d",
							   check->segment->schema->columns[column].name,
							   page, group);
}

/* Our own two columns. */
static ReefCode
check_own_value(SegmentCheck *check, int column, const ReefValue *value,
				ReefError *err)
{
	const ReefSegmentMeta *meta = check->meta;
	uint64_t	lsn;

	if (column == check->segment->op_column)
	{
		if (!value->is_null && value->as.int32 == 1)
			check->tombstones++;
		if (value->is_null || (value->as.int32 != 0 && value->as.int32 != 1))
			return reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
									   check->key, "contents",
									   "row %" PRIu64 " is neither a row nor a tombstone",
									   check->row_count);
		return REEF_OK;
	}
	if (value->is_null)
	{
		if (meta->lsn_min == meta->lsn_max)
			return REEF_OK;
		return reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
								   check->key, "lsn", "a row has no LSN");
	}
	lsn = (uint64_t) value->as.int64;
	if (lsn >= meta->lsn_min && lsn <= meta->lsn_max)
		return REEF_OK;
	return reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
							   check->key, "lsn",
							   "a row has LSN %" PRIu64 ", the segment %" PRIu64 " to %" PRIu64,
							   lsn, meta->lsn_min, meta->lsn_max);
}

static void
note_value(ReefKind kind, const ReefValue *value, ColumnBounds *seen)
{
	if (value->is_null)
	{
		seen->null_count++;
		return;
	}
	if (!seen->has_values || reef_value_compare(kind, value, &seen->min) < 0)
		seen->min = *value;
	if (!seen->has_values || reef_value_compare(kind, value, &seen->max) > 0)
		seen->max = *value;
	seen->has_values = true;
}

static ReefCode
check_column(SegmentCheck *check, int group, int page, int column,
			 const ReefPage *pinned, ReefError *err)
{
	ReefSegment *segment = check->segment;
	ReefKind	kind = segment->schema->columns[column].type.kind;
	bool		is_own = column == segment->op_column ||
		column == segment->lsn_column;
	bool		has_bloom = !is_own && segment->key_count == 1 &&
		column == segment->key_columns[0] && kind != REEF_KIND_FLOAT32 &&
		kind != REEF_KIND_FLOAT64;
	uint64_t	findings = check->verify->errors + check->verify->warnings;
	ColumnBounds seen = {0};
	uint32_t	row;

	for (row = 0; row < pinned->row_count; row++)
	{
		ReefValue	value;

		reef_vector_get(&pinned->vector, (int) row, &value);
		note_value(kind, &value, &seen);
		/* one finding a page is enough */
		if (check->verify->errors + check->verify->warnings > findings)
			continue;
		if (is_own)
			REEF_TRY(check_own_value(check, column, &value, err));
		else if (has_bloom && !value.is_null)
			REEF_TRY(check_bloom(check, group, page, column, &value, err));
	}
	check->null_counts[column] += seen.null_count;
	return check_stats(check, group, page, column, &seen, err);
}

/* Damage of one page does not end the walk. */
static ReefCode
check_page(SegmentCheck *check, int group, int page, ReefError *err)
{
	ReefSegment *segment = check->segment;
	ReefError	found;
	ReefCode	rc;
	int			column;

	reef_error_init(&found);
	rc = check_page_keys(check, group, page, &found);
	if (rc != REEF_OK)
	{
		check->lost_pages++;
		REEF_TRY(report_error(check, rc, &found, err));
	}
	for (column = 0; column < segment->schema->column_count; column++)
	{
		ReefPage   *pinned;

		reef_error_init(&found);
		rc = reef_segment_pin(segment, group, page, column, REEF_PAGE_PASSED,
							  &pinned, &found);
		if (rc == REEF_OK)
		{
			rc = check_column(check, group, page, column, pinned, &found);
			reef_page_unpin(pinned);
		}
		if (rc == REEF_OK)
			continue;
		check->lost_pages++;
		REEF_TRY(report_error(check, rc, &found, err));
	}
	return REEF_OK;
}

static ReefCode
check_totals(SegmentCheck *check, ReefError *err)
{
	const ReefSegmentMeta *meta = check->meta;
	int			column;

	if (check->row_count != meta->row_count)
		REEF_TRY(reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
									 check->key, "count",
									 "there are %" PRIu64 " rows instead of %" PRIu64,
									 check->row_count, meta->row_count));
	if (check->tombstones != meta->tombstone_count ||
		(meta->level > 0 && check->tombstones > 0))
		REEF_TRY(reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
									 check->key, "count",
									 "there are %" PRIu64 " tombstones instead of %" PRIu64 ", in level %d",
									 check->tombstones, meta->tombstone_count,
									 meta->level));
	if (!reef_slice_equal(reef_buf_slice(&check->last_key), meta->key_max))
		REEF_TRY(reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
									 check->key, "agreement",
									 "the last key is not the highest one of its description"));
	for (column = 0; column < check->segment->schema->column_count; column++)
	{
		if (check->stats[column] != NULL &&
			check->stats[column]->null_count != check->null_counts[column])
			REEF_TRY(reef_finding_report(check->verify, err,
										 REEF_SEVERITY_ERROR, check->key,
										 "statistics",
										 "column \"%s\" has %" PRIu64 " nulls instead of %" PRIu64,
										 check->stats[column]->name,
										 check->null_counts[column],
										 check->stats[column]->null_count));
	}
	return REEF_OK;
}

static ReefCode
check_pages(SegmentCheck *check, ReefError *err)
{
	ReefSegment *segment = check->segment;
	int			group;
	int			page;

	for (group = 0; group < segment->group_count; group++)
	{
		ReefError	found;
		ReefCode	rc;

		reef_error_init(&found);
		rc = reef_segment_load_group(segment, group, &found);
		if (rc != REEF_OK)
		{
			check->lost_pages++;
			REEF_TRY(report_error(check, rc, &found, err));
			continue;
		}
		for (page = 0; page < segment->groups[group].page_count; page++)
		{
			REEF_TRY(reef_verify_step(check->verify, 0, err));
			REEF_TRY(check_page(check, group, page, err));
		}
	}
	/* a page that is lost would be reported again as wrong counts */
	return check->lost_pages > 0 ? REEF_OK : check_totals(check, err);
}

/* ---- segment ---- */

static ReefCode
check_contents(SegmentCheck *check, bool deep, ReefSegmentState *state,
			   ReefError *err)
{
	uint64_t	errors = check->verify->errors + check->verify->warnings;
	ReefArena	arena;
	ReefError	found;
	ReefCode	rc;

	reef_error_init(&found);
	reef_segment_cache_set_namespace(check->cache, check->namespace_id);
	rc = reef_segment_get(check->cache, check->meta, check->schema,
						  &check->segment, &found);
	state->is_newer_format = rc == REEF_UNSUPPORTED;
	if (rc != REEF_OK)
		return report_error(check, rc, &found, err);
	reef_arena_init(&arena, 0);
	rc = check_footer(check, err);
	if (rc == REEF_OK)
		rc = match_stats(check, &arena, err);
	state->is_open = check->verify->errors + check->verify->warnings == errors;
	if (rc == REEF_OK && deep)
		rc = check_pages(check, err);
	reef_arena_release(&arena);
	reef_segment_release(check->segment);
	return rc;
}

ReefCode
reef_verify_segment(ReefVerify *verify, const ReefSegmentMeta *meta,
					const ReefSchema *schema, const uint8_t namespace_id[16],
					bool deep, ReefSegmentState *state, ReefError *err)
{
	SegmentCheck check = {
		.verify = verify,
		.meta = meta,
		.schema = schema,
		.namespace_id = namespace_id
	};
	uint64_t	findings = verify->errors + verify->warnings;
	bool		is_complete;
	bool		is_intact;
	ReefCode	rc;

	memset(state, 0, sizeof(*state));
	reef_layout_segment_key(verify->ns->prefix, meta->id, check.key);
	REEF_TRY(reef_verify_step(verify, 0, err));
	REEF_TRY(check_bytes(&check, &is_complete, &is_intact, err));
	state->is_present = true;
	if (!is_complete)
		return REEF_OK;
	REEF_TRY(reef_segment_cache_new(verify->ns->host, verify->ns->store,
									verify->ns->prefix, &verify->settings,
									&check.cache, err));
	reef_buf_init(&check.last_key);
	rc = check_contents(&check, deep || !is_intact, state, err);
	reef_buf_release(&check.last_key);
	reef_segment_cache_free(check.cache);
	state->is_sound = verify->errors + verify->warnings == findings;
	return rc;
}
