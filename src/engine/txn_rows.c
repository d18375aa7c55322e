/*
 * txn_rows.c
 *	  Insert, update, delete: what a transaction finds, and what it notes.
 *
 * Whether a key is there is asked first of the transaction's own rows, then of
 * its segments, then of a view as of now.  In that view a transaction that has
 * not ended yet counts as committed: a key that it wrote exists, where a heap
 * table would wait for it (the row locks of the caller do that), and one that
 * it deleted is a conflict.  Commit repeats the checks for whatever came after
 * the transaction's first one (validated_lsn).
 *
 * A row that the same command, or a later one, has changed already is left
 * alone, as is one that an older cursor returned and that this transaction
 * has changed since: PostgreSQL calls both self-modified.
 */
#include "engine/txn_state.h"

/* Microseconds from 1970-01-01 to 2000-01-01: hidden keys count from there. */
#define EPOCH_2000_US INT64_C(946684800000000)

/* What this transaction, or else the namespace, has under a key. */
typedef struct KeyState
{
	bool		exists;
	bool		is_own;			/* this transaction wrote it */
	uint32_t	cid;			/* own: by this command */
	uint64_t	lsn;			/* not own: of the row */
	ReefVersion *version;		/* own, in the buffer */
} KeyState;

/* ---- keys ---- */

static int64_t
next_row_id(ReefTxn *txn)
{
	const ReefHost *host = txn->ns->host;
	_Atomic int64_t *last = &txn->ns->shared->last_row_id;
	int64_t		now = host->now_us(host->arg) - EPOCH_2000_US;
	int64_t		seen = atomic_load(last);
	int64_t		id;

	do
	{
		id = seen + 1 > now ? seen + 1 : now;
	} while (!atomic_compare_exchange_weak(last, &seen, id));
	return id;
}

/*
 * The whole row in the kinds of txn->schema, the hidden key included; "values"
 * itself if there is nothing to change in it.
 */
static const ReefValue *
complete_row(ReefTxn *txn, const ReefValue *values)
{
	int			i;

	if (txn->hidden_column < 0 && !txn->has_declared)
		return values;
	memcpy(txn->values, values,
		   sizeof(ReefValue) * (size_t) txn->value_count);
	for (i = 0; txn->has_declared && i < txn->value_count; i++)
	{
		if (txn->declared[i].kind != 0 &&
			txn->declared[i].kind != txn->schema.columns[i].type.kind)
			reef_value_widen(&txn->declared[i], &txn->schema.columns[i].type,
							 &txn->values[i]);
	}
	return txn->values;
}

static void
set_hidden_key(ReefTxn *txn, int64_t id)
{
	memset(&txn->values[txn->hidden_column], 0, sizeof(ReefValue));
	txn->values[txn->hidden_column].as.int64 = id;
}

static ReefCode
encode_key(ReefTxn *txn, const ReefValue *row, ReefSlice *key, ReefError *err)
{
	int			i;

	reef_buf_reset(&txn->key);
	for (i = 0; i < txn->key_count; i++)
	{
		const ReefColumn *column = &txn->schema.columns[txn->key_columns[i]];

		if (row[txn->key_columns[i]].is_null)
			return reef_error_set(err, REEF_INVALID,
								  "a key column must not be null",
								  "column \"%s\"", column->name);
		reef_key_append(&txn->key, column->type.kind,
						&row[txn->key_columns[i]]);
	}
	REEF_TRY(reef_buf_check(&txn->key, err));
	if (txn->key.size > REEF_KEY_MAX_SIZE)
		return reef_error_set(err, REEF_LIMIT, "key is too large",
							  "it has %zu bytes, the limit is %d",
							  txn->key.size, REEF_KEY_MAX_SIZE);
	*key = reef_buf_slice(&txn->key);
	return REEF_OK;
}

static ReefCode
find_own(ReefTxn *txn, ReefSlice key, KeyState *state, ReefError *err)
{
	ReefNode   *node = reef_own_rows_find(txn->rows, key);
	ReefOwnSegment *own;
	ReefSegment *segment;
	ReefRowPosition position;

	memset(state, 0, sizeof(*state));
	if (node != NULL)
		state->version = reef_own_newest(node);
	if (state->version != NULL)
	{
		state->is_own = true;
		state->exists = state->version->op != REEF_OP_DELETE;
		state->cid = state->version->cid;
		return REEF_OK;
	}
	if (txn->segments == NULL)
		return REEF_OK;
	REEF_TRY(reef_txn_find_in_segments(txn, key, &own, &segment, &position,
									   err));
	if (own == NULL)
		return REEF_OK;
	reef_segment_release(segment);
	state->is_own = true;
	state->exists = true;
	state->cid = own->cid_max;
	return REEF_OK;
}

static bool
is_undecided(const ReefHost *host, const ReefApplied *applied)
{
	return applied->full_xid != 0 &&
		atomic_load(&applied->hint) == REEF_XID_IN_PROGRESS &&
		host->xid_state(host->arg, applied->full_xid) == REEF_XID_IN_PROGRESS;
}

/* The newest row above "after_lsn" that is not ours. */
static ReefCode
find_stored(ReefTxn *txn, ReefSlice key, uint64_t after_lsn, KeyState *state,
			ReefError *err)
{
	ReefLocation location;
	bool		undecided = false;
	ReefCode	rc;

	REEF_TRY(reef_txn_refresh_view(txn, err));
	rc = reef_view_locate(txn->view, key, after_lsn, &location, err);
	if (rc != REEF_OK)
		return rc == REEF_NOT_FOUND ? REEF_OK : rc;
	if (location.is_deleted && location.version != NULL)
		undecided = is_undecided(txn->ns->host, location.version->applied);
	reef_segment_release(location.segment);
	if (undecided)
		return reef_error_set(err, REEF_CONFLICT,
							  "could not serialize access due to concurrent delete",
							  NULL);
	state->exists = !location.is_deleted;
	state->lsn = location.lsn;
	return REEF_OK;
}

/* ---- versions ---- */

/*
 * Put a version on top of a key's chain.  row is NULL for a delete.  The
 * condition counts only if the version is the first live one of its chain.
 */
static ReefCode
add_version(ReefTxn *txn, ReefTxnPoint point, ReefSlice key,
			const KeyState *state, const ReefValue *row,
			ReefOwnVersion **result, ReefError *err)
{
	ReefOwnVersion *own = reef_arena_calloc(&txn->rows->arena, sizeof(*own));
	ReefVersion *version;

	if (own == NULL)
		return reef_error_no_memory(err, sizeof(*own));
	version = &own->version;
	version->op = row == NULL ? REEF_OP_DELETE : REEF_OP_PUT;
	version->level = point.level;
	version->cid = point.cid;
	version->layout = txn->layout;
	if (state->is_own)
		version->condition = REEF_CONDITION_NONE;
	else if (state->exists)
	{
		version->condition = REEF_CONDITION_LSN;
		version->base_lsn = state->lsn;
	}
	else
		version->condition = REEF_CONDITION_ABSENT;
	if (row != NULL)
	{
		reef_buf_reset(&txn->document);
		reef_document_append(&txn->document, txn->schema.columns,
							 txn->schema.column_count, row);
		REEF_TRY(reef_buf_check(&txn->document, err));
		if (txn->document.size > REEF_DOCUMENT_MAX_SIZE)
			return reef_error_set(err, REEF_LIMIT, "row is too large",
								  "it has %zu bytes, the limit is %d",
								  txn->document.size, REEF_DOCUMENT_MAX_SIZE);
		version->document = reef_arena_copy(&txn->rows->arena,
											reef_buf_slice(&txn->document));
		if (version->document.size != txn->document.size)
			return reef_error_no_memory(err, txn->document.size);
	}
	REEF_TRY(reef_own_rows_add(txn->rows, key, version, err));
	txn->written_bytes += key.size + version->document.size;
	*result = own;
	return reef_txn_note(txn, point.level, own, err);
}

static ReefCode
spill_if_full(ReefTxn *txn, ReefTxnPoint point, ReefError *err)
{
	if (txn->rows->arena.size <= txn->spill_size)
		return REEF_OK;
	return reef_txn_spill(txn, point.cid, err);
}

ReefCode
reef_txn_insert(ReefTxn *txn, ReefTxnPoint point, const ReefValue *values,
				ReefInsertMode mode, bool *inserted, ReefError *err)
{
	const ReefValue *row = complete_row(txn, values);
	ReefOwnVersion *version;
	KeyState	state;
	ReefSlice	key;

	*inserted = false;
	if (txn->hidden_column >= 0)
		set_hidden_key(txn, next_row_id(txn));
	REEF_TRY(encode_key(txn, row, &key, err));
	if (txn->hidden_column >= 0)
		memset(&state, 0, sizeof(state));
	else
	{
		REEF_TRY(find_own(txn, key, &state, err));
		if (!state.is_own)
			REEF_TRY(find_stored(txn, key, 0, &state, err));
	}
	if (state.exists)
	{
		if (mode == REEF_INSERT_ERROR)
			return reef_error_set(err, REEF_KEY_EXISTS,
								  "the key exists already", NULL);
		if (mode == REEF_INSERT_NOTHING ||
			(state.is_own && state.cid >= point.cid))
			return REEF_OK;
	}
	REEF_TRY(add_version(txn, point, key, &state, row, &version, err));
	*inserted = true;
	return spill_if_full(txn, point, err);
}

/*
 * Find the row that a scan returned.  *is_there is false if this transaction
 * has changed it since, or is doing so.
 */
static ReefCode
find_scanned(ReefTxn *txn, ReefTxnPoint point, const ReefRowId *old,
			 KeyState *state, bool *is_there, ReefError *err)
{
	REEF_TRY(find_own(txn, old->key, state, err));
	if (state->is_own)
	{
		*is_there = state->exists && state->cid < point.cid && old->lsn == 0;
		return REEF_OK;
	}
	*is_there = true;
	if (old->lsn != 0)
		REEF_TRY(find_stored(txn, old->key, old->lsn, state, err));
	if (old->lsn == 0 || state->lsn != 0)
		return reef_error_set(err, REEF_CONFLICT,
							  "could not serialize access due to concurrent update",
							  "the row was changed after it was read");
	state->exists = true;
	state->lsn = old->lsn;
	return REEF_OK;
}

/* The columns that the writing table may not know, from the row as it is. */
static ReefCode
read_stored(ReefTxn *txn, const ReefRowId *old, const KeyState *state,
			ReefArena *arena, ReefValue *stored, ReefError *err)
{
	int			count = txn->schema.column_count;
	ReefOwnSegment *own;
	ReefSegment *segment;
	ReefRowPosition position;
	uint64_t	lsn;
	ReefCode	rc;

	if (state->version != NULL)
	{
		const ReefSchema *layout = &state->version->layout->schema;
		ReefValue  *all;
		int			i;

		all = reef_arena_calloc(arena, sizeof(ReefValue) *
								(size_t) (layout->column_count + 1));
		if (all == NULL)
			return reef_error_no_memory(err, sizeof(ReefValue));
		REEF_TRY(reef_document_decode(state->version->document,
									  layout->columns, layout->column_count,
									  all, err));
		for (i = 0; i < count; i++)
		{
			int			from = reef_schema_find(layout,
												txn->schema.columns[i].name);

			memset(&stored[i], 0, sizeof(stored[i]));
			stored[i].is_null = true;
			if (from < 0)
				continue;
			stored[i] = all[from];
			reef_value_widen(&layout->columns[from].type,
							 &txn->schema.columns[i].type, &stored[i]);
		}
		return REEF_OK;
	}
	if (!state->is_own)
	{
		rc = reef_view_lookup(txn->view, old->key, txn->schema.columns, count,
							  arena, stored, &lsn, err);
		if (rc == REEF_NOT_FOUND)
			rc = reef_error_set(err, REEF_CONFLICT,
								"could not serialize access due to concurrent delete",
								NULL);
		return rc;
	}
	REEF_TRY(reef_txn_find_in_segments(txn, old->key, &own, &segment,
									   &position, err));
	if (own == NULL)
		return reef_error_set(err, REEF_BUG, "a row of our own is gone", NULL);
	rc = reef_segment_document(segment, &position, txn->schema.columns, count,
							   arena, stored, err);
	reef_segment_release(segment);
	return rc;
}

/*
 * The row as it will be, in txn->values where it differs from what was passed
 * in.  Bytes may be in the arena.
 */
static ReefCode
complete_update(ReefTxn *txn, const ReefRowId *old, const KeyState *state,
				const ReefValue *values, const bool *changed,
				ReefArena *arena, const ReefValue **result, ReefError *err)
{
	const ReefValue *row = complete_row(txn, values);
	ReefReader	key;
	ReefValue	id;
	int			i;

	if (txn->hidden_column >= 0)
	{
		reef_reader_init(&key, old->key);
		if (!reef_key_read(&key, REEF_KIND_INT64, &txn->unescaped, &id))
			return reef_error_set(err, REEF_BUG, "not a hidden key", NULL);
		set_hidden_key(txn, id.as.int64);
	}
	*result = row;
	if (txn->has_partial)
	{
		ReefValue  *stored = reef_arena_calloc(arena, sizeof(ReefValue) *
											   (size_t) txn->schema.column_count);

		if (stored == NULL)
			return reef_error_no_memory(err, sizeof(ReefValue));
		REEF_TRY(read_stored(txn, old, state, arena, stored, err));
		if (row == values)
			memcpy(txn->values, values,
				   sizeof(ReefValue) * (size_t) txn->value_count);
		for (i = 0; i < txn->value_count; i++)
		{
			if (txn->is_partial[i] && !changed[i])
				txn->values[i] = stored[i];
		}
		*result = txn->values;
	}
	return REEF_OK;
}

/* Note which columns differ: the record needs no others. */
static ReefCode
set_patch(ReefTxn *txn, ReefVersion *version, const bool *changed,
		  ReefError *err)
{
	uint16_t   *columns;
	int			count = 0;
	int			i;

	for (i = 0; i < txn->value_count; i++)
		count += changed[i];
	if (count == 0)
		return REEF_OK;			/* the whole document, then */
	columns = reef_arena_alloc(&txn->rows->arena,
							   sizeof(uint16_t) * (size_t) count);
	if (columns == NULL)
		return reef_error_no_memory(err, sizeof(uint16_t));
	version->patch_columns = columns;
	version->patch_column_count = count;
	for (i = 0; i < txn->value_count; i++)
	{
		if (changed[i])
			*columns++ = (uint16_t) i;
	}
	return REEF_OK;
}

/* The key changes: the old row goes, a new one comes. */
static ReefCode
move_row(ReefTxn *txn, ReefTxnPoint point, const ReefRowId *old,
		 const KeyState *old_state, ReefSlice key, const ReefValue *row,
		 ReefError *err)
{
	ReefOwnVersion *version;
	KeyState	state;

	REEF_TRY(find_own(txn, key, &state, err));
	if (!state.is_own)
		REEF_TRY(find_stored(txn, key, 0, &state, err));
	if (state.exists)
		return reef_error_set(err, REEF_KEY_EXISTS, "the key exists already",
							  NULL);
	REEF_TRY(add_version(txn, point, old->key, old_state, NULL, &version,
						 err));
	return add_version(txn, point, key, &state, row, &version, err);
}

ReefCode
reef_txn_update(ReefTxn *txn, ReefTxnPoint point, const ReefRowId *old,
				const ReefValue *values, const bool *changed, bool *applied,
				ReefError *err)
{
	const ReefValue *row = NULL;
	ReefOwnVersion *version;
	ReefSlice	key;
	KeyState	state;
	ReefArena	arena;
	ReefCode	rc;

	REEF_TRY(find_scanned(txn, point, old, &state, applied, err));
	if (!*applied)
		return REEF_OK;
	reef_arena_init(&arena, 0);
	rc = complete_update(txn, old, &state, values, changed, &arena, &row, err);
	if (rc == REEF_OK)
		rc = encode_key(txn, row, &key, err);
	if (rc == REEF_OK && !reef_slice_equal(key, old->key))
		rc = move_row(txn, point, old, &state, key, row, err);
	else if (rc == REEF_OK)
	{
		rc = add_version(txn, point, key, &state, row, &version, err);
		if (rc == REEF_OK)
			rc = set_patch(txn, &version->version, changed, err);
	}
	reef_arena_release(&arena);
	if (rc != REEF_OK)
		return rc;
	return spill_if_full(txn, point, err);
}

ReefCode
reef_txn_delete(ReefTxn *txn, ReefTxnPoint point, const ReefRowId *old,
				bool *applied, ReefError *err)
{
	ReefOwnVersion *version;
	KeyState	state;

	REEF_TRY(find_scanned(txn, point, old, &state, applied, err));
	if (!*applied)
		return REEF_OK;
	REEF_TRY(add_version(txn, point, old->key, &state, NULL, &version, err));
	return spill_if_full(txn, point, err);
}
