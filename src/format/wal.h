/*
 * wal.h
 *	  The WAL record: one immutable object a group of committed transactions.
 *
 * A record is written by the leader of a group of committing transactions, in
 * one conditional PUT, and read when a namespace is opened or refreshed, until
 * its rows are in segments.  Its name is its LSN (layout.h).  Integers are
 * little-endian; varint and slice (varint size, bytes) are those of bytes.h.
 *
 *	  record := header entry{frame count} frame{frame count}
 *
 * HEADER
 *	  offset size field
 *	  0		 8	  magic "REEF-WAL"
 *	  8		 2	  format version, 1
 *	  10	 2	  flags, none yet: 0
 *	  12	 4	  frame count, at most 4096; 0: a fence
 *	  16	 16	  namespace id
 *	  32	 16	  cluster id: which server start wrote it
 *	  48	 16	  nonce: which attempt wrote it
 *	  64	 8	  LSN, 1 .. 2^63 - 1
 *	  72	 8	  epoch, at most 2^63 - 1
 *	  80	 8	  time, milliseconds since 1970, signed; for people only
 *	  88	 8	  size of the whole record
 *	  96	 4	  CRC of the previous record's header; 0 for LSN 1
 *	  100	 4	  CRC of the table of frames
 *	  104	 20	  reserved, 0
 *	  124	 4	  CRC of the bytes 0 .. 123
 *
 * ENTRY, of the table of frames: u32 size of the frame, u32 CRC of the frame.
 *
 * CHECKSUMS are CRC-32C (crc32c.h).  A frame's is in the table, the table's is
 * in the header, the header's is its last field, which so stands for the whole
 * record: the next record repeats it, and a lost or replaced record is noticed.
 *
 * FRAME: one transaction.
 *	  frame	 := u8 codec, u32 size of the body before compression, body
 *	  codec	 0: as it is, 1: zstd (when that saves a tenth of 4 KB or more)
 *
 *	  body	 := i64 row count delta, u32 operation count, u8 flags,
 *				coupling{flags & 1},
 *				varint participant count, slice{count},
 *				u8[16] transaction id{if there are participants},
 *				slice idempotency key (empty: none),
 *				varint column count, column{count},
 *				operation{operation count}
 *	  coupling := u64 system id, u32 timeline, u64 WAL position, u64 full xid
 *	  column := slice name, u8 kind (value.h), u8 precision, u8 scale,
 *				varint length + 1, varint key position,
 *				u8 flags (1: not null, 2: bloom filter),
 *				slice PostgreSQL type (empty: unknown)
 *
 *	  operation := u8 (kind | condition << 4),
 *				varint LSN{if the condition is 2}, then by kind:
 *	  1 put		 slice document, by the frame's columns (document.h)
 *	  2 patch	 slice key, varint count, varint column number{count},
 *				 slice document of these columns, in this order
 *	  3 delete	 slice key
 *	  4 truncate nothing
 *	  5 attach	 u8[16] segment id, u8 level, varint rows, varint tombstones,
 *				 varint superseding rows, slice lowest key, slice highest key,
 *				 varint size, u32 CRC, varint count, statistics{count}
 *	  6 abort	 varint LSN, varint frame number: that frame is void
 *	  statistics := slice column name, varint nulls, u8 kind (0: no bounds),
 *				 slice document of two columns of the kind, min and max
 *
 * VERSIONS.  Magic, version and the header's CRC stay where they are in all
 * versions.  A reader that finds a higher version under a right checksum
 * reports REEF_UNSUPPORTED and goes no further.  Within its own version it
 * takes every flag, kind, condition, codec and reserved byte that it does not
 * know, and every byte of a body that no field explains, for damage.
 *
 * LIMITS.  4096 frames; a body of 1 GB; 1664 columns; keys of 4096 bytes;
 * documents of 256 MB; names of 255 bytes; idempotency keys of 1024.  A
 * compressed body stands for at most 1000 times its size and 64 KB: what
 * compresses better is stored as it is, and a reader believes nothing else.
 *
 * TORN WRITES.  A record shorter than it says is damage, like any wrong
 * checksum: a store never shows half an object.  Bytes behind the record's own
 * size are ignored, so that a file may be reused for a shorter record.
 *
 * EXAMPLE: record 2 inserts the row (7) into a table with the one column
 * "id integer", which is its key.
 *
 * 00000000: 52 45 45 46 2d 57 41 4c 01 00 00 00 01 00 00 00  REEF-WAL........
 * 00000010: 01 93 5a 00 00 01 70 02 80 03 04 05 06 07 08 09  ..Z...p.........
 * 00000020: c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 ca cb cc cd ce cf  ................
 * 00000030: a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af  ................
 * 00000040: 02 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00  ................
 * 00000050: 7b 7c 29 1f 94 01 00 00 b5 00 00 00 00 00 00 00  {|).............
 * 00000060: ef be ad de d0 73 f9 e8 00 00 00 00 00 00 00 00  .....s..........
 * 00000070: 00 00 00 00 00 00 00 00 00 00 00 00 c1 09 11 12  ................
 * 00000080: 2d 00 00 00 ff 26 7c e7 00 28 00 00 00 01 00 00  -....&|..(......
 * 00000090: 00 00 00 00 00 01 00 00 00 00 00 00 01 02 69 64  ..............id
 * 000000a0: 03 00 00 00 01 01 07 69 6e 74 65 67 65 72 11 05  .......integer..
 * 000000b0: 01 07 00 00 00                                   .....
 *
 * At 0x80 the table: 45 bytes, CRC.  At 0x88 the frame: not compressed, 40
 * bytes; one row more; one operation; no flags, participants or idempotency
 * key; one column: "id", kind 3 (int4), no precision, scale or length, first
 * in the key, not null, "integer".  At 0xae put if absent: a document of 5
 * bytes, whose bitmap says that the one column is there, and 7.
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
 * The frame's bytes, compressed if that pays, are appended to *out.  Frames
 * are independent of the record that will carry them, so a backend encodes its
 * own before anybody knows the LSN.  (Their checksums are the record's.)
 *
 * What the reader would refuse is refused: an impossible header at once
 * (REEF_INVALID, REEF_LIMIT), an impossible operation when finishing.
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

/*
 * Decompress into the arena if need be, and decode the header.  The checksum
 * was compared by reef_wal_decode.  Errors name the place inside the frame;
 * which frame of which object it is, the caller adds.
 */
extern ReefCode reef_frame_reader_init(ReefFrameReader *reader, ReefSlice frame,
									   ReefArena *arena, ReefError *err)
			REEF_MUST_CHECK;
/* The next operation; REEF_NOT_FOUND after the last. */
extern ReefCode reef_frame_reader_next(ReefFrameReader *reader, ReefOp *op,
									   ReefError *err) REEF_MUST_CHECK;

/* Append a whole record of header->frame_count frames; fills header->crc.
 * frames may be NULL for a fence. */
extern ReefCode reef_wal_encode(ReefWalHeader *header, const ReefSlice *frames,
								ReefBuf *out, ReefError *err) REEF_MUST_CHECK;

/*
 * Decode untrusted bytes of the object "key", which must be record "lsn".
 * frames points to header->frame_count slices in the arena.  Trailing bytes
 * after the record's own size are ignored.  Whether the namespace and the chain
 * (previous_crc) are right, only the caller can know.
 */
extern ReefCode reef_wal_decode(ReefSlice bytes, uint64_t lsn, const char *key,
								ReefArena *arena, ReefWalHeader *header,
								ReefSlice **frames, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_FORMAT_WAL_H */
