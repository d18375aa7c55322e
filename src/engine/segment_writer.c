/*
 * segment_writer.c
 *	  Writing a segment: rows in, a Parquet object and its description out.
 *
 * Problem: a fold, a compaction and a bulk load all produce rows one by one, in
 * key order, without an end that is known beforehand.
 *
 * Mechanism: rows are gathered into column vectors of one batch; a full batch
 * goes to the Parquet encoder, whose row groups stream to the store.  Bytes
 * of variable values are copied into chunks that are reused batch by batch.
 *
 * Consequence: memory is one batch plus what the encoder holds (a row group),
 * however many rows there are; and until the end nothing is visible.
 *
 * The columns of the file are the schema's and two of ours at the end,
 * REEF_LSN_COLUMN and REEF_OP_COLUMN.  Footer pairs, all text:
 *
 *	  reef.namespace_id		uuid
 *	  reef.level			0 or 1
 *	  reef.lsn_min, reef.lsn_max	decimal; absent in an attached segment, whose
 *							LSN is its record's
 *	  reef.superseding		how many rows may hide an older one
 *	  reef.tombstones		how many rows are tombstones
 *	  reef.manifest			in the last segment of a job: a copy of the manifest
 *							that the job is going to commit, without this
 *							segment (format/manifest_copy.h)
 *
 * Names, kinds, PostgreSQL types and key positions of the columns are in the
 * pair that the Parquet writer itself adds (parquet/footer.h).
 */
#include "engine/segment.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/document.h"
#include "format/layout.h"
#include "format/manifest_copy.h"
#include "parquet/writer.h"
#include "store/store.h"

/* Bounds in a manifest are no longer than this. */
#define STATS_BOUND_MAX_BYTES 64
#define CHUNK_SIZE_BYTES (64 * 1024)
#define OUR_COLUMNS 2

struct ReefSegmentWriter
{
	ReefArena	arena;			/* lives as long as the writer */
	ReefSchema	schema;			/* the user's columns, then ours */
	int			lsn_column;
	int			op_column;
	int			level;
	bool		lsn_of_rows;
	uint8_t		namespace_id[16];
	uint8_t		id[16];
	ReefStoreWriter *object;
	ReefParquetWriter *parquet;
	uint64_t	written;		/* bytes given to the store */

	/* the batch being filled */
	int			row_count;
	ReefVector *vectors;
	uint8_t   **nulls;
	uint8_t   **values;
	bool	   *has_nulls;
	ReefArena	bytes;
	uint8_t    *chunk;
	size_t		chunk_left;
	size_t		batch_bytes;

	ReefBuf		key_min;
	ReefBuf		key_max;
	uint64_t	rows;
	uint64_t	tombstones;
	uint64_t	superseding;
	uint64_t	lsn_min;
	uint64_t	lsn_max;
	ReefBuf		manifest_copy;	/* text; empty: none */
};

static ReefCode
sink(void *arg, ReefSlice bytes, ReefError *err)
{
	ReefSegmentWriter *writer = arg;

	writer->written += bytes.size;
	return reef_store_write(writer->object, bytes, err);
}

/*
 * The columns of the file.  A single key column gets a bloom filter, which
 * answers most lookups of keys that are not there; of a composite key no
 * single column would say much.
 */
static ReefCode
set_columns(ReefSegmentWriter *writer, const ReefSchema *schema,
			ReefError *err)
{
	static const ReefType int8_type =
	{REEF_KIND_INT64, 0, 0, -1, "bigint"};
	static const ReefType int4_type =
	{REEF_KIND_INT32, 0, 0, -1, "integer"};
	int			count = schema->column_count + OUR_COLUMNS;
	ReefSchema	wide;
	ReefColumn *columns;
	int			i;

	columns = reef_arena_calloc(&writer->arena,
								sizeof(ReefColumn) * (size_t) count);
	if (columns == NULL)
		return reef_error_no_memory(err, sizeof(ReefColumn) * (size_t) count);
	memcpy(columns, schema->columns,
		   sizeof(ReefColumn) * (size_t) schema->column_count);
	for (i = 0; i < schema->column_count; i++)
	{
		/* the file's columns are all optional: tombstones have no values */
		columns[i].not_null = false;
		if (columns[i].key_position > 0)
			columns[i].has_bloom = reef_schema_key_count(schema) == 1;
	}
	writer->lsn_column = schema->column_count;
	columns[writer->lsn_column].name = REEF_LSN_COLUMN;
	columns[writer->lsn_column].type = int8_type;
	writer->op_column = schema->column_count + 1;
	columns[writer->op_column].name = REEF_OP_COLUMN;
	columns[writer->op_column].type = int4_type;
	wide.column_count = count;
	wide.columns = columns;
	return reef_schema_copy(&writer->arena, &wide, &writer->schema, err);
}

static ReefCode
set_vectors(ReefSegmentWriter *writer, ReefError *err)
{
	size_t		count = (size_t) writer->schema.column_count;
	size_t		i;

	writer->vectors = reef_arena_calloc(&writer->arena,
										sizeof(ReefVector) * count);
	writer->nulls = reef_arena_calloc(&writer->arena,
									  sizeof(uint8_t *) * count);
	writer->values = reef_arena_calloc(&writer->arena,
									   sizeof(uint8_t *) * count);
	writer->has_nulls = reef_arena_calloc(&writer->arena, count);
	if (writer->vectors == NULL || writer->nulls == NULL ||
		writer->values == NULL || writer->has_nulls == NULL)
		return reef_error_no_memory(err, sizeof(ReefVector) * count);
	for (i = 0; i < count; i++)
	{
		ReefKind	kind = writer->schema.columns[i].type.kind;
		size_t		size = (size_t) reef_vector_element_size(kind) *
			REEF_BATCH_MAX_ROWS;

		writer->values[i] = reef_arena_calloc(&writer->arena, size);
		writer->nulls[i] = reef_arena_calloc(&writer->arena,
											 REEF_BATCH_MAX_ROWS);
		if (writer->values[i] == NULL || writer->nulls[i] == NULL)
			return reef_error_no_memory(err, size);
		writer->vectors[i].kind = kind;
		writer->vectors[i].values = writer->values[i];
	}
	return REEF_OK;
}

static ReefCode
open_object(ReefSegmentWriter *writer, ReefStore *store, const char *prefix,
			const ReefEngineSettings *settings, ReefError *err)
{
	const ReefHost *host = reef_store_host(store);
	ReefParquetWriterOptions options;
	uint8_t		random[10];
	char		key[REEF_OBJECT_KEY_SIZE];

	host->random(host->arg, random, sizeof(random));
	reef_uuid_v7(host->now_us(host->arg), random, writer->id);
	reef_layout_segment_key(prefix, writer->id, key);

	reef_parquet_writer_options_init(&options);
	options.compression = (ReefCompression) settings->compression;
	options.compression_level = settings->compression_level;
	REEF_TRY(reef_parquet_writer_new(&options, writer->schema.columns,
									 writer->schema.column_count, sink, writer,
									 &writer->parquet, err));
	REEF_TRY(reef_store_write_begin(store, key, &writer->object, err));
	reef_store_write_keep(writer->object);
	return REEF_OK;
}

ReefCode
reef_segment_writer_new(ReefStore *store, const char *prefix,
						const ReefEngineSettings *settings,
						const uint8_t namespace_id[16],
						const ReefSchema *schema, int level, bool lsn_of_rows,
						ReefSegmentWriter **result, ReefError *err)
{
	ReefSegmentWriter *writer = calloc(1, sizeof(*writer));
	ReefCode	rc;

	*result = NULL;
	if (writer == NULL)
		return reef_error_no_memory(err, sizeof(*writer));
	reef_arena_init(&writer->arena, 0);
	reef_arena_init(&writer->bytes, 0);
	reef_buf_init(&writer->key_min);
	reef_buf_init(&writer->key_max);
	reef_buf_init(&writer->manifest_copy);
	writer->level = level;
	writer->lsn_of_rows = lsn_of_rows;
	writer->lsn_min = UINT64_MAX;
	memcpy(writer->namespace_id, namespace_id, sizeof(writer->namespace_id));

	rc = set_columns(writer, schema, err);
	if (rc == REEF_OK)
		rc = set_vectors(writer, err);
	if (rc == REEF_OK)
		rc = open_object(writer, store, prefix, settings, err);
	if (rc != REEF_OK)
	{
		reef_segment_writer_abort(writer);
		return rc;
	}
	*result = writer;
	return REEF_OK;
}

static void
free_writer(ReefSegmentWriter *writer)
{
	reef_parquet_writer_free(writer->parquet);
	reef_arena_release(&writer->arena);
	reef_arena_release(&writer->bytes);
	reef_buf_release(&writer->key_min);
	reef_buf_release(&writer->key_max);
	reef_buf_release(&writer->manifest_copy);
	free(writer);
}

void
reef_segment_writer_abort(ReefSegmentWriter *writer)
{
	if (writer == NULL)
		return;
	reef_store_write_abort(writer->object);
	free_writer(writer);
}

/* Give the gathered rows to the encoder. */
static ReefCode
flush_batch(ReefSegmentWriter *writer, ReefError *err)
{
	ReefBatch	batch;
	int			i;

	if (writer->row_count == 0)
		return REEF_OK;
	for (i = 0; i < writer->schema.column_count; i++)
		writer->vectors[i].nulls =
			writer->has_nulls[i] ? writer->nulls[i] : NULL;
	memset(&batch, 0, sizeof(batch));
	batch.row_count = writer->row_count;
	batch.column_count = writer->schema.column_count;
	batch.columns = writer->vectors;
	REEF_TRY(reef_parquet_writer_append(writer->parquet, &batch, err));

	for (i = 0; i < writer->schema.column_count; i++)
	{
		if (writer->has_nulls[i])
			memset(writer->nulls[i], 0, REEF_BATCH_MAX_ROWS);
		writer->has_nulls[i] = false;
	}
	writer->row_count = 0;
	writer->batch_bytes = 0;
	reef_arena_reset(&writer->bytes);
	writer->chunk_left = 0;
	return REEF_OK;
}

static bool
copy_bytes(ReefSegmentWriter *writer, ReefSlice bytes, ReefSlice *copy)
{
	uint8_t    *place;

	if (bytes.size > CHUNK_SIZE_BYTES / 4)
		place = reef_arena_alloc(&writer->bytes, bytes.size);
	else
	{
		/* An empty value, too, needs a place: none would mean no memory. */
		if (writer->chunk == NULL || bytes.size > writer->chunk_left)
		{
			writer->chunk = reef_arena_alloc(&writer->bytes, CHUNK_SIZE_BYTES);
			writer->chunk_left = writer->chunk == NULL ? 0 : CHUNK_SIZE_BYTES;
		}
		place = writer->chunk;
		if (place != NULL)
		{
			writer->chunk += bytes.size;
			writer->chunk_left -= bytes.size;
		}
	}
	if (place == NULL)
		return false;
	if (bytes.size > 0)
		memcpy(place, bytes.data, bytes.size);
	*copy = reef_slice(place, bytes.size);
	writer->batch_bytes += bytes.size;
	return true;
}

static void
set_null(ReefSegmentWriter *writer, int column)
{
	writer->nulls[column][writer->row_count] = 1;
	writer->has_nulls[column] = true;
}

static ReefCode
set_value(ReefSegmentWriter *writer, int column, const ReefValue *value,
		  ReefError *err)
{
	ReefKind	kind = writer->vectors[column].kind;
	size_t		width = (size_t) reef_vector_element_size(kind);
	uint8_t    *place = writer->values[column] +
		(size_t) writer->row_count * width;

	if (value->is_null)
		set_null(writer, column);
	else if (reef_kind_is_variable(kind))
	{
		ReefSlice	copy;

		if (!copy_bytes(writer, value->as.bytes, &copy))
			return reef_error_no_memory(err, value->as.bytes.size);
		memcpy(place, &copy, sizeof(copy));
	}
	else if (kind == REEF_KIND_BOOL)
		*place = value->as.boolean;
	else
		memcpy(place, &value->as, width);
	return REEF_OK;
}

/* Remember the key: the last one is the segment's highest. */
static ReefCode
add_key(ReefSegmentWriter *writer, ReefSlice key, ReefError *err)
{
	if (writer->rows == 0)
	{
		reef_buf_append(&writer->key_min, key.data, key.size);
		REEF_TRY(reef_buf_check(&writer->key_min, err));
	}
	else if (reef_slice_compare(reef_buf_slice(&writer->key_max), key) >= 0)
		return reef_error_set(err, REEF_BUG,
							  "rows of a segment are not in key order",
							  "row %" PRIu64, writer->rows);
	reef_buf_reset(&writer->key_max);
	reef_buf_append(&writer->key_max, key.data, key.size);
	return reef_buf_check(&writer->key_max, err);
}

ReefCode
reef_segment_writer_add(ReefSegmentWriter *writer, ReefSlice key, uint64_t lsn,
						bool is_tombstone, bool is_superseding,
						const ReefValue *values, ReefError *err)
{
	ReefValue	ours;
	int			i;

	REEF_TRY(add_key(writer, key, err));
	for (i = 0; i < writer->schema.column_count - OUR_COLUMNS; i++)
		REEF_TRY(set_value(writer, i, &values[i], err));
	memset(&ours, 0, sizeof(ours));
	if (writer->lsn_of_rows)
	{
		ours.as.int64 = (int64_t) lsn;
		REEF_TRY(set_value(writer, writer->lsn_column, &ours, err));
		if (lsn < writer->lsn_min)
			writer->lsn_min = lsn;
		if (lsn > writer->lsn_max)
			writer->lsn_max = lsn;
	}
	else
		set_null(writer, writer->lsn_column);
	ours.as.int32 = is_tombstone ? 1 : 0;
	REEF_TRY(set_value(writer, writer->op_column, &ours, err));

	writer->rows++;
	writer->tombstones += is_tombstone;
	writer->superseding += is_superseding;
	writer->row_count++;
	if (writer->row_count == REEF_BATCH_MAX_ROWS)
		return flush_batch(writer, err);
	return REEF_OK;
}

uint64_t
reef_segment_writer_size(const ReefSegmentWriter *writer)
{
	return writer->written + reef_parquet_writer_memory(writer->parquet) +
		writer->batch_bytes;
}

ReefCode
reef_segment_writer_set_manifest(ReefSegmentWriter *writer,
								 const ReefManifest *copy, bool *is_carried,
								 ReefError *err)
{
	reef_buf_reset(&writer->manifest_copy);
	return reef_manifest_copy_encode(copy, &writer->manifest_copy, is_carried,
									 err);
}

/* Where the last whole character of text that fits into "size" bytes ends. */
static size_t
character_end(ReefSlice bytes, size_t size)
{
	while (size > 0 && (bytes.data[size] & 0xc0) == 0x80)
		size--;
	return size;
}

/*
 * Cut a bound to STATS_BOUND_MAX_BYTES.  A prefix is a lower bound as it is.
 * An upper bound needs a prefix that is above: of bytes, the last one that can
 * grow; of text, the last character below 7F, so that it stays text.  If there
 * is none there is no bound.
 */
static ReefCode
cut_bound(ReefArena *arena, ReefKind kind, bool is_max, ReefValue *bound,
		  bool *exists, ReefError *err)
{
	bool		is_text = kind != REEF_KIND_BYTES;
	uint8_t		last = is_text ? 0x7e : 0xfe;
	ReefSlice	bytes = bound->as.bytes;
	size_t		size = bytes.size;
	uint8_t    *copy;

	*exists = true;
	if (size > STATS_BOUND_MAX_BYTES)
	{
		size = STATS_BOUND_MAX_BYTES;
		if (is_text)
			size = character_end(bytes, size);
		while (is_max && size > 0 && bytes.data[size - 1] > last)
			size--;
		*exists = size > 0;
	}
	copy = reef_arena_alloc(arena, size + 1);
	if (copy == NULL)
		return reef_error_no_memory(err, size + 1);
	if (size > 0)
		memcpy(copy, bytes.data, size);
	if (is_max && bytes.size > STATS_BOUND_MAX_BYTES && size > 0)
		copy[size - 1]++;
	bound->as.bytes = reef_slice(copy, size);
	return REEF_OK;
}

static ReefCode
fill_stats(const ReefSegmentWriter *writer, const ReefParquetSummary *summary,
		   ReefArena *arena, ReefSegmentMeta *meta, ReefError *err)
{
	int			count = writer->schema.column_count - OUR_COLUMNS;
	int			i;

	meta->stats_count = count;
	meta->stats = reef_arena_calloc(arena,
									sizeof(ReefColumnStats) *
									(size_t) (count + 1));
	if (meta->stats == NULL)
		return reef_error_no_memory(err, sizeof(ReefColumnStats));
	for (i = 0; i < count; i++)
	{
		const ReefParquetColumnSummary *column = &summary->columns[i];
		ReefKind	kind = writer->schema.columns[i].type.kind;
		ReefColumnStats *stats = &meta->stats[i];
		bool		has_min = true;
		bool		has_max = true;

		stats->name = reef_arena_strdup(arena, writer->schema.columns[i].name);
		if (stats->name == NULL)
			return reef_error_no_memory(err, 0);
		stats->null_count = column->null_count;
		stats->has_min_max = column->has_min_max;
		if (!column->has_min_max)
			continue;
		stats->kind = kind;
		stats->min = column->min;
		stats->max = column->max;
		if (!reef_kind_is_variable(kind))
			continue;
		REEF_TRY(cut_bound(arena, kind, false, &stats->min, &has_min, err));
		REEF_TRY(cut_bound(arena, kind, true, &stats->max, &has_max, err));
		stats->has_min_max = has_min && has_max;
	}
	return REEF_OK;
}

static ReefCode
write_footer(ReefSegmentWriter *writer, ReefParquetSummary *summary,
			 ReefError *err)
{
	ReefParquetKeyValue pairs[7];
	char		id[37];
	char		numbers[4][24];
	char		level[12];
	int			count = 0;

	reef_uuid_format(writer->namespace_id, id);
	snprintf(level, sizeof(level), "%d", writer->level);
	snprintf(numbers[0], sizeof(numbers[0]), "%" PRIu64, writer->superseding);
	snprintf(numbers[1], sizeof(numbers[1]), "%" PRIu64, writer->tombstones);
	snprintf(numbers[2], sizeof(numbers[2]), "%" PRIu64, writer->lsn_min);
	snprintf(numbers[3], sizeof(numbers[3]), "%" PRIu64, writer->lsn_max);
	pairs[count++] = (ReefParquetKeyValue) {"reef.namespace_id", id};
	pairs[count++] = (ReefParquetKeyValue) {"reef.level", level};
	pairs[count++] = (ReefParquetKeyValue) {"reef.superseding", numbers[0]};
	pairs[count++] = (ReefParquetKeyValue) {"reef.tombstones", numbers[1]};
	if (writer->lsn_of_rows)
	{
		pairs[count++] = (ReefParquetKeyValue) {"reef.lsn_min", numbers[2]};
		pairs[count++] = (ReefParquetKeyValue) {"reef.lsn_max", numbers[3]};
	}
	if (writer->manifest_copy.size > 0)
		pairs[count++] = (ReefParquetKeyValue) {
			REEF_MANIFEST_COPY_PAIR,
			(const char *) writer->manifest_copy.data
		};
	return reef_parquet_writer_finish(writer->parquet, pairs, count, summary,
									  err);
}

static ReefCode
fill_meta(const ReefSegmentWriter *writer, const ReefParquetSummary *summary,
		  ReefArena *arena, ReefSegmentMeta *meta, ReefError *err)
{
	memset(meta, 0, sizeof(*meta));
	memcpy(meta->id, writer->id, sizeof(meta->id));
	meta->level = writer->level;
	meta->row_count = writer->rows;
	meta->tombstone_count = writer->tombstones;
	meta->superseding_count = writer->superseding;
	meta->key_min = reef_arena_copy(arena, reef_buf_slice(&writer->key_min));
	meta->key_max = reef_arena_copy(arena, reef_buf_slice(&writer->key_max));
	if (meta->key_min.size != writer->key_min.size ||
		meta->key_max.size != writer->key_max.size)
		return reef_error_no_memory(err, writer->key_max.size);
	if (writer->lsn_of_rows)
	{
		meta->lsn_min = writer->lsn_min;
		meta->lsn_max = writer->lsn_max;
	}
	meta->size = summary->size;
	meta->crc = summary->crc;
	return fill_stats(writer, summary, arena, meta, err);
}

ReefCode
reef_segment_writer_finish(ReefSegmentWriter *writer, ReefArena *arena,
						   ReefSegmentMeta *meta, ReefError *err)
{
	ReefParquetSummary summary;
	ReefCode	rc = REEF_OK;

	if (writer->rows == 0)
		rc = reef_error_set(err, REEF_BUG, "a segment has no rows", NULL);
	if (rc == REEF_OK)
		rc = flush_batch(writer, err);
	if (rc == REEF_OK)
		rc = write_footer(writer, &summary, err);
	if (rc == REEF_OK)
		rc = fill_meta(writer, &summary, arena, meta, err);
	if (rc != REEF_OK)
	{
		reef_segment_writer_abort(writer);
		return rc;
	}
	rc = reef_store_write_commit(writer->object, err);
	writer->object = NULL;
	free_writer(writer);
	return rc;
}
