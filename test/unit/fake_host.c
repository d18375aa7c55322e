/*
 * fake_host.c
 *	  A ReefHost for tests.
 */
#include "fake_host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void misuse(const char *format, ...)
			REEF_PRINTF(1, 2) __attribute__((noreturn));

static void
misuse(const char *format, ...)
{
	va_list		args;

	fputs("fake host: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static bool
host_cancelled(void *arg)
{
	return ((FakeHost *) arg)->cancelled;
}

static int64_t
host_now_us(void *arg)
{
	FakeHost   *fake = arg;
	struct timespec now;

	if (fake->time_us != 0)
		return fake->time_us;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* SplitMix64 */
static void
host_random(void *arg, void *bytes, size_t size)
{
	FakeHost   *fake = arg;
	uint8_t    *out = bytes;

	for (size_t i = 0; i < size; i++)
	{
		uint64_t	z;

		fake->random_state += UINT64_C(0x9e3779b97f4a7c15);
		z = fake->random_state;
		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		out[i] = (uint8_t) (z >> 33);
	}
}

static void
host_log(void *arg, ReefLogLevel level, const char *line)
{
	FakeHost   *fake = arg;

	fake->log_lines++;
	if (level == REEF_LOG_WARNING)
		fake->log_warnings++;
	snprintf(fake->last_log, sizeof(fake->last_log), "%s", line);
	if (getenv("REEF_TEST_LOG") != NULL)
		fprintf(stderr, "log %d: %s\n", (int) level, line);
}

static ReefCode
host_wait(void *arg, struct pollfd *fds, int count, int64_t timeout_us)
{
	FakeHost   *fake = arg;
	int64_t		timeout_ms = (timeout_us + 999) / 1000;

	if (fake->locks_held > 0)
		misuse("wait with %d locks held", fake->locks_held);
	if (fake->cancelled)
		return REEF_CANCELLED;
	fake->waits++;
	if (count == 0)
		fake->waited_us += timeout_us;
	if (count == 0 && fake->time_us != 0)
		fake->time_us += timeout_us;
	else
	{
		if (timeout_us < 0)
			timeout_ms = -1;
		else if (timeout_ms > INT_MAX)
			timeout_ms = INT_MAX;
		if (poll(fds, (nfds_t) count, (int) timeout_ms) < 0 && errno != EINTR)
			misuse("poll: %s", strerror(errno));
	}
	return fake->cancelled ? REEF_CANCELLED : REEF_OK;
}

static void *
host_shared_alloc(void *arg, size_t size)
{
	FakeHost   *fake = arg;
	void	   *address;

	if (size == 0 || size % REEF_SHARED_PAGE_SIZE != 0)
		misuse("shared allocation of %zu bytes", size);
	if (size > fake->shared_budget - fake->shared_used)
		return NULL;
	address = aligned_alloc(REEF_SHARED_PAGE_SIZE, size);
	if (address == NULL)
		return NULL;
	memset(address, 0xa5, size);
	fake->shared_used += size;
	fake->shared_blocks++;
	return address;
}

static void
host_shared_free(void *arg, void *address, size_t size)
{
	FakeHost   *fake = arg;

	if (address == NULL || size % REEF_SHARED_PAGE_SIZE != 0 ||
		size > fake->shared_used || fake->shared_blocks == 0)
		misuse("shared free of %zu bytes at %p", size, address);
	memset(address, 0x5a, size);
	free(address);
	fake->shared_used -= size;
	fake->shared_blocks--;
}

/* Pages of the page cache stay there until somebody wants their place, so the
 * host keeps a list of them. */
typedef struct CacheBlock
{
	struct CacheBlock *next;
	void	   *address;
} CacheBlock;

static void *
host_cache_alloc(void *arg, size_t size)
{
	FakeHost   *fake = arg;
	CacheBlock *block;

	if (size == 0 || size % REEF_SHARED_PAGE_SIZE != 0)
		misuse("cache allocation of %zu bytes", size);
	if (fake->locks_held > 0)
		misuse("cache allocation with %d locks held", fake->locks_held);
	if (size > fake->cache_budget - fake->cache_used)
		return NULL;
	block = malloc(sizeof(*block));
	if (block == NULL)
		return NULL;
	block->address = aligned_alloc(REEF_SHARED_PAGE_SIZE, size);
	if (block->address == NULL)
		misuse("out of memory");
	memset(block->address, 0xa5, size);
	block->next = fake->cache_blocks;
	fake->cache_blocks = block;
	fake->cache_used += size;
	return block->address;
}

static void
host_cache_free(void *arg, void *address, size_t size)
{
	FakeHost   *fake = arg;
	CacheBlock *block = fake->cache_blocks;
	CacheBlock *before = NULL;

	while (block != NULL && block->address != address)
	{
		before = block;
		block = block->next;
	}
	if (block == NULL || size > fake->cache_used)
		misuse("cache free of %zu bytes at %p", size, address);
	if (before == NULL)
		fake->cache_blocks = block->next;
	else
		before->next = block->next;
	free(block->address);
	free(block);
	fake->cache_used -= size;
}

static void
check_lock_number(int lock_number)
{
	if (lock_number < 0 || lock_number >= FAKE_HOST_LOCKS)
		misuse("lock number %d", lock_number);
}

/* One process: whoever would have to wait would wait for ever. */
static void
host_lock(void *arg, int lock_number, bool exclusive)
{
	FakeHost   *fake = arg;

	check_lock_number(lock_number);
	if (fake->writer[lock_number] || fake->readers[lock_number] > 0)
		misuse("lock %d is taken twice", lock_number);
	if (exclusive)
		fake->writer[lock_number] = true;
	else
		fake->readers[lock_number]++;
	fake->locks_held++;
}

static void
host_unlock(void *arg, int lock_number)
{
	FakeHost   *fake = arg;

	check_lock_number(lock_number);
	if (fake->writer[lock_number])
		fake->writer[lock_number] = false;
	else if (fake->readers[lock_number] > 0)
		fake->readers[lock_number]--;
	else
		misuse("lock %d is released but not held", lock_number);
	fake->locks_held--;
}

static ReefCode
host_right_acquire(void *arg, int lock_number, ReefRight right,
				   int64_t timeout_us)
{
	FakeHost   *fake = arg;

	check_lock_number(lock_number);
	if (fake->locks_held > 0)
		misuse("right acquired with %d locks held", fake->locks_held);
	while (fake->rights[lock_number][right])
	{
		ReefCode	rc = REEF_UNAVAILABLE;

		if (fake->cancelled)
			return REEF_CANCELLED;
		if (fake->right_hook != NULL)
			rc = fake->right_hook(fake->right_hook_arg, lock_number, right,
								  timeout_us);
		if (rc != REEF_OK)
			return rc;
	}
	fake->rights[lock_number][right] = true;
	return REEF_OK;
}

static void
host_right_release(void *arg, int lock_number, ReefRight right)
{
	FakeHost   *fake = arg;

	check_lock_number(lock_number);
	if (!fake->rights[lock_number][right])
		misuse("right %d of %d is released but not held", (int) right,
			   lock_number);
	fake->rights[lock_number][right] = false;
}

/* ---- transactions ---- */

static ReefXidState
host_xid_state(void *arg, uint64_t full_xid)
{
	FakeHost   *fake = arg;

	for (int i = 0; i < fake->xid_count; i++)
	{
		if (fake->xids[i].full_xid == full_xid)
			return fake->xids[i].state;
	}
	misuse("nobody declared xid %llu", (unsigned long long) full_xid);
}

static bool
host_xid_visible(void *arg, void *snapshot, uint64_t full_xid, uint8_t *hint)
{
	const FakeSnapshot *fake_snapshot = snapshot;
	ReefXidState state = host_xid_state(arg, full_xid);

	if (state != REEF_XID_IN_PROGRESS)
		*hint = (uint8_t) state;
	if (fake_snapshot != NULL)
	{
		if (full_xid >= fake_snapshot->xmax)
			return false;
		for (int i = 0; i < fake_snapshot->in_progress_count; i++)
		{
			if (fake_snapshot->in_progress[i] == full_xid)
				return false;
		}
	}
	return state == REEF_XID_COMMITTED;
}

/* The lowest xid in progress now, or the one after the highest known. */
static uint64_t
lowest_in_progress(const FakeHost *fake)
{
	for (int i = 0; i < fake->xid_count; i++)
	{
		if (fake->xids[i].state == REEF_XID_IN_PROGRESS)
			return fake->xids[i].full_xid;
	}
	return fake->xid_count == 0 ? 1 :
		fake->xids[fake->xid_count - 1].full_xid + 1;
}

static bool
host_snapshot_covers(void *arg, void *snapshot, uint64_t full_xid)
{
	const FakeSnapshot *fake_snapshot = snapshot;

	if (fake_snapshot == NULL)
		return full_xid < lowest_in_progress(arg);
	for (int i = 0; i < fake_snapshot->in_progress_count; i++)
	{
		if (fake_snapshot->in_progress[i] <= full_xid)
			return false;
	}
	return full_xid < fake_snapshot->xmax;
}

static uint64_t
host_xid_horizon(void *arg)
{
	FakeHost   *fake = arg;

	return fake->horizon != 0 ? fake->horizon : lowest_in_progress(fake);
}

/* After a crash of our own lineage, what was in progress has aborted. */
static ReefXidState
host_coupling_state(void *arg, const ReefCoupling *coupling)
{
	FakeHost   *fake = arg;
	ReefXidState state;

	if (coupling->system_id != fake->system_id ||
		coupling->timeline != fake->timeline)
		return REEF_XID_COMMITTED;
	state = host_xid_state(fake, coupling->full_xid);
	return state == REEF_XID_IN_PROGRESS ? REEF_XID_ABORTED : state;
}

/* ---- for tests ---- */

FakeHost *
fake_host_new(void)
{
	static uint64_t hosts;
	FakeHost   *fake = calloc(1, sizeof(*fake));

	if (fake == NULL)
		misuse("out of memory");
	fake->host = (ReefHost) {
		.arg = fake,
		.cancelled = host_cancelled,
		.now_us = host_now_us,
		.random = host_random,
		.log = host_log,
		.wait = host_wait,
		.shared_alloc = host_shared_alloc,
		.shared_free = host_shared_free,
		.cache_alloc = host_cache_alloc,
		.cache_free = host_cache_free,
		.lock = host_lock,
		.unlock = host_unlock,
		.right_acquire = host_right_acquire,
		.right_release = host_right_release,
		.xid_visible = host_xid_visible,
		.snapshot_covers = host_snapshot_covers,
		.xid_state = host_xid_state,
		.xid_horizon = host_xid_horizon,
		.coupling_state = host_coupling_state
	};
	fake->random_state = ++hosts << 32;
	fake->shared_budget = SIZE_MAX;
	fake->system_id = 1;
	fake->timeline = 1;
	return fake;
}

void
fake_host_free_crashed(FakeHost *fake)
{
	CacheBlock *block;

	while ((block = fake->cache_blocks) != NULL)
	{
		fake->cache_blocks = block->next;
		free(block->address);
		free(block);
	}
	free(fake->xids);
	free(fake);
}

void
fake_host_free(FakeHost *fake)
{
	if (fake->shared_used > 0)
		misuse("%zu bytes of shared memory leaked in %d blocks",
			   fake->shared_used, fake->shared_blocks);
	if (fake->locks_held > 0)
		misuse("%d locks still held", fake->locks_held);
	for (int i = 0; i < FAKE_HOST_LOCKS; i++)
	{
		for (int right = 0; right < REEF_RIGHT_COUNT; right++)
		{
			if (fake->rights[i][right])
				misuse("right %d of %d still held", right, i);
		}
	}
	fake_host_free_crashed(fake);
}

void
fake_host_cancel(FakeHost *fake, bool cancelled)
{
	fake->cancelled = cancelled;
}

void
fake_host_seed(FakeHost *fake, uint64_t seed)
{
	fake->random_state = seed << 32;
}

void
fake_host_set_time(FakeHost *fake, int64_t now_us)
{
	fake->time_us = now_us;
}

void
fake_host_set_xid(FakeHost *fake, uint64_t full_xid, ReefXidState state)
{
	int			place = 0;

	while (place < fake->xid_count && fake->xids[place].full_xid < full_xid)
		place++;
	if (place == fake->xid_count || fake->xids[place].full_xid != full_xid)
	{
		fake->xids = reallocarray(fake->xids, (size_t) fake->xid_count + 1,
								  sizeof(FakeXid));
		if (fake->xids == NULL)
			misuse("out of memory");
		memmove(fake->xids + place + 1, fake->xids + place,
				(size_t) (fake->xid_count - place) * sizeof(FakeXid));
		fake->xid_count++;
		fake->xids[place].full_xid = full_xid;
	}
	fake->xids[place].state = state;
}

void
fake_host_set_horizon(FakeHost *fake, uint64_t full_xid)
{
	fake->horizon = full_xid;
}

size_t
fake_host_shared_used(const FakeHost *fake)
{
	return fake->shared_used;
}
