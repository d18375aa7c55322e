/*
 * requests.c
 *	  The store as the engine sees it: calls in three steps, with faults.
 *
 *	  the request leaves	a task stops here: everybody else may act first
 *	  it is applied			and here, before the answer arrives
 *	  the answer arrives
 *
 * A fault decides which of these happen.  A request that nobody waits for any
 * more (its sender gave up, or died) may stay under way as a ghost and be
 * applied at any later time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

#define CALL_US 1000			/* how long any call takes */
#define STALL_US (INT64_C(600) * 1000000)

typedef struct SimWriter
{
	char	   *key;
	ReefBuf		bytes;
} SimWriter;

static const char *const call_names[] = {
	"put", "get", "get range of", "head", "list", "delete", "begin",
	"write", "commit", "now"
};

static const char *const fault_names[] = {
	"none", "refuse", "lose request", "lose response", "delay", "duplicate",
	"stall", "crash before", "crash after"
};

const char *
sim_fault_name(SimFault fault)
{
	return fault_names[fault];
}

/* ---- ghosts ---- */

static void
add_ghost(Sim *sim, int cluster, bool is_delete, const char *key,
		  ReefSlice bytes)
{
	SimGhost   *ghost;

	if (sim->ghost_count == SIM_GHOSTS_MAX)
		return;
	ghost = &sim->ghosts[sim->ghost_count++];
	ghost->is_delete = is_delete;
	ghost->cluster = cluster;
	ghost->key = strdup(key);
	reef_buf_init(&ghost->bytes);
	reef_buf_append(&ghost->bytes, bytes.data, bytes.size);
	sim_trace(sim, "   (on its way: %s %s)", is_delete ? "delete" : "put",
			  key);
}

void
sim_ghost_forget(Sim *sim, int index)
{
	reef_buf_release(&sim->ghosts[index].bytes);
	free(sim->ghosts[index].key);
	memmove(&sim->ghosts[index], &sim->ghosts[index + 1],
			sizeof(SimGhost) * (size_t) (--sim->ghost_count - index));
}

void
sim_ghost_of_task(SimTask *task)
{
	if (task->point != SIM_POINT_BEFORE)
		return;
	if (task->call == SIM_CALL_PUT || task->call == SIM_CALL_COMMIT)
		add_ghost(task->sim, task->cluster->number, false, task->call_key,
				  task->call_bytes);
	if (task->call == SIM_CALL_DELETE)
		add_ghost(task->sim, task->cluster->number, true, task->call_key,
				  reef_slice(NULL, 0));
}

/* ---- what the oracle must know of records ---- */

static void
note_record(Sim *sim, const char *key, ReefSlice bytes)
{
	for (int ns = 0; ns < SIM_NAMESPACES; ns++)
	{
		ReefObjectName name;
		ReefReader	reader;
		SimFence   *fence;

		reef_layout_parse(sim_namespace_name(ns), key, &name);
		if (name.kind != REEF_OBJECT_WAL ||
			bytes.size != REEF_WAL_HEADER_SIZE)
			continue;
		if (sim->fence_count == SIM_FENCES_MAX)
			return;
		fence = &sim->fences[sim->fence_count++];
		fence->ns = ns;
		fence->lsn = name.number;
		reef_reader_init(&reader, reef_slice(bytes.data + 32, 4));
		fence->cluster = (int) reef_read_u32(&reader);
	}
}

static bool
apply_delete(Sim *sim, SimBucket *bucket, const char *key, int cluster)
{
	const char *name = strrchr(key, '/');

	if (!sim_bucket_remove(bucket, key))
		return false;
	if (bucket == sim->bucket && name != NULL &&
		sim->deleted_count < SIM_DELETED_MAX)
	{
		SimDeleted *deleted = &sim->deleted[sim->deleted_count++];

		snprintf(deleted->name, sizeof(deleted->name), "%.47s", name + 1);
		deleted->cluster = cluster;
	}
	return true;
}

/* Keep the newest of them. */
static void
note_refused(Sim *sim, const char *key, ReefSlice bytes)
{
	SimGhost   *refused;

	if (sim->refused_count == SIM_REFUSED_MAX)
	{
		reef_buf_release(&sim->refused[0].bytes);
		free(sim->refused[0].key);
		memmove(&sim->refused[0], &sim->refused[1],
				sizeof(SimGhost) * (size_t) --sim->refused_count);
	}
	refused = &sim->refused[sim->refused_count++];
	refused->key = strdup(key);
	reef_buf_init(&refused->bytes);
	reef_buf_append(&refused->bytes, bytes.data, bytes.size);
}

static bool
apply_put(Sim *sim, SimBucket *bucket, const char *key, ReefSlice bytes)
{
	if (!sim_bucket_put(bucket, key, bytes, sim->now_us + bucket->ahead_us))
	{
		if (bucket == sim->bucket && strstr(key, "/wal/") != NULL)
			note_refused(sim, key, bytes);
		return false;
	}
	if (bucket == sim->bucket)
		note_record(sim, key, bytes);
	return true;
}

void
sim_ghost_deliver(Sim *sim, SimBucket *bucket, int index)
{
	const SimGhost *ghost = &sim->ghosts[index];
	bool		has_changed;

	if (ghost->is_delete)
		has_changed = apply_delete(sim, bucket, ghost->key, ghost->cluster);
	else
		has_changed = apply_put(sim, bucket, ghost->key,
								reef_buf_slice(&ghost->bytes));
	if (bucket == sim->bucket)
		sim_trace(sim, "c%d's late %s %s%s", ghost->cluster,
				  ghost->is_delete ? "delete" : "put", ghost->key,
				  has_changed ? "" : " (in vain)");
}

/* ---- one call ---- */

static ReefCode
crashed(ReefError *err, const char *key)
{
	return reef_error_set(err, REEF_UNAVAILABLE, "this server has crashed",
						  "object %s", key);
}

static bool
is_change(SimCall call)
{
	return call == SIM_CALL_PUT || call == SIM_CALL_COMMIT ||
		call == SIM_CALL_DELETE;
}

/* The request leaves.  A code other than REEF_OK: it never does. */
static ReefCode
send_request(SimCluster *cluster, SimCall call, const char *key,
			 ReefSlice bytes, SimFault *fault, ReefError *err)
{
	Sim		   *sim = cluster->sim;
	SimTask    *task = sim->current;

	*fault = SIM_FAULT_NONE;
	if (cluster->is_dead)
		return crashed(err, key);
	if (cluster->is_direct)
		return REEF_OK;
	sim->counts->calls++;
	task->calls++;
	task->call = call;
	task->call_key = key;
	task->call_bytes = bytes;
	task->point = SIM_POINT_BEFORE;
	task->state = SIM_TASK_READY;
	sim_task_yield(task);
	task->point = SIM_POINT_NONE;
	if (cluster->is_dead)
		return crashed(err, key);
	sim->now_us += CALL_US;
	*fault = sim->choose_fault(sim, task, call);
	sim_trace(sim, "c%d/%d %s %s%s%s", cluster->number, task->number,
			  call_names[call], key, *fault == SIM_FAULT_NONE ? "" : ": ",
			  *fault == SIM_FAULT_NONE ? "" : fault_names[*fault]);
	if (*fault == SIM_FAULT_CRASH_BEFORE)
	{
		cluster->is_dead = true;
		return crashed(err, key);
	}
	if (*fault == SIM_FAULT_DELAY || *fault == SIM_FAULT_DUPLICATE)
	{
		task->point = SIM_POINT_BEFORE;
		sim_ghost_of_task(task);
		task->point = SIM_POINT_NONE;
	}
	return REEF_OK;
}

static bool
is_applied(SimFault fault)
{
	return fault != SIM_FAULT_REFUSE && fault != SIM_FAULT_LOSE_REQUEST &&
		fault != SIM_FAULT_DELAY;
}

/* It has been applied, and came out as "rc"; what the caller hears. */
static ReefCode
receive_answer(SimCluster *cluster, SimCall call, const char *key,
			   SimFault fault, ReefCode rc, ReefError *err)
{
	Sim		   *sim = cluster->sim;
	SimTask    *task = sim->current;
	bool		is_ambiguous = call == SIM_CALL_PUT || call == SIM_CALL_COMMIT;

	if (cluster->is_direct)
		return rc;
	if (fault == SIM_FAULT_CRASH_AFTER)
		cluster->is_dead = true;
	if (is_change(call) || call == SIM_CALL_LIST || call == SIM_CALL_GET ||
		fault == SIM_FAULT_STALL)
	{
		task->point = SIM_POINT_AFTER;
		task->call = call;
		task->call_key = key;
		task->state = SIM_TASK_READY;
		if (fault == SIM_FAULT_STALL)
		{
			task->state = SIM_TASK_SLEEPING;
			task->wake_us = sim->now_us + STALL_US;
		}
		sim_task_yield(task);
		task->point = SIM_POINT_NONE;
	}
	if (cluster->is_dead)
		return crashed(err, key);
	switch (fault)
	{
		case SIM_FAULT_REFUSE:
			return reef_error_set(err, REEF_UNAVAILABLE, "injected refusal",
								  "object %s", key);
		case SIM_FAULT_LOSE_REQUEST:
		case SIM_FAULT_LOSE_RESPONSE:
		case SIM_FAULT_DELAY:
		case SIM_FAULT_STALL:
			return reef_error_set(err, is_ambiguous ? REEF_UNCERTAIN :
								  REEF_UNAVAILABLE, "injected time-out",
								  "object %s", key);
		default:
			break;
	}
	return rc;
}

/* ---- verbs ---- */

static int64_t
store_time(const SimCluster *cluster)
{
	return cluster->sim->now_us + cluster->bucket->ahead_us;
}

static ReefCode
not_found(const char *key, ReefError *err)
{
	return reef_error_set(err, REEF_NOT_FOUND, "object does not exist",
						  "object %s", key);
}

static ReefCode
put_call(SimCluster *cluster, SimCall call, const char *key, ReefSlice bytes,
		 ReefError *err)
{
	SimFault	fault;
	ReefCode	rc;

	REEF_TRY(send_request(cluster, call, key, bytes, &fault, err));
	rc = REEF_OK;
	if (is_applied(fault) &&
		!apply_put(cluster->sim, cluster->bucket, key, bytes))
		rc = reef_error_set(err, REEF_CONFLICT, "object exists already",
							"object %s", key);
	/* a record in its place: nobody else is the writer yet */
	if (call == SIM_CALL_PUT && rc == REEF_OK && fault == SIM_FAULT_NONE &&
		strstr(key, "/wal/") != NULL)
		cluster->last_put_us[strncmp(key, sim_namespace_name(0), 5) == 0 ? 0 :
							 1] = cluster->sim->now_us;
	return receive_answer(cluster, call, key, fault, rc, err);
}

static ReefCode
store_put_if_absent(void *impl, const char *key, ReefSlice bytes,
					ReefError *err)
{
	return put_call(impl, SIM_CALL_PUT, key, bytes, err);
}

static ReefCode
store_get(void *impl, const char *key, ReefBuf *out, ReefError *err)
{
	SimCluster *cluster = impl;
	const SimEntry *entry;
	SimFault	fault;
	ReefCode	rc = REEF_OK;

	REEF_TRY(send_request(cluster, SIM_CALL_GET, key, reef_slice(NULL, 0),
						  &fault, err));
	entry = sim_bucket_find(cluster->bucket, key);
	if (entry == NULL)
		rc = not_found(key, err);
	else
		reef_buf_append(out, entry->object->data, entry->object->size);
	return receive_answer(cluster, SIM_CALL_GET, key, fault, rc, err);
}

static ReefCode
store_get_range(void *impl, const char *key, uint64_t offset, size_t size,
				void *out, ReefError *err)
{
	SimCluster *cluster = impl;
	const SimEntry *entry;
	SimFault	fault;
	ReefCode	rc = REEF_OK;

	REEF_TRY(send_request(cluster, SIM_CALL_RANGE, key, reef_slice(NULL, 0),
						  &fault, err));
	entry = sim_bucket_find(cluster->bucket, key);
	if (entry == NULL)
		rc = not_found(key, err);
	else if (offset > entry->object->size ||
			 size > entry->object->size - offset)
		rc = reef_error_set(err, REEF_CORRUPT,
							"object is shorter than expected",
							"object %s ends at byte %zu", key,
							entry->object->size);
	else if (size > 0)
		memcpy(out, entry->object->data + offset, size);
	return receive_answer(cluster, SIM_CALL_RANGE, key, fault, rc, err);
}

static void
describe(const SimEntry *entry, ReefObjectInfo *info)
{
	snprintf(info->key, sizeof(info->key), "%s", entry->object->key);
	info->size = entry->object->size;
	info->modified_us = entry->modified_us;
}

static ReefCode
store_head(void *impl, const char *key, ReefObjectInfo *info, ReefError *err)
{
	SimCluster *cluster = impl;
	const SimEntry *entry;
	SimFault	fault;
	ReefCode	rc = REEF_OK;

	REEF_TRY(send_request(cluster, SIM_CALL_HEAD, key, reef_slice(NULL, 0),
						  &fault, err));
	entry = sim_bucket_find(cluster->bucket, key);
	if (entry == NULL)
		rc = not_found(key, err);
	else
		describe(entry, info);
	return receive_answer(cluster, SIM_CALL_HEAD, key, fault, rc, err);
}

static ReefCode
store_list(void *impl, const char *prefix, const char *start_after,
		   size_t limit, ReefObjectList *out, ReefError *err)
{
	SimCluster *cluster = impl;
	const SimBucket *bucket = cluster->bucket;
	size_t		first = out->count;
	SimFault	fault;

	REEF_TRY(send_request(cluster, SIM_CALL_LIST, prefix,
						  reef_slice(NULL, 0), &fault, err));
	for (size_t i = 0; i < bucket->count; i++)
	{
		const char *key = bucket->entries[i].object->key;
		ReefObjectInfo info;

		if (strncmp(key, prefix, strlen(prefix)) != 0 ||
			strcmp(key, start_after) <= 0)
			continue;
		if (limit > 0 && out->count - first == limit)
			break;
		describe(&bucket->entries[i], &info);
		REEF_TRY(reef_object_list_append(out, &info, err));
	}
	return receive_answer(cluster, SIM_CALL_LIST, prefix, fault, REEF_OK,
						  err);
}

static ReefCode
store_delete(void *impl, const char *key, ReefError *err)
{
	SimCluster *cluster = impl;
	SimFault	fault;

	REEF_TRY(send_request(cluster, SIM_CALL_DELETE, key, reef_slice(NULL, 0),
						  &fault, err));
	if (is_applied(fault))
		(void) apply_delete(cluster->sim, cluster->bucket, key,
							cluster->number);
	return receive_answer(cluster, SIM_CALL_DELETE, key, fault, REEF_OK, err);
}

static ReefCode
store_write_begin(void *impl, const char *key, void **writer, ReefError *err)
{
	SimCluster *cluster = impl;
	SimWriter  *result;
	SimFault	fault;

	REEF_TRY(send_request(cluster, SIM_CALL_BEGIN, key, reef_slice(NULL, 0),
						  &fault, err));
	REEF_TRY(receive_answer(cluster, SIM_CALL_BEGIN, key, fault, REEF_OK,
							err));
	result = malloc(sizeof(*result));
	if (result == NULL || (result->key = strdup(key)) == NULL)
		abort();
	reef_buf_init(&result->bytes);
	*writer = result;
	return REEF_OK;
}

static ReefCode
store_write(void *impl, void *writer, ReefSlice bytes, ReefError *err)
{
	SimCluster *cluster = impl;
	SimWriter  *sim_writer = writer;
	SimFault	fault;

	REEF_TRY(send_request(cluster, SIM_CALL_WRITE, sim_writer->key,
						  reef_slice(NULL, 0), &fault, err));
	REEF_TRY(receive_answer(cluster, SIM_CALL_WRITE, sim_writer->key, fault,
							REEF_OK, err));
	reef_buf_append(&sim_writer->bytes, bytes.data, bytes.size);
	return reef_buf_check(&sim_writer->bytes, err);
}

static void
store_write_abort(void *impl, void *writer)
{
	SimWriter  *sim_writer = writer;

	(void) impl;
	reef_buf_release(&sim_writer->bytes);
	free(sim_writer->key);
	free(sim_writer);
}

static ReefCode
store_write_commit(void *impl, void *writer, ReefError *err)
{
	SimWriter  *sim_writer = writer;

	REEF_TRY(put_call(impl, SIM_CALL_COMMIT, sim_writer->key,
					  reef_buf_slice(&sim_writer->bytes), err));
	store_write_abort(impl, writer);
	return REEF_OK;
}

static ReefCode
store_now(void *impl, int64_t *now_us, ReefError *err)
{
	SimCluster *cluster = impl;
	SimFault	fault;

	REEF_TRY(send_request(cluster, SIM_CALL_NOW, "", reef_slice(NULL, 0),
						  &fault, err));
	*now_us = store_time(cluster);
	return receive_answer(cluster, SIM_CALL_NOW, "", fault, REEF_OK, err);
}

static void
store_close(void *impl)
{
	(void) impl;				/* the cluster outlives its handles */
}

static const ReefStoreOps sim_store_ops = {
	.kind = "simulated",
	.put_if_absent = store_put_if_absent,
	.get = store_get,
	.get_range = store_get_range,
	.head = store_head,
	.list = store_list,
	.delete_object = store_delete,
	.write_begin = store_write_begin,
	.write = store_write,
	.write_commit = store_write_commit,
	.write_abort = store_write_abort,
	.now = store_now,
	.close = store_close
};

ReefCode
sim_store_open(SimCluster *cluster, ReefStore **store, ReefError *err)
{
	ReefStoreOptions options = {
		.location = "sim://", .read_only = cluster->is_read_only
	};

	return reef_store_new(&cluster->host, &sim_store_ops, cluster, &options,
						  store, err);
}
