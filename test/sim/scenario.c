/*
 * scenario.c
 *	  Histories that are written by hand, with one thing in them that varies.
 *
 * A case begins with a store that has something for every operation to do
 * (folded, merged, to be merged, collectable, orphaned, unfolded) and the
 * server that writes it, or with an empty one.  A does one operation:
 *
 *	  alone		and one of its calls fails in one of the ways that there are
 *	  in a pair	it stops at a call, before or after that is applied; B runs an
 *				operation and dies at one of its calls, or ends it, or does a
 *				year's work; then A goes on, or gets no answer, or dies and its
 *				request arrives later
 *
 * B is a server that knows nothing; or A is, and B the writer; or they are
 * processes of one server.  Whatever has happened, other servers then work
 * with what is left, and what is under way arrives.
 */
#include <stdio.h>
#include <stdlib.h>

#include "scenario.h"

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

#define OPERATION_COUNT ((int) (sizeof(operations) / sizeof(operations[0])))

const int	sim_operation_count = OPERATION_COUNT - 2;
const int	sim_operation_serve = OPERATION_COUNT - 2;

enum
{
	INSERT, UPDATE, DELETE, ATTACH, FOLD, COMPACT, COMPACT_FULLY, COLLECT,
	TAKE_OVER
};

bool
sim_operation_is_alone(int operation)
{
	return operations[operation].kind == ALONE;
}

/* ---- running ---- */

/* Until the task has ended, its server is dead, or it stands at a call. */
static void
run_until(Sim *sim, SimTask *task, uint64_t call, SimPoint point)
{
	SimCluster *cluster = task->cluster;
	uint32_t	rounds = 0;

	while (task->state != SIM_TASK_NONE && !cluster->is_dead &&
		   !(task->calls == call && task->point == point))
	{
		if (!sim_task_is_runnable(task) && task->wake_us > sim->now_us)
			sim->now_us = task->wake_us;
		sim_task_resume(task);
		/* what one deletion too many has done, the next state shows as well */
		if (task->point != SIM_POINT_AFTER || task->call != SIM_CALL_DELETE ||
			rounds % 8 == 0)
			sim_check(sim);
		if (++rounds > RUN_MAX)
			sim_violation(sim, "host", "%s does not come to its end",
						  task->name);
	}
}

static SimTask *
start(Sim *sim, SimCluster *cluster, int operation)
{
	const Operation *what = &operations[operation];
	int			argument = 0;

	sim->plan = what->plan;
	if (what->kind == TRANSACTION)
		argument = sim_txn_new(sim, 0);
	return sim_task_start(cluster, what->name, what->main, argument);
}

/* From beginning to end, without trouble; how many calls it took. */
static uint64_t
run(Sim *sim, SimCluster *cluster, int operation)
{
	SimTask    *task = start(sim, cluster, operation);

	run_until(sim, task, UINT64_MAX, SIM_POINT_NONE);
	sim_check(sim);
	return task->calls;
}

static SimFault
choose_planned(Sim *sim, SimTask *task, SimCall call)
{
	if (sim->call_kinds != NULL && task->calls <= sim->call_kinds_max)
		sim->call_kinds[task->calls - 1] = (uint8_t) call;
	if (task == sim->fault_task && task->calls == sim->fault_call)
		return sim->fault;
	return SIM_FAULT_NONE;
}

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

/* ---- the beginning ---- */

static void
run_history(Sim *sim, const int *history, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		run(sim, sim->clusters[0], history[i]);
		if (history[i] == COMPACT_FULLY)
			sim->now_us += SIM_GRACE_US * 2;
	}
}

Sim *
sim_scenario_new(SimCounts *counts, SimWorld world)
{
	/* level 1 is small, so that what is folded soon joins it; or large */
	static const int small[] = {INSERT, UPDATE, FOLD, UPDATE, FOLD,
	COMPACT_FULLY};
	static const int large[] = {INSERT, UPDATE, FOLD, ATTACH, FOLD,
	COMPACT_FULLY};
	static const int rest[] = {
		DELETE, FOLD, INSERT, FOLD, INSERT, FOLD, INSERT, FOLD, UPDATE, FOLD,
		DELETE, FOLD, INSERT, FOLD, INSERT, FOLD, COMPACT, INSERT, FOLD,
		INSERT, FOLD, INSERT, FOLD, INSERT, FOLD, INSERT, FOLD, INSERT, FOLD,
		DELETE
	};
	Sim		   *sim = sim_new(counts);

	sim->choose_fault = choose_planned;
	if (world == SIM_WORLD_EMPTY)
		return sim;
	(void) open_server(sim, 0);
	if (world == SIM_WORLD_SMALL)
		run_history(sim, small, sizeof(small) / sizeof(small[0]));
	else
		run_history(sim, large, sizeof(large) / sizeof(large[0]));
	run_history(sim, rest, sizeof(rest) / sizeof(rest[0]));
	sim_bucket_put(sim->bucket,
				   "sim/a/segment/018bcfe5-6817-7287-ac82-0d6977ceb7df.parquet",
				   reef_slice_of_string("not a segment"), sim->now_us);
	sim->now_us += SIM_GRACE_US * 2;
	sim_check(sim);
	return sim;
}

/* ---- the end ---- */

static void
collect_and_lose(Sim *sim, SimCluster *cluster)
{
	sim->now_us += SIM_YEAR_US;
	run(sim, cluster, COLLECT);
	sim_check_thoroughly(sim);
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
	if (sim->clusters[0] != NULL)
		collect_and_lose(sim, sim->clusters[0]);
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
}

/* ---- alone ---- */

static SimCluster *
server_of_a(Sim *sim, const SimCase *what)
{
	return what->roles == SIM_B_WRITES || sim->clusters[0] == NULL ?
		open_server(sim, 1) : sim->clusters[0];
}

uint32_t
sim_case_calls(Sim *sim, const SimCase *what, uint8_t *kinds, uint32_t max)
{
	sim->call_kinds = kinds;
	sim->call_kinds_max = max;
	return (uint32_t) run(sim, server_of_a(sim, what), what->a);
}

static void
run_alone(Sim *sim, const SimCase *what)
{
	SimTask    *task = start(sim, server_of_a(sim, what), what->a);

	sim->fault_task = task;
	sim->fault_call = what->call_a;
	sim->fault = what->fault;
	sim_trace(sim, "%s, and its call %u will %s", operations[what->a].name,
			  what->call_a, sim_fault_name(what->fault));
	run_until(sim, task, UINT64_MAX, SIM_POINT_NONE);
	sim->fault_task = NULL;
	finish(sim);
}

/* ---- in a pair ---- */

/* A server sends a fence and dies; the fence takes its time. */
static void
send_late_fence(Sim *sim)
{
	SimCluster *cluster = open_server(sim, 3);
	SimTask    *task = start(sim, cluster, TAKE_OVER);

	while (task->state != SIM_TASK_NONE &&
		   !(task->point == SIM_POINT_BEFORE && task->call == SIM_CALL_PUT))
		sim_task_resume(task);
	if (task->state != SIM_TASK_NONE)
		sim_ghost_of_task(task);
	sim_cluster_crash(cluster);
}

static void
run_b(Sim *sim, SimCluster *cluster, const SimCase *what)
{
	SimTask    *task;

	if (what->b == sim_operation_serve)
		sim_serve(cluster);
	if (what->b > sim_operation_serve)
	{
		run(sim, cluster, TAKE_OVER);
		sim->now_us += SIM_YEAR_US;
		run(sim, cluster, COLLECT);
	}
	if (what->b >= sim_operation_serve)
		return;
	task = start(sim, cluster, what->b);
	run_until(sim, task, what->call_b, SIM_POINT_BEFORE);
	if (task->state != SIM_TASK_NONE)
	{
		sim_ghost_of_task(task);
		sim_cluster_crash(cluster);
	}
}

static void
end_a(Sim *sim, SimCluster *cluster, SimTask *task, const SimCase *what)
{
	/* if it was B's server too, it may have died */
	if (cluster != sim->clusters[0] && cluster != sim->clusters[1])
		return;
	if (what->end == SIM_DIES)
	{
		if (task->state != SIM_TASK_NONE)
			sim_ghost_of_task(task);
		sim_cluster_crash(cluster);
		return;
	}
	if (what->end == SIM_GOES_ON_LATER)
		run(sim, cluster, INSERT);
	sim->plan = operations[what->a].plan;
	run_until(sim, task, UINT64_MAX, SIM_POINT_NONE);
}

static void
trace_pair(Sim *sim, const SimCase *what)
{
	static const char *const roles[] = {
		"B is new", "A is new", "A and B are one server"
	};
	static const char *const ends[] = {
		"goes on", "goes on after a transaction of its server",
		"gets no answer", "dies"
	};

	sim_trace(sim, "%s; A's %s stops %s call %u, B's %s until call %u, A %s%s",
			  roles[what->roles], operations[what->a].name,
			  what->point_a == SIM_POINT_BEFORE ? "before" : "after",
			  what->call_a, operations[what->b].name, what->call_b,
			  ends[what->end], what->has_late_fence ? "; with a late fence" :
			  "");
}

static void
run_pair(Sim *sim, const SimCase *what)
{
	SimCluster *a;
	SimCluster *b;
	SimTask    *task;

	trace_pair(sim, what);
	if (what->has_late_fence)
		send_late_fence(sim);
	a = server_of_a(sim, what);
	b = what->roles == SIM_A_WRITES ? open_server(sim, 1) : sim->clusters[0];
	task = start(sim, a, what->a);
	if (what->end == SIM_GETS_NO_ANSWER)
	{
		sim->fault_task = task;
		sim->fault_call = what->call_a;
		sim->fault = SIM_FAULT_LOSE_RESPONSE;
	}
	run_until(sim, task, what->call_a, what->point_a);
	run_b(sim, b, what);
	if (what->has_late_fence && sim->ghost_count > 0)
	{
		sim_ghost_deliver(sim, sim->bucket, 0);
		sim_ghost_forget(sim, 0);
		sim_check(sim);
	}
	end_a(sim, a, task, what);
	sim->fault_task = NULL;
	finish(sim);
}

void
sim_case_run(Sim *sim, const SimCase *what)
{
	if (what->is_pair)
		run_pair(sim, what);
	else
		run_alone(sim, what);
}
