/*
 * jobs.c
 *	  Maintenance, in a simulated server and in the life of a copy.
 *
 * The table at the end is what random histories choose from and enumerations
 * go through: a new operation of the engine is one line there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

#define RIGHT_WAIT_US (INT64_C(5) * 1000000)

/* ---- what the engine reports ---- */

static ReefCode
refuse_finding(void *arg, const ReefFinding *finding, ReefError *err)
{
	Sim		   *sim = arg;

	(void) err;
	/* a walk that takes longer than the grace window may miss objects */
	if (sim->current != NULL &&
		sim->now_us - sim->current->started_us >= SIM_GRACE_US / 2)
		return REEF_OK;
	/*
	 * What a crash of the first fold leaves looks like the loss of all
	 * manifests.
	 */
	if (finding->severity == REEF_SEVERITY_ERROR &&
		strcmp(finding->check_name, "no manifest") != 0)
		sim_violation(sim, "I10", "verify finds in what is sound: %s: %s: %s",
					  finding->object, finding->check_name, finding->detail);
	return REEF_OK;
}

static ReefCode
trace_action(void *arg, const ReefAction *action, ReefError *err)
{
	(void) err;
	sim_trace(arg, "   %s %s: %s", action->action, action->object,
			  action->detail);
	return REEF_OK;
}

ReefCode
sim_verify(Sim *sim, ReefNamespace *ns, ReefError *err)
{
	return reef_verify(ns, true, refuse_finding, sim, err);
}

ReefCode
sim_rebuild(Sim *sim, ReefNamespace *ns, ReefError *err)
{
	return reef_rebuild(ns, false, trace_action, sim, err);
}

/* ---- jobs ---- */

static void
end_job(SimTask *task, ReefCode rc, const ReefError *err)
{
	if (rc != REEF_OK)
		sim_expect_tolerable(task, err, sim_contact(task));
}

static ReefNamespace *
namespace_of(const SimTask *task)
{
	return task->process->ns[task->argument];
}

void
sim_do_fold(SimTask *task)
{
	ReefFoldResult result;
	ReefError	err;

	reef_error_init(&err);
	end_job(task, reef_fold(namespace_of(task), &result, &err), &err);
}

static void
compact(SimTask *task, bool full)
{
	ReefCompactResult result;
	ReefError	err;

	reef_error_init(&err);
	end_job(task, reef_compact(namespace_of(task), full, &result, &err),
			&err);
	if (result.compacted)
		sim_trace(task->sim, "   %d segments are merged into %d",
				  (int) result.segments_in, (int) result.segments_out);
}

void
sim_do_compact(SimTask *task)
{
	compact(task, false);
}

void
sim_do_compact_fully(SimTask *task)
{
	compact(task, true);
}

void
sim_do_collect(SimTask *task)
{
	ReefGcResult result;
	ReefError	err;

	reef_error_init(&err);
	end_job(task, reef_gc(namespace_of(task), false, NULL, NULL, &result,
						  &err), &err);
}

void
sim_do_verify(SimTask *task)
{
	ReefError	err;

	reef_error_init(&err);
	end_job(task, sim_verify(task->sim, namespace_of(task), &err), &err);
}

void
sim_do_rebuild(SimTask *task)
{
	ReefError	err;

	reef_error_init(&err);
	end_job(task, sim_rebuild(task->sim, namespace_of(task), &err), &err);
}

void
sim_do_repair(SimTask *task)
{
	ReefError	err;

	reef_error_init(&err);
	end_job(task, reef_repair(namespace_of(task), false, trace_action,
							  task->sim, &err), &err);
}

static void
with_commit_right(SimTask *task,
				  ReefCode (*run) (ReefNamespace *ns, ReefError *err))
{
	const ReefHost *host = &task->cluster->host;
	ReefError	err;

	reef_error_init(&err);
	if (host->right_acquire(host->arg, task->argument + 1, REEF_RIGHT_COMMIT,
							RIGHT_WAIT_US) != REEF_OK)
		return;
	end_job(task, run(namespace_of(task), &err), &err);
	host->right_release(host->arg, task->argument + 1, REEF_RIGHT_COMMIT);
}

void
sim_do_aborts(SimTask *task)
{
	with_commit_right(task, reef_commit_pending_aborts);
}

static ReefCode
take_over(ReefNamespace *ns, ReefError *err)
{
	return ns->shared->mode == REEF_MODE_WRITER ? REEF_OK :
		reef_takeover(ns, err);
}

void
sim_do_take_over(SimTask *task)
{
	with_commit_right(task, take_over);
}

/* ---- the table ---- */

typedef struct SimJob
{
	const char *name;
	SimTaskMain main;
	uint32_t	weight;			/* in random histories */
} SimJob;

static SimJob
job(uint32_t index)
{
	const SimJob jobs[] = {
		{"read", sim_do_read, 8},
		{"fold", sim_do_fold, 8},
		{"put aborts", sim_do_aborts, 1},
		{"take over", sim_do_take_over, 1},
		{"compact", sim_do_compact, 3},
		{"compact fully", sim_do_compact_fully, 2},
		{"collect", sim_do_collect, 4},
		{"verify", sim_do_verify, 1},
		/* these two are for a namespace that nobody uses: if others collect
		 * between a look and a put, the namespace has to be repaired again */
		{"rebuild", sim_do_rebuild, 0},
		{"repair", sim_do_repair, 0},
		{NULL, NULL, 0}
	};

	return jobs[index];
}

void
sim_start_job(SimCluster *cluster, int ns)
{
	Sim		   *sim = cluster->sim;
	uint32_t	total = 0;
	uint32_t	choice;

	for (uint32_t i = 0; job(i).name != NULL; i++)
		total += job(i).weight;
	if (sim->job_chance > 1 &&
		sim_choose(sim, sim->job_chance) < sim->job_chance - 1)
	{
		static const uint32_t favourites[] = {1, 1, 4, 5, 6};
		SimJob		favourite = job(favourites[sim_choose(sim, 5)]);

		(void) sim_task_start(cluster, favourite.name, favourite.main, ns);
		return;
	}
	choice = sim_choose(sim, total);
	for (uint32_t i = 0; job(i).name != NULL; i++)
	{
		if (choice < job(i).weight)
		{
			(void) sim_task_start(cluster, job(i).name, job(i).main, ns);
			return;
		}
		choice -= job(i).weight;
	}
}

/* ---- life ---- */

ReefCode
sim_live(Sim *sim, ReefNamespace *ns, uint64_t choice, ReefError *err)
{
	ReefFoldResult fold;
	ReefCompactResult compacted;
	ReefGcResult collected;

	if ((choice & SIM_LIFE_FOLD) != 0)
		REEF_TRY(reef_fold(ns, &fold, err));
	if ((choice & SIM_LIFE_COMPACT) != 0)
		REEF_TRY(reef_compact(ns, (choice & SIM_LIFE_FULL) != 0, &compacted,
							  err));
	if ((choice & SIM_LIFE_REPAIR) != 0)
		REEF_TRY(reef_repair(ns, false, trace_action, sim, err));
	if ((choice & SIM_LIFE_COLLECT) != 0)
		REEF_TRY(reef_gc(ns, false, NULL, NULL, &collected, err));
	if ((choice & SIM_LIFE_VERIFY) != 0)
		REEF_TRY(sim_verify(sim, ns, err));
	return REEF_OK;
}
