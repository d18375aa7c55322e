/*
 * local_cache.h
 *	  The local cache of segments in buckets (see local_cache.c).
 */
#ifndef REEF_PG_LOCAL_CACHE_H
#define REEF_PG_LOCAL_CACHE_H

#include "postgres.h"

struct ReefCache;

extern Size reefpg_local_cache_shared_size(void);
extern void reefpg_local_cache_shared_init(void);
/* This process's handle; NULL: there is no cache, or not now. */
extern struct ReefCache *reefpg_local_cache(void);

#endif							/* REEF_PG_LOCAL_CACHE_H */
