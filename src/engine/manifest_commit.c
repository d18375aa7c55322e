/*
 * manifest_commit.c
 *	  The commit point of every job: the next manifest.
 *
 * A manifest is the whole truth about a namespace, so the next one must be made
 * from the last one and from nothing else.  Within a cluster the manifest right
 * sees to that: under it the current manifest is taken from memory, the job
 * applies its change, and the result is put and installed before anybody else
 * looks.  Against other clusters there is the number: a put that finds it taken
 * was built on something old.
 *
 *	  base from memory -> build -> reserve memory -> put -> list -> install
 *
 *	  put				list from our number on		outcome
 *	  there				nothing higher				committed
 *	  there				something higher			unknown: it may be built on
 *													ours, or ours may have landed
 *													on a number that was collected
 *	  another's			nothing higher				stale: ours never was there,
 *													or there would be a higher one
 *	  another's			something higher			unknown: ours may have been
 *													built on, and collected
 *	  no answer									unknown
 *
 * Only after "stale" may the outputs be deleted: after "unknown" somebody else's
 * manifest may name them [I9].  In all cases but the first, memory is not what
 * the store has and is closed.  A change is never applied to another cluster's
 * manifest, see maintenance.h.
 *
 * RIGHTS.  The manifest right is acquired last and given back before the commit
 * right is acquired for closing; and nobody acquires it while holding the commit
 * right.  So neither waits for the other.  Whoever gets in between builds on the
 * old memory, and finds the number taken.
 */
#include "engine/maintenance.h"

#define PUT_RETRY_DELAY_US INT64_C(100000)

/* What is saved up of the I/O limit while nothing is read or written. */
#define THROTTLE_BURST_US INT64_C(1000000)
/* Shorter sleeps are not worth it. */
#define THROTTLE_SLEEP_MIN_US INT64_C(10000)

typedef struct ManifestCommit
{
	ReefNamespace *ns;
	const ReefManifestChange *change;
	ReefArena  *arena;
	ReefSharedManifest *base_bytes; /* pinned */
	uint64_t	version_max;
	ReefLoadedManifest *loaded;
	ReefManifest base;			/* what the next one is built on */
	ReefManifest next;
	ReefBuf		bytes;			/* of the next one ... */
	ReefSharedManifest *fresh;	/* ... in shared memory; NULL: no room */
	ReefManifest *committed;
	ReefManifestOutcome outcome;
	bool		must_reload;
	uint64_t	incarnation;	/* to reload */
} ManifestCommit;

/* ---- memory ---- */

ReefCode
reef_namespace_reload(ReefNamespace *ns, uint64_t incarnation, ReefError *err)
{
	const ReefHost *host = ns->host;
	ReefNamespaceShared *shared = ns->shared;
	ReefCode	rc;

	rc = host->right_acquire(host->arg, shared->lock_number,
							 REEF_RIGHT_COMMIT,
							 ns->settings->commit_timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not reload the namespace",
							  "namespace \"%s\" has a newer manifest than this server's memory",
							  ns->name);
	if (shared->incarnation == incarnation)
		reef_namespace_close_shared(host, shared);
	host->right_release(host->arg, shared->lock_number, REEF_RIGHT_COMMIT);
	return REEF_OK;
}

ReefSharedManifest *
reef_namespace_pin_manifest(const ReefHost *host, ReefNamespaceShared *shared,
							uint64_t *incarnation, uint64_t *version_max)
{
	ReefSharedManifest *manifest = NULL;

	reef_namespace_lock(host, shared, true);
	*incarnation = shared->incarnation;
	*version_max = shared->manifest_version_max;
	if (shared->mode != REEF_MODE_CLOSED)
	{
		manifest = shared->manifests[0];
		manifest->references++;
		shared->pins++;
	}
	reef_namespace_unlock(host, shared);
	return manifest;
}

/*
 * Memory for the new manifest.  When there is none left even so, the job goes
 * on without: once the manifest is stored, all memory can be given back and
 * the namespace read anew, and refusing to fold would leave it full for ever.
 */
static ReefCode
reserve_shared(ManifestCommit *commit, ReefError *err)
{
	const ReefHost *host = commit->ns->host;
	uint64_t	max_xid = commit->base_bytes->folded_max_xid;
	ReefCode	rc;

	if (max_xid < commit->change->folded_max_xid)
		max_xid = commit->change->folded_max_xid;
	rc = reef_shared_manifest_new(host, &commit->next,
								  reef_buf_slice(&commit->bytes), max_xid,
								  &commit->fresh, err);
	if (rc == REEF_LIMIT)
	{
		reef_namespace_trim_retained(host, commit->ns->shared, true);
		rc = reef_shared_manifest_new(host, &commit->next,
									  reef_buf_slice(&commit->bytes), max_xid,
									  &commit->fresh, err);
	}
	return rc == REEF_LIMIT ? REEF_OK : rc;
}

/*
 * Not if the namespace was reopened meanwhile: then it was read from what is
 * stored, and has our manifest, or must be read once more.
 */
static void
install(ManifestCommit *commit)
{
	const ReefHost *host = commit->ns->host;
	ReefNamespaceShared *shared = commit->ns->shared;

	reef_namespace_lock(host, shared, true);
	commit->incarnation = shared->incarnation;
	if (shared->incarnation != commit->change->incarnation)
		commit->must_reload = shared->mode != REEF_MODE_CLOSED &&
			shared->manifest_version_max < commit->next.version;
	else if (commit->fresh == NULL)
		commit->must_reload = true;
	else
	{
		reef_namespace_push_manifest(host, shared, commit->fresh);
		commit->fresh = NULL;
	}
	reef_namespace_unlock(host, shared);
}

/* ---- build ---- */

/* Records above this LSN are needed to rebuild without any manifest. */
static uint64_t
rebuildable_lsn(const ManifestCommit *commit)
{
	const ReefManifestChange *change = commit->change;
	uint64_t	known = commit->base.rebuildable_lsn;

	if (change->copy_base_version == UINT64_MAX)
		return known;
	if (change->copy_base_version == commit->base.version)
		return commit->next.last_applied_lsn;
	return known < change->copy_applied_lsn ? known : change->copy_applied_lsn;
}

static ReefCode
build_next(ManifestCommit *commit, bool *is_stale, ReefError *err)
{
	ReefNamespace *ns = commit->ns;
	ReefManifest *next = &commit->next;
	char		key[REEF_OBJECT_KEY_SIZE];

	if (commit->base_bytes->size > 0)
	{
		REEF_TRY(reef_loaded_manifest_get(ns, commit->change->incarnation,
										  commit->base_bytes, &commit->loaded,
										  err));
		commit->base = commit->loaded->manifest;
	}
	REEF_TRY(commit->change->build(commit->change->arg, &commit->base,
								   commit->arena, next, is_stale, err));
	if (*is_stale)
		return REEF_OK;
	next->version = commit->version_max + 1;
	next->parent_version = commit->base.version;
	next->time_ms = ns->host->now_us(ns->host->arg) / 1000;
	next->rebuildable_lsn = rebuildable_lsn(commit);
	REEF_TRY(reef_manifest_encode(next, &commit->bytes, err));

	/* the caller's copy, all of it in the arena; afterwards it is too late to
	 * run out of memory */
	reef_layout_manifest_key(ns->prefix, next->version, key);
	REEF_TRY(reef_manifest_decode(reef_buf_slice(&commit->bytes),
								  next->version, key, commit->arena,
								  commit->committed, err));
	return reserve_shared(commit, err);
}

/* ---- put ---- */

/*
 * REEF_OK: it is there.  REEF_CONFLICT: another one has the number.
 * REEF_UNCERTAIN: nobody knows.  Anything else: it is certainly not there.
 */
static ReefCode
put_manifest(ManifestCommit *commit, ReefError *err)
{
	ReefNamespace *ns = commit->ns;
	const ReefHost *host = ns->host;
	int64_t		deadline_us = host->now_us(host->arg) +
		ns->settings->commit_timeout_us;
	char		key[REEF_OBJECT_KEY_SIZE];
	bool		is_ambiguous = false;

	reef_layout_manifest_key(ns->prefix, commit->next.version, key);
	for (;;)
	{
		ReefBuf		found;
		bool		is_ours;
		ReefCode	rc;

		rc = reef_store_put_if_absent(ns->store, key,
									  reef_buf_slice(&commit->bytes), err);
		if (rc == REEF_OK)
			return REEF_OK;
		if (rc == REEF_CONFLICT || rc == REEF_UNCERTAIN)
			is_ambiguous = true;
		if (!is_ambiguous)
			return rc;

		reef_buf_init(&found);
		rc = reef_store_get(ns->store, key, &found, err);
		is_ours = rc == REEF_OK &&
			reef_slice_equal(reef_buf_slice(&found),
							 reef_buf_slice(&commit->bytes));
		reef_buf_release(&found);
		if (is_ours)
			return REEF_OK;
		if (rc == REEF_OK)
			return REEF_CONFLICT;
		if (host->now_us(host->arg) > deadline_us ||
			host->wait(host->arg, NULL, 0, PUT_RETRY_DELAY_US) != REEF_OK)
			return reef_error_set(err, REEF_UNCERTAIN,
								  "the outcome of a manifest's put is unknown",
								  "object \"%s\"", key);
	}
}

/* See the table at the top. */
static ReefCode
put_and_list(ManifestCommit *commit, ReefError *err)
{
	ReefNamespaceShared *shared = commit->ns->shared;
	uint64_t   *versions;
	int			count;
	ReefCode	put_rc = put_manifest(commit, err);

	if (put_rc != REEF_OK && put_rc != REEF_CONFLICT &&
		put_rc != REEF_UNCERTAIN)
		return put_rc;
	commit->outcome = REEF_MANIFEST_UNKNOWN;
	commit->must_reload = true;
	if (put_rc == REEF_UNCERTAIN)
		return put_rc;
	REEF_TRY(reef_manifest_list(commit->ns, commit->next.version,
								commit->arena, &versions, &count, err));
	if (count > 0)
		return REEF_OK;
	if (put_rc == REEF_CONFLICT)
	{
		commit->outcome = REEF_MANIFEST_STALE;
		return REEF_OK;
	}
	commit->outcome = REEF_MANIFEST_COMMITTED;
	commit->must_reload = false;
	atomic_fetch_add(&shared->manifest_bytes, commit->bytes.size);
	return REEF_OK;
}

/* ---- commit ---- */

static ReefCode
commit_with_base(ManifestCommit *commit, ReefError *err)
{
	bool		is_stale = false;

	REEF_TRY(build_next(commit, &is_stale, err));
	if (is_stale)
		return REEF_OK;
	REEF_TRY(put_and_list(commit, err));
	if (commit->outcome == REEF_MANIFEST_COMMITTED)
		install(commit);
	return REEF_OK;
}

static ReefCode
commit_with_right(ManifestCommit *commit, ReefError *err)
{
	const ReefHost *host = commit->ns->host;
	uint64_t	incarnation;
	ReefCode	rc = REEF_OK;

	commit->base_bytes = reef_namespace_pin_manifest(host, commit->ns->shared,
													 &incarnation,
													 &commit->version_max);
	if (commit->base_bytes == NULL)
		return REEF_OK;
	/* otherwise memory is not what the job began with */
	if (incarnation == commit->change->incarnation)
		rc = commit_with_base(commit, err);
	if (commit->fresh != NULL)
		reef_shared_manifest_free(host, commit->fresh);
	reef_loaded_manifest_release(commit->loaded);
	reef_namespace_unpin(host, commit->ns->shared, commit->base_bytes, NULL,
						 0);
	return rc;
}

/*
 * Close memory.  If that cannot be done now, whoever builds on it next finds
 * the number taken; but a job must not believe that readers see its manifest.
 */
static ReefCode
reload(ManifestCommit *commit, ReefCode rc, ReefError *err)
{
	ReefError	problem;

	reef_error_init(&problem);
	if (reef_namespace_reload(commit->ns, commit->incarnation,
							  &problem) == REEF_OK || rc != REEF_OK)
		return rc;
	if (commit->outcome == REEF_MANIFEST_COMMITTED)
		commit->outcome = REEF_MANIFEST_UNKNOWN;
	*err = problem;
	return problem.code;
}

ReefCode
reef_manifest_commit(ReefNamespace *ns, const ReefManifestChange *change,
					 ReefArena *arena, ReefManifest *committed,
					 ReefManifestOutcome *outcome, ReefError *err)
{
	const ReefHost *host = ns->host;
	int			lock_number = ns->shared->lock_number;
	ManifestCommit commit = {.ns = ns, .change = change, .arena = arena};
	ReefCode	rc;

	commit.committed = committed;
	commit.incarnation = change->incarnation;
	commit.outcome = REEF_MANIFEST_STALE;
	*outcome = commit.outcome;
	rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_MANIFEST,
							 ns->settings->commit_timeout_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "could not commit a manifest",
							  "another job is committing one in namespace \"%s\"",
							  ns->name);
	reef_buf_init(&commit.bytes);
	rc = commit_with_right(&commit, err);
	reef_buf_release(&commit.bytes);
	host->right_release(host->arg, lock_number, REEF_RIGHT_MANIFEST);
	if (commit.must_reload)
		rc = reload(&commit, rc, err);
	*outcome = commit.outcome;
	return rc;
}

/* ---- outputs ---- */

void
reef_outputs_delete(ReefNamespace *ns, const ReefSegmentMeta *segments,
					int count)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		char		key[REEF_OBJECT_KEY_SIZE];
		ReefError	ignored;

		reef_layout_segment_key(ns->prefix, segments[i].id, key);
		reef_error_init(&ignored);
		/* what stays is an orphan, for the collector */
		if (reef_store_delete(ns->store, key, &ignored) != REEF_OK)
			return;
	}
}

/* The window's start is the time up to which what was done is paid for. */
ReefCode
reef_io_throttle(ReefNamespace *ns, int64_t *window_start_us,
				 uint64_t *window_bytes, uint64_t bytes, ReefError *err)
{
	const ReefHost *host = ns->host;
	int64_t		limit = ns->settings->maintenance_io_limit;
	int64_t		now_us;
	int64_t		price_us;
	ReefCode	rc;

	if (limit <= 0)
		return REEF_OK;
	now_us = host->now_us(host->arg);
	/* at first, after a pause, or when the clock was set back */
	if (*window_start_us < now_us - THROTTLE_BURST_US ||
		*window_start_us > now_us + THROTTLE_SLEEP_MIN_US)
		*window_start_us = now_us;
	*window_bytes += bytes;
	price_us = (int64_t) ((double) *window_bytes * 1e6 / (double) limit);
	if (price_us == 0)
		return REEF_OK;
	*window_bytes = 0;
	*window_start_us += price_us;
	if (*window_start_us < now_us + THROTTLE_SLEEP_MIN_US)
		return REEF_OK;
	rc = host->wait(host->arg, NULL, 0, *window_start_us - now_us);
	if (rc != REEF_OK)
		return reef_error_set(err, rc, "maintenance was cancelled", NULL);
	return REEF_OK;
}
