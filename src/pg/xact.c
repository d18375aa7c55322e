/*
 * xact.c
 *	  Ties a transaction's writes to PostgreSQL's commit and abort.
 *
 * The record is put in PRE_COMMIT, the last point where failing is allowed.
 * Our callback is registered first and so runs last: what can still go wrong
 * behind it is little.  From the put to the end of the transaction interrupts
 * are held, so that nobody cancels a transaction that is durable already.  If
 * it aborts all the same, the ABORT callback puts a record that voids it.
 *
 * Visibility is PostgreSQL's: rows carry the transaction's id, which is taken
 * at the first write, and appear to others when PostgreSQL lets that
 * transaction appear.  COMMIT therefore has nothing to do but remember.
 *
 * A transaction over several namespaces of one store puts a record into each;
 * the engine says in which order, and which of them decides (engine/decide.c).
 *
 * A transaction that wrote WAL as well must not come back by halves after a
 * crash: its WAL is flushed before the put, its commit record is flushed in
 * any case, and the frame says by which transaction it stands or falls.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/message.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "pg/compat.h"
#include "pg/shmem.h"

/* The longest that ROLLBACK waits for the store. */
#define ABORT_TIMEOUT_MS 5000
#define MEMORY_SLICE_MS 100

/* What the session committed last in a namespace. */
typedef struct LastCommit
{
	struct LastCommit *next;
	const char *location;
	const char *name;
	uint64		lsn;
} LastCommit;

typedef struct Participant
{
	ReefNamespace *ns;
	ReefPgEntry *entry;
	ReefTxn    *txn;
	char	   *relation;		/* that wrote first, for messages */
	LastCommit *last_commit;
	ReefFrame  *frame;			/* once it is durable */
	char	   *idempotency_key;	/* "": none; NULL: not yet looked up */
	bool		is_repeated;	/* the key is known: discard what is written */
} Participant;

/* In TopTransactionContext, with all it refers to. */
static List *participants = NIL;
/* Is a frame durable, and are interrupts held because of that? */
static bool is_durable = false;

/* Several namespaces: the frame of the last one, the decider, decides. */
static ReefTxnGroup group;		/* count 0: there is none */
static Participant *decider = NULL;
static ReefFrameState decider_state;

static LastCommit *last_commits = NULL;

static LastCommit *
last_commit_of(const ReefPgEntry *entry, bool make)
{
	LastCommit *last;

	for (last = last_commits; last != NULL; last = last->next)
	{
		if (strcmp(last->name, entry->name) == 0 &&
			strcmp(last->location, entry->location) == 0)
			return last;
	}
	if (!make)
		return NULL;
	last = MemoryContextAllocZero(TopMemoryContext, sizeof(LastCommit));
	last->location = MemoryContextStrdup(TopMemoryContext, entry->location);
	last->name = MemoryContextStrdup(TopMemoryContext, entry->name);
	last->next = last_commits;
	last_commits = last;
	return last;
}

uint64
reefpg_xact_last_lsn(const ReefNamespace *ns)
{
	LastCommit *last = last_commit_of(reefpg_namespace_entry(ns), false);

	return last == NULL ? 0 : last->lsn;
}

/* When the transaction's memory goes, after everything that may look at it. */
static void
forget_participants(void *arg)
{
	ListCell   *cell;

	foreach(cell, participants)
	{
		Participant *participant = lfirst(cell);

		reef_txn_free(participant->txn);
		if (participant->frame != NULL)
			reef_frame_free(reefpg_host(), participant->frame);
	}
	participants = NIL;
	decider = NULL;
	group.count = 0;
}

static Participant *
find_participant(const ReefPgEntry *entry)
{
	ListCell   *cell;

	foreach(cell, participants)
	{
		Participant *participant = lfirst(cell);

		if (participant->entry == entry)
			return participant;
	}
	return NULL;
}

/*
 * Who recovers one of the namespaces looks into the others, with the same keys.
 */
static void
refuse_other_store(const ReefNamespace *ns)
{
	const ReefPgEntry *entry = reefpg_namespace_entry(ns);
	ListCell   *cell;

	foreach(cell, participants)
	{
		Participant *other = lfirst(cell);

		if (other->entry != entry && !reef_txn_is_empty(other->txn) &&
			(strcmp(other->entry->location, entry->location) != 0 ||
			 memcmp(reefpg_namespace_identity(other->ns),
					reefpg_namespace_identity(ns),
					REEFPG_IDENTITY_SIZE) != 0))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("one transaction cannot write to several store locations, or as several users of a store"),
					 errdetail("This transaction has written to \"%s\" and now writes to \"%s\".",
							   other->entry->name, entry->name)));
	}
}

static Participant *
add_participant(ReefNamespace *ns, const ReefPgTable *table)
{
	MemoryContext old_context;
	MemoryContextCallback *callback;
	Participant *participant;
	ReefError	err;

	PreventCommandIfReadOnly("write to a reef table");
	if (IsolationIsSerializable())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("writing to reef tables is not supported in SERIALIZABLE transactions"),
				 errhint("Use REPEATABLE READ.")));
	(void) GetTopFullTransactionId();

	old_context = MemoryContextSwitchTo(TopTransactionContext);
	participant = palloc0(sizeof(Participant));
	participant->ns = ns;
	participant->entry = reefpg_namespace_entry(ns);
	participant->relation = get_rel_name(table->relid);
	participant->last_commit = last_commit_of(participant->entry, true);
	reef_error_init(&err);
	REEFPG_CHECK(reef_txn_new(ns, &table->schema, &participant->txn, &err),
				 &err, participant->relation);
	if (participants == NIL)
	{
		callback = palloc0(sizeof(MemoryContextCallback));
		callback->func = forget_participants;
		MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	}
	participants = lappend(participants, participant);
	MemoryContextSwitchTo(old_context);
	return participant;
}

/* What was written under one key cannot be committed under another. */
static void
look_up_key(Participant *participant)
{
	const char *key = reefpg_idempotency_key;

	if (participant->idempotency_key == NULL)
	{
		if (key[0] != '\0')
			participant->is_repeated =
				reefpg_idempotency_begin(participant->txn, key,
										 participant->relation);
		participant->idempotency_key =
			MemoryContextStrdup(TopTransactionContext, key);
	}
	else if (strcmp(participant->idempotency_key, key) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("reef.idempotency_key was changed after the transaction had written to \"%s\"",
						participant->entry->name)));
}

ReefTxn *
reefpg_xact_txn(ReefNamespace *ns, const ReefPgTable *table, int *column_map)
{
	ReefPgEntry *entry = reefpg_namespace_entry(ns);
	Participant *participant = find_participant(entry);
	ReefError	err;

	refuse_other_store(ns);
	if (participant == NULL)
		participant = add_participant(ns, table);
	look_up_key(participant);
	reef_error_init(&err);
	REEFPG_CHECK(reef_txn_add_schema(participant->txn, &table->schema,
									 column_map, &err),
				 &err, get_rel_name(table->relid));
	return participant->txn;
}

ReefTxn *
reefpg_xact_find_txn(ReefNamespace *ns)
{
	Participant *participant;

	if (participants == NIL)
		return NULL;
	participant = find_participant(reefpg_namespace_entry(ns));
	return participant == NULL ? NULL : participant->txn;
}

bool
reefpg_xact_is_repeated(const ReefNamespace *ns)
{
	const Participant *participant =
		find_participant(reefpg_namespace_entry(ns));

	return participant != NULL && participant->is_repeated;
}

ReefTxnPoint
reefpg_xact_point(CommandId cid)
{
	ReefTxnPoint point;

	point.level = GetCurrentTransactionNestLevel();
	point.cid = cid;
	return point;
}

/*
 * Did the transaction write WAL?  Then make sure that after a crash pg_xact can
 * say what became of it: until a record that carries its id is on disk the id
 * could be given out again.
 */
static bool
couple_with_heap(ReefCoupling *coupling)
{
	if (XactLastRecEnd == 0)
		return false;
	REEFPG_LOG_MESSAGE("reef_fdw", "", 0);
	XLogFlush(XactLastRecEnd);
	ForceSyncCommit();
	coupling->system_id = GetSystemIdentifier();
	coupling->timeline = GetWALInsertionTimeLine();
	coupling->wal_position = XactLastRecEnd;
	coupling->full_xid = U64FromFullTransactionId(GetTopFullTransactionId());
	return true;
}

/*
 * The wait was in vain.  If folding fails it is the store that is to blame, not
 * the size of the memory.
 */
pg_noreturn static void
report_no_memory(ReefPgEntry *entry)
{
	char		problem[REEFPG_ERROR_SIZE];

	SpinLockAcquire(&entry->mutex);
	strlcpy(problem, entry->maintenance.jobs[REEFPG_JOB_FOLD].last_error,
			sizeof(problem));
	SpinLockRelease(&entry->mutex);
	if (problem[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the memory for unfolded rows is used up, and folding fails"),
				 errdetail("%s", problem),
				 errhint("See reef_stat_maintenance.")));
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("the memory for unfolded rows is used up"),
			 errdetail("%zu of %zu bytes are free.",
					   reefpg_pool_free_bytes(), reefpg_pool_bytes()),
			 errhint("Look for errors in reef_stat_maintenance and for old transactions, or increase reef.memtable_size.")));
}

/*
 * Writers that are faster than folds wait for them here, before their record is
 * put: let a worker fold, and look again soon.
 */
static void
wait_for_memory(ReefPgEntry *entry, int64 deadline_us)
{
	ReefPgTraffic *traffic = &entry->traffic;
	int64		start_us = reefpg_host_now_us();

	if (start_us >= deadline_us)
		report_no_memory(entry);
	pg_atomic_fetch_add_u32(&traffic->writers_waiting, 1);
	reefpg_workers_wake();
	/* unprepared, the first sleep would return at once */
	ConditionVariablePrepareToSleep(&reefpg_shared->pool_freed);
	HOLD_INTERRUPTS();
	ConditionVariableTimedSleep(&reefpg_shared->pool_freed, MEMORY_SLICE_MS,
								reefpg_wait_event(REEFPG_WAIT_MEMORY));
	RESUME_INTERRUPTS();
	ConditionVariableCancelSleep();
	pg_atomic_fetch_sub_u32(&traffic->writers_waiting, 1);
	pg_atomic_fetch_add_u64(&traffic->waited_us,
							(uint64) (reefpg_host_now_us() - start_us));
	CHECK_FOR_INTERRUPTS();
}

static void
report_not_durable(Participant *participant, ReefFrameState outcome,
				   ReefError *err)
{
	if (outcome == REEF_FRAME_UNKNOWN)
		err->code = REEF_UNCERTAIN;
	else if (err->code == REEF_CANCELLED)
	{
		CHECK_FOR_INTERRUPTS();
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not commit within reef.commit_timeout"),
				 err->detail[0] ? errdetail("%s", err->detail) : 0));
	}
	reefpg_report(err, participant->relation);
}

/*
 * Nobody serves a cancel while interrupts are held because an earlier frame is
 * durable; so we look ourselves.
 */
static bool
is_cancelled_while_held(void)
{
	return is_durable && reefpg_host()->cancelled(reefpg_host()->arg);
}

/* One attempt; if it is durable, the frame is kept and interrupts are held. */
static ReefFrameState
try_participant(Participant *participant, const ReefCoupling *coupling,
				int64 deadline_us, ReefError *err)
{
	uint64		full_xid = U64FromFullTransactionId(GetTopFullTransactionId());
	bool		is_decider = participant == decider;
	ReefFrameState outcome;
	ReefFrame  *frame;

	if (reef_txn_prepare(participant->txn, full_xid, coupling, &frame,
						 err) != REEF_OK)
		return REEF_FRAME_REJECTED;
	if (!is_durable)
		reefpg_host_hold(deadline_us);
	if (is_decider)
		decider_state = REEF_FRAME_UNKNOWN;
	outcome = reefpg_commit_queue_commit(participant->ns, frame, err);
	if (is_decider)
		decider_state = outcome;
	if (outcome == REEF_FRAME_DURABLE)
	{
		participant->frame = frame;
		is_durable = true;
		pg_atomic_fetch_add_u64(&participant->entry->traffic.user_bytes,
								reef_txn_written_bytes(participant->txn));
	}
	else if (!is_durable)
		reefpg_host_resume();
	return outcome;
}

/* On return the frame is durable, and interrupts are held. */
static void
commit_participant(Participant *participant, const ReefCoupling *coupling,
				   int64 deadline_us)
{
	/* What it pins may be the memory that it is going to wait for. */
	reef_txn_unpin(participant->txn);
	for (;;)
	{
		ReefFrameState outcome;
		ReefError	err;

		/* Folding takes some memory too. */
		if (reefpg_pool_free_bytes() < reefpg_pool_bytes() / 32 &&
			!is_cancelled_while_held())
		{
			wait_for_memory(participant->entry, deadline_us);
			continue;
		}

		reef_error_init(&err);
		outcome = try_participant(participant, coupling, deadline_us, &err);
		if (outcome == REEF_FRAME_DURABLE)
			return;

		/* If it is not us who were cancelled it was our leader, too early. */
		if (outcome == REEF_FRAME_REJECTED && err.code == REEF_CANCELLED &&
			reefpg_host_now_us() < deadline_us && !is_cancelled_while_held())
			CHECK_FOR_INTERRUPTS();
		/* Is it us who are too large, or have others left too little? */
		else if (outcome == REEF_FRAME_REJECTED && err.code == REEF_LIMIT &&
				 reefpg_pool_free_bytes() < reefpg_pool_bytes() / 8 * 7 &&
				 !is_cancelled_while_held())
			wait_for_memory(participant->entry, deadline_us);
		else
		{
			/* what is durable of it is seen to when it has aborted */
			if (is_durable)
				reefpg_host_resume();
			report_not_durable(participant, outcome, &err);
		}
	}
}

/* ---- several namespaces ---- */

static Participant *
participant_of(const ReefNamespace *ns)
{
	return find_participant(reefpg_namespace_entry(ns));
}

/* The engine puts them in order, the one that decides last. */
static void
begin_group(List *writers, int64 deadline_us)
{
	int			count = list_length(writers);
	ReefNamespace **namespaces;
	ListCell   *cell;
	ReefError	err;
	ReefCode	rc;
	int			i = 0;

	namespaces = MemoryContextAlloc(TopTransactionContext,
									sizeof(ReefNamespace *) * count);
	foreach(cell, writers)
		namespaces[i++] = ((Participant *) lfirst(cell))->ns;
	reef_error_init(&err);
	reefpg_host_hold(deadline_us);
	rc = reef_group_begin(&group, namespaces, count, &err);
	reefpg_host_resume();
	if (rc != REEF_OK)
	{
		group.count = 0;
		REEFPG_CHECK(rc, &err, NULL);
	}
	decider = participant_of(group.namespaces[count - 1]);
	decider_state = REEF_FRAME_REJECTED;
	for (i = 0; i < count; i++)
		reef_txn_join_group(participant_of(group.namespaces[i])->txn, &group);
}

static void
commit_writers(List *writers)
{
	int64		deadline_us = reefpg_host_now_us() +
		(int64) reefpg_commit_timeout_ms * 1000;
	ReefCoupling coupling;
	bool		is_coupled = couple_with_heap(&coupling);
	int			i;

	if (list_length(writers) == 1)
	{
		commit_participant(linitial(writers), is_coupled ? &coupling : NULL,
						   deadline_us);
		return;
	}
	begin_group(writers, deadline_us);
	for (i = 0; i < group.count; i++)
		commit_participant(participant_of(group.namespaces[i]),
						   is_coupled ? &coupling : NULL, deadline_us);
}

static bool
has_key(const Participant *participant)
{
	return participant->idempotency_key != NULL &&
		participant->idempotency_key[0] != '\0' &&
		(participant->is_repeated || !reef_txn_is_empty(participant->txn));
}

static void
pre_commit(void)
{
	List	   *writers = NIL;
	ListCell   *cell;

	foreach(cell, participants)
	{
		Participant *participant = lfirst(cell);

		if (has_key(participant))
			reefpg_idempotency_check_commit();
		if (reef_txn_is_empty(participant->txn))
			continue;
		/* A table whose first write came to nothing may have gone on later. */
		refuse_other_store(participant->ns);
		writers = lappend(writers, participant);
	}
	if (writers != NIL)
		commit_writers(writers);
}

static void
refuse_prepare(void)
{
	ListCell   *cell;

	foreach(cell, participants)
	{
		Participant *participant = lfirst(cell);

		if (!reef_txn_is_empty(participant->txn))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that has written to reef tables")));
	}
}

/* Memory only: the transaction is committed, nothing may fail. */
static void
remember_commit(void)
{
	ListCell   *cell;

	foreach(cell, participants)
	{
		Participant *participant = lfirst(cell);

		if (participant->frame != NULL)
			participant->last_commit->lsn = reef_frame_lsn(participant->frame);
	}
	if (is_durable)
	{
		is_durable = false;
		reefpg_host_resume();
	}
}

/*
 * The frame is durable, and PostgreSQL aborts the transaction: void it.  In
 * memory that is done at once.  The record that says so comes from us, or if
 * we fail begins the namespace's next record, whoever writes that.
 */
static void
void_participant(Participant *participant)
{
	const ReefHost *host = reefpg_host();
	int			lock_number;
	ReefError	err;
	ReefCode	rc;

	reef_error_init(&err);
	reef_commit_void(participant->ns, participant->frame);
	lock_number = (int) (participant->entry - reefpg_shared->entries);
	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMMIT,
							 (int64) ABORT_TIMEOUT_MS * 1000);
	if (rc == REEF_OK)
	{
		rc = reef_commit_pending_aborts(participant->ns, &err);
		host->right_release(host->arg, lock_number, REEF_RIGHT_COMMIT);
	}
	if (rc != REEF_OK)
		ereport(WARNING,
				(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
				 errmsg("the store still has a transaction that was rolled back"),
				 errdetail("Record " UINT64_FORMAT " of namespace \"%s\": %s",
						   reef_frame_lsn(participant->frame),
						   participant->entry->name, err.message),
				 errhint("This server does not show its rows, and voids it with the next record. Should the server be lost before that, they are committed.")));
}

/* The durable frames in the order of the group. */
static ReefFrame **
group_frames(void)
{
	ReefFrame **frames = MemoryContextAlloc(TopTransactionContext,
											sizeof(ReefFrame *) * group.count);
	int			i;

	for (i = 0; i < group.count; i++)
		frames[i] = participant_of(group.namespaces[i])->frame;
	return frames;
}

/*
 * Void in all namespaces, or committed in all.  If the decider's frame is in an
 * unknown state the client has been told.
 */
static void
void_group(ReefFrame **frames)
{
	ReefError	err;
	ReefCode	rc;

	reef_error_init(&err);
	rc = reef_group_void(&group, frames, decider_state,
						 (int64_t) ABORT_TIMEOUT_MS * 1000, &err);
	if (rc != REEF_OK && decider_state != REEF_FRAME_UNKNOWN)
		ereport(WARNING,
				(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
				 errmsg("it is not known whether the store still has a transaction that was rolled back"),
				 errdetail("%d namespaces: %s", group.count, err.message),
				 errhint("It is there in all of them or in none, and whoever uses them next finds out.")));
}

static void
void_each(void)
{
	ListCell   *cell;

	foreach(cell, participants)
	{
		Participant *participant = lfirst(cell);

		if (participant->frame != NULL)
			void_participant(participant);
	}
}

/* An error out of an ABORT callback would take the whole server down. */
static void
void_participants(void)
{
	volatile uint32 holdoff_count = InterruptHoldoffCount;
	int64		deadline_us = reefpg_host_now_us() + 1000 *
		(int64) Min(reefpg_commit_timeout_ms, ABORT_TIMEOUT_MS);
	ReefFrame **volatile frames = NULL;

	PG_TRY();
	{
		if (group.count > 0)
			frames = group_frames();
		reefpg_host_hold(deadline_us);
		if (frames != NULL)
			void_group(frames);
		else
			void_each();
		reefpg_host_resume();
	}
	PG_CATCH();
	{
		/* errfinish has let interrupts go */
		FlushErrorState();
		reefpg_host_forget_hold();
		reefpg_host_release_rights();
		InterruptHoldoffCount = holdoff_count;
		if (frames != NULL)
			reef_group_doubt(&group, frames);
		ereport(WARNING,
				(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
				 errmsg("could not void a transaction in the store")));
	}
	PG_END_TRY();
}

static void
abort_transaction(void)
{
	reefpg_progress_end();
	reefpg_commit_queue_at_end();
	reefpg_host_release_rights();
	reefpg_host_forget_hold();
	if (is_durable)
	{
		is_durable = false;
		void_participants();
	}
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		reefpg_idempotency_at_end();
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (participants != NIL)
				pre_commit();
			break;
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			break;
		case XACT_EVENT_COMMIT:
			if (participants != NIL)
				remember_commit();
			break;
		case XACT_EVENT_ABORT:
			abort_transaction();
			break;
		case XACT_EVENT_PARALLEL_ABORT:
			reefpg_host_release_rights();
			break;
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PREPARE:
			break;
	}
}

/* Writes are known by nesting level: a savepoint's number is new each time. */
static void
end_of_subtransaction(SubXactEvent event, SubTransactionId id,
					  SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	ListCell   *cell;

	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		reefpg_progress_end();
		reefpg_host_release_rights();
	}
	foreach(cell, participants)
	{
		Participant *participant = lfirst(cell);

		if (event == SUBXACT_EVENT_ABORT_SUB)
			reef_txn_abort_level(participant->txn, level);
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
			reef_txn_release_level(participant->txn, level);
	}
}

void
reefpg_xact_init(void)
{
	RegisterXactCallback(end_of_transaction, NULL);
	RegisterSubXactCallback(end_of_subtransaction, NULL);
}
