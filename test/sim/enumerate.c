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
 *	  pairs		A stops at a call, before or after it is applied.  B runs an
 *				operation and dies at one of its calls, or ends it.  Then A
 *				goes on, or gets no answer, or dies and its request arrives
 *				later.
 *	  years		The same, but B does a year's work in between, so that what A
 *				knew is folded, compacted and collected; and perhaps a fence
 *				that a third server sent before all this arrives just then.
 *
 * B is a server that knows nothing; or A is, and B the writer; or they are
 * processes of one server.
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
	enum
	{
		JOB, TRANSACTION, ALONE /* a job while others do nothing */
	}			kind;
} Operation;

static const Operation operations[] = {
	{"insert", sim_do_transaction, SIM_PLAN_INSERT, TRANSACTION},
	{"update", sim_do_transaction, SIM_PLAN_UPDATE, TRANSACTION},
	{"delete", sim_do_transaction, SIM_PLAN_DELETE, TRANSACTION},
	{"attach", sim_do_transaction, SIM_PLAN_BULK, TRANSACTION},
	{"fold", sim_do_fold, SIM_PLAN_ANY, JOB},
	{"compact", sim_do_compact, SIM_PLAN_ANY, JOB},
	{"compact fully", sim_do_compact_fully, SIM_PLAN_ANY, JOB},
	{"collect", sim_do_collect, SIM_PLAN_ANY, JOB},
	{"take over", sim_do_take_over, SIM_PLAN_ANY, JOB},
	{"rebuild", sim_do_rebuild, SIM_PLAN_ANY, ALONE},
	{"repair", sim_do_repair, SIM_PLAN_ANY, ALONE},
	{"read", sim_do_read, SIM_PLAN_ANY, JOB},
	{"serve a year", NULL, SIM_PLAN_ANY, JOB},
	{"collect after a year", NULL, SIM_PLAN_ANY, JOB}
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))
/* Only B does these. */
#define SERVE ((int) OPERATION_COUNT - 2)
#define COLLECT_LATE ((int) OPERATION_COUNT - 1)

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
		if (!sim_task_is_runnable(task) && task->wake_us > sim->now_us)
			sim->now_us = task->wake_us;
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
	if (operation->kind == TRANSACTION)
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
	INSERT, UPDATE, DELETE, ATTACH, FOLD, COMPACT, COMPACT_FULLY, COLLECT,
	TAKE_OVER
};

void
sim_serve(SimCluster *cluster)
{
	Sim		   *sim = cluster->sim;

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
		for (int i = 0; i < 4; i++)
		{
			run(sim, cluster, i % 2 == 0 ? DELETE : INSERT);
			run(sim, cluster, FOLD);
		}
		run(sim, cluster, COMPACT);
		run(sim, cluster, UPDATE);
		run(sim, cluster, FOLD);
		run(sim, cluster, DELETE);
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
	sim_serve(open_server(sim, 2));
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
		for (int index = 0; index < SERVE; index++)
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

typedef enum Roles
{
	A_WRITES,					/* B is new */
	B_WRITES,					/* A is new */
	ONE_SERVER,
	ROLES
} Roles;

typedef enum EndOfA
{
	GOES_ON,
	GETS_NO_ANSWER,
	DIES,
	ENDS_OF_A
} EndOfA;

typedef struct Pair
{
	int			a;
	int			b;
	Roles		roles;
	uint64_t	call_a;
	SimPoint	point_a;
	EndOfA		end_a;
	uint64_t	call_b;			/* at which it dies; one more than there are: it
								 * does not */
	bool		has_late_fence;
} Pair;

/* A server sends a fence and dies; the fence takes its time. */
static void
send_late_fence(Sim *sim)
{
	SimCluster *cluster = open_server(sim, 3);
	SimTask    *task = start(sim, cluster, &operations[TAKE_OVER]);

	while (task->state != SIM_TASK_NONE &&
		   !(task->point == SIM_POINT_BEFORE && task->call == SIM_CALL_PUT))
		sim_task_resume(task);
	if (task->state != SIM_TASK_NONE)
		sim_ghost_of_task(task);
	sim_cluster_crash(cluster);
}

static void
run_b(Sim *sim, SimCluster *cluster, const Pair *pair)
{
	SimTask    *task;

	if (pair->b == SERVE)
		sim_serve(cluster);
	if (pair->b == COLLECT_LATE)
	{
		run(sim, cluster, TAKE_OVER);
		sim->now_us += SIM_YEAR_US;
		run(sim, cluster, COLLECT);
	}
	if (pair->b >= SERVE)
		return;
	task = start(sim, cluster, &operations[pair->b]);
	run_until(sim, task, pair->call_b, SIM_POINT_BEFORE);
	if (task->state != SIM_TASK_NONE)
	{
		sim_ghost_of_task(task);
		sim_cluster_crash(cluster);
	}
}

static void
trace_pair(Sim *sim, const Pair *pair)
{
	static const char *const roles[] = {
		"B is new", "A is new", "A and B are one server"
	};
	static const char *const ends[] = {
		"goes on", "gets no answer", "dies"
	};

	sim_trace(sim, "%s; A's %s stops %s call %llu, B's %s until call %llu, A %s%s",
			  roles[pair->roles], operations[pair->a].name,
			  pair->point_a == SIM_POINT_BEFORE ? "before" : "after",
			  (unsigned long long) pair->call_a, operations[pair->b].name,
			  (unsigned long long) pair->call_b, ends[pair->end_a],
			  pair->has_late_fence ? "; with a late fence" : "");
}

static void
run_pair(SimCounts *counts, bool is_traced, const Pair *pair)
{
	Sim		   *sim = prepare(counts, is_traced, false);
	SimCluster *a = sim->clusters[0];
	SimCluster *b = a;
	SimTask    *task;

	trace_pair(sim, pair);
	if (pair->has_late_fence)
		send_late_fence(sim);
	if (pair->roles == A_WRITES)
		b = open_server(sim, 1);
	if (pair->roles == B_WRITES)
		a = open_server(sim, 1);
	task = start(sim, a, &operations[pair->a]);
	if (pair->end_a == GETS_NO_ANSWER)
	{
		sim->fault_task = task;
		sim->fault_call = pair->call_a;
		sim->fault = SIM_FAULT_LOSE_RESPONSE;
	}
	run_until(sim, task, pair->call_a, pair->point_a);
	run_b(sim, b, pair);
	if (pair->has_late_fence && sim->ghost_count > 0)
	{
		sim_ghost_deliver(sim, sim->bucket, 0);
		sim_ghost_forget(sim, 0);
		sim_check(sim);
	}
	sim->plan = operations[pair->a].plan;
	/* if B's server died, and was A's, there is nobody to go on */
	if (a == sim->clusters[0] || a == sim->clusters[1])
	{
		if (pair->end_a != DIES)
			run_until(sim, task, UINT64_MAX, SIM_POINT_NONE);
		else
		{
			if (task->state != SIM_TASK_NONE)
				sim_ghost_of_task(task);
			sim_cluster_crash(a);
		}
	}
	sim->fault_task = NULL;
	finish(sim);
}

static void
enumerate_calls(const SimShare *share, SimCounts *counts, bool is_traced,
				int64_t only, uint64_t *number, Pair *pair, uint64_t calls_a,
				uint64_t calls_b)
{
	for (pair->call_a = 1; pair->call_a <= calls_a; pair->call_a++)
	{
		for (int way = 0; way < 2 * ENDS_OF_A; way++)
		{
			pair->point_a = way % 2 == 0 ? SIM_POINT_BEFORE : SIM_POINT_AFTER;
			pair->end_a = (EndOfA) (way / 2);
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

static void
enumerate_b(const SimShare *share, SimCounts *counts, bool is_traced,
			int64_t only, int first_b, int end_b, int late)
{
	uint64_t	number = 0;
	uint64_t	calls_b[OPERATION_COUNT] = {0};

	for (int a = 0; a < SERVE; a++)
	{
		for (int b = first_b; b < end_b; b++)
		{
			for (Roles roles = A_WRITES; roles < ROLES; roles++)
			{
				Pair		pair = {.a = a, .b = b, .roles = roles};
				uint64_t	calls_a;

				if (operations[a].kind == ALONE ||
					operations[b].kind == ALONE)
					continue;
				calls_a = count_calls(counts, false, a, roles == B_WRITES);
				if (b < SERVE && calls_b[b] == 0)
					calls_b[b] = count_calls(counts, false, b, true);
				for (int i = 0; i <= late; i++)
				{
					pair.has_late_fence = i == 1;
					enumerate_calls(share, counts, is_traced, only, &number,
									&pair, calls_a, calls_b[b]);
				}
			}
		}
	}
}

void
sim_enumerate_pairs(const SimShare *share, SimCounts *counts, bool is_traced,
					int64_t only)
{
	enumerate_b(share, counts, is_traced, only, 0, SERVE, 0);
}

void
sim_enumerate_years(const SimShare *share, SimCounts *counts, bool is_traced,
					int64_t only)
{
	enumerate_b(share, counts, is_traced, only, SERVE, (int) OPERATION_COUNT,
				1);
}
