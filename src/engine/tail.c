/*
 * tail.c
 *	  A namespace as the store has it: the current manifest and what follows it.
 *
 * Looking writes nothing, and nothing is a snapshot: a fold and a collector
 * elsewhere may run between any two of our requests.  What saves us is that
 * they leave traces:
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
#include "engine/decide.h"

#define TAIL_ATTEMPTS_MAX 10

void
reef_tail_init(ReefTail *tail, ReefNamespace *ns)
{
	memset(tail, 0, sizeof(*tail));
	tail->ns = ns;
	reef_arena_init(&tail->arena, 0);
	reef_buf_init(&tail->bytes);
}

void
reef_tail_release(ReefTail *tail)
{
	reef_buf_release(&tail->bytes);
	reef_arena_release(&tail->arena);
}

uint64_t
reef_tail_applied_lsn(const ReefTail *tail)
{
	return tail->has_manifest ? tail->manifest.last_applied_lsn : 0;
}

static ReefCode
load_manifest(ReefTail *tail, ReefError *err)
{
	ReefNamespace *ns = tail->ns;
	ReefCode	rc;

	REEF_TRY(reef_store_time_begin(ns->store, &tail->listed_store_us, err));
	rc = reef_manifest_find_current(ns, &tail->arena, &tail->manifest,
									&tail->bytes, &tail->version_max, err);
	reef_store_time_end(ns->store, &tail->listed_store_us);
	tail->has_manifest = rc == REEF_OK;
	return rc == REEF_NOT_FOUND ? REEF_OK : rc;
}

/* The records that a LIST shows, as long as there is no hole. */
static ReefCode
load_listed(ReefTail *tail, const ReefObjectList *list, uint64_t *hole_lsn,
			ReefError *err)
{
	ReefNamespace *ns = tail->ns;
	uint64_t	next = reef_tail_applied_lsn(tail) + 1;
	size_t		i;

	tail->records = reef_arena_calloc(&tail->arena, sizeof(*tail->records) *
									  (list->count + 1));
	if (tail->records == NULL)
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
			rc = reef_record_load(ns, next, &tail->arena,
								  &tail->records[tail->record_count], err);
		if (rc == REEF_NOT_FOUND)
		{
			*hole_lsn = next;
			return REEF_OK;
		}
		if (rc != REEF_OK)
			return rc;
		tail->record_count++;
		next++;
	}
	return REEF_OK;
}

static ReefCode
load_records(ReefTail *tail, uint64_t *hole_lsn, ReefError *err)
{
	ReefNamespace *ns = tail->ns;
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		start_after[REEF_OBJECT_KEY_SIZE];
	ReefObjectList list;
	ReefCode	rc;

	reef_layout_list_prefix(ns->prefix, REEF_OBJECT_WAL, prefix);
	start_after[0] = '\0';
	if (reef_tail_applied_lsn(tail) > 0)
		reef_layout_wal_key(ns->prefix, reef_tail_applied_lsn(tail),
							start_after);
	reef_object_list_init(&list);
	rc = reef_store_list(ns->store, prefix, start_after, 0, &list, err);
	if (rc == REEF_OK)
		rc = load_listed(tail, &list, hole_lsn, err);
	reef_object_list_release(&list);
	return rc;
}

ReefCode
reef_tail_check_current(ReefTail *tail, bool must_list, bool *is_current,
						ReefError *err)
{
	ReefNamespace *ns = tail->ns;
	uint64_t   *versions;
	int64_t		now_us;
	int			count;

	*is_current = true;
	REEF_TRY(reef_store_time_answered(ns->store, &now_us, err));
	if (!must_list &&
		now_us - tail->listed_store_us < ns->settings->gc_grace_us / 2)
		return REEF_OK;
	REEF_TRY(reef_manifest_list(ns, tail->version_max, &tail->arena,
								&versions, &count, err));
	*is_current = count == 0;
	return REEF_OK;
}

static ReefCode
check_chain(ReefTail *tail, ReefError *err)
{
	const uint8_t *namespace_id = tail->manifest.namespace_id;
	uint32_t	previous_crc = tail->manifest.last_applied_crc;
	int			i;

	if (!tail->has_manifest)
	{
		previous_crc = 0;
		if (tail->record_count > 0)
			namespace_id = tail->records[0].header.namespace_id;
	}
	else if (reef_tail_applied_lsn(tail) == 0)
		previous_crc = 0;
	for (i = 0; i < tail->record_count; i++)
	{
		REEF_TRY(reef_record_check(tail->ns, &tail->records[i], namespace_id,
								   previous_crc, err));
		previous_crc = tail->records[i].header.crc;
	}
	return REEF_OK;
}

static ReefCode
lost_record(const ReefTail *tail, uint64_t hole_lsn, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];

	reef_layout_wal_key(tail->ns->prefix, hole_lsn, key);
	if (!tail->has_manifest)
		return reef_error_set(err, REEF_CORRUPT, "records are missing",
							  "object \"%s\" is missing, later records exist, and there is no manifest",
							  key);
	return reef_error_set(err, REEF_CORRUPT, "records are missing",
						  "object \"%s\" is missing, later records exist, and manifest %llu has not applied it",
						  key, (unsigned long long) tail->manifest.version);
}

ReefCode
reef_tail_load(ReefTail *tail, ReefError *err)
{
	uint64_t	previous_version = UINT64_MAX;
	uint64_t	previous_hole = 0;
	int			i;

	for (i = 0; i < TAIL_ATTEMPTS_MAX; i++)
	{
		ReefNamespace *ns = tail->ns;
		uint64_t	hole_lsn = 0;
		bool		is_current = false;

		reef_tail_release(tail);
		reef_tail_init(tail, ns);
		REEF_TRY(load_manifest(tail, err));
		REEF_TRY(load_records(tail, &hole_lsn, err));
		if (hole_lsn == 0)
			REEF_TRY(reef_tail_check_current(tail, false, &is_current, err));
		if (is_current)
			return check_chain(tail, err);
		if (hole_lsn != 0 && hole_lsn == previous_hole &&
			tail->version_max == previous_version)
			return lost_record(tail, hole_lsn, err);
		previous_hole = hole_lsn;
		previous_version = tail->version_max;
	}
	return reef_error_set(err, REEF_UNAVAILABLE,
						  "could not open the namespace",
						  "namespace \"%s\" changed under each of %d attempts",
						  tail->ns->name, TAIL_ATTEMPTS_MAX);
}
