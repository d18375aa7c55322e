/*
 * faulty_store.c
 *	  A store that fails where it is told to.
 *
 * Each call asks choose_fault() first and passes its own outcome through
 * distort().
 */
#include "faulty_store.h"

#include <stdlib.h>

typedef struct DelayedPut
{
	struct DelayedPut *next;
	char	   *key;
	ReefBuf		bytes;
} DelayedPut;

typedef struct FaultyWriter
{
	char	   *key;
	void	   *inner;			/* NULL: committed, though nobody was told */
} FaultyWriter;

struct ReefFaultyStore
{
	const ReefStoreOps *ops;
	void	   *impl;
	bool		crashed;
	uint64_t	calls;
	uint64_t	calls_of[REEF_FAULTY_CALL_COUNT];

	/* absolute call numbers, 0 = none */
	uint64_t	fail_at;
	ReefFault	fault;
	uint64_t	fail_at_of[REEF_FAULTY_CALL_COUNT];
	ReefFault	fault_of[REEF_FAULTY_CALL_COUNT];

	ReefFaultyHook hook;
	void	   *hook_arg;
	DelayedPut *delayed;		/* oldest first */
};

static ReefFault
choose_fault(ReefFaultyStore *faulty, ReefFaultyCall call, const char *key)
{
	ReefFault	fault = REEF_FAULT_NONE;

	faulty->calls++;
	faulty->calls_of[call]++;
	if (faulty->crashed)
		return REEF_FAULT_CRASH_BEFORE;
	if (faulty->hook != NULL)
		fault = faulty->hook(faulty->hook_arg, call, key);
	else if (faulty->calls == faulty->fail_at)
		fault = faulty->fault;
	else if (faulty->calls_of[call] == faulty->fail_at_of[call])
		fault = faulty->fault_of[call];
	if (fault == REEF_FAULT_CRASH_BEFORE || fault == REEF_FAULT_CRASH_AFTER)
		faulty->crashed = true;
	return fault;
}

static bool
happens(ReefFault fault)
{
	return fault == REEF_FAULT_NONE || fault == REEF_FAULT_LOSE_RESPONSE ||
		fault == REEF_FAULT_CRASH_AFTER;
}

/* What the caller is told of a call that really came out as "rc". */
static ReefCode
distort(ReefFault fault, ReefFaultyCall call, const char *key, ReefCode rc,
		ReefError *err)
{
	bool		ambiguous = call == REEF_FAULTY_PUT ||
		call == REEF_FAULTY_WRITE_COMMIT;

	switch (fault)
	{
		case REEF_FAULT_NONE:
			return rc;
		case REEF_FAULT_REFUSE:
			return reef_error_set(err, REEF_UNAVAILABLE, "injected refusal",
								  "object %s", key);
		case REEF_FAULT_LOSE_REQUEST:
		case REEF_FAULT_LOSE_RESPONSE:
		case REEF_FAULT_DELAY:
			return reef_error_set(err, ambiguous ? REEF_UNCERTAIN :
								  REEF_UNAVAILABLE, "injected time-out",
								  "object %s", key);
		case REEF_FAULT_CRASH_BEFORE:
		case REEF_FAULT_CRASH_AFTER:
			return reef_error_set(err, REEF_UNAVAILABLE, "injected crash",
								  "object %s", key);
	}
	abort();
}

static void
delay_put(ReefFaultyStore *faulty, const char *key, ReefSlice bytes)
{
	DelayedPut *put = calloc(1, sizeof(*put));
	DelayedPut **last = &faulty->delayed;

	if (put == NULL || (put->key = strdup(key)) == NULL)
		abort();
	reef_buf_init(&put->bytes);
	reef_buf_append(&put->bytes, bytes.data, bytes.size);
	while (*last != NULL)
		last = &(*last)->next;
	*last = put;
}

static void
free_put(DelayedPut *put)
{
	reef_buf_release(&put->bytes);
	free(put->key);
	free(put);
}

static ReefCode
faulty_put_if_absent(void *impl, const char *key, ReefSlice bytes,
					 ReefError *err)
{
	ReefFaultyStore *faulty = impl;
	ReefFault	fault = choose_fault(faulty, REEF_FAULTY_PUT, key);
	ReefCode	rc = REEF_OK;

	if (fault == REEF_FAULT_DELAY)
		delay_put(faulty, key, bytes);
	if (happens(fault))
		rc = faulty->ops->put_if_absent(faulty->impl, key, bytes, err);
	return distort(fault, REEF_FAULTY_PUT, key, rc, err);
}

static ReefCode
faulty_get(void *impl, const char *key, ReefBuf *out, ReefError *err)
{
	ReefFaultyStore *faulty = impl;
	ReefFault	fault = choose_fault(faulty, REEF_FAULTY_GET, key);
	ReefCode	rc = REEF_OK;

	if (happens(fault))
		rc = faulty->ops->get(faulty->impl, key, out, err);
	return distort(fault, REEF_FAULTY_GET, key, rc, err);
}

static ReefCode
faulty_get_range(void *impl, const char *key, uint64_t offset, size_t size,
				 void *out, ReefError *err)
{
	ReefFaultyStore *faulty = impl;
	ReefFault	fault = choose_fault(faulty, REEF_FAULTY_GET_RANGE, key);
	ReefCode	rc = REEF_OK;

	if (happens(fault))
		rc = faulty->ops->get_range(faulty->impl, key, offset, size, out, err);
	return distort(fault, REEF_FAULTY_GET_RANGE, key, rc, err);
}

static ReefCode
faulty_head(void *impl, const char *key, ReefObjectInfo *info, ReefError *err)
{
	ReefFaultyStore *faulty = impl;
	ReefFault	fault = choose_fault(faulty, REEF_FAULTY_HEAD, key);
	ReefCode	rc = REEF_OK;

	if (happens(fault))
		rc = faulty->ops->head(faulty->impl, key, info, err);
	return distort(fault, REEF_FAULTY_HEAD, key, rc, err);
}

static ReefCode
faulty_list(void *impl, const char *prefix, const char *start_after,
			size_t limit, ReefObjectList *out, ReefError *err)
{
	ReefFaultyStore *faulty = impl;
	ReefFault	fault = choose_fault(faulty, REEF_FAULTY_LIST, prefix);
	ReefCode	rc = REEF_OK;

	if (happens(fault))
		rc = faulty->ops->list(faulty->impl, prefix, start_after, limit, out,
							   err);
	return distort(fault, REEF_FAULTY_LIST, prefix, rc, err);
}

static ReefCode
faulty_delete(void *impl, const char *key, ReefError *err)
{
	ReefFaultyStore *faulty = impl;
	ReefFault	fault = choose_fault(faulty, REEF_FAULTY_DELETE, key);
	ReefCode	rc = REEF_OK;

	if (happens(fault))
		rc = faulty->ops->delete_object(faulty->impl, key, err);
	return distort(fault, REEF_FAULTY_DELETE, key, rc, err);
}

static void
faulty_write_abort(void *impl, void *writer)
{
	ReefFaultyStore *faulty = impl;
	FaultyWriter *faulty_writer = writer;

	if (faulty_writer->inner != NULL)
		faulty->ops->write_abort(faulty->impl, faulty_writer->inner);
	free(faulty_writer->key);
	free(faulty_writer);
}

static ReefCode
faulty_write_begin(void *impl, const char *key, void **writer, ReefError *err)
{
	ReefFaultyStore *faulty = impl;
	ReefFault	fault = choose_fault(faulty, REEF_FAULTY_WRITE_BEGIN, key);
	FaultyWriter *result;
	ReefCode	rc;

	/* A writer that the caller never hears of leaves nothing behind. */
	if (fault != REEF_FAULT_NONE)
		return distort(fault, REEF_FAULTY_WRITE_BEGIN, key, REEF_OK, err);
	result = calloc(1, sizeof(*result));
	if (result == NULL || (result->key = strdup(key)) == NULL)
		abort();
	rc = faulty->ops->write_begin(faulty->impl, key, &result->inner, err);
	if (rc != REEF_OK)
		faulty_write_abort(faulty, result);
	else
		*writer = result;
	return rc;
}

/* A failed write has consumed nothing, so a lost response is a lost request. */
static ReefCode
faulty_write(void *impl, void *writer, ReefSlice bytes, ReefError *err)
{
	ReefFaultyStore *faulty = impl;
	FaultyWriter *faulty_writer = writer;
	ReefFault	fault = choose_fault(faulty, REEF_FAULTY_WRITE,
									 faulty_writer->key);
	ReefCode	rc = REEF_OK;

	if (fault == REEF_FAULT_NONE)
		rc = faulty->ops->write(faulty->impl, faulty_writer->inner, bytes,
								err);
	return distort(fault, REEF_FAULTY_WRITE, faulty_writer->key, rc, err);
}

static ReefCode
faulty_write_commit(void *impl, void *writer, ReefError *err)
{
	ReefFaultyStore *faulty = impl;
	FaultyWriter *faulty_writer = writer;
	ReefFault	fault = choose_fault(faulty, REEF_FAULTY_WRITE_COMMIT,
									 faulty_writer->key);
	ReefCode	rc = REEF_OK;

	if (happens(fault))
	{
		rc = faulty->ops->write_commit(faulty->impl, faulty_writer->inner,
									   err);
		if (rc == REEF_OK)
			faulty_writer->inner = NULL;
	}
	rc = distort(fault, REEF_FAULTY_WRITE_COMMIT, faulty_writer->key, rc, err);
	if (rc == REEF_OK)
		faulty_write_abort(faulty, faulty_writer);
	return rc;
}

static ReefCode
faulty_now(void *impl, int64_t *now_us, ReefError *err)
{
	ReefFaultyStore *faulty = impl;
	ReefFault	fault = choose_fault(faulty, REEF_FAULTY_NOW, "");
	ReefCode	rc = REEF_OK;

	if (happens(fault))
		rc = faulty->ops->now(faulty->impl, now_us, err);
	return distort(fault, REEF_FAULTY_NOW, "", rc, err);
}

static void
faulty_close(void *impl)
{
	ReefFaultyStore *faulty = impl;

	while (faulty->delayed != NULL)
	{
		DelayedPut *next = faulty->delayed->next;

		free_put(faulty->delayed);
		faulty->delayed = next;
	}
	faulty->ops->close(faulty->impl);
	free(faulty);
}

const ReefStoreOps reef_faulty_store_ops = {
	.kind = "faulty",
	.put_if_absent = faulty_put_if_absent,
	.get = faulty_get,
	.get_range = faulty_get_range,
	.head = faulty_head,
	.list = faulty_list,
	.delete_object = faulty_delete,
	.write_begin = faulty_write_begin,
	.write = faulty_write,
	.write_commit = faulty_write_commit,
	.write_abort = faulty_write_abort,
	.now = faulty_now,
	.close = faulty_close
};

ReefFaultyStore *
reef_faulty_store_new(const ReefStoreOps *ops, void *impl)
{
	ReefFaultyStore *faulty = calloc(1, sizeof(*faulty));

	if (faulty == NULL)
		abort();
	faulty->ops = ops;
	faulty->impl = impl;
	return faulty;
}

void
reef_faulty_store_fail_nth(ReefFaultyStore *faulty, uint64_t n,
						   ReefFault fault)
{
	faulty->fail_at = faulty->calls + n;
	faulty->fault = fault;
}

void
reef_faulty_store_fail_nth_of(ReefFaultyStore *faulty, ReefFaultyCall call,
							  uint64_t n, ReefFault fault)
{
	faulty->fail_at_of[call] = faulty->calls_of[call] + n;
	faulty->fault_of[call] = fault;
}

void
reef_faulty_store_set_hook(ReefFaultyStore *faulty, ReefFaultyHook hook,
						   void *arg)
{
	faulty->hook = hook;
	faulty->hook_arg = arg;
}

bool
reef_faulty_store_deliver(ReefFaultyStore *faulty, ReefCode *outcome)
{
	DelayedPut *put = faulty->delayed;
	ReefError	err;

	if (put == NULL)
		return false;
	reef_error_init(&err);
	*outcome = faulty->ops->put_if_absent(faulty->impl, put->key,
										  reef_buf_slice(&put->bytes), &err);
	faulty->delayed = put->next;
	free_put(put);
	return true;
}

bool
reef_faulty_store_has_crashed(const ReefFaultyStore *faulty)
{
	return faulty->crashed;
}

uint64_t
reef_faulty_store_calls(const ReefFaultyStore *faulty)
{
	return faulty->calls;
}

uint64_t
reef_faulty_store_calls_of(const ReefFaultyStore *faulty, ReefFaultyCall call)
{
	return faulty->calls_of[call];
}
