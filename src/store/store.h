/*
 * store.h
 *	  The contract every object store keeps, and the verbs the engine uses.
 *
 * An object is immutable bytes under a key.  The one primitive that the whole
 * protocol stands on is put-if-absent: of any number of concurrent puts of
 * one key at most one succeeds, and success means durable.  A store that does
 * not promise this must not be used (reef_store_probe finds the liars).
 *
 * Keys are relative to the store's location, made of [A-Za-z0-9._/-] only, at
 * most REEF_STORE_KEY_MAX_SIZE bytes, without empty, "." or ".." parts;
 * format/layout.h makes and parses them.
 *
 * Every verb blocks until it is done, its deadline has passed or the host
 * cancels; none throws.  Retries live here and nowhere above.  A store handle
 * belongs to one process and one thread.
 *
 * Implementations: file.c (a directory), s3.c, and in test/ an in-memory and a
 * fault-injecting store.
 */
#ifndef REEF_STORE_STORE_H
#define REEF_STORE_STORE_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/host.h"
#include "store/credentials.h"

#define REEF_STORE_KEY_MAX_SIZE 900

typedef struct ReefStore ReefStore;
typedef struct ReefStoreWriter ReefStoreWriter;
typedef struct ReefCache ReefCache;
typedef struct ReefCacheShared ReefCacheShared;

typedef struct ReefObjectInfo
{
	char		key[REEF_STORE_KEY_MAX_SIZE + 1];
	uint64_t	size;			/* bytes */
	int64_t		modified_us;	/* store time, microseconds since 1970 */
} ReefObjectInfo;

/* The result of a list, in bytewise key order; release with
 * reef_object_list_release. */
typedef struct ReefObjectList
{
	ReefObjectInfo *objects;
	size_t		count;
	size_t		capacity;
} ReefObjectList;

/* What one store handle has asked for since it was opened. */
typedef enum ReefRequestKind
{
	REEF_REQUEST_PUT,
	REEF_REQUEST_GET,
	REEF_REQUEST_HEAD,
	REEF_REQUEST_LIST,
	REEF_REQUEST_DELETE
} ReefRequestKind;

#define REEF_REQUEST_KIND_COUNT 5

typedef struct ReefRequestCounters
{
	uint64_t	requests;
	uint64_t	errors;
	uint64_t	retries;
	uint64_t	bytes;			/* put or got */
	uint64_t	time_us;
} ReefRequestCounters;

/* What one store handle has had from the cache; blocks, unless it says bytes. */
typedef struct ReefCacheCounters
{
	uint64_t	hits;
	uint64_t	misses;
	uint64_t	hit_bytes;		/* that no request was needed for */
	uint64_t	filled_bytes;	/* stored in the cache */
	uint64_t	evictions;
} ReefCacheCounters;

/* Keys of one reef_store_delete_many. */
#define REEF_STORE_DELETE_MAX 1000

/* One object to delete, and what became of it. */
typedef struct ReefDeletion
{
	const char *key;
	ReefCode	outcome;		/* REEF_OK also when there was none */
	char		problem[200];	/* why not; empty if REEF_OK */
} ReefDeletion;

/*
 * What an implementation provides.  Required unless marked optional.  An
 * implementation makes one attempt a call; store.c adds validation of keys,
 * retries, deadlines and counters.
 */
typedef struct ReefStoreOps
{
	const char *kind;			/* "file", "s3", "memory" */

	/*
	 * Create the object if there is none.  REEF_OK: it is durable now and
	 * contains these bytes.  REEF_CONFLICT: an object was there (perhaps our
	 * own earlier attempt; the caller finds out by its nonce).
	 * REEF_UNCERTAIN: it may or may not be there, now or later.  Anything
	 * else: it is certainly not there.
	 */
	ReefCode	(*put_if_absent) (void *impl, const char *key, ReefSlice bytes,
								  ReefError *err);

	/*
	 * Optional, for reef_store_probe: put "count" different bodies under one
	 * key at the same time, as far as the store can tell.  outcomes[i] is what
	 * put_if_absent would have returned for bodies[i]; the function itself
	 * fails only if the race could not be held.  NULL where put_if_absent is
	 * atomic by construction.
	 */
	ReefCode	(*put_race) (void *impl, const char *key,
							 const ReefSlice *bodies, int count,
							 ReefCode *outcomes, ReefError *err);

	/* Append the whole object to *out.  REEF_NOT_FOUND if there is none. */
	ReefCode	(*get) (void *impl, const char *key, ReefBuf *out,
						ReefError *err);

	/*
	 * Exactly size bytes from offset into "out".  REEF_NOT_FOUND if there is no
	 * such object, REEF_CORRUPT if it ends before that.
	 */
	ReefCode	(*get_range) (void *impl, const char *key, uint64_t offset,
							  size_t size, void *out, ReefError *err);

	ReefCode	(*head) (void *impl, const char *key, ReefObjectInfo *info,
						 ReefError *err);

	/*
	 * All objects whose key begins with prefix and is greater than start_after
	 * (may be ""), in bytewise order, at most "limit" (0 = all).
	 */
	ReefCode	(*list) (void *impl, const char *prefix,
						 const char *start_after, size_t limit,
						 ReefObjectList *out, ReefError *err);

	/*
	 * Delete one object; REEF_OK also when there was none.  A power failure
	 * may undo a recent delete.
	 */
	ReefCode	(*delete_object) (void *impl, const char *key, ReefError *err);

	/*
	 * Optional: delete up to REEF_STORE_DELETE_MAX objects with one request,
	 * in any order.  The function itself fails only if the request did, with
	 * nothing or some of it done; otherwise each object has its own outcome.
	 * NULL: one after the other, by delete_object.
	 */
	ReefCode	(*delete_many) (void *impl, ReefDeletion *deletions,
								int count, ReefError *err);

	/*
	 * Stream a large object: begin, write in order, then commit (with the
	 * outcomes of put_if_absent) or abort, which leaves nothing behind.
	 * Segment keys are never reused, so a store without conditional multipart
	 * completion is good enough here.  A failed write has consumed nothing and
	 * may be repeated.  A commit frees the writer only if it returns REEF_OK;
	 * after any other outcome it is repeated (REEF_UNAVAILABLE,
	 * REEF_THROTTLED) or the writer is aborted.
	 */
	ReefCode	(*write_begin) (void *impl, const char *key, void **writer,
								ReefError *err);
	ReefCode	(*write) (void *impl, void *writer, ReefSlice bytes,
						  ReefError *err);
	ReefCode	(*write_commit) (void *impl, void *writer, ReefError *err);
	void		(*write_abort) (void *impl, void *writer);

	/*
	 * The store's own clock, microseconds since 1970: never the machine's
	 * where the two can differ.
	 */
	ReefCode	(*now) (void *impl, int64_t *now_us, ReefError *err);

	/*
	 * Optional, where answers tell the store's time.  mark: forget what was
	 * seen.  times: what was seen since, 0 if nothing: a time at or before the
	 * first request was sent, and how the latest answer is dated.
	 */
	void		(*mark) (void *impl);
	void		(*times) (void *impl, int64_t *asked_us, int64_t *answered_us);

	/*
	 * Optional: when the verb whose attempts follow must have ended, by the
	 * host's clock; 0: never.
	 */
	void		(*set_deadline) (void *impl, int64_t deadline_us);

	void		(*close) (void *impl);
} ReefStoreOps;

/* Where the bucket's name is in a URL. */
typedef enum ReefPathStyle
{
	REEF_PATH_STYLE_AUTO,		/* in the path if an endpoint is given */
	REEF_PATH_STYLE_ON,			/* in the path */
	REEF_PATH_STYLE_OFF			/* before the host's name */
} ReefPathStyle;

typedef struct ReefStoreOptions
{
	const char *location;		/* file:///dir or s3://bucket/prefix */
	bool		read_only;		/* every write fails with REEF_READ_ONLY */
	int64_t		request_timeout_us; /* deadline of one verb; 0 = none */
	int			max_retries;

	/* The rest is for s3; all may be NULL or 0. */
	const char *endpoint;		/* [http[s]://]host[:port]; NULL: AWS */
	const char *region;			/* NULL: us-east-1 */
	ReefPathStyle path_style;
	const char *ca_file;		/* NULL: the system's authorities */
	const char *proxy;			/* NULL: none */
	bool		allow_metadata; /* see http.h */
	int64_t		connect_timeout_us; /* 0: a default */
	ReefCredentialSource credential_source; /* GIVEN: the last three */
	const char *profile;		/* for some sources; see credentials.h */
	const char *role_arn;		/* to assume with the keys found; or NULL */
	const char *access_key_id;	/* NULL: anonymous */
	const char *secret_access_key;
	const char *session_token;

	ReefCache  *cache;			/* the local one; outlives the store; NULL: none */
} ReefStoreOptions;

/* Wrap an implementation; takes over "impl", also on failure.  Close with
 * reef_store_close. */
extern ReefCode reef_store_new(const ReefHost *host, const ReefStoreOps *ops,
							   void *impl, const ReefStoreOptions *options,
							   ReefStore **store, ReefError *err)
			REEF_MUST_CHECK;

/*
 * Open a location: checks the syntax, picks the implementation.  A missing
 * directory is created if its parent exists (not when read_only).
 */
extern ReefCode reef_store_open(const ReefHost *host,
								const ReefStoreOptions *options,
								ReefStore **store, ReefError *err)
			REEF_MUST_CHECK;
extern void reef_store_close(ReefStore *store);	/* accepts NULL */

/* The verbs; see ReefStoreOps for their outcomes. */
extern ReefCode reef_store_put_if_absent(ReefStore *store, const char *key,
										 ReefSlice bytes, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_store_get(ReefStore *store, const char *key, ReefBuf *out,
							   ReefError *err) REEF_MUST_CHECK;
extern ReefCode reef_store_get_range(ReefStore *store, const char *key,
									 uint64_t offset, size_t size, void *out,
									 ReefError *err) REEF_MUST_CHECK;
/*
 * The same of an object that never changes under this key, through the local
 * cache.  A key that could be used twice, or an object whose state in the store
 * is the question, must be read with reef_store_get_range.
 */
extern ReefCode reef_store_get_cached(ReefStore *store, const char *key,
									  uint64_t object_size, uint64_t offset,
									  size_t size, void *out, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_store_head(ReefStore *store, const char *key,
								ReefObjectInfo *info, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_store_list(ReefStore *store, const char *prefix,
								const char *start_after, size_t limit,
								ReefObjectList *out, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_store_delete(ReefStore *store, const char *key,
								  ReefError *err) REEF_MUST_CHECK;
/*
 * Delete up to REEF_STORE_DELETE_MAX objects, in any order.  An object that
 * cannot be deleted is no failure of the verb: see its outcome, which is set
 * for each if the verb returns REEF_OK.
 */
extern ReefCode reef_store_delete_many(ReefStore *store,
									   ReefDeletion *deletions, int count,
									   ReefError *err) REEF_MUST_CHECK;
/*
 * The store's time at or before the requests between the two calls, which both
 * set it; without a request where answers tell the time.  0: not known.
 */
extern ReefCode reef_store_time_begin(ReefStore *store, int64_t *asked_us,
									  ReefError *err) REEF_MUST_CHECK;
extern void reef_store_time_end(ReefStore *store, int64_t *asked_us);
/* Does each request take a round trip? */
extern bool reef_store_is_remote(const ReefStore *store);
/* The date of the store's latest answer to this handle; where answers have none, now. */
extern ReefCode reef_store_time_answered(ReefStore *store,
										 int64_t *answered_us, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_store_now(ReefStore *store, int64_t *now_us,
							   ReefError *err) REEF_MUST_CHECK;

extern ReefCode reef_store_write_begin(ReefStore *store, const char *key,
									   ReefStoreWriter **writer,
									   ReefError *err) REEF_MUST_CHECK;
/* It will be read with reef_store_get_cached: keep it as it is written.  Before
 * the first write. */
extern void reef_store_write_keep(ReefStoreWriter *writer);
extern ReefCode reef_store_write(ReefStoreWriter *writer, ReefSlice bytes,
								 ReefError *err) REEF_MUST_CHECK;
/* Both end the writer, whatever they return. */
extern ReefCode reef_store_write_commit(ReefStoreWriter *writer,
										ReefError *err) REEF_MUST_CHECK;
extern void reef_store_write_abort(ReefStoreWriter *writer);	/* accepts NULL */

/*
 * Is put-if-absent honest here?  Puts and deletes probe objects below
 * `prefix`.  REEF_UNSUPPORTED with a detail that says what the store did.
 */
extern ReefCode reef_store_probe(ReefStore *store, const char *prefix,
								 ReefError *err) REEF_MUST_CHECK;

extern const char *reef_store_location(const ReefStore *store);
extern bool reef_store_is_read_only(const ReefStore *store);
extern const ReefHost *reef_store_host(const ReefStore *store);
/* Array of REEF_REQUEST_KIND_COUNT; borrowed until close. */
extern const ReefRequestCounters *reef_store_counters(const ReefStore *store);
/* Likewise. */
extern const ReefCacheCounters *reef_store_cache_counters(const ReefStore *store);
/* Is there a local cache for this store? */
extern bool reef_store_is_cached(const ReefStore *store);

/* ---- the local cache (cache.c): the server's part, memory that all processes
 * have ---- */

/* Of the index for a cache of so many bytes; 0: too small to be of use. */
extern size_t reef_cache_shared_size(uint64_t cache_size);
extern void reef_cache_shared_init(ReefCacheShared *shared,
								   uint64_t cache_size);
/* Bytes of objects that it can hold. */
extern uint64_t reef_cache_capacity(const ReefCacheShared *shared);

/* ---- the local cache: a process's part ---- */

/*
 * Open the directory; create it if its parent exists.  The first process to do
 * so finds out what is in it and removes what is left of a crash; until it is
 * done the others find nothing and keep nothing.  REEF_INVALID if it is not a
 * directory of ours that nobody else may look into.
 */
extern ReefCode reef_cache_open(const ReefHost *host, ReefCacheShared *shared,
								const char *directory, ReefCache **cache,
								ReefError *err) REEF_MUST_CHECK;
extern void reef_cache_close(ReefCache *cache); /* accepts NULL */
/* For implementations: could this be the key of an object?  What else is in a
 * bucket is not ours. */
extern bool reef_store_key_is_valid(const char *key);

extern void reef_object_list_init(ReefObjectList *list);
extern void reef_object_list_release(ReefObjectList *list);
/* For implementations: append; REEF_NO_MEMORY. */
extern ReefCode reef_object_list_append(ReefObjectList *list,
										const ReefObjectInfo *info,
										ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_STORE_STORE_H */
