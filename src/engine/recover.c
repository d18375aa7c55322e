/*
 * recover.c
 *	  From objects to memory: the current manifest, then the records after it.
 *
 * Opening for reading writes nothing, and nothing is a snapshot: a fold and a
 * collector elsewhere may run between any two of our requests.  What saves us
 * is that they leave traces:
 *
 *	  - records vanish only after a newer manifest exists that has applied them,
 *		so a hole right above last_applied_lsn means that our manifest is not
 *		the current one any more: start over;
 *	  - a tail that looks complete may lack everything, if all of it was folded
 *		and collected: so a LIST after the tail must show no newer manifest,
 *		unless the first LIST is so young that nothing can have been collected
 *		since (half the grace window of store time).
 *
 * A hole that stays while the manifest stays is a lost record [I10].  Records
 * at or below last_applied_lsn mean nothing, whoever put them there.
 */
#include <assert.h>
#include <stdlib.h>

#include "engine/state.h"

#define RECOVER_ATTEMPTS_MAX 10

/* Records of one refresh; more are left to the next. */
#define REPLAY_BATCH_MAX 256

/* The state of one attempt. */
typedef struct Recovery
{
	ReefNamespace *ns;
	ReefArena	arena;
	ReefBuf		bytes;			/* of the manifest */
	ReefManifest manifest;
	bool		has_manifest;
	uint64_t	version_max;
	int64_t		listed_store_us;	/* when the manifests were listed */
	ReefRecord *records;
	int			record_count;
	uint64_t	hole_lsn;		/* a record that is missing; 0: none */
} Recovery;

static uint64_t
applied_lsn(const Recovery *recovery)
{
	return recovery->has_manifest ? recovery->manifest.last_applied_lsn : 0;
}

/* ---- load ---- */

static ReefCode
load_manifest(Recovery *recovery, ReefError *err)
{
	ReefNamespace *ns = recovery->ns;
	ReefCode	rc;

	REEF_TRY(reef_store_now(ns->store, &recovery->listed_store_us, err));
	rc = reef_manifest_find_current(ns, &recovery->arena, &recovery->manifest,
									&recovery->bytes, &recovery->version_max,
									err);
	recovery->has_manifest = rc == REEF_OK;
	return rc == REEF_NOT_FOUND ? REEF_OK : rc;
}

/* The records that a LIST shows, as long as there is no hole. */
static ReefCode
load_listed(Recovery *recovery, const ReefObjectList *list, ReefError *err)
{
	ReefNamespace *ns = recovery->ns;
	uint64_t	next = applied_lsn(recovery) + 1;
	size_t		i;

	recovery->records = reef_arena_calloc(&recovery->arena,
										  sizeof(*recovery->records) *
										  (list->count + 1));
	if (recovery->records == NULL)
		return reef_error_no_memory(err, list->count);
	for (i = 0; i < list->count; i++)
	{
		ReefObjectName name;
		ReefCode	rc;

		reef_layout_parse(ns->prefix, list->objects[i].key, &name);
		if (name.kind != REEF_OBJECT_WAL || name.number < next)
			continue;

		if (ns->host->cancelled(ns->host->arg))
			return reef_error_set(err, REEF_CANCELLED, "opening was cancelled",
								  NULL);
		rc = REEF_NOT_FOUND;
		if (next == name.number)
			rc = reef_record_load(ns, next, &recovery->arena,
								  &recovery->records[recovery->record_count],
								  err);
		if (rc == REEF_NOT_FOUND)
		{
			recovery->hole_lsn = next;
			return REEF_OK;
		}
		if (rc != REEF_OK)
			return rc;
		recovery->record_count++;
		next++;
	}
	return REEF_OK;
}

static ReefCode
load_tail(Recovery *recovery, ReefError *err)
{
	ReefNamespace *ns = recovery->ns;
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		start_after[REEF_OBJECT_KEY_SIZE];
	ReefObjectList list;
	ReefCode	rc;

	reef_layout_list_prefix(ns->prefix, REEF_OBJECT_WAL, prefix);
	start_after[0] = '\0';
	if (applied_lsn(recovery) > 0)
		reef_layout_wal_key(ns->prefix, applied_lsn(recovery), start_after);
	reef_object_list_init(&list);
	rc = reef_store_list(ns->store, prefix, start_after, 0, &list, err);
	if (rc == REEF_OK)
		rc = load_listed(recovery, &list, err);
	reef_object_list_release(&list);
	return rc;
}

/* Could records have been collected since the manifests were listed? */
static ReefCode
check_still_current(Recovery *recovery, bool *is_current, ReefError *err)
{
	ReefNamespace *ns = recovery->ns;
	uint64_t   *versions;
	int64_t		now_us;
	int			count;

	*is_current = true;
	REEF_TRY(reef_store_now(ns->store, &now_us, err));
	if (now_us - recovery->listed_store_us < ns->settings->gc_grace_us / 2)
		return REEF_OK;
	REEF_TRY(reef_manifest_list(ns, recovery->version_max, &recovery->arena,
								&versions, &count, err));
	*is_current = count == 0;
	return REEF_OK;
}

/* ---- check ---- */

static ReefCode
check_chain(Recovery *recovery, ReefError *err)
{
	const uint8_t *namespace_id = recovery->manifest.namespace_id;
	uint32_t	previous_crc = recovery->manifest.last_applied_crc;
	int			i;

	if (!recovery->has_manifest)
	{
		previous_crc = 0;
		if (recovery->record_count > 0)
			namespace_id = recovery->records[0].header.namespace_id;
	}
	else if (applied_lsn(recovery) == 0)
		previous_crc = 0;
	for (i = 0; i < recovery->record_count; i++)
	{
		REEF_TRY(reef_record_check(recovery->ns, &recovery->records[i],
								   namespace_id, previous_crc, err));
		previous_crc = recovery->records[i].header.crc;
	}
	return REEF_OK;
}

/* ---- install ---- */

/* Manifest and an empty generation; the mode stays closed, so nobody pins them
 * yet. */
static ReefCode
install_base(Recovery *recovery, ReefError *err)
{
	ReefNamespace *ns = recovery->ns;
	ReefNamespaceShared *shared = ns->shared;
	const ReefManifest *manifest = &recovery->manifest;
	ReefSharedManifest *shared_manifest;
	ReefGeneration *generation;
	ReefCode	rc;

	REEF_TRY(reef_shared_manifest_new(ns->host,
									  recovery->has_manifest ? manifest : NULL,
									  reef_buf_slice(&recovery->bytes),
									  shared->forgotten_xid, &shared_manifest,
									  err));
	rc = reef_generation_new(ns->host, applied_lsn(recovery), &generation, err);
	if (rc != REEF_OK)
	{
		reef_shared_manifest_free(ns->host, shared_manifest);
		return rc;
	}

	reef_namespace_lock(ns->host, shared, true);
	reef_namespace_push_manifest(ns->host, shared, shared_manifest);
	shared->manifest_version_max = recovery->version_max;
	shared->oldest = generation;
	shared->active = generation;
	shared->exists = recovery->has_manifest || recovery->record_count > 0;
	shared->last_lsn = applied_lsn(recovery);
	if (recovery->has_manifest)
	{
		/* a queue of aborts is about the namespace that was here before */
		if (memcmp(shared->namespace_id, manifest->namespace_id, 16) != 0)
			shared->pending_abort_count = 0;
		memcpy(shared->namespace_id, manifest->namespace_id, 16);
		shared->epoch = manifest->epoch;
		shared->last_crc = manifest->last_applied_crc;
		generation->last_epoch = manifest->epoch;
		generation->last_crc = manifest->last_applied_crc;
	}
	else if (recovery->record_count == 0 ||
			 memcmp(shared->namespace_id,
					recovery->records[0].header.namespace_id, 16) != 0)
		shared->pending_abort_count = 0;
	reef_namespace_unlock(ns->host, shared);
	return REEF_OK;
}

/* New hidden keys must be above all that are stored. */
static ReefCode
note_row_ids(Recovery *recovery, ReefError *err)
{
	const ReefManifest *manifest = &recovery->manifest;
	ReefNamespaceShared *shared = recovery->ns->shared;
	ReefValue  *values;
	int			column;
	int			i;

	if (!recovery->has_manifest)
		return REEF_OK;
	column = reef_schema_key_column(&manifest->schema, 1);
	if (column < 0 || strcmp(manifest->schema.columns[column].name,
							 REEF_HIDDEN_KEY_COLUMN) != 0)
		return REEF_OK;
	values = reef_arena_calloc(&recovery->arena, sizeof(*values) *
							   (size_t) manifest->schema.column_count);
	if (values == NULL)
		return reef_error_no_memory(err, sizeof(*values));
	for (i = 0; i < manifest->segment_count; i++)
	{
		REEF_TRY(reef_key_decode(manifest->segments[i].key_max,
								 &manifest->schema, &recovery->arena, values,
								 err));
		/* only the holder of the commit right gets here */
		if (atomic_load(&shared->last_row_id) < values[column].as.int64)
			atomic_store(&shared->last_row_id, values[column].as.int64);
	}
	return REEF_OK;
}

static ReefCode
apply_records(ReefNamespace *ns, ReefRecord *records, int count,
			  bool *names_older, ReefError *err)
{
	int			i;

	REEF_TRY(reef_records_find_void(ns, records, count, names_older, err));
	for (i = 0; i < count; i++)
		REEF_TRY(reef_record_apply(ns, &records[i], err));
	return REEF_OK;
}

/* ---- recover ---- */

static ReefCode
install(Recovery *recovery, ReefError *err)
{
	ReefNamespace *ns = recovery->ns;
	ReefNamespaceShared *shared = ns->shared;
	bool		names_older;

	REEF_TRY(check_chain(recovery, err));
	REEF_TRY(install_base(recovery, err));
	REEF_TRY(note_row_ids(recovery, err));
	/* an abort of a folded transaction came too late, or was heeded already */
	REEF_TRY(apply_records(ns, recovery->records, recovery->record_count,
						   &names_older, err));

	reef_namespace_lock(ns->host, shared, true);
	shared->mode = REEF_MODE_READER;
	shared->refreshed_us = ns->host->now_us(ns->host->arg);
	shared->full_refresh_store_us = recovery->listed_store_us;
	reef_namespace_unlock(ns->host, shared);
	reef_namespace_set_aside(ns->host, shared);
	return REEF_OK;
}

/* *is_consistent false: what we saw did not fit together, nothing is changed. */
static ReefCode
recover_once(Recovery *recovery, bool *is_consistent, ReefError *err)
{
	*is_consistent = false;
	REEF_TRY(load_manifest(recovery, err));
	REEF_TRY(load_tail(recovery, err));
	if (recovery->hole_lsn != 0)
		return REEF_OK;
	REEF_TRY(check_still_current(recovery, is_consistent, err));
	if (!*is_consistent)
		return REEF_OK;
	return install(recovery, err);
}

static ReefCode
lost_record(const Recovery *recovery, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];

	reef_layout_wal_key(recovery->ns->prefix, recovery->hole_lsn, key);
	if (!recovery->has_manifest)
		return reef_error_set(err, REEF_CORRUPT, "records are missing",
							  "object \"%s\" is missing, later records exist, and there is no manifest",
							  key);
	return reef_error_set(err, REEF_CORRUPT, "records are missing",
						  "object \"%s\" is missing, later records exist, and manifest %llu has not applied it",
						  key, (unsigned long long) recovery->manifest.version);
}

ReefCode
reef_recover(ReefNamespace *ns, ReefError *err)
{
	uint64_t	previous_version = UINT64_MAX;
	uint64_t	previous_hole = 0;
	int			i;

	assert(ns->shared->mode == REEF_MODE_CLOSED);
	for (i = 0; i < RECOVER_ATTEMPTS_MAX; i++)
	{
		Recovery	recovery = {.ns = ns};
		bool		is_consistent;
		ReefCode	rc;

		reef_arena_init(&recovery.arena, 0);
		reef_buf_init(&recovery.bytes);
		rc = recover_once(&recovery, &is_consistent, err);
		if (rc == REEF_OK && recovery.hole_lsn != 0 &&
			recovery.hole_lsn == previous_hole &&
			recovery.version_max == previous_version)
			rc = lost_record(&recovery, err);
		previous_hole = recovery.hole_lsn;
		previous_version = recovery.version_max;
		reef_buf_release(&recovery.bytes);
		reef_arena_release(&recovery.arena);
		if (rc != REEF_OK)
		{
			reef_namespace_close_shared(ns->host, ns->shared);
			return rc;
		}
		if (is_consistent)
			return REEF_OK;
	}
	return reef_error_set(err, REEF_UNAVAILABLE,
						  "could not open the namespace",
						  "namespace \"%s\" changed under each of %d attempts",
						  ns->name, RECOVER_ATTEMPTS_MAX);
}

/* ---- follow ---- */

/*
 * Are these records something that can be put on top of our memory?  If they do
 * not fit, the namespace may have been dropped and made anew; whether they are
 * damaged is for recovery to say.
 */
static bool
fit_on_top(ReefNamespace *ns, const ReefRecord *records, int count)
{
	const ReefNamespaceShared *shared = ns->shared;
	uint32_t	previous_crc = shared->last_crc;
	ReefError	misfit;
	int			i;

	for (i = 0; i < count; i++)
	{
		reef_error_init(&misfit);
		if (reef_record_check(ns, &records[i], shared->namespace_id,
							  previous_crc, &misfit) != REEF_OK)
			return false;
		previous_crc = records[i].header.crc;

		/*
		 * We were the writer: another one has made final what we still hold as
		 * undecided.
		 */
		if (shared->is_suspect &&
			memcmp(records[i].header.cluster_id, ns->settings->cluster_id,
				   16) != 0)
			return false;
	}
	return true;
}

static ReefCode
load_following(ReefNamespace *ns, ReefArena *arena, ReefRecord *records,
			   int *count, ReefError *err)
{
	*count = 0;
	while (*count < REPLAY_BATCH_MAX)
	{
		uint64_t	lsn = ns->shared->last_lsn + 1 + (uint64_t) *count;
		ReefCode	rc;

		rc = reef_record_load(ns, lsn, arena, &records[*count], err);
		if (rc == REEF_NOT_FOUND)
			return REEF_OK;
		if (rc != REEF_OK)
			return rc;
		(*count)++;
	}
	return REEF_OK;
}

static ReefCode
replay_batch(ReefNamespace *ns, ReefArena *arena, bool *must_reopen,
			 int *count, ReefError *err)
{
	ReefNamespaceShared *shared = ns->shared;
	ReefRecord *records;
	bool		names_older = false;
	int			i;

	records = reef_arena_calloc(arena, sizeof(*records) * REPLAY_BATCH_MAX);
	if (records == NULL)
		return reef_error_no_memory(err, sizeof(*records) * REPLAY_BATCH_MAX);
	REEF_TRY(load_following(ns, arena, records, count, err));
	if (*count == 0)
		return REEF_OK;
	*must_reopen = !fit_on_top(ns, records, *count);
	if (*must_reopen)
		return REEF_OK;
	REEF_TRY(reef_records_find_void(ns, records, *count, &names_older, err));

	/*
	 * An abort of something that is in memory already: later patches may have
	 * been resolved on top of it, so build the memory anew.  (Not if it is our
	 * own: we knew that it was void all the time.)
	 */
	if (names_older && !shared->is_suspect)
	{
		*must_reopen = true;
		return REEF_OK;
	}
	for (i = 0; i < *count; i++)
	{
		ReefCode	rc = reef_record_apply(ns, &records[i], err);

		if (rc != REEF_OK)
		{
			/* half a record may be in memory */
			reef_namespace_close_shared(ns->host, shared);
			return rc;
		}
	}
	return REEF_OK;
}

ReefCode
reef_replay_following(ReefNamespace *ns, bool *must_reopen, ReefError *err)
{
	ReefCode	rc = REEF_OK;
	int			count = REPLAY_BATCH_MAX;

	*must_reopen = false;
	while (rc == REEF_OK && !*must_reopen && count == REPLAY_BATCH_MAX)
	{
		ReefArena	arena;

		reef_arena_init(&arena, 0);
		rc = replay_batch(ns, &arena, must_reopen, &count, err);
		reef_arena_release(&arena);
	}
	return rc;
}
