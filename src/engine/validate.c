/*
 * validate.c
 *	  Do the conditions of the waiting transactions still hold?
 *
 * A transaction checked its conditions against a view: a manifest, and of the
 * memtable what its snapshot saw.  What may have come in between is exactly
 * what that view did not show: versions in the memtable, of transactions that
 * were running or came later.  They are all still there unless a fold has
 * moved them to segments and their generation was given up, which shows in
 * the chain's floor being above the manifest of that view; then, and after the
 * namespace was reopened, the key is looked up in full.
 *
 * Undecided transactions count as committed, and touching their keys is a
 * conflict: if the other one aborts, a retry succeeds; the reverse could not be
 * repaired [I7].  The frames of a batch are checked against each other in
 * their order, for they become visible together.
 */
#include "engine/maintenance.h"
#include "engine/segment_cache.h"

/* Keys that accepted frames of this batch touch. */
typedef struct BatchRange
{
	ReefSlice	key_min;
	ReefSlice	key_max;
	struct BatchRange *next;
} BatchRange;

/* Idempotency keys of accepted frames of this batch. */
typedef struct BatchKey
{
	ReefSlice	key;
	struct BatchKey *next;
} BatchKey;

typedef struct Validation
{
	ReefNamespace *ns;
	ReefArena  *arena;			/* of the batch */
	ReefView   *view;
	uint64_t	floor;			/* LSNs above it are in the view's generations */
	bool		is_single;		/* nobody else is in the batch */
	ReefSkipList touched;
	BatchRange *ranges;			/* of attached segments */
	BatchKey   *keys;
	ReefSchema	schema;			/* merged with the accepted frames' */
} Validation;

/* What the store and the memtable say about a key. */
typedef struct KeyState
{
	bool		is_known;		/* something was found, or looked for */
	bool		exists;
	bool		is_undecided;
	uint64_t	lsn;
} KeyState;

static void *
allocate_in_arena(void *arg, size_t size)
{
	return reef_arena_alloc(arg, size);
}

static ReefCode
conflict(ReefError *err, const char *detail)
{
	return reef_error_set(err, REEF_CONFLICT,
						  "could not serialize access due to concurrent update",
						  "%s", detail);
}

static ReefCode
key_exists(ReefError *err)
{
	return reef_error_set(err, REEF_KEY_EXISTS, "the key exists already",
						  NULL);
}

/* ---- one key ---- */

static bool
is_undecided(const Validation *validation, const ReefApplied *applied)
{
	const ReefHost *host = validation->ns->host;

	return applied->full_xid != 0 &&
		atomic_load(&applied->hint) == REEF_XID_IN_PROGRESS &&
		host->xid_state(host->arg, applied->full_xid) == REEF_XID_IN_PROGRESS;
}

static void
look_in_rows(const Validation *validation, ReefSlice key, KeyState *state)
{
	const ReefView *view = validation->view;
	int			i;

	for (i = view->generation_count - 1; i >= 0 && !state->is_known; i--)
	{
		ReefNode   *node = reef_skiplist_find(&view->generations[i]->rows, key);
		ReefVersion *version;

		if (node == NULL)
			continue;
		version = reef_view_version(view, node);
		if (version == NULL)
			continue;
		state->is_known = true;
		state->exists = version->op != REEF_OP_DELETE;
		state->lsn = version->applied->lsn;
		state->is_undecided = is_undecided(validation, version->applied);
	}
}

static bool
slice_within(ReefSlice key, ReefSlice min, ReefSlice max)
{
	return reef_slice_compare(key, min) >= 0 &&
		reef_slice_compare(key, max) <= 0;
}

/* Does the segment have a row (not a tombstone) with this key? */
static ReefCode
segment_has(const Validation *validation, const ReefSegmentMeta *meta,
			ReefSlice key, bool *has, ReefError *err)
{
	ReefSegment *segment;
	ReefRowPosition position;
	bool		is_tombstone;
	uint64_t	lsn;
	ReefCode	rc;

	*has = false;
	reef_segment_cache_set_namespace(validation->ns->segments,
									 validation->ns->shared->namespace_id);
	REEF_TRY(reef_segment_get(validation->ns->segments, meta,
							  &validation->schema, &segment, err));
	rc = reef_segment_find(segment, key, &position, &is_tombstone, &lsn, err);
	reef_segment_release(segment);
	if (rc == REEF_NOT_FOUND)
		return REEF_OK;
	*has = rc == REEF_OK && !is_tombstone;
	return rc;
}

/* Attached rows are older than other rows of the same record. */
static ReefCode
look_in_attached(const Validation *validation, ReefSlice key, KeyState *state,
				 ReefError *err)
{
	const ReefView *view = validation->view;
	int			i;

	for (i = 0; i < view->generation_count; i++)
	{
		ReefAttached *attached;

		attached = atomic_load(&view->generations[i]->first_attached);
		for (; attached != NULL; attached = atomic_load(&attached->next))
		{
			bool		has;

			if ((state->is_known && attached->applied->lsn <= state->lsn) ||
				!slice_within(key, attached->meta.key_min,
							  attached->meta.key_max) ||
				!reef_applied_visible(view, attached->applied))
				continue;
			REEF_TRY(segment_has(validation, &attached->meta, key, &has, err));
			if (!has)
				continue;
			state->is_known = true;
			state->exists = true;
			state->lsn = attached->applied->lsn;
			state->is_undecided = is_undecided(validation, attached->applied);
		}
	}
	return REEF_OK;
}

static bool
must_look_everywhere(const Validation *validation, const ReefFrame *frame)
{
	return frame->validated_lsn < validation->floor ||
		frame->incarnation != validation->view->incarnation;
}

static ReefCode
look_at_key(const Validation *validation, const ReefFrame *frame,
			ReefSlice key, KeyState *state, ReefError *err)
{
	ReefArena	arena;
	ReefCode	rc;

	memset(state, 0, sizeof(*state));
	look_in_rows(validation, key, state);
	REEF_TRY(look_in_attached(validation, key, state, err));
	if (state->is_known || !must_look_everywhere(validation, frame))
		return REEF_OK;

	reef_arena_init(&arena, 0);
	rc = reef_view_lookup(validation->view, key, NULL, 0, &arena, NULL,
						  &state->lsn, err);
	reef_arena_release(&arena);
	if (rc != REEF_OK && rc != REEF_NOT_FOUND)
		return rc;
	state->is_known = true;
	state->exists = rc == REEF_OK;
	return REEF_OK;
}

static ReefCode
check_condition(const ReefCondition *condition, const KeyState *state,
				ReefError *err)
{
	if (!state->is_known)
		return REEF_OK;			/* as the transaction found it */
	if (state->is_undecided)
		return conflict(err, "another transaction that wrote the same key has not ended yet");
	switch (condition->kind)
	{
		case REEF_CONDITION_NONE:
			return REEF_OK;
		case REEF_CONDITION_ABSENT:
			return state->exists ? key_exists(err) : REEF_OK;
		case REEF_CONDITION_LSN:
			if (state->exists && state->lsn == condition->lsn)
				return REEF_OK;
			return conflict(err, "the row was changed after it was read");
		case REEF_CONDITION_EXISTS:
			if (state->exists)
				return REEF_OK;
			return conflict(err, "the row was deleted after it was read");
	}
	return reef_error_set(err, REEF_BUG, "unknown condition", "%d",
						  (int) condition->kind);
}

/* ---- the batch ---- */

static ReefCode
check_batch(const Validation *validation, const ReefOp *op, ReefSlice key,
			ReefError *err)
{
	const BatchRange *range;
	ReefNode   *node;

	if (validation->is_single)
		return REEF_OK;
	node = reef_skiplist_find(&validation->touched, key);
	if (node != NULL && op->condition.kind == REEF_CONDITION_ABSENT &&
		reef_node_newest(node)->op != REEF_OP_DELETE)
		return key_exists(err);
	if (node != NULL)
		return conflict(err, "another transaction of the same record writes the same key");
	for (range = validation->ranges; range != NULL; range = range->next)
	{
		if (slice_within(key, range->key_min, range->key_max))
			return conflict(err, "another transaction of the same record loads rows in the key's range");
	}
	return REEF_OK;
}

static ReefCode
touch_key(Validation *validation, const ReefOp *op, ReefSlice key,
		  ReefError *err)
{
	ReefVersion *version;
	ReefInsertion insertion;

	version = reef_arena_calloc(validation->arena, sizeof(*version));
	if (version == NULL)
		return reef_error_no_memory(err, sizeof(*version));
	version->op = (uint8_t) op->kind;
	REEF_TRY(reef_skiplist_prepare(&validation->touched, key, version,
								   allocate_in_arena, validation->arena,
								   &insertion, err));
	reef_skiplist_publish(&validation->touched, &insertion);
	return REEF_OK;
}

static ReefCode
touch_range(Validation *validation, const ReefSegmentMeta *meta,
			ReefError *err)
{
	BatchRange *range = reef_arena_alloc(validation->arena, sizeof(*range));

	if (range == NULL)
		return reef_error_no_memory(err, sizeof(*range));
	range->key_min = reef_arena_copy(validation->arena, meta->key_min);
	range->key_max = reef_arena_copy(validation->arena, meta->key_max);
	range->next = validation->ranges;
	validation->ranges = range;
	return REEF_OK;
}

/* ---- attached segments ---- */

static bool
ranges_overlap(const ReefSegmentMeta *a, ReefSlice key_min, ReefSlice key_max)
{
	return reef_slice_compare(a->key_min, key_max) <= 0 &&
		reef_slice_compare(key_min, a->key_max) <= 0;
}

/* Two segments may have a key in common: too costly to find out for certain
 * here, and a retry will see the other's rows. */
static ReefCode
segments_conflict(ReefError *err)
{
	return conflict(err, "another transaction has loaded rows in the same range of keys");
}

static ReefCode
check_against_batch(const Validation *validation, const ReefSegmentMeta *meta,
					ReefError *err)
{
	const BatchRange *range;
	ReefNode   *node;

	if (validation->is_single)
		return REEF_OK;
	node = reef_skiplist_seek(&validation->touched, meta->key_min);
	if (node != NULL && reef_slice_compare(node->key, meta->key_max) <= 0)
		return segments_conflict(err);
	for (range = validation->ranges; range != NULL; range = range->next)
	{
		if (ranges_overlap(meta, range->key_min, range->key_max))
			return segments_conflict(err);
	}
	return REEF_OK;
}

/* Rows of the memtable that came after the transaction looked. */
static ReefCode
check_against_rows(const Validation *validation, const ReefFrame *frame,
				   const ReefOp *op, const ReefGeneration *generation,
				   ReefError *err)
{
	const ReefSegmentMeta *meta = op->segment;
	ReefNode   *node = reef_skiplist_seek(&generation->rows, meta->key_min);

	for (; node != NULL && reef_slice_compare(node->key, meta->key_max) <= 0;
		 node = reef_skiplist_next(node))
	{
		ReefVersion *version = reef_view_version(validation->view, node);
		bool		has;

		if (version == NULL || version->applied->lsn <= frame->validated_lsn)
			continue;
		REEF_TRY(segment_has(validation, meta, node->key, &has, err));
		if (!has)
			continue;
		if (op->condition.kind == REEF_CONDITION_ABSENT &&
			version->op != REEF_OP_DELETE &&
			!is_undecided(validation, version->applied))
			return key_exists(err);
		if (version->op != REEF_OP_DELETE ||
			is_undecided(validation, version->applied))
			return conflict(err, "a loaded row was written by another transaction meanwhile");
	}
	return REEF_OK;
}

static ReefCode
check_against_segments(const Validation *validation, const ReefFrame *frame,
					   const ReefSegmentMeta *meta, ReefError *err)
{
	const ReefView *view = validation->view;
	int			i;

	for (i = 0; i < view->generation_count; i++)
	{
		ReefAttached *attached;

		attached = atomic_load(&view->generations[i]->first_attached);
		for (; attached != NULL; attached = atomic_load(&attached->next))
		{
			if (attached->applied->lsn > frame->validated_lsn &&
				ranges_overlap(meta, attached->meta.key_min,
							   attached->meta.key_max) &&
				reef_applied_visible(view, attached->applied))
				return segments_conflict(err);
		}
	}
	if (view->loaded == NULL || !must_look_everywhere(validation, frame))
		return REEF_OK;
	for (i = 0; i < view->loaded->manifest.segment_count; i++)
	{
		const ReefSegmentMeta *base = &view->loaded->manifest.segments[i];

		if (base->lsn_max > frame->validated_lsn &&
			ranges_overlap(meta, base->key_min, base->key_max))
			return segments_conflict(err);
	}
	return REEF_OK;
}

static ReefCode
check_attach(const Validation *validation, const ReefFrame *frame,
			 const ReefOp *op, ReefError *err)
{
	int			key = reef_schema_key_column(&validation->schema, 1);
	int			i;

	/*
	 * Hidden keys are given out by one counter of the cluster and collide with
	 * nobody's as long as the counter lives.
	 */
	if (key >= 0 && strcmp(validation->schema.columns[key].name,
						   REEF_HIDDEN_KEY_COLUMN) == 0 &&
		frame->incarnation == validation->view->incarnation)
		return REEF_OK;
	REEF_TRY(check_against_batch(validation, op->segment, err));
	for (i = 0; i < validation->view->generation_count; i++)
		REEF_TRY(check_against_rows(validation, frame, op,
									validation->view->generations[i], err));
	return check_against_segments(validation, frame, op->segment, err);
}

/* ---- one frame ---- */

typedef struct FrameCheck
{
	Validation *validation;
	const ReefFrame *frame;
	ReefFrameReader reader;
	ReefArena	arena;
	ReefValue  *values;
	ReefBuf		key;
} FrameCheck;

static ReefCode
op_key(FrameCheck *check, const ReefOp *op, ReefSlice *key, ReefError *err)
{
	const ReefSchema *schema = &check->reader.header.schema;

	*key = op->key;
	if (op->kind != REEF_OP_PUT)
		return REEF_OK;
	REEF_TRY(reef_document_decode(op->document, schema->columns,
								  schema->column_count, check->values, err));
	reef_buf_reset(&check->key);
	REEF_TRY(reef_document_key(schema->columns, schema->column_count,
							   check->values, &check->key, err));
	*key = reef_buf_slice(&check->key);
	return reef_buf_check(&check->key, err);
}

static ReefCode
check_op(FrameCheck *check, const ReefOp *op, ReefError *err)
{
	ReefSlice	key;
	KeyState	state;

	if (op->kind == REEF_OP_ATTACH)
		return check_attach(check->validation, check->frame, op, err);
	if (op->kind != REEF_OP_PUT && op->kind != REEF_OP_PATCH &&
		op->kind != REEF_OP_DELETE)
		return reef_error_set(err, REEF_UNSUPPORTED,
							  "operation cannot be committed", "operation %d",
							  (int) op->kind);
	REEF_TRY(op_key(check, op, &key, err));
	REEF_TRY(look_at_key(check->validation, check->frame, key, &state, err));
	REEF_TRY(check_condition(&op->condition, &state, err));
	return check_batch(check->validation, op, key, err);
}

static ReefCode
accept_op(FrameCheck *check, const ReefOp *op, ReefError *err)
{
	ReefSlice	key;

	if (op->kind == REEF_OP_ATTACH)
		return touch_range(check->validation, op->segment, err);
	REEF_TRY(op_key(check, op, &key, err));
	return touch_key(check->validation, op, key, err);
}

static ReefCode
for_each_op(FrameCheck *check,
			ReefCode (*visit) (FrameCheck *, const ReefOp *, ReefError *),
			ReefError *err)
{
	ReefSlice	bytes = reef_slice(check->frame->bytes,
								   check->frame->wal_size);
	ReefCode	rc = REEF_OK;

	REEF_TRY(reef_frame_reader_init(&check->reader, bytes, &check->arena,
									err));
	check->values = reef_arena_alloc(&check->arena, sizeof(*check->values) *
									 ((size_t) check->reader.header.schema.column_count + 1));
	if (check->values == NULL)
		return reef_error_no_memory(err, sizeof(*check->values));
	while (rc == REEF_OK)
	{
		ReefOp		op;

		rc = reef_frame_reader_next(&check->reader, &op, err);
		if (rc == REEF_OK)
			rc = visit(check, &op, err);
		else if (rc == REEF_NOT_FOUND)
			return REEF_OK;
	}
	return rc;
}

static ReefCode
check_schema(FrameCheck *check, ReefError *err)
{
	Validation *validation = check->validation;
	ReefSlice	bytes = reef_slice(check->frame->bytes,
								   check->frame->wal_size);
	ReefSchema	merged;
	bool		changed;

	REEF_TRY(reef_frame_reader_init(&check->reader, bytes, &check->arena,
									err));
	REEF_TRY(reef_schema_merge(validation->arena, &validation->schema,
							   &check->reader.header.schema, &merged, &changed,
							   err));
	if (changed)
		validation->schema = merged;
	return REEF_OK;
}

/*
 * What commits a key that is committed already is a repetition, whatever it
 * writes [I6].  Undecided counts as committed here too.
 */
static ReefCode
check_idempotency(const FrameCheck *check, ReefError *err)
{
	const Validation *validation = check->validation;
	ReefSlice	key = check->reader.header.idempotency_key;
	const BatchKey *other;
	bool		is_known;

	if (key.size == 0)
		return REEF_OK;
	is_known = reef_idempotency_is_known(validation->view, key);
	for (other = validation->keys; other != NULL; other = other->next)
		is_known |= reef_slice_equal(other->key, key);
	if (is_known)
		return reef_error_set(err, REEF_CONFLICT,
							  "another transaction has used the same idempotency key meanwhile",
							  "namespace \"%s\"", validation->ns->name);
	return REEF_OK;
}

static ReefCode
accept_idempotency(Validation *validation, ReefSlice key, ReefError *err)
{
	BatchKey   *batch_key;

	if (key.size == 0)
		return REEF_OK;
	batch_key = reef_arena_alloc(validation->arena, sizeof(*batch_key));
	if (batch_key == NULL)
		return reef_error_no_memory(err, sizeof(*batch_key));
	batch_key->key = reef_arena_copy(validation->arena, key);
	batch_key->next = validation->keys;
	validation->keys = batch_key;
	return REEF_OK;
}

/*
 * A frame that decides for other namespaces must be put before any fence that
 * came after their frames: whoever put one may have found it missing, and have
 * voided theirs (decide.c).
 */
static ReefCode
check_term(const Validation *validation, const ReefFrame *frame,
			ReefError *err)
{
	const ReefNamespaceShared *shared = validation->ns->shared;

	if (frame->decider_term == 0 ||
		(frame->decider_term == shared->writer_lsn &&
		 memcmp(frame->decider_namespace, shared->namespace_id,
				sizeof(frame->decider_namespace)) == 0))
		return REEF_OK;
	return reef_error_set(err, REEF_FENCED,
						  "the namespace was taken over during the commit",
						  "namespace \"%s\" decides a transaction over several namespaces",
						  validation->ns->name);
}

static ReefCode
validate_frame(Validation *validation, const ReefFrame *frame, ReefError *err)
{
	FrameCheck	check = {.validation = validation, .frame = frame};
	ReefCode	rc;

	REEF_TRY(check_term(validation, frame, err));
	if (frame->has_outputs)
		REEF_TRY(reef_output_base_check(validation->ns, &frame->outputs, err));
	reef_arena_init(&check.arena, 0);
	reef_buf_init(&check.key);
	rc = check_schema(&check, err);
	if (rc == REEF_OK)
		rc = check_idempotency(&check, err);
	if (rc == REEF_OK)
		rc = for_each_op(&check, check_op, err);
	if (rc == REEF_OK && !validation->is_single)
		rc = for_each_op(&check, accept_op, err);
	if (rc == REEF_OK && !validation->is_single)
		rc = accept_idempotency(validation,
								check.reader.header.idempotency_key, err);
	reef_buf_release(&check.key);
	reef_arena_release(&check.arena);
	return rc;
}

/* Is it the frame that is wrong, or could we not find out? */
static bool
is_verdict(ReefCode rc)
{
	return rc == REEF_CONFLICT || rc == REEF_KEY_EXISTS || rc == REEF_FENCED ||
		rc == REEF_TYPE_MISMATCH || rc == REEF_COLUMN_MISMATCH ||
		rc == REEF_UNSUPPORTED || rc == REEF_CORRUPT;
}

ReefCode
reef_frames_validate(ReefNamespace *ns, ReefFrame **frames, int count,
					 ReefArena *arena, ReefError *err)
{
	Validation	validation = {.ns = ns, .arena = arena};
	ReefCode	rc;
	int			i;

	REEF_TRY(reef_skiplist_init(&validation.touched, allocate_in_arena, arena,
								1, err));
	REEF_TRY(reef_view_pin_present(ns, &validation.view, err));
	validation.is_single = count == 1;
	validation.floor = validation.view->generations[0]->lsn_from;
	rc = reef_schema_copy(arena, reef_view_schema(validation.view),
						  &validation.schema, err);
	for (i = 0; i < count && rc == REEF_OK; i++)
	{
		rc = validate_frame(&validation, frames[i], err);
		if (is_verdict(rc))
		{
			reef_frame_finish(frames[i], REEF_FRAME_REJECTED, err);
			rc = REEF_OK;
		}
	}
	reef_view_unpin(validation.view);
	return rc;
}
