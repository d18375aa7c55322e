/*
 * admin.c
 *	  What is in the store, for people: segments, manifests, records, names.
 *
 * These read objects one by one and report a damaged one as a line that says
 * so, instead of failing: they are what somebody looks at when something is
 * wrong.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/state.h"

/* Names of one LIST; a namespace has far more objects than that. */
#define NAMES_PAGE_SIZE 1000

/* ---- segments ---- */

static ReefCode
visit_segment(const ReefView *view, const ReefSegmentMeta *meta,
			  ReefSegmentVisitor visit, void *arg, ReefError *err)
{
	ReefSegmentInfo line = {0};

	reef_uuid_format(meta->id, line.id);
	line.level = meta->level;
	line.row_count = meta->row_count;
	line.tombstone_count = meta->tombstone_count;
	line.superseding_count = meta->superseding_count;
	line.lsn_min = meta->lsn_min;
	line.lsn_max = meta->lsn_max;
	line.size = meta->size;
	reef_layout_segment_key(view->ns->prefix, meta->id, line.key);
	line.key_min = meta->key_min;
	line.key_max = meta->key_max;
	return visit(arg, &line, err);
}

/* Those of the manifest, then those attached by records after it. */
ReefCode
reef_view_segments(const ReefView *view, ReefSegmentVisitor visit, void *arg,
				   ReefError *err)
{
	uint64_t	applied_lsn = view->shared_manifest->applied_lsn;
	int			i;

	for (i = 0; view->loaded != NULL &&
		 i < view->loaded->manifest.segment_count; i++)
		REEF_TRY(visit_segment(view, &view->loaded->manifest.segments[i],
							   visit, arg, err));
	for (i = 0; i < view->generation_count; i++)
	{
		const ReefAttached *attached;

		attached = atomic_load(&view->generations[i]->first_attached);
		for (; attached != NULL; attached = atomic_load(&attached->next))
		{
			if (attached->applied->lsn > applied_lsn &&
				reef_applied_visible(view, attached->applied))
				REEF_TRY(visit_segment(view, &attached->meta, visit, arg,
									   err));
		}
	}
	return REEF_OK;
}

/* ---- objects ---- */

/* Is it the object that is bad (a finding), or the way to it (an error)? */
static bool
is_finding(ReefCode rc)
{
	return rc == REEF_OK || rc == REEF_CORRUPT || rc == REEF_UNSUPPORTED ||
		rc == REEF_NOT_FOUND;
}

static void
note_result(ReefObjectLine *line, ReefCode rc, const ReefError *err)
{
	line->readable = rc == REEF_OK;
	if (rc == REEF_NOT_FOUND)
		snprintf(line->problem, sizeof(line->problem),
				 "vanished while it was listed");
	else if (rc != REEF_OK)
		snprintf(line->problem, sizeof(line->problem), "%.120s: %.160s",
				 err->message, err->detail);
}

static ReefCode
read_manifest(ReefNamespace *ns, ReefObjectLine *line, ReefError *err)
{
	ReefArena	arena;
	ReefBuf		bytes;
	ReefManifest manifest;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	rc = reef_manifest_load(ns, line->number, &arena, &manifest, &bytes, err);
	if (rc == REEF_OK)
	{
		line->epoch = manifest.epoch;
		line->time_ms = manifest.time_ms;
		line->last_applied_lsn = manifest.last_applied_lsn;
		line->row_count = manifest.live_row_count;
		line->segment_count = (uint64_t) manifest.segment_count;
	}
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	return rc;
}

static ReefCode
read_record(ReefNamespace *ns, ReefObjectLine *line, ReefError *err)
{
	ReefArena	arena;
	ReefRecord	record;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	rc = reef_record_load(ns, line->number, &arena, &record, err);
	if (rc == REEF_OK)
	{
		line->epoch = record.header.epoch;
		line->time_ms = record.header.time_ms;
		line->frame_count = record.header.frame_count;
	}
	reef_arena_release(&arena);
	return rc;
}

static ReefCode
visit_objects(ReefNamespace *ns, ReefObjectKind kind, uint64_t current_above,
			  ReefObjectVisitor visit, void *arg, ReefError *err)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectList list;
	ReefCode	rc;
	size_t		i;

	reef_layout_list_prefix(ns->prefix, kind, prefix);
	reef_object_list_init(&list);
	rc = reef_store_list(ns->store, prefix, "", 0, &list, err);
	for (i = 0; i < list.count && rc == REEF_OK; i++)
	{
		const ReefObjectInfo *object = &list.objects[i];
		ReefObjectLine line = {0};
		ReefObjectName name;

		reef_layout_parse(ns->prefix, object->key, &name);
		if (name.kind != kind)
			continue;
		line.number = name.number;
		line.size = object->size;
		line.modified_us = object->modified_us;
		snprintf(line.key, sizeof(line.key), "%s", object->key);
		rc = kind == REEF_OBJECT_WAL ? read_record(ns, &line, err) :
			read_manifest(ns, &line, err);
		if (!is_finding(rc))
			break;
		note_result(&line, rc, err);
		line.is_current = kind == REEF_OBJECT_WAL ?
			line.number > current_above : i + 1 == list.count;
		rc = visit(arg, &line, err);
	}
	reef_object_list_release(&list);
	return rc;
}

ReefCode
reef_namespace_manifests(ReefNamespace *ns, ReefObjectVisitor visit, void *arg,
						 ReefError *err)
{
	return visit_objects(ns, REEF_OBJECT_MANIFEST, 0, visit, arg, err);
}

ReefCode
reef_namespace_wal(ReefNamespace *ns, ReefObjectVisitor visit, void *arg,
				   ReefError *err)
{
	ReefArena	arena;
	ReefBuf		bytes;
	ReefManifest manifest;
	uint64_t	applied_lsn = 0;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	rc = reef_manifest_load_current(ns, &arena, &manifest, &bytes, err);
	if (rc == REEF_OK)
		applied_lsn = manifest.last_applied_lsn;
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	if (!is_finding(rc))
		return rc;
	return visit_objects(ns, REEF_OBJECT_WAL, applied_lsn, visit, arg, err);
}

/* ---- names ---- */

typedef struct NameSearch
{
	char	  **prefixes;		/* found so far */
	int			count;
	int			capacity;
	ReefArena	arena;
} NameSearch;

/* Not sorted as a whole: objects of "a" surround those of "a/n". */
static ReefCode
add_prefix(NameSearch *search, const char *prefix, bool *is_new,
		   ReefError *err)
{
	int			i;

	*is_new = false;
	for (i = search->count - 1; i >= 0; i--)
	{
		if (strcmp(search->prefixes[i], prefix) == 0)
			return REEF_OK;
	}
	if (search->count == search->capacity)
	{
		int			capacity = search->capacity * 2 + 16;
		char	  **grown;

		grown = reef_arena_alloc(&search->arena, sizeof(*grown) *
								 (size_t) capacity);
		if (grown == NULL)
			return reef_error_no_memory(err, sizeof(*grown));
		if (search->count > 0)
			memcpy(grown, search->prefixes, sizeof(*grown) *
				   (size_t) search->count);
		search->prefixes = grown;
		search->capacity = capacity;
	}
	search->prefixes[search->count] = reef_arena_strdup(&search->arena,
														prefix);
	if (search->prefixes[search->count] == NULL)
		return reef_error_no_memory(err, strlen(prefix));
	search->count++;
	*is_new = true;
	return REEF_OK;
}

/*
 * Visit the namespaces of one page.  *start_after is where the next page
 * begins: behind all objects of a namespace of two parts, for nothing else can
 * be in between.
 */
static ReefCode
visit_page(NameSearch *search, const ReefObjectList *list, const char *schema,
		   char start_after[REEF_OBJECT_KEY_SIZE], ReefNameVisitor visit,
		   void *arg, ReefError *err)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectName object;
	size_t		i;

	for (i = 0; i < list->count; i++)
	{
		const char *key = list->objects[i].key;
		char		name[REEF_NAMESPACE_MAX_SIZE + 1];
		bool		is_new;

		snprintf(start_after, REEF_OBJECT_KEY_SIZE, "%s", key);
		if (!reef_layout_parse_any(key, prefix, &object))
			continue;
		if (strchr(prefix, '/') != NULL)
			snprintf(start_after, REEF_OBJECT_KEY_SIZE, "%.800s/zzzz", prefix);
		else if (schema != NULL)
			continue;			/* the namespace named like the schema */
		REEF_TRY(add_prefix(search, prefix, &is_new, err));
		if (is_new && reef_layout_namespace_name(prefix, name, sizeof(name)))
			REEF_TRY(visit(arg, name, err));
	}
	return REEF_OK;
}

ReefCode
reef_store_namespaces(ReefStore *store, const char *schema,
					  ReefNameVisitor visit, void *arg, ReefError *err)
{
	NameSearch	search = {0};
	char		prefix[REEF_OBJECT_KEY_SIZE] = "";
	char		start_after[REEF_OBJECT_KEY_SIZE] = "";
	size_t		found = NAMES_PAGE_SIZE;
	ReefCode	rc = REEF_OK;

	if (schema != NULL)
	{
		REEF_TRY(reef_layout_namespace_prefix(schema, prefix, err));
		(void) snprintf(prefix + strlen(prefix),
						sizeof(prefix) - strlen(prefix), "/");
	}
	reef_arena_init(&search.arena, 0);
	while (rc == REEF_OK && found == NAMES_PAGE_SIZE)
	{
		ReefObjectList list;

		reef_object_list_init(&list);
		rc = reef_store_list(store, prefix, start_after, NAMES_PAGE_SIZE,
							 &list, err);
		found = list.count;
		if (rc == REEF_OK)
			rc = visit_page(&search, &list, schema, start_after, visit, arg,
							err);
		reef_object_list_release(&list);
	}
	reef_arena_release(&search.arena);
	return rc;
}
