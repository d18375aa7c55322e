/*
 * decide.c
 *	  Transactions over several namespaces: who decides, and how to ask.
 *
 * Records of different namespaces are different objects, and no store puts two
 * objects at once.  So one of the namespaces decides: that with the greatest
 * name, byte by byte.  Every frame of the transaction names the others and
 * carries its id.  The committing process makes the frames durable one
 * namespace after the other, the decider's LAST, when all others are durable:
 *
 *	  the transaction is committed if and only if the decider's frame exists and
 *	  is not void [I2]
 *
 * So the decider's frame asks nobody, and every other one, a DEPENDENT frame,
 * has one namespace to ask.
 *
 * READING.  A cluster that meets a dependent frame looks into the decider: its
 * manifest names those that it has folded, its tail has the rest.  If the
 * frame is not there, it may still come: the reader stops before that record.
 *
 * TAKING OVER.  Who becomes the writer of a namespace has to know.  It puts a
 * fence into the decider, and if the frame is not below it, it never will be;
 * then the dependent frame is void for ever, and an abort goes before our own
 * fence.  If it is there, it is final, because the fence is no cluster's own:
 * even the cluster that wrote the frame can no longer void it.  (What pg_xact
 * of our lineage says is aborted gets its abort before that fence, as in any
 * takeover.)  For "never" the decider's frame must not be put above a fence
 * that came after the first dependent frame: it is valid only as long as nobody has
 * taken the decider over since before that one was put (group.c, validate.c).  Frames
 * of our own earlier life are treated in the same way.
 *
 * VOIDING after the record, because PostgreSQL aborts the transaction: see
 * group.c.  A dependent frame is voided only when the decider's certainly is
 * not, or no longer, there.
 *
 * FORGETTING: see transactions.c.
 *
 * A DROPPED DECIDER.  The decider exists before the first dependent frame is
 * put, and the transaction's id begins with its namespace id.  If there is no
 * such namespace, or another one of that name, it was dropped later, and the
 * transaction counts as committed: it would be wrong to take rows from other
 * tables because a table was dropped.
 */
#include "engine/decide.h"

#define FENCE_ATTEMPTS_MAX 100

/* What one namespace has decided. */
struct ReefInquiry
{
	ReefSlice	name;
	bool		exists;
	uint8_t		namespace_id[16];
	const uint8_t **ids;		/* committed here, [id_count] */
	int			id_count;
	ReefInquiry *next;
};

/* A handle for a namespace that this process does not have open, with a state
 * that no other process sees. */
typedef struct Stranger
{
	ReefNamespace ns;
	ReefNamespaceShared shared;
	ReefSharedManifest base;	/* no bytes: what putting a record looks at */
	ReefTail	tail;
} Stranger;

/* ---- names ---- */

ReefSlice
reef_frame_decider(const char *name, const ReefFrameHeader *header)
{
	ReefSlice	own = reef_slice_of_string(name);
	ReefSlice	greatest = own;
	int			i;

	for (i = 0; i < header->participant_count; i++)
	{
		if (reef_slice_compare(header->participants[i], greatest) > 0)
			greatest = header->participants[i];
	}
	return greatest.data == own.data ? reef_slice(NULL, 0) : greatest;
}

/* ---- look ---- */

static ReefCode
stranger_init(Stranger *stranger, const ReefNamespace *asker, ReefSlice name,
			  ReefError *err)
{
	ReefNamespace *ns = &stranger->ns;

	memset(stranger, 0, sizeof(*stranger));
	if (name.size > REEF_NAMESPACE_MAX_SIZE ||
		memchr(name.data, '\0', name.size) != NULL)
		return reef_error_set(err, REEF_CORRUPT,
							  "record names an impossible namespace",
							  "namespace \"%s\"", asker->name);
	ns->host = asker->host;
	ns->settings = asker->settings;
	ns->store = asker->store;
	ns->shared = &stranger->shared;
	memcpy(ns->name, name.data, name.size);
	REEF_TRY(reef_layout_namespace_prefix(ns->name, ns->prefix, err));
	/* a lock must be somebody's; it is held for moments, and never two */
	reef_namespace_shared_init(ns->shared, asker->shared->lock_number);
	stranger->base.references = 1;
	stranger->shared.manifests[0] = &stranger->base;
	stranger->shared.manifest_count = 1;
	reef_tail_init(&stranger->tail, ns);
	return REEF_OK;
}

/* What putting a record needs to know. */
static void
take_state(Stranger *stranger)
{
	ReefNamespaceShared *shared = &stranger->shared;
	const ReefTail *tail = &stranger->tail;
	int			i;

	shared->exists = tail->has_manifest || tail->record_count > 0;
	shared->manifest_version_max = tail->version_max;
	shared->pending_abort_count = 0;
	shared->last_lsn = reef_tail_applied_lsn(tail);
	shared->last_crc = 0;
	shared->epoch = 0;
	stranger->base.applied_lsn = reef_tail_applied_lsn(tail);
	if (tail->has_manifest)
	{
		memcpy(shared->namespace_id, tail->manifest.namespace_id, 16);
		shared->epoch = tail->manifest.epoch;
		if (shared->last_lsn > 0)
			shared->last_crc = tail->manifest.last_applied_crc;
	}
	for (i = 0; i < tail->record_count; i++)
	{
		const ReefWalHeader *header = &tail->records[i].header;

		memcpy(shared->namespace_id, header->namespace_id, 16);
		shared->last_lsn = header->lsn;
		shared->last_crc = header->crc;
		if (shared->epoch < header->epoch)
			shared->epoch = header->epoch;
	}
}

static ReefCode
look(Stranger *stranger, ReefJudging judging, ReefError *err)
{
	ReefTail   *tail = &stranger->tail;
	ReefJudgement judgement;

	REEF_TRY(reef_tail_load(tail, err));
	take_state(stranger);
	/* who asks it has nothing to do with what it asks others */
	return reef_records_judge(&stranger->ns, tail->records,
							  tail->record_count,
							  judging == REEF_JUDGE_LOG ? REEF_JUDGE_LOG :
							  REEF_JUDGE_OWN, &judgement, err);
}

/* ---- fence ---- */

/* One record: the aborts, or if there are none a fence. */
static ReefPutOutcome
put_record(Stranger *stranger, ReefSlice aborts, ReefError *err)
{
	ReefNamespace *ns = &stranger->ns;
	ReefWalHeader header;
	ReefBuf		bytes;
	ReefPutOutcome outcome = REEF_PUT_NOWHERE;

	reef_wal_header_init(ns, &header);
	header.epoch++;
	header.frame_count = aborts.size > 0 ? 1 : 0;
	/* nobody's own fence: it makes final what is below it for all */
	if (header.frame_count == 0)
		ns->host->random(ns->host->arg, header.cluster_id,
						 sizeof(header.cluster_id));
	reef_buf_init(&bytes);
	if (reef_wal_encode(&header, &aborts, &bytes, err) == REEF_OK)
		outcome = reef_record_put(ns, &header, reef_buf_slice(&bytes), err);
	reef_buf_release(&bytes);
	if (outcome == REEF_PUT_DURABLE)
	{
		ns->shared->last_lsn = header.lsn;
		ns->shared->last_crc = header.crc;
	}
	return outcome;
}

static ReefPutOutcome
put_fence(Stranger *stranger, ReefError *err)
{
	ReefNamespace *ns = &stranger->ns;
	ReefPutOutcome outcome = REEF_PUT_DURABLE;
	ReefBuf		aborts;
	int			count;

	reef_buf_init(&aborts);
	if (reef_pending_aborts_encode(ns->host, ns->shared, &aborts, &count,
								   err) != REEF_OK)
		outcome = REEF_PUT_NOWHERE;
	else if (count > 0)
		outcome = put_record(stranger, reef_buf_slice(&aborts), err);
	reef_buf_release(&aborts);
	if (outcome == REEF_PUT_DURABLE)
		outcome = put_record(stranger, reef_slice(NULL, 0), err);
	return outcome;
}

/* By the rules of a takeover; *is_done false with REEF_OK: start again. */
static ReefCode
fence_once(Stranger *stranger, bool *is_done, ReefError *err)
{
	ReefNamespace *ns = &stranger->ns;

	*is_done = false;
	REEF_TRY(look(stranger, REEF_JUDGE_TAKEOVER, err));
	if (!stranger->shared.exists)
	{
		*is_done = true;
		return REEF_OK;
	}
	REEF_TRY(reef_records_queue_aborts(ns, stranger->tail.records,
									   stranger->tail.record_count, err));
	switch (put_fence(stranger, err))
	{
		case REEF_PUT_DURABLE:
			return reef_tail_check_current(&stranger->tail, true, is_done,
										   err);
		case REEF_PUT_LOST:
			return REEF_OK;
		case REEF_PUT_NOWHERE:
			return err->code;
		case REEF_PUT_UNKNOWN:
			break;
	}
	return ns->host->cancelled(ns->host->arg) ? err->code : REEF_OK;
}

static ReefCode
fence(Stranger *stranger, ReefError *err)
{
	bool		is_done = false;
	int			i;

	for (i = 0; i < FENCE_ATTEMPTS_MAX; i++)
	{
		REEF_TRY(fence_once(stranger, &is_done, err));
		if (is_done)
			return REEF_OK;
	}
	return reef_error_set(err, REEF_UNAVAILABLE,
						  "could not fence a namespace",
						  "another server keeps writing to namespace \"%s\"",
						  stranger->ns.name);
}

/* ---- ask ---- */

static ReefCode
add_id(ReefDeciders *deciders, ReefInquiry *inquiry, const uint8_t *id,
	   ReefError *err)
{
	uint8_t    *copy = reef_arena_alloc(&deciders->arena, 16);

	if (copy == NULL)
		return reef_error_no_memory(err, 16);
	memcpy(copy, id, 16);
	inquiry->ids[inquiry->id_count++] = copy;
	return REEF_OK;
}

/* The transactions of one record that this namespace decides. */
static ReefCode
collect_from_record(ReefDeciders *deciders, const Stranger *stranger,
					const ReefRecord *record, ReefInquiry *inquiry,
					ReefError *err)
{
	ReefArena	arena;
	ReefCode	rc = REEF_OK;
	uint32_t	frame;

	reef_arena_init(&arena, 0);
	for (frame = 0; frame < record->header.frame_count && rc == REEF_OK;
		 frame++)
	{
		ReefFrameReader reader;

		if (record->is_void[frame])
			continue;
		reef_arena_reset(&arena);
		rc = reef_frame_reader_init(&reader, record->frames[frame], &arena,
									err);
		if (rc == REEF_OK && reader.header.participant_count > 0 &&
			reef_frame_decider(stranger->ns.name, &reader.header).size == 0)
			rc = add_id(deciders, inquiry, reader.header.transaction_id, err);
	}
	reef_arena_release(&arena);
	return rc;
}

static ReefCode
collect(ReefDeciders *deciders, const Stranger *stranger, ReefInquiry *inquiry,
		ReefError *err)
{
	const ReefTail *tail = &stranger->tail;
	size_t		count = (size_t) tail->manifest.transaction_count;
	int			i;

	inquiry->exists = stranger->shared.exists;
	memcpy(inquiry->namespace_id, stranger->shared.namespace_id, 16);
	for (i = 0; i < tail->record_count; i++)
		count += tail->records[i].header.frame_count;
	inquiry->ids = reef_arena_alloc(&deciders->arena, (count + 1) *
									sizeof(*inquiry->ids));
	if (inquiry->ids == NULL)
		return reef_error_no_memory(err, count * sizeof(*inquiry->ids));
	for (i = 0; i < tail->manifest.transaction_count; i++)
		REEF_TRY(add_id(deciders, inquiry, tail->manifest.transactions[i].id,
						err));
	for (i = 0; i < tail->record_count; i++)
		REEF_TRY(collect_from_record(deciders, stranger, &tail->records[i],
									 inquiry, err));
	return REEF_OK;
}

static ReefCode
inquire(ReefDeciders *deciders, ReefSlice name, ReefInquiry **result,
		ReefError *err)
{
	ReefInquiry *inquiry = reef_arena_calloc(&deciders->arena,
											 sizeof(*inquiry));
	Stranger   *stranger = reef_arena_calloc(&deciders->arena,
											 sizeof(*stranger));
	ReefCode	rc;

	if (inquiry == NULL || stranger == NULL)
		return reef_error_no_memory(err, sizeof(*stranger));
	inquiry->name = reef_arena_copy(&deciders->arena, name);
	REEF_TRY(stranger_init(stranger, deciders->ns, name, err));
	rc = deciders->judging == REEF_JUDGE_TAKEOVER ? fence(stranger, err) :
		look(stranger, deciders->judging, err);
	if (rc == REEF_OK)
		rc = collect(deciders, stranger, inquiry, err);
	else
		rc = reef_error_add(err,
							"while asking namespace \"%s\" about a transaction of namespace \"%s\"",
							stranger->ns.name, deciders->ns->name);
	reef_tail_release(&stranger->tail);
	if (rc != REEF_OK)
		return rc;
	inquiry->next = deciders->inquiries;
	deciders->inquiries = inquiry;
	*result = inquiry;
	return REEF_OK;
}

void
reef_deciders_init(ReefDeciders *deciders, ReefNamespace *ns,
				   ReefJudging judging)
{
	memset(deciders, 0, sizeof(*deciders));
	deciders->ns = ns;
	deciders->judging = judging;
	reef_arena_init(&deciders->arena, 0);
}

void
reef_deciders_release(ReefDeciders *deciders)
{
	reef_arena_release(&deciders->arena);
}

ReefCode
reef_deciders_ask(ReefDeciders *deciders, ReefSlice decider,
				  const uint8_t id[16], bool *is_committed, ReefError *err)
{
	ReefInquiry *inquiry = deciders->inquiries;
	int			i;

	while (inquiry != NULL && !reef_slice_equal(inquiry->name, decider))
		inquiry = inquiry->next;
	if (inquiry == NULL)
		REEF_TRY(inquire(deciders, decider, &inquiry, err));

	/* dropped, as the head of the file says */
	*is_committed = !inquiry->exists ||
		memcmp(inquiry->namespace_id, id, REEF_GROUP_NAMESPACE_SIZE) != 0;
	for (i = 0; i < inquiry->id_count && !*is_committed; i++)
		*is_committed = memcmp(inquiry->ids[i], id, 16) == 0;
	return REEF_OK;
}
