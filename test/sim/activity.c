/*
 * activity.c
 *	  What the processes of a simulated server do.
 *
 * A transaction reads, writes, commits in a group with whoever waits, and
 * then ends locally, which may be a rollback after its record is durable.  What
 * its client was told is its fate, for the oracle.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

#define QUEUE_WAIT_US (INT64_C(5) * 1000000)

int64_t
sim_contact(const SimTask *task)
{
	const SimCluster *cluster = task->cluster;
	int64_t		contact_us = cluster->shared[task->ns]->full_refresh_store_us;

	if (contact_us < cluster->last_put_us[task->ns])
		contact_us = cluster->last_put_us[task->ns];
	/* it may still be about what it found when it began */
	return contact_us < task->started_us ? contact_us : task->started_us;
}

/* Has this very cluster deleted what the error misses? */
static bool
is_own_fault(const SimCluster *cluster, const ReefError *err)
{
	const Sim  *sim = cluster->sim;

	for (int i = 0; i < sim->deleted_count; i++)
	{
		if (sim->deleted[i].cluster == cluster->number &&
			strstr(err->detail, sim->deleted[i].name) != NULL)
			return true;
	}
	return false;
}

/*
 * Which errors may a process get?  None that says that stored bytes are wrong;
 * except that a server that has not heard from the store for half the grace
 * window may miss objects that others have collected.  Neither has a writer that
 * has not listed the manifests for so long: it lists them when it takes over,
 * and its puts tell it nothing about a compaction by the server before it.
 */
void
sim_expect_tolerable(SimTask *task, const ReefError *err,
					 int64_t contact_us)
{
	const SimCluster *cluster = task->cluster;
	const ReefNamespaceShared *shared = task->process->ns[task->ns]->shared;

	if (cluster->is_dead || cluster->sim->is_damaged)
		return;
	if (shared->mode == REEF_MODE_WRITER &&
		contact_us > shared->full_refresh_store_us)
		contact_us = shared->full_refresh_store_us;
	sim_trace(task->sim, "c%d/%d could not %s: %s: %s (%s)",
			  cluster->number, task->number, task->name,
			  reef_code_name(err->code), err->message, err->detail);
	switch (err->code)
	{
		case REEF_BUG:
		case REEF_NO_MEMORY:
		case REEF_INVALID:
		case REEF_READ_ONLY:
		case REEF_TYPE_MISMATCH:
		case REEF_COLUMN_MISMATCH:
			break;
		case REEF_CORRUPT:
		case REEF_NOT_FOUND:
		case REEF_UNSUPPORTED:
			if (task->sim->now_us - contact_us >= SIM_GRACE_US / 2 &&
				!is_own_fault(cluster, err))
				return;
			break;
		default:
			return;
	}
	sim_violation(task->sim, "I5", "c%d/%d could not %s: %s: %s (%s)",
				  cluster->number, task->number, task->name,
				  reef_code_name(err->code), err->message, err->detail);
}

/* ---- a transaction's writes ---- */

static uint64_t
new_xid(SimTask *task)
{
	Sim		   *sim = task->sim;
	uint64_t	index = sim->xid_next - sim->xid_first;
	SimXid	   *entry;

	sim->xids = reallocarray(sim->xids, (size_t) index + 1, sizeof(SimXid));
	if (sim->xids == NULL)
		abort();
	entry = &sim->xids[index];
	entry->state = REEF_XID_IN_PROGRESS;
	entry->lineage = task->cluster->lineage;
	entry->cluster = task->cluster->number;
	return sim->xid_next++;
}

static void
end_xid(Sim *sim, uint64_t xid, ReefXidState state)
{
	/* a crash has decided before us */
	if (xid != 0 &&
		sim->xids[xid - sim->xid_first].state == REEF_XID_IN_PROGRESS)
		sim->xids[xid - sim->xid_first].state = state;
}

static ReefSlice
key_of(ReefBuf *buf, int64_t id)
{
	ReefValue	value = {.as.int64 = id};

	reef_buf_init(buf);
	reef_key_append(buf, REEF_KIND_INT64, &value);
	return reef_buf_slice(buf);
}

/* *lsn 0: there is no such row. */
static ReefCode
find_row(ReefNamespace *ns, int key, uint64_t *lsn, ReefError *err)
{
	ReefValue	values[2];
	ReefArena	arena;
	ReefView   *view;
	ReefBuf		buf;
	ReefCode	rc;

	*lsn = 0;
	REEF_TRY(reef_view_pin(ns, NULL, 0, &view, err));
	reef_arena_init(&arena, 0);
	rc = reef_view_lookup(view, key_of(&buf, key), sim_schema.columns, 2,
						  &arena, values, lsn, err);
	reef_buf_release(&buf);
	reef_arena_release(&arena);
	reef_view_unpin(view);
	if (rc == REEF_NOT_FOUND)
	{
		*lsn = 0;
		rc = REEF_OK;
	}
	return rc;
}

static ReefCode
insert_row(ReefTxn *txn, int64_t id, const char *v, ReefError *err)
{
	ReefTxnPoint point = {1, 1};
	ReefValue	values[2] = {{.as.int64 = id}};
	bool		inserted;

	values[1].is_null = v == NULL;
	if (v != NULL)
		values[1].as.bytes = reef_slice_of_string(v);
	return reef_txn_insert(txn, point, values, REEF_INSERT_ERROR, &inserted,
						   err);
}

static ReefCode
change_row(ReefTxn *txn, SimOp *op, const char *v, ReefError *err)
{
	ReefTxnPoint point = {1, 1};
	ReefValue	values[2] = {{.as.int64 = op->key}};
	bool		changed[2] = {false, true};
	bool		applied;
	ReefRowId	old;
	ReefBuf		key;
	ReefCode	rc;

	old.key = key_of(&key, op->key);
	old.lsn = op->base_lsn;
	values[1].as.bytes = reef_slice_of_string(v);
	if (op->kind == REEF_OP_DELETE)
		rc = reef_txn_delete(txn, point, &old, &applied, err);
	else
		rc = reef_txn_update(txn, point, &old, values, changed, &applied, err);
	reef_buf_release(&key);
	return rc;
}

static ReefCode
write_key(SimTask *task, ReefTxn *txn, int number, int key, ReefError *err)
{
	Sim		   *sim = task->sim;
	SimTxn	   *model = &sim->txns[number];
	SimOp	   *op = &model->ops[model->op_count];
	char		v[32];

	op->key = key;
	REEF_TRY(find_row(task->process->ns[model->ns], key, &op->base_lsn, err));
	op->kind = REEF_OP_PUT;
	if (op->base_lsn != 0)
		op->kind = REEF_OP_PATCH;
	if (op->base_lsn != 0 &&
		(sim->plan == SIM_PLAN_DELETE ||
		 (sim->plan == SIM_PLAN_ANY && sim_choose(sim, 3) == 2)))
		op->kind = REEF_OP_DELETE;
	sim_value_text(v, number, key);
	model->op_count++;
	if (op->kind == REEF_OP_PUT)
		return insert_row(txn, key, v, err);
	return change_row(txn, op, v, err);
}

/* *is_known: the transaction has nothing to do. */
static ReefCode
choose_key(SimTask *task, ReefTxn *txn, SimTxn *model, bool *is_known,
		   ReefError *err)
{
	Sim		   *sim = task->sim;
	char		text[20];
	ReefCode	rc;

	*is_known = false;
	if (sim->plan != SIM_PLAN_ANY || sim_choose(sim, 6) != 5)
		return REEF_OK;
	model->key = 1 + (int) sim_choose(sim, SIM_IDEMPOTENCY_KEYS);
	snprintf(text, sizeof(text), "key %d", model->key);
	rc = reef_txn_set_idempotency_key(txn, reef_slice_of_string(text),
									  is_known, err);
	if (rc == REEF_OK && *is_known)
		sim_key_is_known(sim, model->ns, model->key);
	return rc;
}

static ReefCode
write_rows(SimTask *task, ReefTxn *txn, int number, ReefError *err)
{
	Sim		   *sim = task->sim;
	SimTxn	   *model = &sim->txns[number];
	int			first = 0;
	int			count = 1;

	if (sim->plan == SIM_PLAN_ANY)
	{
		first = (int) sim_choose(sim, SIM_KEYS);
		count = 1 + (int) sim_choose(sim, SIM_OPS_MAX);
		model->is_bulk = sim_choose(sim, sim->bulk_chance) == sim->bulk_chance - 1;
	}
	else if (sim->plan == SIM_PLAN_INSERT)
		first = SIM_KEYS - 1;
	model->is_bulk |= sim->plan == SIM_PLAN_BULK;
	if (model->is_bulk)
		count--;
	for (int i = 0; i < count; i++)
		REEF_TRY(write_key(task, txn, number, (first + i) % SIM_KEYS, err));
	for (int i = 0; i < SIM_BULK_ROWS && model->is_bulk; i++)
	{
		char		text[100];

		/* so large that merging it with a few small segments is not worth it */
		snprintf(text, sizeof(text), "row %d of t%d: %064d", i, number, i);
		REEF_TRY(insert_row(txn, SIM_BULK_BASE + number * INT64_C(1000) + i,
							text, err));
	}
	return insert_row(txn, SIM_MARKER_BASE + number, NULL, err);
}

/* ---- group commit ---- */

static void
lead(SimTask *task, int ns)
{
	SimCluster *cluster = task->cluster;
	ReefFrame  *frames[SIM_PROCESSES];
	bool	   *is_done[SIM_PROCESSES];
	int			count = cluster->queue_count[ns];
	ReefError	err;

	for (int i = 0; i < count; i++)
	{
		frames[i] = cluster->queue[ns][i].frame;
		is_done[i] = cluster->queue[ns][i].is_done;
		sim_txn_settle(task->sim, cluster->queue[ns][i].txn, SIM_FATE_ASKED);
	}
	cluster->queue_count[ns] = 0;
	reef_error_init(&err);
	if (reef_commit(task->process->ns[ns], frames, count, &err) != REEF_OK)
		sim_expect_tolerable(task, &err, sim_contact(task));
	/* not before: an owner may free his frame then */
	for (int i = 0; i < count; i++)
		*is_done[i] = true;
}

/* False if it was not. */
static bool
leave_queue(SimCluster *cluster, int ns, const ReefFrame *frame)
{
	SimQueued  *queue = cluster->queue[ns];

	for (int i = 0; i < cluster->queue_count[ns]; i++)
	{
		if (queue[i].frame != frame)
			continue;
		memmove(&queue[i], &queue[i + 1], sizeof(SimQueued) *
				(size_t) (--cluster->queue_count[ns] - i));
		return true;
	}
	return false;
}

/* On return the frame has a state other than WAITING, or nobody has it. */
static void
commit_in_group(SimTask *task, int ns, ReefFrame *frame, int number)
{
	SimCluster *cluster = task->cluster;
	const ReefHost *host = &cluster->host;
	SimQueued  *queued = &cluster->queue[ns][cluster->queue_count[ns]++];
	bool		is_done = false;
	int			patience = 5;

	queued->frame = frame;
	queued->txn = number;
	queued->is_done = &is_done;
	while (!is_done)
	{
		if (host->right_acquire(host->arg, ns + 1, REEF_RIGHT_COMMIT,
								QUEUE_WAIT_US) == REEF_OK)
		{
			if (!is_done)
				lead(task, ns);
			host->right_release(host->arg, ns + 1, REEF_RIGHT_COMMIT);
		}
		else if (host->cancelled(host->arg) || --patience <= 0)
		{
			if (leave_queue(cluster, ns, frame))
				return;
			/* a leader has it: only he can say */
			task->is_cancelled = false;
			task->state = SIM_TASK_READY;
			sim_task_yield(task);
		}
	}
}

/* ---- the local end ---- */

/* A crash before the client was told anything. */
static void
end_in_crash(Sim *sim, int number)
{
	const SimTxn *txn = &sim->txns[number];

	if (txn->fate == SIM_FATE_NEVER)
		return;
	sim_txn_settle(sim, number, txn->is_coupled ? SIM_FATE_COUPLED :
				   SIM_FATE_UNKNOWN);
}

/* The local transaction rolls back although the record is durable. */
static void
roll_back(SimTask *task, int number, const ReefFrame *frame)
{
	SimCluster *cluster = task->cluster;
	const ReefHost *host = &cluster->host;
	SimTxn	   *txn = &task->sim->txns[number];
	ReefNamespace *ns = task->process->ns[txn->ns];
	int			warnings = cluster->warnings;
	ReefError	err;
	ReefCode	rc;

	sim_txn_settle(task->sim, number, SIM_FATE_VOIDING);
	end_xid(task->sim, txn->xid, REEF_XID_ABORTED);
	reef_commit_void(ns, frame);
	if (sim_choose(task->sim, 4) == 3)
		return;					/* somebody else's record will carry it */
	rc = host->right_acquire(host->arg, txn->ns + 1, REEF_RIGHT_COMMIT,
							 QUEUE_WAIT_US);
	if (rc != REEF_OK)
		return;
	reef_error_init(&err);
	rc = reef_commit_pending_aborts(ns, &err);
	host->right_release(host->arg, txn->ns + 1, REEF_RIGHT_COMMIT);
	if (rc == REEF_OK && warnings == cluster->warnings && !cluster->is_dead)
		sim_txn_settle(task->sim, number, SIM_FATE_VOIDED);
}

static void
end_durable(SimTask *task, int number, const ReefFrame *frame)
{
	Sim		   *sim = task->sim;
	SimTxn	   *txn = &sim->txns[number];

	txn->lsn = reef_frame_lsn(frame);
	if (txn->xid != 0)
	{
		/* others may act before the transaction ends locally */
		task->state = SIM_TASK_READY;
		sim_task_yield(task);
		if (task->cluster->is_dead)
		{
			end_in_crash(sim, number);
			return;
		}
		if (sim->plan == SIM_PLAN_ANY && sim_choose(sim, 6) == 5)
		{
			roll_back(task, number, frame);
			return;
		}
	}
	end_xid(sim, txn->xid, REEF_XID_COMMITTED);
	sim_txn_settle(sim, number, SIM_FATE_ACKED);
}

static void
end_transaction(SimTask *task, int number, const ReefFrame *frame)
{
	Sim		   *sim = task->sim;
	SimTxn	   *txn = &sim->txns[number];
	ReefError	err;

	if (task->cluster->is_dead)
	{
		end_in_crash(sim, number);
		return;
	}
	switch (reef_frame_state(frame))
	{
		case REEF_FRAME_DURABLE:
			end_durable(task, number, frame);
			return;
		case REEF_FRAME_WAITING:	/* cancelled before anybody took it */
			break;
		case REEF_FRAME_REJECTED:
			reef_frame_error(frame, &err);
			sim_expect_tolerable(task, &err, sim_contact(task));
			break;
		case REEF_FRAME_UNKNOWN:
			end_xid(sim, txn->xid, REEF_XID_ABORTED);
			sim_txn_settle(sim, number, txn->is_coupled ? SIM_FATE_COUPLED :
						   SIM_FATE_UNKNOWN);
			return;
	}
	end_xid(sim, txn->xid, REEF_XID_ABORTED);
	sim_txn_settle(sim, number, SIM_FATE_FAILED);
}

static void
choose_identity(SimTask *task, SimTxn *model, ReefCoupling *coupling)
{
	Sim		   *sim = task->sim;

	model->cluster = task->cluster->number;
	model->lineage = task->cluster->lineage;
	model->xid = new_xid(task);
	model->is_coupled = sim->plan == SIM_PLAN_ANY && sim_choose(sim, 4) == 3;
	coupling->system_id = (uint64_t) model->lineage;
	coupling->timeline = 1;
	coupling->wal_position = 1;
	coupling->full_xid = model->xid;
}

void
sim_do_transaction(SimTask *task)
{
	Sim		   *sim = task->sim;
	int			number = task->argument;
	SimTxn	   *model = &sim->txns[number];
	ReefNamespace *ns = task->process->ns[model->ns];
	int64_t		contact_us;
	ReefCoupling coupling;
	ReefFrame  *frame = NULL;
	ReefTxn    *txn = NULL;
	bool		is_known = false;
	ReefError	err;
	ReefCode	rc;

	reef_error_init(&err);
	task->ns = model->ns;
	contact_us = sim_contact(task);
	choose_identity(task, model, &coupling);
	rc = reef_txn_new(ns, &sim_schema, &txn, &err);
	if (rc == REEF_OK)
		rc = choose_key(task, txn, model, &is_known, &err);
	if (rc == REEF_OK && !is_known)
		rc = write_rows(task, txn, number, &err);
	if (rc == REEF_OK && !is_known)
		rc = reef_txn_prepare(txn, model->xid,
							  model->is_coupled ? &coupling : NULL, &frame,
							  &err);
	if (is_known)
		end_xid(sim, model->xid, REEF_XID_COMMITTED);
	else if (rc == REEF_OK)
	{
		commit_in_group(task, model->ns, frame, number);
		end_transaction(task, number, frame);
		reef_frame_free(&task->cluster->host, frame);
	}
	else
	{
		sim_expect_tolerable(task, &err, contact_us);
		end_xid(sim, model->xid, REEF_XID_ABORTED);
	}
	reef_txn_free(txn);
}

/* ---- readers ---- */

static ReefCode
read_twice(SimTask *task, ReefView *view, const SimFate *when, int count,
		   ReefError *err)
{
	const ReefHost *host = &task->cluster->host;
	Sim		   *sim = task->sim;
	SimRows    *rows = malloc(sizeof(*rows));
	uint64_t	hash = 0;
	ReefCode	rc = REEF_OK;

	for (int i = 0; i < 2 && rc == REEF_OK; i++)
	{
		rc = sim_rows_read(view, sim, rows, err);
		if (rc != REEF_OK)
			break;
		sim_rows_judge(sim, task->argument, rows, "a reader");
		sim_fates_judge_own(task->cluster, task->argument, rows, when, count);
		if (i > 0 && hash != rows->hash)
			sim_violation(sim, "I5", "c%d/%d reads other rows in the same view",
						  task->cluster->number, task->number);
		hash = rows->hash;
		sim->counts->reads++;
		if (host->wait(host->arg, NULL, 0, sim_chance(sim, 20) ?
					   SIM_GRACE_US : 10000) != REEF_OK)
			break;
	}
	free(rows);
	return rc;
}

void
sim_do_read(SimTask *task)
{
	SimCluster *cluster = task->cluster;
	Sim		   *sim = task->sim;
	int			place = (int) (task->process - cluster->processes);
	int64_t		staleness_us = sim_choose(sim, 2) == 0 ? 0 : SIM_GRACE_US / 4;
	SimSnapshot snapshot;
	SimFate		when[SIM_TXNS_MAX];
	int			count = sim->txn_count;
	int64_t		contact_us;
	ReefView   *view;
	ReefError	err;
	ReefCode	rc;

	reef_error_init(&err);
	sim_snapshot_take(cluster, &snapshot);
	cluster->snapshots[place] = &snapshot;
	for (int i = 0; i < count; i++)
		when[i] = sim->txns[i].fate;
	rc = reef_view_pin(task->process->ns[task->argument], &snapshot,
					   staleness_us, &view, &err);
	contact_us = sim_contact(task);
	if (rc == REEF_OK)
	{
		if (reef_view_exists(view))
			rc = read_twice(task, view, when, count, &err);
		reef_view_unpin(view);
	}
	if (rc != REEF_OK)
		sim_expect_tolerable(task, &err, contact_us);
	cluster->snapshots[place] = NULL;
}
