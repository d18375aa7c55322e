/*
 * repair_survey.c
 *	  What there is, what is wrong with it, and what a repair can build on.
 *
 * The base is the newest manifest that can be read; above it come the records.
 * If something is missing there, an older manifest may still have all of its
 * segments, and all records above it: then nothing is lost.  The oldest base is
 * none at all, if the records begin with the first one; and the footers of
 * segments have copies of manifests (rebuild.h).  The chain of checksums
 * must lead through the record that the newest manifest has applied last: what
 * it has passed and was collected may have late fences in its place.
 */
#include "engine/rebuild.h"
#include "engine/repair.h"

/* ---- manifests ---- */

static ReefCode
survey_manifest(ReefRepair *repair, size_t i, ReefError *err)
{
	ReefManifest manifest;
	ReefArena	arena;
	ReefBuf		bytes;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	rc = reef_manifest_load(repair->ns, repair->versions[i], &arena, &manifest,
							&bytes, err);
	if (rc == REEF_OK &&
		memcmp(manifest.namespace_id, repair->namespace_id, 16) == 0)
	{
		if (repair->newest_version == 0)
		{
			repair->newest_version = manifest.version;
			repair->newest_lsn = manifest.last_applied_lsn;
			repair->newest_crc = manifest.last_applied_crc;
			repair->epoch = manifest.epoch;
			repair->newest_is_bad = repair->has_bad_manifests;
		}
	}
	else if (rc == REEF_OK || reef_verify_is_damage(rc, err))
	{
		repair->is_bad[i] = true;
		repair->has_bad_manifests = true;
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

/* What the base of a repair can be besides a version. */
#define BASE_RECORDS UINT64_C(0)	/* nothing: the records have everything */
#define BASE_COPY UINT64_MAX

/* REEF_NOT_FOUND: it was collected meanwhile. */
static ReefCode
load_base(ReefRepair *repair, uint64_t version, ReefError *err)
{
	ReefBuf		bytes;
	ReefCode	rc = REEF_OK;

	memset(&repair->base, 0, sizeof(repair->base));
	memcpy(repair->base.namespace_id, repair->namespace_id, 16);
	repair->is_copy = version == BASE_COPY;
	if (repair->is_copy)
		repair->base = repair->copy;
	if (repair->is_copy || version == BASE_RECORDS)
		return REEF_OK;
	reef_buf_init(&bytes);
	rc = reef_manifest_load(repair->ns, version, &repair->arena, &repair->base,
							&bytes, err);
	reef_buf_release(&bytes);
	return rc;
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
		REEF_PLACE_SOUND : REEF_PLACE_DAMAGED;
	if (repair->record_states[index] == REEF_PLACE_SOUND)
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
		if (repair->record_states[index - 1] != REEF_PLACE_SOUND)
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
			repair->record_states[i + 1] == REEF_PLACE_SOUND;
		int			stranger = i;

		if (repair->record_states[i] != REEF_PLACE_SOUND ||
			follows(repair, i))
			continue;
		if (has_successor && follows(repair, i + 1))
			stranger = i - 1;
		if (stranger < 0)
			continue;
		repair->record_states[stranger] = REEF_PLACE_DAMAGED;
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
		if (repair->record_states[i] == REEF_PLACE_SOUND)
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
	repair->records = NULL;
	repair->record_count = 0;
	repair->attached = NULL;
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
		repair->record_states[i] = REEF_PLACE_MISSING;
	}
	for (i = 0; i < count; i++)
		REEF_TRY(survey_record(repair, (int) (numbers[i] - first), &verified,
							   err));
	find_strangers(repair);
	fill_holes(repair);
	return keep_attached(repair, &verified, err);
}

/* ---- segments ---- */

/* Several manifests may name a segment: it is read once. */
static ReefCode
read_segment(ReefRepair *repair, ReefRepairSegment *segment, ReefError *err)
{
	ReefRepairSegment *known;
	ReefCode	rc;

	for (known = repair->known; known != NULL; known = known->next)
	{
		if (memcmp(known->meta.id, segment->meta.id, 16) == 0)
		{
			segment->state = known->state;
			return REEF_OK;
		}
	}
	rc = reef_verify_segment(&repair->verify, &segment->meta, &segment->schema,
							 repair->namespace_id, false, &segment->state,
							 err);
	if (rc != REEF_OK && rc != REEF_NOT_FOUND)
		return rc;
	if (segment->state.is_newer_format)
		return reef_error_set(err, REEF_UNSUPPORTED,
							  "a segment was written by a newer version",
							  "namespace \"%s\"", repair->ns->name);
	known = reef_arena_alloc(&repair->arena, sizeof(*known));
	if (known == NULL)
		return reef_error_no_memory(err, sizeof(*known));
	*known = *segment;
	known->next = repair->known;
	repair->known = known;
	return REEF_OK;
}

static ReefCode
survey_segment(ReefRepair *repair, ReefRepairSegment *segment, ReefError *err)
{
	REEF_TRY(read_segment(repair, segment, err));
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

/* ---- bases ---- */

static ReefCode
survey_base(ReefRepair *repair, uint64_t version, ReefError *err)
{
	repair->tail_is_sound = true;
	repair->segments_are_sound = true;
	repair->row_count_is_right = true;
	repair->has_lost_history = false;
	REEF_TRY(load_base(repair, version, err));
	REEF_TRY(survey_records(repair, err));
	REEF_TRY(survey_segments(repair, err));
	return survey_row_count(repair, err);
}

static bool
base_is_sound(const ReefRepair *repair)
{
	uint64_t	place;

	if (!repair->tail_is_sound || !repair->segments_are_sound)
		return false;
	if (repair->base.last_applied_lsn >= repair->newest_lsn)
		return true;
	/* does the chain lead through what the newest manifest has applied? */
	place = repair->newest_lsn - repair->base.last_applied_lsn - 1;
	return place < (uint64_t) repair->record_count &&
		repair->records[place].header.crc == repair->newest_crc;
}

static ReefCode
try_base(ReefRepair *repair, uint64_t version, bool *is_sound, ReefError *err)
{
	ReefCode	rc = survey_base(repair, version, err);

	*is_sound = rc == REEF_OK && base_is_sound(repair);
	return rc == REEF_NOT_FOUND ? REEF_OK : rc;
}

/* Only a copy of the same namespace is one. */
static ReefCode
find_copy(ReefRepair *repair, ReefError *err)
{
	REEF_TRY(reef_rebuild_find_base(repair->ns, &repair->arena, &repair->copy,
									&repair->has_copy, err));
	repair->has_copy = repair->has_copy && repair->copy.version > 0 &&
		memcmp(repair->copy.namespace_id, repair->namespace_id, 16) == 0;
	return REEF_OK;
}

/* Another base with which nothing is lost; or else the best one. */
static ReefCode
find_other_base(ReefRepair *repair, ReefError *err)
{
	bool		is_sound = false;
	size_t		i;

	repair->is_fallback = true;
	for (i = repair->version_count; i > 0 && !is_sound; i--)
	{
		if (repair->versions[i - 1] < repair->newest_version &&
			!repair->is_bad[i - 1])
			REEF_TRY(try_base(repair, repair->versions[i - 1], &is_sound,
							  err));
	}
	if (!is_sound)
		REEF_TRY(find_copy(repair, err));
	if (!is_sound && repair->has_copy)
		REEF_TRY(try_base(repair, BASE_COPY, &is_sound, err));
	if (!is_sound && repair->newest_version > 0)
		REEF_TRY(try_base(repair, BASE_RECORDS, &is_sound, err));
	if (is_sound)
		return REEF_OK;
	/* a manifest that cannot be read may have applied what is not there */
	if (repair->has_copy &&
		(repair->newest_version == 0 ||
		 (repair->newest_is_bad &&
		  repair->copy.last_applied_lsn > repair->newest_lsn)))
		return survey_base(repair, BASE_COPY, err);
	repair->is_fallback = false;
	return survey_base(repair, repair->newest_version, err);
}

/* Does the prefix have an object of this kind?  Segments or records alone are a
 * namespace too, of which the rest is lost. */
static ReefCode
note_existence(ReefRepair *repair, ReefObjectKind kind, ReefError *err)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectList list;
	ReefCode	rc;

	reef_layout_list_prefix(repair->ns->prefix, kind, prefix);
	reef_object_list_init(&list);
	rc = reef_store_list(repair->ns->store, prefix, "", 1, &list, err);
	repair->exists |= list.count > 0;
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
	REEF_TRY(note_existence(repair, REEF_OBJECT_MANIFEST, err));
	REEF_TRY(note_existence(repair, REEF_OBJECT_SEGMENT, err));
	REEF_TRY(note_existence(repair, REEF_OBJECT_WAL, err));
	if (!repair->exists)
		return REEF_OK;
	REEF_TRY(survey_base(repair, repair->newest_version, err));
	if (!base_is_sound(repair) ||
		(repair->newest_version == 0 && repair->record_count == 0))
		return find_other_base(repair, err);
	return REEF_OK;
}

bool
reef_repair_needs_manifest(const ReefRepair *repair)
{
	return !repair->tail_is_sound || !repair->segments_are_sound ||
		!repair->row_count_is_right || repair->is_fallback ||
		(repair->has_bad_manifests && repair->newest_is_bad) ||
		(repair->has_bad_manifests && repair->newest_version == 0);
}
