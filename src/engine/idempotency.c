/*
 * idempotency.c
 *	  Was a transaction with this key applied before?
 *
 * Who was told 08007, or was told nothing at all, repeats the transaction with
 * the same key, and it must not be applied a second time [I6].  The key goes
 * into the frame, from there with the rows to the memtable, and with the fold
 * into the manifest, where it stays for its retention.  So what a view shows
 * answers the question at the first write; and at validation, with the commit
 * right, the same question to everything that is not void is the one that
 * counts: nobody else can commit the key any more.
 */
#include <stdlib.h>

#include "engine/txn_state.h"

static bool
is_retained(const ReefView *view, int64_t time_ms)
{
	const ReefNamespace *ns = view->ns;

	return time_ms >= ns->host->now_us(ns->host->arg) / 1000 -
		ns->settings->idempotency_retention_ms;
}

static bool
is_in_manifest(const ReefView *view, ReefSlice key)
{
	const ReefManifest *manifest;
	int			i;

	if (view->loaded == NULL)
		return false;
	manifest = &view->loaded->manifest;
	for (i = 0; i < manifest->idempotency_count; i++)
	{
		if (reef_slice_equal(manifest->idempotency[i].key, key))
			return is_retained(view, manifest->idempotency[i].time_ms);
	}
	return false;
}

bool
reef_idempotency_is_known(const ReefView *view, ReefSlice key)
{
	const ReefNamespaceShared *shared = view->ns->shared;
	bool		is_known = is_in_manifest(view, key);
	int			i;

	/* the lock: a commit appends to the list of the active generation */
	reef_namespace_lock(view->ns->host, shared, false);
	for (i = 0; i < view->generation_count && !is_known; i++)
	{
		const ReefApplied *applied = view->generations[i]->first_applied;

		for (; applied != NULL && !is_known; applied = applied->next)
			is_known = reef_slice_equal(applied->idempotency_key, key) &&
				is_retained(view, applied->time_ms) &&
				reef_applied_visible(view, applied);
	}
	reef_namespace_unlock(view->ns->host, shared);
	return is_known;
}

ReefCode
reef_txn_set_idempotency_key(ReefTxn *txn, ReefSlice key, bool *is_known,
							 ReefError *err)
{
	if (key.size == 0)
		return reef_error_set(err, REEF_INVALID,
							  "the idempotency key is empty", NULL);
	if (key.size > REEF_IDEMPOTENCY_KEY_MAX_SIZE)
		return reef_error_set(err, REEF_LIMIT,
							  "the idempotency key is too long",
							  "it has %zu bytes, %d are possible", key.size,
							  REEF_IDEMPOTENCY_KEY_MAX_SIZE);
	REEF_TRY(reef_txn_refresh_view(txn, err));
	*is_known = reef_idempotency_is_known(txn->view, key);
	txn->idempotency_key = reef_arena_copy(&txn->arena, key);
	if (txn->idempotency_key.data == NULL)
		return reef_error_no_memory(err, key.size);
	return REEF_OK;
}

/* By key, the youngest first. */
static int
compare_entries(const void *a, const void *b)
{
	const ReefIdempotencyEntry *left = a;
	const ReefIdempotencyEntry *right = b;
	int			order = reef_slice_compare(left->key, right->key);

	if (order != 0)
		return order;
	return left->lsn > right->lsn ? -1 : left->lsn < right->lsn;
}

/*
 * Who folds may keep keys for longer than who commits them, and a key that was
 * forgotten may be used again.
 */
int
reef_idempotency_unique(ReefIdempotencyEntry *entries, int count)
{
	int			kept = 0;
	int			i;

	if (count == 0)
		return 0;
	qsort(entries, (size_t) count, sizeof(*entries), compare_entries);
	for (i = 1; i < count; i++)
	{
		if (!reef_slice_equal(entries[i].key, entries[kept].key))
			entries[++kept] = entries[i];
	}
	return kept + 1;
}
