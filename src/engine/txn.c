/*
 * txn.c
 *	  One transaction's writes to one namespace: columns, levels, segments.
 *
 * A transaction writes for one table or for several that share the namespace,
 * each with columns of its own.  Its schema is what is stored merged with all
 * of them, so that a row always is written with every column: those that its
 * table does not know are read from the row that is there.
 */
#include "engine/txn_state.h"

#include <assert.h>
#include <stdlib.h>

/* Objects that freeing a transaction deletes at most; GC finds the rest. */
#define DELETES_MAX 16

/* ---- columns ---- */

static const ReefType hidden_key_type = {REEF_KIND_INT64, 0, 0, -1, "bigint"};

/* What a table declares, with the hidden key if it has none of its own. */
static ReefCode
with_key(ReefTxn *txn, const ReefSchema *schema, ReefSchema *result,
		 ReefError *err)
{
	ReefColumn *key;

	*result = *schema;
	if (reef_schema_key_count(schema) > 0)
		return REEF_OK;
	result->columns = reef_arena_calloc(&txn->arena, sizeof(ReefColumn) *
										(size_t) (schema->column_count + 1));
	if (result->columns == NULL)
		return reef_error_no_memory(err, sizeof(ReefColumn));
	if (schema->column_count > 0)
		memcpy(result->columns, schema->columns,
			   sizeof(ReefColumn) * (size_t) schema->column_count);
	key = &result->columns[result->column_count++];
	key->name = REEF_HIDDEN_KEY_COLUMN;
	key->type = hidden_key_type;
	key->key_position = 1;
	key->not_null = true;
	return REEF_OK;
}

/* The hidden key goes last, so that it is in nobody's way when columns are
 * added. */
static void
move_hidden_key(ReefTxn *txn)
{
	int			last = txn->schema.column_count - 1;
	int			place = reef_schema_find(&txn->schema, REEF_HIDDEN_KEY_COLUMN);
	ReefColumn	key;

	txn->hidden_column = place < 0 ? -1 : last;
	txn->value_count = place < 0 ? last + 1 : last;
	if (place < 0 || place == last)
		return;
	key = txn->schema.columns[place];
	memmove(&txn->schema.columns[place], &txn->schema.columns[place + 1],
			sizeof(ReefColumn) * (size_t) (last - place));
	txn->schema.columns[last] = key;
}

/* Everything that follows from txn->schema. */
static ReefCode
set_schema(ReefTxn *txn, const ReefSchema *schema, int old_count,
		   ReefError *err)
{
	size_t		count = (size_t) schema->column_count + 1;
	ReefType   *declared = reef_arena_calloc(&txn->arena,
											 sizeof(ReefType) * count);
	bool	   *is_partial = reef_arena_calloc(&txn->arena, count);
	ReefLayout *layout = reef_arena_calloc(&txn->arena, sizeof(*layout));
	ReefValue  *values = reef_arena_calloc(&txn->arena,
										   sizeof(ReefValue) * count);
	int		   *keys = reef_arena_calloc(&txn->arena, sizeof(int) * count);
	int			i;

	if (declared == NULL || is_partial == NULL || layout == NULL ||
		values == NULL || keys == NULL)
		return reef_error_no_memory(err, sizeof(ReefValue) * count);
	txn->schema = *schema;
	move_hidden_key(txn);
	if (old_count > 0)
	{
		memcpy(declared, txn->declared, sizeof(ReefType) * (size_t) old_count);
		memcpy(is_partial, txn->is_partial, (size_t) old_count);
	}
	/* what the tables so far did not bring with them they do not know */
	for (i = old_count; i < txn->value_count; i++)
		is_partial[i] = txn->schema_count > 0;
	txn->declared = declared;
	txn->is_partial = is_partial;
	txn->values = values;
	txn->key_columns = keys;
	txn->key_count = reef_schema_key_count(&txn->schema);
	for (i = 0; i < txn->key_count; i++)
	{
		keys[i] = reef_schema_key_column(&txn->schema, i + 1);
		if (keys[i] < 0)
			return reef_error_set(err, REEF_INVALID, "key has a gap",
								  "at position %d", i + 1);
	}
	layout->schema = txn->schema;
	atomic_init(&layout->is_published, true);
	txn->layout = layout;
	return REEF_OK;
}

/*
 * Values arrive in the kinds of the tables' declarations, and nothing says
 * which table a row is from: two tables that declare one column differently
 * cannot be told apart.
 */
static ReefCode
note_declared(ReefTxn *txn, const ReefSchema *declared, int *column_map,
			  ReefError *err)
{
	int			i;

	for (i = 0; i < txn->value_count; i++)
	{
		if (reef_schema_find(declared, txn->schema.columns[i].name) < 0)
			txn->is_partial[i] = true;
	}
	txn->has_partial = false;
	for (i = 0; i < txn->value_count; i++)
		txn->has_partial |= txn->is_partial[i];

	txn->has_declared = false;
	for (i = 0; i < declared->column_count; i++)
	{
		int			place = reef_schema_find(&txn->schema,
											 declared->columns[i].name);
		const ReefType *type = &declared->columns[i].type;

		if (column_map != NULL)
			column_map[i] = place;
		if (place == txn->hidden_column)
			continue;
		if (txn->declared[place].kind != 0 &&
			txn->declared[place].kind != type->kind)
			return reef_error_set(err, REEF_TYPE_MISMATCH,
								  "column type differs from another table's",
								  "column \"%s\" is declared as %s and as %s by tables that this transaction writes to",
								  declared->columns[i].name,
								  reef_kind_name(txn->declared[place].kind),
								  reef_kind_name(type->kind));
		txn->declared[place] = *type;
		txn->declared[place].pg_type =
			txn->schema.columns[place].type.pg_type;
	}
	for (i = 0; i < txn->value_count; i++)
		txn->has_declared |= txn->declared[i].kind != 0 &&
			txn->declared[i].kind != txn->schema.columns[i].type.kind;
	txn->schema_count++;
	return REEF_OK;
}

ReefCode
reef_txn_add_schema(ReefTxn *txn, const ReefSchema *schema, int *column_map,
					ReefError *err)
{
	int			old_count = txn->value_count;
	ReefSchema	declared;
	ReefSchema	merged;
	bool		changed;

	if (schema->column_count == 0 && txn->schema_count > 0)
		return REEF_OK;
	REEF_TRY(with_key(txn, schema, &declared, err));
	REEF_TRY(reef_schema_merge(&txn->arena, &txn->schema, &declared, &merged,
							   &changed, err));
	if (changed || txn->layout == NULL)
		REEF_TRY(set_schema(txn, &merged, old_count, err));
	return note_declared(txn, schema, column_map, err);
}

int
reef_txn_column_count(const ReefTxn *txn)
{
	return txn->value_count;
}

/* ---- new and free ---- */

ReefCode
reef_txn_refresh_view(ReefTxn *txn, ReefError *err)
{
	ReefNamespaceShared *shared = txn->ns->shared;
	bool		is_current;

	if (txn->view != NULL)
	{
		/* a hint: commit checks whatever comes after the view */
		is_current =
			__atomic_load_n(&shared->last_lsn, __ATOMIC_ACQUIRE) ==
			txn->view->lsn &&
			__atomic_load_n(&shared->incarnation, __ATOMIC_ACQUIRE) ==
			txn->view->incarnation;
		if (is_current)
			return REEF_OK;
		reef_view_unpin(txn->view);
		txn->view = NULL;
	}
	REEF_TRY(reef_view_pin(txn->ns, NULL,
						   txn->has_validated ? INT64_MAX : 0, &txn->view,
						   err));
	txn->view->sees_in_progress = true;
	if (!txn->has_validated)
	{
		txn->validated_lsn = txn->view->lsn;
		txn->incarnation = txn->view->incarnation;
		txn->has_validated = true;
	}
	return REEF_OK;
}

ReefCode
reef_txn_new(ReefNamespace *ns, const ReefSchema *schema, ReefTxn **result,
			 ReefError *err)
{
	ReefTxn    *txn;
	uint64_t	seed;
	ReefCode	rc;

	*result = NULL;
	if (reef_store_is_read_only(ns->store))
		return reef_error_set(err, REEF_READ_ONLY,
							  "the store is attached read-only",
							  "namespace \"%s\"", ns->name);
	txn = calloc(1, sizeof(*txn));
	if (txn == NULL)
		return reef_error_no_memory(err, sizeof(*txn));
	txn->ns = ns;
	txn->hidden_column = -1;
	txn->pending = -1;
	txn->spill_size = ns->settings->transaction_buffer_size;
	reef_arena_init(&txn->arena, 0);
	reef_buf_init(&txn->key);
	reef_buf_init(&txn->document);
	reef_buf_init(&txn->unescaped);
	ns->host->random(ns->host->arg, &seed, sizeof(seed));

	rc = reef_own_rows_new(&txn->rows, seed, err);
	if (rc == REEF_OK)
		rc = reef_txn_refresh_view(txn, err);
	if (rc == REEF_OK)
		rc = reef_schema_copy(&txn->arena, &txn->view->schema, &txn->schema,
							  err);
	if (rc == REEF_OK && txn->schema.column_count > 0)
		move_hidden_key(txn);
	/* nobody has declared anything yet */
	txn->value_count = 0;
	if (rc == REEF_OK)
		rc = reef_txn_add_schema(txn, schema, NULL, err);
	if (rc != REEF_OK)
	{
		reef_txn_free(txn);
		return rc;
	}
	*result = txn;
	return REEF_OK;
}

/*
 * Delete segments that no record can name.  Once a frame was prepared its
 * fate is not ours to know, and the collector decides.
 */
static void
delete_segments(ReefTxn *txn)
{
	ReefOwnSegment *own;
	int			left = DELETES_MAX;

	for (own = txn->segments; own != NULL && left > 0; own = own->older)
	{
		char		key[REEF_OBJECT_KEY_SIZE];
		ReefError	ignored;

		if (txn->is_prepared && !own->is_dead)
			continue;
		reef_error_init(&ignored);
		reef_layout_segment_key(txn->ns->prefix, own->meta.id, key);
		if (reef_store_delete(txn->ns->store, key, &ignored) != REEF_OK)
			break;
		left--;
	}
}

void
reef_txn_free(ReefTxn *txn)
{
	if (txn == NULL)
		return;
	delete_segments(txn);
	reef_pending_end(txn->ns, &txn->pending);
	reef_view_unpin(txn->view);
	reef_own_rows_unpin(txn->rows);
	reef_buf_release(&txn->key);
	reef_buf_release(&txn->document);
	reef_buf_release(&txn->unescaped);
	reef_arena_release(&txn->arena);
	free(txn->levels);
	free(txn);
}

ReefOwnRows *
reef_own_rows_pin(ReefTxn *txn)
{
	txn->rows->references++;
	return txn->rows;
}

const ReefSchema *
reef_txn_schema(const ReefTxn *txn)
{
	return &txn->schema;
}

const ReefOwnSegment *
reef_txn_segments(const ReefTxn *txn)
{
	return txn->segments;
}

ReefCode
reef_txn_find_in_segments(ReefTxn *txn, ReefSlice key, ReefOwnSegment **result,
						  ReefSegment **segment, ReefRowPosition *position,
						  ReefError *err)
{
	ReefOwnSegment *own;

	*result = NULL;
	for (own = txn->segments; own != NULL; own = own->older)
	{
		bool		is_tombstone;
		uint64_t	lsn;
		ReefCode	rc;

		if (own->is_dead ||
			reef_slice_compare(key, own->meta.key_min) < 0 ||
			reef_slice_compare(key, own->meta.key_max) > 0)
			continue;
		reef_segment_cache_set_namespace(txn->ns->segments,
										 txn->ns->shared->namespace_id);
		REEF_TRY(reef_segment_get(txn->ns->segments, &own->meta, &txn->schema,
								  segment, err));
		rc = reef_segment_find(*segment, key, position, &is_tombstone, &lsn,
							   err);
		if (rc == REEF_OK)
		{
			*result = own;
			return REEF_OK;
		}
		reef_segment_release(*segment);
		if (rc != REEF_NOT_FOUND)
			return rc;
	}
	return REEF_OK;
}

/* ---- levels ---- */

void
reef_txn_level_append(ReefTxnLevel *level, ReefOwnVersion *version)
{
	version->next_in_level = NULL;
	if (level->last == NULL)
		level->first = version;
	else
		level->last->next_in_level = version;
	level->last = version;
}

ReefCode
reef_txn_note(ReefTxn *txn, int level, ReefOwnVersion *version,
			  ReefError *err)
{
	ReefTxnLevel *top = NULL;

	if (txn->level_count > 0)
		top = &txn->levels[txn->level_count - 1];
	if (top == NULL || top->level < level)
	{
		if (txn->level_count == txn->level_capacity)
		{
			int			capacity = txn->level_capacity * 2 + 4;
			ReefTxnLevel *levels = realloc(txn->levels, sizeof(*levels) *
										   (size_t) capacity);

			if (levels == NULL)
				return reef_error_no_memory(err, sizeof(*levels));
			txn->levels = levels;
			txn->level_capacity = capacity;
		}
		top = &txn->levels[txn->level_count++];
		memset(top, 0, sizeof(*top));
		top->level = level;
	}
	reef_txn_level_append(top, version);
	return REEF_OK;
}

void
reef_txn_abort_level(ReefTxn *txn, int level)
{
	ReefOwnSegment *own;

	while (txn->level_count > 0 &&
		   txn->levels[txn->level_count - 1].level >= level)
	{
		ReefTxnLevel *top = &txn->levels[--txn->level_count];
		ReefOwnVersion *version;

		for (version = top->first; version != NULL;
			 version = version->next_in_level)
			version->version.is_dead = true;
	}
	for (own = txn->segments; own != NULL; own = own->older)
	{
		if (own->level < level || own->is_dead)
			continue;
		own->is_dead = true;
		txn->segment_rows -= own->meta.row_count;
	}
}

/* Join the topmost level to the one below it. */
static void
join_levels(ReefTxn *txn)
{
	ReefTxnLevel *top = &txn->levels[txn->level_count - 1];
	ReefTxnLevel *below = top - 1;

	below->last->next_in_level = top->first;
	below->last = top->last;
	txn->level_count--;
}

void
reef_txn_release_level(ReefTxn *txn, int level)
{
	ReefOwnSegment *own;

	while (txn->level_count > 0 &&
		   txn->levels[txn->level_count - 1].level >= level)
	{
		txn->levels[txn->level_count - 1].level = level - 1;
		if (txn->level_count < 2 ||
			txn->levels[txn->level_count - 2].level < level - 1)
			break;
		join_levels(txn);
	}
	for (own = txn->segments; own != NULL; own = own->older)
	{
		if (own->level >= level)
			own->level = level - 1;
	}
}

bool
reef_txn_is_empty(const ReefTxn *txn)
{
	return txn->level_count == 0 && txn->segment_rows == 0;
}

size_t
reef_txn_memory(const ReefTxn *txn)
{
	return sizeof(*txn) + txn->arena.size + txn->rows->arena.size +
		txn->key.capacity + txn->document.capacity;
}

uint64_t
reef_txn_written_bytes(const ReefTxn *txn)
{
	return txn->written_bytes;
}

void
reef_txn_unpin(ReefTxn *txn)
{
	reef_view_unpin(txn->view);
	txn->view = NULL;
}
