/*
 * rebuild_base.c
 *	  Choosing what a namespace is rebuilt from.
 *
 * Every copy of a manifest, with the segment that carries it, could be the
 * base, and so could nothing at all, if no record has been collected.  A base
 * is believed only if it leads to everything that is known of: a copy whose
 * successors were collected or lost looks whole by itself, and only a later
 * LSN somewhere - in the name of a record, in any footer, in a manifest - shows
 * that it is not.
 *
 * WHOSE NAMESPACE.  Objects may have strayed in from elsewhere, or be left from
 * a namespace of the same name.  The id of the newest record that can be read
 * is tried first, then those of the newest segments and of the first record;
 * the first that leads to a complete base wins.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/rebuild.h"
#include "engine/verify.h"
#include "format/manifest_copy.h"

#define IDENTITIES_MAX 8

typedef struct Candidate
{
	const ReefSurveyedSegment *carrier; /* NULL: records only */
	uint64_t	last_lsn;
	ReefBaseLoss loss;
} Candidate;

/* One choice among the candidates of one namespace id. */
typedef struct Choice
{
	ReefSurvey *survey;
	const uint8_t *namespace_id;
	uint64_t	known_lsn;		/* something mentions it */
	int			count;
	Candidate  *candidates;
} Choice;

/* ---- judging ---- */

/* What footers and the current manifest know of. */
static uint64_t
find_known_lsn(const ReefSurvey *survey, const uint8_t namespace_id[16],
			   const ReefManifest *current)
{
	uint64_t	lsn = 0;
	int			i;

	for (i = 0; i < survey->segment_count; i++)
	{
		const ReefSurveyedSegment *segment = &survey->segments[i];

		if (memcmp(segment->namespace_id, namespace_id, 16) != 0)
			continue;
		if (lsn < segment->lsn_max)
			lsn = segment->lsn_max;
		if (segment->has_copy && lsn < segment->copy_applied_lsn)
			lsn = segment->copy_applied_lsn;
	}
	if (current != NULL &&
		memcmp(current->namespace_id, namespace_id, 16) == 0 &&
		lsn < current->last_applied_lsn)
		lsn = current->last_applied_lsn;
	return lsn;
}

static bool
is_whole(const ReefSurvey *survey, const uint8_t namespace_id[16],
		 const uint8_t id[16], uint64_t size)
{
	const ReefSurveyedSegment *segment = reef_survey_find(survey, id);

	return segment != NULL && segment->is_readable && segment->size == size &&
		memcmp(segment->namespace_id, namespace_id, 16) == 0;
}

/* Does the base need this segment of a record, and not have it? */
static bool
lacks_attached(const ReefSurvey *survey, const uint8_t namespace_id[16],
			   uint64_t applied_lsn, uint64_t last_lsn,
			   const ReefSurveyedAttach *attach)
{
	return attach->lsn > applied_lsn && attach->lsn <= last_lsn &&
		!is_whole(survey, namespace_id, attach->segment_id, attach->size);
}

/* Follow the records after the manifest as far as they go. */
static ReefCode
follow_records(const Choice *choice, const ReefManifest *manifest,
			   uint64_t *last_lsn, ReefError *err)
{
	ReefSurvey *survey = choice->survey;
	uint64_t	lsn = manifest->last_applied_lsn;
	uint32_t	crc = lsn == 0 ? 0 : manifest->last_applied_crc;
	int			i = 0;

	/* what is folded means nothing, whoever put it there and when */
	while (i < survey->record_count && survey->records[i].lsn <= lsn)
		i++;
	for (; i < survey->record_count; i++)
	{
		const ReefSurveyedRecord *record = &survey->records[i];

		REEF_TRY(reef_survey_read_record(survey, i, err));
		if (record->lsn != lsn + 1 || record->state != REEF_SURVEYED_GOOD ||
			memcmp(record->namespace_id, choice->namespace_id, 16) != 0 ||
			record->previous_crc != crc)
			break;
		lsn = record->lsn;
		crc = record->crc;
	}
	*last_lsn = lsn;
	return REEF_OK;
}

static ReefCode
judge(const Choice *choice, const ReefManifest *manifest, Candidate *candidate,
	  ReefError *err)
{
	ReefSurvey *survey = choice->survey;
	ReefBaseLoss *loss = &candidate->loss;
	uint64_t	known_lsn = choice->known_lsn;
	int			i;

	memset(loss, 0, sizeof(*loss));
	for (i = 0; i < manifest->segment_count; i++)
	{
		const ReefSegmentMeta *meta = &manifest->segments[i];

		if (is_whole(survey, choice->namespace_id, meta->id, meta->size))
			continue;
		loss->segments++;
		loss->documents += meta->row_count - meta->tombstone_count;
	}
	REEF_TRY(follow_records(choice, manifest, &candidate->last_lsn, err));
	for (i = 0; i < survey->attach_count; i++)
	{
		const ReefSurveyedAttach *attach = &survey->attaches[i];

		if (!lacks_attached(survey, choice->namespace_id,
							manifest->last_applied_lsn, candidate->last_lsn,
							attach))
			continue;
		loss->segments++;
		loss->documents += attach->document_count;
	}
	if (survey->record_count > 0 &&
		known_lsn < survey->records[survey->record_count - 1].lsn)
		known_lsn = survey->records[survey->record_count - 1].lsn;
	if (candidate->last_lsn < known_lsn)
	{
		loss->lsn_first = candidate->last_lsn + 1;
		loss->lsn_last = known_lsn;
	}
	return REEF_OK;
}

/* ---- loading ---- */

static ReefCode
load_copy(const ReefSurvey *survey, const ReefSurveyedSegment *carrier,
		  ReefArena *arena, ReefManifest *manifest, ReefError *err)
{
	ReefSegmentFile file;
	const char *text;
	ReefCode	rc;

	rc = reef_segment_file_open(survey->ns, carrier->id, carrier->size, &file,
								err);
	if (rc != REEF_OK)
		return rc;
	text = reef_parquet_reader_value(file.reader, REEF_MANIFEST_COPY_PAIR);
	rc = reef_manifest_copy_decode(text == NULL ? "" : text, file.key, arena,
								   manifest, err);
	reef_segment_file_close(&file);
	return rc;
}

/* No copy: the namespace before its first record. */
static void
set_empty(const Choice *choice, ReefManifest *manifest)
{
	memset(manifest, 0, sizeof(*manifest));
	manifest->version = 1;
	memcpy(manifest->namespace_id, choice->namespace_id, 16);
}

static ReefCode
load_manifest(const Choice *choice, const ReefSurveyedSegment *carrier,
			  ReefArena *arena, ReefManifest *manifest, ReefError *err)
{
	set_empty(choice, manifest);
	if (carrier == NULL)
		return REEF_OK;
	return load_copy(choice->survey, carrier, arena, manifest, err);
}

/* Where the list of segments has its place for this one. */
static int
find_place(const ReefManifest *manifest, const ReefSegmentMeta *meta)
{
	int			place = manifest->segment_count;

	for (; place > 0; place--)
	{
		const ReefSegmentMeta *before = &manifest->segments[place - 1];

		if (before->level > meta->level)
			break;
		if (before->level < meta->level)
			continue;
		if (meta->level == 0 ? before->lsn_max <= meta->lsn_max :
			reef_slice_compare(before->key_min, meta->key_min) < 0)
			break;
	}
	return place;
}

/* The copy was made without the segment that carries it. */
static ReefCode
add_carrier(ReefManifest *manifest, const ReefSegmentMeta *meta,
			ReefArena *arena, ReefError *err)
{
	int			count = manifest->segment_count;
	int			place = find_place(manifest, meta);
	ReefSegmentMeta *segments;

	segments = reef_arena_alloc(arena, sizeof(*segments) *
								((size_t) count + 1));
	if (segments == NULL)
		return reef_error_no_memory(err, sizeof(*segments));
	if (place > 0)
		memcpy(segments, manifest->segments, sizeof(*segments) *
			   (size_t) place);
	segments[place] = *meta;
	if (place < count)
		memcpy(segments + place + 1, manifest->segments + place,
			   sizeof(*segments) * (size_t) (count - place));
	manifest->segments = segments;
	manifest->segment_count = count + 1;
	return REEF_OK;
}

/* REEF_CORRUPT: it is no base after all. */
static ReefCode
load_base(const Choice *choice, const Candidate *candidate, ReefArena *arena,
		  ReefBase *base, ReefError *err)
{
	const ReefSurveyedSegment *carrier = candidate->carrier;
	ReefManifest *manifest = &base->manifest;
	ReefSegmentMeta meta;
	ReefBuf		encoded;
	ReefCode	rc;

	memset(base, 0, sizeof(*base));
	REEF_TRY(load_manifest(choice, carrier, arena, manifest, err));
	memcpy(base->namespace_id, choice->namespace_id, 16);
	base->carrier = carrier;
	base->last_lsn = candidate->last_lsn;
	base->loss = candidate->loss;
	if (carrier == NULL)
		return REEF_OK;
	REEF_TRY(reef_segment_describe(choice->survey->ns, carrier->id,
								   carrier->size, arena, &meta, err));
	REEF_TRY(add_carrier(manifest, &meta, arena, err));
	manifest->rebuildable_lsn = manifest->last_applied_lsn;

	/* do the parts make a manifest? */
	reef_buf_init(&encoded);
	rc = reef_manifest_encode(manifest, &encoded, err);
	reef_buf_release(&encoded);
	return rc == REEF_INVALID ? REEF_CORRUPT : rc;
}

/* ---- choosing ---- */

uint64_t
reef_base_loss_size(const ReefBaseLoss *loss)
{
	uint64_t	records = loss->lsn_first == 0 ? 0 :
		loss->lsn_last - loss->lsn_first + 1;

	return loss->segments + loss->documents + records;
}

static int
compare_carriers(const void *left, const void *right)
{
	const ReefSurveyedSegment *a = ((const Candidate *) left)->carrier;
	const ReefSurveyedSegment *b = ((const Candidate *) right)->carrier;

	if (a == NULL || b == NULL)
		return (a == NULL) - (b == NULL);
	if (a->copy_version != b->copy_version)
		return a->copy_version > b->copy_version ? -1 : 1;
	if (a->copy_applied_lsn != b->copy_applied_lsn)
		return a->copy_applied_lsn > b->copy_applied_lsn ? -1 : 1;
	return memcmp(a->id, b->id, 16);
}

/* What lacks least comes first; of those that lack as little, the newest. */
static int
compare_losses(const void *left, const void *right)
{
	uint64_t	a = reef_base_loss_size(&((const Candidate *) left)->loss);
	uint64_t	b = reef_base_loss_size(&((const Candidate *) right)->loss);

	if (a != b)
		return a < b ? -1 : 1;
	return compare_carriers(left, right);
}

/* Newest first; the last one is that of no copy. */
static ReefCode
list_candidates(Choice *choice, ReefError *err)
{
	const ReefSurvey *survey = choice->survey;
	int			i;

	choice->candidates = reef_arena_calloc(&choice->survey->arena,
										   sizeof(*choice->candidates) *
										   ((size_t) survey->segment_count + 1));
	if (choice->candidates == NULL)
		return reef_error_no_memory(err, sizeof(*choice->candidates));
	for (i = 0; i < survey->segment_count; i++)
	{
		const ReefSurveyedSegment *segment = &survey->segments[i];

		if (segment->has_copy &&
			memcmp(segment->namespace_id, choice->namespace_id, 16) == 0)
			choice->candidates[choice->count++].carrier = segment;
	}
	choice->count++;
	qsort(choice->candidates, (size_t) choice->count,
		  sizeof(*choice->candidates), compare_carriers);
	return REEF_OK;
}

/* REEF_CORRUPT or REEF_NOT_FOUND: it is none. */
static ReefCode
judge_candidate(Choice *choice, Candidate *candidate, ReefError *err)
{
	ReefManifest manifest;
	ReefArena	arena;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	rc = load_manifest(choice, candidate->carrier, &arena, &manifest, err);
	if (rc == REEF_OK && memcmp(manifest.namespace_id, choice->namespace_id,
								16) != 0)
		rc = REEF_CORRUPT;
	if (rc == REEF_OK)
		rc = judge(choice, &manifest, candidate, err);
	reef_arena_release(&arena);
	return rc;
}

static bool
is_no_base(ReefCode rc, const ReefError *err)
{
	return rc == REEF_CORRUPT || rc == REEF_NOT_FOUND ||
		reef_verify_is_damage(rc, err);
}

static ReefCode
choose_for(ReefSurvey *survey, const uint8_t namespace_id[16],
		   const ReefManifest *current, ReefArena *arena, ReefBase *base,
		   ReefError *err)
{
	Choice		choice = {.survey = survey,.namespace_id = namespace_id};
	int			incomplete = 0;
	int			i;

	choice.known_lsn = find_known_lsn(survey, namespace_id, current);
	REEF_TRY(list_candidates(&choice, err));
	for (i = 0; i < choice.count; i++)
	{
		Candidate	candidate = choice.candidates[i];
		ReefCode	rc = judge_candidate(&choice, &candidate, err);

		if (rc == REEF_OK && reef_base_loss_size(&candidate.loss) > 0)
			choice.candidates[incomplete++] = candidate;
		else if (rc == REEF_OK)
			rc = load_base(&choice, &candidate, arena, base, err);
		if (!is_no_base(rc, err) &&
			(rc != REEF_OK || reef_base_loss_size(&candidate.loss) == 0))
			return rc;
	}
	qsort(choice.candidates, (size_t) incomplete, sizeof(*choice.candidates),
		  compare_losses);
	for (i = 0; i < incomplete; i++)
	{
		ReefCode	rc = load_base(&choice, &choice.candidates[i], arena, base,
								   err);

		/* that of no copy, at the latest, can be loaded */
		if (!is_no_base(rc, err))
			return rc;
	}
	return reef_error_set(err, REEF_BUG, "there is nothing to rebuild from",
						  "namespace \"%s\"", survey->ns->name);
}

/* ---- identities ---- */

static void
add_identity(uint8_t (*ids)[16], int *count, const uint8_t id[16])
{
	static const uint8_t none[16];
	int			i;

	for (i = 0; i < *count; i++)
	{
		if (memcmp(ids[i], id, 16) == 0)
			return;
	}
	if (*count < IDENTITIES_MAX && memcmp(id, none, 16) != 0)
		memcpy(ids[(*count)++], id, 16);
}

static ReefCode
find_identities(ReefSurvey *survey, uint8_t (*ids)[16], int *count,
				ReefError *err)
{
	int			i;

	*count = 0;
	for (i = survey->record_count - 1; i >= 0 && *count == 0; i--)
	{
		REEF_TRY(reef_survey_read_record(survey, i, err));
		if (survey->records[i].state == REEF_SURVEYED_GOOD)
			add_identity(ids, count, survey->records[i].namespace_id);
	}
	/* ids of segments begin with the time */
	for (i = survey->segment_count - 1; i >= 0; i--)
		add_identity(ids, count, survey->segments[i].namespace_id);
	if (survey->record_count > 0)
	{
		REEF_TRY(reef_survey_read_record(survey, 0, err));
		if (survey->records[0].state == REEF_SURVEYED_GOOD)
			add_identity(ids, count, survey->records[0].namespace_id);
	}
	return REEF_OK;
}

ReefCode
reef_survey_choose_base(ReefSurvey *survey, const ReefManifest *current,
						ReefArena *arena, ReefBase *base, bool *found,
						ReefError *err)
{
	uint8_t		ids[IDENTITIES_MAX][16];
	ReefBase	other;
	int			count;
	int			i;

	REEF_TRY(find_identities(survey, ids, &count, err));
	*found = count > 0;
	if (count == 0)
		return REEF_OK;
	REEF_TRY(choose_for(survey, ids[0], current, arena, base, err));
	for (i = 1; i < count && reef_base_loss_size(&base->loss) > 0; i++)
	{
		REEF_TRY(choose_for(survey, ids[i], current, arena, &other, err));
		if (reef_base_loss_size(&other.loss) == 0)
			*base = other;
	}
	return REEF_OK;
}

/* ---- reporting ---- */

static ReefCode
report_segment(const ReefSurvey *survey, const uint8_t id[16],
			   uint64_t document_count, uint64_t tombstone_count,
			   uint64_t lsn_min, uint64_t lsn_max, ReefActionVisitor visit,
			   void *arg, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	char		detail[200];
	ReefAction	action = {"lost segment", key, detail};

	reef_layout_segment_key(survey->ns->prefix, id, key);
	snprintf(detail, sizeof(detail),
			 "%llu documents and %llu deletions of LSN %llu to %llu",
			 (unsigned long long) document_count,
			 (unsigned long long) tombstone_count,
			 (unsigned long long) lsn_min, (unsigned long long) lsn_max);
	return visit(arg, &action, err);
}

static ReefCode
report_records(const ReefSurvey *survey, const ReefBaseLoss *loss,
			   ReefActionVisitor visit, void *arg, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	char		detail[200];
	ReefAction	action = {"lost records", key, detail};

	reef_layout_wal_key(survey->ns->prefix, loss->lsn_first, key);
	snprintf(detail, sizeof(detail),
			 "LSN %llu to %llu: the first is missing or damaged, so nothing above it can be applied",
			 (unsigned long long) loss->lsn_first,
			 (unsigned long long) loss->lsn_last);
	return visit(arg, &action, err);
}

ReefCode
reef_base_report_loss(ReefSurvey *survey, const ReefBase *base,
					  ReefActionVisitor visit, void *arg, ReefError *err)
{
	const ReefManifest *manifest = &base->manifest;
	int			i;

	for (i = 0; i < manifest->segment_count; i++)
	{
		const ReefSegmentMeta *meta = &manifest->segments[i];

		if (!is_whole(survey, base->namespace_id, meta->id, meta->size))
			REEF_TRY(report_segment(survey, meta->id,
									meta->row_count - meta->tombstone_count,
									meta->tombstone_count, meta->lsn_min,
									meta->lsn_max, visit, arg, err));
	}
	for (i = 0; i < survey->attach_count; i++)
	{
		const ReefSurveyedAttach *attach = &survey->attaches[i];

		if (lacks_attached(survey, base->namespace_id,
						   manifest->last_applied_lsn, base->last_lsn, attach))
			REEF_TRY(report_segment(survey, attach->segment_id,
									attach->document_count, 0, attach->lsn,
									attach->lsn, visit, arg, err));
	}
	if (base->loss.lsn_first == 0)
		return REEF_OK;
	return report_records(survey, &base->loss, visit, arg, err);
}
