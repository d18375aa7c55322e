/*
 * random.c
 *	  Random histories, and what all histories have in common.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

/* Resumptions until everything must have come to its end. */
#define SETTLE_MAX 100000

char	   *sim_verdict;

double
sim_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

bool
sim_share_is_over(const SimShare *share, const SimCounts *counts)
{
	return sim_seconds() >= share->deadline ||
		(share->states_max > 0 && counts->states >= share->states_max);
}

/* ---- the world ---- */

Sim *
sim_new(SimCounts *counts)
{
	Sim		   *sim = calloc(1, sizeof(*sim));

	if (sim == NULL)
		abort();
	sim->counts = counts;
	sim->now_us = INT64_C(1700000000) * 1000000;
	sim->bucket = sim_bucket_new();
	sim->xid_first = 100;
	sim->xid_next = 100;
	sim->trace_hash = UINT64_C(0xcbf29ce484222325);
	sim->checked_version = UINT64_MAX;
	sim->deep_percent = 5;
	sim->bulk_chance = 20;
	sim->job_chance = 1;
	sim->check_random = 1;
	return sim;
}

void
sim_free(Sim *sim)
{
	for (int i = 0; i < SIM_CLUSTERS_MAX; i++)
	{
		if (sim->clusters[i] != NULL)
			sim_cluster_crash(sim->clusters[i]);
	}
	while (sim->ghost_count > 0)
		sim_ghost_forget(sim, 0);
	for (int i = 0; i < sim->refused_count; i++)
	{
		reef_buf_release(&sim->refused[i].bytes);
		free(sim->refused[i].key);
	}
	sim_bucket_free(sim->bucket);
	free(sim->cluster_lineages);
	free(sim->xids);
	free(sim);
}

void
sim_trace(Sim *sim, const char *format, ...)
{
	char		line[1200];
	va_list		args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (const char *p = line; *p != '\0'; p++)
		sim->trace_hash = (sim->trace_hash ^ (uint8_t) *p) *
			UINT64_C(0x100000001b3);
	if (sim->is_traced)
		printf("%10lld %s\n", (long long) (sim->now_us / 1000 %
										   INT64_C(10000000000)), line);
}

void
sim_violation(Sim *sim, const char *invariant, const char *format, ...)
{
	char		line[SIM_VERDICT_SIZE];
	va_list		args;
	int			size;

	size = snprintf(line, sizeof(line), "[%s] ", invariant);
	va_start(args, format);
	vsnprintf(line + size, sizeof(line) - (size_t) size, format, args);
	va_end(args);
	if (sim->is_traced)
		printf("VIOLATION %s\n", line);
	fflush(stdout);
	if (sim_verdict != NULL)
		memcpy(sim_verdict, line, sizeof(line));
	_exit(3);
}

uint32_t
sim_choose(Sim *sim, uint32_t count)
{
	uint32_t	choice = 0;

	if (sim->tape_used == sim->tape_size)
		return 0;
	if (sim->is_replay)
		choice = sim->tape[sim->tape_used++] % count;
	else
	{
		choice = (uint32_t) (sim_random_next(&sim->seed_state) % count);
		sim->tape[sim->tape_used++] = choice;
	}
	if (sim->tape_seen != NULL)
		*sim->tape_seen = sim->tape_used;
	return choice;
}

bool
sim_chance(Sim *sim, uint32_t percent)
{
	return sim_choose(sim, 100) >= 100 - percent;
}

/* ---- going on ---- */

/* If all sleep, time passes until the first one wakes. */
void
sim_pass_time(Sim *sim)
{
	int64_t		wake_us = INT64_MAX;

	for (int i = 0; i < SIM_TASKS_MAX; i++)
	{
		const SimTask *task = &sim->tasks[i];

		if (task->state == SIM_TASK_NONE || task->is_frozen)
			continue;
		if (sim_task_is_runnable(task))
			return;
		if (wake_us > task->wake_us)
			wake_us = task->wake_us;
	}
	if (wake_us != INT64_MAX)
		sim->now_us = wake_us;
}

/* What was in the middle of a call when its server died may still arrive. */
static void
crash(Sim *sim, int place)
{
	SimCluster *cluster = sim->clusters[place];

	for (int i = 0; i < SIM_TASKS_MAX; i++)
	{
		SimTask    *task = &sim->tasks[i];

		if (task->state != SIM_TASK_NONE && task->cluster == cluster &&
			task->point == SIM_POINT_BEFORE && sim_chance(sim, 50))
			sim_ghost_of_task(task);
	}
	sim_cluster_crash(cluster);
}

static void
restart(Sim *sim, int place, int lineage)
{
	/* the same server again, or another one in its place */
	if (lineage == 0 || sim_choose(sim, 3) == 2)
		lineage = ++sim->lineage_total;
	sim->clusters[place] = sim_cluster_open(sim, sim->bucket, lineage, false);
}

static void
bury_the_dead(Sim *sim)
{
	for (int i = 0; i < SIM_CLUSTERS_MAX; i++)
	{
		SimCluster *cluster = sim->clusters[i];

		if (cluster != NULL && cluster->is_dead)
		{
			int			lineage = cluster->lineage;

			crash(sim, i);
			restart(sim, i, lineage);
		}
	}
}

static SimFault
choose_fault(Sim *sim, SimTask *task, SimCall call)
{
	static const SimFault faults[] = {
		SIM_FAULT_LOSE_RESPONSE, SIM_FAULT_DELAY, SIM_FAULT_REFUSE,
		SIM_FAULT_LOSE_REQUEST, SIM_FAULT_DUPLICATE, SIM_FAULT_STALL,
		SIM_FAULT_CRASH_AFTER, SIM_FAULT_CRASH_BEFORE
	};

	(void) task;
	(void) call;
	if (sim->now_us < sim->storm_until_us)
		return SIM_FAULT_REFUSE;
	if (sim->fault_permille == 0 ||
		sim_choose(sim, 1000) < (uint32_t) (1000 - sim->fault_permille))
		return SIM_FAULT_NONE;
	return faults[sim_choose(sim, sizeof(faults) / sizeof(faults[0]))];
}

/* ---- actions ---- */

static SimTask *
choose_task(Sim *sim, SimTask *last, bool (*is_fit) (const SimTask *))
{
	SimTask    *fit[SIM_TASKS_MAX];
	uint32_t	count = 0;

	for (int i = 0; i < SIM_TASKS_MAX; i++)
	{
		SimTask    *task = &sim->tasks[i];

		if (task->state != SIM_TASK_NONE && is_fit(task))
			fit[count++] = task;
	}
	if (count == 0)
		return NULL;
	/* mostly on with the last one, so that some get far while others wait */
	if (last != NULL && last->state != SIM_TASK_NONE && is_fit(last) &&
		sim_choose(sim, 4) < 3)
		return last;
	return fit[sim_choose(sim, count)];
}

static bool
can_run(const SimTask *task)
{
	return !task->is_frozen && sim_task_is_runnable(task);
}

static bool
is_any(const SimTask *task)
{
	(void) task;
	return true;
}

static int
choose_cluster(Sim *sim)
{
	int			count = 0;

	while (count < SIM_CLUSTERS_MAX && sim->clusters[count] != NULL)
		count++;
	return (int) sim_choose(sim, (uint32_t) count);
}

static void
start_something(Sim *sim)
{
	SimCluster *cluster = sim->clusters[choose_cluster(sim)];
	uint32_t	choice = sim_choose(sim, 20);
	int			ns = sim->has_second && sim_choose(sim, 4) == 3 ? 1 : 0;

	if (choice < 11)
	{
		bool		has_room = false;

		for (int i = 0; i < SIM_PROCESSES; i++)
			has_room |= !cluster->processes[i].is_busy;
		if (has_room)
		{
			int			number = sim_txn_new(sim, ns);

			if (number >= 0)
				(void) sim_task_start(cluster, "transact", sim_do_transaction,
									  number);
		}
	}
	else
		sim_start_job(cluster, ns);
}

static void
let_time_pass(Sim *sim)
{
	static const int64_t lengths[] = {
		10000, 1000000, SIM_GRACE_US / 3, SIM_GRACE_US, SIM_GRACE_US * 3,
		SIM_YEAR_US
	};
	int64_t		length = lengths[sim_choose(sim, 6)];

	sim->now_us += length;
	sim_trace(sim, "%lld ms pass", (long long) length / 1000);
}

/* A clock that has nothing to do with the store's, and may jump back. */
static void
set_clock(Sim *sim)
{
	SimCluster *cluster = sim->clusters[choose_cluster(sim)];
	int64_t		length = INT64_C(1000000) << (3 * sim_choose(sim, 8));

	cluster->clock_us = sim_choose(sim, 2) == 0 ? length : -length;
	sim_trace(sim, "c%d's clock is %lld ms ahead", cluster->number,
			  (long long) cluster->clock_us / 1000);
}

static void
freeze(Sim *sim)
{
	SimTask    *task = choose_task(sim, NULL, is_any);

	if (task == NULL)
		return;
	task->is_frozen = !task->is_frozen;
	sim_trace(sim, "c%d/%d %s", task->cluster->number, task->number,
			  task->is_frozen ? "sleeps" : "wakes up");
}

static void
deliver_something(Sim *sim)
{
	int			index;

	if (sim->ghost_count == 0)
		return;
	index = (int) sim_choose(sim, (uint32_t) sim->ghost_count);
	sim_ghost_deliver(sim, sim->bucket, index);
	if (sim_choose(sim, 4) < 3)
		sim_ghost_forget(sim, index);
}

static void
cancel(Sim *sim)
{
	SimTask    *task = choose_task(sim, NULL, is_any);

	if (task == NULL)
		return;
	task->is_cancelled = true;
	sim_trace(sim, "c%d/%d is cancelled", task->cluster->number, task->number);
}

/* While all others stand still, a new server does a year's work and goes. */
static void
let_a_stranger_serve(Sim *sim)
{
	int			permille = sim->fault_permille;
	SimPlan		plan = sim->plan;
	int			place = SIM_CLUSTERS_MAX - 1;

	if (sim->clusters[place] != NULL)
		return;
	for (int i = 0; i < SIM_TASKS_MAX; i++)
		sim->tasks[i].is_frozen = true;
	sim->fault_permille = 0;
	sim->storm_until_us = 0;
	sim->clusters[place] = sim_cluster_open(sim, sim->bucket,
											++sim->lineage_total, false);
	sim_serve(sim->clusters[place]);
	sim_cluster_crash(sim->clusters[place]);
	sim->fault_permille = permille;
	sim->plan = plan;
	for (int i = 0; i < SIM_TASKS_MAX; i++)
		sim->tasks[i].is_frozen = false;
}

static void
disturb(Sim *sim)
{
	uint32_t	choice = sim_choose(sim, 20);

	if (choice < 7)
		freeze(sim);
	else if (choice < 12)
		deliver_something(sim);
	else if (choice < 15)
		let_time_pass(sim);
	else if (choice == 15)
		cancel(sim);
	else if (choice == 16)
		set_clock(sim);
	else if (choice == 17 && sim->fault_permille > 0)
		sim->storm_until_us = sim->now_us + 20000;
	else if (choice == 19)
		let_a_stranger_serve(sim);
	else if (choice == 18 && sim_choose(sim, 2) == 1)
		sim->clusters[choose_cluster(sim)]->is_dead = true;
}

static void
step(Sim *sim, SimTask **last)
{
	uint32_t	choice = sim_choose(sim, 100);

	if (choice < 82)
	{
		SimTask    *task = choose_task(sim, *last, can_run);

		if (task == NULL)
		{
			if (sim_choose(sim, 2) == 0)
				start_something(sim);
			sim_pass_time(sim);
			return;
		}
		*last = task;
		sim_task_resume(task);
	}
	else if (choice < 94)
		start_something(sim);
	else
		disturb(sim);
}

static void
report_unending(Sim *sim)
{
	for (int i = 0; i < SIM_TASKS_MAX; i++)
	{
		const SimTask *task = &sim->tasks[i];

		if (task->state != SIM_TASK_NONE)
			sim_trace(sim, "c%d/%d is still at its %s: state %d, right %d of %d, %lld us to wait%s",
					  task->cluster->number, i, task->name, (int) task->state,
					  (int) task->right, task->lock_number,
					  (long long) (task->wake_us - sim->now_us),
					  task->is_cancelled ? ", cancelled" : "");
	}
	sim_violation(sim, "host", "a history does not come to its end");
}

/* No more trouble: everybody comes to an end, and everything arrives. */
static void
settle(Sim *sim)
{
	int			rounds = 0;
	bool		is_running = true;

	sim->fault_permille = 0;
	sim->storm_until_us = 0;
	for (int i = 0; i < SIM_TASKS_MAX; i++)
		sim->tasks[i].is_frozen = false;
	while (is_running)
	{
		is_running = false;
		for (int i = 0; i < SIM_TASKS_MAX; i++)
		{
			if (sim->tasks[i].state == SIM_TASK_NONE)
				continue;
			is_running = true;
			sim_pass_time(sim);
			if (!can_run(&sim->tasks[i]))
				continue;
			sim_task_resume(&sim->tasks[i]);
			sim_check(sim);
		}
		if (++rounds > SETTLE_MAX)
			report_unending(sim);
	}
	while (sim->ghost_count > 0)
	{
		sim_ghost_deliver(sim, sim->bucket, 0);
		sim_ghost_forget(sim, 0);
		sim_check(sim);
	}
	sim_check_thoroughly(sim);
}

void
sim_random_history(Sim *sim)
{
	static const int permilles[] = {0, 5, 20, 80};
	uint32_t	clusters = 1 + sim_choose(sim, 3);
	uint32_t	steps = 100 + 100 * sim_choose(sim, 6);
	SimTask    *last = NULL;

	sim->fault_permille = permilles[sim_choose(sim, 4)];
	sim->bulk_chance = sim_choose(sim, 5) == 4 ? 3 : 20;
	sim->job_chance = 1 + sim_choose(sim, 4);
	sim->has_second = sim_choose(sim, 4) == 3;
	sim->choose_fault = choose_fault;
	for (uint32_t i = 0; i < clusters; i++)
		restart(sim, (int) i, 0);
	for (uint32_t i = 0; i < steps; i++)
	{
		if (sim->is_replay && sim->tape_used == sim->tape_size)
			break;
		step(sim, &last);
		bury_the_dead(sim);
		sim_check(sim);
	}
	settle(sim);
	sim->counts->histories++;
}
