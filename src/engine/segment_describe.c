/*
 * segment_describe.c
 *	  From a segment's file to what a manifest says of it.
 *
 * A manifest's entry is made by whoever writes the segment.  When there is no
 * entry any more the file itself says everything: the footer has the level,
 * LSNs and counts, the bounds of its row groups give those of the file by the
 * rules by which the writer merged them, the first and the last row have the
 * lowest and the highest key, and the checksum is that of all bytes.
 */
#include "engine/rebuild.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/document.h"
#include "parquet/footer.h"

#define READ_SIZE_BYTES (1024 * 1024)
/* Footer size and magic, at the end of every file. */
#define TRAILER_SIZE 8

/* ---- file ---- */

static ReefCode
read_at(void *arg, uint64_t offset, size_t size, void *out, ReefError *err)
{
	const ReefSegmentFile *file = arg;

	return reef_store_get_range(file->store, file->key, offset, size, out,
								err);
}

ReefCode
reef_segment_file_open(ReefNamespace *ns, const uint8_t id[16], uint64_t size,
					   ReefSegmentFile *file, ReefError *err)
{
	file->store = ns->store;
	file->reader = NULL;
	reef_layout_segment_key(ns->prefix, id, file->key);
	return reef_parquet_reader_open(read_at, file, size, file->key,
									&file->reader, err);
}

void
reef_segment_file_close(ReefSegmentFile *file)
{
	reef_parquet_reader_close(file->reader);
	file->reader = NULL;
}

/* ---- footer ---- */

static ReefCode
damaged(const ReefSegmentFile *file, const char *what, ReefError *err)
{
	return reef_error_set(err, REEF_CORRUPT, "damaged segment",
						  "object \"%s\": %s", file->key, what);
}

/* *found false if there is no such pair. */
static ReefCode
read_pair(const ReefSegmentFile *file, const char *name, uint64_t *number,
		  bool *found, ReefError *err)
{
	const char *text = reef_parquet_reader_value(file->reader, name);
	char	   *end;

	*number = 0;
	*found = text != NULL;
	if (text == NULL)
		return REEF_OK;
	*number = strtoull(text, &end, 10);
	if (end == text || *end != '\0' || *number > INT64_MAX)
		return damaged(file, "a number in its footer", err);
	return REEF_OK;
}

static ReefCode
read_counts(const ReefSegmentFile *file, ReefSegmentMeta *meta,
			ReefError *err)
{
	uint64_t	level;
	bool		found[5];

	REEF_TRY(read_pair(file, "reef.level", &level, &found[0], err));
	REEF_TRY(read_pair(file, "reef.tombstones", &meta->tombstone_count,
					   &found[1], err));
	REEF_TRY(read_pair(file, "reef.superseding", &meta->superseding_count,
					   &found[2], err));
	REEF_TRY(read_pair(file, "reef.lsn_min", &meta->lsn_min, &found[3], err));
	REEF_TRY(read_pair(file, "reef.lsn_max", &meta->lsn_max, &found[4], err));
	if (!found[0] || !found[1] || !found[2] || found[3] != found[4] ||
		level > 1 || meta->lsn_min > meta->lsn_max)
		return damaged(file, "its footer says too little", err);
	meta->level = (int) level;
	meta->row_count = reef_parquet_reader_row_count(file->reader);
	return REEF_OK;
}

/* ---- keys ---- */

/* Encode the key of one row of a page. */
static ReefCode
encode_key(const ReefSegmentFile *file, int row_group, int page, bool is_last,
		   ReefArena *arena, ReefSlice *key, ReefError *err)
{
	const ReefSchema *schema = reef_parquet_reader_schema(file->reader);
	int			count = reef_schema_key_count(schema);
	ReefArena	pages;
	ReefBuf		encoded;
	uint32_t	first;
	uint32_t	rows;
	ReefCode	rc;
	int			i;

	reef_arena_init(&pages, 0);
	reef_buf_init(&encoded);
	rc = reef_parquet_reader_page_rows(file->reader, row_group, page, &first,
									   &rows, err);
	if (rc == REEF_OK && (rows == 0 || count == 0))
		rc = damaged(file, "it has no keys", err);
	for (i = 1; i <= count && rc == REEF_OK; i++)
	{
		int			column = reef_schema_key_column(schema, i);
		ReefVector	vector;
		ReefValue	value;

		if (column < 0)
			rc = damaged(file, "its key has a gap", err);
		if (rc == REEF_OK)
			rc = reef_parquet_reader_read_page(file->reader, row_group, page,
											   column, &pages, &vector, err);
		if (rc != REEF_OK)
			break;
		reef_vector_get(&vector, is_last ? (int) rows - 1 : 0, &value);
		if (value.is_null)
			rc = damaged(file, "a key column is null", err);
		else
			reef_key_append(&encoded, vector.kind, &value);
	}
	if (rc == REEF_OK)
		rc = reef_buf_check(&encoded, err);
	if (rc == REEF_OK)
	{
		*key = reef_arena_copy(arena, reef_buf_slice(&encoded));
		if (key->size != encoded.size)
			rc = reef_error_no_memory(err, encoded.size);
	}
	reef_buf_release(&encoded);
	reef_arena_release(&pages);
	return rc;
}

static ReefCode
read_keys(const ReefSegmentFile *file, ReefArena *arena, ReefSegmentMeta *meta,
		  ReefError *err)
{
	int			groups = reef_parquet_reader_row_group_count(file->reader);
	int			pages;

	if (groups == 0)
		return damaged(file, "it has no rows", err);
	REEF_TRY(encode_key(file, 0, 0, false, arena, &meta->key_min, err));
	REEF_TRY(reef_parquet_reader_page_count(file->reader, groups - 1, &pages,
											err));
	return encode_key(file, groups - 1, pages - 1, true, arena,
					  &meta->key_max, err);
}

/* ---- statistics ---- */

static ReefCode
copy_bound(ReefArena *arena, ReefKind kind, ReefValue *bound, ReefError *err)
{
	ReefSlice	copy;

	if (!reef_kind_is_variable(kind))
		return REEF_OK;
	copy = reef_arena_copy(arena, bound->as.bytes);
	if (copy.size != bound->as.bytes.size)
		return reef_error_no_memory(err, bound->as.bytes.size);
	bound->as.bytes = copy;
	return REEF_OK;
}

/* A column's bounds from those of its row groups: one that has values but no
 * bounds means that there are none. */
static ReefCode
merge_stats(const ReefSegmentFile *file, int column, ReefArena *arena,
			ReefColumnStats *stats, ReefError *err)
{
	const ReefSchema *schema = reef_parquet_reader_schema(file->reader);
	int			groups = reef_parquet_reader_row_group_count(file->reader);
	bool		is_bounded = true;
	int			i;

	stats->name = reef_arena_strdup(arena, schema->columns[column].name);
	if (stats->name == NULL)
		return reef_error_no_memory(err, REEF_COLUMN_NAME_MAX_SIZE);
	stats->kind = schema->columns[column].type.kind;
	for (i = 0; i < groups; i++)
	{
		ReefParquetStats group;

		REEF_TRY(reef_parquet_reader_stats(file->reader, i, -1, column, &group,
										   err));
		stats->null_count += group.null_count;
		if (!group.has_min_max)
		{
			if (group.null_count <
				reef_parquet_reader_row_group_rows(file->reader, i))
				is_bounded = false;
			continue;
		}
		if (!stats->has_min_max ||
			reef_value_compare(stats->kind, &group.min, &stats->min) < 0)
			stats->min = group.min;
		if (!stats->has_min_max ||
			reef_value_compare(stats->kind, &group.max, &stats->max) > 0)
			stats->max = group.max;
		stats->has_min_max = true;
	}
	stats->has_min_max = stats->has_min_max && is_bounded;
	if (!stats->has_min_max)
		return REEF_OK;
	REEF_TRY(copy_bound(arena, stats->kind, &stats->min, err));
	return copy_bound(arena, stats->kind, &stats->max, err);
}

static ReefCode
read_stats(const ReefSegmentFile *file, ReefArena *arena,
		   ReefSegmentMeta *meta, ReefError *err)
{
	const ReefSchema *schema = reef_parquet_reader_schema(file->reader);
	int			i;

	meta->stats = reef_arena_calloc(arena, sizeof(*meta->stats) *
									((size_t) schema->column_count + 1));
	if (meta->stats == NULL)
		return reef_error_no_memory(err, sizeof(*meta->stats));
	for (i = 0; i < schema->column_count; i++)
	{
		const char *name = schema->columns[i].name;

		if (strcmp(name, REEF_LSN_COLUMN) == 0 ||
			strcmp(name, REEF_OP_COLUMN) == 0)
			continue;
		REEF_TRY(merge_stats(file, i, arena, &meta->stats[meta->stats_count],
							 err));
		meta->stats_count++;
	}
	return REEF_OK;
}

/* ---- checksums ---- */

/* Of all bytes, and of those before the footer, which the footer knows. */
static ReefCode
read_all(const ReefSegmentFile *file, ReefNamespace *ns, uint64_t size,
		 uint8_t *chunk, uint32_t *crc, ReefError *err)
{
	const char *stored = reef_parquet_reader_value(file->reader,
												   REEF_PARQUET_KEY_BODY_CRC);
	uint8_t		trailer[TRAILER_SIZE];
	char		body_crc[REEF_PARQUET_CRC_DIGITS + 1];
	uint64_t	body_size;
	uint64_t	offset;
	size_t		count;

	/* the reader has opened it, so the footer has a possible size */
	REEF_TRY(reef_store_get_range(file->store, file->key, size - TRAILER_SIZE,
								  TRAILER_SIZE, trailer, err));
	body_size = size - TRAILER_SIZE - reef_get_u32(trailer);
	body_crc[0] = '\0';
	*crc = 0;
	for (offset = 0; offset < size; offset += count)
	{
		uint64_t	end = offset < body_size ? body_size : size;

		if (ns->host->cancelled(ns->host->arg))
			return reef_error_set(err, REEF_CANCELLED,
								  "reading a segment was cancelled", NULL);
		count = end - offset < READ_SIZE_BYTES ? (size_t) (end - offset) :
			READ_SIZE_BYTES;
		REEF_TRY(reef_store_get_range(file->store, file->key, offset, count,
									  chunk, err));
		*crc = reef_crc32c(*crc, chunk, count);
		if (offset + count == body_size)
			snprintf(body_crc, sizeof(body_crc), "%08x", *crc);
	}
	if (stored == NULL || strcmp(stored, body_crc) != 0)
		return damaged(file, "checksum of its body", err);
	return REEF_OK;
}

ReefCode
reef_segment_describe(ReefNamespace *ns, const uint8_t id[16], uint64_t size,
					  ReefArena *arena, ReefSegmentMeta *meta, ReefError *err)
{
	ReefSegmentFile file;
	uint8_t    *chunk;
	ReefCode	rc;

	memset(meta, 0, sizeof(*meta));
	memcpy(meta->id, id, sizeof(meta->id));
	meta->size = size;
	rc = reef_segment_file_open(ns, id, size, &file, err);
	if (rc != REEF_OK)
		return rc;
	chunk = malloc(READ_SIZE_BYTES);
	if (chunk == NULL)
		rc = reef_error_no_memory(err, READ_SIZE_BYTES);
	if (rc == REEF_OK)
		rc = read_counts(&file, meta, err);
	if (rc == REEF_OK)
		rc = read_all(&file, ns, size, chunk, &meta->crc, err);
	if (rc == REEF_OK)
		rc = read_keys(&file, arena, meta, err);
	if (rc == REEF_OK)
		rc = read_stats(&file, arena, meta, err);
	free(chunk);
	reef_segment_file_close(&file);
	return rc;
}
