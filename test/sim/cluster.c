/*
 * cluster.c
 *	  A server start: its shared memory and its processes.
 *
 * When a server crashes, its tasks are run to their end with a store that
 * refuses everything and a host that cancels every wait, and nobody listens
 * to what they say.  That leaves no memory behind, and it is one more test
 * of what the engine does when it is cancelled.
 */
#include <stdio.h>
#include <stdlib.h>

#include "parquet/writer.h"
#include "sim.h"

/* An unwinding task that yields this often does not stop. */
#define UNWIND_MAX 100000

const char *
sim_namespace_name(int ns)
{
	return ns == 0 ? "sim/a" : "sim/b";
}

SimCluster *
sim_cluster_open(Sim *sim, SimBucket *bucket, int lineage, bool is_direct)
{
	SimCluster *cluster = calloc(1, sizeof(*cluster));
	ReefEngineSettings *settings;
	uint32_t	id;

	if (cluster == NULL)
		abort();
	settings = &cluster->settings;
	cluster->sim = sim;
	id = UINT32_C(0x80000000) | ++sim->check_number;
	if (!is_direct)
	{
		id = (uint32_t) ++sim->cluster_total;
		sim->cluster_lineages = reallocarray(sim->cluster_lineages,
											 (size_t) id + 1, sizeof(int));
		if (sim->cluster_lineages == NULL)
			abort();
		sim->cluster_lineages[id] = lineage;
		cluster->number = (int) id;
	}
	cluster->lineage = lineage;
	cluster->bucket = bucket;
	cluster->is_direct = is_direct;
	cluster->random_state = (uint64_t) id << 32;
	sim_host_init(cluster);
	reef_engine_settings_init(settings);
	memcpy(settings->cluster_id, &id, sizeof(id));
	settings->commit_timeout_us = 2000000;
	settings->gc_grace_us = SIM_GRACE_US;
	settings->transaction_buffer_size = 8192;
	settings->target_segment_size = 16384;
	settings->idempotency_retention_ms = INT64_C(1000) * 365 * 24 * 3600 *
		1000;
	settings->compression = REEF_COMPRESSION_NONE;
	settings->page_cache_size = (size_t) 1024 * 1024;
	for (int ns = 0; ns < SIM_NAMESPACES; ns++)
	{
		cluster->shared[ns] = calloc(1, reef_namespace_shared_size());
		if (cluster->shared[ns] == NULL)
			abort();
		reef_namespace_shared_init(cluster->shared[ns], ns + 1);
	}
	return cluster;
}

void
sim_process_open(SimCluster *cluster, SimProcess *process)
{
	ReefError	err;

	if (process->store != NULL)
		return;
	reef_error_init(&err);
	if (sim_store_open(cluster, &process->store, &err) != REEF_OK)
		abort();
	for (int ns = 0; ns < SIM_NAMESPACES; ns++)
	{
		if (reef_namespace_attach(&cluster->host, &cluster->settings,
								  process->store, sim_namespace_name(ns),
								  cluster->shared[ns], &process->ns[ns],
								  &err) != REEF_OK)
			abort();
	}
}

void
sim_cluster_close(SimCluster *cluster)
{
	ReefError	err;

	for (int i = 0; i < SIM_PROCESSES; i++)
	{
		SimProcess *process = &cluster->processes[i];

		if (process->store == NULL)
			continue;
		for (int ns = 0; ns < SIM_NAMESPACES; ns++)
			reef_namespace_detach(process->ns[ns]);
		reef_store_close(process->store);
	}
	reef_error_init(&err);
	for (int ns = 0; ns < SIM_NAMESPACES; ns++)
	{
		if (reef_namespace_shared_reset(&cluster->host, cluster->shared[ns],
										true, &err) != REEF_OK)
			sim_violation(cluster->sim, "leak", "cluster %d ends: %s",
						  cluster->number, err.message);
		free(cluster->shared[ns]);
	}
	if (cluster->shared_used > 0)
		sim_violation(cluster->sim, "leak",
					  "cluster %d lost %zu bytes of shared memory",
					  cluster->number, cluster->shared_used);
	free(cluster);
}

static void
abort_transactions(SimCluster *cluster)
{
	Sim		   *sim = cluster->sim;

	for (uint64_t xid = sim->xid_first; xid < sim->xid_next; xid++)
	{
		SimXid	   *entry = &sim->xids[xid - sim->xid_first];

		if (entry->cluster == cluster->number &&
			entry->state == REEF_XID_IN_PROGRESS)
			entry->state = REEF_XID_ABORTED;
	}
}

void
sim_cluster_crash(SimCluster *cluster)
{
	Sim		   *sim = cluster->sim;
	int			rounds = 0;
	bool		is_running = true;

	sim_trace(sim, "c%d crashes", cluster->number);
	cluster->is_dead = true;
	abort_transactions(cluster);
	while (is_running)
	{
		is_running = false;
		for (int i = 0; i < SIM_TASKS_MAX; i++)
		{
			SimTask    *task = &sim->tasks[i];

			if (task->state == SIM_TASK_NONE || task->cluster != cluster)
				continue;
			is_running = true;
			sim_task_resume(task);
		}
		if (++rounds > UNWIND_MAX)
			sim_violation(sim, "host", "cluster %d does not end when cancelled",
						  cluster->number);
	}
	for (int i = 0; i < SIM_CLUSTERS_MAX; i++)
	{
		if (sim->clusters[i] == cluster)
			sim->clusters[i] = NULL;
	}
	sim->fates_changed = true;
	sim_cluster_close(cluster);
}
