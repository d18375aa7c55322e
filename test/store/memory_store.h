/*
 * memory_store.h
 *	  An object store in memory, for tests.
 *
 * A bucket is the storage; any number of handles may be open on it, as many
 * clusters on one bucket.  It has a clock of its own, which stands still
 * unless it is set.  Tests may reach around the store and damage objects.
 */
#ifndef REEF_MEMORY_STORE_H
#define REEF_MEMORY_STORE_H

#include "store/store.h"

typedef struct ReefMemoryBucket ReefMemoryBucket;

extern ReefMemoryBucket *reef_memory_bucket_new(void);
/* No handle may be open any more. */
extern void reef_memory_bucket_free(ReefMemoryBucket *bucket);

/* For wrapping; the implementation pointer is the bucket itself. */
extern const ReefStoreOps reef_memory_store_ops;

/* A plain handle: "memory://", no deadline, no retries. */
extern ReefCode reef_memory_store_open(ReefMemoryBucket *bucket,
									   const ReefHost *host, bool read_only,
									   ReefStore **store, ReefError *err)
			REEF_MUST_CHECK;

extern void reef_memory_bucket_set_time(ReefMemoryBucket *bucket,
										int64_t now_us);
extern int64_t reef_memory_bucket_time(const ReefMemoryBucket *bucket);
extern size_t reef_memory_bucket_count(const ReefMemoryBucket *bucket);
/* The i-th object in key order; borrowed until the bucket changes. */
extern const char *reef_memory_bucket_key(const ReefMemoryBucket *bucket,
										  size_t i);
/* The object's bytes, {NULL, 0} if there is none; borrowed likewise. */
extern ReefSlice reef_memory_bucket_bytes(const ReefMemoryBucket *bucket,
										  const char *key);

/* Damage; false if there is no such object or no such byte in it. */
extern bool reef_memory_bucket_flip(ReefMemoryBucket *bucket, const char *key,
									size_t offset, uint8_t mask);
extern bool reef_memory_bucket_truncate(ReefMemoryBucket *bucket,
										const char *key, size_t size);
extern bool reef_memory_bucket_remove(ReefMemoryBucket *bucket,
									  const char *key);

#endif							/* REEF_MEMORY_STORE_H */
