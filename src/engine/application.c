/*
 * application.c
 *	  Turning a frame of a record into versions in the memtable.
 *
 * A record is durable the moment its object exists; whatever could fail after
 * that would leave the memtable behind the store.  So the work is cut in two:
 * prepare takes all memory, computes keys, copies documents and may fail;
 * publish only links what is there.  A commit prepares before its put, and
 * recovery, which could afford to fail, does the same in the same code, so
 * that a replayed row cannot differ from the row that was committed [I1].
 */
#include <assert.h>

#include "engine/decide.h"

struct ReefApplication
{
	ReefApplied *applied;		/* NULL: nothing that readers would see */
	int			insertion_count;
	ReefInsertion *insertions;
	int			layout_count;
	const ReefLayout **layouts;
	int			attached_count;
	ReefAttached **attached;
	int			abort_count;
	ReefPendingAbort *aborts;
	int64_t		row_id_max;		/* 0: no hidden keys */
	uint64_t	user_bytes;
	uint64_t	attached_bytes;
};

/* What preparing one frame works with. */
typedef struct Preparation
{
	ReefNamespace *ns;
	ReefGeneration *generation;
	ReefArena  *arena;
	ReefFrameReader reader;
	const ReefSchema *schema;	/* of the frame */
	int			row_id_column;	/* the hidden key, or -1 */
	ReefValue  *values;			/* [schema->column_count] */
	ReefBuf		key;
	ReefResolvePatch resolve;
	void	   *resolve_arg;
	ReefApplication *application;
} Preparation;

static ReefCode
memtable_full(ReefError *err)
{
	return reef_error_set(err, REEF_LIMIT,
						  "memory for the memtable is used up", NULL);
}

static void *
allocate_piece(void *arg, size_t size)
{
	const Preparation *preparation = arg;

	return reef_generation_alloc(preparation->ns->host,
								 preparation->generation, size);
}

static bool
copy_to_generation(Preparation *preparation, ReefSlice bytes, ReefSlice *copy)
{
	void	   *place;

	*copy = reef_slice(NULL, 0);
	if (bytes.size == 0)
		return true;
	place = allocate_piece(preparation, bytes.size);
	if (place == NULL)
		return false;
	memcpy(place, bytes.data, bytes.size);
	*copy = reef_slice(place, bytes.size);
	return true;
}

/* ---- rows ---- */

static ReefCode
add_version(Preparation *preparation, const ReefOp *op, ReefSlice key,
			ReefSlice document, const ReefSchema *document_schema,
			ReefError *err)
{
	ReefApplication *application = preparation->application;
	const ReefLayout *layout = NULL;
	ReefVersion *version;

	if (document_schema != NULL)
	{
		REEF_TRY(reef_generation_layout(preparation->ns->host,
										preparation->generation,
										document_schema, &layout, err));
		if (application->layout_count == 0 ||
			application->layouts[application->layout_count - 1] != layout)
			application->layouts[application->layout_count++] = layout;
	}

	version = allocate_piece(preparation, sizeof(*version) + document.size);
	if (version == NULL)
		return memtable_full(err);
	memset(version, 0, sizeof(*version));
	version->applied = application->applied;
	version->layout = layout;
	version->op = op->kind == REEF_OP_DELETE ? REEF_OP_DELETE : REEF_OP_PUT;
	version->condition = (uint8_t) op->condition.kind;
	if (op->condition.kind == REEF_CONDITION_LSN)
		version->base_lsn = op->condition.lsn;
	if (document.size > 0)
		memcpy(version + 1, document.data, document.size);
	version->document = reef_slice(version + 1, document.size);
	application->user_bytes += key.size + document.size;
	return reef_skiplist_prepare(&preparation->generation->rows, key, version,
								 allocate_piece, preparation,
								 &application->insertions[application->insertion_count++],
								 err);
}

/* A put's key is not stored: it follows from the document. */
static ReefCode
prepare_put(Preparation *preparation, const ReefOp *op, ReefError *err)
{
	const ReefSchema *schema = preparation->schema;

	REEF_TRY(reef_document_decode(op->document, schema->columns,
								  schema->column_count, preparation->values,
								  err));
	reef_buf_reset(&preparation->key);
	REEF_TRY(reef_document_key(schema->columns, schema->column_count,
							   preparation->values, &preparation->key, err));
	REEF_TRY(reef_buf_check(&preparation->key, err));
	if (preparation->row_id_column >= 0)
	{
		int64_t		row_id;

		row_id = preparation->values[preparation->row_id_column].as.int64;
		if (preparation->application->row_id_max < row_id)
			preparation->application->row_id_max = row_id;
	}
	return add_version(preparation, op, reef_buf_slice(&preparation->key),
					   op->document, schema, err);
}

static ReefCode
prepare_patch(Preparation *preparation, const ReefOp *op, int op_index,
			  ReefError *err)
{
	ReefSlice	document;
	ReefSchema	document_schema;

	REEF_TRY(preparation->resolve(preparation->resolve_arg, op,
								  preparation->schema, op_index, &document,
								  &document_schema, err));
	return add_version(preparation, op, op->key, document, &document_schema,
					   err);
}

/* ---- attached segments ---- */

static bool
copy_stats(Preparation *preparation, const ReefSegmentMeta *meta,
		   ReefSegmentMeta *copy)
{
	int			i;

	copy->stats = allocate_piece(preparation,
								 sizeof(*copy->stats) *
								 (size_t) meta->stats_count);
	if (copy->stats == NULL)
		return false;
	for (i = 0; i < meta->stats_count; i++)
	{
		const ReefColumnStats *from = &meta->stats[i];
		ReefColumnStats *to = &copy->stats[i];
		ReefSlice	name;

		*to = *from;
		if (!copy_to_generation(preparation,
								reef_slice(from->name,
										   strlen(from->name) + 1), &name))
			return false;
		to->name = (const char *) name.data;
		if (!from->has_min_max || !reef_kind_is_variable(from->kind))
			continue;
		if (!copy_to_generation(preparation, from->min.as.bytes,
								&to->min.as.bytes) ||
			!copy_to_generation(preparation, from->max.as.bytes,
								&to->max.as.bytes))
			return false;
	}
	return true;
}

static ReefCode
note_row_id(Preparation *preparation, ReefSlice key, ReefError *err)
{
	ReefValue  *values = preparation->values;

	if (preparation->row_id_column < 0)
		return REEF_OK;
	REEF_TRY(reef_key_decode(key, preparation->schema, preparation->arena,
							 values, err));
	if (preparation->application->row_id_max <
		values[preparation->row_id_column].as.int64)
		preparation->application->row_id_max =
			values[preparation->row_id_column].as.int64;
	return REEF_OK;
}

static ReefCode
prepare_attach(Preparation *preparation, const ReefOp *op, ReefError *err)
{
	ReefApplication *application = preparation->application;
	ReefAttached *attached = allocate_piece(preparation, sizeof(*attached));
	const ReefLayout *layout;

	if (attached == NULL)
		return memtable_full(err);
	memset(attached, 0, sizeof(*attached));
	attached->meta = *op->segment;
	attached->meta.lsn_min = application->applied->lsn;
	attached->meta.lsn_max = application->applied->lsn;
	attached->applied = application->applied;
	if (!copy_to_generation(preparation, op->segment->key_min,
							&attached->meta.key_min) ||
		!copy_to_generation(preparation, op->segment->key_max,
							&attached->meta.key_max) ||
		!copy_stats(preparation, op->segment, &attached->meta))
		return memtable_full(err);
	/* its columns are columns of the namespace from now on */
	REEF_TRY(reef_generation_layout(preparation->ns->host,
									preparation->generation,
									preparation->schema, &layout, err));
	application->layouts[application->layout_count++] = layout;
	application->attached[application->attached_count++] = attached;
	application->attached_bytes += op->segment->size;
	return note_row_id(preparation, op->segment->key_max, err);
}

/* ---- prepare ---- */

static ReefCode
prepare_op(Preparation *preparation, const ReefOp *op, int op_index,
		   ReefError *err)
{
	ReefApplication *application = preparation->application;

	switch (op->kind)
	{
		case REEF_OP_PUT:
			return prepare_put(preparation, op, err);
		case REEF_OP_PATCH:
			return prepare_patch(preparation, op, op_index, err);
		case REEF_OP_DELETE:
			return add_version(preparation, op, op->key, reef_slice(NULL, 0),
							   NULL, err);
		case REEF_OP_ATTACH:
			return prepare_attach(preparation, op, err);
		case REEF_OP_ABORT:
			application->aborts[application->abort_count].lsn = op->abort_lsn;
			application->aborts[application->abort_count++].frame =
				op->abort_frame;
			return REEF_OK;
		case REEF_OP_TRUNCATE:
			break;
	}
	return reef_error_set(err, REEF_UNSUPPORTED,
						  "record has an operation that this version does not know",
						  "namespace \"%s\", operation %d",
						  preparation->ns->name, (int) op->kind);
}

/* Who decides a transaction names it in its manifest, with the others. */
static bool
copy_group(Preparation *preparation, const ReefAppliedGroup **result)
{
	const ReefFrameHeader *header = &preparation->reader.header;
	ReefAppliedGroup *group;
	int			i;

	*result = NULL;
	if (header->participant_count == 0)
		return true;
	group = allocate_piece(preparation, sizeof(*group));
	if (group == NULL)
		return false;
	memset(group, 0, sizeof(*group));
	*result = group;
	group->is_dependent = reef_frame_decider(preparation->ns->name,
											 header).size > 0;
	if (group->is_dependent)
		return true;
	memcpy(group->id, header->transaction_id, sizeof(group->id));
	group->participants = allocate_piece(preparation,
										 sizeof(*group->participants) *
										 (size_t) header->participant_count);
	if (group->participants == NULL)
		return false;
	for (i = 0; i < header->participant_count; i++)
	{
		if (!copy_to_generation(preparation, header->participants[i],
								&group->participants[i]))
			return false;
	}
	group->participant_count = header->participant_count;
	return true;
}

/* The arrays have room for every operation of the frame. */
static ReefCode
application_new(Preparation *preparation, uint64_t lsn, uint32_t frame_index,
				uint64_t full_xid, int64_t time_ms, ReefError *err)
{
	const ReefFrameHeader *header = &preparation->reader.header;
	size_t		count = (size_t) preparation->reader.op_count + 1;
	ReefApplication *application;
	ReefApplied *applied;

	application = reef_arena_calloc(preparation->arena, sizeof(*application));
	if (application == NULL)
		return reef_error_no_memory(err, sizeof(*application));
	preparation->application = application;
	application->insertions = reef_arena_alloc(preparation->arena, count *
											   sizeof(*application->insertions));
	application->layouts = reef_arena_alloc(preparation->arena, count *
											sizeof(*application->layouts));
	application->attached = reef_arena_alloc(preparation->arena, count *
											 sizeof(*application->attached));
	application->aborts = reef_arena_alloc(preparation->arena, count *
										   sizeof(*application->aborts));
	preparation->values = reef_arena_alloc(preparation->arena,
										   ((size_t) header->schema.column_count + 1) *
										   sizeof(*preparation->values));
	if (application->insertions == NULL || application->layouts == NULL ||
		application->attached == NULL || application->aborts == NULL ||
		preparation->values == NULL)
		return reef_error_no_memory(err, count);

	applied = allocate_piece(preparation, sizeof(*applied));
	if (applied == NULL)
		return memtable_full(err);
	memset(applied, 0, sizeof(*applied));
	applied->lsn = lsn;
	applied->frame = frame_index;
	applied->full_xid = full_xid;
	applied->row_count_delta = header->row_count_delta;
	applied->time_ms = time_ms;
	if (!copy_to_generation(preparation, header->idempotency_key,
							&applied->idempotency_key) ||
		!copy_group(preparation, &applied->group))
		return memtable_full(err);
	application->applied = applied;
	return REEF_OK;
}

static ReefCode
prepare_ops(Preparation *preparation, ReefError *err)
{
	ReefOp		op;
	ReefCode	rc;
	int			i;

	for (i = 0;; i++)
	{
		rc = reef_frame_reader_next(&preparation->reader, &op, err);
		if (rc == REEF_NOT_FOUND)
			return REEF_OK;
		if (rc == REEF_OK)
			rc = prepare_op(preparation, &op, i, err);
		if (rc != REEF_OK)
			return rc;
	}
}

ReefCode
reef_application_prepare(ReefNamespace *ns, ReefArena *arena, ReefSlice frame,
						 uint64_t lsn, uint32_t frame_index, uint64_t full_xid,
						 int64_t time_ms, ReefResolvePatch resolve, void *arg,
						 ReefApplication **application, ReefError *err)
{
	Preparation preparation = {0};
	ReefApplication *fresh;
	ReefCode	rc;
	int			key;

	preparation.ns = ns;
	preparation.generation = ns->shared->active;
	preparation.arena = arena;
	preparation.resolve = resolve;
	preparation.resolve_arg = arg;
	REEF_TRY(reef_frame_reader_init(&preparation.reader, frame, arena, err));
	preparation.schema = &preparation.reader.header.schema;
	preparation.row_id_column = -1;
	key = reef_schema_key_column(preparation.schema, 1);
	if (key >= 0 && strcmp(preparation.schema->columns[key].name,
						   REEF_HIDDEN_KEY_COLUMN) == 0)
		preparation.row_id_column = key;
	REEF_TRY(application_new(&preparation, lsn, frame_index, full_xid, time_ms,
							 err));

	reef_buf_init(&preparation.key);
	rc = prepare_ops(&preparation, err);
	reef_buf_release(&preparation.key);
	if (rc != REEF_OK)
		return rc;

	fresh = preparation.application;
	if (fresh->insertion_count == 0 && fresh->attached_count == 0 &&
		fresh->applied->idempotency_key.size == 0 &&
		fresh->applied->group == NULL)
		fresh->applied = NULL;
	*application = fresh;
	return REEF_OK;
}

/* ---- publish ---- */

ReefApplied *
reef_applied_find(const ReefNamespaceShared *shared, uint64_t lsn,
				  uint32_t frame)
{
	const ReefGeneration *generation = shared->oldest;
	ReefApplied *applied;

	while (generation != NULL && atomic_load(&generation->lsn_to) < lsn)
		generation = generation->newer;
	if (generation == NULL)
		return NULL;
	for (applied = generation->first_applied; applied != NULL;
		 applied = applied->next)
	{
		if (applied->lsn == lsn && applied->frame == frame)
			return applied;
	}
	return NULL;
}

static void
publish_attached(ReefGeneration *generation, ReefAttached *attached)
{
	if (generation->last_attached == NULL)
		atomic_store_explicit(&generation->first_attached, attached,
							  memory_order_release);
	else
		atomic_store_explicit(&generation->last_attached->next, attached,
							  memory_order_release);
	generation->last_attached = attached;
}

static void
publish_aborts(ReefNamespaceShared *shared, const ReefApplication *application)
{
	int			i;

	for (i = 0; i < application->abort_count; i++)
	{
		ReefApplied *target;

		target = reef_applied_find(shared, application->aborts[i].lsn,
								   application->aborts[i].frame);
		if (target == NULL)
			continue;			/* folded, or left out by recovery */
		atomic_store(&target->hint, REEF_XID_ABORTED);
		atomic_store(&target->abort_is_durable, true);
	}
}

static void
raise_row_id(ReefNamespaceShared *shared, int64_t row_id)
{
	int64_t		known = atomic_load(&shared->last_row_id);

	while (known < row_id &&
		   !atomic_compare_exchange_weak(&shared->last_row_id, &known, row_id))
		;
}

void
reef_application_sizes(const ReefApplication *application,
					   uint64_t *user_bytes, uint64_t *attached_bytes)
{
	*user_bytes = application->user_bytes + application->attached_bytes;
	*attached_bytes = application->attached_bytes;
}

void
reef_application_publish(ReefNamespace *ns, ReefApplication *application)
{
	ReefNamespaceShared *shared = ns->shared;
	ReefGeneration *generation = shared->active;
	ReefApplied *applied = application->applied;
	int			i;

	for (i = 0; i < application->layout_count; i++)
	{
		ReefLayout *layout = (ReefLayout *) (uintptr_t) application->layouts[i];

		atomic_store_explicit(&layout->is_published, true,
							  memory_order_release);
	}
	for (i = 0; i < application->insertion_count; i++)
		reef_skiplist_publish(&generation->rows, &application->insertions[i]);
	for (i = 0; i < application->attached_count; i++)
		publish_attached(generation, application->attached[i]);
	raise_row_id(shared, application->row_id_max);

	reef_namespace_lock(ns->host, shared, true);
	publish_aborts(shared, application);
	if (applied != NULL)
	{
		if (generation->last_applied == NULL)
		{
			generation->first_applied = applied;
			generation->first_applied_us = ns->host->now_us(ns->host->arg);
		}
		else
			generation->last_applied->next = applied;
		generation->last_applied = applied;
		if (generation->max_xid < applied->full_xid)
			generation->max_xid = applied->full_xid;
	}
	reef_namespace_unlock(ns->host, shared);
}
