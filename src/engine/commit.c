/*
 * commit.c
 *	  From waiting transactions to a durable record.
 *
 *	  take over, if we are not the writer		nothing has happened yet
 *	  validate, reject						   |
 *	  prepare the memtable's versions		   |
 *	  put the record							the only step that matters
 *	  publish the versions						cannot fail
 *
 * Whatever can fail comes before the put [I1].  After any outcome but
 * "durable" this cluster is not the writer any more: memory stays as it is,
 * which is a correct prefix of the log, but the next record needs a new
 * fence, which also settles what is in the slot.  Should the fence find that
 * another server wrote meanwhile, memory is dropped and read again.
 */
#include "engine/state.h"

/* One record in the making. */
typedef struct Commit
{
	ReefNamespace *ns;
	ReefArena	arena;
	ReefWalHeader header;
	ReefFrame **frames;			/* [frame_count] those that are to be durable */
	int			frame_count;
	int			abort_count;	/* aborts in the frame before them */
	ReefBuf		abort_frame;
	ReefSlice  *slices;			/* [header.frame_count] */
	ReefApplication **applications;
	ReefBuf		bytes;
} Commit;

/* ---- prepare ---- */

/* The documents that the transaction resolved its patches to, in order. */
static ReefCode
resolve_from_frame(void *arg, const ReefOp *op, const ReefSchema *schema,
				   int op_index, ReefSlice *document,
				   ReefSchema *document_schema, ReefError *err)
{
	ReefReader *resolved = arg;
	uint32_t	size = reef_read_u32(resolved);

	(void) op;
	*document = reef_read_bytes(resolved, size);
	*document_schema = *schema;
	if (resolved->failed)
		return reef_error_set(err, REEF_BUG,
							  "a prepared transaction lacks a row", "operation %d",
							  op_index);
	return REEF_OK;
}

static ReefCode
prepare_application(Commit *commit, int index, const ReefFrame *frame,
					ReefError *err)
{
	ReefReader	resolved;
	uint64_t	full_xid = 0;

	reef_reader_init(&resolved, reef_slice(NULL, 0));
	if (frame != NULL)
	{
		reef_reader_init(&resolved,
						 reef_slice(frame->bytes + frame->wal_size,
									frame->resolved_size));
		full_xid = frame->full_xid;
	}
	return reef_application_prepare(commit->ns, &commit->arena,
									commit->slices[index], commit->header.lsn,
									(uint32_t) index, full_xid,
									commit->header.time_ms, resolve_from_frame,
									&resolved, &commit->applications[index],
									err);
}

/* Memory that is kept only for old snapshots is given up before a commit is
 * refused. */
static ReefCode
prepare_with_retry(Commit *commit, int index, const ReefFrame *frame,
				   ReefError *err)
{
	ReefCode	rc = prepare_application(commit, index, frame, err);

	if (rc != REEF_LIMIT)
		return rc;
	reef_namespace_trim_retained(commit->ns->host, commit->ns->shared, true);
	return prepare_application(commit, index, frame, err);
}

static ReefCode
prepare(Commit *commit, ReefError *err)
{
	size_t		count = (size_t) commit->frame_count + 1;
	int			used = 0;
	int			i;

	commit->slices = reef_arena_alloc(&commit->arena,
									  count * sizeof(*commit->slices));
	commit->applications = reef_arena_alloc(&commit->arena, count *
											sizeof(*commit->applications));
	if (commit->slices == NULL || commit->applications == NULL)
		return reef_error_no_memory(err, count);

	reef_wal_header_init(commit->ns, &commit->header);
	REEF_TRY(reef_pending_aborts_encode(commit->ns->host, commit->ns->shared,
										&commit->abort_frame,
										&commit->abort_count, err));
	if (commit->abort_count > 0)
	{
		commit->slices[0] = reef_buf_slice(&commit->abort_frame);
		REEF_TRY(prepare_with_retry(commit, used++, NULL, err));
	}
	for (i = 0; i < commit->frame_count; i++)
	{
		const ReefFrame *frame = commit->frames[i];

		commit->slices[used] = reef_slice(frame->bytes, frame->wal_size);
		REEF_TRY(prepare_with_retry(commit, used++, frame, err));
	}
	commit->header.frame_count = (uint32_t) used;
	return reef_wal_encode(&commit->header, commit->slices, &commit->bytes,
						   err);
}

/* ---- outcome ---- */

static void
publish(Commit *commit)
{
	ReefNamespaceShared *shared = commit->ns->shared;
	int			first = commit->abort_count > 0 ? 1 : 0;
	uint32_t	i;

	for (i = 0; i < commit->header.frame_count; i++)
	{
		uint64_t	user_bytes;
		uint64_t	attached_bytes;

		reef_application_sizes(commit->applications[i], &user_bytes,
							   &attached_bytes);
		reef_application_publish(commit->ns, commit->applications[i]);
		atomic_fetch_add(&shared->user_bytes, user_bytes);
		atomic_fetch_add(&shared->fold_bytes, attached_bytes);
	}
	atomic_fetch_add(&shared->wal_bytes, commit->bytes.size);
	reef_namespace_advance(commit->ns, &commit->header);
	reef_pending_aborts_drop(commit->ns->host, shared, commit->abort_count);
	atomic_fetch_add(&shared->records, 1);
	atomic_fetch_add(&shared->commits, (uint64_t) commit->frame_count);
	for (i = 0; i < (uint32_t) commit->frame_count; i++)
	{
		commit->frames[i]->lsn = commit->header.lsn;
		commit->frames[i]->frame_index = (uint32_t) first + i;
		reef_frame_finish(commit->frames[i], REEF_FRAME_DURABLE, NULL);
	}
}

static void
finish_all(ReefFrame **frames, int count, ReefFrameState state,
		   const ReefError *err)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		if (reef_frame_state(frames[i]) == REEF_FRAME_WAITING)
			reef_frame_finish(frames[i], state, err);
	}
}

void
reef_namespace_step_down(ReefNamespace *ns, bool is_fenced)
{
	ReefNamespaceShared *shared = ns->shared;
	const ReefHost *host = ns->host;
	uint16_t	jitter;

	host->random(host->arg, &jitter, sizeof(jitter));
	reef_namespace_lock(host, shared, true);
	shared->mode = REEF_MODE_READER;
	shared->is_suspect = true;
	shared->refreshed_us = 0;
	if (is_fenced)
		shared->hold_off_until_us = host->now_us(host->arg) +
			REEF_TAKEOVER_HOLD_OFF_MAX_US / 2 +
			jitter * (REEF_TAKEOVER_HOLD_OFF_MAX_US / 2) / UINT16_MAX;
	reef_namespace_unlock(host, shared);
}

static ReefCode
put(Commit *commit, ReefError *err)
{
	ReefPutOutcome outcome;
	ReefFrameState state = REEF_FRAME_REJECTED;

	outcome = reef_record_put(commit->ns, &commit->header,
							  reef_buf_slice(&commit->bytes), err);
	switch (outcome)
	{
		case REEF_PUT_DURABLE:
			publish(commit);
			return REEF_OK;
		case REEF_PUT_UNKNOWN:
			state = REEF_FRAME_UNKNOWN;
			break;
		case REEF_PUT_NOWHERE:
		case REEF_PUT_LOST:
			break;
	}
	reef_namespace_step_down(commit->ns, outcome == REEF_PUT_LOST);
	finish_all(commit->frames, commit->frame_count, state, err);
	return err->code;
}

static ReefCode
commit_record(ReefNamespace *ns, ReefFrame **frames, int count, ReefError *err)
{
	Commit		commit = {.ns = ns, .frames = frames, .frame_count = count};
	ReefCode	rc;

	reef_arena_init(&commit.arena, 0);
	reef_buf_init(&commit.abort_frame);
	reef_buf_init(&commit.bytes);
	rc = prepare(&commit, err);
	if (rc == REEF_OK)
		rc = put(&commit, err);
	reef_buf_release(&commit.bytes);
	reef_buf_release(&commit.abort_frame);
	reef_arena_release(&commit.arena);
	return rc;
}

/* ---- entry ---- */

/* An uncertain fence is no reason to doubt transactions that it was put for. */
static ReefCode
become_writer(ReefNamespace *ns, ReefError *err)
{
	ReefCode	rc = REEF_OK;

	if (ns->shared->mode != REEF_MODE_WRITER || ns->shared->is_in_doubt)
		rc = reef_takeover(ns, err);
	if (rc == REEF_UNCERTAIN)
	{
		err->code = REEF_UNAVAILABLE;
		rc = err->code;
	}
	return rc;
}

/* A full queue of aborts goes before everything else. */
static ReefCode
drain_aborts(ReefNamespace *ns, ReefError *err)
{
	while (ns->shared->has_unqueued_aborts)
	{
		reef_pending_aborts_collect(ns->host, ns->shared,
									ns->shared->last_lsn);
		/* still more than fit: the queue is full */
		if (ns->shared->has_unqueued_aborts)
			REEF_TRY(commit_record(ns, NULL, 0, err));
	}
	return REEF_OK;
}

/* One record's worth of frames. */
static ReefCode
commit_batch(ReefNamespace *ns, ReefFrame **frames, int count, ReefError *err)
{
	ReefArena	arena;
	ReefFrame **accepted;
	int			accepted_count = 0;
	ReefCode	rc;
	int			i;

	reef_arena_init(&arena, 0);
	accepted = reef_arena_alloc(&arena, sizeof(*accepted) * (size_t) count);
	if (accepted == NULL)
		rc = reef_error_no_memory(err, sizeof(*accepted) * (size_t) count);
	else
		rc = reef_frames_validate(ns, frames, count, &arena, err);
	for (i = 0; i < count && rc == REEF_OK; i++)
	{
		if (reef_frame_state(frames[i]) == REEF_FRAME_WAITING)
			accepted[accepted_count++] = frames[i];
	}
	if (rc == REEF_OK && accepted_count > 0)
		rc = commit_record(ns, accepted, accepted_count, err);
	reef_arena_release(&arena);
	return rc;
}

ReefCode
reef_commit(ReefNamespace *ns, ReefFrame **frames, int count, ReefError *err)
{
	const int	batch_max = REEF_WAL_MAX_FRAMES - 1;	/* and the aborts */
	ReefCode	rc = become_writer(ns, err);
	int			done;

	if (rc == REEF_OK)
		rc = drain_aborts(ns, err);
	for (done = 0; done < count && rc == REEF_OK; done += batch_max)
	{
		int			left = count - done;

		rc = commit_batch(ns, frames + done,
						  left < batch_max ? left : batch_max, err);
	}
	if (rc != REEF_OK)
	{
		ReefError	reason = *err;

		/* those that are still waiting were not in the uncertain record */
		if (reason.code == REEF_UNCERTAIN)
			reason.code = REEF_UNAVAILABLE;
		finish_all(frames, count, REEF_FRAME_REJECTED, &reason);
	}
	return rc;
}

ReefCode
reef_commit_pending_aborts(ReefNamespace *ns, ReefError *err)
{
	REEF_TRY(become_writer(ns, err));
	REEF_TRY(drain_aborts(ns, err));
	if (!reef_namespace_has_pending_aborts(ns->shared))
		return REEF_OK;			/* the takeover has put them */
	return commit_record(ns, NULL, 0, err);
}
