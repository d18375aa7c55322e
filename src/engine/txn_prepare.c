/*
 * txn_prepare.c
 *	  From versions to a frame: what a transaction has done, as a whole.
 *
 * Each key's chain comes down to one operation, or none, under the condition
 * of its first live version:
 *
 *	  first			newest		operation
 *	  key absent	delete		none
 *	  key absent	put			put if absent						+1 row
 *	  row at an LSN	delete		delete if unchanged					-1 row
 *	  row at an LSN	put			patch if unchanged, or put if a whole
 *								document came in between
 *	  own segment	delete		delete								-1 row
 *	  own segment	put			put
 *
 * Rows of own segments were checked when they were written, and their segment
 * is attached by the same record, so that the last two need no condition; but
 * the condition must not be "absent" either, because they hide a row.
 *
 * The frame goes to shared memory with everything that applying it needs.
 */
#include "engine/txn_state.h"

#include <stdlib.h>

typedef struct Preparation
{
	ReefTxn    *txn;
	ReefFrameWriter *writer;
	ReefBuf		wal;
	ReefBuf		resolved;		/* u32 size and document, a patch each */
	ReefBuf		document;
	ReefArena	arena;
	ReefValue  *values;			/* one row by txn->schema */
	ReefValue  *decoded;
	ReefValue  *patch_values;
	ReefColumn *patch_columns;
	uint16_t   *patch;
	bool	   *is_patched;
	bool		has_attached;
	int64_t		delta;
} Preparation;

/* The row by the transaction's schema, which may have grown since. */
static ReefCode
row_values(Preparation *p, const ReefVersion *version, ReefError *err)
{
	const ReefSchema *schema = &p->txn->schema;
	const ReefSchema *layout = &version->layout->schema;
	int			i;

	REEF_TRY(reef_document_decode(version->document, layout->columns,
								  layout->column_count, p->decoded, err));
	for (i = 0; i < schema->column_count; i++)
	{
		int			from = version->layout == p->txn->layout ? i :
			reef_schema_find(layout, schema->columns[i].name);

		memset(&p->values[i], 0, sizeof(ReefValue));
		p->values[i].is_null = true;
		if (from < 0)
			continue;
		p->values[i] = p->decoded[from];
		reef_value_widen(&layout->columns[from].type,
						 &schema->columns[i].type, &p->values[i]);
	}
	return REEF_OK;
}

/* The whole document, in p->document. */
static ReefCode
encode_document(Preparation *p, const ReefVersion *version, ReefError *err)
{
	reef_buf_reset(&p->document);
	if (version->layout == p->txn->layout)
		reef_buf_append(&p->document, version->document.data,
						version->document.size);
	else
	{
		REEF_TRY(row_values(p, version, err));
		reef_document_append(&p->document, p->txn->schema.columns,
							 p->txn->schema.column_count, p->values);
	}
	return reef_buf_check(&p->document, err);
}

/* The columns that a chain of patches changes; false if a whole document is
 * among them. */
static bool
collect_patch(Preparation *p, const ReefVersion *newest, int *count)
{
	const ReefVersion *version;
	int			i;

	memset(p->is_patched, 0, (size_t) p->txn->schema.column_count);
	for (version = newest; version != NULL; version = version->older)
	{
		if (version->is_dead)
			continue;
		if (version->op != REEF_OP_PUT || version->patch_columns == NULL)
			return false;
		for (i = 0; i < version->patch_column_count; i++)
			p->is_patched[version->patch_columns[i]] = true;
	}
	*count = 0;
	for (i = 0; i < p->txn->schema.column_count; i++)
	{
		if (p->is_patched[i])
			p->patch[(*count)++] = (uint16_t) i;
	}
	return true;
}

static ReefCode
add_patch(Preparation *p, const ReefVersion *newest, ReefOp *op, int count,
		  ReefError *err)
{
	int			i;

	/* the resolved document, for whoever applies the frame */
	REEF_TRY(encode_document(p, newest, err));
	reef_buf_append_u32(&p->resolved, (uint32_t) p->document.size);
	reef_buf_append(&p->resolved, p->document.data, p->document.size);
	REEF_TRY(reef_buf_check(&p->resolved, err));

	REEF_TRY(row_values(p, newest, err));
	for (i = 0; i < count; i++)
	{
		p->patch_values[i] = p->values[p->patch[i]];
		p->patch_columns[i] = p->txn->schema.columns[p->patch[i]];
	}
	reef_buf_reset(&p->document);
	reef_document_append(&p->document, p->patch_columns, count,
						 p->patch_values);
	REEF_TRY(reef_buf_check(&p->document, err));
	op->kind = REEF_OP_PATCH;
	op->patch_column_count = count;
	op->patch_columns = p->patch;
	op->document = reef_buf_slice(&p->document);
	reef_frame_writer_add(p->writer, op);
	return REEF_OK;
}

static ReefCode
add_key(Preparation *p, const ReefNode *node, ReefError *err)
{
	const ReefVersion *newest = reef_own_newest(node);
	const ReefVersion *first = newest;
	const ReefVersion *version;
	ReefOp		op;
	int			patch_count;

	if (newest == NULL)
		return REEF_OK;
	for (version = newest; version != NULL; version = version->older)
	{
		if (!version->is_dead)
			first = version;
	}
	memset(&op, 0, sizeof(op));
	op.condition.kind = (ReefConditionKind) first->condition;
	op.condition.lsn = first->base_lsn;
	op.key = node->key;
	if (newest->op == REEF_OP_DELETE)
	{
		if (first->condition == REEF_CONDITION_ABSENT)
			return REEF_OK;
		p->delta--;
		op.kind = REEF_OP_DELETE;
		reef_frame_writer_add(p->writer, &op);
		return REEF_OK;
	}
	if (first->condition == REEF_CONDITION_ABSENT)
		p->delta++;
	if (first->condition == REEF_CONDITION_LSN &&
		collect_patch(p, newest, &patch_count))
		return add_patch(p, newest, &op, patch_count, err);
	REEF_TRY(encode_document(p, newest, err));
	op.kind = REEF_OP_PUT;
	op.key = reef_slice(NULL, 0);
	op.document = reef_buf_slice(&p->document);
	reef_frame_writer_add(p->writer, &op);
	return REEF_OK;
}

static ReefCode
add_operations(Preparation *p, ReefError *err)
{
	const ReefHost *host = p->txn->ns->host;
	const ReefOwnSegment *own;
	const ReefNode *node;
	uint64_t	count = 0;

	for (own = p->txn->segments; own != NULL; own = own->older)
	{
		ReefOp		op;

		if (own->is_dead)
			continue;
		memset(&op, 0, sizeof(op));
		op.kind = REEF_OP_ATTACH;
		op.condition.kind = REEF_CONDITION_ABSENT;
		op.segment = &own->meta;
		p->delta += (int64_t) own->meta.row_count;
		p->has_attached = true;
		reef_frame_writer_add(p->writer, &op);
	}
	for (node = reef_skiplist_next(p->txn->rows->list.head); node != NULL;
		 node = reef_skiplist_next(node))
	{
		if (++count % 1024 == 0 && host->cancelled(host->arg))
			return reef_error_set(err, REEF_CANCELLED, "cancelled", NULL);
		REEF_TRY(add_key(p, node, err));
	}
	return REEF_OK;
}

/* ---- the frame ---- */

static ReefCode
reserve(Preparation *p, ReefError *err)
{
	size_t		count = (size_t) p->txn->schema.column_count + 1;

	p->values = reef_arena_calloc(&p->arena, sizeof(ReefValue) * count);
	p->decoded = reef_arena_calloc(&p->arena, sizeof(ReefValue) * count);
	p->patch_values = reef_arena_calloc(&p->arena, sizeof(ReefValue) * count);
	p->patch_columns = reef_arena_calloc(&p->arena,
										 sizeof(ReefColumn) * count);
	p->patch = reef_arena_calloc(&p->arena, sizeof(uint16_t) * count);
	p->is_patched = reef_arena_calloc(&p->arena, count);
	if (p->values == NULL || p->decoded == NULL || p->patch_values == NULL ||
		p->patch_columns == NULL || p->patch == NULL || p->is_patched == NULL)
		return reef_error_no_memory(err, sizeof(ReefValue) * count);
	return REEF_OK;
}

void
reef_txn_join_group(ReefTxn *txn, const ReefTxnGroup *group)
{
	txn->group = group;
}

/* Each participant's frame names all the others. */
static ReefCode
name_participants(Preparation *p, ReefFrameHeader *header, ReefError *err)
{
	const ReefTxnGroup *group = p->txn->group;
	ReefSlice  *participants;
	int			i;

	if (group == NULL)
		return REEF_OK;
	participants = reef_arena_alloc(&p->arena, sizeof(*participants) *
									(size_t) group->count);
	if (participants == NULL)
		return reef_error_no_memory(err, sizeof(*participants));
	for (i = 0; i < group->count; i++)
	{
		const char *name = group->namespaces[i]->name;

		if (strcmp(name, p->txn->ns->name) != 0)
			participants[header->participant_count++] =
				reef_slice_of_string(name);
	}
	header->participants = participants;
	memcpy(header->transaction_id, group->id, sizeof(group->id));
	return REEF_OK;
}

static ReefCode
encode_frame(Preparation *p, const ReefCoupling *coupling, ReefError *err)
{
	ReefFrameHeader header;
	ReefCode	rc;

	memset(&header, 0, sizeof(header));
	header.idempotency_key = p->txn->idempotency_key;
	REEF_TRY(name_participants(p, &header, err));
	header.is_coupled = coupling != NULL;
	if (coupling != NULL)
		header.coupling = *coupling;
	header.schema = p->txn->schema;
	REEF_TRY(reserve(p, err));
	REEF_TRY(reef_frame_writer_new(&header, &p->writer, err));
	rc = add_operations(p, err);
	if (rc == REEF_OK)
		rc = reef_frame_writer_finish(p->writer, p->delta, &p->wal, err);
	reef_frame_writer_free(p->writer);
	return rc;
}

static ReefCode
share_frame(const Preparation *p, uint64_t full_xid, ReefFrame **result,
			ReefError *err)
{
	const ReefTxn *txn = p->txn;
	const ReefHost *host = txn->ns->host;
	size_t		size = sizeof(ReefFrame) + p->wal.size + p->resolved.size;
	size_t		pages = (size + REEF_SHARED_PAGE_SIZE - 1) /
		REEF_SHARED_PAGE_SIZE;
	ReefFrame  *frame = host->shared_alloc(host->arg, pages *
										   REEF_SHARED_PAGE_SIZE);

	if (frame == NULL)
		return reef_error_set(err, REEF_LIMIT,
							  "not enough shared memory for the transaction",
							  "it needs %zu bytes", size);
	memset(frame, 0, sizeof(*frame));
	frame->allocated = pages * REEF_SHARED_PAGE_SIZE;
	atomic_init(&frame->state, REEF_FRAME_WAITING);
	frame->full_xid = full_xid;
	frame->validated_lsn = txn->validated_lsn;
	frame->incarnation = txn->incarnation;
	if (txn->group != NULL)
	{
		const ReefTxnGroup *group = txn->group;

		frame->is_dependent =
			strcmp(group->namespaces[group->count - 1]->name,
				   txn->ns->name) != 0;
		frame->decider_term = frame->is_dependent ? 0 : group->decider_term;
		memcpy(frame->decider_namespace, group->id,
			   sizeof(frame->decider_namespace));
	}
	frame->has_outputs = p->has_attached;
	frame->outputs = txn->outputs;
	reef_error_init(&frame->error);
	frame->wal_size = p->wal.size;
	frame->resolved_size = p->resolved.size;
	memcpy(frame->bytes, p->wal.data, p->wal.size);
	if (p->resolved.size > 0)
		memcpy(frame->bytes + p->wal.size, p->resolved.data,
			   p->resolved.size);
	*result = frame;
	return REEF_OK;
}

ReefCode
reef_txn_prepare(ReefTxn *txn, uint64_t full_xid, const ReefCoupling *coupling,
				 ReefFrame **frame, ReefError *err)
{
	Preparation p;
	ReefCode	rc;

	*frame = NULL;
	/* what it pins may be the memory that the commit waits for */
	reef_txn_unpin(txn);

	memset(&p, 0, sizeof(p));
	p.txn = txn;
	reef_buf_init(&p.wal);
	reef_buf_init(&p.resolved);
	reef_buf_init(&p.document);
	reef_arena_init(&p.arena, 0);
	rc = encode_frame(&p, coupling, err);
	if (rc == REEF_OK)
		rc = share_frame(&p, full_xid, frame, err);
	if (rc == REEF_OK)
		txn->is_prepared = true;
	reef_buf_release(&p.wal);
	reef_buf_release(&p.resolved);
	reef_buf_release(&p.document);
	reef_arena_release(&p.arena);
	return rc;
}
