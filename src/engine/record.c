/*
 * record.c
 *	  Records that are in the store: reading and applying them.
 *
 * Patches are resolved against the versions below them, which must not be void
 * ones, and a record says nothing about its own fate.  So a run of records is
 * read completely, then judged from the top (judge.c), then applied from the
 * bottom.
 */

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
	record->needs_abort = reef_arena_calloc(arena, sizeof(bool) *
											((size_t) record->header.frame_count + 1));
	if (record->is_void == NULL || record->needs_abort == NULL)
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
