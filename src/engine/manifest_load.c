/*
 * manifest_load.c
 *	  Finding and reading the current manifest.
 *
 * The current manifest is the highest readable version, found by LIST and
 * never by probing the next number: a maintainer that slept through garbage
 * collection may have put a meaningless manifest on a number that was
 * collected, and only a LIST shows that it is not the highest (DESIGN 3.6).
 *
 * Falling back from a damaged manifest to an older one loses nothing as long
 * as all records above the older one's last_applied_lsn are there, which
 * garbage collection guarantees for every retained manifest: until the next
 * one is older than the grace window.  Recovery checks it too, but it cannot
 * see that the last of the records are gone.  What to take from an older one
 * is for repair to say.  A manifest of a newer format is not damaged, so there
 * is no way past it.
 */
#include <stdio.h>

#include "engine/state.h"

/* Versions that vanish while we read mean that a collector runs: list again. */
#define MANIFEST_LIST_ATTEMPTS_MAX 5

ReefCode
reef_manifest_list(ReefNamespace *ns, uint64_t after, ReefArena *arena,
				   uint64_t **versions, int *count, ReefError *err)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		start_after[REEF_OBJECT_KEY_SIZE];
	ReefObjectList list;
	ReefCode	rc;
	size_t		i;

	*count = 0;
	*versions = NULL;
	reef_layout_list_prefix(ns->prefix, REEF_OBJECT_MANIFEST, prefix);
	start_after[0] = '\0';
	if (after > 0)
		reef_layout_manifest_key(ns->prefix, after, start_after);
	reef_object_list_init(&list);
	rc = reef_store_list(ns->store, prefix, start_after, 0, &list, err);
	if (rc == REEF_OK && list.count > 0)
	{
		*versions = reef_arena_alloc(arena, sizeof(uint64_t) * list.count);
		if (*versions == NULL)
			rc = reef_error_no_memory(err, sizeof(uint64_t) * list.count);
	}
	for (i = 0; rc == REEF_OK && i < list.count; i++)
	{
		ReefObjectName name;

		reef_layout_parse(ns->prefix, list.objects[i].key, &name);
		if (name.kind == REEF_OBJECT_MANIFEST)
			(*versions)[(*count)++] = name.number;
	}
	reef_object_list_release(&list);
	return rc;
}

ReefCode
reef_manifest_load(ReefNamespace *ns, uint64_t version, ReefArena *arena,
				   ReefManifest *manifest, ReefBuf *bytes, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];

	reef_layout_manifest_key(ns->prefix, version, key);
	reef_buf_reset(bytes);
	REEF_TRY(reef_store_get(ns->store, key, bytes, err));
	return reef_manifest_decode(reef_buf_slice(bytes), version, key, arena,
								manifest, err);
}

/* May records above the manifest before this one have been collected? */
static ReefCode
check_retained(ReefNamespace *ns, uint64_t next_version, ReefError *err)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefObjectInfo next;
	int64_t		now_us;

	reef_layout_manifest_key(ns->prefix, next_version, key);
	REEF_TRY(reef_store_head(ns->store, key, &next, err));
	REEF_TRY(reef_store_now(ns->store, &now_us, err));
	if (next.modified_us + ns->settings->gc_grace_us > now_us)
		return REEF_OK;
	return reef_error_set(err, REEF_CORRUPT, "the current manifest is damaged",
						  "object \"%s\", and older ones are not complete any more",
						  key);
}

/* One LIST and the newest of it that can be read. */
static ReefCode
find_once(ReefNamespace *ns, ReefArena *arena, ReefManifest *manifest,
		  ReefBuf *bytes, uint64_t *version_max, ReefError *err)
{
	uint64_t   *versions;
	int			count;
	ReefCode	rc = REEF_NOT_FOUND;
	int			i;

	*version_max = 0;
	REEF_TRY(reef_manifest_list(ns, 0, arena, &versions, &count, err));
	if (count == 0)
		return reef_error_set(err, REEF_NOT_FOUND,
							  "the namespace has no manifest",
							  "namespace \"%s\"", ns->name);
	*version_max = versions[count - 1];

	for (i = count - 1; i >= 0; i--)
	{
		char		line[300];

		rc = reef_manifest_load(ns, versions[i], arena, manifest, bytes, err);
		if (rc == REEF_OK && i < count - 1)
			return check_retained(ns, versions[i + 1], err);
		if (rc != REEF_CORRUPT)
			return rc;
		snprintf(line, sizeof(line),
				 "manifest %llu of namespace \"%.100s\" is damaged: %.100s",
				 (unsigned long long) versions[i], ns->name, err->detail);
		ns->host->log(ns->host->arg, REEF_LOG_WARNING, line);
	}
	return rc;
}

ReefCode
reef_manifest_find_current(ReefNamespace *ns, ReefArena *arena,
						   ReefManifest *manifest, ReefBuf *bytes,
						   uint64_t *version_max, ReefError *err)
{
	ReefCode	rc = REEF_NOT_FOUND;
	int			i;

	for (i = 0; i < MANIFEST_LIST_ATTEMPTS_MAX; i++)
	{
		rc = find_once(ns, arena, manifest, bytes, version_max, err);
		if (rc != REEF_NOT_FOUND || *version_max == 0)
			return rc;
	}
	return reef_error_set(err, REEF_UNAVAILABLE,
						  "could not find the current manifest",
						  "manifests of namespace \"%s\" vanished while they were read, %d times",
						  ns->name, MANIFEST_LIST_ATTEMPTS_MAX);
}

ReefCode
reef_manifest_load_current(ReefNamespace *ns, ReefArena *arena,
						   ReefManifest *manifest, ReefBuf *bytes,
						   ReefError *err)
{
	uint64_t	version_max;

	return reef_manifest_find_current(ns, arena, manifest, bytes,
									  &version_max, err);
}

ReefCode
reef_namespace_read_check(ReefNamespace *ns, ReefError *err)
{
	ReefArena	arena;
	ReefBuf		bytes;
	uint64_t   *versions;
	int			count;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	rc = reef_manifest_list(ns, 0, &arena, &versions, &count, err);
	if (rc == REEF_OK && count > 0)
	{
		reef_layout_manifest_key(ns->prefix, versions[count - 1], key);
		rc = reef_store_get(ns->store, key, &bytes, err);
	}
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	/* collected since; we may read all the same */
	return rc == REEF_NOT_FOUND ? REEF_OK : rc;
}
