/*
 * store.c
 *	  The verbs of a store: what all implementations have in common.
 *
 * An implementation makes one attempt a call.  Around each attempt stand here
 * the checks that no implementation should repeat (the key, read-only
 * attachments), the retries, and the counters.
 *
 * Only REEF_UNAVAILABLE, REEF_UNREACHABLE and REEF_THROTTLED are retried: they
 * promise that nothing happened, so a repeated put cannot meet its own earlier self.  An
 * uncertain put is the caller's business, who alone can recognize its bytes.
 * Between attempts a random part of an exponentially growing interval passes
 * ("full jitter"), so that clients that failed together do not return
 * together.  A verb ends when its retries are used up, when the next attempt
 * could only begin after its deadline, or when the host cancels.
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/cache.h"
#include "store/sign.h"

#define RETRY_FIRST_US INT64_C(50000)
#define RETRY_MAX_US INT64_C(5000000)

#define PROBE_RACERS 16
#define PROBE_RACES 5			/* tries to hold an undisturbed one */

struct ReefStore
{
	const ReefHost *host;
	const ReefStoreOps *ops;
	void	   *impl;
	char	   *location;
	bool		read_only;
	int64_t		request_timeout_us;
	int			max_retries;
	ReefRequestCounters counters[REEF_REQUEST_KIND_COUNT];
	ReefCacheUse cache_use;
};

struct ReefStoreWriter
{
	ReefStore  *store;
	void	   *impl_writer;
	char		key[REEF_STORE_KEY_MAX_SIZE + 1];
	ReefCacheFill *fill;		/* NULL: the local cache does not want it */
};

/* One call of a verb: several attempts, one deadline. */
typedef struct Request
{
	ReefStore  *store;
	ReefRequestCounters *counters;
	int			attempts;
	int64_t		began_us;
	int64_t		attempt_us;		/* when the current attempt began */
} Request;

static bool
is_key_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '.' || c == '_' || c == '/' || c == '-';
}

/* What is wrong with a key, or with the beginning of one; NULL if nothing. */
static const char *
key_fault(const char *key, bool is_prefix)
{
	const char *part = key;
	const char *p;

	if (key[0] == '\0')
		return is_prefix ? NULL : "it is empty";
	for (p = key;; p++)
	{
		if (p - key > REEF_STORE_KEY_MAX_SIZE)
			return "it is too long";
		if (*p == '/' || (*p == '\0' && !is_prefix))
		{
			size_t		size = (size_t) (p - part);

			if (size == 0)
				return "it has an empty part";
			if (part[0] == '.' && (size == 1 || (size == 2 && part[1] == '.')))
				return "it has a part that is \".\" or \"..\"";
			part = p + 1;
		}
		if (*p == '\0')
			return NULL;
		if (!is_key_byte(*p))
			return "it has a character other than A-Z, a-z, 0-9, \".\", "
				"\"_\", \"-\" and \"/\"";
	}
}

bool
reef_store_key_is_valid(const char *key)
{
	return key_fault(key, false) == NULL;
}

static ReefCode
check_key(const char *key, bool is_prefix, ReefError *err)
{
	const char *fault = key_fault(key, is_prefix);

	if (fault == NULL)
		return REEF_OK;
	return reef_error_set(err, REEF_INVALID, "invalid object key",
						  "key \"%.120s\": %s", key, fault);
}

static ReefCode
check_write(const ReefStore *store, const char *key, ReefError *err)
{
	REEF_TRY(check_key(key, false, err));
	if (store->read_only)
		return reef_error_set(err, REEF_READ_ONLY,
							  "store is attached read-only",
							  "location %s, object %s", store->location, key);
	return REEF_OK;
}

static ReefCode
cancelled(ReefError *err)
{
	return reef_error_set(err, REEF_CANCELLED, "store request was cancelled",
						  NULL);
}

/* ---- attempts ---- */

static ReefCode
request_begin(Request *request, ReefStore *store, ReefRequestKind kind,
			  ReefError *err)
{
	const ReefHost *host = store->host;

	if (host->cancelled(host->arg))
		return cancelled(err);
	request->store = store;
	request->counters = &store->counters[kind];
	request->attempts = 0;
	request->began_us = host->now_us(host->arg);
	request->attempt_us = request->began_us;
	if (store->ops->set_deadline != NULL)
		store->ops->set_deadline(store->impl, store->request_timeout_us == 0 ?
								 0 : request->began_us +
								 store->request_timeout_us);
	return REEF_OK;
}

/* How long to wait before attempt number "attempts" + 1. */
static int64_t
retry_delay(const ReefHost *host, int attempts)
{
	int64_t		limit = RETRY_MAX_US;
	uint64_t	random;

	if (attempts <= 6)
		limit = RETRY_FIRST_US << attempts;
	if (limit > RETRY_MAX_US)
		limit = RETRY_MAX_US;
	host->random(host->arg, &random, sizeof(random));
	return (int64_t) (random % (uint64_t) limit);
}

/*
 * Take note of an attempt's outcome.  True if another attempt is due, false if
 * *rc is the outcome of the verb.
 */
static bool
request_again(Request *request, ReefCode *rc, ReefError *err)
{
	const ReefStore *store = request->store;
	const ReefHost *host = store->host;
	int64_t		now = host->now_us(host->arg);
	int64_t		delay;

	request->attempts++;
	request->counters->requests++;
	if (now > request->attempt_us)
		request->counters->time_us += (uint64_t) (now - request->attempt_us);
	if (*rc == REEF_OK || *rc == REEF_NOT_FOUND || *rc == REEF_CONFLICT)
		return false;
	request->counters->errors++;
	if (*rc != REEF_UNAVAILABLE && *rc != REEF_UNREACHABLE &&
		*rc != REEF_THROTTLED)
		return false;

	delay = retry_delay(host, request->attempts - 1);
	if (delay < (int64_t) err->retry_after_ms * 1000)
		delay += (int64_t) err->retry_after_ms * 1000;
	if (request->attempts > store->max_retries ||
		(store->request_timeout_us > 0 &&
		 now + delay - request->began_us >= store->request_timeout_us))
	{
		if (request->attempts > 1)
			*rc = reef_error_add(err, "after %d attempts in %lld ms",
								 request->attempts,
								 (long long) (now - request->began_us) / 1000);
		return false;
	}
	if (host->wait(host->arg, NULL, 0, delay) == REEF_CANCELLED ||
		host->cancelled(host->arg))
	{
		*rc = cancelled(err);
		return false;
	}
	request->counters->retries++;
	request->attempt_us = host->now_us(host->arg);
	return true;
}

/* ---- verbs ---- */

ReefCode
reef_store_put_if_absent(ReefStore *store, const char *key, ReefSlice bytes,
						 ReefError *err)
{
	Request		request;
	ReefCode	rc;

	REEF_TRY(check_write(store, key, err));
	REEF_TRY(request_begin(&request, store, REEF_REQUEST_PUT, err));
	do
		rc = store->ops->put_if_absent(store->impl, key, bytes, err);
	while (request_again(&request, &rc, err));
	if (rc == REEF_OK)
		request.counters->bytes += bytes.size;
	return rc;
}

ReefCode
reef_store_get(ReefStore *store, const char *key, ReefBuf *out,
			   ReefError *err)
{
	size_t		size = out->size;
	Request		request;
	ReefCode	rc;

	REEF_TRY(check_key(key, false, err));
	REEF_TRY(request_begin(&request, store, REEF_REQUEST_GET, err));
	do
	{
		out->size = size;		/* forget what a failed attempt got */
		rc = store->ops->get(store->impl, key, out, err);
		if (rc == REEF_OK)
			rc = reef_buf_check(out, err);
	} while (request_again(&request, &rc, err));
	if (rc == REEF_OK)
		request.counters->bytes += out->size - size;
	else
		out->size = size;
	return rc;
}

ReefCode
reef_store_get_range(ReefStore *store, const char *key, uint64_t offset,
					 size_t size, void *out, ReefError *err)
{
	Request		request;
	ReefCode	rc;

	REEF_TRY(check_key(key, false, err));
	if (offset > INT64_MAX || size > INT64_MAX - offset)
		return reef_error_set(err, REEF_INVALID, "invalid range of an object",
							  "object %s, offset %llu, %zu bytes", key,
							  (unsigned long long) offset, size);
	REEF_TRY(request_begin(&request, store, REEF_REQUEST_GET, err));
	do
		rc = store->ops->get_range(store->impl, key, offset, size, out, err);
	while (request_again(&request, &rc, err));
	if (rc == REEF_OK)
		request.counters->bytes += size;
	return rc;
}

ReefCode
reef_store_head(ReefStore *store, const char *key, ReefObjectInfo *info,
				ReefError *err)
{
	Request		request;
	ReefCode	rc;

	REEF_TRY(check_key(key, false, err));
	REEF_TRY(request_begin(&request, store, REEF_REQUEST_HEAD, err));
	do
		rc = store->ops->head(store->impl, key, info, err);
	while (request_again(&request, &rc, err));
	return rc;
}

ReefCode
reef_store_list(ReefStore *store, const char *prefix, const char *start_after,
				size_t limit, ReefObjectList *out, ReefError *err)
{
	size_t		count = out->count;
	Request		request;
	ReefCode	rc;

	REEF_TRY(check_key(prefix, true, err));
	REEF_TRY(check_key(start_after, true, err));
	REEF_TRY(request_begin(&request, store, REEF_REQUEST_LIST, err));
	do
	{
		out->count = count;
		rc = store->ops->list(store->impl, prefix, start_after, limit, out,
							  err);
	} while (request_again(&request, &rc, err));
	if (rc != REEF_OK)
		out->count = count;
	return rc;
}

ReefCode
reef_store_delete(ReefStore *store, const char *key, ReefError *err)
{
	Request		request;
	ReefCode	rc;

	REEF_TRY(check_write(store, key, err));
	REEF_TRY(request_begin(&request, store, REEF_REQUEST_DELETE, err));
	do
		rc = store->ops->delete_object(store->impl, key, err);
	while (request_again(&request, &rc, err));
	return rc;
}

/* Would the next object fare better? */
static bool
ends_deletions(ReefCode rc)
{
	return rc == REEF_CANCELLED || rc == REEF_UNREACHABLE ||
		rc == REEF_UNAUTHENTICATED || rc == REEF_READ_ONLY;
}

static ReefCode
delete_one_by_one(ReefStore *store, ReefDeletion *deletions, int count,
				  ReefError *err)
{
	for (int i = 0; i < count; i++)
	{
		ReefDeletion *deletion = &deletions[i];

		deletion->outcome = reef_store_delete(store, deletion->key, err);
		if (ends_deletions(deletion->outcome))
			return deletion->outcome;
		deletion->problem[0] = '\0';
		if (deletion->outcome != REEF_OK)
			snprintf(deletion->problem, sizeof(deletion->problem),
					 "%.90s: %.100s", err->message, err->detail);
	}
	return REEF_OK;
}

ReefCode
reef_store_delete_many(ReefStore *store, ReefDeletion *deletions, int count,
					   ReefError *err)
{
	Request		request;
	ReefCode	rc;

	if (count == 0)
		return REEF_OK;
	if (count > REEF_STORE_DELETE_MAX)
		return reef_error_set(err, REEF_BUG, "too many objects to delete",
							  "%d at once", count);
	if (store->ops->delete_many == NULL)
		return delete_one_by_one(store, deletions, count, err);
	for (int i = 0; i < count; i++)
		REEF_TRY(check_write(store, deletions[i].key, err));
	REEF_TRY(request_begin(&request, store, REEF_REQUEST_DELETE, err));
	do
		rc = store->ops->delete_many(store->impl, deletions, count, err);
	while (request_again(&request, &rc, err));
	return rc;
}

ReefCode
reef_store_now(ReefStore *store, int64_t *now_us, ReefError *err)
{
	Request		request;
	ReefCode	rc;

	REEF_TRY(request_begin(&request, store, REEF_REQUEST_HEAD, err));
	do
		rc = store->ops->now(store->impl, now_us, err);
	while (request_again(&request, &rc, err));
	return rc;
}

bool
reef_store_is_remote(const ReefStore *store)
{
	return strcmp(store->ops->kind, "s3") == 0;
}

ReefCode
reef_store_time_begin(ReefStore *store, int64_t *asked_us, ReefError *err)
{
	if (store->ops->mark == NULL)
		return reef_store_now(store, asked_us, err);
	store->ops->mark(store->impl);
	*asked_us = 0;
	return REEF_OK;
}

void
reef_store_time_end(ReefStore *store, int64_t *asked_us)
{
	int64_t		answered_us;

	if (store->ops->times != NULL)
		store->ops->times(store->impl, asked_us, &answered_us);
}

ReefCode
reef_store_time_answered(ReefStore *store, int64_t *answered_us,
						 ReefError *err)
{
	int64_t		asked_us;

	if (store->ops->times != NULL)
	{
		store->ops->times(store->impl, &asked_us, answered_us);
		if (*answered_us != 0)
			return REEF_OK;
	}
	return reef_store_now(store, answered_us, err);
}

/* ---- streaming ---- */

ReefCode
reef_store_write_begin(ReefStore *store, const char *key,
					   ReefStoreWriter **writer, ReefError *err)
{
	ReefStoreWriter *result;
	Request		request;
	ReefCode	rc;

	REEF_TRY(check_write(store, key, err));
	REEF_TRY(request_begin(&request, store, REEF_REQUEST_PUT, err));
	result = calloc(1, sizeof(*result));
	if (result == NULL)
		return reef_error_no_memory(err, sizeof(*result));
	result->store = store;
	memcpy(result->key, key, strlen(key) + 1);
	do
		rc = store->ops->write_begin(store->impl, key, &result->impl_writer,
									 err);
	while (request_again(&request, &rc, err));
	if (rc != REEF_OK)
	{
		free(result);
		return rc;
	}
	*writer = result;
	return REEF_OK;
}

void
reef_store_write_keep(ReefStoreWriter *writer)
{
	writer->fill = reef_cache_fill_begin(&writer->store->cache_use,
										 writer->key);
}

ReefCode
reef_store_write(ReefStoreWriter *writer, ReefSlice bytes, ReefError *err)
{
	ReefStore  *store = writer->store;
	Request		request;
	ReefCode	rc;

	REEF_TRY(request_begin(&request, store, REEF_REQUEST_PUT, err));
	do
		rc = store->ops->write(store->impl, writer->impl_writer, bytes, err);
	while (request_again(&request, &rc, err));
	if (rc == REEF_OK)
	{
		request.counters->bytes += bytes.size;
		if (writer->fill != NULL)
			reef_cache_fill_write(writer->fill, bytes);
	}
	return rc;
}

ReefCode
reef_store_write_commit(ReefStoreWriter *writer, ReefError *err)
{
	ReefStore  *store = writer->store;
	Request		request;
	ReefCode	rc;

	rc = request_begin(&request, store, REEF_REQUEST_PUT, err);
	if (rc == REEF_OK)
	{
		do
			rc = store->ops->write_commit(store->impl, writer->impl_writer,
										  err);
		while (request_again(&request, &rc, err));
	}
	if (rc == REEF_OK)
		reef_cache_fill_commit(writer->fill);
	else
	{
		reef_cache_fill_abort(writer->fill);
		store->ops->write_abort(store->impl, writer->impl_writer);
	}
	free(writer);
	return rc;
}

void
reef_store_write_abort(ReefStoreWriter *writer)
{
	if (writer == NULL)
		return;
	reef_cache_fill_abort(writer->fill);
	writer->store->ops->write_abort(writer->store->impl, writer->impl_writer);
	free(writer);
}

/* ---- handles ---- */

ReefCode
reef_store_new(const ReefHost *host, const ReefStoreOps *ops, void *impl,
			   const ReefStoreOptions *options, ReefStore **store,
			   ReefError *err)
{
	ReefStore  *result = calloc(1, sizeof(*result));
	char	   *location = strdup(options->location);

	if (result == NULL || location == NULL)
	{
		free(result);
		free(location);
		ops->close(impl);
		return reef_error_no_memory(err, sizeof(*result));
	}
	result->host = host;
	result->ops = ops;
	result->impl = impl;
	result->location = location;
	result->read_only = options->read_only;
	result->request_timeout_us = options->request_timeout_us;
	result->max_retries = options->max_retries;
	if (options->cache != NULL)
	{
		ReefCode	rc = reef_sha256_hex(reef_slice_of_string(location),
										 result->cache_use.store, err);

		if (rc != REEF_OK)
		{
			reef_store_close(result);
			return rc;
		}
		result->cache_use.cache = options->cache;
	}
	*store = result;
	return REEF_OK;
}

void
reef_store_close(ReefStore *store)
{
	if (store == NULL)
		return;
	store->ops->close(store->impl);
	free(store->location);
	free(store);
}

const char *
reef_store_location(const ReefStore *store)
{
	return store->location;
}

bool
reef_store_is_read_only(const ReefStore *store)
{
	return store->read_only;
}

const ReefHost *
reef_store_host(const ReefStore *store)
{
	return store->host;
}

const ReefRequestCounters *
reef_store_counters(const ReefStore *store)
{
	return store->counters;
}

const ReefCacheCounters *
reef_store_cache_counters(const ReefStore *store)
{
	return &store->cache_use.counters;
}

bool
reef_store_is_cached(const ReefStore *store)
{
	return store->cache_use.cache != NULL;
}

ReefCacheUse *
reef_store_cache_use(ReefStore *store)
{
	return &store->cache_use;
}

/* ---- the probe ---- */

static ReefCode
probe_failed(const ReefStore *store, ReefError *err, const char *fault,
			 const char *key)
{
	return reef_error_set(err, REEF_UNSUPPORTED,
						  "store does not keep the promise of conditional puts",
						  "location %s: %s (object %s)", store->location,
						  fault, key);
}

/* "<prefix>/.probe-<random>"; no namespace part begins with a dot. */
static ReefCode
probe_key(const ReefStore *store, const char *prefix, char *key,
		  size_t key_size, ReefError *err)
{
	uint64_t	random[2];
	int			size;

	store->host->random(store->host->arg, random, sizeof(random));
	size = snprintf(key, key_size, "%s%s.probe-%016llx%016llx", prefix,
					prefix[0] == '\0' ? "" : "/",
					(unsigned long long) random[0],
					(unsigned long long) random[1]);
	if (size < 0 || (size_t) size >= key_size)
		return reef_error_set(err, REEF_INVALID, "invalid object key",
							  "prefix \"%.120s\" is too long", prefix);
	return REEF_OK;
}

/* Does the object contain exactly these bytes? */
static ReefCode
probe_content(ReefStore *store, const char *key, ReefSlice expected,
			  bool *equal, ReefError *err)
{
	ReefBuf		found;
	ReefCode	rc;

	reef_buf_init(&found);
	rc = reef_store_get(store, key, &found, err);
	*equal = rc == REEF_OK &&
		reef_slice_equal(reef_buf_slice(&found), expected);
	reef_buf_release(&found);
	return rc == REEF_NOT_FOUND ? REEF_OK : rc;
}

/* A second put of an existing object must be refused and change nothing. */
static ReefCode
probe_refusal(ReefStore *store, const char *key, ReefError *err)
{
	ReefSlice	first = reef_slice_of_string("reef probe: first");
	ReefSlice	second = reef_slice_of_string("reef probe: the second one");
	bool		first_is_there;
	ReefCode	rc;

	/* The key is ours alone: what is there was put by this request, twice. */
	rc = reef_store_put_if_absent(store, key, first, err);
	if (rc == REEF_CONFLICT || rc == REEF_UNCERTAIN)
	{
		ReefError	cause = *err;

		REEF_TRY(probe_content(store, key, first, &first_is_there, err));
		if (!first_is_there)
			*err = cause;
		else
			rc = REEF_OK;
	}
	if (rc != REEF_OK)
		return rc;
	rc = reef_store_put_if_absent(store, key, second, err);
	if (rc != REEF_OK && rc != REEF_CONFLICT)
		return rc;
	REEF_TRY(probe_content(store, key, first, &first_is_there, err));
	if (rc == REEF_OK)
		return probe_failed(store, err, first_is_there ?
							"it accepted a conditional put of an object that "
							"existed, and ignored it" :
							"it accepted a conditional put of an object that "
							"existed, and overwrote it", key);
	if (!first_is_there)
		return probe_failed(store, err, "it refused a conditional put of an "
							"object that existed, but the object is not what "
							"was put first", key);
	return REEF_OK;
}

/*
 * Of many puts of a fresh key at the same time exactly one must win, and the
 * object must be the winner's.  Requests that failed in between leave open
 * who won: such a race shows a liar at most, *decided tells the rest.
 */
static ReefCode
probe_race(ReefStore *store, const char *key, bool *decided, ReefError *err)
{
	char		texts[PROBE_RACERS][32];
	ReefSlice	bodies[PROBE_RACERS];
	ReefCode	outcomes[PROBE_RACERS];
	int			winner = -1;
	int			winners = 0;
	int			losers = 0;
	bool		winner_is_there;
	Request		request;
	ReefCode	rc;

	for (int i = 0; i < PROBE_RACERS; i++)
	{
		snprintf(texts[i], sizeof(texts[i]), "reef probe: racer %d", i);
		bodies[i] = reef_slice_of_string(texts[i]);
	}
	REEF_TRY(request_begin(&request, store, REEF_REQUEST_PUT, err));
	do
		rc = store->ops->put_race(store->impl, key, bodies, PROBE_RACERS,
								  outcomes, err);
	while (request_again(&request, &rc, err));
	if (rc != REEF_OK)
		return rc;
	for (int i = 0; i < PROBE_RACERS; i++)
	{
		if (outcomes[i] == REEF_OK)
		{
			winner = i;
			winners++;
		}
		else if (outcomes[i] == REEF_CONFLICT)
			losers++;
	}
	if (winners > 1)
		return probe_failed(store, err, "it accepted more than one of several "
							"concurrent conditional puts of one object", key);
	*decided = winners + losers == PROBE_RACERS;
	if (*decided && winners == 0)
	{
		/* A winner may have met its own request, sent twice. */
		for (int i = 0; i < PROBE_RACERS && *decided; i++)
		{
			REEF_TRY(probe_content(store, key, bodies[i], &winner_is_there,
								   err));
			*decided = !winner_is_there;
		}
	}
	if (*decided && winners == 0)
		return probe_failed(store, err, "it refused all of several concurrent "
							"conditional puts of an object that did not exist",
							key);
	if (winners == 0)
		return REEF_OK;
	REEF_TRY(probe_content(store, key, bodies[winner], &winner_is_there, err));
	if (!winner_is_there)
		return probe_failed(store, err, "it accepted one of several concurrent "
							"conditional puts, but kept another one's bytes",
							key);
	return REEF_OK;
}

/* What a probe leaves behind is harmless, so a failure here decides nothing. */
static void
probe_cleanup(ReefStore *store, const char *key)
{
	const ReefHost *host = store->host;
	char		line[REEF_STORE_KEY_MAX_SIZE + 64];
	ReefError	err;

	reef_error_init(&err);
	if (reef_store_delete(store, key, &err) == REEF_OK)
		return;
	snprintf(line, sizeof(line), "could not delete probe object %s", key);
	host->log(host->arg, REEF_LOG_WARNING, line);
}

ReefCode
reef_store_probe(ReefStore *store, const char *prefix, ReefError *err)
{
	char		key[REEF_STORE_KEY_MAX_SIZE + 1];
	bool		decided = store->ops->put_race == NULL;
	ReefCode	rc;

	REEF_TRY(probe_key(store, prefix, key, sizeof(key), err));
	REEF_TRY(check_write(store, key, err));
	rc = probe_refusal(store, key, err);
	probe_cleanup(store, key);
	for (int i = 0; rc == REEF_OK && !decided && i < PROBE_RACES; i++)
	{
		REEF_TRY(probe_key(store, prefix, key, sizeof(key), err));
		rc = probe_race(store, key, &decided, err);
		probe_cleanup(store, key);
	}
	if (rc == REEF_OK && !decided)
		rc = reef_error_set(err, REEF_UNAVAILABLE,
							"store could not be probed",
							"location %s: in %d races of %d concurrent puts "
							"some requests failed", store->location,
							PROBE_RACES, PROBE_RACERS);
	return rc;
}

/* ---- lists ---- */

void
reef_object_list_init(ReefObjectList *list)
{
	memset(list, 0, sizeof(*list));
}

void
reef_object_list_release(ReefObjectList *list)
{
	free(list->objects);
	memset(list, 0, sizeof(*list));
}

ReefCode
reef_object_list_append(ReefObjectList *list, const ReefObjectInfo *info,
						ReefError *err)
{
	if (list->count == list->capacity)
	{
		size_t		capacity = list->capacity == 0 ? 16 : list->capacity * 2;
		ReefObjectInfo *objects;

		objects = reallocarray(list->objects, capacity, sizeof(*objects));
		if (objects == NULL)
			return reef_error_no_memory(err, capacity * sizeof(*objects));
		list->objects = objects;
		list->capacity = capacity;
	}
	list->objects[list->count++] = *info;
	return REEF_OK;
}
