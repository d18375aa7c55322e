/*
 * enumerate.c
 *	  Every operation stopped at every call to the store.
 *
 * A case begins with a store that has something for every operation to do
 * (folded, compacted, collectable, orphaned, unfolded), and server A, which
 * is its writer.
 *
 *	  single	A runs one operation, and one of its calls fails in one of the
 *				ways that there are.  Then B does its life's work there, and A,
 *				if it is still alive, goes on.
 *	  pairs		A stops at a call, before or after it is applied.  B, which
 *				knows nothing, runs an operation and dies at one of its calls,
 *				or ends it.  Then A goes on, or dies and its request arrives
 *				later.
 *
 * Each state on the way is checked.  The number of calls of an operation is
 * found by running it once without trouble.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

#define RUN_MAX 100000

typedef struct Operation
{
	const char *name;
	SimTaskMain main;
	SimPlan		plan;			/* of a transaction */
	bool		is_transaction;
} Operation;

static const Operation operations[] = {
	{"insert", sim_do_transaction, SIM_PLAN_INSERT, true},
	{"update", sim_do_transaction, SIM_PLAN_UPDATE, true},
	{"delete", sim_do_transaction, SIM_PLAN_DELETE, true},
	{"attach", sim_do_transaction, SIM_PLAN_BULK, true},
	{"fold", sim_do_fold, SIM_PLAN_ANY, false},
	{"compact", sim_do_compact, SIM_PLAN_ANY, false},
	{"compact fully", sim_do_compact_fully, SIM_PLAN_ANY, false},
	{"collect", sim_do_collect, SIM_PLAN_ANY, false},
	{"take over", sim_do_take_over, SIM_PLAN_ANY, false},
	{"rebuild", sim_do_rebuild, SIM_PLAN_ANY, false},
	{"repair", sim_do_repair, SIM_PLAN_ANY, false},
	{"serve a year", NULL, SIM_PLAN_ANY, false}
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))
/* Only B does it: everything, and a year passes in between. */
#define SERVE (OPERATION_COUNT - 1)

/* ---- running ---- */

/* Until the task has ended, its server is dead, or it stands at a call. */
static void
run_until(Sim *sim, SimTask *task, uint64_t call, SimPoint point)
{
	SimCluster *cluster = task->cluster;
	int			rounds = 0;

	while (task->state != SIM_TASK_NONE && !cluster->is_dead &&
		   !(task->calls == call && task->point == point))
	{
		sim_pass_time(sim);
		sim_task_resume(task);
		sim_check(sim);
		if (++rounds > RUN_MAX)
			sim_violation(sim, "host", "%s does not come to its end",
						  task->name);
	}
}

static SimTask *
start(Sim *sim, SimCluster *cluster, const Operation *operation)
{
	int			argument = 0;

	sim->plan = operation->plan;
	if (operation->is_transaction)
		argument = sim_txn_new(sim, 0);
	return sim_task_start(cluster, operation->name, operation->main, argument);
}

/* From beginning to end, without trouble; how many calls it took. */
static uint64_t
run(Sim *sim, SimCluster *cluster, int index)
{
	SimTask    *task = start(sim, cluster, &operations[index]);

	run_until(sim, task, UINT64_MAX, SIM_POINT_NONE);
	return task->calls;
}

static SimFault
choose_planned(Sim *sim, SimTask *task, SimCall call)
{
	(void) call;
	if (task == sim->fault_task && task->calls == sim->fault_call)
		return sim->fault;
	return SIM_FAULT_NONE;
}

enum
{
	INSERT, UPDATE, DELETE, ATTACH, FOLD, COMPACT, COMPACT_FULLY, COLLECT
};

/* What comes between one fold and the next, and a year. */
static void
serve(Sim *sim, SimCluster *cluster)
{
	run(sim, cluster, INSERT);
	run(sim, cluster, FOLD);
	run(sim, cluster, UPDATE);
	run(sim, cluster, FOLD);
	run(sim, cluster, COMPACT_FULLY);
	sim->now_us += SIM_YEAR_US;
	run(sim, cluster, COLLECT);
	run(sim, cluster, UPDATE);
}

static SimCluster *
open_server(Sim *sim, int place)
{
	SimCluster *cluster = sim_cluster_open(sim, sim->bucket,
										   ++sim->lineage_total, false);

	sim->clusters[place] = cluster;
	return cluster;
}

/* A store with something to do, and its writer. */
static Sim *
prepare(SimCounts *counts, bool is_traced, bool is_new)
{
	Sim		   *sim = sim_new(counts);
	SimCluster *cluster;

	sim->choose_fault = choose_planned;
	sim->deep_percent = 5;
	if (!is_new)
	{
		cluster = open_server(sim, 0);
		run(sim, cluster, INSERT);
		run(sim, cluster, UPDATE);
		run(sim, cluster, FOLD);
		run(sim, cluster, UPDATE);
		run(sim, cluster, FOLD);
		run(sim, cluster, COMPACT_FULLY);
		sim->now_us += SIM_GRACE_US * 2;
		run(sim, cluster, DELETE);
		run(sim, cluster, FOLD);
		run(sim, cluster, INSERT);
		run(sim, cluster, FOLD);
		run(sim, cluster, UPDATE);
		sim_bucket_put(sim->bucket,
					   "sim/a/segment/018bcfe5-6817-7287-ac82-0d6977ceb7df.parquet",
					   reef_slice_of_string("not a segment"), sim->now_us);
		sim->now_us += SIM_GRACE_US * 2;
	}
	sim_check(sim);
	sim->is_traced = is_traced;
	return sim;
}

/* Everybody who is left goes on, and everything arrives. */
static void
finish(Sim *sim)
{
	for (int i = 0; i < SIM_CLUSTERS_MAX; i++)
	{
		SimCluster *cluster = sim->clusters[i];

		if (cluster != NULL && cluster->is_dead)
			sim_cluster_crash(cluster);
	}
	sim_check(sim);
	serve(sim, open_server(sim, 2));
	while (sim->ghost_count > 0)
	{
		sim_ghost_deliver(sim, sim->bucket, 0);
		sim_ghost_forget(sim, 0);
		sim_check(sim);
	}
	if (sim->clusters[0] != NULL)
	{
		run(sim, sim->clusters[0], UPDATE);
		run(sim, sim->clusters[0], FOLD);
	}
	run(sim, sim->clusters[2], UPDATE);
	sim_check_thoroughly(sim);
	sim->counts->histories++;
	sim_free(sim);
}

/* ---- single ---- */

/* Whose case is it? */
static bool
is_mine(const SimShare *share, uint64_t *number, int64_t only)
{
	uint64_t	mine = (*number)++;

	*share->current = mine;
	if (only >= 0)
		return mine == (uint64_t) only;
	return mine % share->stride == share->first;
}

static uint64_t
count_calls(SimCounts *counts, bool is_new, int index, bool is_cold)
{
	SimCounts	ignored = {0};
	Sim		   *sim = prepare(&ignored, false, is_new);
	SimCluster *cluster = sim->clusters[0];
	uint64_t	calls;

	(void) counts;
	if (cluster == NULL || is_cold)
		cluster = open_server(sim, 1);
	calls = run(sim, cluster, index);
	sim_free(sim);
	return calls;
}

static void
run_single(SimCounts *counts, bool is_traced, bool is_new, int index,
		   bool is_cold, uint64_t call, SimFault fault)
{
	Sim		   *sim = prepare(counts, is_traced, is_new);
	SimCluster *cluster = sim->clusters[0];
	SimTask    *task;

	if (cluster == NULL || is_cold)
		cluster = open_server(sim, 1);
	task = start(sim, cluster, &operations[index]);
	sim->fault_task = task;
	sim->fault_call = call;
	sim->fault = fault;
	sim_trace(sim, "%s, and its call %llu will %s", operations[index].name,
			  (unsigned long long) call, sim_fault_name(fault));
	run_until(sim, task, UINT64_MAX, SIM_POINT_NONE);
	sim->fault_task = NULL;
	finish(sim);
}

static bool
is_over(const SimShare *share)
{
	return sim_seconds() >= share->deadline;
}

void
sim_enumerate_single(const SimShare *share, SimCounts *counts, bool is_traced,
					 int64_t only)
{
	uint64_t	number = 0;

	/* a new table, a known one by its writer, and by somebody who is new */
	for (int kind = 0; kind < 3; kind++)
	{
		for (int index = 0; index < (int) SERVE; index++)
		{
			uint64_t	calls = count_calls(counts, kind == 0, index,
											kind == 2);

			for (uint64_t call = 1; call <= calls; call++)
			{
				for (int fault = 1; fault < SIM_FAULT_COUNT; fault++)
				{
					if (is_over(share))
						return;
					if (is_mine(share, &number, only))
						run_single(counts, is_traced, kind == 0, index,
								   kind == 2, call, (SimFault) fault);
				}
			}
		}
	}
}

/* ---- pairs ---- */

typedef struct Pair
{
	int			a;
	int			b;
	uint64_t	call_a;
	SimPoint	point_a;
	uint64_t	call_b;			/* at which it dies; one more than there are: it
								 * does not */
	bool		a_dies;
} Pair;

static void
run_pair(SimCounts *counts, bool is_traced, const Pair *pair)
{
	Sim		   *sim = prepare(counts, is_traced, false);
	SimCluster *b;
	SimTask    *task_a = start(sim, sim->clusters[0], &operations[pair->a]);

	sim_trace(sim, "%s stops %s call %llu, then %s until call %llu, then A %s",
			  operations[pair->a].name,
			  pair->point_a == SIM_POINT_BEFORE ? "before" : "after",
			  (unsigned long long) pair->call_a, operations[pair->b].name,
			  (unsigned long long) pair->call_b,
			  pair->a_dies ? "dies" : "goes on");
	run_until(sim, task_a, pair->call_a, pair->point_a);
	b = open_server(sim, 1);
	if (pair->b == (int) SERVE)
		serve(sim, b);
	else
	{
		SimTask    *task_b = start(sim, b, &operations[pair->b]);

		run_until(sim, task_b, pair->call_b, SIM_POINT_BEFORE);
		if (task_b->state != SIM_TASK_NONE)
		{
			sim_ghost_of_task(task_b);
			sim_cluster_crash(b);
		}
	}
	sim->plan = operations[pair->a].plan;
	if (pair->a_dies)
	{
		if (task_a->state != SIM_TASK_NONE)
			sim_ghost_of_task(task_a);
		sim_cluster_crash(sim->clusters[0]);
	}
	else
		run_until(sim, task_a, UINT64_MAX, SIM_POINT_NONE);
	finish(sim);
}

static void
enumerate_calls(const SimShare *share, SimCounts *counts, bool is_traced,
				int64_t only, uint64_t *number, Pair *pair, uint64_t calls_a,
				uint64_t calls_b)
{
	for (pair->call_a = 1; pair->call_a <= calls_a; pair->call_a++)
	{
		for (int point = 0; point < 4; point++)
		{
			pair->point_a = point % 2 == 0 ? SIM_POINT_BEFORE :
				SIM_POINT_AFTER;
			pair->a_dies = point / 2 == 1;
			for (pair->call_b = 1; pair->call_b <= calls_b + 1; pair->call_b++)
			{
				if (is_over(share))
					return;
				if (is_mine(share, number, only))
					run_pair(counts, is_traced, pair);
			}
		}
	}
}

void
sim_enumerate_pairs(const SimShare *share, SimCounts *counts, bool is_traced,
					int64_t only)
{
	uint64_t	number = 0;

	for (int a = 0; a < (int) SERVE; a++)
	{
		uint64_t	calls_a = count_calls(counts, false, a, false);

		for (int b = 0; b <= (int) SERVE; b++)
		{
			Pair		pair = {.a = a, .b = b};
			uint64_t	calls_b = b == (int) SERVE ? 0 :
				count_calls(counts, false, b, true);

			enumerate_calls(share, counts, is_traced, only, &number, &pair,
							calls_a, calls_b);
		}
	}
}
