/*
 * manifest.h
 *	  The versioned list of live segments: types, encoder, decoder.
 *
 * A manifest is written by fold, compaction and rebuild, each as the next
 * version, with a conditional PUT that is their commit point; it is read when
 * a namespace is opened or refreshed.  Its name is its version (layout.h).
 *
 *	  object	 := "reef-manifest " format " " body size " " CRC "\n" body
 *
 * Format and size (in bytes) are decimal; the CRC is CRC-32C of the body as 8
 * hex digits.  The body is one JSON object, indented, and a newline: `tail -n
 * +2 | jq .` shows it (jq itself rounds integers above 2^53).  Members are
 * written in the order below, so equal manifests are equal bytes; a reader
 * takes any order.  "hex" is text of two lower-case digits a byte.
 *
 *	  format			1, as in the first line
 *	  version			integer, as in the name
 *	  parent_version	integer, less than version; 0: none
 *	  namespace_id		hex, 16 bytes
 *	  epoch				integer, highest among the records applied
 *	  last_applied_lsn	integer; what follows is the state as of this record
 *	  last_applied_crc	hex, 4 bytes: CRC of that record's header
 *	  time_ms			integer, since 1970; for people only
 *	  live_rows			integer, exact
 *	  rebuildable_lsn	integer, at most last_applied_lsn: rebuilding without any
 *						manifest needs the records above it; absent if 0
 *	  columns			array: name, kind (reef_kind_name), precision, scale,
 *						length (-1: none), type (PostgreSQL's text or null),
 *						key_position (0: not in the key), not_null, bloom
 *	  segments			array: id (UUID text, as in the name), level, rows,
 *						tombstones, superseding, key_min and key_max (hex),
 *						lsn_min, lsn_max, bytes, crc32c (hex), stats.
 *						Level 1 first, its keys ascending and disjoint, then
 *						level 0 by lsn_max
 *	  ... stats			array: name, nulls; kind, min and max if there are
 *						bounds.  Kind is what the segment has, which may be
 *						narrower than the column's
 *	  idempotency		array: key (hex), lsn, time_ms
 *	  transactions		array: id (hex, 16 bytes), lsn, time_ms, participants
 *						(array: name (hex); absent if none): transactions over
 *						several namespaces that were applied, and that this
 *						namespace decides
 *
 * BOUNDS by kind.  All come back bit for bit, but any NaN as the usual one.
 *	  bool				true or false
 *	  int2, int4, int8, date, time, timestamp, timestamptz
 *						integer, as value.h represents them
 *	  float4, float8	number with a point or exponent, in 17 digits, or
 *						"Infinity", "-Infinity", "NaN"
 *	  decimal64, decimal128
 *						string: the unscaled integer, or "NaN"
 *	  uuid				string, 36 characters
 *	  text, json, other	string; {"hex": "..."} if it is not UTF-8 or has a NUL
 *						(a bound that was cut may end inside a character)
 *	  bytea				{"hex": "..."}
 *
 * CHECKSUM.  Size and CRC are compared before anything is parsed, so that a
 * manifest that is cut, torn or changed is damage, and never a newer format or
 * another manifest.  Bytes behind the body are damage too.
 *
 * VERSIONS.  The first line and the member "format" have this form in all
 * versions; a reader that finds a higher one reports REEF_UNSUPPORTED.  Within
 * a version it ignores members that it does not know: one that must not be
 * ignored makes a new version.
 *
 * LIMITS.  Integers are 0 .. 2^63 - 1 unless said otherwise; 1664 columns;
 * names of 255 bytes; idempotency keys of 1024 bytes; keys of 4096.  Names,
 * segments, idempotency keys and transactions are unique, and nothing is
 * younger than last_applied_lsn.
 *
 * EXAMPLE, which is a unit test: three rows in one segment.
 *
 * |reef-manifest 1 888 8bd0af9e
 * |{
 * | "format": 1,
 * | "version": 1,
 * | "parent_version": 0,
 * | "namespace_id": "01935a00000170028003040506070809",
 * | "epoch": 5,
 * | "last_applied_lsn": 4,
 * | "last_applied_crc": "121109c1",
 * | "time_ms": 1735689600123,
 * | "live_rows": 3,
 * | "rebuildable_lsn": 4,
 * | "columns": [
 * |  {
 * |   "name": "id",
 * |   "kind": "int4",
 * |   "precision": 0,
 * |   "scale": 0,
 * |   "length": -1,
 * |   "type": "integer",
 * |   "key_position": 1,
 * |   "not_null": true,
 * |   "bloom": false
 * |  }
 * | ],
 * | "segments": [
 * |  {
 * |   "id": "01935a00-0001-7002-8003-040506070809",
 * |   "level": 0,
 * |   "rows": 3,
 * |   "tombstones": 0,
 * |   "superseding": 0,
 * |   "key_min": "8000000000000007",
 * |   "key_max": "8000000000000009",
 * |   "lsn_min": 2,
 * |   "lsn_max": 4,
 * |   "bytes": 901,
 * |   "crc32c": "0badcafe",
 * |   "stats": [
 * |    {
 * |     "name": "id",
 * |     "nulls": 0,
 * |     "kind": "int4",
 * |     "min": 7,
 * |     "max": 9
 * |    }
 * |   ]
 * |  }
 * | ],
 * | "idempotency": [],
 * | "transactions": []
 * |}
 */
#ifndef REEF_FORMAT_MANIFEST_H
#define REEF_FORMAT_MANIFEST_H

#include "base/arena.h"
#include "base/schema.h"

#define REEF_MANIFEST_FORMAT_VERSION 1

#define REEF_IDEMPOTENCY_KEY_MAX_SIZE 1024

/* Statistics of one column of one segment. */
typedef struct ReefColumnStats
{
	const char *name;
	uint64_t	null_count;
	bool		has_min_max;	/* false: all null, or not orderable */
	ReefKind	kind;			/* of min and max, as the segment stores them:
								 * the schema's may be wider by now */
	ReefValue	min;			/* variable kinds may be a shorter lower bound */
	ReefValue	max;			/* ... or a shorter upper bound */
} ReefColumnStats;

typedef struct ReefSegmentMeta
{
	uint8_t		id[16];			/* uuid v7, part of the object's name */
	int			level;			/* 0 or 1 */
	uint64_t	row_count;		/* rows in the file, tombstones included */
	uint64_t	tombstone_count;
	uint64_t	superseding_count;	/* rows that may hide an older one */
	ReefSlice	key_min;		/* encoded keys, see base/document.h */
	ReefSlice	key_max;
	uint64_t	lsn_min;
	uint64_t	lsn_max;
	uint64_t	size;			/* bytes of the object */
	uint32_t	crc;			/* CRC32C of the whole object */
	int			stats_count;
	ReefColumnStats *stats;
} ReefSegmentMeta;

/* One idempotency key inside its retention. */
typedef struct ReefIdempotencyEntry
{
	ReefSlice	key;
	uint64_t	lsn;
	int64_t		time_ms;
} ReefIdempotencyEntry;

/*
 * A transaction over several namespaces that this one has applied and decides,
 * named for as long as a record of another participant may still ask.
 */
typedef struct ReefManifestTransaction
{
	uint8_t		id[16];
	uint64_t	lsn;
	int64_t		time_ms;
	int			participant_count;
	const ReefSlice *participants;	/* names of the other namespaces */
} ReefManifestTransaction;

typedef struct ReefManifest
{
	uint64_t	version;
	uint64_t	parent_version;	/* 0 for the first */
	uint8_t		namespace_id[16];
	uint64_t	epoch;			/* highest among the records applied */
	uint64_t	last_applied_lsn;
	uint32_t	last_applied_crc;	/* chain: CRC of that record's header */
	int64_t		time_ms;		/* when it was written, for people only */
	uint64_t	live_row_count;
	uint64_t	rebuildable_lsn;	/* a footer's copy of some manifest is
									 * complete up to here at least: records
									 * above are needed for a rebuild */
	ReefSchema	schema;
	int			segment_count;
	ReefSegmentMeta *segments;	/* oldest first: level 1 by key, then level 0
								 * by lsn_max */
	int			idempotency_count;
	ReefIdempotencyEntry *idempotency;	/* in any order */
	int			transaction_count;
	ReefManifestTransaction *transactions;	/* in any order */
} ReefManifest;

/* Append the object's bytes.  REEF_INVALID if the decoder would refuse them. */
extern ReefCode reef_manifest_encode(const ReefManifest *manifest, ReefBuf *out,
									 ReefError *err) REEF_MUST_CHECK;
/*
 * Decode untrusted bytes; everything in *manifest lives in the arena.
 * "version" is the number in the key asked for.  REEF_CORRUPT names the
 * object "key"; REEF_UNSUPPORTED for a newer format.
 */
extern ReefCode reef_manifest_decode(ReefSlice bytes, uint64_t version,
									 const char *key, ReefArena *arena,
									 ReefManifest *manifest, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_FORMAT_MANIFEST_H */
