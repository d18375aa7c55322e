/*
 * record.c
 *	  Records that are in the store: reading, judging and applying them.
 *
 * A record says nothing about its own fate: a later one may void one of its
 * transactions, and a transaction that also wrote heap tables of this server's
 * lineage is decided by pg_xact unless a later fence of another incarnation
 * has made it final (DESIGN section 4).  Patches are resolved against the
 * versions below them, which must not be void ones.  So a run of records is
 * read completely, then judged from the top, then applied from the bottom.
 */
#include <assert.h>
#include <stdio.h>

#include "engine/state.h"

/* ---- read ---- */

ReefCode
reef_record_load(ReefNamespace *ns, uint64_t lsn, ReefArena *arena,
				 ReefRecord *record, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefBuf		bytes;
	ReefSlice	kept;
	ReefCode	rc;

	reef_layout_wal_key(ns->prefix, lsn, key);
	reef_buf_init(&bytes);
	rc = reef_store_get(ns->store, key, &bytes, err);
	if (rc != REEF_OK)
	{
		reef_buf_release(&bytes);
		return rc;
	}
	kept = reef_arena_copy(arena, reef_buf_slice(&bytes));
	reef_buf_release(&bytes);
	if (kept.data == NULL)
		kept = reef_slice("", 0);
	REEF_TRY(reef_wal_decode(kept, lsn, key, arena, &record->header,
							 &record->frames, err));
	record->is_void = reef_arena_calloc(arena, sizeof(bool) *
										((size_t) record->header.frame_count + 1));
	if (record->is_void == NULL)
		return reef_error_no_memory(err, record->header.frame_count);
	return REEF_OK;
}

ReefCode
reef_record_check(ReefNamespace *ns, const ReefRecord *record,
				  const uint8_t namespace_id[16], uint32_t previous_crc,
				  ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];

	reef_layout_wal_key(ns->prefix, record->header.lsn, key);
	if (memcmp(record->header.namespace_id, namespace_id, 16) != 0)
		return reef_error_set(err, REEF_CORRUPT,
							  "record belongs to another namespace",
							  "object \"%s\"", key);
	if (record->header.previous_crc != previous_crc)
		return reef_error_set(err, REEF_CORRUPT,
							  "record does not follow the one before it",
							  "object \"%s\" names a predecessor with checksum %08x, but it is %08x",
							  key, record->header.previous_crc, previous_crc);
	return REEF_OK;
}

/* ---- judge ---- */

/* The fences above a record, as far as they matter: is there one by an
 * incarnation other than the record's? */
typedef struct FencesAbove
{
	int			count;			/* different clusters seen, at most 2 */
	const uint8_t *cluster_ids[2];
} FencesAbove;

static void
fences_add(FencesAbove *fences, const uint8_t *cluster_id)
{
	if (fences->count == 2 ||
		(fences->count == 1 &&
		 memcmp(fences->cluster_ids[0], cluster_id, 16) == 0))
		return;
	fences->cluster_ids[fences->count++] = cluster_id;
}

static bool
fences_have_other(const FencesAbove *fences, const uint8_t *cluster_id)
{
	return fences->count == 2 ||
		(fences->count == 1 &&
		 memcmp(fences->cluster_ids[0], cluster_id, 16) != 0);
}

static void
void_frame(ReefRecord *records, int count, uint64_t lsn, uint32_t frame,
		   bool *names_older)
{
	uint64_t	first_lsn = records[0].header.lsn;
	ReefRecord *record;

	if (lsn < first_lsn)
	{
		*names_older = true;
		return;
	}
	if (lsn - first_lsn >= (uint64_t) count)
		return;
	record = &records[lsn - first_lsn];
	if (frame < record->header.frame_count)
		record->is_void[frame] = true;
}

static ReefCode
find_aborts(ReefRecord *records, int count, ReefSlice frame, ReefArena *arena,
			bool *names_older, ReefFrameReader *reader, ReefError *err)
{
	ReefOp		op;
	ReefCode	rc;

	REEF_TRY(reef_frame_reader_init(reader, frame, arena, err));
	for (;;)
	{
		rc = reef_frame_reader_next(reader, &op, err);
		/* a frame of aborts has nothing else */
		if (rc == REEF_NOT_FOUND || (rc == REEF_OK && op.kind != REEF_OP_ABORT))
			return REEF_OK;
		if (rc != REEF_OK)
			return rc;
		void_frame(records, count, op.abort_lsn, op.abort_frame, names_older);
	}
}

/*
 * A heap transaction of our own lineage that did not commit: its frame is void,
 * and must be voided in the store before our fence would make it final.
 */
static bool
coupling_aborted(ReefNamespace *ns, const ReefRecord *record, uint32_t frame,
				 const ReefFrameHeader *header, const FencesAbove *fences)
{
	if (!header->is_coupled || record->is_void[frame] ||
		fences_have_other(fences, record->header.cluster_id))
		return false;
	return ns->host->coupling_state(ns->host->arg, &header->coupling) ==
		REEF_XID_ABORTED;
}

static ReefCode
judge_record(ReefNamespace *ns, ReefRecord *records, int count, int index,
			 const FencesAbove *fences, bool *names_older, ReefError *err)
{
	ReefRecord *record = &records[index];
	ReefFrameReader reader;
	ReefArena	arena;
	ReefCode	rc = REEF_OK;
	uint32_t	frame;

	reef_arena_init(&arena, 0);
	for (frame = 0; frame < record->header.frame_count && rc == REEF_OK;
		 frame++)
	{
		rc = find_aborts(records, count, record->frames[frame], &arena,
						 names_older, &reader, err);
		if (rc == REEF_OK &&
			coupling_aborted(ns, record, frame, &reader.header, fences))
		{
			record->is_void[frame] = true;
			reef_namespace_lock(ns->host, ns->shared, true);
			if (!reef_pending_abort_add(ns->shared, record->header.lsn, frame))
				rc = reef_error_set(err, REEF_LIMIT,
									"too many aborted transactions",
									"namespace \"%s\" has more than %d that wait for their abort record",
									ns->name, REEF_PENDING_ABORTS_MAX);
			reef_namespace_unlock(ns->host, ns->shared);
		}
		reef_arena_reset(&arena);
	}
	reef_arena_release(&arena);
	return rc;
}

/*
 * Aborts that were queued before the state was forgotten.  What another
 * incarnation has fenced, or folded, is final: it took the transaction for
 * committed.
 */
static void
judge_pending(ReefNamespace *ns, ReefRecord *records, int count,
			  uint64_t last_foreign_fence)
{
	ReefNamespaceShared *shared = ns->shared;
	uint64_t	applied_lsn;
	int			kept = 0;
	int			lost = 0;
	int			i;

	reef_namespace_lock(ns->host, shared, true);
	applied_lsn = shared->manifests[0]->applied_lsn;
	for (i = 0; i < shared->pending_abort_count; i++)
	{
		ReefPendingAbort *pending = &shared->pending_aborts[i];
		bool		names_older = false;

		if (pending->lsn < last_foreign_fence || pending->lsn <= applied_lsn)
		{
			lost++;
			continue;
		}
		if (count > 0)
			void_frame(records, count, pending->lsn, pending->frame,
					   &names_older);
		shared->pending_aborts[kept++] = *pending;
	}
	shared->pending_abort_count = kept;
	reef_namespace_unlock(ns->host, shared);
	if (lost > 0)
	{
		char		line[300];

		snprintf(line, sizeof(line),
				 "another server has made %d transactions of namespace \"%.100s\" final that were rolled back here after their record was written",
				 lost, ns->name);
		ns->host->log(ns->host->arg, REEF_LOG_WARNING, line);
	}
}

ReefCode
reef_records_find_void(ReefNamespace *ns, ReefRecord *records, int count,
					   bool *names_older, ReefError *err)
{
	FencesAbove fences = {0};
	uint64_t	last_foreign_fence = 0;
	int			i;

	*names_older = false;
	for (i = count - 1; i >= 0; i--)
	{
		const ReefWalHeader *header = &records[i].header;

		if (header->frame_count > 0)
		{
			REEF_TRY(judge_record(ns, records, count, i, &fences, names_older,
								  err));
			continue;
		}
		fences_add(&fences, header->cluster_id);
		if (last_foreign_fence == 0 &&
			memcmp(header->cluster_id, ns->settings->cluster_id, 16) != 0)
			last_foreign_fence = header->lsn;
	}
	judge_pending(ns, records, count, last_foreign_fence);
	return REEF_OK;
}

/* ---- apply ---- */

/* Resolves patches against the state below the record. */
typedef struct Resolver
{
	ReefNamespace *ns;
	uint64_t	lsn;
	ReefView   *view;			/* pinned when the first patch comes */
	ReefArena	arena;
	ReefBuf		document;
} Resolver;

/* Put the patch's values over the row's. */
static ReefCode
overlay_patch(Resolver *resolver, const ReefOp *op, const ReefSchema *schema,
			  const ReefSchema *merged, ReefValue *values, ReefError *err)
{
	int			count = op->patch_column_count;
	ReefColumn *columns;
	ReefValue  *changed;
	int			i;

	columns = reef_arena_alloc(&resolver->arena,
							   sizeof(*columns) * ((size_t) count + 1));
	changed = reef_arena_alloc(&resolver->arena,
							   sizeof(*changed) * ((size_t) count + 1));
	if (columns == NULL || changed == NULL)
		return reef_error_no_memory(err, sizeof(*columns) * (size_t) count);
	for (i = 0; i < count; i++)
		columns[i] = schema->columns[op->patch_columns[i]];
	REEF_TRY(reef_document_decode(op->document, columns, count, changed, err));
	for (i = 0; i < count; i++)
	{
		int			place = reef_schema_find(merged, columns[i].name);

		reef_value_widen(&columns[i].type, &merged->columns[place].type,
						 &changed[i]);
		values[place] = changed[i];
	}
	return REEF_OK;
}

static ReefCode
resolve_from_view(void *arg, const ReefOp *op, const ReefSchema *schema,
				  int op_index, ReefSlice *document,
				  ReefSchema *document_schema, ReefError *err)
{
	Resolver   *resolver = arg;
	ReefSchema	merged;
	ReefValue  *values;
	uint64_t	lsn;
	bool		changed;
	ReefCode	rc;

	(void) op_index;
	if (resolver->view == NULL)
		REEF_TRY(reef_view_pin_present(resolver->ns, &resolver->view, err));
	reef_arena_reset(&resolver->arena);
	REEF_TRY(reef_schema_merge(&resolver->arena,
							   reef_view_schema(resolver->view), schema,
							   &merged, &changed, err));
	values = reef_arena_calloc(&resolver->arena, sizeof(*values) *
							   (size_t) merged.column_count);
	if (values == NULL)
		return reef_error_no_memory(err, sizeof(*values));
	rc = reef_view_lookup(resolver->view, op->key, merged.columns,
						  merged.column_count, &resolver->arena, values, &lsn,
						  err);
	if (rc == REEF_NOT_FOUND ||
		(rc == REEF_OK && op->condition.kind == REEF_CONDITION_LSN &&
		 op->condition.lsn != lsn))
		return reef_error_set(err, REEF_CORRUPT,
							  "record changes a row that is not there",
							  "record %llu of namespace \"%s\" patches the version of record %llu",
							  (unsigned long long) resolver->lsn,
							  resolver->ns->name,
							  (unsigned long long) op->condition.lsn);
	if (rc != REEF_OK)
		return rc;
	REEF_TRY(overlay_patch(resolver, op, schema, &merged, values, err));

	reef_buf_reset(&resolver->document);
	reef_document_append(&resolver->document, merged.columns,
						 merged.column_count, values);
	REEF_TRY(reef_buf_check(&resolver->document, err));
	*document = reef_buf_slice(&resolver->document);
	*document_schema = merged;
	return REEF_OK;
}

ReefCode
reef_record_apply(ReefNamespace *ns, const ReefRecord *record, ReefError *err)
{
	Resolver	resolver = {.ns = ns, .lsn = record->header.lsn};
	ReefApplication *application;
	ReefArena	arena;
	ReefCode	rc = REEF_OK;
	uint32_t	frame;

	reef_arena_init(&arena, 0);
	reef_arena_init(&resolver.arena, 0);
	reef_buf_init(&resolver.document);
	for (frame = 0; frame < record->header.frame_count && rc == REEF_OK;
		 frame++)
	{
		if (record->is_void[frame])
			continue;
		/* no xid: whoever wrote it, it is committed for everybody now */
		rc = reef_application_prepare(ns, &arena, record->frames[frame],
									  record->header.lsn, frame, 0,
									  record->header.time_ms,
									  resolve_from_view, &resolver,
									  &application, err);
		if (rc == REEF_OK)
			reef_application_publish(ns, application);
	}
	reef_view_unpin(resolver.view);
	reef_buf_release(&resolver.document);
	reef_arena_release(&resolver.arena);
	reef_arena_release(&arena);
	if (rc == REEF_OK)
		reef_namespace_advance(ns, &record->header);
	return rc;
}
