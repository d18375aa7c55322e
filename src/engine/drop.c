/*
 * drop.c
 *	  Deleting a namespace, object by object, in an order that can stop anywhere.
 *
 *	  fence					other writers are out; a fence is above all records
 *	  manifests, oldest first	until the last one is gone nothing has changed
 *	  records, oldest first		the first one leaves a hole below the fence
 *	  segments, quarantine		nothing names them any more
 *	  fences, oldest first		what is left always has a hole below it
 *
 * So an interrupted drop leaves either the whole namespace, or one that every
 * server refuses to open because records are missing [I10], or nothing; never
 * one that looks alive with fewer rows.  Dropping again goes on where it
 * stopped.  Fences go last because they are what keeps a sleeping writer from
 * having a record acknowledged.
 */
#include "engine/state.h"

/* Nothing but the header. */
static bool
is_fence(const ReefObjectInfo *object)
{
	return object->size <= REEF_WAL_HEADER_SIZE;
}

typedef enum DropWhich
{
	DROP_ALL,
	DROP_RECORDS,
	DROP_FENCES
} DropWhich;

static ReefCode
drop_kind(ReefNamespace *ns, ReefObjectKind kind, DropWhich which,
		  uint64_t *objects, ReefError *err)
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
		ReefObjectName name;

		/* what we did not make is not ours to delete [I9] */
		reef_layout_parse(ns->prefix, object->key, &name);
		if (name.kind != kind ||
			(which == DROP_RECORDS && is_fence(object)) ||
			(which == DROP_FENCES && !is_fence(object)))
			continue;
		if (ns->host->cancelled(ns->host->arg))
			rc = reef_error_set(err, REEF_CANCELLED,
								"dropping the namespace was cancelled",
								"namespace \"%s\" is partly deleted: drop it again",
								ns->name);
		else
			rc = reef_store_delete(ns->store, object->key, err);
		if (rc == REEF_OK)
			(*objects)++;
	}
	reef_object_list_release(&list);
	return rc;
}

/* A namespace that cannot be opened can still be dropped. */
static ReefCode
fence_off(ReefNamespace *ns, ReefError *err)
{
	ReefCode	rc = REEF_OK;

	if (ns->shared->mode == REEF_MODE_CLOSED)
		rc = reef_recover(ns, err);
	if (rc == REEF_OK && ns->shared->exists)
		rc = reef_takeover(ns, err);
	if (rc == REEF_CORRUPT || rc == REEF_UNSUPPORTED || rc == REEF_LIMIT)
		return REEF_OK;
	return rc;
}

static ReefCode
drop_objects(ReefNamespace *ns, uint64_t *objects, ReefError *err)
{
	REEF_TRY(fence_off(ns, err));
	REEF_TRY(drop_kind(ns, REEF_OBJECT_MANIFEST, DROP_ALL, objects, err));
	REEF_TRY(drop_kind(ns, REEF_OBJECT_WAL, DROP_RECORDS, objects, err));
	REEF_TRY(drop_kind(ns, REEF_OBJECT_SEGMENT, DROP_ALL, objects, err));
	REEF_TRY(drop_kind(ns, REEF_OBJECT_QUARANTINE, DROP_ALL, objects, err));
	return drop_kind(ns, REEF_OBJECT_WAL, DROP_FENCES, objects, err);
}

static void
forget(ReefNamespace *ns)
{
	ReefNamespaceShared *shared = ns->shared;

	reef_namespace_close_shared(ns->host, shared);
	reef_namespace_lock(ns->host, shared, true);
	shared->pending_abort_count = 0;
	shared->has_unqueued_aborts = false;
	atomic_store(&shared->last_row_id, 0);
	reef_namespace_unlock(ns->host, shared);
}

/* The maintenance of this cluster must not write while we delete. */
ReefCode
reef_namespace_drop(ReefNamespace *ns, uint64_t *objects, ReefError *err)
{
	static const ReefRight order[] = {REEF_RIGHT_COMPACT, REEF_RIGHT_FOLD,
		REEF_RIGHT_COMMIT};
	const ReefHost *host = ns->host;
	int			lock_number = ns->shared->lock_number;
	ReefCode	rc = REEF_OK;
	int			held;

	*objects = 0;
	if (reef_store_is_read_only(ns->store))
		return reef_error_set(err, REEF_READ_ONLY,
							  "the store is attached read-only",
							  "namespace \"%s\"", ns->name);
	for (held = 0; held < (int) (sizeof(order) / sizeof(order[0])); held++)
	{
		rc = host->right_acquire(host->arg, lock_number, order[held],
								 ns->settings->commit_timeout_us);
		if (rc != REEF_OK)
		{
			(void) reef_error_set(err, rc, "could not drop the namespace",
								  "namespace \"%s\" is in use", ns->name);
			break;
		}
	}
	if (rc == REEF_OK)
	{
		rc = drop_objects(ns, objects, err);
		/* memory must not outlive any of the objects */
		forget(ns);
	}
	while (--held >= 0)
		host->right_release(host->arg, lock_number, order[held]);
	return rc;
}
