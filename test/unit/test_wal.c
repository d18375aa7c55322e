/*
 * test_wal.c
 *	  Records: the documented bytes, the stored copies of earlier releases, and
 *	  that damage is never taken for data.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compress.h"
#include "base/crc32c.h"
#include "format/wal.h"

#include "../compat/samples.h"

#define KEY "s/t/wal/00000000000000000017.wal"

static void
read_file(const char *path, ReefBuf *out)
{
	FILE	   *file = fopen(path, "rb");
	int			c;

	reef_buf_reset(out);
	if (file == NULL)
		UNIT_FAIL("cannot open %s", path);
	while ((c = getc(file)) != EOF)
		reef_buf_append_u8(out, (uint8_t) c);
	fclose(file);
}

/*
 * The bytes of the dump in wal.h: lines of a comment that begin with an
 * offset of eight hexadecimal digits.
 */
static void
read_documented_bytes(ReefBuf *out)
{
	FILE	   *file = fopen("src/format/wal.h", "r");
	char		line[200];

	if (file == NULL)
		UNIT_FAIL("cannot open wal.h: not started from the top folder");
	while (fgets(line, sizeof(line), file) != NULL)
	{
		unsigned	offset;
		unsigned	byte;
		int			place;
		int			taken;

		if (sscanf(line, " * %8x:%n", &offset, &place) != 1 || place != 12)
			continue;
		UNIT_EQUAL_INT(offset, out->size);
		/* two spaces end the bytes of a line */
		while (strncmp(line + place, "  ", 2) != 0 &&
			   sscanf(line + place, " %2x%n", &byte, &taken) == 1)
		{
			reef_buf_append_u8(out, (uint8_t) byte);
			place += taken;
		}
	}
	fclose(file);
}

/* One row, (7), put into a table with the single column id integer. */
static void
encode_documented_example(ReefBuf *out)
{
	ReefColumn	column = {
		"id", {REEF_KIND_INT32, 0, 0, -1, "integer"}, 1, true, false
	};
	ReefFrameHeader header = {.schema = {1, &column}};
	ReefValue	value = {.as.int32 = 7};
	ReefOp		op = {.kind = REEF_OP_PUT};
	ReefFrameWriter *writer;
	ReefBuf		document;
	ReefBuf		frame;
	ReefSlice	slice;
	ReefError	err;

	reef_buf_init(&document);
	reef_buf_init(&frame);
	reef_document_append(&document, &column, 1, &value);
	op.condition.kind = REEF_CONDITION_ABSENT;
	op.document = reef_buf_slice(&document);
	UNIT_OK(reef_frame_writer_new(&header, &writer, &err), &err);
	reef_frame_writer_add(writer, &op);
	UNIT_OK(reef_frame_writer_finish(writer, 1, &frame, &err), &err);
	reef_frame_writer_free(writer);
	slice = reef_buf_slice(&frame);
	sample_record(2, &slice, 1, out);
	reef_buf_release(&document);
	reef_buf_release(&frame);
}

UNIT_TEST(test_wal__documented_example)
{
	static ReefBuf documented;
	static ReefBuf encoded;
	static ReefArena arena;
	ReefWalHeader header;
	ReefFrameReader reader;
	ReefSlice  *frames;
	ReefValue	value;
	ReefError	err;
	ReefOp		op;

	reef_buf_init(&documented);
	reef_buf_init(&encoded);
	reef_arena_init(&arena, 0);
	read_documented_bytes(&documented);
	encode_documented_example(&encoded);
	UNIT_EQUAL_BYTES(reef_buf_slice(&documented), reef_buf_slice(&encoded));

	UNIT_OK(reef_wal_decode(reef_buf_slice(&documented), 2, KEY, &arena,
							&header, &frames, &err), &err);
	UNIT_EQUAL_INT(header.epoch, 5);
	UNIT_EQUAL_INT(header.frame_count, 1);
	UNIT_OK(reef_frame_reader_init(&reader, frames[0], &arena, &err), &err);
	UNIT_EQUAL_INT(reader.header.row_count_delta, 1);
	UNIT_OK(reef_frame_reader_next(&reader, &op, &err), &err);
	UNIT_EQUAL_INT(op.kind, REEF_OP_PUT);
	UNIT_EQUAL_INT(op.condition.kind, REEF_CONDITION_ABSENT);
	UNIT_OK(reef_document_decode(op.document, reader.header.schema.columns, 1,
								 &value, &err), &err);
	UNIT_EQUAL_INT(value.as.int32, 7);
	reef_arena_release(&arena);
	reef_buf_release(&documented);
	reef_buf_release(&encoded);
}

static void
check_rows(ReefSlice frame, ReefArena *arena)
{
	ReefFrameReader reader;
	ReefValue	values[4];
	ReefError	err;
	ReefOp		op;

	UNIT_OK(reef_frame_reader_init(&reader, frame, arena, &err), &err);
	UNIT_EQUAL_INT(reader.header.is_coupled, false);
	UNIT_EQUAL_INT(reader.header.participant_count, 0);
	UNIT_EQUAL_INT(reader.header.idempotency_key.size, 0);
	UNIT_EQUAL_INT(reader.header.row_count_delta, 0);
	UNIT_EQUAL_INT(reader.header.schema.column_count, 4);
	UNIT_EQUAL_STRING(reader.header.schema.columns[0].name, "id");
	UNIT_EQUAL_STRING(reader.header.schema.columns[0].type.pg_type, "bigint");
	UNIT_EQUAL_INT(reader.header.schema.columns[0].key_position, 1);
	UNIT_EQUAL_INT(reader.header.schema.columns[0].not_null, true);
	UNIT_EQUAL_INT(reader.header.schema.columns[1].type.kind, REEF_KIND_TEXT);
	UNIT_EQUAL_INT(reader.header.schema.columns[1].type.length, 20);
	UNIT_EQUAL_INT(reader.header.schema.columns[1].has_bloom, true);
	UNIT_EQUAL_INT(reader.header.schema.columns[2].type.precision, 15);
	UNIT_EQUAL_INT(reader.header.schema.columns[2].type.scale, 2);
	UNIT_CHECK(reader.header.schema.columns[3].type.pg_type == NULL);
	UNIT_EQUAL_INT(reader.op_count, 3);

	UNIT_OK(reef_frame_reader_next(&reader, &op, &err), &err);
	UNIT_EQUAL_INT(op.kind, REEF_OP_PUT);
	UNIT_EQUAL_INT(op.condition.kind, REEF_CONDITION_ABSENT);
	UNIT_OK(reef_document_decode(op.document, reader.header.schema.columns, 4,
								 values, &err), &err);
	UNIT_EQUAL_INT(values[0].as.int64, 1);
	UNIT_EQUAL_BYTES(values[1].as.bytes, reef_slice("eins", 4));
	UNIT_EQUAL_INT(values[2].as.int64, 199);
	UNIT_EQUAL_INT(values[3].as.int64, INT64_MAX);

	UNIT_OK(reef_frame_reader_next(&reader, &op, &err), &err);
	UNIT_EQUAL_INT(op.kind, REEF_OP_PATCH);
	UNIT_EQUAL_INT(op.condition.kind, REEF_CONDITION_LSN);
	UNIT_EQUAL_INT(op.condition.lsn, 300);
	UNIT_EQUAL_BYTES(op.key, reef_slice("\200\0\0\0\0\0\0\002", 8));
	UNIT_EQUAL_INT(op.patch_column_count, 1);
	UNIT_EQUAL_INT(op.patch_columns[0], 1);
	UNIT_EQUAL_BYTES(op.document, reef_slice("\001\003neu", 5));

	UNIT_OK(reef_frame_reader_next(&reader, &op, &err), &err);
	UNIT_EQUAL_INT(op.kind, REEF_OP_DELETE);
	UNIT_EQUAL_INT(op.condition.kind, REEF_CONDITION_EXISTS);
	UNIT_EQUAL_BYTES(op.key, reef_slice("\200\0\0\0\0\0\0\003", 8));
	UNIT_CODE(reef_frame_reader_next(&reader, &op, &err), REEF_NOT_FOUND,
			  &err);
}

static void
check_rest(ReefSlice frame, ReefArena *arena)
{
	ReefFrameReader reader;
	ReefError	err;
	ReefOp		op;

	UNIT_OK(reef_frame_reader_init(&reader, frame, arena, &err), &err);
	UNIT_EQUAL_INT(reader.header.coupling.system_id,
				   UINT64_C(0x1122334455667788));
	UNIT_EQUAL_INT(reader.header.coupling.timeline, 3);
	UNIT_EQUAL_INT(reader.header.coupling.wal_position,
				   UINT64_C(0x16B374D848));
	UNIT_EQUAL_INT(reader.header.coupling.full_xid, 750);
	UNIT_EQUAL_INT(reader.header.participant_count, 2);
	UNIT_EQUAL_BYTES(reader.header.participants[0],
					 reef_slice("public/other", 12));
	UNIT_EQUAL_BYTES(reader.header.participants[1], reef_slice("third", 5));
	UNIT_EQUAL_BYTES(reef_slice(reader.header.transaction_id, 16),
					 reef_slice(sample_uuid, 16));
	UNIT_EQUAL_BYTES(reader.header.idempotency_key,
					 reef_slice("order-17", 8));
	UNIT_EQUAL_INT(reader.header.row_count_delta, -10);

	UNIT_OK(reef_frame_reader_next(&reader, &op, &err), &err);
	UNIT_EQUAL_INT(op.kind, REEF_OP_TRUNCATE);
	UNIT_OK(reef_frame_reader_next(&reader, &op, &err), &err);
	UNIT_EQUAL_INT(op.kind, REEF_OP_ATTACH);
	UNIT_EQUAL_BYTES(reef_slice(op.segment->id, 16),
					 reef_slice(sample_uuid, 16));
	UNIT_EQUAL_INT(op.segment->level, 1);
	UNIT_EQUAL_INT(op.segment->row_count, 90);
	UNIT_EQUAL_BYTES(op.segment->key_max, reef_slice("\002\0", 2));
	UNIT_EQUAL_INT(op.segment->size, 4711);
	UNIT_EQUAL_INT(op.segment->crc, 0x01020304);
	UNIT_EQUAL_INT(op.segment->stats_count, 4);
	UNIT_EQUAL_INT(op.segment->stats[0].min.as.int32, -5);
	UNIT_EQUAL_BYTES(op.segment->stats[1].max.as.bytes,
					 reef_slice("\377", 1));
	UNIT_EQUAL_INT(op.segment->stats[2].has_min_max, false);
	UNIT_OK(reef_frame_reader_next(&reader, &op, &err), &err);
	UNIT_EQUAL_INT(op.kind, REEF_OP_ABORT);
	UNIT_EQUAL_INT(op.abort_lsn, 16);
	UNIT_EQUAL_INT(op.abort_frame, 2);
	UNIT_CODE(reef_frame_reader_next(&reader, &op, &err), REEF_NOT_FOUND,
			  &err);
}

UNIT_TEST(test_wal__the_stored_basic_record_reads_and_is_still_written)
{
	static ReefBuf stored;
	static ReefBuf encoded;
	static ReefArena arena;
	ReefWalHeader header;
	ReefSlice  *frames;
	ReefError	err;

	reef_buf_init(&stored);
	reef_buf_init(&encoded);
	reef_arena_init(&arena, 0);
	read_file(SAMPLE_DIR "record-basic.wal", &stored);
	UNIT_OK(reef_wal_decode(reef_buf_slice(&stored), 17, KEY, &arena, &header,
							&frames, &err), &err);
	UNIT_EQUAL_BYTES(reef_slice(header.namespace_id, 16),
					 reef_slice(sample_uuid, 16));
	UNIT_EQUAL_INT(header.lsn, 17);
	UNIT_EQUAL_INT(header.epoch, 5);
	UNIT_EQUAL_INT(header.cluster_id[15], 0xcf);
	UNIT_EQUAL_INT(header.nonce[0], 0xa0);
	UNIT_EQUAL_INT(header.time_ms, INT64_C(1735689600123));
	UNIT_EQUAL_INT(header.previous_crc, 0xdeadbeef);
	UNIT_EQUAL_INT(header.frame_count, 2);
	UNIT_EQUAL_INT(header.crc, reef_get_u32(stored.data + 124));
	check_rows(frames[0], &arena);
	check_rest(frames[1], &arena);

	sample_record_basic(&encoded);
	UNIT_EQUAL_BYTES(reef_buf_slice(&encoded), reef_buf_slice(&stored));
	reef_arena_release(&arena);
	reef_buf_release(&stored);
	reef_buf_release(&encoded);
}

UNIT_TEST(test_wal__the_stored_fence_reads_and_is_still_written)
{
	static ReefBuf stored;
	static ReefBuf encoded;
	static ReefArena arena;
	ReefWalHeader header;
	ReefSlice  *frames;
	ReefError	err;

	reef_buf_init(&stored);
	reef_buf_init(&encoded);
	reef_arena_init(&arena, 0);
	read_file(SAMPLE_DIR "record-fence.wal", &stored);
	UNIT_EQUAL_INT(stored.size, REEF_WAL_HEADER_SIZE);
	UNIT_OK(reef_wal_decode(reef_buf_slice(&stored), 1, KEY, &arena, &header,
							&frames, &err), &err);
	UNIT_EQUAL_INT(header.frame_count, 0);
	UNIT_EQUAL_INT(header.previous_crc, 0);
	sample_record_fence(&encoded);
	UNIT_EQUAL_BYTES(reef_buf_slice(&encoded), reef_buf_slice(&stored));
	reef_arena_release(&arena);
	reef_buf_release(&stored);
	reef_buf_release(&encoded);
}

/* Other versions of zstd may compress otherwise: only reading is compared. */
UNIT_TEST(test_wal__the_stored_compressed_record_reads)
{
	static ReefBuf stored;
	static ReefArena arena;
	ReefWalHeader header;
	ReefFrameReader reader;
	ReefValue	values[4];
	ReefSlice  *frames;
	ReefError	err;
	ReefOp		op;
	int			i;

	reef_buf_init(&stored);
	reef_arena_init(&arena, 0);
	read_file(SAMPLE_DIR "record-compressed.wal", &stored);
	UNIT_OK(reef_wal_decode(reef_buf_slice(&stored), 18, KEY, &arena, &header,
							&frames, &err), &err);
	UNIT_EQUAL_INT(frames[0].data[0], REEF_CODEC_ZSTD);
	UNIT_OK(reef_frame_reader_init(&reader, frames[0], &arena, &err), &err);
	UNIT_EQUAL_INT(reader.op_count, 300);
	for (i = 0; i < 300; i++)
	{
		UNIT_OK(reef_frame_reader_next(&reader, &op, &err), &err);
		UNIT_OK(reef_document_decode(op.document,
									 reader.header.schema.columns, 4, values,
									 &err), &err);
		UNIT_EQUAL_INT(values[0].as.int64, i);
		UNIT_EQUAL_INT(values[1].is_null, i % 3 == 0);
	}
	UNIT_CODE(reef_frame_reader_next(&reader, &op, &err), REEF_NOT_FOUND,
			  &err);
	reef_arena_release(&arena);
	reef_buf_release(&stored);
}

/* Decode a copy that ends where the bytes end. */
static ReefCode
decode(const uint8_t *bytes, size_t size, uint64_t lsn, ReefError *err)
{
	ReefWalHeader header;
	ReefSlice  *frames;
	ReefArena	arena;
	ReefCode	rc;
	uint8_t    *copy = malloc(size);

	memcpy(copy, bytes, size);
	reef_arena_init(&arena, 1 << 20);
	rc = reef_wal_decode(reef_slice(copy, size), lsn, KEY, &arena, &header,
						 &frames, err);
	reef_arena_release(&arena);
	free(copy);
	return rc;
}

UNIT_TEST(test_wal__every_truncation_and_every_flipped_bit_is_damage)
{
	static ReefBuf record;
	ReefError	err;
	size_t		i;
	int			bit;

	reef_buf_init(&record);
	sample_record_basic(&record);
	UNIT_OK(decode(record.data, record.size, 17, &err), &err);
	for (i = 0; i < record.size; i++)
	{
		UNIT_CODE(decode(record.data, i, 17, &err), REEF_CORRUPT, &err);
		UNIT_CHECK(strstr(err.detail, KEY) != NULL);
	}
	for (i = 0; i < record.size; i++)
	{
		for (bit = 0; bit < 8; bit++)
		{
			record.data[i] = (uint8_t) (record.data[i] ^ 1 << bit);
			UNIT_CODE(decode(record.data, record.size, 17, &err),
					  REEF_CORRUPT, &err);
			UNIT_CHECK(strstr(err.detail, KEY) != NULL);
			record.data[i] = (uint8_t) (record.data[i] ^ 1 << bit);
		}
	}
	reef_buf_release(&record);
}

UNIT_TEST(test_wal__bytes_behind_a_record_are_ignored)
{
	static ReefBuf record;
	static ReefArena arena;
	ReefWalHeader header;
	ReefSlice  *frames;
	ReefError	err;
	int			round;

	reef_buf_init(&record);
	for (round = 0; round < 2; round++)
	{
		reef_buf_reset(&record);
		if (round == 0)
			sample_record_basic(&record);
		else
			sample_record_fence(&record);
		reef_buf_append(&record, KEY KEY, 2 * strlen(KEY));
		reef_arena_init(&arena, 0);
		UNIT_OK(reef_wal_decode(reef_buf_slice(&record), round == 0 ? 17 : 1,
								KEY, &arena, &header, &frames, &err), &err);
		if (round == 0)
			check_rest(frames[1], &arena);
		reef_arena_release(&arena);
	}
	reef_buf_release(&record);
}

/* Make the header's checksum right again after a change. */
static void
seal(ReefBuf *record)
{
	reef_put_u32(record->data + 124, reef_crc32c(0, record->data, 124));
}

static void
seal_table(ReefBuf *record, uint32_t count)
{
	reef_put_u32(record->data + 100,
				 reef_crc32c(0, record->data + 128, count * 8));
	seal(record);
}

UNIT_TEST(test_wal__a_newer_record_is_not_damage)
{
	static ReefBuf record;
	ReefError	err;

	reef_buf_init(&record);
	sample_record_basic(&record);
	reef_put_u16(record.data + 8, REEF_WAL_FORMAT_VERSION + 1);
	UNIT_CODE(decode(record.data, record.size, 17, &err), REEF_CORRUPT, &err);
	seal(&record);
	UNIT_CODE(decode(record.data, record.size, 17, &err), REEF_UNSUPPORTED,
			  &err);
	UNIT_CHECK(strstr(err.detail, KEY) != NULL);
	reef_put_u16(record.data + 8, 0);
	seal(&record);
	UNIT_CODE(decode(record.data, record.size, 17, &err), REEF_CORRUPT, &err);
	reef_buf_release(&record);
}

/* Change 8 bytes of the sample, seal it, and expect damage. */
static void
check_sealed_damage(size_t offset, uint64_t value, const char *where)
{
	ReefBuf		record;
	ReefError	err;
	ReefCode	rc;

	reef_buf_init(&record);
	sample_record_basic(&record);
	reef_put_u64(record.data + offset, value);
	seal_table(&record, 2);
	rc = decode(record.data, record.size, 17, &err);
	reef_buf_release(&record);
	UNIT_CODE(rc, REEF_CORRUPT, &err);
	if (strstr(err.detail, where) == NULL)
		UNIT_FAIL("\"%s\" does not say \"%s\"", err.detail, where);
}

UNIT_TEST(test_wal__a_header_that_contradicts_itself_is_damage)
{
	/* version, flags, frame count */
	check_sealed_damage(8, UINT64_C(0x0000000200010001), "byte 10");
	check_sealed_damage(8, UINT64_C(0x0000100100000001), "byte 12");
	check_sealed_damage(8, UINT64_C(0xffffffff00000001), "byte 12");
	check_sealed_damage(8, UINT64_C(0x0000000100000001), "checksum of the");
	check_sealed_damage(8, UINT64_C(0x0000000000000001), "checksum of the");
	check_sealed_damage(64, 18, "record 18 at byte 64");
	check_sealed_damage(72, UINT64_C(1) << 63, "byte 72");
	check_sealed_damage(88, 511, "says 511 at byte 88");
	check_sealed_damage(88, UINT64_MAX, "at byte 88");
	check_sealed_damage(88, 143, "says 143 at byte 88");
	check_sealed_damage(88, 509, "longer than the record at byte 136");
	check_sealed_damage(104, 1, "byte 104");
	check_sealed_damage(116, UINT64_C(1) << 56, "byte 123");
	/* the table: length and checksum of a frame */
	check_sealed_damage(128, UINT64_C(0xffffffff), "byte 128");
	check_sealed_damage(128, UINT64_C(0xaa), "frame at byte 144");
}

UNIT_TEST(test_wal__bytes_of_a_record_that_belong_to_no_frame_are_damage)
{
	static ReefBuf record;
	ReefError	err;

	reef_buf_init(&record);
	sample_record_basic(&record);
	reef_buf_append_u8(&record, 0);
	reef_put_u64(record.data + 88, record.size);
	seal(&record);
	UNIT_CODE(decode(record.data, record.size, 17, &err), REEF_CORRUPT, &err);
	UNIT_CHECK(strstr(err.detail, "at byte 510") != NULL);
	reef_buf_release(&record);
}

UNIT_TEST(test_wal__a_record_of_another_number_is_damage)
{
	static ReefBuf record;
	ReefError	err;

	reef_buf_init(&record);
	sample_record_basic(&record);
	UNIT_CODE(decode(record.data, record.size, 16, &err), REEF_CORRUPT, &err);
	UNIT_CODE(decode(record.data, record.size, 0, &err), REEF_CORRUPT, &err);
	reef_buf_release(&record);
}

UNIT_TEST(test_wal__limits_of_a_record_are_kept)
{
	static ReefBuf out;
	static ReefSlice frames[REEF_WAL_MAX_FRAMES + 1];
	ReefWalHeader header = {.lsn = 1};
	ReefError	err;

	reef_buf_init(&out);
	header.frame_count = REEF_WAL_MAX_FRAMES + 1;
	UNIT_CODE(reef_wal_encode(&header, frames, &out, &err), REEF_LIMIT, &err);
	header.frame_count = REEF_WAL_MAX_FRAMES;
	UNIT_OK(reef_wal_encode(&header, frames, &out, &err), &err);
	UNIT_OK(decode(out.data, out.size, 1, &err), &err);
	header.frame_count = 0;
	header.lsn = 0;
	UNIT_CODE(reef_wal_encode(&header, NULL, &out, &err), REEF_INVALID, &err);
	header.lsn = (uint64_t) INT64_MAX + 1;
	UNIT_CODE(reef_wal_encode(&header, NULL, &out, &err), REEF_INVALID, &err);
	reef_buf_release(&out);
}

UNIT_TEST(test_wal__the_header_s_checksum_stands_for_every_frame)
{
	static ReefBuf out;
	ReefSlice	frame = reef_slice("abc", 3);
	ReefWalHeader header = {.lsn = 1,.frame_count = 1};
	uint32_t	crc;
	ReefError	err;

	reef_buf_init(&out);
	UNIT_OK(reef_wal_encode(&header, &frame, &out, &err), &err);
	crc = header.crc;
	frame = reef_slice("abd", 3);
	UNIT_OK(reef_wal_encode(&header, &frame, &out, &err), &err);
	UNIT_CHECK(header.crc != crc);
	reef_buf_release(&out);
}
