/*
 * test_frame.c
 *	  Frames: what was added comes back, and damaged bodies are refused without
 *	  taking memory for what they claim.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compress.h"
#include "base/document.h"
#include "format/wal.h"

#define MAX_COLUMNS 12
#define MAX_OPS 40

static ReefSlice
random_bytes(ReefArena *arena, size_t min, size_t max)
{
	size_t		size = min + unit_random_below(max - min + 1);
	uint8_t    *bytes = reef_arena_alloc(arena, size);
	bool		is_flat = unit_random_below(2) == 0;
	size_t		i;

	for (i = 0; i < size; i++)
		bytes[i] = is_flat ? 7 : (uint8_t) unit_random();
	return reef_slice(bytes, size);
}

static void
random_type(ReefType *type)
{
	memset(type, 0, sizeof(*type));
	type->kind = (ReefKind) (1 + unit_random_below(REEF_KIND_MAX));
	type->length = (int32_t) unit_random_below(3) - 1;
	if (type->kind == REEF_KIND_DECIMAL64)
		type->precision = (uint8_t) (1 + unit_random_below(18));
	else if (type->kind == REEF_KIND_DECIMAL128)
		type->precision = (uint8_t) (19 + unit_random_below(20));
	if (type->precision > 0)
		type->scale = (uint8_t) unit_random_below(type->precision + 1u);
	if (unit_random_below(3) > 0)
		type->pg_type = unit_random_below(2) > 0 ? "text" : "\"S\".\"t\"[]";
}

static void
random_schema(ReefArena *arena, ReefSchema *schema)
{
	int			key_count = 0;
	int			i;

	schema->column_count = (int) unit_random_below(MAX_COLUMNS + 1);
	schema->columns = reef_arena_calloc(arena, sizeof(ReefColumn) *
										MAX_COLUMNS);
	for (i = 0; i < schema->column_count; i++)
	{
		ReefColumn *column = &schema->columns[i];
		char		name[20];

		snprintf(name, sizeof(name), "c\303\244%d", i);
		column->name = reef_arena_strdup(arena, name);
		random_type(&column->type);
		if (reef_key_kind_is_allowed(column->type.kind) &&
			unit_random_below(3) == 0)
			column->key_position = ++key_count;
		column->not_null = unit_random_below(2) > 0;
		column->has_bloom = unit_random_below(2) > 0;
	}
}

static const ReefSegmentMeta *
random_segment(ReefArena *arena)
{
	ReefSegmentMeta *meta = reef_arena_calloc(arena, sizeof(*meta));
	ReefSlice	id = random_bytes(arena, 16, 16);
	int			i;

	memcpy(meta->id, id.data, 16);
	meta->row_count = unit_random_below(UINT64_C(1) << 40);
	meta->tombstone_count = unit_random_below(meta->row_count + 1);
	meta->superseding_count = unit_random_below(meta->row_count + 1);
	meta->key_min = random_bytes(arena, 1, 40);
	meta->key_max = random_bytes(arena, 1, 40);
	if (reef_slice_compare(meta->key_min, meta->key_max) > 0)
		meta->key_min = meta->key_max;
	meta->size = unit_random_below(UINT64_C(1) << 50);
	meta->crc = (uint32_t) unit_random();
	meta->stats_count = (int) unit_random_below(3);
	meta->stats = reef_arena_calloc(arena, 3 * sizeof(ReefColumnStats));
	for (i = 0; i < meta->stats_count; i++)
	{
		ReefColumnStats *stats = &meta->stats[i];

		stats->name = i == 0 ? "a" : "b";
		stats->null_count = unit_random_below(meta->row_count + 1);
		stats->has_min_max = unit_random_below(4) > 0;
		if (!stats->has_min_max)
			continue;
		stats->kind = i == 0 ? REEF_KIND_BYTES : REEF_KIND_DECIMAL128;
		if (i == 0)
			stats->min.as.bytes = stats->max.as.bytes =
				random_bytes(arena, 0, 20);
		else
		{
			stats->min.as.int128 = -(ReefInt128) unit_random() * 12345;
			stats->max.as.int128 = REEF_DECIMAL128_NAN;
		}
	}
	return meta;
}

static void
random_op(ReefArena *arena, int column_count, ReefOp *op)
{
	uint16_t   *columns;
	int			i;

	memset(op, 0, sizeof(*op));
	op->kind = (ReefOpKind) (1 + unit_random_below(6));
	op->condition.kind = (ReefConditionKind) unit_random_below(4);
	if (op->condition.kind == REEF_CONDITION_LSN)
		op->condition.lsn = unit_random() >> unit_random_below(64);
	if (op->kind == REEF_OP_PUT || op->kind == REEF_OP_PATCH)
		op->document = random_bytes(arena, 0, 600);
	if (op->kind == REEF_OP_PATCH || op->kind == REEF_OP_DELETE)
		op->key = random_bytes(arena, 1, 100);
	if (op->kind == REEF_OP_PATCH)
	{
		op->patch_column_count =
			(int) unit_random_below((uint64_t) column_count + 1);
		columns = reef_arena_alloc(arena, sizeof(*columns) * MAX_COLUMNS);
		/* every order is allowed: here it is descending */
		for (i = 0; i < op->patch_column_count; i++)
			columns[i] = (uint16_t) (column_count - 1 - i);
		op->patch_columns = columns;
	}
	if (op->kind == REEF_OP_ATTACH)
		op->segment = random_segment(arena);
	if (op->kind == REEF_OP_ABORT)
	{
		op->abort_lsn = unit_random();
		op->abort_frame = (uint32_t) unit_random_below(REEF_WAL_MAX_FRAMES);
	}
}

static void
random_header(ReefArena *arena, ReefFrameHeader *header)
{
	ReefSlice  *participants;
	ReefSlice	id = random_bytes(arena, 16, 16);
	int			i;

	memset(header, 0, sizeof(*header));
	header->is_coupled = unit_random_below(2) > 0;
	if (header->is_coupled)
		header->coupling = (ReefCoupling) {
			unit_random(), (uint32_t) unit_random(), unit_random(),
			unit_random()
		};
	header->participant_count = (int) unit_random_below(3);
	participants = reef_arena_alloc(arena, 3 * sizeof(ReefSlice));
	for (i = 0; i < header->participant_count; i++)
		participants[i] = random_bytes(arena, 1, REEF_NAMESPACE_MAX_SIZE);
	header->participants = participants;
	if (header->participant_count > 0)
		memcpy(header->transaction_id, id.data, 16);
	header->idempotency_key = random_bytes(arena, 0, 50);
	header->row_count_delta = (int64_t) unit_random();
	random_schema(arena, &header->schema);
}

static void
write_frame(const ReefFrameHeader *header, const ReefOp *ops, int count,
			ReefBuf *out)
{
	ReefFrameWriter *writer;
	ReefError	err;
	int			i;

	UNIT_OK(reef_frame_writer_new(header, &writer, &err), &err);
	for (i = 0; i < count; i++)
		reef_frame_writer_add(writer, &ops[i]);
	UNIT_OK(reef_frame_writer_finish(writer, header->row_count_delta, out,
									 &err), &err);
	reef_frame_writer_free(writer);
}

static void
check_string(const char *actual, const char *expected)
{
	UNIT_EQUAL_STRING(actual, expected);
}

static void
check_schema(const ReefSchema *actual, const ReefSchema *expected)
{
	int			i;

	UNIT_EQUAL_INT(actual->column_count, expected->column_count);
	for (i = 0; i < actual->column_count; i++)
	{
		const ReefColumn *a = &actual->columns[i];
		const ReefColumn *e = &expected->columns[i];

		check_string(a->name, e->name);
		UNIT_EQUAL_INT(a->type.kind, e->type.kind);
		UNIT_EQUAL_INT(a->type.precision, e->type.precision);
		UNIT_EQUAL_INT(a->type.scale, e->type.scale);
		UNIT_EQUAL_INT(a->type.length, e->type.length);
		check_string(a->type.pg_type, e->type.pg_type);
		UNIT_EQUAL_INT(a->key_position, e->key_position);
		UNIT_EQUAL_INT(a->not_null, e->not_null);
		UNIT_EQUAL_INT(a->has_bloom, e->has_bloom);
	}
}

static void
check_header(const ReefFrameHeader *actual, const ReefFrameHeader *expected)
{
	int			i;

	UNIT_EQUAL_INT(actual->is_coupled, expected->is_coupled);
	UNIT_EQUAL_INT(actual->coupling.system_id, expected->coupling.system_id);
	UNIT_EQUAL_INT(actual->coupling.timeline, expected->coupling.timeline);
	UNIT_EQUAL_INT(actual->coupling.wal_position,
				   expected->coupling.wal_position);
	UNIT_EQUAL_INT(actual->coupling.full_xid, expected->coupling.full_xid);
	UNIT_EQUAL_INT(actual->participant_count, expected->participant_count);
	for (i = 0; i < actual->participant_count; i++)
		UNIT_EQUAL_BYTES(actual->participants[i], expected->participants[i]);
	UNIT_EQUAL_BYTES(reef_slice(actual->transaction_id, 16),
					 reef_slice(expected->transaction_id, 16));
	UNIT_EQUAL_BYTES(actual->idempotency_key, expected->idempotency_key);
	UNIT_EQUAL_INT(actual->row_count_delta, expected->row_count_delta);
	check_schema(&actual->schema, &expected->schema);
}

static void
check_segment(const ReefSegmentMeta *actual, const ReefSegmentMeta *expected)
{
	int			i;

	UNIT_EQUAL_BYTES(reef_slice(actual->id, 16), reef_slice(expected->id, 16));
	UNIT_EQUAL_INT(actual->level, expected->level);
	UNIT_EQUAL_INT(actual->row_count, expected->row_count);
	UNIT_EQUAL_INT(actual->tombstone_count, expected->tombstone_count);
	UNIT_EQUAL_INT(actual->superseding_count, expected->superseding_count);
	UNIT_EQUAL_BYTES(actual->key_min, expected->key_min);
	UNIT_EQUAL_BYTES(actual->key_max, expected->key_max);
	UNIT_EQUAL_INT(actual->size, expected->size);
	UNIT_EQUAL_INT(actual->crc, expected->crc);
	UNIT_EQUAL_INT(actual->stats_count, expected->stats_count);
	for (i = 0; i < actual->stats_count; i++)
	{
		const ReefColumnStats *a = &actual->stats[i];
		const ReefColumnStats *e = &expected->stats[i];

		check_string(a->name, e->name);
		UNIT_EQUAL_INT(a->null_count, e->null_count);
		UNIT_EQUAL_INT(a->has_min_max, e->has_min_max);
		UNIT_EQUAL_INT(a->kind, e->kind);
		if (a->has_min_max)
		{
			UNIT_EQUAL_INT(reef_value_compare(a->kind, &a->min, &e->min), 0);
			UNIT_EQUAL_INT(reef_value_compare(a->kind, &a->max, &e->max), 0);
		}
	}
}

static void
check_op(const ReefOp *actual, const ReefOp *expected)
{
	int			i;

	UNIT_EQUAL_INT(actual->kind, expected->kind);
	UNIT_EQUAL_INT(actual->condition.kind, expected->condition.kind);
	UNIT_EQUAL_INT(actual->condition.lsn, expected->condition.lsn);
	UNIT_EQUAL_BYTES(actual->key, expected->key);
	UNIT_EQUAL_BYTES(actual->document, expected->document);
	UNIT_EQUAL_INT(actual->patch_column_count, expected->patch_column_count);
	for (i = 0; i < actual->patch_column_count; i++)
		UNIT_EQUAL_INT(actual->patch_columns[i], expected->patch_columns[i]);
	UNIT_EQUAL_INT(actual->segment != NULL, expected->segment != NULL);
	if (actual->segment != NULL)
		check_segment(actual->segment, expected->segment);
	UNIT_EQUAL_INT(actual->abort_lsn, expected->abort_lsn);
	UNIT_EQUAL_INT(actual->abort_frame, expected->abort_frame);
}

UNIT_TEST(test_frame__any_transaction_comes_back_as_it_was)
{
	static ReefArena arena;
	static ReefBuf frame;
	ReefFrameHeader header;
	ReefFrameReader reader;
	ReefOp		ops[MAX_OPS];
	ReefOp		op;
	ReefError	err;
	int			round;
	int			compressed = 0;

	reef_buf_init(&frame);
	reef_arena_init(&arena, 0);
	for (round = 0; round < 400; round++)
	{
		int			count = (int) unit_random_below(MAX_OPS + 1);
		int			i;

		random_header(&arena, &header);
		for (i = 0; i < count; i++)
			random_op(&arena, header.schema.column_count, &ops[i]);
		reef_buf_reset(&frame);
		write_frame(&header, ops, count, &frame);
		compressed += frame.data[0] == REEF_CODEC_ZSTD;

		UNIT_OK(reef_frame_reader_init(&reader, reef_buf_slice(&frame),
									   &arena, &err), &err);
		check_header(&reader.header, &header);
		UNIT_EQUAL_INT(reader.op_count, count);
		for (i = 0; i < count; i++)
		{
			UNIT_OK(reef_frame_reader_next(&reader, &op, &err), &err);
			check_op(&op, &ops[i]);
		}
		UNIT_CODE(reef_frame_reader_next(&reader, &op, &err), REEF_NOT_FOUND,
				  &err);
		reef_arena_reset(&arena);
	}
	UNIT_CHECK(compressed > 50);
	UNIT_CHECK(compressed < 350);
	reef_arena_release(&arena);
	reef_buf_release(&frame);
}

/* Read everything; the code that ended it. */
static ReefCode
read_all(ReefSlice frame, ReefArena *arena, ReefError *err)
{
	ReefFrameReader reader;
	ReefOp		op;
	ReefCode	rc = reef_frame_reader_init(&reader, frame, arena, err);

	while (rc == REEF_OK)
		rc = reef_frame_reader_next(&reader, &op, err);
	return rc;
}

UNIT_TEST(test_frame__every_truncation_is_damage_and_any_byte_is_survived)
{
	static ReefArena arena;
	static ReefBuf frame;
	ReefFrameHeader header;
	ReefOp		ops[MAX_OPS];
	ReefError	err;
	int			round;
	size_t		i;

	reef_buf_init(&frame);
	reef_arena_init(&arena, 64 * 1024 * 1024);
	for (round = 0; round < 12; round++)
	{
		int			count = round < 6 ? 4 : MAX_OPS;
		ReefArena	source;

		reef_arena_init(&source, 0);
		random_header(&source, &header);
		for (i = 0; i < (size_t) count; i++)
			random_op(&source, header.schema.column_count, &ops[i]);
		reef_buf_reset(&frame);
		write_frame(&header, ops, count, &frame);
		reef_arena_release(&source);

		for (i = 0; i < frame.size; i++)
		{
			/* its own allocation, so that a read behind its end is seen */
			uint8_t    *cut = malloc(i);
			ReefCode	rc;

			memcpy(cut, frame.data, i);
			rc = read_all(reef_slice(cut, i), &arena, &err);
			free(cut);
			UNIT_CODE(rc, REEF_CORRUPT, &err);
			reef_arena_reset(&arena);
		}
		/* no checksum protects a bare frame: wrong is allowed, unsafe is not */
		for (i = 0; i < frame.size; i++)
		{
			uint8_t		byte = frame.data[i];
			ReefCode	rc;

			frame.data[i] = (uint8_t) unit_random();
			rc = read_all(reef_buf_slice(&frame), &arena, &err);
			UNIT_CHECK(rc == REEF_CORRUPT || rc == REEF_NOT_FOUND);
			frame.data[i] = byte;
			reef_arena_reset(&arena);
		}
	}
	reef_arena_release(&arena);
	reef_buf_release(&frame);
}

/* A frame with this body must be damage, and cost next to no memory. */
static void
check_hostile(const ReefBuf *body, uint32_t raw_size, uint8_t codec)
{
	ReefArena	arena;
	ReefBuf		frame;
	ReefError	err;
	ReefCode	rc;
	size_t		used;

	reef_arena_init(&arena, 0);
	reef_buf_init(&frame);
	reef_buf_append_u8(&frame, codec);
	reef_buf_append_u32(&frame, raw_size);
	reef_buf_append(&frame, body->data, body->size);
	rc = read_all(reef_buf_slice(&frame), &arena, &err);
	used = arena.size;
	reef_arena_release(&arena);
	reef_buf_release(&frame);
	UNIT_CODE(rc, REEF_CORRUPT, &err);
	UNIT_CHECK(used < 200000);
}

/* A body as far as its flags: row count delta, operations, flags */
static void
start_body(ReefBuf *body, uint32_t op_count, uint8_t flags)
{
	reef_buf_reset(body);
	reef_buf_append_u64(body, 0);
	reef_buf_append_u32(body, op_count);
	reef_buf_append_u8(body, flags);
}

static void
check_hostile_body(const ReefBuf *body)
{
	check_hostile(body, (uint32_t) body->size, REEF_CODEC_NONE);
}

UNIT_TEST(test_frame__hostile_counts_take_no_memory)
{
	static ReefBuf body;

	reef_buf_init(&body);
	start_body(&body, 0, 0);
	reef_buf_append_varint(&body, 1000);	/* participants */
	check_hostile_body(&body);
	start_body(&body, 0, 0);
	reef_buf_append_varint(&body, UINT64_MAX);
	check_hostile_body(&body);

	start_body(&body, 0, 0);
	reef_buf_append(&body, "\0", 1);
	reef_buf_append_varint(&body, UINT64_MAX);	/* idempotency key */
	check_hostile_body(&body);

	start_body(&body, 0, 0);
	reef_buf_append(&body, "\0\0", 2);
	reef_buf_append_varint(&body, REEF_COLUMN_MAX_COUNT);	/* columns */
	check_hostile_body(&body);

	start_body(&body, UINT32_MAX, 0);
	reef_buf_append(&body, "\0\0\0\4", 4);
	check_hostile_body(&body);

	/* one column, one patch of many, one put of much, one attach */
	start_body(&body, 1, 0);
	reef_buf_append(&body, "\0\0\1\1c\4\0\0\0\1\0\0", 12);
	reef_buf_append(&body, "\2\1k", 3);
	reef_buf_append_varint(&body, 2);
	reef_buf_append(&body, "\0\0\0", 3);
	check_hostile_body(&body);
	body.size -= 7;
	reef_buf_append_u8(&body, 1);
	reef_buf_append_varint(&body, UINT64_C(1) << 40);
	check_hostile_body(&body);

	/* sizes before compression */
	check_hostile(&body, 1024 * 1024 * 1024, REEF_CODEC_ZSTD);
	check_hostile(&body, UINT32_MAX, REEF_CODEC_ZSTD);
	check_hostile(&body, UINT32_MAX, REEF_CODEC_NONE);
	check_hostile(&body, (uint32_t) body.size, 2);
	check_hostile(&body, (uint32_t) body.size, 77);
	reef_buf_release(&body);
}

UNIT_TEST(test_frame__a_column_patched_twice_or_missing_is_damage)
{
	static const char *const patches[] = {"\2\0\0", "\2\0\2", "\2\0\1"};
	static ReefBuf body;
	static ReefArena arena;
	ReefError	err;
	ReefCode	rc;
	int			i;

	reef_buf_init(&body);
	for (i = 0; i < 3; i++)
	{
		reef_buf_reset(&body);
		reef_buf_append(&body, "\0\053\0\0\0", 5);	/* codec, size 43 */
		reef_buf_append(&body, "\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\2", 16);
		reef_buf_append(&body, "\1a\4\0\0\0\1\0\0", 9);
		reef_buf_append(&body, "\1b\4\0\0\0\0\0\0", 9);
		reef_buf_append(&body, "\2\1k", 3);
		reef_buf_append(&body, patches[i], 3);
		reef_buf_append(&body, "\2\0\0", 3);
		UNIT_EQUAL_INT(body.size, 5 + 43);
		reef_arena_init(&arena, 0);
		rc = read_all(reef_buf_slice(&body), &arena, &err);
		reef_arena_release(&arena);
		/* the last one is right */
		UNIT_CODE(rc, i == 2 ? REEF_NOT_FOUND : REEF_CORRUPT, &err);
	}
	reef_buf_release(&body);
}

UNIT_TEST(test_frame__unknown_flags_kinds_and_conditions_are_damage)
{
	static ReefBuf body;
	ReefArena	arena;
	ReefError	err;
	ReefCode	rc;
	unsigned	byte;

	reef_buf_init(&body);
	for (byte = 2; byte < 256; byte *= 2)
	{
		start_body(&body, 0, (uint8_t) byte);
		reef_buf_append(&body, "\0\0\0", 3);
		check_hostile_body(&body);
	}

	/* bytes behind the last operation */
	start_body(&body, 0, 0);
	reef_buf_append(&body, "\0\0\0\4", 4);
	check_hostile_body(&body);

	/* an operation of no bytes: only TRUNCATE without an LSN is one */
	for (byte = 0; byte < 256; byte++)
	{
		reef_buf_reset(&body);
		reef_buf_append(&body, "\0\021\0\0\0", 5);
		reef_buf_append(&body, "\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16);
		reef_buf_append_u8(&body, (uint8_t) byte);
		reef_arena_init(&arena, 0);
		rc = read_all(reef_buf_slice(&body), &arena, &err);
		reef_arena_release(&arena);
		if (byte == 0x04 || byte == 0x14 || byte == 0x34)
			UNIT_CODE(rc, REEF_NOT_FOUND, &err);
		else
			UNIT_CODE(rc, REEF_CORRUPT, &err);
	}
	reef_buf_release(&body);
}

/* Does the writer take this schema, and does the reader? */
static void
check_bad_schema(ReefColumn *columns, int count)
{
	ReefFrameHeader header = {.schema = {count, columns}};
	ReefFrameWriter *writer;
	ReefError	err;

	UNIT_CODE(reef_frame_writer_new(&header, &writer, &err), REEF_INVALID,
			  &err);
	UNIT_CHECK(writer == NULL);
}

UNIT_TEST(test_frame__an_impossible_schema_is_refused)
{
	static const ReefColumn good = {
		"a", {REEF_KIND_INT32, 0, 0, -1, "integer"}, 1, false, false
	};
	ReefColumn	columns[2];
	char		long_name[REEF_COLUMN_NAME_MAX_SIZE + 2];
	ReefFrameHeader header = {.schema = {2, columns}};
	ReefFrameWriter *writer;
	ReefError	err;

#define START() (columns[0] = columns[1] = good, columns[1].name = "b", \
				 columns[1].key_position = 2)
	START();
	UNIT_OK(reef_frame_writer_new(&header, &writer, &err), &err);
	reef_frame_writer_free(writer);

	START(), columns[1].name = "a";
	check_bad_schema(columns, 2);
	START(), columns[1].name = "";
	check_bad_schema(columns, 2);
	START(), columns[1].name = NULL;
	check_bad_schema(columns, 2);
	START(), columns[1].name = "\377";
	check_bad_schema(columns, 2);
	START(), columns[1].name = "\355\240\200";	/* a surrogate */
	check_bad_schema(columns, 2);
	START(), columns[1].name = "\340\200\200";	/* a NUL, too long */
	check_bad_schema(columns, 2);
	START(), columns[1].name = "\364\220\200\200"; /* beyond Unicode */
	check_bad_schema(columns, 2);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	START(), columns[1].name = long_name;
	check_bad_schema(columns, 2);
	START(), columns[1].type.kind = (ReefKind) 0;
	check_bad_schema(columns, 2);
	START(), columns[1].type.kind = (ReefKind) (REEF_KIND_MAX + 1);
	check_bad_schema(columns, 2);
	START(), columns[1].type.kind = REEF_KIND_JSON;
	check_bad_schema(columns, 2);
	START(), columns[1].type.kind = REEF_KIND_DECIMAL64;
	check_bad_schema(columns, 2);
	START(), columns[1].type.precision = 3;
	check_bad_schema(columns, 2);
	START(), columns[1].type.length = -2;
	check_bad_schema(columns, 2);
	START(), columns[1].key_position = 1;
	check_bad_schema(columns, 2);
	START(), columns[1].key_position = 3;
	check_bad_schema(columns, 2);
	START(), columns[0].key_position = 0;
	check_bad_schema(columns, 2);
	START(), columns[0].key_position = -1;
	check_bad_schema(columns, 2);
#undef START
}

/* The writer must refuse the operation and say so at the end. */
static void
check_bad_op(const ReefOp *op, ReefCode expected)
{
	ReefColumn	column = {
		"a", {REEF_KIND_INT32, 0, 0, -1, "integer"}, 1, false, false
	};
	ReefFrameHeader header = {.schema = {1, &column}};
	ReefFrameWriter *writer;
	ReefBuf		out;
	ReefError	err;
	ReefCode	rc;

	reef_buf_init(&out);
	UNIT_OK(reef_frame_writer_new(&header, &writer, &err), &err);
	reef_frame_writer_add(writer, op);
	rc = reef_frame_writer_finish(writer, 0, &out, &err);
	reef_frame_writer_free(writer);
	reef_buf_release(&out);
	UNIT_CODE(rc, expected, &err);
}

UNIT_TEST(test_frame__the_writer_refuses_what_the_reader_would)
{
	static const uint16_t twice[] = {0, 0};
	static const uint16_t beyond[] = {1};
	static uint8_t bytes[REEF_KEY_MAX_SIZE + 1];
	ReefSegmentMeta segment = {.row_count = 1};
	ReefOp		op = {.kind = REEF_OP_DELETE};

	check_bad_op(&op, REEF_LIMIT);
	op.key = reef_slice(bytes, sizeof(bytes));
	check_bad_op(&op, REEF_LIMIT);
	op.kind = REEF_OP_PATCH;
	op.key = reef_slice(bytes, 1);
	op.patch_column_count = 2;
	op.patch_columns = twice;
	check_bad_op(&op, REEF_INVALID);
	op.patch_column_count = 1;
	op.patch_columns = beyond;
	check_bad_op(&op, REEF_INVALID);
	op.kind = REEF_OP_PUT;
	op.document = reef_slice(bytes, (size_t) REEF_DOCUMENT_MAX_SIZE + 1);
	check_bad_op(&op, REEF_LIMIT);
	op.kind = (ReefOpKind) 7;
	check_bad_op(&op, REEF_INVALID);
	op.kind = REEF_OP_ABORT;
	op.abort_frame = REEF_WAL_MAX_FRAMES;
	check_bad_op(&op, REEF_INVALID);

	op.kind = REEF_OP_ATTACH;
	op.segment = &segment;
	segment.tombstone_count = 2;
	check_bad_op(&op, REEF_INVALID);
	segment.tombstone_count = 0;
	segment.level = 2;
	check_bad_op(&op, REEF_INVALID);
	segment.level = 0;
	segment.key_min = reef_slice(bytes, 1);
	check_bad_op(&op, REEF_INVALID);
}

UNIT_TEST(test_frame__what_compresses_beyond_belief_is_stored_plain)
{
	static ReefBuf document;
	static ReefBuf frame;
	static ReefArena arena;
	ReefFrameHeader header = {.is_coupled = false};
	ReefOp		op = {.kind = REEF_OP_PUT};
	ReefError	err;

	reef_buf_init(&document);
	reef_buf_init(&frame);
	reef_arena_init(&arena, 0);
	memset(reef_buf_reserve(&document, 8 << 20), 0, 8 << 20);
	document.size = 8 << 20;
	op.document = reef_buf_slice(&document);
	write_frame(&header, &op, 1, &frame);
	UNIT_EQUAL_INT(frame.data[0], REEF_CODEC_NONE);
	UNIT_CODE(read_all(reef_buf_slice(&frame), &arena, &err), REEF_NOT_FOUND,
			  &err);

	/* half of it noise: compressed, and read */
	for (size_t i = 0; i < document.size / 2; i++)
		document.data[i] = (uint8_t) unit_random();
	reef_buf_reset(&frame);
	write_frame(&header, &op, 1, &frame);
	UNIT_EQUAL_INT(frame.data[0], REEF_CODEC_ZSTD);
	UNIT_CODE(read_all(reef_buf_slice(&frame), &arena, &err), REEF_NOT_FOUND,
			  &err);
	reef_arena_release(&arena);
	reef_buf_release(&document);
	reef_buf_release(&frame);
}
