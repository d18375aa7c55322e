/*
 * put.c
 *	  Putting a record into its slot, and finding out what became of it.
 *
 * A put has three answers: yes, no, and nothing.  After "no" (412) or nothing
 * the slot is read, and then the manifests are listed, in this order:
 *
 *	  slot			last_applied_lsn < n		last_applied_lsn >= n
 *	  our nonce		durable						durable
 *	  another		lost: ours is nowhere		lost if it is history, or unknown
 *	  empty			not there yet: same			unknown
 *					bytes again
 *
 * "Unknown" in the right column because somebody may have folded and collected
 * our record already, and what is in the slot may be a late fence that means
 * nothing [I3].  But if the chain of checksums leads from the record in the
 * slot to the one that the manifest applied last, then that record is number n
 * of the history, for ever, and ours is nowhere.  The same bytes may be put
 * again at any time; other bytes never go into a slot whose outcome is open.
 */
#include "engine/state.h"

/* Records that are read to prove that one is history. */
#define PUT_CHAIN_MAX 4096

#define PUT_DELAY_MIN_US INT64_C(20000)
#define PUT_DELAY_MAX_US INT64_C(1000000)

/* What the newest manifest says about the records. */
typedef struct AppliedState
{
	uint64_t	lsn;
	uint32_t	crc;
} AppliedState;

static ReefCode
load_applied_state(ReefNamespace *ns, ReefArena *arena, AppliedState *applied,
				   ReefError *err)
{
	ReefNamespaceShared *shared = ns->shared;
	ReefManifest manifest;
	ReefBuf		bytes;
	uint64_t   *versions;
	uint64_t	known_version;
	int			count;
	ReefCode	rc;

	reef_namespace_lock(ns->host, shared, false);
	known_version = shared->manifest_version_max;
	applied->lsn = shared->manifests[0]->applied_lsn;
	applied->crc = 0;
	reef_namespace_unlock(ns->host, shared);
	REEF_TRY(reef_manifest_list(ns, known_version, arena, &versions, &count,
								err));
	if (count == 0)
		return REEF_OK;

	/* falling back to an older one here could hide that n is applied */
	reef_buf_init(&bytes);
	rc = reef_manifest_load(ns, versions[count - 1], arena, &manifest, &bytes,
							err);
	reef_buf_release(&bytes);
	if (rc == REEF_OK)
	{
		applied->lsn = manifest.last_applied_lsn;
		applied->crc = manifest.last_applied_crc;
	}
	return rc;
}

/* Does the chain lead from this record to the one that was applied last? */
static bool
is_history(ReefNamespace *ns, const ReefRecord *record,
		   const AppliedState *applied)
{
	uint64_t	lsn = record->header.lsn;
	uint32_t	crc = record->header.crc;
	bool		is_linked = applied->lsn - lsn <= PUT_CHAIN_MAX;
	ReefArena	arena;
	ReefError	err;

	reef_arena_init(&arena, 0);
	while (is_linked && lsn < applied->lsn)
	{
		ReefRecord	next;

		reef_error_init(&err);
		is_linked = reef_record_load(ns, ++lsn, &arena, &next,
									 &err) == REEF_OK &&
			reef_record_check(ns, &next, ns->shared->namespace_id, crc,
							  &err) == REEF_OK;
		if (is_linked)
			crc = next.header.crc;
		reef_arena_reset(&arena);
	}
	reef_arena_release(&arena);
	return is_linked && crc == applied->crc;
}

/* *is_decided false: nothing can be said yet */
static ReefPutOutcome
look_at_slot(ReefNamespace *ns, const ReefWalHeader *header, ReefArena *arena,
			 bool *is_decided, ReefError *err)
{
	ReefRecord	record;
	AppliedState applied;
	bool		is_taken;
	bool		is_lost;
	ReefCode	rc;

	*is_decided = false;
	rc = reef_record_load(ns, header->lsn, arena, &record, err);
	is_taken = rc == REEF_OK;
	if (is_taken && memcmp(record.header.nonce, header->nonce, 16) == 0)
	{
		*is_decided = true;
		return REEF_PUT_DURABLE;
	}
	if (!is_taken && rc != REEF_NOT_FOUND)
		return REEF_PUT_UNKNOWN;
	if (load_applied_state(ns, arena, &applied, err) != REEF_OK)
		return REEF_PUT_UNKNOWN;

	*is_decided = is_taken || applied.lsn >= header->lsn;
	is_lost = is_taken && (applied.lsn < header->lsn ||
						   is_history(ns, &record, &applied));
	if (applied.lsn >= header->lsn && !is_lost)
	{
		(void) reef_error_set(err, REEF_UNCERTAIN,
							  "the outcome of the commit is unknown",
							  "record %llu of namespace \"%s\" was applied and collected by another server",
							  (unsigned long long) header->lsn, ns->name);
		return REEF_PUT_UNKNOWN;
	}
	if (is_lost)
		(void) reef_error_set(err, REEF_FENCED,
							  "another server has taken over the namespace",
							  "record %llu of namespace \"%s\" was written by another server",
							  (unsigned long long) header->lsn, ns->name);
	return is_lost ? REEF_PUT_LOST : REEF_PUT_UNKNOWN;
}

static ReefPutOutcome
unknown(ReefNamespace *ns, const ReefWalHeader *header, ReefError *err)
{
	ReefError	cause = *err;

	(void) reef_error_set(err, REEF_UNCERTAIN,
						  "the outcome of the commit is unknown",
						  "record %llu of namespace \"%s\": %.300s (%.300s)",
						  (unsigned long long) header->lsn, ns->name,
						  cause.message, cause.detail);
	return REEF_PUT_UNKNOWN;
}

ReefPutOutcome
reef_record_put(ReefNamespace *ns, const ReefWalHeader *header,
				ReefSlice bytes, ReefError *err)
{
	const ReefHost *host = ns->host;
	int64_t		deadline_us = host->now_us(host->arg) +
		ns->settings->commit_timeout_us;
	int64_t		delay_us = PUT_DELAY_MIN_US;
	bool		is_ambiguous = false;
	char		key[REEF_OBJECT_KEY_SIZE];

	reef_layout_wal_key(ns->prefix, header->lsn, key);
	for (;;)
	{
		ReefPutOutcome outcome;
		ReefArena	arena;
		bool		is_decided;
		ReefCode	rc;

		rc = reef_store_put_if_absent(ns->store, key, bytes, err);
		if (rc == REEF_OK)
			return REEF_PUT_DURABLE;
		if (rc == REEF_CONFLICT || rc == REEF_UNCERTAIN)
			is_ambiguous = true;
		if (!is_ambiguous)
			return REEF_PUT_NOWHERE;

		reef_arena_init(&arena, 0);
		outcome = look_at_slot(ns, header, &arena, &is_decided, err);
		reef_arena_release(&arena);
		if (is_decided)
			return outcome;
		if (host->now_us(host->arg) + delay_us > deadline_us ||
			host->wait(host->arg, NULL, 0, delay_us) != REEF_OK)
			return unknown(ns, header, err);
		delay_us *= 2;
		if (delay_us > PUT_DELAY_MAX_US)
			delay_us = PUT_DELAY_MAX_US;
	}
}
