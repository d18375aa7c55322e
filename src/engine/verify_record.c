/*
 * verify_record.c
 *	  One record, down to the last value.
 *
 * A record is checked as if it were to be replayed, but against nothing: what a
 * frame says must decode, whatever the rows are that it is about.
 */
#include <stdio.h>

#include "engine/verify.h"

typedef struct RecordCheck
{
	ReefVerify *verify;
	const char *key;			/* of the object */
	uint64_t	lsn;
	uint32_t	frame;
	const ReefSchema *schema;	/* of the frame */
	ReefVerifiedRecords *records;
	ReefArena  *arena;			/* of the frame */
	ReefValue  *values;			/* [schema->column_count] */
	ReefBuf		scratch;
} RecordCheck;

/* ---- operations ---- */

static ReefCode
check_put(RecordCheck *check, const ReefOp *op, ReefError *err)
{
	const ReefSchema *schema = check->schema;

	REEF_TRY(reef_document_decode(op->document, schema->columns,
								  schema->column_count, check->values, err));
	reef_buf_reset(&check->scratch);
	REEF_TRY(reef_document_key(schema->columns, schema->column_count,
							   check->values, &check->scratch, err));
	return reef_buf_check(&check->scratch, err);
}

static ReefCode
check_patch(RecordCheck *check, const ReefOp *op, ReefError *err)
{
	ReefColumn *columns;
	int			i;

	columns = reef_arena_alloc(check->arena, sizeof(*columns) *
							   ((size_t) op->patch_column_count + 1));
	if (columns == NULL)
		return reef_error_no_memory(err, sizeof(*columns));
	for (i = 0; i < op->patch_column_count; i++)
		columns[i] = check->schema->columns[op->patch_columns[i]];
	REEF_TRY(reef_document_decode(op->document, columns,
								  op->patch_column_count, check->values, err));
	return reef_key_decode(op->key, check->schema, check->arena,
						   check->values, err);
}

static ReefCode
copy_meta(ReefArena *arena, const ReefSegmentMeta *from, ReefSegmentMeta *to,
		  ReefError *err)
{
	int			i;

	*to = *from;
	to->key_min = reef_arena_copy(arena, from->key_min);
	to->key_max = reef_arena_copy(arena, from->key_max);
	to->stats = reef_arena_alloc(arena, sizeof(*to->stats) *
								 ((size_t) from->stats_count + 1));
	if (to->key_min.size != from->key_min.size ||
		to->key_max.size != from->key_max.size || to->stats == NULL)
		return reef_error_no_memory(err, from->key_max.size);
	for (i = 0; i < from->stats_count; i++)
	{
		ReefColumnStats *stats = &to->stats[i];

		*stats = from->stats[i];
		stats->name = reef_arena_strdup(arena, stats->name);
		if (stats->name == NULL)
			return reef_error_no_memory(err, 0);
		if (!stats->has_min_max || !reef_kind_is_variable(stats->kind))
			continue;
		stats->min.as.bytes = reef_arena_copy(arena, stats->min.as.bytes);
		stats->max.as.bytes = reef_arena_copy(arena, stats->max.as.bytes);
	}
	return REEF_OK;
}

static ReefCode
note_attach(RecordCheck *check, const ReefOp *op, ReefError *err)
{
	ReefVerifiedRecords *records = check->records;
	ReefVerifiedAttach *attach;

	attach = reef_arena_calloc(records->arena, sizeof(*attach));
	if (attach == NULL)
		return reef_error_no_memory(err, sizeof(*attach));
	attach->lsn = check->lsn;
	attach->frame = check->frame;
	REEF_TRY(copy_meta(records->arena, op->segment, &attach->meta, err));
	attach->meta.lsn_min = attach->meta.lsn_max = check->lsn;
	REEF_TRY(reef_schema_copy(records->arena, check->schema, &attach->schema,
							  err));
	attach->next = records->attaches;
	records->attaches = attach;
	return REEF_OK;
}

static ReefCode
note_abort(RecordCheck *check, const ReefOp *op, ReefError *err)
{
	ReefVerifiedAbort *note;

	if (op->abort_lsn >= check->lsn)
		return reef_error_set(err, REEF_CORRUPT,
							  "record voids a later one",
							  "record %llu, transaction %u",
							  (unsigned long long) op->abort_lsn,
							  (unsigned) op->abort_frame);
	note = reef_arena_alloc(check->records->arena, sizeof(*note));
	if (note == NULL)
		return reef_error_no_memory(err, sizeof(*note));
	note->lsn = op->abort_lsn;
	note->frame = op->abort_frame;
	note->by_lsn = check->lsn;
	note->next = check->records->aborts;
	check->records->aborts = note;
	return REEF_OK;
}

static ReefCode
check_op(RecordCheck *check, const ReefOp *op, ReefError *err)
{
	switch (op->kind)
	{
		case REEF_OP_PUT:
			return check_put(check, op, err);
		case REEF_OP_PATCH:
			return check_patch(check, op, err);
		case REEF_OP_DELETE:
			return reef_key_decode(op->key, check->schema, check->arena,
								   check->values, err);
		case REEF_OP_ATTACH:
			return note_attach(check, op, err);
		case REEF_OP_ABORT:
			return note_abort(check, op, err);
		case REEF_OP_TRUNCATE:
			break;
	}
	return REEF_OK;
}

/* ---- frames ---- */

static ReefCode
check_frame(RecordCheck *check, ReefSlice frame, ReefError *err)
{
	ReefFrameReader reader;
	ReefOp		op;
	uint32_t	i;

	REEF_TRY(reef_frame_reader_init(&reader, frame, check->arena, err));
	check->schema = &reader.header.schema;
	check->values = reef_arena_calloc(check->arena, sizeof(*check->values) *
									  ((size_t) check->schema->column_count + 1));
	if (check->values == NULL)
		return reef_error_no_memory(err, sizeof(*check->values));
	for (i = 0;; i++)
	{
		ReefCode	rc = reef_frame_reader_next(&reader, &op, err);

		if (rc == REEF_NOT_FOUND)
			return REEF_OK;
		if (rc == REEF_OK)
			rc = check_op(check, &op, err);
		if (rc != REEF_OK)
		{
			(void) reef_error_add(err, "operation %u", (unsigned) i);
			return rc;
		}
	}
}

static ReefCode
check_frames(RecordCheck *check, const ReefRecord *record, ReefError *err)
{
	ReefVerify *verify = check->verify;
	ReefCode	rc = REEF_OK;

	for (check->frame = 0; check->frame < record->header.frame_count &&
		 rc == REEF_OK; check->frame++)
	{
		ReefError	found;

		reef_error_init(&found);
		rc = check_frame(check, record->frames[check->frame], &found);
		if (rc == REEF_CORRUPT || rc == REEF_LIMIT || rc == REEF_INVALID)
		{
			(void) reef_error_add(&found, "transaction %u",
								  (unsigned) check->frame);
			rc = reef_finding_report_error(verify, REEF_SEVERITY_ERROR,
										   check->key, "contents", &found,
										   err);
		}
		else if (rc != REEF_OK)
			*err = found;
		reef_arena_reset(check->arena);
	}
	return rc;
}

static ReefCode
check_record(RecordCheck *check, const ReefRecord *record,
			 const uint8_t namespace_id[16], bool *is_readable, ReefError *err)
{
	ReefArena	arena;
	ReefCode	rc;

	if (memcmp(record->header.namespace_id, namespace_id, 16) != 0)
	{
		*is_readable = false;
		return reef_finding_report(check->verify, err, REEF_SEVERITY_ERROR,
								   check->key, "identity",
								   "the record belongs to another namespace");
	}
	reef_arena_init(&arena, 0);
	check->arena = &arena;
	rc = check_frames(check, record, err);
	reef_arena_release(&arena);
	return rc;
}

ReefCode
reef_verify_record(ReefVerify *verify, uint64_t lsn,
				   const uint8_t namespace_id[16],
				   ReefVerifiedRecords *records, ReefWalHeader *header,
				   bool *is_readable, ReefError *err)
{
	RecordCheck check = {.verify = verify, .lsn = lsn, .records = records};
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefArena	arena;
	ReefRecord	record;
	ReefError	found;
	ReefCode	rc;

	*is_readable = false;
	reef_layout_wal_key(verify->ns->prefix, lsn, key);
	check.key = key;
	reef_arena_init(&arena, 0);
	reef_buf_init(&check.scratch);
	reef_error_init(&found);
	rc = reef_record_load(verify->ns, lsn, &arena, &record, &found);
	if (rc == REEF_OK)
	{
		*is_readable = true;
		*header = record.header;
		rc = reef_verify_step(verify, arena.size, err);
		if (rc == REEF_OK)
			rc = check_record(&check, &record, namespace_id, is_readable, err);
	}
	else if (rc == REEF_UNSUPPORTED)
		rc = reef_finding_report_error(verify, REEF_SEVERITY_ERROR, key,
									   "newer format", &found, err);
	else if (reef_verify_is_damage(rc, &found))
		rc = reef_finding_report_error(verify, REEF_SEVERITY_ERROR, key,
									   "unreadable", &found, err);
	else
		*err = found;
	reef_buf_release(&check.scratch);
	reef_arena_release(&arena);
	return rc;
}
