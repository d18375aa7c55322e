/*
 * survey.c
 *	  What is stored of a namespace: segments by their footers, records.
 *
 * Footers are read one after the other and forgotten, but for a few numbers;
 * records only from the one on that somebody asks about, which is usually the
 * last applied one.  So memory is a small entry for each object.  What is
 * damaged is noted, and what is gone by the time it is read was never there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/rebuild.h"
#include "engine/verify.h"
#include "format/manifest_copy.h"

static ReefCode
check_not_cancelled(ReefNamespace *ns, ReefError *err)
{
	if (ns->host->cancelled(ns->host->arg))
		return reef_error_set(err, REEF_CANCELLED,
							  "reading the namespace's objects was cancelled",
							  "namespace \"%s\"", ns->name);
	return REEF_OK;
}

static void
show_progress(ReefNamespace *ns, const char *phase, size_t done, size_t total)
{
	if (ns->host->progress != NULL)
		ns->host->progress(ns->host->arg, phase, done, total);
}

/* ---- segments ---- */

/* Its own footer says enough; what the copy says is for whoever needs it. */
static ReefCode
read_copy(ReefSurvey *survey, const ReefSegmentFile *file,
		  ReefSurveyedSegment *segment, ReefError *err)
{
	const char *text = reef_parquet_reader_value(file->reader,
												 REEF_MANIFEST_COPY_PAIR);
	ReefManifest copy;
	ReefArena	arena;
	ReefCode	rc;

	if (text == NULL)
		return REEF_OK;
	reef_arena_init(&arena, 0);
	rc = reef_manifest_copy_decode(text, file->key, &arena, &copy, err);
	if (rc == REEF_OK)
	{
		segment->has_copy = true;
		segment->copy_version = copy.version;
		segment->copy_applied_lsn = copy.last_applied_lsn;
		if (survey->version_max < copy.version)
			survey->version_max = copy.version;
	}
	reef_arena_release(&arena);
	return rc == REEF_CORRUPT ? REEF_OK : rc;
}

static ReefCode
read_footer(ReefSurvey *survey, ReefSurveyedSegment *segment, bool *is_there,
			ReefError *err)
{
	ReefSegmentFile file;
	const char *id;
	const char *lsn_max;
	ReefCode	rc;

	rc = reef_segment_file_open(survey->ns, segment->id, segment->size, &file,
								err);
	*is_there = rc != REEF_NOT_FOUND;
	if (rc == REEF_NOT_FOUND || reef_verify_is_damage(rc, err))
		return REEF_OK;
	if (rc != REEF_OK)
		return rc;
	segment->is_readable = true;
	id = reef_parquet_reader_value(file.reader, "reef.namespace_id");
	lsn_max = reef_parquet_reader_value(file.reader, "reef.lsn_max");
	if (id == NULL || !reef_uuid_parse(id, segment->namespace_id))
		memset(segment->namespace_id, 0, 16);
	if (lsn_max != NULL)
		segment->lsn_max = strtoull(lsn_max, NULL, 10);
	rc = read_copy(survey, &file, segment, err);
	reef_segment_file_close(&file);
	return rc;
}

static ReefCode
read_segments(ReefSurvey *survey, const ReefObjectList *list, ReefError *err)
{
	ReefNamespace *ns = survey->ns;
	size_t		i;

	survey->segments = reef_arena_calloc(&survey->arena,
										 sizeof(*survey->segments) *
										 (list->count + 1));
	if (survey->segments == NULL)
		return reef_error_no_memory(err, list->count);
	for (i = 0; i < list->count; i++)
	{
		ReefSurveyedSegment *segment =
			&survey->segments[survey->segment_count];
		ReefObjectName name;
		bool		is_there;

		reef_layout_parse(ns->prefix, list->objects[i].key, &name);
		if (name.kind != REEF_OBJECT_SEGMENT)
			continue;
		REEF_TRY(check_not_cancelled(ns, err));
		show_progress(ns, "reading segments", i, list->count);
		memset(segment, 0, sizeof(*segment));
		memcpy(segment->id, name.uuid, 16);
		segment->size = list->objects[i].size;
		REEF_TRY(read_footer(survey, segment, &is_there, err));
		survey->segment_count += is_there;
	}
	return REEF_OK;
}

static int
compare_ids(const void *id, const void *segment)
{
	return memcmp(id, ((const ReefSurveyedSegment *) segment)->id, 16);
}

/* Their names are listed in the order of their ids. */
const ReefSurveyedSegment *
reef_survey_find(const ReefSurvey *survey, const uint8_t id[16])
{
	if (survey->segment_count == 0)
		return NULL;
	return bsearch(id, survey->segments, (size_t) survey->segment_count,
				   sizeof(*survey->segments), compare_ids);
}

/* ---- records ---- */

static ReefCode
note_records(ReefSurvey *survey, const ReefObjectList *list, ReefError *err)
{
	size_t		i;

	survey->records = reef_arena_calloc(&survey->arena,
										sizeof(*survey->records) *
										(list->count + 1));
	if (survey->records == NULL)
		return reef_error_no_memory(err, list->count);
	for (i = 0; i < list->count; i++)
	{
		ReefObjectName name;

		reef_layout_parse(survey->ns->prefix, list->objects[i].key, &name);
		if (name.kind == REEF_OBJECT_WAL)
			survey->records[survey->record_count++].lsn = name.number;
	}
	return REEF_OK;
}

static ReefCode
add_attach(ReefSurvey *survey, uint64_t lsn, const ReefSegmentMeta *meta,
		   ReefError *err)
{
	ReefSurveyedAttach *attach;

	if (survey->attach_count == survey->attach_capacity)
	{
		int			capacity = survey->attach_capacity * 2 + 16;
		ReefSurveyedAttach *grown;

		grown = reef_arena_calloc(&survey->arena, sizeof(*grown) *
								  (size_t) capacity);
		if (grown == NULL)
			return reef_error_no_memory(err, sizeof(*grown));
		if (survey->attach_count > 0)
			memcpy(grown, survey->attaches, sizeof(*grown) *
				   (size_t) survey->attach_count);
		survey->attaches = grown;
		survey->attach_capacity = capacity;
	}
	attach = &survey->attaches[survey->attach_count++];
	attach->lsn = lsn;
	memcpy(attach->segment_id, meta->id, 16);
	attach->size = meta->size;
	attach->document_count = meta->row_count - meta->tombstone_count;
	return REEF_OK;
}

static ReefCode
read_frame(ReefSurvey *survey, uint64_t lsn, ReefSlice bytes, ReefError *err)
{
	ReefFrameReader reader;
	ReefArena	arena;
	ReefOp		op;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	rc = reef_frame_reader_init(&reader, bytes, &arena, err);
	while (rc == REEF_OK)
	{
		rc = reef_frame_reader_next(&reader, &op, err);
		if (rc == REEF_OK && op.kind == REEF_OP_ATTACH)
			rc = add_attach(survey, lsn, op.segment, err);
	}
	reef_arena_release(&arena);
	return rc == REEF_NOT_FOUND ? REEF_OK : rc;
}

static ReefCode
read_record(ReefSurvey *survey, ReefSurveyedRecord *surveyed, ReefError *err)
{
	ReefRecord	record;
	ReefArena	arena;
	ReefCode	rc;
	uint32_t	frame;

	reef_arena_init(&arena, 0);
	rc = reef_record_load(survey->ns, surveyed->lsn, &arena, &record, err);
	for (frame = 0; rc == REEF_OK && frame < record.header.frame_count;
		 frame++)
		rc = read_frame(survey, surveyed->lsn, record.frames[frame], err);
	if (rc == REEF_OK)
	{
		surveyed->state = REEF_SURVEYED_GOOD;
		memcpy(surveyed->namespace_id, record.header.namespace_id, 16);
		surveyed->crc = record.header.crc;
		surveyed->previous_crc = record.header.previous_crc;
	}
	else if (rc == REEF_NOT_FOUND || reef_verify_is_damage(rc, err))
	{
		surveyed->state = REEF_SURVEYED_BAD;
		rc = REEF_OK;
	}
	reef_arena_release(&arena);
	return rc;
}

ReefCode
reef_survey_read_record(ReefSurvey *survey, int index, ReefError *err)
{
	if (survey->records[index].state != REEF_SURVEYED_UNREAD)
		return REEF_OK;
	REEF_TRY(check_not_cancelled(survey->ns, err));
	show_progress(survey->ns, "reading records", (size_t) index,
				  (size_t) survey->record_count);
	return read_record(survey, &survey->records[index], err);
}

/* ---- survey ---- */

static ReefCode
read_kind(ReefSurvey *survey, ReefObjectKind kind,
		  ReefCode (*read) (ReefSurvey *survey, const ReefObjectList *list,
							ReefError *err), ReefError *err)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectList list;
	ReefCode	rc;

	reef_layout_list_prefix(survey->ns->prefix, kind, prefix);
	reef_object_list_init(&list);
	rc = reef_store_list(survey->ns->store, prefix, "", 0, &list, err);
	if (rc == REEF_OK)
		rc = read(survey, &list, err);
	reef_object_list_release(&list);
	return rc;
}

/*
 * Records are listed before segments: a fold that runs elsewhere writes its
 * segments before anybody may collect the records.
 */
ReefCode
reef_survey_init(ReefSurvey *survey, ReefNamespace *ns, ReefError *err)
{
	uint64_t   *versions;
	int			count;

	memset(survey, 0, sizeof(*survey));
	survey->ns = ns;
	reef_arena_init(&survey->arena, 0);
	REEF_TRY(read_kind(survey, REEF_OBJECT_WAL, note_records, err));
	REEF_TRY(read_kind(survey, REEF_OBJECT_SEGMENT, read_segments, err));
	REEF_TRY(reef_manifest_list(ns, 0, &survey->arena, &versions, &count,
								err));
	if (count > 0)
		survey->listed_version = versions[count - 1];
	if (survey->version_max < survey->listed_version)
		survey->version_max = survey->listed_version;
	return REEF_OK;
}

void
reef_survey_release(ReefSurvey *survey)
{
	reef_arena_release(&survey->arena);
}
