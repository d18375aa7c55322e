/*
 * verify.c
 *	  Is the namespace in the store what it should be?
 *
 * The walk: manifests, records, segments, everything else.  It reads the store
 * and nothing from memory, one object or page at a time, and writes nothing.
 *
 * CHECKS, the names that findings carry:
 *
 *	  unreadable	an object, or part of it, does not decode; or the medium
 *					does not give it back
 *	  newer format	an object that a later version wrote: it cannot be judged
 *	  identity		an object that says that it is another one
 *	  missing		a segment that is named and is not there
 *	  gap			records that are not there although later ones are
 *	  chain			a record that does not follow the one before it
 *	  size, checksum	a segment has other bytes than were written
 *	  agreement		a segment differs from its description
 *	  order, lsn, statistics, count, contents, bloom
 *					what is stored decodes but is wrong
 *	  superseding	a segment that hides more rows than it says
 *	  row count		the manifest's number of rows is not that of its segments
 *	  abort			a transaction that is void but does not exist
 *	  no manifest	none, or none that can be read, although there is something
 *					to name
 *	  orphan, foreign, quarantine
 *					objects that nothing names; not ours; set aside (INFO)
 *	  many findings	the walk ended early
 *
 * SEVERITY.  ERROR: rows are lost or cannot be read.  A record at or below
 * last_applied_lsn is read by nobody but a rebuild, and that only above
 * rebuildable_lsn: damage there is a WARNING, below it an INFO.
 *
 * OTHERS GO ON.  Servers may write, fold, compact and collect meanwhile.  What
 * a collector took away was replaced in a newer manifest before: so when an
 * object is missing, the manifests are listed again, and if there is a newer
 * one the walk starts again from it.  Findings wait until the walk is over.
 */
#include <inttypes.h>
#include <stdio.h>

#include "engine/verify.h"

#define WALK_ATTEMPTS_MAX 10
#define FINDINGS_MAX 10000
#define LIST_PAGE_SIZE 1000

typedef struct KeptFinding
{
	ReefFinding finding;
	struct KeptFinding *next;
} KeptFinding;

typedef struct Walk
{
	ReefVerify	verify;
	ReefNamespace *ns;
	bool		deep;
	ReefIdSet  *sound;			/* segments that earlier attempts have read */

	/* of this attempt */
	ReefArena	arena;
	KeptFinding *first;
	KeptFinding **last;
	int			finding_count;
	bool		must_restart;	/* the namespace has moved on */
	uint8_t		namespace_id[16];
	bool		is_known;		/* ... the id is */
	uint64_t	version_max;
	uint64_t	version_count;
	bool		has_current;
	ReefManifest current;
	ReefIdSet	named;			/* by any manifest or record */
	ReefVerifiedRecords records;
	uint32_t   *frame_counts;	/* of the records above last_applied_lsn */
	size_t		tail_count;
	uint64_t	record_max;		/* highest record seen */
	bool		segments_are_sound;
} Walk;

/* ---- findings ---- */

static ReefCode
keep_finding(void *arg, const ReefFinding *finding, ReefError *err)
{
	Walk	   *walk = arg;
	KeptFinding *kept;

	if (walk->finding_count > FINDINGS_MAX)
		return REEF_OK;
	kept = reef_arena_calloc(&walk->arena, sizeof(*kept));
	if (kept == NULL)
		return reef_error_no_memory(err, sizeof(*kept));
	kept->finding = *finding;
	if (walk->finding_count++ == FINDINGS_MAX)
	{
		kept->finding.severity = REEF_SEVERITY_ERROR;
		kept->finding.object = "";
		kept->finding.check_name = "many findings";
		kept->finding.detail = "there are more findings than are reported";
	}
	kept->finding.object = reef_arena_strdup(&walk->arena,
											 kept->finding.object);
	kept->finding.detail = reef_arena_strdup(&walk->arena,
											 kept->finding.detail);
	if (kept->finding.object == NULL || kept->finding.detail == NULL)
		return reef_error_no_memory(err, sizeof(*kept));
	*walk->last = kept;
	walk->last = &kept->next;
	return REEF_OK;
}

static ReefCode
give_findings(const Walk *walk, ReefFindingVisitor visit, void *arg,
			  ReefError *err)
{
	const KeptFinding *kept;

	for (kept = walk->first; kept != NULL; kept = kept->next)
		REEF_TRY(visit(arg, &kept->finding, err));
	return REEF_OK;
}

/* An object that should be there is not. */
static ReefCode
check_moved(Walk *walk, ReefError *err)
{
	return reef_verify_has_moved(&walk->verify, walk->version_max,
								 &walk->must_restart, err);
}

/* ---- manifests ---- */

static ReefCode
note_segments(Walk *walk, const ReefManifest *manifest, ReefError *err)
{
	int			i;

	for (i = 0; i < manifest->segment_count; i++)
		REEF_TRY(reef_id_set_add(&walk->named, manifest->segments[i].id, err));
	return REEF_OK;
}

static ReefCode
judge_manifest(Walk *walk, const char *key, ReefCode rc, const ReefError *found,
			   const ReefManifest *manifest, bool *is_usable, ReefError *err)
{
	ReefVerify *verify = &walk->verify;
	ReefSeverity severity = REEF_SEVERITY_WARNING;

	*is_usable = false;
	if (rc == REEF_NOT_FOUND)
		return REEF_OK;			/* an old one was collected */
	if (rc == REEF_UNSUPPORTED)
		return reef_finding_report_error(verify, REEF_SEVERITY_ERROR, key,
										 "newer format", found, err);
	if (reef_verify_is_damage(rc, found))
		return reef_finding_report_error(verify, severity, key, "unreadable",
										 found, err);
	if (rc != REEF_OK)
	{
		*err = *found;
		return rc;
	}
	if (memcmp(manifest->namespace_id, walk->namespace_id, 16) != 0)
		return reef_finding_report(verify, err, REEF_SEVERITY_ERROR, key,
								   "identity",
								   "the manifest belongs to another namespace");
	*is_usable = true;
	return REEF_OK;
}

/* The highest one that can be used stays in the walk's memory. */
static ReefCode
check_manifest(Walk *walk, uint64_t version, ReefError *err)
{
	ReefArena	arena;
	ReefBuf		bytes;
	ReefManifest manifest;
	ReefError	found;
	char		key[REEF_OBJECT_KEY_SIZE];
	bool		is_usable;
	ReefCode	rc;

	reef_layout_manifest_key(walk->ns->prefix, version, key);
	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	reef_error_init(&found);
	memset(&manifest, 0, sizeof(manifest));
	rc = reef_manifest_load(walk->ns, version,
							walk->has_current ? &arena : &walk->arena,
							&manifest, &bytes, &found);
	rc = judge_manifest(walk, key, rc, &found, &manifest, &is_usable, err);
	if (rc == REEF_OK && is_usable)
		rc = note_segments(walk, &manifest, err);
	if (rc == REEF_OK && is_usable && !walk->has_current)
	{
		walk->current = manifest;
		walk->has_current = true;
	}
	if (rc == REEF_OK)
		rc = reef_verify_step(&walk->verify, bytes.size, err);
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	return rc;
}

static ReefCode
check_manifests(Walk *walk, ReefError *err)
{
	uint64_t   *versions;
	size_t		count;
	size_t		i;

	REEF_TRY(reef_verify_list_numbers(&walk->verify, REEF_OBJECT_MANIFEST, 0,
									  &walk->arena, &versions, &count, err));
	reef_verify_begin_phase(&walk->verify, "verifying manifests", count);
	walk->version_count = count;
	walk->version_max = count > 0 ? versions[count - 1] : 0;
	for (i = count; i > 0; i--)
	{
		REEF_TRY(check_manifest(walk, versions[i - 1], err));
		walk->verify.done++;
	}
	if (count > 0 && !walk->has_current)
		return check_moved(walk, err);
	return REEF_OK;
}

/* ---- records ---- */

/* How bad is damage of a record? */
static ReefSeverity
record_severity(const Walk *walk, uint64_t lsn)
{
	if (!walk->has_current || lsn > walk->current.last_applied_lsn)
		return REEF_SEVERITY_ERROR;
	return lsn > walk->current.rebuildable_lsn ? REEF_SEVERITY_WARNING :
		REEF_SEVERITY_INFO;
}

static ReefCode
report_gap(Walk *walk, uint64_t first, uint64_t next, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];

	REEF_TRY(check_moved(walk, err));
	if (walk->must_restart)
		return REEF_OK;
	reef_layout_wal_key(walk->ns->prefix, first, key);
	return reef_finding_report(&walk->verify, err, REEF_SEVERITY_ERROR, key,
							   "gap",
							   "records %" PRIu64 " to %" PRIu64 " are missing, record %" PRIu64 " exists",
							   first, next - 1, next);
}

/* Records above last_applied_lsn are a chain without holes. */
static ReefCode
check_tail(Walk *walk, const uint64_t *numbers, size_t count, ReefError *err)
{
	uint64_t	applied_lsn = walk->has_current ?
		walk->current.last_applied_lsn : 0;
	uint64_t	next = applied_lsn + 1;
	uint32_t	crc = applied_lsn > 0 ? walk->current.last_applied_crc : 0;
	bool		is_crc_known = true;
	size_t		i;

	for (i = 0; i < count && !walk->must_restart; i++)
	{
		ReefWalHeader header = {0};
		bool		is_readable;
		char		key[REEF_OBJECT_KEY_SIZE];
		ReefCode	rc;

		if (numbers[i] > next)
		{
			REEF_TRY(report_gap(walk, next, numbers[i], err));
			is_crc_known = false;
		}
		next = numbers[i] + 1;
		rc = reef_verify_record(&walk->verify, numbers[i], walk->namespace_id,
								&walk->records, &header, &is_readable, err);
		if (rc == REEF_NOT_FOUND)
			return report_gap(walk, numbers[i], numbers[i] + 1, err);
		if (rc != REEF_OK)
			return rc;
		reef_layout_wal_key(walk->ns->prefix, numbers[i], key);
		if (is_readable && is_crc_known && header.previous_crc != crc)
			REEF_TRY(reef_finding_report(&walk->verify, err,
										 REEF_SEVERITY_ERROR, key, "chain",
										 "the record before it should have checksum %08x, but it is %08x",
										 header.previous_crc, crc));
		is_crc_known = is_readable;
		crc = header.crc;
		if (is_readable)
			walk->frame_counts[i] = header.frame_count;
		walk->verify.done++;
	}
	return REEF_OK;
}

/* Does an abort of a record of the tail name a transaction that exists? */
static ReefCode
check_aborts(Walk *walk, const uint64_t *numbers, size_t count, ReefError *err)
{
	const ReefVerifiedAbort *note;

	for (note = walk->records.aborts; note != NULL; note = note->next)
	{
		char		key[REEF_OBJECT_KEY_SIZE];
		size_t		place;

		if (count == 0 || note->lsn < numbers[0])
			continue;
		place = (size_t) (note->lsn - numbers[0]);
		if (place >= count || numbers[place] != note->lsn ||
			note->frame < walk->frame_counts[place])
			continue;
		reef_layout_wal_key(walk->ns->prefix, note->by_lsn, key);
		REEF_TRY(reef_finding_report(&walk->verify, err, REEF_SEVERITY_WARNING,
									 key, "abort",
									 "transaction %u of record %" PRIu64 " is void but does not exist",
									 (unsigned) note->frame, note->lsn));
	}
	return REEF_OK;
}

static ReefCode
check_applied(Walk *walk, uint64_t lsn, ReefError *err)
{
	ReefVerifiedRecords ignored = {0};
	ReefWalHeader header;
	ReefArena	arena;
	bool		is_readable;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	ignored.arena = &arena;
	walk->verify.severity_max = record_severity(walk, lsn);
	rc = reef_verify_record(&walk->verify, lsn, walk->namespace_id, &ignored,
							&header, &is_readable, err);
	walk->verify.severity_max = REEF_SEVERITY_ERROR;
	reef_arena_release(&arena);
	/* collected meanwhile */
	return rc == REEF_NOT_FOUND ? REEF_OK : rc;
}

static ReefCode
check_records(Walk *walk, ReefError *err)
{
	uint64_t	applied_lsn = walk->has_current ?
		walk->current.last_applied_lsn : 0;
	uint64_t   *numbers;
	size_t		count;
	size_t		i;

	REEF_TRY(reef_verify_list_numbers(&walk->verify, REEF_OBJECT_WAL, 0,
									  &walk->arena, &numbers, &count, err));
	reef_verify_begin_phase(&walk->verify, "verifying records", count);
	if (count > 0)
		walk->record_max = numbers[count - 1];
	for (i = 0; i < count && numbers[i] <= applied_lsn; i++)
	{
		REEF_TRY(check_applied(walk, numbers[i], err));
		walk->verify.done++;
	}
	/* without any manifest a rebuild decides, not the records alone */
	if (!walk->has_current && (count == 0 || numbers[0] != 1))
		return REEF_OK;
	walk->tail_count = count - i;
	walk->frame_counts = reef_arena_calloc(&walk->arena,
										   sizeof(*walk->frame_counts) *
										   (walk->tail_count + 1));
	if (walk->frame_counts == NULL)
		return reef_error_no_memory(err, walk->tail_count);
	if (walk->tail_count == 0)
		return REEF_OK;
	REEF_TRY(check_tail(walk, numbers + i, walk->tail_count, err));
	return check_aborts(walk, numbers + i, walk->tail_count, err);
}

/* ---- segments ---- */

static ReefCode
check_segment(Walk *walk, const ReefSegmentMeta *meta,
			  const ReefSchema *schema, ReefError *err)
{
	ReefSegmentState state;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefCode	rc;

	walk->verify.done++;
	if (walk->must_restart || reef_id_set_contains(walk->sound, meta->id))
		return REEF_OK;
	rc = reef_verify_segment(&walk->verify, meta, schema, walk->namespace_id,
							 walk->deep, &state, err);
	if (rc == REEF_NOT_FOUND)
	{
		REEF_TRY(check_moved(walk, err));
		if (walk->must_restart)
			return REEF_OK;
		walk->segments_are_sound = false;
		reef_layout_segment_key(walk->ns->prefix, meta->id, key);
		return reef_finding_report(&walk->verify, err, REEF_SEVERITY_ERROR,
								   key, "missing",
								   "a segment of %" PRIu64 " rows of records %" PRIu64 " to %" PRIu64 " is not there",
								   meta->row_count, meta->lsn_min,
								   meta->lsn_max);
	}
	if (rc != REEF_OK)
		return rc;
	if (!state.is_sound)
		walk->segments_are_sound = false;
	else
		return reef_id_set_add(walk->sound, meta->id, err);
	return REEF_OK;
}

static bool
is_void(const Walk *walk, const ReefVerifiedAttach *attach)
{
	const ReefVerifiedAbort *note;

	for (note = walk->records.aborts; note != NULL; note = note->next)
	{
		if (note->lsn == attach->lsn && note->frame == attach->frame)
			return true;
	}
	return false;
}

static ReefCode
check_segments(Walk *walk, ReefError *err)
{
	const ReefVerifiedAttach *attach;
	int			i;

	reef_verify_begin_phase(&walk->verify, "verifying segments",
							walk->has_current ?
							(uint64_t) walk->current.segment_count : 0);
	for (i = 0; walk->has_current && i < walk->current.segment_count; i++)
		REEF_TRY(check_segment(walk, &walk->current.segments[i],
							   &walk->current.schema, err));
	for (attach = walk->records.attaches; attach != NULL;
		 attach = attach->next)
	{
		REEF_TRY(reef_id_set_add(&walk->named, attach->meta.id, err));
		if (!is_void(walk, attach))
			REEF_TRY(check_segment(walk, &attach->meta, &attach->schema, err));
	}
	return REEF_OK;
}

static ReefCode
check_row_count(Walk *walk, ReefError *err)
{
	const ReefManifest *current = &walk->current;
	char		key[REEF_OBJECT_KEY_SIZE];
	uint64_t	live_rows;
	bool		is_exact;
	ReefCode	rc;

	if (!walk->deep || !walk->has_current || !walk->segments_are_sound)
		return REEF_OK;
	reef_verify_begin_phase(&walk->verify, "counting rows", 0);
	rc = reef_verify_rows(&walk->verify, current->segments,
						  current->segment_count, &current->schema,
						  walk->namespace_id, &live_rows, &is_exact, err);
	if (reef_verify_is_damage(rc, err))
	{
		/* it was sound a moment ago */
		REEF_TRY(check_moved(walk, err));
		if (walk->must_restart)
			return REEF_OK;
	}
	if (rc != REEF_OK)
		return rc;
	if (live_rows == current->live_row_count)
		return REEF_OK;
	reef_layout_manifest_key(walk->ns->prefix, current->version, key);
	return reef_finding_report(&walk->verify, err, REEF_SEVERITY_ERROR, key,
							   "row count",
							   "the segments have %" PRIu64 " live rows, the manifest says %" PRIu64,
							   live_rows, current->live_row_count);
}

/* ---- the rest ---- */

typedef struct Leftovers
{
	uint64_t	quarantined;
	uint64_t	segments;
} Leftovers;

static ReefCode
check_leftover(Walk *walk, const ReefObjectInfo *object, Leftovers *leftovers,
			   ReefError *err)
{
	char		other_prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectName name;
	ReefObjectName other;

	reef_layout_parse(walk->ns->prefix, object->key, &name);
	switch (name.kind)
	{
		case REEF_OBJECT_WAL:
		case REEF_OBJECT_MANIFEST:
			return REEF_OK;
		case REEF_OBJECT_QUARANTINE:
			leftovers->quarantined++;
			return REEF_OK;
		case REEF_OBJECT_SEGMENT:
			leftovers->segments++;
			if (reef_id_set_contains(&walk->named, name.uuid))
				return REEF_OK;
			return reef_finding_report(&walk->verify, err, REEF_SEVERITY_INFO,
									   object->key, "orphan",
									   "no manifest or record names this segment of %" PRIu64 " bytes",
									   object->size);
		case REEF_OBJECT_FOREIGN:
			/* "a" and "a/b" may both be namespaces */
			if (reef_layout_parse_any(object->key, other_prefix, &other))
				return REEF_OK;
			return reef_finding_report(&walk->verify, err, REEF_SEVERITY_INFO,
									   object->key, "foreign",
									   "this object is not one of ours");
	}
	return REEF_OK;
}

static ReefCode
check_leftovers(Walk *walk, ReefError *err)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		start_after[REEF_OBJECT_KEY_SIZE] = "";
	Leftovers	leftovers = {0};
	size_t		listed = LIST_PAGE_SIZE;
	ReefCode	rc = REEF_OK;

	reef_verify_begin_phase(&walk->verify, "looking for other objects", 0);
	reef_layout_list_prefix(walk->ns->prefix, REEF_OBJECT_FOREIGN, prefix);
	while (rc == REEF_OK && listed == LIST_PAGE_SIZE)
	{
		ReefObjectList list;
		size_t		i;

		reef_object_list_init(&list);
		rc = reef_verify_step(&walk->verify, 0, err);
		if (rc == REEF_OK)
			rc = reef_store_list(walk->ns->store, prefix, start_after,
								 LIST_PAGE_SIZE, &list, err);
		listed = list.count;
		for (i = 0; i < listed && rc == REEF_OK; i++)
			rc = check_leftover(walk, &list.objects[i], &leftovers, err);
		if (listed > 0)
			memcpy(start_after, list.objects[listed - 1].key,
				   sizeof(start_after));
		reef_object_list_release(&list);
	}
	if (rc == REEF_OK && leftovers.quarantined > 0)
		rc = reef_finding_report(&walk->verify, err, REEF_SEVERITY_INFO, "",
								 "quarantine",
								 "repair has set %" PRIu64 " objects aside",
								 leftovers.quarantined);
	/* a table without manifest is nothing but its records, from the first on */
	if (rc == REEF_OK && !walk->has_current &&
		(walk->version_count > 0 || leftovers.segments > 0 ||
		 (walk->record_max > 0 && walk->tail_count == 0)))
		rc = reef_finding_report(&walk->verify, err, REEF_SEVERITY_ERROR, "",
								 "no manifest",
								 "there is no manifest that can be read, and the records alone are not the table");
	return rc;
}

/* ---- walk ---- */

static ReefCode
walk_once(Walk *walk, ReefError *err)
{
	REEF_TRY(reef_verify_identity(&walk->verify, walk->namespace_id,
								  &walk->is_known, err));
	REEF_TRY(check_manifests(walk, err));
	if (!walk->must_restart)
		REEF_TRY(check_records(walk, err));
	if (!walk->must_restart)
		REEF_TRY(check_segments(walk, err));
	if (!walk->must_restart)
		REEF_TRY(check_row_count(walk, err));
	if (!walk->must_restart)
		REEF_TRY(check_leftovers(walk, err));
	/* there was nothing when we began: was the table made meanwhile? */
	if (!walk->must_restart && !walk->is_known && walk->finding_count > 0)
		REEF_TRY(reef_verify_identity(&walk->verify, walk->namespace_id,
									  &walk->must_restart, err));
	return REEF_OK;
}

static ReefCode
attempt(ReefNamespace *ns, bool deep, ReefIdSet *sound,
		ReefFindingVisitor visit, void *arg, bool *is_done, ReefError *err)
{
	Walk		walk = {
		.ns = ns,
		.deep = deep,
		.sound = sound,
		.segments_are_sound = true
	};
	ReefCode	rc;

	reef_arena_init(&walk.arena, 0);
	walk.last = &walk.first;
	walk.named.arena = &walk.arena;
	walk.records.arena = &walk.arena;
	reef_verify_init(&walk.verify, ns, keep_finding, &walk);
	rc = walk_once(&walk, err);
	*is_done = !walk.must_restart;
	if (rc == REEF_OK && *is_done)
		rc = give_findings(&walk, visit, arg, err);
	reef_arena_release(&walk.arena);
	return rc;
}

ReefCode
reef_verify(ReefNamespace *ns, bool deep, ReefFindingVisitor visit, void *arg,
			ReefError *err)
{
	ReefIdSet	sound = {0};
	ReefArena	arena;
	bool		is_done = false;
	ReefCode	rc = REEF_OK;
	int			i;

	reef_arena_init(&arena, 0);
	sound.arena = &arena;
	for (i = 0; i < WALK_ATTEMPTS_MAX && rc == REEF_OK && !is_done; i++)
		rc = attempt(ns, deep, &sound, visit, arg, &is_done, err);
	reef_arena_release(&arena);
	if (rc == REEF_OK && !is_done)
		return reef_error_set(err, REEF_UNAVAILABLE,
							  "could not verify the namespace",
							  "namespace \"%s\" changed under each of %d attempts",
							  ns->name, WALK_ATTEMPTS_MAX);
	return rc;
}
