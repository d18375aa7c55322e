/*
 * monitor.h
 *	  What all processes count together, and what long operations are at.
 *
 * Each process counts its requests in its own store handles; from time to time
 * it adds what is new to a table in shared memory, by location.  A process that
 * does something long has a line in another table, which the engine's progress
 * callback fills.
 */
#ifndef REEF_PG_MONITOR_H
#define REEF_PG_MONITOR_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/spin.h"

#include "pg/reef_fdw.h"
#include "store/store.h"

/* Locations counted each by itself; the last line takes all others. */
#define REEFPG_STORES_MAX 64
#define REEFPG_PHASE_SIZE 64

typedef struct ReefPgStoreLine
{
	slock_t		mutex;			/* guards the rest */
	char		location[1024]; /* "": not used; "*": all the others */
	ReefRequestCounters counters[REEF_REQUEST_KIND_COUNT];
	ReefCacheCounters cached;
} ReefPgStoreLine;

typedef struct ReefPgProgress
{
	slock_t		mutex;			/* guards the rest */
	int			pid;			/* 0: not used */
	const char *operation;		/* a constant, at the same address everywhere */
	int			entry_number;	/* of the table of namespaces */
	uint64		generation;		/* of the entry */
	char		phase[REEFPG_PHASE_SIZE];
	uint64		done;
	uint64		total;			/* 0: not known */
	TimestampTz started;
} ReefPgProgress;

/* What a namespace has cost since it was opened here. */
typedef enum ReefPgPutKind
{
	REEFPG_PUT_RECORDS,
	REEFPG_PUT_BULK,			/* segments that transactions wrote */
	REEFPG_PUT_FOLDS,			/* with their manifests, as all below */
	REEFPG_PUT_COMPACTIONS
} ReefPgPutKind;

#define REEFPG_PUT_KIND_COUNT 4

typedef struct ReefPgTraffic
{
	pg_atomic_uint64 user_bytes;	/* keys and documents that were committed */
	pg_atomic_uint64 put_bytes[REEFPG_PUT_KIND_COUNT];
	pg_atomic_uint32 writers_waiting;	/* for memory, see xact.c */
	pg_atomic_uint64 waited_us;
} ReefPgTraffic;

struct ReefPgEntry;
struct ReefPgShared;

extern Size reefpg_monitor_shared_size(void);
/* Gives back what comes after it in memory. */
extern char *reefpg_monitor_init(struct ReefPgShared *shared, char *memory);
extern void reefpg_traffic_init(ReefPgTraffic *traffic);
extern void reefpg_traffic_reset(ReefPgTraffic *traffic);

/* What of a store handle's counters is in the table. */
typedef struct ReefPgCounted
{
	ReefRequestCounters requests[REEF_REQUEST_KIND_COUNT];
	ReefCacheCounters cached;
} ReefPgCounted;

/* Add what a store handle has counted and not yet been taken account of. */
extern void reefpg_store_line_add(ReefStore *store, ReefPgCounted *counted);

/* From now on this process's progress is shown; operation is a constant. */
extern void reefpg_progress_begin(struct ReefPgEntry *entry,
								  const char *operation);
extern void reefpg_progress_update(const char *phase, uint64 done,
								   uint64 total);
/* No error, and nothing if nothing has begun. */
extern void reefpg_progress_end(void);
extern int	reefpg_progress_count(void);

#endif							/* REEF_PG_MONITOR_H */
