/*
 * manifest.h
 *	  The versioned list of live segments: types, encoder, decoder.
 *
 * (The byte format is documented here by whoever finishes the codec, by the
 * template of the format rules: see wal.h.)
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
 * A transaction over several namespaces that this one has applied, named for
 * as long as a record of another participant may still ask.
 */
typedef struct ReefManifestTransaction
{
	uint8_t		id[16];
	uint64_t	lsn;
	int64_t		time_ms;
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
	ReefSchema	schema;
	int			segment_count;
	ReefSegmentMeta *segments;	/* oldest first: level 1 by key, then level 0
								 * by lsn_max */
	int			idempotency_count;
	ReefIdempotencyEntry *idempotency;	/* in any order */
	int			transaction_count;
	ReefManifestTransaction *transactions;	/* in any order */
} ReefManifest;

/* Append the object's bytes. */
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
