/*
 * group.c
 *	  The committing side of a transaction over several namespaces.
 *
 * decide.c has the protocol.  Here are its two ends: what must be so before the
 * first frame is put, and what to do when PostgreSQL aborts the transaction
 * after some frames are durable:
 *
 *	  decider's frame	dependent frames
 *	  nowhere			void: nothing can commit them any more
 *	  unknown			nobody here knows: in doubt
 *	  durable			void once the decider's abort is durable; if it comes
 *						too late (a fence has made the frame final), or cannot be
 *						put now, in doubt
 *
 * A namespace in doubt is read anew by its next user, as in a takeover: that
 * fences the decider and so finds out, for ever, and every participant comes to
 * the same answer [I2].  Until then the aborted xid hides the rows here, but
 * does not void them in the store (abort.c).
 */
#include <stdlib.h>

#include "engine/decide.h"

/* ---- begin ---- */

static int
compare_names(const void *a, const void *b)
{
	const ReefNamespace *const *left = a;
	const ReefNamespace *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

static bool
is_writer(ReefNamespace *ns, ReefTxnGroup *group)
{
	const ReefNamespaceShared *shared = ns->shared;
	bool		answer;

	reef_namespace_lock(ns->host, shared, false);
	answer = shared->mode == REEF_MODE_WRITER && !shared->is_in_doubt;
	memcpy(group->id, shared->namespace_id, REEF_GROUP_NAMESPACE_SIZE);
	group->decider_term = shared->writer_lsn;
	reef_namespace_unlock(ns->host, shared);
	return answer;
}

static ReefCode
become_writer(ReefNamespace *ns, bool is_fenced, ReefTxnGroup *group,
			  ReefError *err)
{
	const ReefHost *host = ns->host;
	int			lock_number = ns->shared->lock_number;
	ReefCode	rc;

	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMMIT,
							 ns->settings->commit_timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not take over the namespace",
							  "namespace \"%s\" is being opened or written by another session",
							  ns->name);
	if (is_fenced || !is_writer(ns, group))
		rc = reef_takeover(ns, err);
	(void) is_writer(ns, group);
	host->right_release(host->arg, lock_number, REEF_RIGHT_COMMIT);
	/* an uncertain fence makes no transaction uncertain */
	if (rc == REEF_UNCERTAIN)
		err->code = rc = REEF_UNAVAILABLE;
	return rc;
}

/*
 * In the order of the names: taking one over may fence others, and these have
 * greater names.  The last one's term is the group's.
 */
static ReefCode
take_all_over(ReefTxnGroup *group, ReefError *err)
{
	bool		is_fenced = false;
	int			i;

	for (i = 0; i < group->count; i++)
	{
		ReefNamespace *ns = group->namespaces[i];

		ns->has_fenced_others = false;
		if (is_fenced || !is_writer(ns, group))
			REEF_TRY(become_writer(ns, is_fenced, group, err));
		is_fenced |= ns->has_fenced_others;
	}
	return REEF_OK;
}

ReefCode
reef_group_begin(ReefTxnGroup *group, ReefNamespace **namespaces, int count,
				 ReefError *err)
{
	const ReefHost *host = namespaces[0]->host;
	int			i;

	qsort(namespaces, (size_t) count, sizeof(*namespaces), compare_names);
	for (i = 1; i < count; i++)
	{
		const char *location = reef_store_location(namespaces[0]->store);

		if (strcmp(reef_store_location(namespaces[i]->store), location) != 0)
			return reef_error_set(err, REEF_UNSUPPORTED,
								  "one transaction cannot write to several store locations",
								  "namespaces \"%s\" and \"%s\"",
								  namespaces[0]->name, namespaces[i]->name);
	}
	memset(group, 0, sizeof(*group));
	group->count = count;
	group->namespaces = namespaces;
	REEF_TRY(take_all_over(group, err));
	host->random(host->arg, group->id + REEF_GROUP_NAMESPACE_SIZE,
				 sizeof(group->id) - REEF_GROUP_NAMESPACE_SIZE);
	return REEF_OK;
}

/* ---- void ---- */

void
reef_group_doubt(const ReefTxnGroup *group, ReefFrame *const *frames)
{
	int			i;

	for (i = 0; i < group->count - 1; i++)
	{
		ReefNamespace *ns = group->namespaces[i];

		if (frames[i] == NULL)
			continue;
		reef_namespace_lock(ns->host, ns->shared, true);
		if (ns->shared->mode != REEF_MODE_CLOSED)
			ns->shared->is_in_doubt = true;
		reef_namespace_unlock(ns->host, ns->shared);
	}
}

/* In memory at once, and if possible in the store. */
static ReefCode
void_frame(ReefNamespace *ns, const ReefFrame *frame, int64_t timeout_us,
		   ReefError *err)
{
	const ReefHost *host = ns->host;
	int			lock_number = ns->shared->lock_number;
	ReefCode	rc;

	reef_commit_void(ns, frame);
	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMMIT,
							 timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not get the turn to void a transaction",
							  "namespace \"%s\"", ns->name);
	rc = reef_commit_pending_aborts(ns, err);
	host->right_release(host->arg, lock_number, REEF_RIGHT_COMMIT);
	return rc;
}

/*
 * Does the log say that the decider's frame is void?  (That its abort was put
 * does not mean that it was in time.)
 */
static ReefCode
check_decider_void(const ReefTxnGroup *group, bool *is_void, ReefError *err)
{
	ReefNamespace *ns = group->namespaces[group->count - 1];
	ReefDeciders deciders;
	bool		is_committed = true;
	ReefCode	rc;

	reef_deciders_init(&deciders, ns, REEF_JUDGE_LOG);
	rc = reef_deciders_ask(&deciders, reef_slice_of_string(ns->name),
						   group->id, &is_committed, err);
	reef_deciders_release(&deciders);
	*is_void = rc == REEF_OK && !is_committed;
	return rc;
}

static ReefCode
void_decider(const ReefTxnGroup *group, ReefFrame *const *frames,
			 int64_t timeout_us, ReefError *err)
{
	int			last = group->count - 1;
	bool		is_void;

	REEF_TRY(void_frame(group->namespaces[last], frames[last], timeout_us,
						err));
	REEF_TRY(check_decider_void(group, &is_void, err));
	if (!is_void)
		return reef_error_set(err, REEF_UNCERTAIN,
							  "another server has made the transaction final",
							  "namespace \"%s\"",
							  group->namespaces[last]->name);
	return REEF_OK;
}

ReefCode
reef_group_void(const ReefTxnGroup *group, ReefFrame *const *frames,
				ReefFrameState decider, int64_t timeout_us, ReefError *err)
{
	ReefCode	rc = REEF_OK;
	int			i;

	if (decider == REEF_FRAME_DURABLE)
		rc = void_decider(group, frames, timeout_us, err);
	if (decider == REEF_FRAME_UNKNOWN || rc != REEF_OK)
	{
		reef_group_doubt(group, frames);
		if (rc == REEF_OK)
			rc = reef_error_set(err, REEF_UNCERTAIN,
								"the outcome of the commit is unknown",
								"transaction over %d namespaces",
								group->count);
		return rc;
	}
	for (i = 0; i < group->count - 1; i++)
	{
		ReefError	later;
		ReefCode	outcome;

		if (frames[i] == NULL)
			continue;
		reef_error_init(&later);
		outcome = void_frame(group->namespaces[i], frames[i], timeout_us,
							 &later);
		/* queued for the next record, and void whatever becomes of us */
		if (outcome != REEF_OK)
			group->namespaces[i]->host->log(group->namespaces[i]->host->arg,
											REEF_LOG_INFO, later.message);
	}
	return REEF_OK;
}
