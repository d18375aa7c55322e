/*
 * frame_reader.c
 *	  Decoding one transaction's frame (wal.h has the layout).
 *
 * The bytes come from storage.  Their checksum was compared by whoever took
 * the record apart, but a checksum is no proof against a writer's bug, so
 * every length, count, index and kind is checked before it is used, and memory
 * is taken only in proportion to bytes that are there.
 */
#include "format/wal.h"

#include "base/compress.h"
#include "base/document.h"
#include "format/check.h"

#define DAMAGED "WAL frame is damaged"

/* The reader stands behind what it could not use. */
static ReefCode
damaged(const ReefFrameReader *reader, const char *what, ReefError *err)
{
	return reef_error_set(err, REEF_CORRUPT, DAMAGED,
						  "%s before byte %zu of %zu of its body", what,
						  reader->body.offset, reader->body.size);
}

/* Room for "count" elements that the body claims to have; NULL sets *err. */
static void *
allocate(ReefFrameReader *reader, uint64_t count, size_t size, ReefError *err)
{
	void	   *array = reef_arena_calloc(reader->arena,
										  (size_t) count * size);

	if (array == NULL)
		(void) reef_error_no_memory(err, (size_t) count * size);
	return array;
}

/* A string without NUL, copied into the arena. */
static ReefCode
read_string(ReefFrameReader *reader, size_t max_size, const char **string,
			ReefError *err)
{
	ReefSlice	bytes = reef_read_slice(&reader->body);

	if (reader->body.failed || bytes.size > max_size ||
		(bytes.size > 0 && memchr(bytes.data, '\0', bytes.size) != NULL))
		return damaged(reader, "a name", err);
	*string = reef_arena_strndup(reader->arena, bytes.data, bytes.size);
	if (*string == NULL)
		return reef_error_no_memory(err, bytes.size);
	return REEF_OK;
}

/* A count of things that take at least "size" bytes each. */
static ReefCode
read_count(ReefFrameReader *reader, uint64_t limit, size_t size,
		   uint64_t *count, ReefError *err)
{
	*count = reef_read_varint(&reader->body);
	if (reader->body.failed || *count > limit ||
		*count > reef_reader_left(&reader->body) / size)
		return damaged(reader, "a count", err);
	return REEF_OK;
}

static ReefCode
read_column(ReefFrameReader *reader, ReefColumn *column, ReefError *err)
{
	ReefReader *body = &reader->body;
	uint64_t	length;
	uint64_t	key_position;
	unsigned	flags;

	REEF_TRY(read_string(reader, REEF_COLUMN_NAME_MAX_SIZE, &column->name,
						 err));
	column->type.kind = (ReefKind) reef_read_u8(body);
	column->type.precision = reef_read_u8(body);
	column->type.scale = reef_read_u8(body);
	length = reef_read_varint(body);
	key_position = reef_read_varint(body);
	flags = reef_read_u8(body);
	if (body->failed || length > (uint64_t) INT32_MAX + 1 ||
		key_position > REEF_COLUMN_MAX_COUNT ||
		(flags & ~(unsigned) (REEF_COLUMN_NOT_NULL | REEF_COLUMN_BLOOM)) != 0)
		return damaged(reader, "a column", err);
	column->type.length = (int32_t) ((int64_t) length - 1);
	column->key_position = (int) key_position;
	column->not_null = (flags & REEF_COLUMN_NOT_NULL) != 0;
	column->has_bloom = (flags & REEF_COLUMN_BLOOM) != 0;
	REEF_TRY(read_string(reader, REEF_TYPE_NAME_MAX_SIZE,
						 &column->type.pg_type, err));
	if (column->type.pg_type[0] == '\0')
		column->type.pg_type = NULL;
	return REEF_OK;
}

static ReefCode
read_schema(ReefFrameReader *reader, ReefError *err)
{
	ReefSchema *schema = &reader->header.schema;
	uint64_t	count;
	int			i;

	/* a column takes at least 8 bytes */
	REEF_TRY(read_count(reader, REEF_COLUMN_MAX_COUNT, 8, &count, err));
	schema->columns = allocate(reader, count, sizeof(ReefColumn), err);
	if (schema->columns == NULL)
		return err->code;
	schema->column_count = (int) count;
	for (i = 0; i < schema->column_count; i++)
		REEF_TRY(read_column(reader, &schema->columns[i], err));
	return reef_schema_check(schema, REEF_CORRUPT, err);
}

static ReefCode
read_participants(ReefFrameReader *reader, ReefError *err)
{
	ReefSlice  *participants;
	ReefSlice	id;
	uint64_t	count;
	uint64_t	i;

	REEF_TRY(read_count(reader, INT32_MAX, 2, &count, err));
	participants = allocate(reader, count, sizeof(ReefSlice), err);
	if (participants == NULL)
		return err->code;
	for (i = 0; i < count; i++)
	{
		participants[i] = reef_read_slice(&reader->body);
		if (reader->body.failed || participants[i].size == 0 ||
			participants[i].size > REEF_NAMESPACE_MAX_SIZE)
			return damaged(reader, "a participant", err);
	}
	reader->header.participants = participants;
	reader->header.participant_count = (int) count;
	if (count > 0)
	{
		id = reef_read_bytes(&reader->body,
							 sizeof(reader->header.transaction_id));
		if (reader->body.failed)
			return damaged(reader, "the transaction's id", err);
		memcpy(reader->header.transaction_id, id.data, id.size);
	}
	return REEF_OK;
}

static ReefCode
read_header(ReefFrameReader *reader, ReefError *err)
{
	ReefReader *body = &reader->body;
	ReefFrameHeader *header = &reader->header;
	unsigned	flags;

	header->row_count_delta = (int64_t) reef_read_u64(body);
	reader->op_count = reef_read_u32(body);
	flags = reef_read_u8(body);
	if (body->failed || (flags & ~(unsigned) REEF_FRAME_COUPLED) != 0)
		return damaged(reader, "the flags", err);
	header->is_coupled = (flags & REEF_FRAME_COUPLED) != 0;
	if (header->is_coupled)
	{
		header->coupling.system_id = reef_read_u64(body);
		header->coupling.timeline = reef_read_u32(body);
		header->coupling.wal_position = reef_read_u64(body);
		header->coupling.full_xid = reef_read_u64(body);
	}
	REEF_TRY(read_participants(reader, err));
	header->idempotency_key = reef_read_slice(body);
	if (body->failed ||
		header->idempotency_key.size > REEF_IDEMPOTENCY_KEY_MAX_SIZE)
		return damaged(reader, "the idempotency key", err);
	REEF_TRY(read_schema(reader, err));

	/* an operation takes at least one byte */
	if (reader->op_count > reef_reader_left(body))
		return damaged(reader, "more operations than bytes", err);
	return REEF_OK;
}

ReefCode
reef_frame_reader_init(ReefFrameReader *reader, ReefSlice frame,
					   ReefArena *arena, ReefError *err)
{
	ReefReader	prefix;
	unsigned	codec;
	size_t		size;
	ReefSlice	body;
	uint8_t    *raw;

	memset(reader, 0, sizeof(*reader));
	reader->arena = arena;
	reef_reader_init(&prefix, frame);
	codec = reef_read_u8(&prefix);
	size = reef_read_u32(&prefix);
	if (prefix.failed)
		return reef_error_set(err, REEF_CORRUPT, DAMAGED,
							  "it has only %zu bytes", frame.size);
	body = reef_read_bytes(&prefix, reef_reader_left(&prefix));
	if (codec != REEF_CODEC_NONE && codec != REEF_CODEC_ZSTD)
		return reef_error_set(err, REEF_CORRUPT, DAMAGED,
							  "codec %u at byte 0 does not exist", codec);
	if (size > REEF_FRAME_MAX_SIZE ||
		(codec == REEF_CODEC_NONE && size != body.size) ||
		size > REEF_FRAME_MAX_EXPANSION(body.size))
		return reef_error_set(err, REEF_CORRUPT, DAMAGED,
							  "%zu bytes cannot be a body of %zu", body.size,
							  size);
	if (codec != REEF_CODEC_NONE)
	{
		raw = reef_arena_alloc(arena, size);
		if (raw == NULL)
			return reef_error_no_memory(err, size);
		REEF_TRY(reef_decompress((ReefCodec) codec, body, raw, size, err));
		body = reef_slice(raw, size);
	}
	reef_reader_init(&reader->body, body);
	return read_header(reader, err);
}

static ReefCode
read_key(ReefFrameReader *reader, ReefSlice *key, ReefError *err)
{
	*key = reef_read_slice(&reader->body);
	if (reader->body.failed || key->size == 0 ||
		key->size > REEF_KEY_MAX_SIZE)
		return damaged(reader, "a key", err);
	return REEF_OK;
}

static ReefCode
read_document(ReefFrameReader *reader, ReefSlice *document, ReefError *err)
{
	*document = reef_read_slice(&reader->body);
	if (reader->body.failed || document->size > REEF_DOCUMENT_MAX_SIZE)
		return damaged(reader, "a document", err);
	return REEF_OK;
}

static ReefCode
read_patch_columns(ReefFrameReader *reader, ReefOp *op, ReefError *err)
{
	int			column_count = reader->header.schema.column_count;
	uint8_t		seen[REEF_COLUMN_MAX_COUNT] = {0};
	uint16_t   *columns;
	uint64_t	count;
	uint64_t	i;

	REEF_TRY(read_count(reader, (uint64_t) column_count, 1, &count, err));
	columns = allocate(reader, count, sizeof(uint16_t), err);
	if (columns == NULL)
		return err->code;
	for (i = 0; i < count; i++)
	{
		uint64_t	column = reef_read_varint(&reader->body);

		if (reader->body.failed || column >= (uint64_t) column_count ||
			seen[column] != 0)
			return damaged(reader, "a column number", err);
		seen[column] = 1;
		columns[i] = (uint16_t) column;
	}
	op->patch_columns = columns;
	op->patch_column_count = (int) count;
	return REEF_OK;
}

static ReefCode
read_stats(ReefFrameReader *reader, ReefColumnStats *stats, ReefError *err)
{
	ReefColumn	columns[2] = {{.name = "min"}, {.name = "max"}};
	ReefValue	values[2];
	unsigned	kind;
	ReefSlice	document;

	REEF_TRY(read_string(reader, REEF_COLUMN_NAME_MAX_SIZE, &stats->name,
						 err));
	stats->null_count = reef_read_varint(&reader->body);
	kind = reef_read_u8(&reader->body);
	if (reader->body.failed || (kind != 0 && !reef_kind_is_valid(kind)))
		return damaged(reader, "statistics", err);
	if (kind == 0)
		return REEF_OK;
	document = reef_read_slice(&reader->body);
	if (reader->body.failed)
		return damaged(reader, "statistics", err);
	stats->has_min_max = true;
	stats->kind = (ReefKind) kind;
	columns[0].type.kind = columns[1].type.kind = stats->kind;
	REEF_TRY(reef_document_decode(document, columns, 2, values, err));
	stats->min = values[0];
	stats->max = values[1];
	return REEF_OK;
}

static ReefCode
read_segment(ReefFrameReader *reader, ReefOp *op, ReefError *err)
{
	ReefReader *body = &reader->body;
	ReefSegmentMeta *meta;
	ReefSlice	id;
	uint64_t	count;
	uint64_t	i;

	meta = allocate(reader, 1, sizeof(*meta), err);
	if (meta == NULL)
		return err->code;
	id = reef_read_bytes(body, sizeof(meta->id));
	if (id.size == sizeof(meta->id))
		memcpy(meta->id, id.data, sizeof(meta->id));
	meta->level = reef_read_u8(body);
	meta->row_count = reef_read_varint(body);
	meta->tombstone_count = reef_read_varint(body);
	meta->superseding_count = reef_read_varint(body);
	meta->key_min = reef_read_slice(body);
	meta->key_max = reef_read_slice(body);
	meta->size = reef_read_varint(body);
	meta->crc = reef_read_u32(body);
	/* a column's statistics take at least 4 bytes */
	REEF_TRY(read_count(reader, REEF_COLUMN_MAX_COUNT, 4, &count, err));
	meta->stats = allocate(reader, count, sizeof(ReefColumnStats), err);
	if (meta->stats == NULL)
		return err->code;
	for (i = 0; i < count; i++)
		REEF_TRY(read_stats(reader, &meta->stats[i], err));
	meta->stats_count = (int) count;
	op->segment = meta;
	return reef_segment_meta_check(meta, REEF_CORRUPT, err);
}

static ReefCode
read_op(ReefFrameReader *reader, ReefOp *op, ReefError *err)
{
	uint64_t	frame;

	switch (op->kind)
	{
		case REEF_OP_PUT:
			return read_document(reader, &op->document, err);
		case REEF_OP_PATCH:
			REEF_TRY(read_key(reader, &op->key, err));
			REEF_TRY(read_patch_columns(reader, op, err));
			return read_document(reader, &op->document, err);
		case REEF_OP_DELETE:
			return read_key(reader, &op->key, err);
		case REEF_OP_TRUNCATE:
			return REEF_OK;
		case REEF_OP_ATTACH:
			return read_segment(reader, op, err);
		case REEF_OP_ABORT:
			op->abort_lsn = reef_read_varint(&reader->body);
			frame = reef_read_varint(&reader->body);
			if (reader->body.failed || frame >= REEF_WAL_MAX_FRAMES)
				return damaged(reader, "an abort", err);
			op->abort_frame = (uint32_t) frame;
			return REEF_OK;
	}
	return damaged(reader, "an operation that does not exist", err);
}

ReefCode
reef_frame_reader_next(ReefFrameReader *reader, ReefOp *op, ReefError *err)
{
	unsigned	byte;

	memset(op, 0, sizeof(*op));
	if (reader->ops_read == reader->op_count)
	{
		if (reef_reader_left(&reader->body) > 0)
			return damaged(reader, "the last operation ends", err);
		return reef_error_set(err, REEF_NOT_FOUND, "no more operations",
							  NULL);
	}
	byte = reef_read_u8(&reader->body);
	op->kind = (ReefOpKind) (byte & 0x0f);
	op->condition.kind = (ReefConditionKind) (byte >> 4);
	if (op->condition.kind == REEF_CONDITION_LSN)
		op->condition.lsn = reef_read_varint(&reader->body);
	if (reader->body.failed || op->condition.kind > REEF_CONDITION_EXISTS)
		return damaged(reader, "a condition", err);
	REEF_TRY(read_op(reader, op, err));
	reader->ops_read++;
	return REEF_OK;
}
