/*
 * wal.h
 *	  The WAL record: one immutable object a group of committed transactions.
 *
 * (The byte layout - offset tables, checksums, version rule, torn-write rule,
 * worked hex example - is documented here by whoever finishes the codec.)
 */
#ifndef REEF_FORMAT_WAL_H
#define REEF_FORMAT_WAL_H

#include "base/arena.h"
#include "base/host.h"
#include "base/schema.h"
#include "format/layout.h"
#include "format/manifest.h"

#define REEF_WAL_FORMAT_VERSION 1
#define REEF_WAL_HEADER_SIZE 128
#define REEF_WAL_MAX_FRAMES 4096

/* Bytes of one frame's body, before compression. */
#define REEF_FRAME_MAX_SIZE (1024 * 1024 * 1024)
/* A compressed body never stands for more than this. */
#define REEF_FRAME_MAX_EXPANSION(size) ((size) * 1000 + 64 * 1024)

/* Flags of a frame; stored, never reuse a bit. */
#define REEF_FRAME_COUPLED 0x01
/* Flags of a column in a frame; stored, never reuse a bit. */
#define REEF_COLUMN_NOT_NULL 0x01
#define REEF_COLUMN_BLOOM 0x02

typedef struct ReefWalHeader
{
	uint8_t		namespace_id[16];
	uint64_t	lsn;
	uint64_t	epoch;
	uint8_t		cluster_id[16];
	uint8_t		nonce[16];		/* which attempt wrote this object */
	int64_t		time_ms;
	uint32_t	previous_crc;	/* header CRC of the record before; 0 for LSN 1 */
	uint32_t	frame_count;	/* 0: a fence */
	uint32_t	crc;			/* of this header, which covers the frames' CRCs */
} ReefWalHeader;

/* What an operation does to a key. */
typedef enum ReefOpKind			/* stored; never renumber */
{
	REEF_OP_PUT = 1,
	REEF_OP_PATCH = 2,
	REEF_OP_DELETE = 3,
	REEF_OP_TRUNCATE = 4,
	REEF_OP_ATTACH = 5,
	REEF_OP_ABORT = 6,
} ReefOpKind;

/* The precondition under which an operation was validated. */
typedef enum ReefConditionKind	/* stored; never renumber */
{
	REEF_CONDITION_NONE = 0,
	REEF_CONDITION_ABSENT = 1,	/* no live row has this key */
	REEF_CONDITION_LSN = 2,		/* the row was last written by this LSN */
	REEF_CONDITION_EXISTS = 3,	/* some live row has this key */
} ReefConditionKind;

typedef struct ReefCondition
{
	ReefConditionKind kind;
	uint64_t	lsn;			/* REEF_CONDITION_LSN */
} ReefCondition;

typedef struct ReefOp
{
	ReefOpKind	kind;
	ReefCondition condition;
	ReefSlice	key;			/* PATCH, DELETE: encoded key.  PUT: empty in
								 * storage, derived from the document */
	ReefSlice	document;		/* PUT: by the frame's columns */
	/* PATCH: which columns change, and a document of just these */
	int			patch_column_count;
	const uint16_t *patch_columns;	/* indexes into the frame's columns */
	/* ATTACH */
	const ReefSegmentMeta *segment;
	/* ABORT */
	uint64_t	abort_lsn;
	uint32_t	abort_frame;
} ReefOp;

/* One transaction, as its frame says. */
typedef struct ReefFrameHeader
{
	bool		is_coupled;
	ReefCoupling coupling;
	int			participant_count;	/* other namespaces it wrote */
	const ReefSlice *participants;	/* their names */
	uint8_t		transaction_id[16]; /* the same in all participants; stored only
									 * if there are others */
	ReefSlice	idempotency_key;	/* empty: none */
	int64_t		row_count_delta;	/* exact change of the live row count */
	ReefSchema	schema;			/* the column table */
} ReefFrameHeader;

/*
 * Writing a frame: begin with the header, add operations one by one, finish.
 * The frame's bytes (compressed if that pays, with its CRC) are appended to
 * *out.  Frames are independent of the record that will carry them, so a
 * backend encodes its own before anybody knows the LSN.
 */
typedef struct ReefFrameWriter ReefFrameWriter;

extern ReefCode reef_frame_writer_new(const ReefFrameHeader *header,
									  ReefFrameWriter **writer,
									  ReefError *err) REEF_MUST_CHECK;
extern void reef_frame_writer_free(ReefFrameWriter *writer);	/* accepts NULL */
extern void reef_frame_writer_add(ReefFrameWriter *writer, const ReefOp *op);
/* The exact row-count delta may be known only at the end. */
extern ReefCode reef_frame_writer_finish(ReefFrameWriter *writer,
										 int64_t row_count_delta,
										 ReefBuf *out, ReefError *err)
			REEF_MUST_CHECK;

/* Reading one frame; everything borrows the bytes or the arena. */
typedef struct ReefFrameReader
{
	ReefFrameHeader header;
	uint32_t	op_count;
	ReefReader	body;			/* private */
	ReefArena  *arena;			/* private */
	uint32_t	ops_read;		/* private */
} ReefFrameReader;

/* Check, decompress into the arena if need be, and decode the header. */
extern ReefCode reef_frame_reader_init(ReefFrameReader *reader, ReefSlice frame,
									   ReefArena *arena, ReefError *err)
			REEF_MUST_CHECK;
/* The next operation; REEF_NOT_FOUND after the last. */
extern ReefCode reef_frame_reader_next(ReefFrameReader *reader, ReefOp *op,
									   ReefError *err) REEF_MUST_CHECK;

/* Append a whole record; fills header->crc. frames may be NULL for a fence. */
extern ReefCode reef_wal_encode(ReefWalHeader *header, const ReefSlice *frames,
								ReefBuf *out, ReefError *err) REEF_MUST_CHECK;

/*
 * Decode untrusted bytes of the object "key", which must be record "lsn".
 * frames points to header->frame_count slices in the arena.  Trailing bytes
 * after the record's own length are ignored (a recycled file may be longer).
 */
extern ReefCode reef_wal_decode(ReefSlice bytes, uint64_t lsn, const char *key,
								ReefArena *arena, ReefWalHeader *header,
								ReefSlice **frames, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_FORMAT_WAL_H */
