/*
 * txn_spill.c
 *	  A transaction that is too large for its buffer writes segments.
 *
 * Problem: COPY of a billion rows in bounded memory, as one atomic record, and
 * savepoints and cursors still have to work.
 *
 * Mechanism: rows that the transaction has inserted, and touched only once,
 * are written in key order to level-0 segments that nobody else knows until
 * its record attaches them.  A segment holds rows of one savepoint level, so
 * that undoing the level drops it as a whole, and either of the running
 * command or of earlier ones, so that the running command's own scans, which
 * must see the latter only, can still tell them apart.  Everything else goes
 * over into a new buffer: updates and deletes (their condition is one row's
 * and has no place in a segment), keys written several times, and groups too
 * small to be worth an object.
 *
 * Consequence: an insert-only transaction is bounded by the buffer.  One that
 * updates or deletes rows is bounded by what its record may be, since those
 * are in the record and in the memtable: REEF_LIMIT when it is prepared.
 */
#include "engine/txn_state.h"

#include <stdlib.h>

/* Fewer rows do not make a segment. */
#define SEGMENT_ROWS_MIN 512

/* Rows of one level, of the running command or of earlier ones. */
typedef struct SpillGroup
{
	int			level;
	bool		is_running;
	uint64_t	rows;
	uint32_t	cid_min;
	uint32_t	cid_max;
	ReefSegmentWriter *writer;
	ReefOwnSegment *segments;	/* newest first */
} SpillGroup;

typedef struct Spill
{
	ReefTxn    *txn;
	uint32_t	cid;
	int			group_count;
	SpillGroup *groups;
	ReefValue  *values;			/* one row */
	ReefValue  *decoded;
	ReefArena	arena;
} Spill;

/*
 * A namespace that does not exist yet has no id, and a segment says whose it
 * is: create it now.
 */
static ReefCode
ensure_namespace(ReefNamespace *ns, ReefError *err)
{
	const ReefHost *host = ns->host;
	ReefNamespaceShared *shared = ns->shared;
	ReefCode	rc;

	if (__atomic_load_n(&shared->exists, __ATOMIC_ACQUIRE))
		return REEF_OK;
	rc = host->right_acquire(host->arg, shared->lock_number,
							 REEF_RIGHT_COMMIT,
							 ns->settings->commit_timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not create the namespace",
							  "namespace \"%s\"", ns->name);
	if (!shared->exists)
		rc = reef_takeover(ns, err);
	host->right_release(host->arg, shared->lock_number, REEF_RIGHT_COMMIT);
	return rc;
}

/*
 * What is written from now on may be attached later only if nobody can have
 * collected it, see pending.c; if that is out of the question already, the rest
 * would be wasted.
 */
static ReefCode
begin_outputs(ReefTxn *txn, ReefError *err)
{
	ReefNamespace *ns = txn->ns;

	if (txn->has_outputs)
		return reef_output_base_check(ns, &txn->outputs, err);
	REEF_TRY(reef_namespace_open(ns, 0, err));
	REEF_TRY(ensure_namespace(ns, err));
	if (txn->pending < 0)
		REEF_TRY(reef_pending_begin_transaction(ns, &txn->pending, err));
	REEF_TRY(reef_output_base_take(ns, txn->pending, &txn->outputs, err));
	txn->has_outputs = true;
	return REEF_OK;
}

/* ---- groups ---- */

/* Versions know their level only by the list that they are in. */
static void
label_levels(ReefTxn *txn)
{
	int			i;

	for (i = 0; i < txn->level_count; i++)
	{
		ReefOwnVersion *version = txn->levels[i].first;

		for (; version != NULL; version = version->next_in_level)
			version->version.level = txn->levels[i].level;
	}
}

/* The version to write out, if this key is one for a segment. */
static const ReefVersion *
spillable(const ReefNode *node)
{
	const ReefVersion *version = reef_own_newest(node);
	const ReefVersion *older;

	if (version == NULL || version->op != REEF_OP_PUT ||
		version->condition != REEF_CONDITION_ABSENT)
		return NULL;
	for (older = version->older; older != NULL; older = older->older)
	{
		if (!older->is_dead)
			return NULL;
	}
	return version;
}

static SpillGroup *
find_group(Spill *spill, const ReefVersion *version)
{
	bool		is_running = version->cid >= spill->cid;
	int			i;

	for (i = 0; i < spill->group_count; i++)
	{
		if (spill->groups[i].level == version->level &&
			spill->groups[i].is_running == is_running)
			return &spill->groups[i];
	}
	return NULL;
}

/* Two groups a level at most; those that are large enough are kept. */
static ReefCode
plan_groups(Spill *spill, ReefError *err)
{
	ReefTxn    *txn = spill->txn;
	size_t		size = sizeof(SpillGroup) *
		((size_t) txn->level_count * 2 + 1);
	int			kept = 0;
	int			i;

	spill->groups = reef_arena_calloc(&spill->arena, size);
	if (spill->groups == NULL)
		return reef_error_no_memory(err, size);
	/* (the lists, not the nodes: few levels have most rows, and this way the
	 * group is known without a search) */
	for (i = 0; i < txn->level_count; i++)
	{
		SpillGroup	pair[2];
		ReefOwnVersion *own;
		int			k;

		memset(pair, 0, sizeof(pair));
		pair[0].cid_min = pair[1].cid_min = UINT32_MAX;
		for (own = txn->levels[i].first; own != NULL;
			 own = own->next_in_level)
		{
			const ReefVersion *version = &own->version;
			SpillGroup *group = &pair[version->cid >= spill->cid];

			if (version->op != REEF_OP_PUT ||
				version->condition != REEF_CONDITION_ABSENT)
				continue;
			group->rows++;
			if (version->cid < group->cid_min)
				group->cid_min = version->cid;
			if (version->cid > group->cid_max)
				group->cid_max = version->cid;
		}
		for (k = 0; k < 2; k++)
		{
			if (pair[k].rows < SEGMENT_ROWS_MIN)
				continue;
			pair[k].level = txn->levels[i].level;
			pair[k].is_running = k == 1;
			spill->groups[kept++] = pair[k];
		}
	}
	spill->group_count = kept;
	return REEF_OK;
}

/* ---- segments ---- */

static ReefCode
finish_segment(Spill *spill, SpillGroup *group, ReefError *err)
{
	ReefSegmentWriter *writer = group->writer;
	ReefOwnSegment *own = reef_arena_calloc(&spill->txn->arena, sizeof(*own));

	if (own == NULL)
		return reef_error_no_memory(err, sizeof(*own));
	group->writer = NULL;
	REEF_TRY(reef_segment_writer_finish(writer, &spill->txn->arena,
										&own->meta, err));
	own->level = group->level;
	own->cid_min = group->cid_min;
	own->cid_max = group->cid_max;
	own->older = group->segments;
	group->segments = own;
	return REEF_OK;
}

/* The row's values by the transaction's schema; it may have grown since. */
static ReefCode
row_values(Spill *spill, const ReefVersion *version, ReefError *err)
{
	const ReefSchema *schema = &spill->txn->schema;
	const ReefSchema *layout = &version->layout->schema;
	int			i;

	if (version->layout == spill->txn->layout)
		return reef_document_decode(version->document, layout->columns,
									layout->column_count, spill->values, err);
	REEF_TRY(reef_document_decode(version->document, layout->columns,
								  layout->column_count, spill->decoded, err));
	for (i = 0; i < schema->column_count; i++)
	{
		int			from = reef_schema_find(layout, schema->columns[i].name);

		memset(&spill->values[i], 0, sizeof(ReefValue));
		spill->values[i].is_null = true;
		if (from < 0)
			continue;
		spill->values[i] = spill->decoded[from];
		reef_value_widen(&layout->columns[from].type,
						 &schema->columns[i].type, &spill->values[i]);
	}
	return REEF_OK;
}

static ReefCode
write_row(Spill *spill, SpillGroup *group, const ReefNode *node,
		  const ReefVersion *version, ReefError *err)
{
	ReefNamespace *ns = spill->txn->ns;

	if (group->writer == NULL)
		REEF_TRY(reef_segment_writer_new(ns->store, ns->prefix, ns->settings,
										 ns->shared->namespace_id,
										 &spill->txn->schema, 0, false,
										 &group->writer, err));
	REEF_TRY(row_values(spill, version, err));
	REEF_TRY(reef_segment_writer_add(group->writer, node->key, 0, false, false,
									 spill->values, err));
	if (reef_segment_writer_size(group->writer) >=
		ns->settings->target_segment_size)
		return finish_segment(spill, group, err);
	return REEF_OK;
}

static ReefCode
write_groups(Spill *spill, ReefError *err)
{
	const ReefHost *host = spill->txn->ns->host;
	const ReefNode *node;
	uint64_t	count = 0;
	int			i;

	for (node = reef_skiplist_next(spill->txn->rows->list.head); node != NULL;
		 node = reef_skiplist_next(node))
	{
		const ReefVersion *version = spillable(node);
		SpillGroup *group;

		if (version == NULL)
			continue;
		group = find_group(spill, version);
		if (group == NULL)
			continue;
		if (++count % 1024 == 0 && host->cancelled(host->arg))
			return reef_error_set(err, REEF_CANCELLED, "cancelled", NULL);
		REEF_TRY(write_row(spill, group, node, version, err));
	}
	for (i = 0; i < spill->group_count; i++)
	{
		if (spill->groups[i].writer != NULL)
			REEF_TRY(finish_segment(spill, &spill->groups[i], err));
	}
	return REEF_OK;
}

/* ---- the buffer ---- */

static ReefTxnLevel *
find_level(ReefTxnLevel *levels, int count, int level)
{
	int			first = 0;
	int			end = count;

	while (end - first > 1)
	{
		int			middle = first + (end - first) / 2;

		if (levels[middle].level > level)
			end = middle;
		else
			first = middle;
	}
	return &levels[first];
}

static ReefCode
copy_version(ReefOwnRows *rows, const ReefVersion *version,
			 ReefOwnVersion **result, ReefError *err)
{
	size_t		patch_size = sizeof(uint16_t) *
		(size_t) version->patch_column_count;
	ReefOwnVersion *copy = reef_arena_calloc(&rows->arena, sizeof(*copy));
	ReefSlice	columns;

	if (copy == NULL)
		return reef_error_no_memory(err, sizeof(*copy));
	copy->version = *version;
	copy->version.older = NULL;
	copy->version.document = reef_arena_copy(&rows->arena, version->document);
	columns = reef_arena_copy(&rows->arena, reef_slice(version->patch_columns,
													   patch_size));
	copy->version.patch_columns = (const void *) columns.data;
	if (copy->version.document.size != version->document.size ||
		columns.size != patch_size)
		return reef_error_no_memory(err, version->document.size);
	*result = copy;
	return REEF_OK;
}

/* Copy what is live of a chain, newest first. */
static ReefCode
keep_chain(const ReefTxn *txn, ReefOwnRows *rows, ReefTxnLevel *levels,
		   const ReefNode *node, ReefError *err)
{
	const ReefVersion *version = reef_own_newest(node);
	ReefOwnVersion *newest = NULL;
	ReefOwnVersion *last = NULL;
	ReefVersion *older;

	for (; version != NULL; version = version->older)
	{
		ReefOwnVersion *copy = NULL;

		if (version->is_dead)
			continue;
		REEF_TRY(copy_version(rows, version, &copy, err));
		if (newest == NULL)
			newest = copy;
		else
			last->version.older = &copy->version;
		last = copy;
		reef_txn_level_append(find_level(levels, txn->level_count,
										 version->level), copy);
	}
	if (newest == NULL)
		return REEF_OK;
	older = newest->version.older;
	REEF_TRY(reef_own_rows_add(rows, node->key, &newest->version, err));
	newest->version.older = older;
	return REEF_OK;
}

/* The buffer without what has been written out, and the levels with it. */
static ReefCode
keep_rest(Spill *spill, ReefOwnRows *rows, ReefTxnLevel *levels,
		  ReefError *err)
{
	const ReefTxn *txn = spill->txn;
	const ReefNode *node;
	int			i;

	for (i = 0; i < txn->level_count; i++)
	{
		memset(&levels[i], 0, sizeof(levels[i]));
		levels[i].level = txn->levels[i].level;
	}
	for (node = reef_skiplist_next(txn->rows->list.head); node != NULL;
		 node = reef_skiplist_next(node))
	{
		const ReefVersion *version = spillable(node);

		if (version == NULL || find_group(spill, version) == NULL)
			REEF_TRY(keep_chain(txn, rows, levels, node, err));
	}
	return REEF_OK;
}

/* Nothing can fail any more: the segments and the new buffer take over. */
static void
take_over(Spill *spill, ReefOwnRows *rows, const ReefTxnLevel *levels)
{
	ReefTxn    *txn = spill->txn;
	int			kept = 0;
	int			i;

	for (i = 0; i < txn->level_count; i++)
	{
		if (levels[i].first != NULL)
			txn->levels[kept++] = levels[i];
	}
	txn->level_count = kept;
	reef_own_rows_unpin(txn->rows);
	txn->rows = rows;
	for (i = 0; i < spill->group_count; i++)
	{
		while (spill->groups[i].segments != NULL)
		{
			ReefOwnSegment *own = spill->groups[i].segments;

			spill->groups[i].segments = own->older;
			own->older = txn->segments;
			txn->segments = own;
			txn->segment_rows += own->meta.row_count;
		}
	}
}

static ReefCode
spill_groups(Spill *spill, ReefError *err)
{
	ReefTxn    *txn = spill->txn;
	size_t		size = sizeof(ReefTxnLevel) * ((size_t) txn->level_count + 1);
	size_t		row_size = sizeof(ReefValue) *
		((size_t) txn->schema.column_count + 1);
	ReefTxnLevel *levels = reef_arena_alloc(&spill->arena, size);
	ReefOwnRows *rows;
	ReefCode	rc;

	spill->values = reef_arena_calloc(&spill->arena, row_size);
	spill->decoded = reef_arena_calloc(&spill->arena, row_size);
	if (levels == NULL || spill->values == NULL || spill->decoded == NULL)
		return reef_error_no_memory(err, row_size);
	REEF_TRY(begin_outputs(txn, err));
	REEF_TRY(write_groups(spill, err));
	REEF_TRY(reef_own_rows_new(&rows, txn->rows->list.random, err));
	rc = keep_rest(spill, rows, levels, err);
	if (rc != REEF_OK)
		reef_own_rows_unpin(rows);
	else
		take_over(spill, rows, levels);
	return rc;
}

ReefCode
reef_txn_spill(ReefTxn *txn, uint32_t cid, ReefError *err)
{
	Spill		spill;
	ReefCode	rc;
	int			i;

	memset(&spill, 0, sizeof(spill));
	spill.txn = txn;
	spill.cid = cid;
	reef_arena_init(&spill.arena, 0);
	label_levels(txn);
	rc = plan_groups(&spill, err);
	if (rc == REEF_OK && spill.group_count > 0)
		rc = spill_groups(&spill, err);
	for (i = 0; i < spill.group_count; i++)
		reef_segment_writer_abort(spill.groups[i].writer);
	reef_arena_release(&spill.arena);
	/* what could not be written out must not be looked at row by row */
	txn->spill_size = txn->rows->arena.size +
		txn->ns->settings->transaction_buffer_size;
	return rc;
}
