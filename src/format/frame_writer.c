/*
 * frame_writer.c
 *	  Encoding one transaction's frame (wal.h has the layout).
 *
 * A backend writes its frame while its transaction runs and knows two of its
 * fields, the row count delta and the number of operations, only at the end.
 * They stand in front at a fixed place and are filled in last, so that the
 * body is written once, into one buffer.  Mistakes of the caller stick until
 * the frame is finished: nothing is added that the reader would refuse.
 */
#include "format/wal.h"

#include <stdlib.h>

#include "base/compress.h"
#include "base/document.h"
#include "format/check.h"

/* Smaller bodies are not worth the time. */
#define COMPRESS_MIN_SIZE 4096
#define COMPRESS_LEVEL 1

/* Places in the body. */
#define ROW_COUNT_DELTA_OFFSET 0
#define OP_COUNT_OFFSET 8

struct ReefFrameWriter
{
	ReefBuf		body;
	ReefBuf		scratch;
	uint32_t	op_count;
	int			column_count;
	ReefError	error;			/* code REEF_OK: none so far */
};

/* Keep the first mistake. */
static void
fail(ReefFrameWriter *writer, ReefCode code, const char *problem)
{
	if (writer->error.code == REEF_OK)
		(void) reef_error_set(&writer->error, code,
							  "cannot write the transaction",
							  "operation %u: %s", writer->op_count, problem);
}

static void
append_schema(ReefBuf *body, const ReefSchema *schema)
{
	int			i;

	reef_buf_append_varint(body, (uint64_t) schema->column_count);
	for (i = 0; i < schema->column_count; i++)
	{
		const ReefColumn *column = &schema->columns[i];
		const ReefType *type = &column->type;
		unsigned	flags = 0;

		if (column->not_null)
			flags |= REEF_COLUMN_NOT_NULL;
		if (column->has_bloom)
			flags |= REEF_COLUMN_BLOOM;
		reef_buf_append_slice(body, reef_slice_of_string(column->name));
		reef_buf_append_u8(body, (uint8_t) type->kind);
		reef_buf_append_u8(body, type->precision);
		reef_buf_append_u8(body, type->scale);
		reef_buf_append_varint(body, (uint64_t) (type->length + INT64_C(1)));
		reef_buf_append_varint(body, (uint64_t) column->key_position);
		reef_buf_append_u8(body, (uint8_t) flags);
		reef_buf_append_slice(body, reef_slice_of_string(
								  type->pg_type == NULL ? "" : type->pg_type));
	}
}

static ReefCode
check_header(const ReefFrameHeader *header, ReefError *err)
{
	int			i;

	if (header->idempotency_key.size > REEF_IDEMPOTENCY_KEY_MAX_SIZE)
		return reef_error_set(err, REEF_LIMIT, "idempotency key is too long",
							  "it has %zu bytes, the limit is %d",
							  header->idempotency_key.size,
							  REEF_IDEMPOTENCY_KEY_MAX_SIZE);
	for (i = 0; i < header->participant_count; i++)
	{
		if (header->participants[i].size == 0 ||
			header->participants[i].size > REEF_NAMESPACE_MAX_SIZE)
			return reef_error_set(err, REEF_INVALID, "invalid namespace name",
								  "participant %d has %zu bytes", i,
								  header->participants[i].size);
	}
	return reef_schema_check(&header->schema, REEF_INVALID, err);
}

ReefCode
reef_frame_writer_new(const ReefFrameHeader *header, ReefFrameWriter **writer,
					  ReefError *err)
{
	ReefFrameWriter *made;
	ReefBuf    *body;
	int			i;

	*writer = NULL;
	REEF_TRY(check_header(header, err));
	made = calloc(1, sizeof(*made));
	if (made == NULL)
		return reef_error_no_memory(err, sizeof(*made));
	made->column_count = header->schema.column_count;
	reef_buf_init(&made->body);
	reef_buf_init(&made->scratch);

	body = &made->body;
	reef_buf_append_u64(body, 0);
	reef_buf_append_u32(body, 0);
	reef_buf_append_u8(body, header->is_coupled ? REEF_FRAME_COUPLED : 0);
	if (header->is_coupled)
	{
		reef_buf_append_u64(body, header->coupling.system_id);
		reef_buf_append_u32(body, header->coupling.timeline);
		reef_buf_append_u64(body, header->coupling.wal_position);
		reef_buf_append_u64(body, header->coupling.full_xid);
	}
	reef_buf_append_varint(body, (uint64_t) header->participant_count);
	for (i = 0; i < header->participant_count; i++)
		reef_buf_append_slice(body, header->participants[i]);
	if (header->participant_count > 0)
		reef_buf_append(body, header->transaction_id,
						sizeof(header->transaction_id));
	reef_buf_append_slice(body, header->idempotency_key);
	append_schema(body, &header->schema);
	*writer = made;
	return REEF_OK;
}

void
reef_frame_writer_free(ReefFrameWriter *writer)
{
	if (writer == NULL)
		return;
	reef_buf_release(&writer->body);
	reef_buf_release(&writer->scratch);
	free(writer);
}

static void
append_key(ReefFrameWriter *writer, ReefSlice key)
{
	if (key.size == 0 || key.size > REEF_KEY_MAX_SIZE)
		fail(writer, REEF_LIMIT, "its key is empty or too large");
	reef_buf_append_slice(&writer->body, key);
}

static void
append_document(ReefFrameWriter *writer, ReefSlice document)
{
	if (document.size > REEF_DOCUMENT_MAX_SIZE)
		fail(writer, REEF_LIMIT, "its document is too large");
	else
		reef_buf_append_slice(&writer->body, document);
}

static void
append_patch_columns(ReefFrameWriter *writer, const ReefOp *op)
{
	uint8_t		seen[REEF_COLUMN_MAX_COUNT] = {0};
	int			i;

	if (op->patch_column_count < 0 ||
		op->patch_column_count > writer->column_count)
	{
		fail(writer, REEF_INVALID, "it changes more columns than there are");
		return;
	}
	reef_buf_append_varint(&writer->body, (uint64_t) op->patch_column_count);
	for (i = 0; i < op->patch_column_count; i++)
	{
		unsigned	column = op->patch_columns[i];

		if (column >= (unsigned) writer->column_count || seen[column] != 0)
		{
			fail(writer, REEF_INVALID, "it changes a column twice or none");
			return;
		}
		seen[column] = 1;
		reef_buf_append_varint(&writer->body, column);
	}
}

/* min and max are a document of two columns of the kind. */
static void
append_stats(ReefFrameWriter *writer, const ReefColumnStats *stats)
{
	ReefBuf    *body = &writer->body;

	reef_buf_append_slice(body, reef_slice_of_string(stats->name));
	reef_buf_append_varint(body, stats->null_count);
	if (stats->has_min_max)
	{
		ReefColumn	columns[2] = {{.name = "min"}, {.name = "max"}};
		ReefValue	values[2];

		columns[0].type.kind = columns[1].type.kind = stats->kind;
		values[0] = stats->min;
		values[1] = stats->max;
		reef_buf_reset(&writer->scratch);
		reef_document_append(&writer->scratch, columns, 2, values);
		if (writer->scratch.failed)
			fail(writer, REEF_NO_MEMORY, "out of memory");
		reef_buf_append_u8(body, (uint8_t) stats->kind);
		reef_buf_append_slice(body, reef_buf_slice(&writer->scratch));
	}
	else
		reef_buf_append_u8(body, 0);
}

static void
append_segment(ReefFrameWriter *writer, const ReefSegmentMeta *meta)
{
	ReefBuf    *body = &writer->body;
	ReefError	err;
	int			i;

	if (reef_segment_meta_check(meta, REEF_INVALID, &err) != REEF_OK)
	{
		fail(writer, REEF_INVALID, err.detail);
		return;
	}
	reef_buf_append(body, meta->id, sizeof(meta->id));
	reef_buf_append_u8(body, (uint8_t) meta->level);
	reef_buf_append_varint(body, meta->row_count);
	reef_buf_append_varint(body, meta->tombstone_count);
	reef_buf_append_varint(body, meta->superseding_count);
	reef_buf_append_slice(body, meta->key_min);
	reef_buf_append_slice(body, meta->key_max);
	reef_buf_append_varint(body, meta->size);
	reef_buf_append_u32(body, meta->crc);
	reef_buf_append_varint(body, (uint64_t) meta->stats_count);
	for (i = 0; i < meta->stats_count; i++)
		append_stats(writer, &meta->stats[i]);
}

void
reef_frame_writer_add(ReefFrameWriter *writer, const ReefOp *op)
{
	ReefBuf    *body = &writer->body;

	if (writer->error.code != REEF_OK)
		return;
	if (op->condition.kind > REEF_CONDITION_EXISTS)
		fail(writer, REEF_INVALID, "its condition does not exist");
	if (writer->op_count == UINT32_MAX)
		fail(writer, REEF_LIMIT, "there are too many");
	reef_buf_append_u8(body, (uint8_t) ((unsigned) op->kind |
										(unsigned) op->condition.kind << 4));
	if (op->condition.kind == REEF_CONDITION_LSN)
		reef_buf_append_varint(body, op->condition.lsn);
	switch (op->kind)
	{
		case REEF_OP_PUT:
			append_document(writer, op->document);
			break;
		case REEF_OP_PATCH:
			append_key(writer, op->key);
			append_patch_columns(writer, op);
			append_document(writer, op->document);
			break;
		case REEF_OP_DELETE:
			append_key(writer, op->key);
			break;
		case REEF_OP_TRUNCATE:
			break;
		case REEF_OP_ATTACH:
			append_segment(writer, op->segment);
			break;
		case REEF_OP_ABORT:
			if (op->abort_frame >= REEF_WAL_MAX_FRAMES)
				fail(writer, REEF_INVALID, "no record has such a frame");
			reef_buf_append_varint(body, op->abort_lsn);
			reef_buf_append_varint(body, op->abort_frame);
			break;
		default:
			fail(writer, REEF_INVALID, "its kind does not exist");
			break;
	}
	writer->op_count++;
}

/*
 * Compress the body onto *out, which ends with the frame's prefix.  False if
 * that does not pay, or pays so much that no reader would believe it.
 */
static ReefCode
compress_body(ReefSlice body, ReefBuf *out, bool *compressed, ReefError *err)
{
	size_t		start = out->size;
	size_t		size;

	*compressed = false;
	if (body.size < COMPRESS_MIN_SIZE)
		return REEF_OK;
	REEF_TRY(reef_compress(REEF_CODEC_ZSTD, COMPRESS_LEVEL, body, out, err));
	size = out->size - start;
	if (size <= body.size - body.size / 10 &&
		body.size <= REEF_FRAME_MAX_EXPANSION(size))
		*compressed = true;
	else
		out->size = start;
	return REEF_OK;
}

ReefCode
reef_frame_writer_finish(ReefFrameWriter *writer, int64_t row_count_delta,
						 ReefBuf *out, ReefError *err)
{
	ReefSlice	body = reef_buf_slice(&writer->body);
	size_t		start = out->size;
	bool		compressed;

	if (writer->error.code != REEF_OK)
	{
		*err = writer->error;
		return err->code;
	}
	REEF_TRY(reef_buf_check(&writer->body, err));
	if (body.size > REEF_FRAME_MAX_SIZE)
		return reef_error_set(err, REEF_LIMIT, "transaction is too large",
							  "its log frame has %zu bytes, the limit is %d",
							  body.size, REEF_FRAME_MAX_SIZE);
	reef_put_u64(writer->body.data + ROW_COUNT_DELTA_OFFSET,
				 (uint64_t) row_count_delta);
	reef_put_u32(writer->body.data + OP_COUNT_OFFSET, writer->op_count);

	reef_buf_append_u8(out, REEF_CODEC_NONE);
	reef_buf_append_u32(out, (uint32_t) body.size);
	REEF_TRY(reef_buf_check(out, err));
	REEF_TRY(compress_body(body, out, &compressed, err));
	if (compressed)
		out->data[start] = REEF_CODEC_ZSTD;
	else
		reef_buf_append(out, body.data, body.size);
	return reef_buf_check(out, err);
}
