/*
 * samples.h
 *	  The objects of which test/compat keeps one stored copy a format version.
 *
 * make_golden.c writes them, once a version, and the unit tests build them
 * again and compare.  So none of this may change for a version that has been
 * released; a new version adds samples.
 */
#ifndef REEF_COMPAT_SAMPLES_H
#define REEF_COMPAT_SAMPLES_H

#include <stdio.h>
#include <stdlib.h>

#include "base/document.h"
#include "format/wal.h"

#define SAMPLE_DIR "test/compat/v1/"
#define SAMPLE_COMPRESSED_ROWS 300

static const uint8_t sample_uuid[16] = {
	0x01, 0x93, 0x5a, 0x00, 0x00, 0x01, 0x70, 0x02,
	0x80, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09
};

static ReefColumn sample_columns[] = {
	{"id", {REEF_KIND_INT64, 0, 0, -1, "bigint"}, 1, true, false},
	{"name", {REEF_KIND_TEXT, 0, 0, 20, "character varying(20)"}, 0, false,
	true},
	{"price", {REEF_KIND_DECIMAL64, 15, 2, -1, "numeric(15,2)"}, 0, false,
	false},
	{"seen", {REEF_KIND_TIMESTAMPTZ, 0, 0, -1, NULL}, 0, false, false},
};

static ReefColumnStats sample_stats[] = {
	{.name = "id",.has_min_max = true,.kind = REEF_KIND_INT32,
	.min.as.int32 = -5,.max.as.int32 = 70000},
	{.name = "name",.null_count = 2,.has_min_max = true,
		.kind = REEF_KIND_TEXT,
		.min.as.bytes = {(const uint8_t *) "\303\204pfel", 6},
	.max.as.bytes = {(const uint8_t *) "\377", 1}},
	{.name = "price",.null_count = 90},
	{.name = "ratio",.has_min_max = true,.kind = REEF_KIND_FLOAT64,
	.min.as.float64 = -0.0,.max.as.float64 = 0.1},
};

static ReefSegmentMeta sample_segments[] = {
	{
		.level = 1,.row_count = 90,
		.key_min = {(const uint8_t *) "\001", 1},
		.key_max = {(const uint8_t *) "\002\000", 2},
		.lsn_min = 1,.lsn_max = 9,.size = 4711,.crc = 0x01020304,
		.stats_count = 4,.stats = sample_stats
	},
	{
		.level = 0,.row_count = 10,.tombstone_count = 3,
		.superseding_count = 4,
		.key_min = {(const uint8_t *) "\001", 1},
		.key_max = {(const uint8_t *) "\001", 1},
		.lsn_min = 10,.lsn_max = 12,.size = 815,.crc = 0xfffffffe
	},
};

static void
sample_check(ReefCode rc, const ReefError *err)
{
	if (rc != REEF_OK)
	{
		fprintf(stderr, "sample: %s (%s)\n", err->message, err->detail);
		abort();
	}
}

/* A row of the sample columns; name NULL is null, as is "seen" then. */
static void
sample_document(ReefBuf *document, int64_t id, const char *name)
{
	ReefValue	values[4] = {{.is_null = false}};

	values[0].as.int64 = id;
	values[1].is_null = values[3].is_null = name == NULL;
	if (name != NULL)
		values[1].as.bytes = reef_slice_of_string(name);
	values[2].as.int64 = id * 100 + 99;
	values[3].as.int64 = INT64_MAX;
	reef_document_append(document, sample_columns, 4, values);
}

/* One put, one patch of "name", one delete. */
static inline void
sample_frame_rows(ReefBuf *out)
{
	static const uint16_t patched[] = {1};
	ReefFrameHeader header = {.schema = {4, sample_columns}};
	ReefValue	name = {.as.bytes = {(const uint8_t *) "neu", 3}};
	ReefFrameWriter *writer;
	ReefBuf		document;
	ReefError	err;
	ReefOp		op = {.kind = REEF_OP_PUT};

	reef_buf_init(&document);
	sample_check(reef_frame_writer_new(&header, &writer, &err), &err);

	op.condition.kind = REEF_CONDITION_ABSENT;
	sample_document(&document, 1, "eins");
	op.document = reef_buf_slice(&document);
	reef_frame_writer_add(writer, &op);

	op.kind = REEF_OP_PATCH;
	op.condition = (ReefCondition) {REEF_CONDITION_LSN, 300};
	op.key = reef_slice("\200\0\0\0\0\0\0\002", 8);
	op.patch_column_count = 1;
	op.patch_columns = patched;
	reef_buf_reset(&document);
	reef_document_append(&document, &sample_columns[1], 1, &name);
	op.document = reef_buf_slice(&document);
	reef_frame_writer_add(writer, &op);

	op.kind = REEF_OP_DELETE;
	op.condition.kind = REEF_CONDITION_EXISTS;
	op.key = reef_slice("\200\0\0\0\0\0\0\003", 8);
	reef_frame_writer_add(writer, &op);

	sample_check(reef_frame_writer_finish(writer, 0, out, &err), &err);
	reef_frame_writer_free(writer);
	reef_buf_release(&document);
}

/* Every header field, and the operations that are not about one row. */
static inline void
sample_frame_rest(ReefBuf *out)
{
	ReefSlice	participants[2];
	ReefFrameHeader header = {.is_coupled = true};
	ReefFrameWriter *writer;
	ReefError	err;
	ReefOp		op = {.kind = REEF_OP_TRUNCATE};

	participants[0] = reef_slice_of_string("public/other");
	participants[1] = reef_slice_of_string("third");
	header.coupling = (ReefCoupling) {
		UINT64_C(0x1122334455667788), 3, UINT64_C(0x16B374D848), 750
	};
	header.participant_count = 2;
	header.participants = participants;
	memcpy(header.transaction_id, sample_uuid, 16);
	header.idempotency_key = reef_slice_of_string("order-17");
	sample_check(reef_frame_writer_new(&header, &writer, &err), &err);
	reef_frame_writer_add(writer, &op);
	op.kind = REEF_OP_ATTACH;
	op.segment = &sample_segments[0];
	memcpy(sample_segments[0].id, sample_uuid, 16);
	reef_frame_writer_add(writer, &op);
	op.kind = REEF_OP_ABORT;
	op.abort_lsn = 16;
	op.abort_frame = 2;
	reef_frame_writer_add(writer, &op);
	sample_check(reef_frame_writer_finish(writer, -10, out, &err), &err);
	reef_frame_writer_free(writer);
}

/* Large and repetitive enough to be compressed. */
static inline void
sample_frame_compressed(ReefBuf *out)
{
	ReefFrameHeader header = {.schema = {4, sample_columns}};
	ReefFrameWriter *writer;
	ReefBuf		document;
	ReefError	err;
	ReefOp		op = {.kind = REEF_OP_PUT};
	int			i;

	reef_buf_init(&document);
	sample_check(reef_frame_writer_new(&header, &writer, &err), &err);
	for (i = 0; i < SAMPLE_COMPRESSED_ROWS; i++)
	{
		reef_buf_reset(&document);
		sample_document(&document, i, i % 3 == 0 ? NULL : "immer gleich");
		op.document = reef_buf_slice(&document);
		reef_frame_writer_add(writer, &op);
	}
	sample_check(reef_frame_writer_finish(writer, SAMPLE_COMPRESSED_ROWS, out,
										  &err), &err);
	reef_frame_writer_free(writer);
	reef_buf_release(&document);
}

static void
sample_record(uint64_t lsn, const ReefSlice *frames, uint32_t count,
			  ReefBuf *out)
{
	ReefWalHeader header = {.lsn = lsn,.epoch = 5,.frame_count = count};
	ReefError	err;
	int			i;

	memcpy(header.namespace_id, sample_uuid, 16);
	for (i = 0; i < 16; i++)
	{
		header.cluster_id[i] = (uint8_t) (0xc0 + i);
		header.nonce[i] = (uint8_t) (0xa0 + i);
	}
	header.time_ms = INT64_C(1735689600123);
	header.previous_crc = lsn == 1 ? 0 : 0xdeadbeef;
	sample_check(reef_wal_encode(&header, frames, out, &err), &err);
}

static inline void
sample_record_basic(ReefBuf *out)
{
	ReefBuf		bufs[2];
	ReefSlice	frames[2];

	reef_buf_init(&bufs[0]);
	reef_buf_init(&bufs[1]);
	sample_frame_rows(&bufs[0]);
	sample_frame_rest(&bufs[1]);
	frames[0] = reef_buf_slice(&bufs[0]);
	frames[1] = reef_buf_slice(&bufs[1]);
	sample_record(17, frames, 2, out);
	reef_buf_release(&bufs[0]);
	reef_buf_release(&bufs[1]);
}

static inline void
sample_record_fence(ReefBuf *out)
{
	sample_record(1, NULL, 0, out);
}

static inline void
sample_record_compressed(ReefBuf *out)
{
	ReefBuf		buf;
	ReefSlice	frame;

	reef_buf_init(&buf);
	sample_frame_compressed(&buf);
	frame = reef_buf_slice(&buf);
	sample_record(18, &frame, 1, out);
	reef_buf_release(&buf);
}

/* Borrows static memory. */
static inline void
sample_manifest(ReefManifest *manifest)
{
	static ReefIdempotencyEntry idempotency[2];
	static ReefManifestTransaction transaction;

	memset(manifest, 0, sizeof(*manifest));
	manifest->version = 12;
	manifest->parent_version = 11;
	memcpy(manifest->namespace_id, sample_uuid, 16);
	manifest->epoch = 5;
	manifest->last_applied_lsn = 16;
	manifest->last_applied_crc = 0xdeadbeef;
	manifest->time_ms = INT64_C(1735689600123);
	manifest->live_row_count = 93;
	manifest->schema.column_count = 4;
	manifest->schema.columns = sample_columns;
	memcpy(sample_segments[0].id, sample_uuid, 16);
	memcpy(sample_segments[1].id, sample_uuid, 16);
	sample_segments[1].id[15]++;
	manifest->segment_count = 2;
	manifest->segments = sample_segments;
	idempotency[0] = (ReefIdempotencyEntry) {
		reef_slice_of_string("order-17"), 14, INT64_C(1735689500000)
	};
	idempotency[1] = (ReefIdempotencyEntry) {
		reef_slice("\0\377", 2), 16, INT64_C(1735689600000)
	};
	manifest->idempotency_count = 2;
	manifest->idempotency = idempotency;
	memcpy(transaction.id, sample_uuid, 16);
	transaction.lsn = 16;
	transaction.time_ms = INT64_C(1735689600001);
	manifest->transaction_count = 1;
	manifest->transactions = &transaction;
}

#endif							/* REEF_COMPAT_SAMPLES_H */
