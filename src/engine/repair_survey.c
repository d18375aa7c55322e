/*
 * repair_survey.c
 *	  What there is, what is wrong with it, and what a repair can build on.
 *
 * The base is the newest manifest that can be read; above it come the records.
 * Without any manifest the records are the namespace if they begin with the
 * first one.
 */
#include "engine/repair.h"

/* ---- manifests ---- */

static ReefCode
survey_manifest(ReefRepair *repair, size_t i, ReefError *err)
{
	ReefNamespace *ns = repair->ns;
	ReefManifest manifest;
	ReefArena	arena;
	ReefBuf		bytes;
	bool		is_usable;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	rc = reef_manifest_load(ns, repair->versions[i],
							repair->has_base ? &arena : &repair->arena,
							&manifest, &bytes, err);
	is_usable = rc == REEF_OK &&
		memcmp(manifest.namespace_id, repair->namespace_id, 16) == 0;
	if (is_usable && !repair->has_base)
	{
		repair->base = manifest;
		repair->has_base = true;
		repair->base_is_newest = !repair->has_bad_manifests;
	}
	else if (rc == REEF_OK || reef_verify_is_damage(rc, err))
	{
		repair->is_bad[i] = !is_usable;
		repair->has_bad_manifests |= !is_usable;
		rc = REEF_OK;
	}
	else if (rc == REEF_NOT_FOUND)
		rc = REEF_OK;
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	return rc;
}

static ReefCode
survey_manifests(ReefRepair *repair, ReefError *err)
{
	size_t		i;

	REEF_TRY(reef_verify_list_numbers(&repair->verify, REEF_OBJECT_MANIFEST, 0,
									  &repair->arena, &repair->versions,
									  &repair->version_count, err));
	repair->is_bad = reef_arena_calloc(&repair->arena,
									   repair->version_count + 1);
	if (repair->is_bad == NULL)
		return reef_error_no_memory(err, repair->version_count);
	if (repair->version_count > 0)
		repair->version_max = repair->versions[repair->version_count - 1];
	for (i = repair->version_count; i > 0; i--)
		REEF_TRY(survey_manifest(repair, i - 1, err));
	return REEF_OK;
}

/* ---- records ---- */

void
reef_repair_record_key(const ReefRepair *repair, int index,
					   char key[REEF_OBJECT_KEY_SIZE])
{
	reef_layout_wal_key(repair->ns->prefix, repair->records[index].header.lsn,
						key);
}

static ReefCode
survey_record(ReefRepair *repair, int index, ReefVerifiedRecords *verified,
			  ReefError *err)
{
	ReefRecord *record = &repair->records[index];
	uint64_t	lsn = record->header.lsn;
	uint64_t	errors = repair->verify.errors;
	ReefWalHeader header;
	ReefError	found;
	bool		is_readable;
	ReefCode	rc;

	reef_error_init(&found);
	rc = reef_record_load(repair->ns, lsn, &repair->arena, record, &found);
	if (rc == REEF_UNSUPPORTED)
	{
		*err = found;
		return rc;
	}
	if (rc == REEF_OK)
		rc = reef_verify_record(&repair->verify, lsn, repair->namespace_id,
								verified, &header, &is_readable, &found);
	if (rc == REEF_NOT_FOUND)
		return REEF_OK;
	if (rc != REEF_OK && !reef_verify_is_damage(rc, &found))
	{
		*err = found;
		return rc;
	}
	repair->record_states[index] =
		rc == REEF_OK && repair->verify.errors == errors ?
		REEF_RECORD_SOUND : REEF_RECORD_DAMAGED;
	if (repair->record_states[index] == REEF_RECORD_SOUND)
	{
		if (repair->epoch < record->header.epoch)
			repair->epoch = record->header.epoch;
		return REEF_OK;
	}
	memset(record, 0, sizeof(*record));
	record->header.lsn = lsn;
	return REEF_OK;
}

static bool
follows(const ReefRepair *repair, int index)
{
	uint32_t	crc = repair->base.last_applied_crc;

	if (index > 0)
	{
		if (repair->record_states[index - 1] != REEF_RECORD_SOUND)
			return true;
		crc = repair->records[index - 1].header.crc;
	}
	else if (repair->base.last_applied_lsn == 0)
		crc = 0;
	return repair->records[index].header.previous_crc == crc;
}

/*
 * A record that does not follow the one before is a stranger if the next one
 * does not follow it either; otherwise the one before is.
 */
static void
find_strangers(ReefRepair *repair)
{
	int			i;

	for (i = 0; i < repair->record_count; i++)
	{
		bool		has_successor = i + 1 < repair->record_count &&
			repair->record_states[i + 1] == REEF_RECORD_SOUND;
		int			stranger = i;

		if (repair->record_states[i] != REEF_RECORD_SOUND ||
			follows(repair, i))
			continue;
		if (has_successor && follows(repair, i + 1))
			stranger = i - 1;
		if (stranger < 0)
			continue;
		repair->record_states[stranger] = REEF_RECORD_DAMAGED;
		repair->records[stranger].header.frame_count = 0;
	}
}

/*
 * In a place where nothing can be read stands, for who judges transactions, a
 * fence by the cluster that wrote what comes next: if that is not the one
 * before, it has put a fence somewhere between.
 */
static void
fill_holes(ReefRepair *repair)
{
	const uint8_t *cluster_id = repair->ns->settings->cluster_id;
	int			i;

	for (i = repair->record_count - 1; i >= 0; i--)
	{
		if (repair->record_states[i] == REEF_RECORD_SOUND)
			cluster_id = repair->records[i].header.cluster_id;
		else
		{
			memcpy(repair->records[i].header.cluster_id, cluster_id, 16);
			repair->tail_is_sound = false;
			repair->has_lost_history = true;
		}
	}
}

static bool
is_void(const ReefVerifiedRecords *verified, const ReefVerifiedAttach *attach)
{
	const ReefVerifiedAbort *note;

	for (note = verified->aborts; note != NULL; note = note->next)
	{
		if (note->lsn == attach->lsn && note->frame == attach->frame)
			return true;
	}
	return false;
}

static ReefCode
keep_attached(ReefRepair *repair, const ReefVerifiedRecords *verified,
			  ReefError *err)
{
	const ReefVerifiedAttach *attach;

	for (attach = verified->attaches; attach != NULL; attach = attach->next)
	{
		ReefRepairSegment *segment;

		if (is_void(verified, attach))
			continue;
		segment = reef_arena_calloc(&repair->arena, sizeof(*segment));
		if (segment == NULL)
			return reef_error_no_memory(err, sizeof(*segment));
		segment->meta = attach->meta;
		segment->schema = attach->schema;
		segment->next = repair->attached;
		repair->attached = segment;
	}
	return REEF_OK;
}

static ReefCode
survey_records(ReefRepair *repair, ReefError *err)
{
	ReefVerifiedRecords verified = {.arena = &repair->arena};
	uint64_t	first = repair->base.last_applied_lsn + 1;
	uint64_t   *numbers;
	size_t		count;
	size_t		i;

	REEF_TRY(reef_verify_list_numbers(&repair->verify, REEF_OBJECT_WAL,
									  first - 1, &repair->arena, &numbers,
									  &count, err));
	repair->exists |= count > 0;
	if (!repair->has_base)
	{
		if (count == 0 || numbers[0] != 1)
			return REEF_OK;
		repair->has_base = true;
		memcpy(repair->base.namespace_id, repair->namespace_id, 16);
	}
	if (count == 0)
		return REEF_OK;
	if (numbers[count - 1] - first >= INT32_MAX / 2)
		return reef_error_set(err, REEF_LIMIT, "too many records are missing",
							  "record %llu exists, record %llu is the next to be applied",
							  (unsigned long long) numbers[count - 1],
							  (unsigned long long) first);
	repair->record_count = (int) (numbers[count - 1] - first + 1);
	repair->records = reef_arena_calloc(&repair->arena,
										sizeof(*repair->records) *
										(size_t) repair->record_count);
	repair->record_states = reef_arena_calloc(&repair->arena,
											  sizeof(*repair->record_states) *
											  (size_t) repair->record_count);
	if (repair->records == NULL || repair->record_states == NULL)
		return reef_error_no_memory(err, sizeof(*repair->records) * count);
	for (i = 0; i < (size_t) repair->record_count; i++)
	{
		repair->records[i].header.lsn = first + i;
		repair->record_states[i] = REEF_RECORD_MISSING;
	}
	for (i = 0; i < count; i++)
		REEF_TRY(survey_record(repair, (int) (numbers[i] - first), &verified,
							   err));
	find_strangers(repair);
	fill_holes(repair);
	return keep_attached(repair, &verified, err);
}

/* ---- segments ---- */

static ReefCode
survey_segment(ReefRepair *repair, ReefRepairSegment *segment, ReefError *err)
{
	ReefCode	rc;

	rc = reef_verify_segment(&repair->verify, &segment->meta, &segment->schema,
							 repair->namespace_id, false, &segment->state,
							 err);
	if (rc != REEF_OK && rc != REEF_NOT_FOUND)
		return rc;
	if (segment->state.is_newer_format)
		return reef_error_set(err, REEF_UNSUPPORTED,
							  "a segment was written by a newer version",
							  "namespace \"%s\"", repair->ns->name);
	if (segment->state.is_sound)
		return REEF_OK;
	repair->segments_are_sound = false;
	if (segment->meta.superseding_count > 0 ||
		segment->meta.tombstone_count > 0)
		repair->has_lost_history = true;
	return REEF_OK;
}

static ReefCode
survey_segments(ReefRepair *repair, ReefError *err)
{
	ReefRepairSegment *attached;
	int			i;

	repair->segments = reef_arena_calloc(&repair->arena,
										 sizeof(*repair->segments) *
										 ((size_t) repair->base.segment_count + 1));
	if (repair->segments == NULL)
		return reef_error_no_memory(err, sizeof(*repair->segments));
	reef_verify_begin_phase(&repair->verify, "verifying segments",
							(uint64_t) repair->base.segment_count);
	for (i = 0; i < repair->base.segment_count; i++)
	{
		repair->segments[i].meta = repair->base.segments[i];
		repair->segments[i].schema = repair->base.schema;
		REEF_TRY(survey_segment(repair, &repair->segments[i], err));
		repair->verify.done++;
	}
	for (attached = repair->attached; attached != NULL;
		 attached = attached->next)
		REEF_TRY(survey_segment(repair, attached, err));
	return REEF_OK;
}

static ReefCode
survey_row_count(ReefRepair *repair, ReefError *err)
{
	uint64_t	live_rows;
	bool		is_exact;

	if (!repair->segments_are_sound || repair->base.version == 0)
		return REEF_OK;
	REEF_TRY(reef_verify_rows(&repair->verify, repair->base.segments,
							  repair->base.segment_count,
							  &repair->base.schema, repair->namespace_id,
							  &live_rows, &is_exact, err));
	repair->row_count_is_right = is_exact &&
		live_rows == repair->base.live_row_count;
	repair->has_lost_history |= !is_exact;
	return REEF_OK;
}

/* Segments alone are a namespace too, of which the rest is lost. */
static ReefCode
survey_existence(ReefRepair *repair, ReefError *err)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectList list;
	ReefCode	rc;

	reef_layout_list_prefix(repair->ns->prefix, REEF_OBJECT_SEGMENT, prefix);
	reef_object_list_init(&list);
	rc = reef_store_list(repair->ns->store, prefix, "", 1, &list, err);
	repair->exists = repair->version_count > 0 || list.count > 0;
	reef_object_list_release(&list);
	return rc;
}

ReefCode
reef_repair_survey(ReefRepair *repair, ReefError *err)
{
	bool		is_known;

	reef_verify_init(&repair->verify, repair->ns, NULL, NULL);
	repair->tail_is_sound = true;
	repair->segments_are_sound = true;
	repair->row_count_is_right = true;
	REEF_TRY(reef_verify_identity(&repair->verify, repair->namespace_id,
								  &is_known, err));
	REEF_TRY(survey_manifests(repair, err));
	REEF_TRY(survey_existence(repair, err));
	REEF_TRY(survey_records(repair, err));
	if (!repair->has_base)
		return REEF_OK;
	repair->epoch = repair->epoch < repair->base.epoch ? repair->base.epoch :
		repair->epoch;
	REEF_TRY(survey_segments(repair, err));
	return survey_row_count(repair, err);
}

bool
reef_repair_needs_rebuild(const ReefRepair *repair)
{
	if (!repair->has_base)
		return repair->exists;
	/* a manifest that cannot be read may have applied what is not there */
	return !repair->base_is_newest && repair->has_bad_manifests &&
		repair->record_count > 0 &&
		repair->record_states[0] == REEF_RECORD_MISSING;
}

bool
reef_repair_needs_manifest(const ReefRepair *repair)
{
	return !repair->tail_is_sound || !repair->segments_are_sound ||
		!repair->row_count_is_right ||
		(repair->has_bad_manifests && !repair->base_is_newest);
}
