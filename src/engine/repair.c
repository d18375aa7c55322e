/*
 * repair.c
 *	  Make a damaged namespace whole again from what can be read.
 *
 *	  look without stopping anybody -> nothing wrong: done
 *	  all rights, transactions that are ending have ended
 *	  look again
 *	  fence, and a fence in every hole of the log		(1)
 *	  set copies of what is damaged aside				(2)
 *	  apply what is left, write segments				(3)
 *	  put the manifest, list							(4)
 *	  delete what was set aside							(5)
 *
 * (1) Other servers are out, and no sleeping writer can have a record
 * acknowledged in a place that the repaired namespace has passed.  If a put
 * finds something there, another server is at work: look again.  (2) Nothing is
 * deleted of which there is not a second copy, compared byte by byte.  (3) is in
 * repair_build.c, (4) the commit point; a crash before it leaves orphans, and
 * a fence.  (5) Manifests go, and segments, whose names are never used twice.  A
 * damaged record stays in its place, above which the log has gone on: its
 * number must never be free again.
 *
 * Orphans are left to the collector, which knows how long they must be left.
 *
 * ACTIONS, as reported:
 *
 *	  quarantine		an object was copied below quarantine/
 *	  left in place		an object was not deleted, and why
 *	  base				what is used in place of the newest manifest
 *	  lost documents	rows of a segment that are gone, with keys and records
 *	  lost record		all transactions of a record are gone
 *	  lost transaction	one of a record that is there: it needs what is gone
 *	  older versions	rows may be there again as they were before
 *	  salvage			what is left of a segment was written anew
 *	  fence				a fence was put, at the end or into a hole
 *	  manifest			the version that is current now
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/maintenance.h"
#include "engine/rebuild.h"
#include "engine/repair_build.h"

#define REPAIR_ATTEMPTS_MAX 5
#define TRANSACTION_WAIT_US INT64_C(10000)

ReefCode
reef_action_report(ReefRepair *repair, ReefError *err, const char *name,
				   const char *object, const char *detail, ...)
{
	char		text[1200];
	ReefAction	action = {name, object, text};
	va_list		args;

	if (repair->visit == NULL)
		return REEF_OK;
	va_start(args, detail);
	vsnprintf(text, sizeof(text), detail, args);
	va_end(args);
	return repair->visit(repair->arg, &action, err);
}

/* ---- log ---- */

static ReefCode
put_fences(ReefRepair *repair, ReefError *err)
{
	int			last = repair->record_count - 1;
	uint64_t	lsn = repair->base.last_applied_lsn +
		(uint64_t) repair->record_count + 1;
	uint32_t	crc = repair->base.last_applied_crc;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefWalHeader header;
	int			i;

	if (last >= 0)
		crc = repair->records[last].header.crc;
	REEF_TRY(reef_repair_put_fence(repair, lsn, crc, &repair->fence, err));
	reef_layout_wal_key(repair->ns->prefix, lsn, key);
	REEF_TRY(reef_action_report(repair, err, "fence", key,
								"the log goes on above record %" PRIu64, lsn));
	for (i = 0; i <= last; i++)
	{
		if (repair->record_states[i] != REEF_PLACE_MISSING)
			continue;
		/* it must not look like what followed: see find_strangers */
		crc = i > 0 ? ~repair->records[i - 1].header.crc :
			~repair->base.last_applied_crc;
		REEF_TRY(reef_repair_put_fence(repair, repair->records[i].header.lsn,
									   crc, &header, err));
		reef_repair_record_key(repair, i, key);
		REEF_TRY(reef_action_report(repair, err, "fence", key,
									"the hole is closed"));
	}
	return REEF_OK;
}

static ReefCode
report_older(ReefRepair *repair, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	int			i;

	for (i = 0; i < repair->record_count; i++)
	{
		if (repair->record_states[i] == REEF_PLACE_SOUND)
			continue;
		reef_repair_record_key(repair, i, key);
		return reef_action_report(repair, err, "older versions", key,
								  "rows that lost records changed or deleted may be there as they were before");
	}
	return REEF_OK;
}

/* ---- objects ---- */

typedef enum Setting
{
	SETTING_ASIDE,				/* make the copies */
	SETTING_DELETE				/* delete the originals */
} Setting;

static ReefCode
set_aside_manifests(ReefRepair *repair, Setting setting, ReefError *err)
{
	size_t		i;

	for (i = 0; i < repair->version_count; i++)
	{
		char		key[REEF_OBJECT_KEY_SIZE];
		bool		is_kept;

		if (!repair->is_bad[i])
			continue;
		reef_layout_manifest_key(repair->ns->prefix, repair->versions[i], key);
		if (setting == SETTING_ASIDE)
		{
			REEF_TRY(reef_repair_quarantine(repair, key, &is_kept, err));
			repair->is_bad[i] = is_kept;
		}
		else if (!repair->dry_run)
			REEF_TRY(reef_store_delete(repair->ns->store, key, err));
	}
	return REEF_OK;
}

static ReefCode
set_aside_segment(ReefRepair *repair, ReefRepairSegment *segment,
				  Setting setting, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	bool		is_kept;

	if (segment->state.is_sound || !segment->state.is_present)
		return REEF_OK;
	reef_layout_segment_key(repair->ns->prefix, segment->meta.id, key);
	if (setting == SETTING_DELETE)
		return repair->dry_run ? REEF_OK :
			reef_store_delete(repair->ns->store, key, err);
	REEF_TRY(reef_repair_quarantine(repair, key, &is_kept, err));
	segment->state.is_present = is_kept;
	return REEF_OK;
}

static ReefCode
set_aside_segments(ReefRepair *repair, Setting setting, ReefError *err)
{
	ReefRepairSegment *attached;
	int			i;

	for (i = 0; i < repair->base.segment_count; i++)
		REEF_TRY(set_aside_segment(repair, &repair->segments[i], setting,
								   err));
	for (attached = repair->attached; attached != NULL;
		 attached = attached->next)
		REEF_TRY(set_aside_segment(repair, attached, setting, err));
	return REEF_OK;
}

/* Copies only. */
static ReefCode
set_aside_records(ReefRepair *repair, ReefError *err)
{
	int			i;

	for (i = 0; i < repair->record_count; i++)
	{
		char		key[REEF_OBJECT_KEY_SIZE];
		bool		is_kept;

		if (repair->record_states[i] != REEF_PLACE_DAMAGED)
			continue;
		reef_repair_record_key(repair, i, key);
		REEF_TRY(reef_repair_quarantine(repair, key, &is_kept, err));
		if (is_kept)
			REEF_TRY(reef_action_report(repair, err, "left in place", key,
										"the number of a record must never be free again"));
	}
	return REEF_OK;
}

/* ---- manifest ---- */

static ReefCode
put_manifest(ReefRepair *repair, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	bool		has_moved;

	reef_layout_manifest_key(repair->ns->prefix, repair->next.version, key);
	if (repair->dry_run)
		return reef_action_report(repair, err, "manifest", key,
								  "a manifest of what is left would be current");
	REEF_TRY(reef_repair_put(repair, key, reef_buf_slice(&repair->bytes),
							 err));
	REEF_TRY(reef_verify_has_moved(&repair->verify, repair->next.version,
								   &has_moved, err));
	if (has_moved)
		return reef_error_set(err, REEF_CONFLICT,
							  "another server writes to the namespace",
							  "there is a manifest above \"%s\"", key);
	return reef_action_report(repair, err, "manifest", key,
							  "%" PRIu64 " rows in %d segments, records up to %" PRIu64 " applied",
							  repair->next.live_row_count,
							  repair->next.segment_count,
							  repair->next.last_applied_lsn);
}

static ReefCode
build(ReefRepair *repair, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE] = "";

	if (repair->base.version > 0)
		reef_layout_manifest_key(repair->ns->prefix, repair->base.version,
								 key);
	if (repair->is_fallback)
		REEF_TRY(reef_action_report(repair, err, "base", key,
									"%s, and the records above %" PRIu64,
									repair->is_copy ?
									"the copy of a manifest in a segment" :
									repair->base.version > 0 ?
									"an older manifest" : "no manifest",
									repair->base.last_applied_lsn));
	REEF_TRY(put_fences(repair, err));
	REEF_TRY(set_aside_manifests(repair, SETTING_ASIDE, err));
	REEF_TRY(set_aside_segments(repair, SETTING_ASIDE, err));
	REEF_TRY(set_aside_records(repair, err));
	REEF_TRY(reef_repair_apply_tail(repair, err));
	REEF_TRY(report_older(repair, err));
	REEF_TRY(reef_repair_build(repair, err));
	REEF_TRY(put_manifest(repair, err));
	REEF_TRY(set_aside_manifests(repair, SETTING_DELETE, err));
	return set_aside_segments(repair, SETTING_DELETE, err);
}

static ReefCode
act(ReefRepair *repair, ReefError *err)
{
	ReefCode	rc;

	if (!reef_repair_needs_manifest(repair))
	{
		REEF_TRY(set_aside_manifests(repair, SETTING_ASIDE, err));
		return set_aside_manifests(repair, SETTING_DELETE, err);
	}
	rc = reef_repair_scratch_open(repair, err);
	if (rc == REEF_OK)
		rc = build(repair, err);
	reef_repair_scratch_release(repair);
	return rc;
}

/* ---- rights ---- */

static bool
has_unfinished(const ReefNamespace *ns)
{
	const ReefHost *host = ns->host;
	const ReefGeneration *generation;
	bool		found = false;

	reef_namespace_lock(host, ns->shared, false);
	for (generation = ns->shared->oldest; generation != NULL && !found;
		 generation = generation->newer)
	{
		const ReefApplied *applied;

		for (applied = generation->first_applied; applied != NULL && !found;
			 applied = applied->next)
			found = applied->full_xid != 0 &&
				atomic_load(&applied->hint) == REEF_XID_IN_PROGRESS &&
				host->xid_state(host->arg, applied->full_xid) ==
				REEF_XID_IN_PROGRESS;
	}
	reef_namespace_unlock(host, ns->shared);
	return found;
}

/*
 * What is in records belongs to transactions that may yet be rolled back here.
 * They are about to end; what they leave for the next record is in the queue of
 * aborts.
 */
static ReefCode
wait_for_transactions(ReefNamespace *ns, ReefError *err)
{
	const ReefHost *host = ns->host;
	int64_t		deadline_us = host->now_us(host->arg) +
		ns->settings->commit_timeout_us;

	while (has_unfinished(ns))
	{
		if (host->now_us(host->arg) > deadline_us)
			return reef_error_set(err, REEF_UNAVAILABLE,
								  "could not repair the namespace",
								  "transactions of namespace \"%s\" do not end",
								  ns->name);
		if (host->wait(host->arg, NULL, 0, TRANSACTION_WAIT_US) != REEF_OK)
			return reef_error_set(err, REEF_CANCELLED,
								  "repairing was cancelled", NULL);
	}
	if (ns->shared->mode != REEF_MODE_CLOSED)
		reef_pending_aborts_collect(host, ns->shared, ns->shared->last_lsn);
	return REEF_OK;
}

/* The repair has taken the void ones into account, for good. */
static void
forget_memory(ReefNamespace *ns, bool has_applied)
{
	ReefNamespaceShared *shared = ns->shared;

	reef_namespace_close_shared(ns->host, shared);
	reef_namespace_lock(ns->host, shared, true);
	if (has_applied)
	{
		shared->pending_abort_count = 0;
		shared->has_unqueued_aborts = false;
	}
	reef_namespace_unlock(ns->host, shared);
}

/* ---- repair ---- */

static void
init(ReefRepair *repair, ReefNamespace *ns, bool dry_run,
	 ReefActionVisitor visit, void *arg)
{
	uint8_t		random[10];

	memset(repair, 0, sizeof(*repair));
	repair->ns = ns;
	repair->dry_run = dry_run;
	repair->visit = visit;
	repair->arg = arg;
	reef_arena_init(&repair->arena, 0);
	reef_buf_init(&repair->bytes);
	ns->host->random(ns->host->arg, random, sizeof(random));
	reef_uuid_v7(ns->host->now_us(ns->host->arg), random, repair->run);
}

static void
release(ReefRepair *repair)
{
	reef_buf_release(&repair->bytes);
	reef_arena_release(&repair->arena);
}

/* Look, and act if "do_act". */
static ReefCode
attempt(ReefNamespace *ns, bool dry_run, bool do_act, ReefActionVisitor visit,
		void *arg, bool *is_clean, ReefError *err)
{
	ReefRepair	repair;
	ReefCode	rc;

	init(&repair, ns, dry_run, visit, arg);
	rc = reef_repair_survey(&repair, err);
	*is_clean = !repair.has_bad_manifests &&
		!reef_repair_needs_manifest(&repair);
	if (rc == REEF_OK && *is_clean && repair.exists &&
		repair.newest_version == 0 && repair.record_count == 0)
		rc = reef_action_report(&repair, err, "lost documents", "",
								"there is no manifest, no record, and no segment that has a copy of one");
	if (rc == REEF_OK && do_act && !*is_clean)
		rc = act(&repair, err);
	if (rc == REEF_OK && do_act && !dry_run && !*is_clean)
		forget_memory(ns, repair.next.version > 0);
	release(&repair);
	return rc;
}

static ReefCode
repair_with_rights(ReefNamespace *ns, ReefActionVisitor visit, void *arg,
				   ReefError *err)
{
	ReefCode	rc = REEF_CONFLICT;
	bool		is_clean = false;
	int			i;

	REEF_TRY(wait_for_transactions(ns, err));
	for (i = 0; i < REPAIR_ATTEMPTS_MAX && rc == REEF_CONFLICT; i++)
		rc = attempt(ns, false, true, visit, arg, &is_clean, err);
	if (rc == REEF_CONFLICT)
		err->code = rc = REEF_UNAVAILABLE;
	if (rc == REEF_OK && !is_clean)
		rc = reef_recover(ns, err);
	return rc;
}

static ReefCode
repair_exclusively(ReefNamespace *ns, ReefActionVisitor visit, void *arg,
				   ReefError *err)
{
	static const ReefRight order[] = {REEF_RIGHT_COMPACT, REEF_RIGHT_FOLD,
		REEF_RIGHT_COMMIT, REEF_RIGHT_MANIFEST};
	const ReefHost *host = ns->host;
	int			lock_number = ns->shared->lock_number;
	ReefCode	rc = REEF_OK;
	int			held;

	for (held = 0; held < (int) (sizeof(order) / sizeof(order[0])); held++)
	{
		rc = host->right_acquire(host->arg, lock_number, order[held],
								 ns->settings->commit_timeout_us);
		if (rc != REEF_OK)
		{
			(void) reef_error_set(err, rc, "could not repair the namespace",
								  "namespace \"%s\" is in use", ns->name);
			break;
		}
	}
	if (rc == REEF_OK)
		rc = repair_with_rights(ns, visit, arg, err);
	while (--held >= 0)
		host->right_release(host->arg, lock_number, order[held]);
	return rc;
}

ReefCode
reef_repair(ReefNamespace *ns, bool dry_run, ReefActionVisitor visit,
			void *arg, ReefError *err)
{
	bool		is_clean;

	if (!dry_run && reef_store_is_read_only(ns->store))
		return reef_error_set(err, REEF_READ_ONLY,
							  "the store is attached read-only",
							  "namespace \"%s\"", ns->name);
	REEF_TRY(attempt(ns, dry_run, dry_run, visit, arg, &is_clean, err));
	if (is_clean || dry_run)
		return REEF_OK;
	return repair_exclusively(ns, visit, arg, err);
}
