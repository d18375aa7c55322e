/*
 * takeover.c
 *	  Becoming the writer of a namespace.
 *
 * A fence is a record without transactions, put at the first free LSN and never
 * deleted.  A stale writer's next put goes exactly to the first LSN that it
 * does not know, which is at or below our fence and taken for ever: it cannot
 * be acknowledged, however late it comes [I4].  No clock and no lease.
 *
 *	  replay the tail -> abort record, if aborts wait -> fence -> list manifests
 *		  ^											                   |
 *		  +------------------- a newer one appeared -------------------+
 *
 * The list comes last because what looked like the first free LSN may have been
 * a record that was folded and collected while we looked; then the fence
 * means nothing and everything starts again, fence included [I1].
 *
 * Aborts go before the fence: a fence of another incarnation makes what is
 * below it final, and ours is one for the frames of our predecessor.  Among them
 * are transactions that another namespace has not committed, and by now never
 * will (decide.c).
 */
#include "engine/state.h"

#define TAKEOVER_ATTEMPTS_MAX 1000

static ReefCode
bring_up_to_date(ReefNamespace *ns, ReefError *err)
{
	bool		must_reopen = false;

	/* others are asked anew, with a fence that makes their answers final */
	if (ns->shared->is_in_doubt || ns->shared->is_unconfirmed)
		reef_namespace_close_shared(ns->host, ns->shared);
	if (ns->shared->mode != REEF_MODE_CLOSED)
		REEF_TRY(reef_replay_following(ns, true, &must_reopen, err));
	if (must_reopen || !ns->shared->exists)
		reef_namespace_close_shared(ns->host, ns->shared);
	if (ns->shared->mode == REEF_MODE_CLOSED)
		return reef_recover_for_takeover(ns, err);
	return REEF_OK;
}

void
reef_wal_header_init(ReefNamespace *ns, ReefWalHeader *header)
{
	const ReefHost *host = ns->host;
	const ReefNamespaceShared *shared = ns->shared;

	memset(header, 0, sizeof(*header));
	memcpy(header->namespace_id, shared->namespace_id, 16);
	header->lsn = shared->last_lsn + 1;
	header->epoch = shared->epoch;
	memcpy(header->cluster_id, ns->settings->cluster_id, 16);
	host->random(host->arg, header->nonce, sizeof(header->nonce));
	header->time_ms = host->now_us(host->arg) / 1000;
	header->previous_crc = shared->last_crc;
}

/* Put one record of ours in front of the fence. */
static ReefPutOutcome
put_aborts(ReefNamespace *ns, ReefError *err)
{
	ReefWalHeader header;
	ReefRecord	record = {0};
	ReefBuf		frame;
	ReefBuf		bytes;
	ReefSlice	slice;
	ReefPutOutcome outcome = REEF_PUT_NOWHERE;
	bool		is_void = false;
	int			count = 0;

	reef_buf_init(&frame);
	reef_buf_init(&bytes);
	reef_wal_header_init(ns, &header);
	header.epoch++;
	header.frame_count = 1;
	if (reef_pending_aborts_encode(ns->host, ns->shared, &frame, &count,
								   err) == REEF_OK)
	{
		slice = reef_buf_slice(&frame);
		if (reef_wal_encode(&header, &slice, &bytes, err) == REEF_OK)
			outcome = reef_record_put(ns, &header, reef_buf_slice(&bytes), err);
	}
	if (outcome == REEF_PUT_DURABLE)
	{
		record.header = header;
		record.frames = &slice;
		record.is_void = &is_void;
		if (reef_record_apply(ns, &record, err) == REEF_OK)
			reef_pending_aborts_drop(ns->host, ns->shared, count);
		else
		{
			/* it is in the store, so memory has to come from there again */
			reef_namespace_close_shared(ns->host, ns->shared);
			outcome = REEF_PUT_NOWHERE;
		}
	}
	reef_buf_release(&frame);
	reef_buf_release(&bytes);
	return outcome;
}

static ReefPutOutcome
put_fence(ReefNamespace *ns, ReefWalHeader *header, ReefError *err)
{
	ReefBuf		bytes;
	ReefPutOutcome outcome = REEF_PUT_NOWHERE;

	reef_buf_init(&bytes);
	reef_wal_header_init(ns, header);
	header->epoch++;
	if (!ns->shared->exists)
		ns->host->random(ns->host->arg, header->namespace_id,
						 sizeof(header->namespace_id));
	if (reef_wal_encode(header, NULL, &bytes, err) == REEF_OK)
		outcome = reef_record_put(ns, header, reef_buf_slice(&bytes), err);
	reef_buf_release(&bytes);
	return outcome;
}

/* The fence stands; is it where we think it is? */
static ReefCode
check_no_newer_manifest(ReefNamespace *ns, bool *is_newer, ReefError *err)
{
	ReefArena	arena;
	uint64_t   *versions;
	uint64_t	known_version;
	int			count;
	ReefCode	rc;

	reef_namespace_lock(ns->host, ns->shared, false);
	known_version = ns->shared->manifest_version_max;
	reef_namespace_unlock(ns->host, ns->shared);
	reef_arena_init(&arena, 0);
	rc = reef_manifest_list(ns, known_version, &arena, &versions, &count, err);
	reef_arena_release(&arena);
	*is_newer = count > 0;
	return rc;
}

static void
become_writer(ReefNamespace *ns, const ReefWalHeader *header)
{
	ReefNamespaceShared *shared = ns->shared;

	reef_namespace_advance(ns, header);
	reef_namespace_lock(ns->host, shared, true);
	shared->mode = REEF_MODE_WRITER;
	shared->writer_lsn = header->lsn;
	shared->is_suspect = false;
	reef_namespace_unlock(ns->host, shared);
	atomic_fetch_add(&shared->fences, 1);
}

/* One round; *is_done false with REEF_OK: start again. */
static ReefCode
attempt(ReefNamespace *ns, bool *is_done, ReefError *err)
{
	ReefWalHeader header;
	ReefPutOutcome outcome = REEF_PUT_DURABLE;
	bool		is_newer;

	*is_done = false;
	REEF_TRY(bring_up_to_date(ns, err));
	if (!ns->shared->exists)
		REEF_TRY(reef_store_probe(ns->store, ns->prefix, err));
	if (reef_namespace_has_pending_aborts(ns->shared))
		outcome = put_aborts(ns, err);
	if (outcome == REEF_PUT_DURABLE)
		outcome = put_fence(ns, &header, err);

	switch (outcome)
	{
		case REEF_PUT_DURABLE:
			break;
		case REEF_PUT_LOST:
			return REEF_OK;		/* replay what is there and go on above it */
		case REEF_PUT_NOWHERE:
			return err->code;
		case REEF_PUT_UNKNOWN:
			if (ns->host->cancelled(ns->host->arg))
				return err->code;
			reef_namespace_close_shared(ns->host, ns->shared);
			return REEF_OK;
	}

	REEF_TRY(check_no_newer_manifest(ns, &is_newer, err));
	if (is_newer)
	{
		reef_namespace_close_shared(ns->host, ns->shared);
		return REEF_OK;
	}
	become_writer(ns, &header);
	*is_done = true;
	return REEF_OK;
}

ReefCode
reef_fence_renew(ReefNamespace *ns, ReefError *err)
{
	ReefWalHeader header;
	ReefPutOutcome outcome = put_fence(ns, &header, err);

	if (outcome != REEF_PUT_DURABLE)
	{
		reef_namespace_step_down(ns, outcome == REEF_PUT_LOST);
		return err->code;
	}
	reef_namespace_advance(ns, &header);
	return REEF_OK;
}

ReefCode
reef_takeover(ReefNamespace *ns, ReefError *err)
{
	const ReefHost *host = ns->host;
	int64_t		start_us = host->now_us(host->arg);
	int64_t		hold_off_us = ns->shared->hold_off_until_us - start_us;
	bool		is_done = false;
	int			i;

	if (reef_store_is_read_only(ns->store))
		return reef_error_set(err, REEF_READ_ONLY,
							  "the store is attached read-only",
							  "namespace \"%s\"", ns->name);
	if (host->may_write != NULL && !host->may_write(host->arg))
		return reef_error_set(err, REEF_READ_ONLY,
							  "this server is a standby",
							  "namespace \"%s\"", ns->name);
	/* (a clock that was set back makes nobody wait longer than the hold-off) */
	if (hold_off_us > 0 && hold_off_us <= REEF_TAKEOVER_HOLD_OFF_MAX_US &&
		host->wait(host->arg, NULL, 0, hold_off_us) != REEF_OK)
		return reef_error_set(err, REEF_CANCELLED,
							  "taking over the namespace was cancelled",
							  "namespace \"%s\"", ns->name);

	for (i = 0; i < TAKEOVER_ATTEMPTS_MAX; i++)
	{
		REEF_TRY(attempt(ns, &is_done, err));
		if (is_done)
			return REEF_OK;
		if (host->now_us(host->arg) - start_us >
			ns->settings->commit_timeout_us)
			break;
	}
	return reef_error_set(err, REEF_UNAVAILABLE,
						  "could not take over the namespace",
						  "another server keeps writing to namespace \"%s\"",
						  ns->name);
}
