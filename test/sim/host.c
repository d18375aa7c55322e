/*
 * host.c
 *	  What the engine asks its host for, inside a simulated server.
 *
 * Misuse that would hang or crash a real server (a lock taken twice, a wait
 * with a lock held, a right released that is not held) is a violation.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

uint64_t
sim_random_next(uint64_t *state)
{
	uint64_t	z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static bool
host_cancelled(void *arg)
{
	SimCluster *cluster = arg;
	const SimTask *task = cluster->sim->current;

	return cluster->is_dead || (!cluster->is_direct && task->is_cancelled);
}

static int64_t
host_now_us(void *arg)
{
	SimCluster *cluster = arg;

	return cluster->sim->now_us + cluster->clock_us +
		cluster->bucket->ahead_us;
}

static void
host_random(void *arg, void *bytes, size_t size)
{
	SimCluster *cluster = arg;
	uint8_t    *out = bytes;

	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t) (sim_random_next(&cluster->random_state) >> 17);
}

static void
host_log(void *arg, ReefLogLevel level, const char *line)
{
	SimCluster *cluster = arg;

	if (level == REEF_LOG_WARNING)
	{
		cluster->warnings++;
		snprintf(cluster->sim->last_warning,
				 sizeof(cluster->sim->last_warning), "%s", line);
	}
	if (!cluster->is_direct && !cluster->is_dead)
		sim_trace(cluster->sim, "c%d logs: %s", cluster->number, line);
}

static ReefCode
host_wait(void *arg, struct pollfd *fds, int count, int64_t timeout_us)
{
	SimCluster *cluster = arg;
	Sim		   *sim = cluster->sim;
	SimTask    *task = sim->current;

	(void) fds;
	if (cluster->locks_held > 0 || count > 0)
		sim_violation(sim, "host", "a wait with %d locks held on %d sockets",
					  cluster->locks_held, count);
	if (cluster->is_dead)
		return REEF_CANCELLED;
	if (cluster->is_direct)
	{
		cluster->clock_us += timeout_us;
		return REEF_OK;
	}
	if (task->is_cancelled)
		return REEF_CANCELLED;
	task->state = SIM_TASK_SLEEPING;
	task->wake_us = sim->now_us + timeout_us;
	sim_task_yield(task);
	return host_cancelled(arg) ? REEF_CANCELLED : REEF_OK;
}

/* Blocks of one page are kept for the next who asks. */
typedef union SpareBlock
{
	union SpareBlock *next;
	char		bytes[REEF_SHARED_PAGE_SIZE];
} SpareBlock;

static SpareBlock *spare_blocks;

static void *
host_shared_alloc(void *arg, size_t size)
{
	SimCluster *cluster = arg;
	void	   *address = spare_blocks;

	if (size == 0 || size % REEF_SHARED_PAGE_SIZE != 0)
		sim_violation(cluster->sim, "host", "a shared allocation of %zu bytes",
					  size);
	cluster->shared_used += size;
	if (size == REEF_SHARED_PAGE_SIZE && address != NULL)
	{
		spare_blocks = spare_blocks->next;
		return address;
	}
	address = aligned_alloc(REEF_SHARED_PAGE_SIZE, size);
	if (address == NULL)
		abort();
	return address;
}

static void
host_shared_free(void *arg, void *address, size_t size)
{
	SimCluster *cluster = arg;
	SpareBlock *block = address;

	if (size > cluster->shared_used)
		sim_violation(cluster->sim, "host", "a shared free of %zu bytes",
					  size);
	cluster->shared_used -= size;
#if !defined(__SANITIZE_ADDRESS__)
	if (size == REEF_SHARED_PAGE_SIZE)
	{
		block->next = spare_blocks;
		spare_blocks = block;
		return;
	}
#endif
	free(block);
}

static void *
host_cache_alloc(void *arg, size_t size)
{
	(void) arg;
	(void) size;
	return NULL;
}

static void
host_cache_free(void *arg, void *address, size_t size)
{
	SimCluster *cluster = arg;

	(void) address;
	sim_violation(cluster->sim, "host", "a cache free of %zu bytes", size);
}

/* Nobody yields with a lock held, so whoever has to wait would wait for ever. */
static void
host_lock(void *arg, int lock_number, bool exclusive)
{
	SimCluster *cluster = arg;

	if (lock_number < 1 || lock_number >= SIM_LOCKS ||
		cluster->locked[lock_number] != 0)
		sim_violation(cluster->sim, "host", "lock %d is taken twice",
					  lock_number);
	cluster->locked[lock_number] = exclusive ? -1 : 1;
	cluster->locks_held++;
}

static void
host_unlock(void *arg, int lock_number)
{
	SimCluster *cluster = arg;

	if (cluster->locked[lock_number] == 0)
		sim_violation(cluster->sim, "host", "lock %d is not held",
					  lock_number);
	cluster->locked[lock_number] = 0;
	cluster->locks_held--;
}

static ReefCode
host_right_acquire(void *arg, int lock_number, ReefRight right,
				   int64_t timeout_us)
{
	SimCluster *cluster = arg;
	Sim		   *sim = cluster->sim;
	SimTask    *task = sim->current;
	SimTask   **holder = &cluster->rights[lock_number][right];
	int64_t		deadline_us = sim->now_us + timeout_us;

	if (cluster->locks_held > 0)
		sim_violation(sim, "host", "a right is acquired with a lock held");
	if (cluster->is_direct)
	{
		if (cluster->direct_rights[lock_number][right])
			sim_violation(sim, "host", "right %d is acquired twice",
						  (int) right);
		cluster->direct_rights[lock_number][right] = true;
		return REEF_OK;
	}
	if (*holder == task)
		sim_violation(sim, "host", "right %d is acquired twice", (int) right);
	while (*holder != NULL)
	{
		if (host_cancelled(arg))
			return REEF_CANCELLED;
		if (sim->now_us >= deadline_us)
			return REEF_UNAVAILABLE;
		task->state = SIM_TASK_BLOCKED;
		task->lock_number = lock_number;
		task->right = right;
		task->wake_us = deadline_us;
		sim_task_yield(task);
	}
	*holder = task;
	return REEF_OK;
}

static void
host_right_release(void *arg, int lock_number, ReefRight right)
{
	SimCluster *cluster = arg;
	SimTask   **holder = &cluster->rights[lock_number][right];

	if (cluster->is_direct)
	{
		if (!cluster->direct_rights[lock_number][right])
			sim_violation(cluster->sim, "host", "right %d is not held",
						  (int) right);
		cluster->direct_rights[lock_number][right] = false;
		return;
	}
	if (*holder != cluster->sim->current)
		sim_violation(cluster->sim, "host", "right %d is not held",
					  (int) right);
	*holder = NULL;
}

/* ---- transactions ---- */

static ReefXidState
host_xid_state(void *arg, uint64_t full_xid)
{
	const Sim  *sim = ((SimCluster *) arg)->sim;

	return sim->xids[full_xid - sim->xid_first].state;
}

static bool
host_xid_visible(void *arg, void *snapshot, uint64_t full_xid, uint8_t *hint)
{
	const SimSnapshot *taken = snapshot;
	ReefXidState state = host_xid_state(arg, full_xid);

	if (state != REEF_XID_IN_PROGRESS)
		*hint = (uint8_t) state;
	if (taken != NULL)
	{
		if (full_xid >= taken->xmax)
			return false;
		for (int i = 0; i < taken->in_progress_count; i++)
		{
			if (taken->in_progress[i] == full_xid)
				return false;
		}
	}
	return state == REEF_XID_COMMITTED;
}

void
sim_snapshot_take(SimCluster *cluster, SimSnapshot *snapshot)
{
	const Sim  *sim = cluster->sim;

	snapshot->xmax = sim->xid_next;
	snapshot->in_progress_count = 0;
	for (uint64_t xid = sim->xid_first; xid < sim->xid_next; xid++)
	{
		const SimXid *entry = &sim->xids[xid - sim->xid_first];

		if (entry->cluster == cluster->number &&
			entry->state == REEF_XID_IN_PROGRESS &&
			snapshot->in_progress_count < SIM_TASKS_MAX)
			snapshot->in_progress[snapshot->in_progress_count++] = xid;
	}
}

static uint64_t
oldest_of(const SimSnapshot *snapshot)
{
	return snapshot->in_progress_count > 0 ? snapshot->in_progress[0] :
		snapshot->xmax;
}

static bool
host_snapshot_covers(void *arg, void *snapshot, uint64_t full_xid)
{
	SimSnapshot now;

	if (snapshot == NULL)
	{
		sim_snapshot_take(arg, &now);
		snapshot = &now;
	}
	return full_xid < oldest_of(snapshot);
}

static uint64_t
host_xid_horizon(void *arg)
{
	SimCluster *cluster = arg;
	SimSnapshot now;
	uint64_t	oldest;

	sim_snapshot_take(cluster, &now);
	oldest = oldest_of(&now);
	for (int i = 0; i < SIM_PROCESSES; i++)
	{
		if (cluster->snapshots[i] != NULL &&
			oldest > oldest_of(cluster->snapshots[i]))
			oldest = oldest_of(cluster->snapshots[i]);
	}
	return oldest;
}

/* A crash has aborted what was in progress; what another lineage did, nobody
 * knows. */
static ReefXidState
host_coupling_state(void *arg, const ReefCoupling *coupling)
{
	const SimCluster *cluster = arg;

	if (coupling->system_id != (uint64_t) cluster->lineage)
		return REEF_XID_COMMITTED;
	return host_xid_state(arg, coupling->full_xid);
}

void
sim_host_init(SimCluster *cluster)
{
	cluster->host = (ReefHost) {
		.arg = cluster,
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
}
