/*
 * rebuild.c
 *	  A manifest from segments and records alone.
 *
 *	  survey -> choose a base -> put its manifest, far above all others ->
 *	  are its objects still there? -> take over
 *
 * Manifests are not believed, whatever there are of them, except when one that
 * can be read knows of an LSN that the base does not lead to.  If the base
 * lacks anything, nothing is written: what to give up is for repair to decide,
 * which looks for the same base if it has no manifest.
 *
 * Others may be at work meanwhile, with memory of the manifests that are gone.
 * A manifest of theirs gets a number below ours, so it is never the current one
 * and they find that out when they list; and our fence refuses their next
 * record.  What they may do before is collect: hence the look after the put.
 * All rights are held, so nobody of this cluster does.
 *
 * Other manifests stay where they are: the highest number counts.  Those that
 * cannot be read, repair sets aside.
 *
 * ACTIONS, as reported:
 *
 *	  foreign segment, foreign record
 *						of another namespace; left where it is
 *	  unreadable segment	its footer is damaged
 *	  base				the segment whose copy is used (the first record if
 *						there is none), and where it leads
 *	  lost segment, lost records
 *						what the base lacks; then nothing is changed
 *	  incomplete		... and repair has to decide
 *	  unchanged			the current manifest says the same
 *	  manifest			the one that was put
 *	  fence				this server has taken over
 *	  nothing			there are neither segments nor records
 */
#include <stdio.h>

#include "engine/rebuild.h"
#include "engine/verify.h"

/* Between the highest number that anything mentions and ours. */
#define VERSION_DISTANCE (UINT64_C(1) << 32)

#define PUT_ATTEMPTS_MAX 10
#define PUT_RETRY_DELAY_US INT64_C(100000)
/* If others collect while we look. */
#define REBUILD_ATTEMPTS_MAX 3

typedef struct Rebuild
{
	ReefNamespace *ns;
	bool		dry_run;
	ReefActionVisitor visit;
	void	   *arg;
	ReefArena	arena;			/* of one attempt, as all that follows */
	ReefSurvey	survey;
	bool		has_current;	/* a manifest that can be read */
	ReefManifest current;
	ReefBase	base;
} Rebuild;

static ReefCode
report(const Rebuild *rebuild, const char *name, const char *object,
	   const char *detail, ReefError *err)
{
	ReefAction	action = {name, object, detail};

	return rebuild->visit(rebuild->arg, &action, err);
}

/* ---- put ---- */

/* REEF_CONFLICT: somebody else has the number. */
static ReefCode
put_once(ReefNamespace *ns, const char *key, ReefSlice bytes, ReefError *err)
{
	ReefBuf		found;
	bool		is_ours;
	ReefCode	rc;

	rc = reef_store_put_if_absent(ns->store, key, bytes, err);
	if (rc != REEF_CONFLICT && rc != REEF_UNCERTAIN)
		return rc;
	reef_buf_init(&found);
	rc = reef_store_get(ns->store, key, &found, err);
	is_ours = rc == REEF_OK && reef_slice_equal(reef_buf_slice(&found), bytes);
	reef_buf_release(&found);
	if (rc == REEF_NOT_FOUND)
		return REEF_UNCERTAIN;
	return rc == REEF_OK && !is_ours ? REEF_CONFLICT : rc;
}

/* So far above what anything mentions that nobody who sleeps can supersede it. */
static ReefCode
put_above(ReefNamespace *ns, ReefManifest *manifest, uint64_t version_max,
		  ReefError *err)
{
	const ReefHost *host = ns->host;
	ReefCode	rc = REEF_CONFLICT;
	ReefBuf		bytes;
	int			i;

	manifest->parent_version = 0;
	manifest->time_ms = host->now_us(host->arg) / 1000;
	manifest->version = version_max;
	reef_buf_init(&bytes);
	for (i = 0; i < PUT_ATTEMPTS_MAX &&
		 (rc == REEF_CONFLICT || rc == REEF_UNCERTAIN); i++)
	{
		char		key[REEF_OBJECT_KEY_SIZE];

		/* other bytes never go where the outcome is open */
		if (rc == REEF_CONFLICT)
		{
			manifest->version += VERSION_DISTANCE;
			reef_buf_reset(&bytes);
			rc = reef_manifest_encode(manifest, &bytes, err);
			if (rc != REEF_OK)
				break;
		}
		else if (host->wait(host->arg, NULL, 0, PUT_RETRY_DELAY_US) != REEF_OK)
			break;
		reef_layout_manifest_key(ns->prefix, manifest->version, key);
		rc = put_once(ns, key, reef_buf_slice(&bytes), err);
	}
	reef_buf_release(&bytes);
	if (rc == REEF_CONFLICT || rc == REEF_UNCERTAIN)
		return reef_error_set(err, REEF_UNCERTAIN,
							  "could not put a manifest",
							  "number %llu of namespace \"%s\"",
							  (unsigned long long) manifest->version,
							  ns->name);
	return rc;
}

/* ---- look ---- */

static ReefCode
load_current(Rebuild *rebuild, ReefError *err)
{
	ReefBuf		bytes;
	ReefCode	rc;

	reef_buf_init(&bytes);
	rc = reef_manifest_load_current(rebuild->ns, &rebuild->arena,
									&rebuild->current, &bytes, err);
	reef_buf_release(&bytes);
	rebuild->has_current = rc == REEF_OK;
	if (rc == REEF_NOT_FOUND || reef_verify_is_damage(rc, err))
		return REEF_OK;
	return rc;
}

static ReefCode
report_foreign(const Rebuild *rebuild, ReefError *err)
{
	const ReefSurvey *survey = &rebuild->survey;
	char		key[REEF_OBJECT_KEY_SIZE];
	int			i;

	for (i = 0; i < survey->segment_count; i++)
	{
		const ReefSurveyedSegment *segment = &survey->segments[i];

		reef_layout_segment_key(rebuild->ns->prefix, segment->id, key);
		if (!segment->is_readable)
			REEF_TRY(report(rebuild, "unreadable segment", key,
							"its footer is damaged", err));
		else if (memcmp(segment->namespace_id, rebuild->base.namespace_id,
						16) != 0)
			REEF_TRY(report(rebuild, "foreign segment", key,
							"it belongs to another namespace", err));
	}
	for (i = 0; i < survey->record_count; i++)
	{
		const ReefSurveyedRecord *record = &survey->records[i];

		if (record->state != REEF_SURVEYED_GOOD ||
			memcmp(record->namespace_id, rebuild->base.namespace_id, 16) == 0)
			continue;
		reef_layout_wal_key(rebuild->ns->prefix, record->lsn, key);
		REEF_TRY(report(rebuild, "foreign record", key,
						"it belongs to another namespace", err));
	}
	return REEF_OK;
}

static ReefCode
report_base(const Rebuild *rebuild, ReefError *err)
{
	const ReefBase *base = &rebuild->base;
	const ReefManifest *manifest = &base->manifest;
	char		key[REEF_OBJECT_KEY_SIZE];
	char		detail[200];

	if (base->carrier != NULL)
		reef_layout_segment_key(rebuild->ns->prefix, base->carrier->id, key);
	else
		reef_layout_wal_key(rebuild->ns->prefix, 1, key);
	snprintf(detail, sizeof(detail),
			 "%d segments, %llu rows as of LSN %llu, records up to LSN %llu",
			 manifest->segment_count,
			 (unsigned long long) manifest->live_row_count,
			 (unsigned long long) manifest->last_applied_lsn,
			 (unsigned long long) base->last_lsn);
	return report(rebuild, "base", key, detail, err);
}

/* Does the current manifest say the same already? */
static ReefCode
is_current(const Rebuild *rebuild, bool *is_same, ReefError *err)
{
	ReefManifest manifests[2];
	ReefBuf		bytes[2];
	ReefCode	rc = REEF_OK;
	int			i;

	*is_same = false;
	if (!rebuild->has_current ||
		rebuild->current.version != rebuild->survey.listed_version)
		return REEF_OK;
	manifests[0] = rebuild->current;
	manifests[1] = rebuild->base.manifest;
	for (i = 0; i < 2; i++)
	{
		reef_buf_init(&bytes[i]);
		manifests[i].version = 1;
		manifests[i].parent_version = 0;
		manifests[i].time_ms = 0;
		manifests[i].rebuildable_lsn = 0;
		if (rc == REEF_OK)
			rc = reef_manifest_encode(&manifests[i], &bytes[i], err);
	}
	*is_same = rc == REEF_OK && reef_slice_equal(reef_buf_slice(&bytes[0]),
												 reef_buf_slice(&bytes[1]));
	reef_buf_release(&bytes[0]);
	reef_buf_release(&bytes[1]);
	return rc;
}

/* ---- rebuild ---- */

static ReefCode
put_manifest(Rebuild *rebuild, ReefError *err)
{
	ReefManifest *manifest = &rebuild->base.manifest;
	char		key[REEF_OBJECT_KEY_SIZE];
	char		detail[200];

	if (!rebuild->dry_run)
		REEF_TRY(put_above(rebuild->ns, manifest,
						   rebuild->survey.version_max, err));
	else
		manifest->version = rebuild->survey.version_max + VERSION_DISTANCE;
	reef_layout_manifest_key(rebuild->ns->prefix, manifest->version, key);
	snprintf(detail, sizeof(detail), "%d segments, %llu rows as of LSN %llu",
			 manifest->segment_count,
			 (unsigned long long) manifest->live_row_count,
			 (unsigned long long) manifest->last_applied_lsn);
	return report(rebuild, "manifest", key, detail, err);
}

static bool
is_same_carrier(const ReefSurveyedSegment *a, const ReefSurveyedSegment *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return memcmp(a->id, b->id, 16) == 0;
}

/*
 * Somebody else may have collected what the manifest needs, before he saw it:
 * survey anew and judge the same base.
 */
static ReefCode
check_again(Rebuild *rebuild, bool *is_there, ReefError *err)
{
	ReefSurvey	survey;
	ReefBase	again;
	bool		found = false;
	ReefCode	rc;

	*is_there = false;
	rc = reef_survey_init(&survey, rebuild->ns, err);
	if (rc == REEF_OK)
		rc = reef_survey_choose_base(&survey, NULL, &rebuild->arena, &again,
									 &found, err);
	if (rc == REEF_OK && found)
		*is_there = reef_base_loss_size(&again.loss) == 0 &&
			again.last_lsn >= rebuild->base.last_lsn &&
			is_same_carrier(again.carrier, rebuild->base.carrier);
	reef_survey_release(&survey);
	return rc;
}

static ReefCode
take_over(Rebuild *rebuild, ReefError *err)
{
	ReefNamespace *ns = rebuild->ns;
	char		key[REEF_OBJECT_KEY_SIZE];

	reef_namespace_close_shared(ns->host, ns->shared);
	REEF_TRY(reef_recover(ns, err));
	REEF_TRY(reef_takeover(ns, err));
	reef_layout_wal_key(ns->prefix, ns->shared->last_lsn, key);
	return report(rebuild, "fence", key,
				  "other writers have to read the namespace anew", err);
}

/* With a complete base. */
static ReefCode
put_base(Rebuild *rebuild, bool *is_done, ReefError *err)
{
	bool		is_same;
	bool		is_there = true;

	REEF_TRY(is_current(rebuild, &is_same, err));
	*is_done = true;
	if (is_same)
		return report(rebuild, "unchanged", "",
					  "the current manifest says the same", err);
	REEF_TRY(put_manifest(rebuild, err));
	if (rebuild->dry_run)
		return REEF_OK;
	REEF_TRY(check_again(rebuild, &is_there, err));
	*is_done = is_there;
	if (!is_there)
		return REEF_OK;
	return take_over(rebuild, err);
}

/* *is_done false: what we saw changed under us. */
static ReefCode
attempt(Rebuild *rebuild, bool is_last, bool *is_done, ReefError *err)
{
	bool		found;
	bool		is_complete;

	*is_done = true;
	REEF_TRY(load_current(rebuild, err));
	REEF_TRY(reef_survey_init(&rebuild->survey, rebuild->ns, err));
	REEF_TRY(reef_survey_choose_base(&rebuild->survey,
									 rebuild->has_current ?
									 &rebuild->current : NULL,
									 &rebuild->arena, &rebuild->base, &found,
									 err));
	if (!found)
		return report(rebuild, "nothing", "",
					  "there are neither segments nor records", err);
	is_complete = reef_base_loss_size(&rebuild->base.loss) == 0;
	*is_done = is_last || is_complete;
	if (!*is_done)
		return REEF_OK;
	REEF_TRY(report_foreign(rebuild, err));
	REEF_TRY(report_base(rebuild, err));
	if (is_complete)
		return put_base(rebuild, is_done, err);
	REEF_TRY(reef_base_report_loss(&rebuild->survey, &rebuild->base,
								   rebuild->visit, rebuild->arg, err));
	return report(rebuild, "incomplete", "",
				  "nothing was changed: repair keeps what can be kept", err);
}

static ReefCode
rebuild_with_rights(Rebuild *rebuild, ReefError *err)
{
	bool		is_done = false;
	ReefCode	rc = REEF_OK;
	int			i;

	for (i = 0; i < REBUILD_ATTEMPTS_MAX && rc == REEF_OK && !is_done; i++)
	{
		reef_arena_init(&rebuild->arena, 0);
		memset(&rebuild->survey, 0, sizeof(rebuild->survey));
		rc = attempt(rebuild, i == REBUILD_ATTEMPTS_MAX - 1, &is_done, err);
		reef_survey_release(&rebuild->survey);
		reef_arena_release(&rebuild->arena);
	}
	if (rc == REEF_OK && !is_done)
		return reef_error_set(err, REEF_UNAVAILABLE,
							  "could not rebuild the namespace",
							  "objects of namespace \"%s\" were collected meanwhile",
							  rebuild->ns->name);
	return rc;
}

/* Nobody of this cluster may commit, fold, compact or collect meanwhile. */
ReefCode
reef_rebuild(ReefNamespace *ns, bool dry_run, ReefActionVisitor visit,
			 void *arg, ReefError *err)
{
	static const ReefRight order[] = {REEF_RIGHT_COMPACT, REEF_RIGHT_FOLD,
		REEF_RIGHT_COMMIT, REEF_RIGHT_MANIFEST};
	const ReefHost *host = ns->host;
	Rebuild		rebuild = {.ns = ns,.dry_run = dry_run,.visit = visit,
		.arg = arg};
	ReefCode	rc = REEF_OK;
	int			held;

	if (!dry_run && reef_store_is_read_only(ns->store))
		return reef_error_set(err, REEF_READ_ONLY,
							  "the store is attached read-only",
							  "namespace \"%s\"", ns->name);
	for (held = 0; held < (int) (sizeof(order) / sizeof(order[0])); held++)
	{
		rc = host->right_acquire(host->arg, ns->shared->lock_number,
								 order[held], ns->settings->commit_timeout_us);
		if (rc != REEF_OK)
		{
			(void) reef_error_set(err, rc, "could not rebuild the namespace",
								  "namespace \"%s\" is in use", ns->name);
			break;
		}
	}
	if (rc == REEF_OK)
		rc = rebuild_with_rights(&rebuild, err);
	while (--held >= 0)
		host->right_release(host->arg, ns->shared->lock_number, order[held]);
	return rc;
}

ReefCode
reef_rebuild_find_base(ReefNamespace *ns, ReefArena *arena,
					   ReefManifest *manifest, bool *found, ReefError *err)
{
	ReefSurvey	survey;
	ReefBase	base;
	ReefCode	rc;

	*found = false;
	rc = reef_survey_init(&survey, ns, err);
	if (rc == REEF_OK)
		rc = reef_survey_choose_base(&survey, NULL, arena, &base, found, err);
	if (rc == REEF_OK && *found)
		*manifest = base.manifest;
	reef_survey_release(&survey);
	return rc;
}
