/*
 * reader.c
 *	  Rows of a foreign table, one slot at a time.
 *
 * The engine returns batches of columns that it owns; a reader turns one row
 * of them at a time into Datums, in whatever memory context the caller
 * throws away between rows.  Nothing accumulates, so a scan of any length
 * takes the memory of one batch.
 *
 * View and scan belong to the engine and are malloc'd: a callback of the
 * memory context that the reader lives in releases them, also after errors.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/tuptable.h"
#include "utils/memutils.h"

#include "pg/scan.h"

static void
close_scan(void *arg)
{
	ReefPgReader *reader = arg;

	reef_scan_close(reader->scan);
	reader->scan = NULL;
}

void
reefpg_reader_close(ReefPgReader *reader)
{
	close_scan(reader);
	if (reader->view != NULL)
		reefpg_view_release(reader->view);
	reader->view = NULL;
}

static const char *
key_column_name(const ReefSchema *schema, int position)
{
	int			index = reef_schema_key_column(schema, position);

	return index < 0 ? NULL : schema->columns[index].name;
}

/*
 * A table that declares another key than the stored one would look for rows
 * where they are not, and not find them.
 */
static void
check_key(const ReefPgReader *reader, Relation relation)
{
	const ReefSchema *stored = reef_view_schema(reader->view);
	int			stored_count = reef_schema_key_count(stored);
	int			declared_count = reef_schema_key_count(&reader->table->schema);
	int			position;

	if (!reef_view_exists(reader->view))
		return;
	for (position = 1; position <= Max(stored_count, declared_count);
		 position++)
	{
		const char *stored_name = key_column_name(stored, position);
		const char *declared = key_column_name(&reader->table->schema,
											   position);

		if (declared == NULL && declared_count == 0 && position == 1)
			declared = REEF_HIDDEN_KEY_COLUMN;
		if (stored_name != NULL && declared != NULL &&
			strcmp(stored_name, declared) == 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_COLUMN_NAME),
				 errmsg("key of foreign table \"%s\" differs from the stored one",
						RelationGetRelationName(relation)),
				 stored_name == NULL ?
				 errdetail("The stored key has %d columns.", stored_count) :
				 errdetail("Column %d of the stored key is \"%s\".", position,
						   stored_name)));
	}
}

ReefPgReader *
reefpg_reader_new(Relation relation, ReefPgTable *table, List *attributes,
				  bool wants_identity, Snapshot snapshot, CommandId cid)
{
	ReefPgReader *reader = palloc0(sizeof(ReefPgReader));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	ReefNamespace *ns = reefpg_table_namespace(table);
	ReefColumn *columns;
	ReefScanSpec spec;
	ReefError	err;
	ListCell   *lc;

	reader->table = table;
	reader->converter = reefpg_converter_new(table,
											 RelationGetDescr(relation));
	reader->wants_identity = wants_identity;
	columns = palloc(Max(1, list_length(attributes)) * sizeof(ReefColumn));
	reader->schema_index = palloc(Max(1, list_length(attributes)) *
								  sizeof(int));
	reader->attributes = palloc(Max(1, list_length(attributes)) *
								sizeof(AttrNumber));
	foreach(lc, attributes)
	{
		AttrNumber	attribute = (AttrNumber) lfirst_int(lc);
		int			index = table->column_of_attribute[attribute - 1];

		if (attribute == table->lsn_attribute)
		{
			reader->wants_lsn = true;
			continue;
		}
		columns[reader->column_count] = table->schema.columns[index];
		reader->schema_index[reader->column_count] = index;
		reader->attributes[reader->column_count] = attribute;
		reader->column_count++;
	}

	/* The view goes last: callbacks run in the reverse order. */
	reader->view = reefpg_view_pin(ns, table, snapshot, CurrentMemoryContext);
	callback->func = close_scan;
	callback->arg = reader;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	check_key(reader, relation);

	memset(&spec, 0, sizeof(spec));
	spec.columns = columns;
	spec.column_count = reader->column_count;
	spec.want_keys = wants_identity && !table->has_key;
	spec.want_lsns = wants_identity || reader->wants_lsn;
	spec.txn = reefpg_xact_find_txn(ns);
	spec.cid = cid;
	reef_error_init(&err);
	REEFPG_CHECK(reef_scan_open(reader->view, &spec, &reader->scan, &err),
				 &err, RelationGetRelationName(relation));
	return reader;
}

void
reefpg_reader_restart(ReefPgReader *reader, const ReefKeyRange *range)
{
	ReefError	err;

	reef_error_init(&err);
	reader->batch = NULL;
	reader->position = 0;
	REEFPG_CHECK(reef_scan_restart(reader->scan, range, &err), &err, NULL);
}

/* Store the row as a heap tuple, whose header has room for the hidden key. */
static void
store_with_hidden_key(ReefPgReader *reader, TupleTableSlot *slot, int row)
{
	ReefSlice	key = reader->batch->keys[row];
	HeapTuple	tuple = heap_form_tuple(slot->tts_tupleDescriptor,
										slot->tts_values, slot->tts_isnull);
	TransactionId halves[2];

	if (key.size != REEFPG_HIDDEN_KEY_SIZE)
		elog(ERROR, "hidden key has %zu bytes", key.size);
	memcpy(halves, key.data, sizeof(halves));
	/* A row, not a composite Datum, whose version would be where xmax is. */
	ItemPointerSetInvalid(&tuple->t_data->t_ctid);
	HeapTupleHeaderSetXmin(tuple->t_data, halves[0]);
	HeapTupleHeaderSetXmax(tuple->t_data, halves[1]);
	tuple->t_tableOid = reader->table->relid;
	reefpg_tid_from_lsn(&tuple->t_self, (uint64) reader->batch->lsns[row]);
	ExecStoreHeapTuple(tuple, slot, false);
}

static void
store_row(ReefPgReader *reader, TupleTableSlot *slot, int row)
{
	const ReefBatch *batch = reader->batch;
	int			nest_level = reefpg_converter_enter(reader->converter);
	int			i;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (i = 0; i < reader->column_count; i++)
	{
		int			index = reader->attributes[i] - 1;

		slot->tts_values[index] =
			reefpg_datum_from_vector(reader->converter,
									 reader->schema_index[i],
									 &batch->columns[i], row,
									 &slot->tts_isnull[index]);
	}
	reefpg_converter_leave(nest_level);

	/* A row of this transaction has no LSN until it commits. */
	if (reader->wants_lsn && batch->lsns[row] != 0)
	{
		int			index = reader->table->lsn_attribute - 1;

		slot->tts_values[index] = Int64GetDatum(batch->lsns[row]);
		slot->tts_isnull[index] = false;
	}
	if (reader->wants_identity && !reader->table->has_key)
	{
		store_with_hidden_key(reader, slot, row);
		return;
	}
	ExecStoreVirtualTuple(slot);
	if (reader->wants_identity)
		reefpg_tid_from_lsn(&slot->tts_tid, (uint64) batch->lsns[row]);
}

bool
reefpg_reader_next(ReefPgReader *reader, TupleTableSlot *slot)
{
	const ReefBatch *batch = reader->batch;
	int			row;

	if (batch == NULL || reader->position >= batch->row_count)
	{
		ReefError	err;

		reef_error_init(&err);
		REEFPG_CHECK(reef_scan_next(reader->scan, &reader->batch, &err), &err,
					 NULL);
		reader->position = 0;
		batch = reader->batch;
		if (batch->row_count == 0)
			return false;
	}
	row = batch->selection != NULL ?
		batch->selection[reader->position] : reader->position;
	reader->position++;
	store_row(reader, slot, row);
	return true;
}
