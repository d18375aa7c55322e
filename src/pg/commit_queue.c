/*
 * commit_queue.c
 *	  Group commit without a process of its own.
 *
 * One record can carry many transactions, and a namespace has one record in
 * flight at a time.  So whoever commits joins its namespace's queue, and if
 * nobody leads there it leads: takes all that wait, itself included, commits
 * them as one record, hands the lead to the first of those who came meanwhile
 * and leaves.  A single client meets an empty queue and no other process; with
 * many, the record under way is what collects the next batch.
 *
 * Everything in the queue is in shared memory, and a leader frees the frames
 * of those who could not wait for it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/proc.h"

#include "pg/compat.h"
#include "pg/shmem.h"

/* One record's bounds; a larger frame goes alone. */
#define BATCH_COUNT_MAX 256
#define BATCH_SIZE_MAX (8 * 1024 * 1024)

/* The longest that a leader waits for company. */
#define COLLECT_MAX_US 5000

#define SLICE_MS 250

/* What this process has to do with a queue at the moment. */
static ReefNamespace *my_ns = NULL;
static ReefPgEntry *my_entry = NULL;
static ReefPgCommitItem *my_item = NULL;
static ReefPgCommitItem *taken[BATCH_COUNT_MAX];
static int	taken_count = 0;

static ReefPgCommitItem *
item_new(ReefFrame *frame)
{
	ReefPgCommitItem *item = NULL;

	SpinLockAcquire(&reefpg_shared->mutex);
	if (!dlist_is_empty(&reefpg_shared->free_items))
		item = dlist_container(ReefPgCommitItem, node,
							   dlist_pop_head_node(&reefpg_shared->free_items));
	SpinLockRelease(&reefpg_shared->mutex);
	if (item == NULL)
		return NULL;
	item->frame = frame;
	item->latch = MyLatch;
	item->pid = MyProcPid;
	item->state = REEFPG_ITEM_WAITING;
	item->is_lead = false;
	item->is_abandoned = false;
	return item;
}

static void
item_free(ReefPgCommitItem *item)
{
	SpinLockAcquire(&reefpg_shared->mutex);
	dlist_push_head(&reefpg_shared->free_items, &item->node);
	SpinLockRelease(&reefpg_shared->mutex);
}

static void
enqueue(ReefPgEntry *entry, ReefPgCommitItem *item)
{
	Latch	   *collector = NULL;

	SpinLockAcquire(&entry->mutex);
	dlist_push_tail(&entry->waiting, &item->node);
	if (++entry->waiting_count >= entry->batch_goal)
		collector = entry->collector;
	if (entry->leader_pid == 0)
	{
		entry->leader_pid = MyProcPid;
		item->is_lead = true;
	}
	SpinLockRelease(&entry->mutex);
	if (collector != NULL)
		SetLatch(collector);
}

/*
 * Without this, clients fall into two halves, each waiting for the other's
 * record.  Those of the last record come back in a moment, if they are busy:
 * a wait that is short against a record lets them come along.
 */
static void
collect(ReefPgEntry *entry)
{
	int64		now_us = reefpg_host_now_us();
	int64		end_us;
	bool		is_waiting;

	SpinLockAcquire(&entry->mutex);
	end_us = now_us + Min(entry->batch_time_us / 4, COLLECT_MAX_US);
	is_waiting = entry->waiting_count < entry->batch_goal &&
		now_us - entry->batch_end_us < entry->batch_time_us;
	if (is_waiting)
		entry->collector = MyLatch;
	SpinLockRelease(&entry->mutex);

	while (is_waiting)
	{
		int64		left_us = end_us - reefpg_host_now_us();

		if (left_us >= 1000)
		{
			(void) WaitLatch(MyLatch,
							 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 (long) (left_us / 1000), reefpg_wait_event(REEFPG_WAIT_COMMIT));
			ResetLatch(MyLatch);
		}
		SpinLockAcquire(&entry->mutex);
		is_waiting = left_us >= 1000 &&
			entry->waiting_count < entry->batch_goal;
		if (!is_waiting)
			entry->collector = NULL;
		SpinLockRelease(&entry->mutex);
	}
}

/* Pass the lead to the first who waits, or to nobody. */
static void
hand_lead_on(ReefPgEntry *entry)
{
	Latch	   *latch = NULL;

	SpinLockAcquire(&entry->mutex);
	if (dlist_is_empty(&entry->waiting))
		entry->leader_pid = 0;
	else
	{
		ReefPgCommitItem *next;

		next = dlist_head_element(ReefPgCommitItem, node, &entry->waiting);
		next->is_lead = true;
		entry->leader_pid = next->pid;
		latch = next->latch;
	}
	SpinLockRelease(&entry->mutex);
	if (latch != NULL)
		SetLatch(latch);
}

/*
 * Whoever leads stands first in the queue, so the batch contains it.  Nobody's
 * rows are put with another's keys: those of other identities wait for a
 * leader of their own.
 */
static void
take_batch(ReefPgEntry *entry, ReefFrame **frames)
{
	dlist_mutable_iter iter;
	size_t		size = 0;

	SpinLockAcquire(&entry->mutex);
	dlist_foreach_modify(iter, &entry->waiting)
	{
		ReefPgCommitItem *item = dlist_container(ReefPgCommitItem, node,
												 iter.cur);

		if (taken_count == BATCH_COUNT_MAX)
			break;
		if (memcmp(item->identity, my_item->identity,
				   sizeof(item->identity)) != 0)
			continue;
		size += reef_frame_size(item->frame);
		if (taken_count > 0 && size > BATCH_SIZE_MAX)
			break;
		dlist_delete(&item->node);
		entry->waiting_count--;
		item->state = REEFPG_ITEM_TAKEN;
		frames[taken_count] = item->frame;
		taken[taken_count++] = item;
	}
	SpinLockRelease(&entry->mutex);
}

/*
 * The frames have their outcomes: tell the owners.  One that has left has
 * rolled back, so what is durable of it by now has to be voided.
 */
static void
finish_batch(ReefPgEntry *entry)
{
	while (taken_count > 0)
	{
		ReefPgCommitItem *item = taken[--taken_count];
		Latch	   *latch;
		bool		is_abandoned;

		/* Once it is done its owner may free it. */
		SpinLockAcquire(&entry->mutex);
		latch = item->latch;
		is_abandoned = item->is_abandoned;
		item->state = REEFPG_ITEM_DONE;
		SpinLockRelease(&entry->mutex);
		if (is_abandoned)
		{
			if (reef_frame_state(item->frame) == REEF_FRAME_DURABLE)
				reef_commit_void(my_ns, item->frame);
			reef_frame_free(reefpg_host(), item->frame);
			item_free(item);
		}
		else if (item != my_item)
			SetLatch(latch);
	}
}

static ReefPgItemState
look_at_item(ReefPgEntry *entry, ReefPgCommitItem *item, bool *is_lead)
{
	ReefPgItemState state;

	SpinLockAcquire(&entry->mutex);
	state = item->state;
	*is_lead = item->is_lead;
	SpinLockRelease(&entry->mutex);
	return state;
}

/*
 * Stop waiting.  Says how far the item had got: WAITING, then it is out of the
 * queue and certainly not committed; TAKEN, then its leader frees it; DONE.
 */
static ReefPgItemState
leave(ReefPgEntry *entry, ReefPgCommitItem *item)
{
	ReefPgItemState state;
	bool		is_lead;

	SpinLockAcquire(&entry->mutex);
	state = item->state;
	is_lead = item->is_lead && state == REEFPG_ITEM_WAITING;
	if (state == REEFPG_ITEM_WAITING)
	{
		dlist_delete(&item->node);
		entry->waiting_count--;
	}
	else if (state == REEFPG_ITEM_TAKEN)
		item->is_abandoned = true;
	SpinLockRelease(&entry->mutex);
	if (is_lead)
		hand_lead_on(entry);
	return state;
}

/*
 * Commit one batch.  Returns something else than OK only if nothing was sent
 * because we could not get the right to; then we are to leave.
 */
static ReefCode
lead(ReefPgEntry *entry, ReefError *err)
{
	const ReefHost *host = reefpg_host();
	int			lock_number = (int) (entry - reefpg_shared->entries);
	ReefFrame  *frames[BATCH_COUNT_MAX];
	ReefError	batch_err;
	int64		start_us;
	int64		end_us;
	ReefCode	rc;

	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMMIT,
							 (int64) reefpg_commit_timeout_ms * 1000);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not get the turn to commit",
							  "namespace %s", entry->name);

	/* Not before now: who comes while we wait for the right comes along. */
	collect(entry);
	start_us = reefpg_host_now_us();
	take_batch(entry, frames);
	reef_error_init(&batch_err);
	reefpg_count_put_bytes(my_ns, REEFPG_PUT_BULK);
	rc = reef_commit(my_ns, frames, taken_count, &batch_err);
	reefpg_count_put_bytes(my_ns, REEFPG_PUT_RECORDS);
	host->right_release(host->arg, lock_number, REEF_RIGHT_COMMIT);
	if (rc != REEF_OK)
		ereport(DEBUG1,
				(errmsg_internal("reef_fdw: %s: %s", batch_err.message,
								 batch_err.detail)));
	end_us = reefpg_host_now_us();
	SpinLockAcquire(&entry->mutex);
	entry->batch_goal = Min(taken_count + entry->waiting_count,
							BATCH_COUNT_MAX);
	entry->batch_end_us = end_us;
	entry->batch_time_us = end_us - start_us;
	SpinLockRelease(&entry->mutex);
	hand_lead_on(entry);
	finish_batch(entry);

	if (reefpg_pool_free_bytes() < reefpg_pool_bytes() / 2)
		reefpg_workers_wake();
	return REEF_OK;
}

/* Until the item is done; otherwise says why we left, and how far it was. */
static ReefPgItemState
wait_for_outcome(ReefPgEntry *entry, ReefPgCommitItem *item, ReefError *err)
{
	const ReefHost *host = reefpg_host();

	for (;;)
	{
		bool		is_lead;
		ReefPgItemState state = look_at_item(entry, item, &is_lead);

		if (state == REEFPG_ITEM_DONE)
			return state;
		if (state == REEFPG_ITEM_WAITING && is_lead)
		{
			if (lead(entry, err) == REEF_OK)
				continue;
			return leave(entry, item);
		}
		if (host->cancelled(host->arg))
		{
			(void) reef_error_set(err, REEF_CANCELLED,
								  "commit was given up while it was waiting",
								  "namespace %s", entry->name);
			return leave(entry, item);
		}
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 SLICE_MS, reefpg_wait_event(REEFPG_WAIT_COMMIT));
		ResetLatch(MyLatch);
	}
}

ReefFrameState
reefpg_commit_queue_commit(ReefNamespace *ns, ReefFrame *frame, ReefError *err)
{
	ReefPgEntry *entry = reefpg_namespace_entry(ns);
	ReefPgCommitItem *item = item_new(frame);
	ReefFrameState outcome = REEF_FRAME_UNKNOWN;
	ReefPgItemState state;

	if (item == NULL)
	{
		reef_frame_free(reefpg_host(), frame);
		(void) reef_error_set(err, REEF_UNAVAILABLE,
							  "too many commits are in an unknown state", NULL);
		return REEF_FRAME_REJECTED;
	}

	my_ns = ns;
	my_entry = entry;
	my_item = item;
	memcpy(item->identity, reefpg_namespace_identity(ns),
		   sizeof(item->identity));
	enqueue(entry, item);
	state = wait_for_outcome(entry, item, err);
	my_item = NULL;
	my_entry = NULL;

	switch (state)
	{
		case REEFPG_ITEM_WAITING:
			outcome = REEF_FRAME_REJECTED;	/* err says why */
			break;
		case REEFPG_ITEM_TAKEN:
			(void) reef_error_set(err, REEF_UNCERTAIN,
								  "it is not known whether the transaction was committed",
								  "The wait for the store was given up; namespace %s.",
								  entry->name);
			return REEF_FRAME_UNKNOWN;
		case REEFPG_ITEM_DONE:
			outcome = reef_frame_state(frame);
			if (outcome != REEF_FRAME_DURABLE)
				reef_frame_error(frame, err);
			break;
	}
	item_free(item);
	if (outcome == REEF_FRAME_WAITING)
	{
		/* its leader died in the middle */
		outcome = REEF_FRAME_UNKNOWN;
		(void) reef_error_set(err, REEF_UNCERTAIN,
							  "it is not known whether the transaction was committed",
							  "The session that was committing it ended.");
	}
	if (outcome != REEF_FRAME_DURABLE)
		reef_frame_free(reefpg_host(), frame);
	return outcome;
}

/*
 * After an error, or at exit, from the middle of a commit.  The frames that we
 * had taken keep the state they have, which their owners read as unknown.
 */
void
reefpg_commit_queue_at_end(void)
{
	ReefPgEntry *entry = my_entry;
	ReefPgCommitItem *item = my_item;

	if (entry == NULL)
		return;
	my_entry = NULL;
	my_item = NULL;
	if (taken_count > 0)
	{
		item->is_abandoned = true;
		hand_lead_on(entry);
		finish_batch(entry);
	}
	else if (leave(entry, item) != REEFPG_ITEM_TAKEN)
	{
		reef_frame_free(reefpg_host(), item->frame);
		item_free(item);
	}
}
