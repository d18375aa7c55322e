/*
 * shmem.c
 *	  The fixed shared memory: the table of namespaces, the pool of pages, and
 *	  the page cache with its pool.
 *
 * Memtables live where every process can read them, at the same address in
 * each, so the region comes from the postmaster and cannot grow.  Within it
 * PostgreSQL's FreePageManager, made for exactly this in dynamic shared
 * memory, hands out runs of pages; all it wants is a base address.
 *
 * Lock order: table_lock, then an entry's lock, then pool_lock.  The page
 * cache's locks and cache_pool_lock are taken one at a time.  The spin locks
 * are leaves.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/freepage.h"
#include "utils/timestamp.h"

#include "pg/compat.h"
#include "pg/local_cache.h"
#include "pg/shmem.h"
#include "pg/store_spec.h"

#define TRANCHE_NAME "reef_fdw"
/* How long to wait for an entry of the full table. */
#define ENTRY_TRIES 50
#define ENTRY_WAIT_MS 100
/* Locks before the entries' own in the tranche. */
#define FIXED_LOCKS 4

StaticAssertDecl(REEF_SHARED_PAGE_SIZE == FPM_PAGE_SIZE,
				 "the engine's pages are the free page manager's");

ReefPgShared *reefpg_shared = NULL;

static shmem_request_hook_type previous_shmem_request_hook = NULL;
static shmem_startup_hook_type previous_shmem_startup_hook = NULL;

/*
 * A commit whose owner has left in uncertainty occupies its item until its
 * leader is done, so there are more items than processes.
 */
static int
item_count(void)
{
	return MaxBackends * 2 + 16;
}

static Size
entry_stride(void)
{
	return MAXALIGN(sizeof(ReefPgEntry)) +
		MAXALIGN(reef_namespace_shared_size());
}

/* The table and all the rest but the pool. */
static Size
table_size(void)
{
	Size		size = MAXALIGN(sizeof(ReefPgShared));

	size = add_size(size, mul_size(reefpg_max_namespaces, entry_stride()));
	size = add_size(size, mul_size(item_count(),
								   MAXALIGN(sizeof(ReefPgCommitItem))));
	size = add_size(size, reefpg_monitor_shared_size());
	return add_size(size, mul_size(reefpg_maintenance_workers,
								   MAXALIGN(sizeof(ReefPgWorkerSlot))));
}

/* With the manager's own page, and one for aligning the rest. */
static Size
pool_size(void)
{
	return add_size(mul_size(reefpg_memtable_size_kb, 1024),
					2 * FPM_PAGE_SIZE);
}

static Size
cache_budget(void)
{
	return mul_size(reefpg_page_cache_size_kb, 1024);
}

/* The page cache's table, then its pages. */
static Size
cache_size(void)
{
	if (reefpg_page_cache_size_kb == 0)
		return 0;
	return add_size(MAXALIGN(reef_page_cache_shared_size(cache_budget())),
					add_size(cache_budget(), 2 * FPM_PAGE_SIZE));
}

static void
request_shmem(void)
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	RequestAddinShmemSpace(add_size(add_size(table_size(), pool_size()),
									add_size(cache_size(),
											 reefpg_spec_shared_size())));
	RequestAddinShmemSpace(reefpg_local_cache_shared_size());
	RequestNamedLWLockTranche(TRANCHE_NAME,
							  FIXED_LOCKS + reefpg_max_namespaces +
							  REEF_PAGE_CACHE_LOCKS);
}

static void
init_entry(ReefPgEntry *entry, ReefNamespaceShared *shared, int lock_number)
{
	memset(entry, 0, sizeof(*entry));
	entry->shared = shared;
	reef_namespace_shared_init(shared, lock_number);
	pg_atomic_init_u32(&entry->users, 0);
	pg_atomic_init_u64(&entry->last_used, 0);
	SpinLockInit(&entry->mutex);
	for (int i = 0; i < REEF_RIGHT_COUNT; i++)
		ConditionVariableInit(&entry->rights[i].released);
	dlist_init(&entry->waiting);
	reefpg_traffic_init(&entry->traffic);
}

static void
init_table(ReefPgShared *shared)
{
	char	   *next = (char *) shared + MAXALIGN(sizeof(ReefPgShared));
	ReefPgCommitItem *item;

	memset(shared, 0, sizeof(*shared));
	if (!pg_strong_random(shared->cluster_id, sizeof(shared->cluster_id)))
		elog(FATAL, "could not generate a cluster id");
	shared->entry_locks = GetNamedLWLockTranche(TRANCHE_NAME);
	shared->table_lock = &shared->entry_locks[0].lock;
	shared->pool_lock = &shared->entry_locks[1].lock;
	shared->cache_pool_lock = &shared->entry_locks[2].lock;
	shared->spec_lock = &shared->entry_locks[3].lock;
	shared->entry_locks += FIXED_LOCKS;
	SpinLockInit(&shared->mutex);
	ConditionVariableInit(&shared->pool_freed);
	pg_atomic_init_u64(&shared->pool_pages_used, 0);
	pg_atomic_init_u32(&shared->entry_waiters, 0);

	shared->entry_count = reefpg_max_namespaces;
	shared->entries = (ReefPgEntry *) next;
	next += mul_size(shared->entry_count, MAXALIGN(sizeof(ReefPgEntry)));
	for (int i = 0; i < shared->entry_count; i++)
	{
		init_entry(&shared->entries[i], (ReefNamespaceShared *) next, i);
		next += MAXALIGN(reef_namespace_shared_size());
	}

	dlist_init(&shared->free_items);
	for (int i = 0; i < item_count(); i++)
	{
		item = (ReefPgCommitItem *) next;
		next += MAXALIGN(sizeof(ReefPgCommitItem));
		dlist_push_tail(&shared->free_items, &item->node);
	}

	next = reefpg_monitor_init(shared, next);
	shared->worker_count = reefpg_maintenance_workers;
	shared->workers = (ReefPgWorkerSlot *) next;
	memset(shared->workers, 0,
		   shared->worker_count * sizeof(ReefPgWorkerSlot));
}

/* Page 0 holds the manager itself; the others are the pool. */
static char *
init_pool(char *memory, Size pages)
{
	char	   *pool = (char *) TYPEALIGN(FPM_PAGE_SIZE, memory);
	FreePageManager *manager = (FreePageManager *) pool;

	StaticAssertStmt(sizeof(FreePageManager) <= FPM_PAGE_SIZE,
					 "the manager fits a page");
	FreePageManagerInitialize(manager, pool);
	FreePageManagerPut(manager, 1, pages);
	return pool;
}

static void
init_page_cache(ReefPgShared *shared, char *memory)
{
	shared->page_cache = (ReefPageCache *) memory;
	reef_page_cache_init(shared->page_cache, cache_budget(),
						 reefpg_max_namespaces);
	memory += MAXALIGN(reef_page_cache_shared_size(cache_budget()));
	shared->cache_pool = init_pool(memory, cache_budget() / FPM_PAGE_SIZE);
}

static void
startup_shmem(void)
{
	bool		found;
	char	   *pool;
	char	   *cache = NULL;

	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	reefpg_shared = ShmemInitStruct("reef_fdw", table_size(), &found);
	pool = ShmemInitStruct("reef_fdw pages", pool_size(), &found);
	if (cache_size() > 0)
		cache = ShmemInitStruct("reef_fdw page cache", cache_size(), &found);
	if (!found)
	{
		init_table(reefpg_shared);
		reefpg_shared->pool_pages =
			(Size) reefpg_memtable_size_kb * 1024 / FPM_PAGE_SIZE;
		reefpg_shared->pool = init_pool(pool, reefpg_shared->pool_pages);
		if (cache != NULL)
			init_page_cache(reefpg_shared, cache);
	}
	reefpg_spec_shared_init();
	reefpg_local_cache_shared_init();
	LWLockRelease(AddinShmemInitLock);
}

void
reefpg_shmem_init(void)
{
	previous_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	previous_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

void
reefpg_shmem_require(void)
{
	if (reefpg_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("reef_fdw must be loaded via shared_preload_libraries"),
				 errhint("Add reef_fdw to shared_preload_libraries in postgresql.conf and restart the server.")));
}

static void *
alloc_pages(char *pool, LWLock *lock, Size size)
{
	Size		first;
	bool		found;

	Assert(size % FPM_PAGE_SIZE == 0);
	LWLockAcquire(lock, LW_EXCLUSIVE);
	found = FreePageManagerGet((FreePageManager *) pool, size / FPM_PAGE_SIZE,
							   &first);
	LWLockRelease(lock);
	return found ? fpm_page_to_pointer(pool, first) : NULL;
}

static void
free_pages(char *pool, LWLock *lock, void *address, Size size)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	FreePageManagerPut((FreePageManager *) pool,
					   fpm_pointer_to_page(pool, address),
					   size / FPM_PAGE_SIZE);
	LWLockRelease(lock);
}

void *
reefpg_pool_alloc(Size size)
{
	void	   *address = alloc_pages(reefpg_shared->pool,
									  reefpg_shared->pool_lock, size);

	if (address != NULL)
		pg_atomic_fetch_add_u64(&reefpg_shared->pool_pages_used,
								size / FPM_PAGE_SIZE);
	return address;
}

void
reefpg_pool_free(void *address, Size size)
{
	free_pages(reefpg_shared->pool, reefpg_shared->pool_lock, address, size);
	pg_atomic_fetch_sub_u64(&reefpg_shared->pool_pages_used,
							size / FPM_PAGE_SIZE);
}

void *
reefpg_cache_alloc(Size size)
{
	return alloc_pages(reefpg_shared->cache_pool,
					   reefpg_shared->cache_pool_lock, size);
}

void
reefpg_cache_free(void *address, Size size)
{
	free_pages(reefpg_shared->cache_pool, reefpg_shared->cache_pool_lock,
			   address, size);
}

Size
reefpg_pool_bytes(void)
{
	return reefpg_shared->pool_pages * FPM_PAGE_SIZE;
}

Size
reefpg_pool_free_bytes(void)
{
	return reefpg_pool_bytes() - FPM_PAGE_SIZE *
		(Size) pg_atomic_read_u64(&reefpg_shared->pool_pages_used);
}

static ReefPgEntry *
find_entry(const char *location, const char *name)
{
	for (int i = 0; i < reefpg_shared->entry_count; i++)
	{
		ReefPgEntry *entry = &reefpg_shared->entries[i];

		if (entry->in_use && strcmp(entry->name, name) == 0 &&
			strcmp(entry->location, location) == 0)
			return entry;
	}
	return NULL;
}

static void
use_entry(ReefPgEntry *entry)
{
	pg_atomic_fetch_add_u32(&entry->users, 1);
	pg_atomic_write_u64(&entry->last_used, (uint64) GetCurrentTimestamp());
}

/*
 * Could the entry be taken from its namespace?  A namespace that we write may
 * hold rows that some snapshot must not see yet, which only its memtable
 * knows; one that we only read is a copy of what is in the store.
 */
static bool
entry_is_idle(ReefPgEntry *entry)
{
	ReefNamespaceStatus status;

	if (pg_atomic_read_u32(&entry->users) > 0)
		return false;
	reef_namespace_status(reefpg_host(), entry->shared, &status);
	return status.pins == 0 &&
		(!status.is_writer ||
		 (status.unfolded_records == 0 && status.generations <= 1 &&
		  !status.has_pending_aborts));
}

/* A free entry, or the longest unused one that can be emptied.  Table locked
 * exclusively. */
static ReefPgEntry *
vacate_entry(void)
{
	ReefPgEntry *victim = NULL;
	ReefError	err;

	for (int i = 0; i < reefpg_shared->entry_count; i++)
	{
		ReefPgEntry *entry = &reefpg_shared->entries[i];

		if (!entry->in_use)
			return entry;
		if ((victim == NULL ||
			 pg_atomic_read_u64(&entry->last_used) <
			 pg_atomic_read_u64(&victim->last_used)) && entry_is_idle(entry))
			victim = entry;
	}
	if (victim == NULL)
		return NULL;
	reef_error_init(&err);
	if (reef_namespace_shared_reset(reefpg_host(), victim->shared, true,
									&err) != REEF_OK)
		return NULL;
	victim->in_use = false;
	return victim;
}

/* Found or made; NULL if every entry is in use. */
static ReefPgEntry *
try_acquire_entry(const char *location, const char *name)
{
	ReefPgEntry *entry;

	LWLockAcquire(reefpg_shared->table_lock, LW_SHARED);
	entry = find_entry(location, name);
	if (entry != NULL)
		use_entry(entry);
	LWLockRelease(reefpg_shared->table_lock);
	if (entry != NULL)
		return entry;

	LWLockAcquire(reefpg_shared->table_lock, LW_EXCLUSIVE);
	entry = find_entry(location, name);
	if (entry == NULL && (entry = vacate_entry()) != NULL)
	{
		strlcpy(entry->location, location, REEFPG_LOCATION_SIZE);
		strlcpy(entry->name, name, REEFPG_NAMESPACE_SIZE);
		memset(&entry->maintenance, 0, sizeof(entry->maintenance));
		entry->reader_count = 0;
		reefpg_traffic_reset(&entry->traffic);
		entry->generation++;
		entry->in_use = true;
	}
	if (entry != NULL)
		use_entry(entry);
	LWLockRelease(reefpg_shared->table_lock);
	return entry;
}

/*
 * Entries that nobody uses may hold rows that are not folded yet: have them
 * folded, which takes a moment.
 */
static ReefPgEntry *
wait_for_entry(const char *location, const char *name)
{
	ReefPgEntry *entry = NULL;

	pg_atomic_fetch_add_u32(&reefpg_shared->entry_waiters, 1);
	PG_TRY();
	{
		for (int i = 0; i < ENTRY_TRIES && entry == NULL; i++)
		{
			reefpg_workers_wake();
			(void) WaitLatch(MyLatch,
							 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 ENTRY_WAIT_MS, reefpg_wait_event(REEFPG_WAIT_TABLE));
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
			entry = try_acquire_entry(location, name);
		}
	}
	PG_CATCH();
	{
		pg_atomic_fetch_sub_u32(&reefpg_shared->entry_waiters, 1);
		PG_RE_THROW();
	}
	PG_END_TRY();
	pg_atomic_fetch_sub_u32(&reefpg_shared->entry_waiters, 1);
	return entry;
}

ReefPgEntry *
reefpg_entry_acquire(const char *location, const char *name)
{
	ReefPgEntry *entry;

	reefpg_shmem_require();
	if (strlen(location) >= REEFPG_LOCATION_SIZE ||
		strlen(name) >= REEFPG_NAMESPACE_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("location or namespace is too long"),
				 errdetail("The limits are %d and %d bytes.",
						   REEFPG_LOCATION_SIZE - 1,
						   REEFPG_NAMESPACE_SIZE - 1)));
	entry = try_acquire_entry(location, name);
	if (entry == NULL)
		entry = wait_for_entry(location, name);
	if (entry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many namespaces are open"),
				 errhint("Increase reef.max_namespaces.")));
	return entry;
}

bool
reefpg_entry_reacquire(ReefPgEntry *entry, uint64 generation)
{
	bool		is_same;

	LWLockAcquire(reefpg_shared->table_lock, LW_SHARED);
	is_same = entry->in_use && entry->generation == generation;
	if (is_same)
		use_entry(entry);
	LWLockRelease(reefpg_shared->table_lock);
	return is_same;
}

bool
reefpg_entry_visit(ReefPgEntry *entry)
{
	bool		in_use;

	LWLockAcquire(reefpg_shared->table_lock, LW_SHARED);
	in_use = entry->in_use;
	if (in_use)
		pg_atomic_fetch_add_u32(&entry->users, 1);
	LWLockRelease(reefpg_shared->table_lock);
	return in_use;
}

void
reefpg_entry_release(ReefPgEntry *entry)
{
	Assert(pg_atomic_read_u32(&entry->users) > 0);
	pg_atomic_fetch_sub_u32(&entry->users, 1);
}

void
reefpg_workers_wake(void)
{
	for (int i = 0; i < reefpg_shared->worker_count; i++)
	{
		Latch	   *latch;

		SpinLockAcquire(&reefpg_shared->mutex);
		latch = reefpg_shared->workers[i].latch;
		SpinLockRelease(&reefpg_shared->mutex);
		/* A latch of a process slot: at worst somebody else wakes up. */
		if (latch != NULL)
			SetLatch(latch);
	}
}
