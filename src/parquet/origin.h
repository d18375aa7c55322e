/*
 * origin.h
 *	  Who wrote a file, and the key-values in the footer that only our own
 *	  files have (footer.h): checksums, and the columns' PostgreSQL types.
 */
#ifndef REEF_PARQUET_ORIGIN_H
#define REEF_PARQUET_ORIGIN_H

#include "base/schema.h"
#include "parquet/footer.h"

typedef struct ReefParquetOrigin
{
	bool		is_ours;
	uint32_t   *index_crcs;		/* of each row group; if it is ours */
	uint32_t   *bloom_crcs;		/* of each bloom filter */
	int			bloom_count;
	int			pair_count;
	const char **keys;
	const char **values;
} ReefParquetOrigin;

/* Find out, and if the file is ours check the footer's own checksum.  "bytes"
 * are the footer as stored. */
extern ReefCode reef_parquet_origin_verify(const ReefParquetFooter *footer,
										   ReefSlice bytes, ReefArena *arena,
										   ReefParquetOrigin *origin,
										   ReefError *err) REEF_MUST_CHECK;

/* Complete the schema with kinds and types that Parquet does not hold. */
extern ReefCode reef_parquet_origin_describe(const ReefParquetOrigin *origin,
											 const ReefParquetFooter *footer,
											 ReefArena *arena,
											 ReefSchema *schema,
											 ReefError *err) REEF_MUST_CHECK;

/* The value of a footer pair, or NULL. */
extern const char *reef_parquet_origin_value(const ReefParquetOrigin *origin,
											 const char *key);

/* The stored checksum of a column chunk's bloom filter. */
extern uint32_t reef_parquet_origin_bloom_crc(const ReefParquetOrigin *origin,
											  const ReefParquetFooter *footer,
											  int row_group, int column);

#endif							/* REEF_PARQUET_ORIGIN_H */
