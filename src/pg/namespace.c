/*
 * namespace.c
 *	  This process's stores and namespace handles.
 *
 * Opening a store and attaching a namespace is too dear for every statement,
 * so both are kept across transactions.  A store is known by what it was
 * opened with, not by the server's oid: changed options are another store, at
 * once.  Any change of a server or mapping marks all of them stale, which
 * closes them when the transaction that uses them is over.
 *
 * What a transaction uses of the shared table it must not lose, so a handle
 * that was asked for counts as a user of its entry until the transaction's
 * memory goes, and each pinned view counts as another.  Both end in reset
 * callbacks of memory contexts: those run after everything that may still
 * look at a scan, in an aborted transaction too.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "storage/ipc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "pg/shmem.h"
#include "pg/store_spec.h"
#include "store/store.h"

/* Handles beyond this many that nobody uses are given back. */
#define HANDLES_MAX 32
/* Memory for decoded pages that a handle keeps when others share theirs: what
 * a scan uses again soon. */
#define UNSHARED_PAGES_SIZE ((size_t) 8 * 1024 * 1024)

typedef struct StoreSlot
{
	slist_node	node;
	bool		is_stale;
	ReefStore  *store;
	bool		has_identity;	/* not asked for in a worker */
	uint8		identity[REEFPG_IDENTITY_SIZE];
	ReefPgCounted counted;		/* for everybody */
	uint64		put_bytes;		/* that are taken account of */
	ReefPgStoreSpec spec;		/* zeroed at the end: it has secrets */
} StoreSlot;

typedef struct NamespaceSlot
{
	dlist_node	node;			/* most recently used first */
	StoreSlot  *store;
	ReefPgEntry *entry;
	uint64		generation;		/* of the entry when we attached */
	ReefEngineSettings settings;	/* borrowed by ns */
	ReefNamespace *ns;
	bool		is_used;		/* by this transaction */
	int			view_count;
} NamespaceSlot;

typedef struct ViewHolder
{
	dlist_node	node;
	NamespaceSlot *slot;
	ReefView   *view;			/* NULL: released */
	MemoryContextCallback callback;
} ViewHolder;

static slist_head stores = SLIST_STATIC_INIT(stores);
static dlist_head namespaces = DLIST_STATIC_INIT(namespaces);
static int	namespace_count = 0;
static dlist_head views = DLIST_STATIC_INIT(views);
static bool has_transaction_callback = false;

static void
detach_namespace(NamespaceSlot *slot)
{
	dlist_delete(&slot->node);
	namespace_count--;
	reef_namespace_detach(slot->ns);
	pfree(slot);
}

static void
count_requests(StoreSlot *store)
{
	reefpg_store_line_add(store->store, &store->counted);
}

void
reefpg_count_requests(void)
{
	slist_iter	iter;

	slist_foreach(iter, &stores)
		count_requests(slist_container(StoreSlot, node, iter.cur));
}

static bool
is_unused(const NamespaceSlot *slot)
{
	return !slot->is_used && slot->view_count == 0;
}

/* Close stale stores that nothing uses, and handles that are too many. */
static void
close_unused(void)
{
	slist_mutable_iter store_iter;

	slist_foreach_modify(store_iter, &stores)
	{
		StoreSlot  *store = slist_container(StoreSlot, node, store_iter.cur);
		dlist_mutable_iter iter;
		bool		is_needed = false;

		if (!store->is_stale)
			continue;
		dlist_foreach_modify(iter, &namespaces)
		{
			NamespaceSlot *slot = dlist_container(NamespaceSlot, node, iter.cur);

			if (slot->store != store)
				continue;
			if (is_unused(slot))
				detach_namespace(slot);
			else
				is_needed = true;
		}
		if (!is_needed)
		{
			slist_delete_current(&store_iter);
			count_requests(store);
			reef_store_close(store->store);
			explicit_bzero(store, sizeof(*store));
			pfree(store);
		}
	}

	while (namespace_count > HANDLES_MAX)
	{
		NamespaceSlot *slot = dlist_tail_element(NamespaceSlot, node,
												 &namespaces);

		if (!is_unused(slot))
			break;
		detach_namespace(slot);
	}
}

static void
end_transaction(void *arg)
{
	dlist_iter	iter;

	has_transaction_callback = false;
	dlist_foreach(iter, &namespaces)
	{
		NamespaceSlot *slot = dlist_container(NamespaceSlot, node, iter.cur);

		if (slot->is_used)
		{
			slot->is_used = false;
			reefpg_entry_release(slot->entry);
		}
	}
	reefpg_count_requests();
	close_unused();
	reefpg_host_at_end();
}

/*
 * The last resort at exit, when shared memory is still there: transactions
 * have been aborted before, but an exit for the postmaster's death skips that.
 */
static void
at_exit(int code, Datum arg)
{
	dlist_iter	iter;

	reefpg_commit_queue_at_end();
	reefpg_host_release_rights();
	reefpg_progress_end();
	reefpg_count_requests();
	dlist_foreach(iter, &namespaces)
	{
		NamespaceSlot *slot = dlist_container(NamespaceSlot, node, iter.cur);

		if (slot->is_used)
			reefpg_entry_release(slot->entry);
		while (slot->view_count-- > 0)
			reefpg_entry_release(slot->entry);
		reef_namespace_abandon(slot->ns);
	}
}

static void
mark_stale(Datum arg, int cacheid, uint32 hashvalue)
{
	slist_iter	iter;

	slist_foreach(iter, &stores)
		slist_container(StoreSlot, node, iter.cur)->is_stale = true;
	reefpg_spec_forget(hashvalue);
}

static void
init_process(void)
{
	static bool is_done = false;

	if (is_done)
		return;
	on_shmem_exit(at_exit, 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, mark_stale, 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, mark_stale, 0);
	is_done = true;
}

static ReefCode
open_store(const ReefPgStoreSpec *spec, StoreSlot **slot, ReefError *err)
{
	ReefStore  *store;
	slist_iter	iter;

	slist_foreach(iter, &stores)
	{
		StoreSlot  *known = slist_container(StoreSlot, node, iter.cur);

		if (!known->is_stale && memcmp(&known->spec, spec, sizeof(*spec)) == 0)
		{
			*slot = known;
			return REEF_OK;
		}
	}

	init_process();
	REEF_TRY(reefpg_spec_open(spec, &store, err));

	*slot = MemoryContextAllocZero(TopMemoryContext, sizeof(StoreSlot));
	(*slot)->spec = *spec;
	(*slot)->store = store;
	slist_push_head(&stores, &(*slot)->node);
	return REEF_OK;
}

static StoreSlot *
store_of_server(const ReefPgServer *server)
{
	ReefPgStoreSpec spec;
	StoreSlot  *store;
	ReefError	err;
	ReefCode	rc;

	reefpg_shmem_require();
	reef_error_init(&err);
	(void) reefpg_spec_load(server, &spec, false);
	rc = open_store(&spec, &store, &err);
	explicit_bzero(&spec, sizeof(spec));
	REEFPG_CHECK(rc, &err, NULL);
	return store;
}

bool
reefpg_store_can_open(const ReefPgServer *server)
{
	ReefPgStoreSpec spec;
	StoreSlot  *store;
	ReefError	err;
	bool		can_open;

	reefpg_shmem_require();
	reef_error_init(&err);
	can_open = reefpg_spec_load(server, &spec, true) &&
		open_store(&spec, &store, &err) == REEF_OK;
	explicit_bzero(&spec, sizeof(spec));
	return can_open;
}

ReefStore *
reefpg_store_get(const ReefPgServer *server)
{
	return store_of_server(server)->store;
}

/*
 * What sessions may change at any time.  A transaction that the memtable could
 * not hold must have become segments before.
 */
static void
refresh_settings(ReefEngineSettings *settings)
{
	settings->commit_timeout_us = (int64) reefpg_commit_timeout_ms * 1000;
	settings->gc_grace_us = (int64) reefpg_gc_grace_ms * 1000;
	settings->maintenance_io_limit =
		(int64) reefpg_maintenance_io_limit_kb * 1024;
	settings->transaction_buffer_size =
		Min((size_t) reefpg_transaction_buffer_size_kb * 1024,
			reefpg_pool_bytes() / 4);
}

/* Caller is a user of the entry. */
static ReefCode
attach_namespace(StoreSlot *store, ReefPgEntry *entry, NamespaceSlot **slot,
				 ReefError *err)
{
	NamespaceSlot *fresh;
	ReefCode	rc;

	fresh = MemoryContextAllocZero(TopMemoryContext, sizeof(NamespaceSlot));
	fresh->store = store;
	fresh->entry = entry;
	fresh->generation = entry->generation;
	reef_engine_settings_init(&fresh->settings);
	memcpy(fresh->settings.cluster_id, reefpg_shared->cluster_id,
		   sizeof(fresh->settings.cluster_id));
	fresh->settings.page_cache = reefpg_shared->page_cache;
	if (reefpg_shared->page_cache != NULL)
		fresh->settings.page_cache_size = UNSHARED_PAGES_SIZE;
	refresh_settings(&fresh->settings);
	rc = reef_namespace_attach(reefpg_host(), &fresh->settings, store->store,
							   entry->name, entry->shared, &fresh->ns, err);
	if (rc != REEF_OK)
	{
		pfree(fresh);
		return rc;
	}
	dlist_push_head(&namespaces, &fresh->node);
	namespace_count++;
	*slot = fresh;
	return REEF_OK;
}

static NamespaceSlot *
find_namespace(const StoreSlot *store, const char *name)
{
	dlist_iter	iter;

	dlist_foreach(iter, &namespaces)
	{
		NamespaceSlot *slot = dlist_container(NamespaceSlot, node, iter.cur);

		if (slot->store == store &&
			strcmp(reef_namespace_name(slot->ns), name) == 0)
			return slot;
	}
	return NULL;
}

static void
register_transaction(void)
{
	MemoryContextCallback *callback;

	if (has_transaction_callback)
		return;
	callback = MemoryContextAllocZero(TopTransactionContext,
									  sizeof(MemoryContextCallback));
	callback->func = end_transaction;
	MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	has_transaction_callback = true;
}

static const uint8 *
identity_of(StoreSlot *store)
{
	if (!store->has_identity)
		reefpg_spec_identity(&store->spec, store->identity);
	store->has_identity = true;
	return store->identity;
}

static bool
find_identity(const ReefPgEntry *entry, const uint8 *identity)
{
	for (int i = 0; i < entry->reader_count; i++)
	{
		if (memcmp(entry->readers[i], identity, REEFPG_IDENTITY_SIZE) == 0)
			return true;
	}
	return false;
}

/*
 * What is in memory was read with somebody's keys.  Before ours may see it,
 * they must have opened the same door: read the current manifest.
 */
static void
check_identity(NamespaceSlot *slot)
{
	static const uint8 anybody[REEFPG_IDENTITY_SIZE] = {0};
	ReefPgEntry *entry = slot->entry;
	const uint8 *identity = identity_of(slot->store);
	ReefError	err;
	bool		is_known;

	/* a directory: everybody comes as the server */
	if (memcmp(identity, anybody, sizeof(anybody)) == 0)
		return;
	SpinLockAcquire(&entry->mutex);
	is_known = find_identity(entry, identity);
	SpinLockRelease(&entry->mutex);
	if (is_known)
		return;

	reef_error_init(&err);
	REEFPG_CHECK(reef_namespace_read_check(slot->ns, &err), &err, NULL);
	SpinLockAcquire(&entry->mutex);
	if (!find_identity(entry, identity))
	{
		/* Whoever makes room will just be asked again. */
		if (entry->reader_count == REEFPG_READERS_MAX)
			entry->reader_count = 0;
		memcpy(entry->readers[entry->reader_count++], identity,
			   REEFPG_IDENTITY_SIZE);
	}
	SpinLockRelease(&entry->mutex);
}

static NamespaceSlot *
slot_of_server(const ReefPgServer *server, const char *name)
{
	StoreSlot  *store = store_of_server(server);
	NamespaceSlot *slot = find_namespace(store, name);

	register_transaction();
	if (slot != NULL && !slot->is_used)
	{
		if (reefpg_entry_reacquire(slot->entry, slot->generation))
			slot->is_used = true;
		else
		{
			/* The entry is another namespace's by now; nobody has a view of
			 * ours, or it would still be ours. */
			detach_namespace(slot);
			slot = NULL;
		}
	}
	if (slot == NULL)
	{
		ReefPgEntry *entry;
		ReefError	err;

		/* By the store's own spelling of the location, so that several ways
		 * to write it meet in one entry. */
		entry = reefpg_entry_acquire(reef_store_location(store->store), name);
		reef_error_init(&err);
		if (attach_namespace(store, entry, &slot, &err) != REEF_OK)
		{
			reefpg_entry_release(entry);
			reefpg_report(&err, NULL);
		}
		slot->is_used = true;
	}
	else
		dlist_move_head(&namespaces, &slot->node);
	check_identity(slot);
	reefpg_spec_leave(slot->entry, &store->spec);
	refresh_settings(&slot->settings);
	return slot;
}

ReefNamespace *
reefpg_namespace_get(const ReefPgServer *server, const char *namespace_name)
{
	return slot_of_server(server, namespace_name)->ns;
}

ReefNamespace *
reefpg_table_namespace(const ReefPgTable *table)
{
	NamespaceSlot *slot;
	ReefEngineSettings defaults;
	size_t		target_segment_size;
	int64		idempotency_retention_ms;
	int			compression;

	reefpg_server_check_use(table->server);
	slot = slot_of_server(table->server, table->namespace_name);

	reef_engine_settings_init(&defaults);
	target_segment_size = table->target_segment_size_kb < 0 ?
		defaults.target_segment_size :
		(size_t) table->target_segment_size_kb * 1024;
	compression = table->compression < 0 ?
		defaults.compression : table->compression;
	idempotency_retention_ms = table->idempotency_retention_s < 0 ?
		defaults.idempotency_retention_ms :
		(int64) table->idempotency_retention_s * 1000;
	if (slot->settings.target_segment_size != target_segment_size ||
		slot->settings.idempotency_retention_ms != idempotency_retention_ms ||
		slot->settings.compression != compression)
	{
		slot->settings.idempotency_retention_ms = idempotency_retention_ms;
		slot->settings.target_segment_size = target_segment_size;
		slot->settings.compression = compression;
		SpinLockAcquire(&slot->entry->mutex);
		slot->entry->maintenance.target_segment_size = target_segment_size;
		slot->entry->maintenance.compression = compression;
		slot->entry->maintenance.idempotency_retention_ms =
			idempotency_retention_ms;
		slot->entry->maintenance.has_settings = true;
		SpinLockRelease(&slot->entry->mutex);
	}
	return slot->ns;
}

static NamespaceSlot *
slot_of_handle(const ReefNamespace *ns)
{
	dlist_iter	iter;

	dlist_foreach(iter, &namespaces)
	{
		NamespaceSlot *slot = dlist_container(NamespaceSlot, node, iter.cur);

		if (slot->ns == ns)
			return slot;
	}
	elog(ERROR, "namespace handle is not open");
}

ReefPgEntry *
reefpg_namespace_entry(const ReefNamespace *ns)
{
	return slot_of_handle(ns)->entry;
}

const uint8 *
reefpg_namespace_identity(const ReefNamespace *ns)
{
	return identity_of(slot_of_handle(ns)->store);
}

void
reefpg_count_put_bytes(const ReefNamespace *ns, ReefPgPutKind kind)
{
	NamespaceSlot *slot = slot_of_handle(ns);
	StoreSlot  *store = slot->store;
	uint64		bytes;

	bytes = reef_store_counters(store->store)[REEF_REQUEST_PUT].bytes;
	pg_atomic_fetch_add_u64(&slot->entry->traffic.put_bytes[kind],
							bytes - store->put_bytes);
	store->put_bytes = bytes;
}

ReefCode
reefpg_namespace_of_entry(ReefPgEntry *entry, ReefNamespace **ns,
						  ReefError *err)
{
	ReefPgMaintenance options;
	ReefPgStoreSpec spec;
	StoreSlot  *store;
	NamespaceSlot *slot;
	slist_iter	iter;
	ReefCode	rc;

	SpinLockAcquire(&entry->mutex);
	options = entry->maintenance;
	SpinLockRelease(&entry->mutex);

	if (!reefpg_spec_take(entry, &spec))
		return reef_error_set(err, REEF_UNAUTHENTICATED,
							  "no session has left its credentials",
							  "location %.300s: they are left by the next session that uses the table",
							  entry->location);
	rc = open_store(&spec, &store, err);
	explicit_bzero(&spec, sizeof(spec));
	if (rc != REEF_OK)
		return rc;
	/* No catalog tells a worker that an older one has had its day. */
	slist_foreach(iter, &stores)
	{
		StoreSlot  *other = slist_container(StoreSlot, node, iter.cur);

		if (other != store && strcmp(reef_store_location(other->store),
									 reef_store_location(store->store)) == 0)
			other->is_stale = true;
	}
	slot = find_namespace(store, entry->name);
	if (slot != NULL && (slot->entry != entry ||
						 slot->generation != entry->generation))
	{
		detach_namespace(slot);
		slot = NULL;
	}
	if (slot == NULL)
		REEF_TRY(attach_namespace(store, entry, &slot, err));
	dlist_move_head(&namespaces, &slot->node);
	refresh_settings(&slot->settings);
	if (options.has_settings)
	{
		slot->settings.target_segment_size = options.target_segment_size;
		slot->settings.compression = options.compression;
		slot->settings.idempotency_retention_ms =
			options.idempotency_retention_ms;
	}
	close_unused();
	*ns = slot->ns;
	return REEF_OK;
}

static void
release_holder(void *arg)
{
	ViewHolder *holder = arg;

	if (holder->view == NULL)
		return;
	reef_view_unpin(holder->view);
	holder->view = NULL;
	dlist_delete(&holder->node);
	holder->slot->view_count--;
	reefpg_entry_release(holder->slot->entry);
}

ReefView *
reefpg_view_pin(ReefNamespace *ns, const ReefPgTable *table, Snapshot snapshot,
				MemoryContext context)
{
	NamespaceSlot *slot = slot_of_handle(ns);
	ViewHolder *holder = MemoryContextAllocZero(context, sizeof(ViewHolder));
	ReefError	err;

	reef_error_init(&err);
	REEFPG_CHECK(reef_view_pin(ns, snapshot,
							   (int64) table->max_staleness_ms * 1000,
							   &holder->view, &err),
				 &err, get_rel_name(table->relid));
	/* The transaction is a user, so the entry is still ours. */
	pg_atomic_fetch_add_u32(&slot->entry->users, 1);
	slot->view_count++;
	holder->slot = slot;
	dlist_push_head(&views, &holder->node);
	holder->callback.func = release_holder;
	holder->callback.arg = holder;
	MemoryContextRegisterResetCallback(context, &holder->callback);
	return holder->view;
}

void
reefpg_view_release(ReefView *view)
{
	dlist_iter	iter;

	dlist_foreach(iter, &views)
	{
		ViewHolder *holder = dlist_container(ViewHolder, node, iter.cur);

		if (holder->view == view)
		{
			release_holder(holder);
			return;
		}
	}
}
