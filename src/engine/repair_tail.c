/*
 * repair_tail.c
 *	  Apply what is left of the log.
 *
 * Records after one that is lost are acknowledged commits too.  A transaction is
 * applied if what it needs is there, all of it or nothing [I2]:
 *
 *	  put		always: it has the whole document
 *	  delete	always: the row is gone, whatever was between
 *	  patch		if the row is the version that it was made for
 *	  attach	always; what the segment lost is reported with the segment
 *
 * A condition "the key was absent" that was true then says nothing now: what
 * had deleted the key may be lost.  So after a loss no version says it any
 * more, and a fold writes all of them as rows that may hide others.
 */
#include <inttypes.h>
#include <stdio.h>

#include "engine/repair.h"

#define DESCRIBED_KEYS_MAX 5

/* ---- what is lost ---- */

static const char *
op_name(ReefOpKind kind)
{
	switch (kind)
	{
		case REEF_OP_PUT:
			return "put";
		case REEF_OP_PATCH:
			return "patch";
		case REEF_OP_DELETE:
			return "delete";
		case REEF_OP_TRUNCATE:
			return "truncate";
		case REEF_OP_ATTACH:
			return "attach";
		case REEF_OP_ABORT:
			break;
	}
	return "abort";
}

/* The key of an operation; the buffer holds that of a put. */
static ReefCode
op_key(const ReefOp *op, const ReefSchema *schema, ReefArena *arena,
	   ReefBuf *buf, ReefSlice *key, ReefError *err)
{
	ReefValue  *values;

	*key = op->key;
	if (op->kind != REEF_OP_PUT)
		return REEF_OK;
	values = reef_arena_calloc(arena, sizeof(*values) *
							   ((size_t) schema->column_count + 1));
	if (values == NULL)
		return reef_error_no_memory(err, sizeof(*values));
	REEF_TRY(reef_document_decode(op->document, schema->columns,
								  schema->column_count, values, err));
	reef_buf_reset(buf);
	REEF_TRY(reef_document_key(schema->columns, schema->column_count, values,
							   buf, err));
	*key = reef_buf_slice(buf);
	return reef_buf_check(buf, err);
}

static ReefCode
describe_ops(ReefSlice frame, ReefArena *arena, ReefBuf *buf, char *text,
			 size_t size, ReefError *err)
{
	ReefFrameReader reader;
	size_t		used = 0;
	ReefOp		op;
	ReefCode	rc;
	uint32_t	i;

	text[0] = '\0';
	REEF_TRY(reef_frame_reader_init(&reader, frame, arena, err));
	for (i = 0; i < DESCRIBED_KEYS_MAX; i++)
	{
		ReefSlice	key;
		char		described[160];

		rc = reef_frame_reader_next(&reader, &op, err);
		if (rc == REEF_NOT_FOUND)
			break;
		if (rc != REEF_OK)
			return rc;
		REEF_TRY(op_key(&op, &reader.header.schema, arena, buf, &key, err));
		reef_key_describe(key, &reader.header.schema, described,
						  sizeof(described));
		if (used + 180 < size)
			used += (size_t) snprintf(text + used, size - used, "%s%s %s",
									  i > 0 ? ", " : "", op_name(op.kind),
									  described);
	}
	if (reader.op_count > i && used + 30 < size)
		snprintf(text + used, size - used, " and %u more",
				 (unsigned) (reader.op_count - i));
	return REEF_OK;
}

static ReefCode
report_transaction(ReefRepair *repair, int index, uint32_t frame,
				   const ReefError *found, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	char		text[700];
	ReefArena	arena;
	ReefBuf		buf;
	ReefCode	rc;

	/* it may have deleted what a later one found absent */
	repair->has_lost_history = true;
	reef_repair_record_key(repair, index, key);
	reef_arena_init(&arena, 0);
	reef_buf_init(&buf);
	rc = describe_ops(repair->records[index].frames[frame], &arena, &buf, text,
					  sizeof(text), err);
	reef_buf_release(&buf);
	reef_arena_release(&arena);
	if (rc != REEF_OK)
		return rc;
	return reef_action_report(repair, err, "lost transaction", key,
							  "transaction %u (%s) needs rows that are lost: %s",
							  (unsigned) frame, text, found->message);
}

static ReefCode
report_records(ReefRepair *repair, ReefError *err)
{
	int			i;

	for (i = 0; i < repair->record_count; i++)
	{
		char		key[REEF_OBJECT_KEY_SIZE];

		if (repair->record_states[i] == REEF_PLACE_SOUND)
			continue;
		reef_repair_record_key(repair, i, key);
		REEF_TRY(reef_action_report(repair, err, "lost record", key,
									"all transactions of record %" PRIu64 " are lost, the record is %s",
									repair->records[i].header.lsn,
									repair->record_states[i] ==
									REEF_PLACE_MISSING ? "missing" :
									"damaged"));
	}
	return REEF_OK;
}

/* ---- apply ---- */

/*
 * What the newest manifest has applied was decided before: voids are in the log,
 * and who decided the rest may have forgotten it.
 */
static ReefCode
judge(ReefRepair *repair, ReefError *err)
{
	ReefJudgement judgement;
	int			decided = 0;
	ReefCode	rc;

	if (repair->record_count == 0)
		return REEF_OK;
	REEF_TRY(reef_records_judge(repair->scratch, repair->records,
								repair->record_count, REEF_JUDGE_LOG,
								&judgement, err));
	while (decided < repair->record_count &&
		   repair->records[decided].header.lsn <= repair->newest_lsn)
		decided++;
	if (decided == repair->record_count)
		return REEF_OK;
	rc = reef_records_judge(repair->scratch, repair->records + decided,
							repair->record_count - decided,
							repair->dry_run ? REEF_JUDGE_READ :
							REEF_JUDGE_TAKEOVER, &judgement, err);
	if (rc == REEF_CORRUPT)
		return reef_error_add(err,
							  "another namespace decides transactions of this one: repair it first");
	if (rc != REEF_OK)
		return rc;
	return reef_records_queue_aborts(repair->scratch,
									 repair->records + decided,
									 repair->record_count - decided, err);
}

/* Frame by frame: one that cannot be applied must not take others along. */
static ReefCode
apply_record(ReefRepair *repair, int index, ReefError *err)
{
	ReefRecord *record = &repair->records[index];
	ReefRecord	one = *record;
	bool	   *is_void;
	uint32_t	frame;
	ReefCode	rc;

	is_void = reef_arena_alloc(&repair->arena,
							   (size_t) record->header.frame_count + 1);
	if (is_void == NULL)
		return reef_error_no_memory(err, record->header.frame_count);
	one.is_void = is_void;
	for (frame = 0; frame < record->header.frame_count; frame++)
	{
		ReefError	found;

		if (record->is_void[frame])
			continue;
		memset(is_void, true, record->header.frame_count);
		is_void[frame] = false;
		reef_error_init(&found);
		rc = reef_record_apply(repair->scratch, &one, &found);
		if (rc == REEF_CORRUPT)
			rc = report_transaction(repair, index, frame, &found, err);
		else if (rc != REEF_OK)
			*err = found;
		if (rc != REEF_OK)
			return rc;
	}
	memset(is_void, true, (size_t) record->header.frame_count + 1);
	return reef_record_apply(repair->scratch, &one, err);
}

static void
forget_absence(ReefGeneration *generation)
{
	ReefNode   *node = reef_skiplist_seek(&generation->rows,
										  reef_slice(NULL, 0));

	for (; node != NULL; node = reef_skiplist_next(node))
	{
		ReefVersion *version = reef_node_newest(node);

		for (; version != NULL; version = version->older)
			version->condition = REEF_CONDITION_NONE;
	}
}

ReefCode
reef_repair_apply_tail(ReefRepair *repair, ReefError *err)
{
	int			i;

	REEF_TRY(report_records(repair, err));
	REEF_TRY(judge(repair, err));
	reef_verify_begin_phase(&repair->verify, "applying records",
							(uint64_t) repair->record_count);
	for (i = 0; i < repair->record_count; i++)
	{
		REEF_TRY(reef_verify_step(&repair->verify, 0, err));
		if (repair->record_states[i] == REEF_PLACE_SOUND)
			REEF_TRY(apply_record(repair, i, err));
		repair->verify.done++;
	}
	if (repair->has_lost_history)
		forget_absence(repair->shared->active);
	return REEF_OK;
}
