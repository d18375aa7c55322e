/*
 * settle.c
 *	  Forgetting decisions that nobody can ask for any more.
 *
 * The record that commits a transaction over several namespaces vanishes after
 * a fold; that it was committed stays in the decider's manifest, because a
 * participant asks as long as it has a record with a frame of the transaction:
 * to recover, from whichever manifest it must fall back to, or to rebuild without
 * any.  When such a record has been collected nobody who begins now will ask;
 * who began before sees, before it heeds the answer, that there is a newer
 * manifest (recover.c).
 *
 * Which record it was nobody has written down, and to read them all would be too
 * much.  But the participants' frames are put before the decider's.  So:
 *
 *	  1. mark: the decisions in the manifest now, and the highest LSN that each
 *		 participant has now: its frames of these decisions are at or below it;
 *	  2. when a participant has no record left at or below its mark (fences do
 *		 not count), it will not ask for any of them.
 *
 * The marks live in memory, and are made anew after a restart.  LSNs only, no
 * clock: a copy of a bucket has new times, and the same LSNs.
 */
#include "engine/decide.h"
#include "engine/maintenance.h"

typedef struct Settlement
{
	ReefNamespace *ns;
	ReefArena	arena;
	ReefView   *view;			/* keeps the manifest */
	ReefManifest manifest;		/* the current one */
	uint64_t	incarnation;
	ReefSettling mark;
} Settlement;

/* The lowest record that is no fence (UINT64_MAX: none), and the highest of
 * all. */
static ReefCode
list_records(ReefStore *store, const char *name, uint64_t *lowest,
			 uint64_t *highest, ReefError *err)
{
	char		namespace_prefix[REEF_OBJECT_KEY_SIZE];
	char		prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectList list;
	ReefCode	rc;
	size_t		i;

	*lowest = UINT64_MAX;
	*highest = 0;
	REEF_TRY(reef_layout_namespace_prefix(name, namespace_prefix, err));
	reef_layout_list_prefix(namespace_prefix, REEF_OBJECT_WAL, prefix);
	reef_object_list_init(&list);
	rc = reef_store_list(store, prefix, "", 0, &list, err);
	for (i = 0; rc == REEF_OK && i < list.count; i++)
	{
		ReefObjectName object;

		reef_layout_parse(namespace_prefix, list.objects[i].key, &object);
		if (object.kind != REEF_OBJECT_WAL)
			continue;
		*highest = object.number;
		if (*lowest == UINT64_MAX &&
			list.objects[i].size > REEF_WAL_HEADER_SIZE)
			*lowest = object.number;
	}
	reef_object_list_release(&list);
	return rc;
}

static bool
names(const ReefManifestTransaction *transaction, const char *participant)
{
	ReefSlice	name = reef_slice_of_string(participant);
	bool		found = false;
	int			i;

	for (i = 0; i < transaction->participant_count; i++)
		found |= reef_slice_equal(transaction->participants[i], name);
	return found;
}

static int
find_in_mark(const ReefSettling *mark, ReefSlice name)
{
	int			i;

	for (i = 0; i < mark->count; i++)
	{
		if (reef_slice_equal(reef_slice_of_string(mark->participants[i].name),
							 name))
			return i;
	}
	return -1;
}

/* ---- marks ---- */

static void
add_mark(Settlement *settlement, ReefSlice name)
{
	ReefSettling *mark = &settlement->mark;
	ReefSettlingParticipant *participant;

	/* who is left out waits until another one has nothing to ask */
	if (mark->count == REEF_SETTLING_MAX || find_in_mark(mark, name) >= 0)
		return;
	participant = &mark->participants[mark->count++];
	memset(participant, 0, sizeof(*participant));
	memcpy(participant->name, name.data, name.size);
}

/* Those from before, and one for each participant that has none. */
static void
take_marks(Settlement *settlement)
{
	const ReefManifest *manifest = &settlement->manifest;
	ReefNamespaceShared *shared = settlement->ns->shared;
	ReefSettling *mark = &settlement->mark;
	int			i;
	int			j;

	reef_namespace_lock(settlement->ns->host, shared, false);
	*mark = shared->settling;
	reef_namespace_unlock(settlement->ns->host, shared);
	if (memcmp(mark->namespace_id, manifest->namespace_id, 16) != 0)
		mark->count = 0;
	memcpy(mark->namespace_id, manifest->namespace_id, 16);
	for (i = 0; i < manifest->transaction_count; i++)
	{
		for (j = 0; j < manifest->transactions[i].participant_count; j++)
			add_mark(settlement, manifest->transactions[i].participants[j]);
	}
}

/* Which participants will not ask any more for what is marked? */
static ReefCode
look_at_participants(Settlement *settlement, ReefError *err)
{
	int			i;

	for (i = 0; i < settlement->mark.count; i++)
	{
		ReefSettlingParticipant *participant =
			&settlement->mark.participants[i];
		uint64_t	lowest;
		uint64_t	highest;

		REEF_TRY(list_records(settlement->ns->store, participant->name,
							  &lowest, &highest, err));
		if (participant->applied_lsn == 0)
		{
			participant->applied_lsn = settlement->manifest.last_applied_lsn;
			participant->lsn = highest;
		}
		if (lowest > participant->lsn)
		{
			participant->settled_lsn = participant->applied_lsn;
			participant->applied_lsn = 0;
		}
	}
	return REEF_OK;
}

/* Of those whom some decision names. */
static void
keep_marks(const Settlement *settlement)
{
	ReefNamespaceShared *shared = settlement->ns->shared;
	ReefSettling kept = settlement->mark;
	int			i;
	int			j;

	kept.count = 0;
	for (i = 0; i < settlement->mark.count; i++)
	{
		const ReefSettlingParticipant *participant =
			&settlement->mark.participants[i];
		bool		is_named = false;

		for (j = 0; j < settlement->manifest.transaction_count && !is_named; j++)
			is_named = names(&settlement->manifest.transactions[j], participant->name);
		if (is_named)
			kept.participants[kept.count++] = *participant;
	}
	reef_namespace_lock(settlement->ns->host, shared, true);
	shared->settling = kept;
	reef_namespace_unlock(settlement->ns->host, shared);
}

/* ---- drop ---- */

static bool
may_forget(const Settlement *settlement,
		   const ReefManifestTransaction *transaction)
{
	int			i;

	for (i = 0; i < transaction->participant_count; i++)
	{
		int			place = find_in_mark(&settlement->mark,
										 transaction->participants[i]);

		if (place < 0 || transaction->lsn >
			settlement->mark.participants[place].settled_lsn)
			return false;
	}
	return true;
}

static ReefCode
drop_settled(void *arg, const ReefManifest *base, ReefArena *arena,
			 ReefManifest *next, bool *is_stale, ReefError *err)
{
	const Settlement *settlement = arg;
	int			i;

	*next = *base;
	next->transaction_count = 0;
	next->transactions = reef_arena_calloc(arena,
										   sizeof(*next->transactions) *
										   ((size_t) base->transaction_count + 1));
	if (next->transactions == NULL)
		return reef_error_no_memory(err, sizeof(*next->transactions));
	for (i = 0; i < base->transaction_count; i++)
	{
		if (!may_forget(settlement, &base->transactions[i]))
			next->transactions[next->transaction_count++] =
				base->transactions[i];
	}
	*is_stale = next->transaction_count == base->transaction_count;
	return REEF_OK;
}

static ReefCode
commit_without(Settlement *settlement, ReefError *err)
{
	ReefManifestChange change = {
		.incarnation = settlement->incarnation,
		.build = drop_settled,
		.arg = settlement,
		.copy_base_version = UINT64_MAX
	};
	ReefManifestOutcome outcome;
	ReefManifest committed;

	return reef_manifest_commit(settlement->ns, &change, &settlement->arena,
								&committed, &outcome, err);
}

/* ---- settle ---- */

/* false: it is not ours to write, or names no decision */
static ReefCode
load_current(Settlement *settlement, bool *has_work, ReefError *err)
{
	ReefNamespace *ns = settlement->ns;
	ReefCode	rc;

	*has_work = false;
	if (ns->shared->mode != REEF_MODE_WRITER)
		return REEF_OK;
	rc = reef_view_pin_present(ns, &settlement->view, err);
	if (rc == REEF_SNAPSHOT_TOO_OLD)
		return REEF_OK;			/* closed in this moment */
	if (rc != REEF_OK)
		return rc;
	settlement->incarnation = settlement->view->incarnation;
	if (settlement->view->loaded != NULL)
		settlement->manifest = settlement->view->loaded->manifest;
	*has_work = settlement->manifest.transaction_count > 0;
	return REEF_OK;
}

static ReefCode
settle(Settlement *settlement, ReefError *err)
{
	bool		has_work;
	bool		any_settled = false;
	int			i;

	REEF_TRY(load_current(settlement, &has_work, err));
	if (!has_work)
		return REEF_OK;
	take_marks(settlement);
	REEF_TRY(look_at_participants(settlement, err));
	for (i = 0; i < settlement->manifest.transaction_count; i++)
		any_settled |= may_forget(settlement,
								  &settlement->manifest.transactions[i]);
	keep_marks(settlement);
	return any_settled ? commit_without(settlement, err) : REEF_OK;
}

ReefCode
reef_transactions_settle(ReefNamespace *ns, ReefError *err)
{
	Settlement	settlement = {.ns = ns};
	ReefCode	rc;

	reef_arena_init(&settlement.arena, 0);
	rc = settle(&settlement, err);
	reef_view_unpin(settlement.view);
	reef_arena_release(&settlement.arena);
	return rc;
}
