/*
 * check.c
 *	  Is a state of the store what it must be?
 *
 * After each change of the bucket a server that has seen nothing, and may
 * not write, opens it and reads everything.  Some states are looked at more
 * closely, each on a copy:
 *
 *	  fallback	every older manifest that is still there gives the same rows, as
 *				it must if the newer ones are lost
 *	  life		a server takes over, writes, folds, compacts and collects, a
 *				year later; perhaps after all that is under way has arrived
 *	  damage	some object is torn or flipped: either the same rows are read,
 *				or an error names the object [I10]
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

static uint64_t
check_random(Sim *sim, uint64_t limit)
{
	return sim_random_next(&sim->check_random) % limit;
}

static bool
has_namespace(const SimBucket *bucket, int ns)
{
	const char *prefix = sim_namespace_name(ns);

	for (size_t i = 0; i < bucket->count; i++)
	{
		if (strncmp(bucket->entries[i].object->key, prefix,
					strlen(prefix)) == 0)
			return true;
	}
	return false;
}

static SimCluster *
open_observer(Sim *sim, SimBucket *bucket, int lineage, bool is_read_only)
{
	SimCluster *cluster = sim_cluster_open(sim, bucket, lineage, true);

	cluster->is_read_only = is_read_only;
	sim_process_open(cluster, &cluster->processes[0]);
	return cluster;
}

/* What a server that has seen nothing finds. */
static ReefCode
read_bucket(Sim *sim, SimBucket *bucket, int ns, SimRows *rows, ReefError *err)
{
	SimCluster *cluster = open_observer(sim, bucket, -1, true);
	ReefView   *view;
	ReefCode	rc;

	reef_error_init(err);
	memset(rows, 0, sizeof(*rows));
	rc = reef_view_pin(cluster->processes[0].ns[ns], NULL, 0, &view, err);
	if (rc == REEF_OK)
	{
		if (reef_view_exists(view))
			rc = sim_rows_read(view, sim, rows, err);
		reef_view_unpin(view);
	}
	sim_cluster_close(cluster);
	return rc;
}

static void
judge_copy(Sim *sim, SimBucket *bucket, SimRows *rows, bool has_extra,
		   const char *who)
{
	for (int ns = 0; ns < SIM_NAMESPACES; ns++)
	{
		ReefError	err;

		if (!has_namespace(bucket, ns))
			continue;
		if (read_bucket(sim, bucket, ns, rows, &err) != REEF_OK)
			sim_violation(sim, "I1", "%s cannot read the namespace: %s: %s (%s)",
						  who, reef_code_name(err.code), err.message,
						  err.detail);
		sim_rows_judge(sim, ns, rows, who);
		sim_fates_judge(sim, ns, rows, false, who);
		if (rows->has_extra != has_extra)
			sim_violation(sim, "I1", "%s loses what it writes", who);
	}
}

void
sim_check(Sim *sim)
{
	bool		has_changed = sim->checked_version != sim->bucket->version;

	if (!has_changed && !sim->fates_changed)
		return;
	for (int ns = 0; ns < SIM_NAMESPACES; ns++)
	{
		SimRows    *rows = &sim->rows[ns];
		ReefError	err;

		if (!has_namespace(sim->bucket, ns))
			continue;
		if (has_changed)
		{
			if (read_bucket(sim, sim->bucket, ns, rows, &err) != REEF_OK)
				sim_violation(sim, "I1", "a new server cannot read the namespace: %s: %s (%s)",
							  reef_code_name(err.code), err.message,
							  err.detail);
			sim_rows_judge(sim, ns, rows, "a new server");
		}
		sim_fates_judge(sim, ns, rows, true, "a new server");
	}
	sim->fates_changed = false;
	sim->checked_version = sim->bucket->version;
	if (has_changed)
		sim->counts->states++;
	if (has_changed && (int) check_random(sim, 100) < sim->deep_percent)
		sim_check_thoroughly(sim);
}

/* ---- fallback ---- */

/* The numbers of the manifests of a namespace, ascending; how many. */
static int
list_manifests(const SimBucket *bucket, int ns, size_t *places, int max)
{
	int			count = 0;

	for (size_t i = 0; i < bucket->count && count < max; i++)
	{
		ReefObjectName name;

		reef_layout_parse(sim_namespace_name(ns),
						  bucket->entries[i].object->key, &name);
		if (name.kind == REEF_OBJECT_MANIFEST)
			places[count++] = i;
	}
	return count;
}

static void
check_fallback(Sim *sim, int ns)
{
	size_t		places[100];
	int			count = list_manifests(sim->bucket, ns, places, 100);
	SimBucket  *copy;
	SimRows    *rows;
	char		who[100];

	if (count < 2)
		return;
	copy = sim_bucket_copy(sim->bucket);
	rows = malloc(sizeof(*rows));
	/* a collector must respect it for a grace window after its successor */
	for (int i = count - 1; i > 0 &&
		 sim->now_us - sim->bucket->entries[places[i]].modified_us <
		 SIM_GRACE_US; i--)
	{
		char		key[REEF_OBJECT_KEY_SIZE];

		snprintf(key, sizeof(key), "%s",
				 sim->bucket->entries[places[i]].object->key);
		(void) sim_bucket_remove(copy, key);
		snprintf(who, sizeof(who),
				 "a new server that has lost the newest %d manifests",
				 count - i);
		judge_copy(sim, copy, rows, false, who);
		sim->counts->fallbacks++;
	}
	free(rows);
	sim_bucket_free(copy);
}

/* ---- life ---- */

static ReefCode
insert_extra(ReefNamespace *ns, const SimCluster *cluster, ReefError *err)
{
	const ReefHost *host = &cluster->host;
	ReefTxnPoint point = {1, 1};
	ReefValue	values[2] = {{.as.int64 = SIM_EXTRA_ID}, {.is_null = true}};
	ReefFrame  *frame;
	ReefTxn    *txn;
	bool		inserted;
	ReefCode	rc;

	REEF_TRY(reef_txn_new(ns, &sim_schema, &txn, err));
	rc = reef_txn_insert(txn, point, values, REEF_INSERT_REPLACE, &inserted,
						 err);
	if (rc == REEF_OK)
		rc = reef_txn_prepare(txn, 0, NULL, &frame, err);
	if (rc == REEF_OK)
	{
		int			lock_number = ns->shared->lock_number;

		rc = host->right_acquire(host->arg, lock_number, REEF_RIGHT_COMMIT, 0);
		if (rc == REEF_OK)
			rc = reef_commit(ns, &frame, 1, err);
		host->right_release(host->arg, lock_number, REEF_RIGHT_COMMIT);
		if (rc == REEF_OK && reef_frame_state(frame) != REEF_FRAME_DURABLE)
			rc = reef_error_set(err, REEF_BUG, "the frame is not durable",
								NULL);
		reef_frame_free(host, frame);
	}
	reef_txn_free(txn);
	return rc;
}

static void
lose_manifests(SimBucket *bucket)
{
	size_t		places[1];

	for (int ns = 0; ns < SIM_NAMESPACES; ns++)
	{
		while (list_manifests(bucket, ns, places, 1) > 0)
			(void) sim_bucket_remove(bucket,
									 bucket->entries[places[0]].object->key);
	}
}

static ReefCode
live(Sim *sim, const SimCluster *cluster, int number, uint64_t choice,
	 ReefError *err)
{
	ReefNamespace *ns = cluster->processes[0].ns[number];

	if ((choice & SIM_LIFE_REBUILD) != 0)
		REEF_TRY(sim_rebuild(sim, ns, err));
	REEF_TRY(insert_extra(ns, cluster, err));
	return sim_live(sim, ns, choice, err);
}

static void
check_life(Sim *sim)
{
	SimBucket  *copy = sim_bucket_copy(sim->bucket);
	SimRows    *rows = malloc(sizeof(*rows));
	uint64_t	choice = check_random(sim, SIM_LIFE_ALL + 1);
	SimCluster *cluster;
	ReefError	err;
	char		who[100];

	if ((choice & SIM_LIFE_GHOSTS) != 0)
	{
		for (int i = 0; i < sim->ghost_count; i++)
			sim_ghost_deliver(sim, copy, i);
	}
	if ((choice & SIM_LIFE_COLLECT) != 0)
		copy->ahead_us = SIM_YEAR_US;
	if ((choice & SIM_LIFE_REBUILD) != 0)
		lose_manifests(copy);
	sim->life_lineage = sim->lineage_total + 1;
	cluster = open_observer(sim, copy, sim->life_lineage, false);
	snprintf(who, sizeof(who), "a new server that lives on (%x)",
			 (unsigned) choice);
	reef_error_init(&err);
	for (int ns = 0; ns < SIM_NAMESPACES; ns++)
	{
		if (!has_namespace(copy, ns))
			continue;
		if (live(sim, cluster, ns, choice, &err) != REEF_OK)
			sim_violation(sim, "I1", "%s cannot: %s: %s (%s)", who,
						  reef_code_name(err.code), err.message, err.detail);
	}
	judge_copy(sim, copy, rows, true, who);
	sim_cluster_close(cluster);
	sim->life_lineage = 0;
	sim->counts->lives++;
	free(rows);
	sim_bucket_free(copy);
}

/* ---- damage ---- */

/* A damaged manifest is passed over with a warning, so what fails may be what
 * an older one needs. */
static bool
names_object(const Sim *sim, const ReefError *err, const char *key)
{
	return strstr(err->detail, key) != NULL ||
		strstr(sim->last_warning, key) != NULL;
}

/* A record that is not the last one: nobody could miss the last. */
static bool
is_inner_record(const SimBucket *bucket, const char *key)
{
	const SimEntry *entry = sim_bucket_find(bucket, key);
	const char *folder = strstr(key, "/wal/");
	size_t		size;

	if (folder == NULL || entry + 1 == bucket->entries + bucket->count)
		return false;
	size = (size_t) (folder - key) + 5;
	return strncmp(entry[1].object->key, key, size) == 0;
}

/* Another record in its place.  True if something has changed. */
static bool
replace_record(Sim *sim, SimBucket *copy, char *key)
{
	const SimGhost *refused;
	const SimEntry *entry;

	if (sim->refused_count == 0)
		return false;
	refused = &sim->refused[check_random(sim, (uint64_t) sim->refused_count)];
	entry = sim_bucket_find(copy, refused->key);
	if (entry == NULL || !is_inner_record(copy, refused->key) ||
		reef_slice_equal(reef_slice(entry->object->data, entry->object->size),
						 reef_buf_slice(&refused->bytes)))
		return false;
	snprintf(key, REEF_OBJECT_KEY_SIZE, "%s", refused->key);
	sim_bucket_replace(copy, key, reef_buf_slice(&refused->bytes));
	return true;
}

/* Damage something; returns how, and false if there is nothing to be named. */
static const char *
damage(Sim *sim, SimBucket *copy, char *key, bool *has_name)
{
	size_t		index = check_random(sim, copy->count);
	size_t		size = copy->entries[index].object->size;
	size_t		at = size > 0 ? check_random(sim, size) : 0;

	*has_name = true;
	snprintf(key, REEF_OBJECT_KEY_SIZE, "%s", copy->entries[index].object->key);
	switch (check_random(sim, 8))
	{
		case 0:
			/* the next one notices, and says so */
			*has_name = false;
			if (replace_record(sim, copy, key))
				return "a record is replaced by a refused one";
			break;
		case 1:
			*has_name = false;
			if (!is_inner_record(copy, key) && strstr(key, "/segment/") == NULL)
				break;
			(void) sim_bucket_remove(copy, key);
			return "an object is lost";
		case 2:
			sim_bucket_damage(copy, index, at, SIZE_MAX, 0);
			return "an object is torn";
		default:
			break;
	}
	*has_name = true;
	sim_bucket_damage(copy, index, size, at,
					  (uint8_t) (1 << check_random(sim, 8)));
	return "a bit is flipped";
}

static void
check_damage(Sim *sim, int ns)
{
	SimBucket  *copy;
	SimRows    *rows;
	ReefError	err;
	const char *how;
	bool		has_name;
	char		key[REEF_OBJECT_KEY_SIZE];

	if (sim->bucket->count == 0)
		return;
	copy = sim_bucket_copy(sim->bucket);
	rows = malloc(sizeof(*rows));
	how = damage(sim, copy, key, &has_name);
	sim->last_warning[0] = '\0';
	if (read_bucket(sim, copy, ns, rows, &err) == REEF_OK)
	{
		if (rows->hash != sim->rows[ns].hash ||
			rows->row_count != sim->rows[ns].row_count)
			sim_violation(sim, "I10", "a new server reads other rows: %s, %s",
						  how, key);
	}
	else if (err.code != REEF_CORRUPT && err.code != REEF_UNSUPPORTED)
		sim_violation(sim, "I10", "%s, %s, is reported as %s: %s (%s)", how,
					  key, reef_code_name(err.code), err.message, err.detail);
	else if (has_name && !names_object(sim, &err, key))
		sim_violation(sim, "I10", "%s, %s, is reported without its name: %s (%s)",
					  how, key, err.message, err.detail);
	sim->counts->damages++;
	free(rows);
	sim_bucket_free(copy);
}

void
sim_check_thoroughly(Sim *sim)
{
	for (int ns = 0; ns < SIM_NAMESPACES; ns++)
	{
		if (!has_namespace(sim->bucket, ns))
			continue;
		check_fallback(sim, ns);
		check_damage(sim, ns);
	}
	check_life(sim);
}
