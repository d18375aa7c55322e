/*
 * test_repair.c
 *	  Every kind of object, damaged in every way: what is found, what is saved,
 *	  and exactly what is lost.
 *
 * REEF_REPAIR_TABLE=1 prints what happened as a table.
 */
#include <stdio.h>
#include <stdlib.h>

#include "damage_fixture.h"
#include "unit.h"

#define PREFIX "public/rows/"
#define MANIFEST_1 PREFIX "manifest/00000000000000000001.json"
#define MANIFEST_2 PREFIX "manifest/00000000000000000002.json"

typedef enum Damage
{
	DAMAGE_MISSING,
	DAMAGE_TRUNCATED,
	DAMAGE_FLIPPED,
	DAMAGE_SWAPPED,				/* with another of its kind */
	DAMAGE_ROLLED_BACK			/* to what an older one of its kind has */
} Damage;

#define DAMAGE_COUNT 5

static const char *const damage_names[] = {
	"missing", "truncated", "flipped", "swapped", "rolled back"
};

typedef struct Victim
{
	const char *name;
	char		key[REEF_OBJECT_KEY_SIZE];
	char		older[REEF_OBJECT_KEY_SIZE];	/* of its kind */
	char		other[REEF_OBJECT_KEY_SIZE];	/* likewise */
	unsigned	homes;			/* what is lost with it */
	uint32_t	records;
	/* of a manifest, or of a record that is applied, nothing is lost */
} Victim;

/* "whole" has the contents that are put in its place. */
static void
do_damage(ReefMemoryBucket *bucket, ReefMemoryBucket *whole,
		  const Victim *victim, Damage damage)
{
	ReefSlice	bytes = reef_memory_bucket_bytes(bucket, victim->key);
	const char *source = damage == DAMAGE_SWAPPED ? victim->other :
		victim->older;
	ReefBuf		copy;

	switch (damage)
	{
		case DAMAGE_MISSING:
			UNIT_CHECK(reef_memory_bucket_remove(bucket, victim->key));
			return;
		case DAMAGE_TRUNCATED:
			UNIT_CHECK(reef_memory_bucket_truncate(bucket, victim->key,
												   bytes.size * 2 / 3));
			return;
		case DAMAGE_FLIPPED:
			UNIT_CHECK(reef_memory_bucket_flip(bucket, victim->key, 60, 0x10));
			return;
		case DAMAGE_SWAPPED:
		case DAMAGE_ROLLED_BACK:
			break;
	}
	reef_buf_init(&copy);
	bytes = reef_memory_bucket_bytes(whole, source);
	UNIT_CHECK(bytes.size > 0);
	reef_buf_append(&copy, bytes.data, bytes.size);
	damage_bucket_replace(bucket, victim->key, reef_buf_slice(&copy));
	reef_buf_release(&copy);
}

static void
check_same_objects(ReefMemoryBucket *a, ReefMemoryBucket *b)
{
	UNIT_EQUAL_INT(reef_memory_bucket_count(a), reef_memory_bucket_count(b));
	for (size_t i = 0; i < reef_memory_bucket_count(a); i++)
	{
		const char *key = reef_memory_bucket_key(a, i);

		UNIT_EQUAL_STRING(key, reef_memory_bucket_key(b, i));
		UNIT_EQUAL_BYTES(reef_memory_bucket_bytes(a, key),
						 reef_memory_bucket_bytes(b, key));
	}
}

/* Every byte that was there before is there, under its name or set aside. */
static void
check_nothing_destroyed(ReefMemoryBucket *before, ReefMemoryBucket *after)
{
	for (size_t i = 0; i < reef_memory_bucket_count(before); i++)
	{
		const char *key = reef_memory_bucket_key(before, i);
		ReefSlice	bytes = reef_memory_bucket_bytes(before, key);
		bool		is_found = reef_slice_equal(bytes,
												reef_memory_bucket_bytes(after,
																		 key));

		for (size_t k = 0; k < reef_memory_bucket_count(after) && !is_found;
			 k++)
		{
			const char *copy = reef_memory_bucket_key(after, k);

			is_found = strstr(copy, PREFIX "quarantine") == copy &&
				strstr(copy, key + strlen(PREFIX)) != NULL &&
				reef_slice_equal(bytes,
								 reef_memory_bucket_bytes(after, copy));
		}
		if (!is_found)
			UNIT_FAIL("%s is gone", key);
	}
}

static void
print_case(const char *name, const char *damage, const DamageReport *found,
		   const DamageReport *done, const DamageRows *before,
		   const DamageRows *after)
{
	char		lost[300] = "";
	int			id;

	if (getenv("REEF_REPAIR_TABLE") == NULL)
		return;
	for (id = 0; id < DAMAGE_IDS; id++)
	{
		size_t		used = strlen(lost);

		if (strcmp(before->v[id], after->v[id]) == 0)
			continue;
		snprintf(lost + used, sizeof(lost) - used, "%s%d%s%s",
				 used > 0 ? ", " : "", id,
				 after->v[id][0] == '\0' ? "" : " is as before: ",
				 after->v[id]);
	}
	printf("| %s %s | %s: %s | %s | %s | yes |\n", name, damage,
		   found->errors > 0 ? "error" :
		   found->warnings > 0 ? "warning" : "info",
		   found->names[0] == '\0' ? "-" : found->names,
		   done->names[0] == '\0' ? "nothing to do" : done->names,
		   lost[0] == '\0' ? "nothing" : lost);
}

/*
 * Detected, nobody reads wrong rows, a dry run changes nothing, repaired, what
 * is left is what the model says, sound again, and nothing to do twice.
 */
static void
check_case(const char *name, const char *damage, ReefMemoryBucket *bucket,
		   bool is_detected, const DamageRows *expected)
{
	ReefMemoryBucket *before = damage_bucket_clone(bucket);
	DamageReport found;
	DamageReport planned;
	DamageReport done;
	DamageReport again;
	DamageRows	whole;
	DamageRows	rows;
	ReefError	err;
	ReefCode	rc;

	damage_expect(0, 0, &whole);
	UNIT_OK(damage_verify(bucket, true, &found, &err), &err);
	if ((found.errors + found.warnings > 0) != is_detected)
		UNIT_FAIL("%s %s: verify says %s", name, damage, found.names);
	rc = damage_read(bucket, &rows, &err);
	if (rc == REEF_OK && !damage_rows_equal(&rows, &whole))
		UNIT_FAIL("%s %s: wrong rows are read", name, damage);
	if (rc != REEF_OK)
		UNIT_CHECK(found.errors > 0);

	UNIT_OK(damage_repair(bucket, true, &planned, &err), &err);
	check_same_objects(before, bucket);
	rc = damage_repair(bucket, false, &done, &err);
	if (rc != REEF_OK)
		UNIT_FAIL("%s %s: repair says %s: %s", name, damage, err.message,
				  err.detail);
	if (strcmp(planned.names, done.names) != 0)
		UNIT_FAIL("%s %s: planned %s, done %s", name, damage, planned.names,
				  done.names);
	check_nothing_destroyed(before, bucket);

	rc = damage_read(bucket, &rows, &err);
	if (rc != REEF_OK || !damage_rows_equal(&rows, expected))
		UNIT_FAIL("%s %s: repaired (%s) to something else: %s %s", name,
				  damage, done.names, err.message, err.detail);
	UNIT_OK(damage_verify(bucket, true, &again, &err), &err);
	if (again.errors + again.warnings > 0)
		UNIT_FAIL("%s %s: after repair (%s) there is %s: %s in %s", name,
				  damage, done.names, again.names, again.details,
				  again.objects);
	print_case(name, damage, &found, &done, &whole, &rows);
	UNIT_OK(damage_repair(bucket, false, &again, &err), &err);
	UNIT_EQUAL_STRING(again.names, "");
	reef_memory_bucket_free(before);
}

/* A writer goes on where the repair left off. */
static void
check_writable(ReefMemoryBucket *bucket)
{
	Cluster    *cluster = cluster_open(bucket, 3);
	DamageReport report;
	ReefError	err;

	UNIT_EQUAL_INT(cluster_insert(cluster, 30, "new"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(cluster).folded);
	cluster_close(cluster);
	UNIT_OK(damage_verify(bucket, true, &report, &err), &err);
	UNIT_EQUAL_INT(report.errors + report.warnings, 0);
}

static void
set_victim(Victim *victim, const char *name, const char *key,
		   const char *older, const char *other, unsigned homes,
		   uint32_t records)
{
	victim->name = name;
	snprintf(victim->key, sizeof(victim->key), "%s", key);
	snprintf(victim->older, sizeof(victim->older), "%s", older);
	snprintf(victim->other, sizeof(victim->other), "%s", other);
	victim->homes = homes;
	victim->records = records;
}

static void
record_key(uint64_t lsn, char key[REEF_OBJECT_KEY_SIZE])
{
	reef_layout_wal_key("public/rows", lsn, key);
}

static int
make_victims(const DamageNamespace *made, Victim *victims)
{
	static const char *const record_names[] = {
		"record 10 (insert)", "record 11 (update of 10's row)",
		"record 12 (insert and delete)", "record 13 (upsert)",
		"record 14 (update of a folded row)",
		"record 15 (insert of a deleted key)", "record 16 (update again)",
		"record 17 (insert of a deleted key)", "record 18 (delete)",
		"record 19 (attach)"
	};
	int			count = 0;
	char		key[REEF_OBJECT_KEY_SIZE];
	char		older[REEF_OBJECT_KEY_SIZE];
	char		other[REEF_OBJECT_KEY_SIZE];
	uint64_t	lsn;

	set_victim(&victims[count++], "old manifest", MANIFEST_1, MANIFEST_2,
			   MANIFEST_2, 0, 0);
	set_victim(&victims[count++], "current manifest", MANIFEST_2, MANIFEST_1,
			   MANIFEST_1, 0, 0);
	set_victim(&victims[count++], "segment A", made->segments[0],
			   made->segments[1], made->segments[2], DAMAGE_HOME_A, 0);
	set_victim(&victims[count++], "segment B", made->segments[1],
			   made->segments[0], made->segments[2], DAMAGE_HOME_B, 0);
	set_victim(&victims[count++], "attached segment S", made->segments[2],
			   made->segments[0], made->segments[1], DAMAGE_HOME_S, 0);
	record_key(2, older);
	record_key(1, other);
	record_key(5, key);
	set_victim(&victims[count++], "record 5 (applied)", key, older, other, 0,
			   0);
	record_key(15, other);
	for (lsn = DAMAGE_RECORD_FIRST; lsn <= DAMAGE_RECORD_LAST; lsn++)
	{
		record_key(lsn, key);
		record_key(lsn == 15 ? 14 : 15, other);
		record_key(lsn - 1, older);
		set_victim(&victims[count++],
				   record_names[lsn - DAMAGE_RECORD_FIRST], key, older, other,
				   0, UINT32_C(1) << lsn);
	}
	return count;
}

/* Nothing refers to it any more, or nothing knew that it was there. */
static bool
is_undetectable(const Victim *victim, Damage damage, bool is_collected)
{
	if (strstr(victim->name, "applied") != NULL)
		return true;
	return damage == DAMAGE_MISSING && !is_collected &&
		strstr(victim->name, "manifest") != NULL;
}

/* With the log from the beginning, folded rows are there twice. */
static void
expect(const Victim *victim, bool is_collected, DamageRows *rows)
{
	unsigned	homes = victim->homes;

	if (!is_collected && homes != DAMAGE_HOME_S)
		homes = 0;
	damage_expect(homes, victim->records, rows);
}

static void
check_damages(ReefMemoryBucket *whole, ReefMemoryBucket *start,
			  const Victim *victim, bool is_collected)
{
	char		name[100];

	snprintf(name, sizeof(name), "%s%s", victim->name,
			 is_collected ? "" : ", log kept");
	for (int i = 0; i < DAMAGE_COUNT; i++)
	{
		ReefMemoryBucket *bucket;
		Damage		damage = (Damage) i;
		DamageRows	expected;

		/* that the last record is missing nobody can know */
		if (damage == DAMAGE_MISSING &&
			strstr(victim->name, "record 19") != NULL)
			continue;
		bucket = damage_bucket_clone(start);
		do_damage(bucket, whole, victim, damage);
		expect(victim, is_collected, &expected);
		check_case(name, damage_names[i], bucket,
				   !is_undetectable(victim, damage, is_collected), &expected);
		check_writable(bucket);
		reef_memory_bucket_free(bucket);
	}
}

static void
check_victims(bool is_collected)
{
	DamageNamespace made;
	ReefMemoryBucket *start;
	Victim		victims[20];
	int			count;

	damage_namespace_make(&made);
	start = damage_bucket_clone(made.bucket);
	if (is_collected)
	{
		Cluster    *reader = cluster_open(start, 99);

		bucket_collect(start, reader);
		cluster_close(reader);
	}
	count = make_victims(&made, victims);
	for (int i = 0; i < count; i++)
	{
		if (reef_memory_bucket_bytes(start, victims[i].key).size > 0)
			check_damages(made.bucket, start, &victims[i], is_collected);
	}
	reef_memory_bucket_free(start);
	reef_memory_bucket_free(made.bucket);
}

UNIT_TEST(test_repair__each_object_damaged_in_each_way)
{
	check_victims(true);
}

UNIT_TEST(test_repair__nothing_is_lost_that_the_log_still_has)
{
	check_victims(false);
}

/* ---- many damages at once ---- */

UNIT_TEST(test_repair__any_damages_together_lose_what_each_would)
{
	DamageNamespace made;
	ReefMemoryBucket *start;
	Cluster    *reader;
	Victim		victims[20];
	int			count;

	damage_namespace_make(&made);
	start = damage_bucket_clone(made.bucket);
	reader = cluster_open(start, 99);
	bucket_collect(start, reader);
	cluster_close(reader);
	count = make_victims(&made, victims);
	for (int round = 0; round < 40; round++)
	{
		ReefMemoryBucket *bucket = damage_bucket_clone(start);
		unsigned	homes = 0;
		uint32_t	records = 0;
		int			damaged = 0;
		DamageRows	expected;
		char		name[100];

		snprintf(name, sizeof(name), "round %d", round);
		for (int i = 0; i < count; i++)
		{
			Damage		damage = (Damage) unit_random_below(DAMAGE_COUNT);

			if (unit_random_below(4) > 0 ||
				reef_memory_bucket_bytes(bucket, victims[i].key).size == 0)
				continue;
			if (damage == DAMAGE_MISSING &&
				strstr(victims[i].name, "record 19") != NULL)
				damage = DAMAGE_FLIPPED;
			do_damage(bucket, made.bucket, &victims[i], damage);
			homes |= victims[i].homes;
			records |= victims[i].records;
			damaged++;
		}
		damage_expect(homes, records, &expected);
		/* a segment whose record is lost is nobody's */
		if (damaged > 0 && !(homes == DAMAGE_HOME_S && damaged == 1))
			check_case(name, "", bucket, true, &expected);
		reef_memory_bucket_free(bucket);
	}
	reef_memory_bucket_free(start);
	reef_memory_bucket_free(made.bucket);
}

/* ---- crashes, other servers ---- */

static ReefCode
ignore_action(void *arg, const ReefAction *action, ReefError *err)
{
	(void) arg;
	(void) action;
	(void) err;
	return REEF_OK;
}

/* Two records, an attached segment and an old manifest are bad. */
static void
make_bad(DamageNamespace *made, DamageRows *expected)
{
	char		key[REEF_OBJECT_KEY_SIZE];

	damage_namespace_make(made);
	record_key(12, key);
	UNIT_CHECK(reef_memory_bucket_remove(made->bucket, key));
	record_key(14, key);
	UNIT_CHECK(reef_memory_bucket_flip(made->bucket, key, 70, 1));
	UNIT_CHECK(reef_memory_bucket_flip(made->bucket, made->segments[2], 60, 1));
	UNIT_CHECK(reef_memory_bucket_flip(made->bucket, MANIFEST_1, 60, 1));
	damage_expect(DAMAGE_HOME_S, 1 << 12 | 1 << 14, expected);
}

/* A repair that meets a fault at its n-th call, then one that does not; false:
 * it made fewer calls. */
static bool
check_fault(ReefMemoryBucket *start, const DamageRows *expected, uint64_t n,
			ReefFault fault)
{
	ReefMemoryBucket *bucket = damage_bucket_clone(start);
	Cluster    *cluster = cluster_open(bucket, 9);
	bool		is_met;
	DamageReport report;
	DamageRows	rows;
	ReefError	err;
	ReefCode	rc;

	reef_error_init(&err);
	reef_faulty_store_fail_nth(cluster->faulty, n, fault);
	rc = reef_repair(cluster->ns, false, ignore_action, NULL, &err);
	is_met = reef_faulty_store_calls(cluster->faulty) >= n;
	if (!is_met)
		UNIT_OK(rc, &err);
	if (reef_faulty_store_has_crashed(cluster->faulty))
		cluster_crash(cluster);
	else
		cluster_close(cluster);
	check_nothing_destroyed(start, bucket);
	UNIT_OK(damage_repair(bucket, false, &report, &err), &err);
	UNIT_OK(damage_read(bucket, &rows, &err), &err);
	if (!damage_rows_equal(&rows, expected))
		UNIT_FAIL("other rows after fault %d at call %llu", (int) fault,
				  (unsigned long long) n);
	UNIT_OK(damage_verify(bucket, true, &report, &err), &err);
	UNIT_EQUAL_STRING(report.details, "");
	check_nothing_destroyed(start, bucket);
	reef_memory_bucket_free(bucket);
	return is_met;
}

/* (some of the calls, all if REEF_TEST_EXHAUSTIVE is set) */
UNIT_TEST(test_repair__a_fault_at_any_call_destroys_nothing_i1)
{
	static const ReefFault faults[] = {
		REEF_FAULT_CRASH_BEFORE, REEF_FAULT_CRASH_AFTER, REEF_FAULT_REFUSE,
		REEF_FAULT_LOSE_RESPONSE
	};
	bool		is_exhaustive = getenv("REEF_TEST_EXHAUSTIVE") != NULL;
	DamageNamespace made;
	DamageRows	expected;

	make_bad(&made, &expected);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
	{
		uint64_t	n = 1;

		while (check_fault(made.bucket, &expected, n, faults[i]))
			n += is_exhaustive ? 1 : 1 + unit_random_below(7);
		UNIT_CHECK(n > 60);
	}
	reef_memory_bucket_free(made.bucket);
}

UNIT_TEST(test_repair__a_writer_elsewhere_goes_on_after_it_i1)
{
	DamageNamespace made;
	Cluster    *writer;
	DamageReport report;
	DamageRows	rows;
	ReefError	err;
	char		key[REEF_OBJECT_KEY_SIZE];

	damage_namespace_make(&made);
	writer = cluster_open(made.bucket, 2);
	UNIT_EQUAL_INT(cluster_insert(writer, 24, "w"), REEF_FRAME_DURABLE);
	record_key(12, key);
	UNIT_CHECK(reef_memory_bucket_remove(made.bucket, key));
	UNIT_OK(damage_repair(made.bucket, false, &report, &err), &err);
	/* no number is free for who has slept */
	UNIT_CHECK(reef_memory_bucket_bytes(made.bucket, key).size > 0);
	while (cluster_insert(writer, 25, "w") != REEF_FRAME_DURABLE)
		;
	UNIT_OK(damage_read(made.bucket, &rows, &err), &err);
	UNIT_EQUAL_STRING(rows.v[24], "w");
	UNIT_EQUAL_STRING(rows.v[25], "w");
	UNIT_EQUAL_STRING(rows.v[9], "");
	cluster_close(writer);
	reef_memory_bucket_free(made.bucket);
}

UNIT_TEST(test_repair__waits_for_transactions_that_have_not_ended_i3)
{
	DamageNamespace made;
	Cluster    *cluster;
	FrameBuilder builder;
	ReefFrame  *frame;
	DamageRows	rows;
	ReefError	err;

	damage_namespace_make(&made);
	cluster = cluster_open(made.bucket, 2);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_IN_PROGRESS);
	frame_begin(&builder, cluster);
	frame_insert(&builder, 24, "w");
	frame = frame_end(&builder, 7);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	reef_frame_free(cluster->host, frame);
	UNIT_CHECK(reef_memory_bucket_flip(made.bucket, made.segments[2], 60, 1));
	UNIT_CODE(reef_repair(cluster->ns, false, ignore_action, NULL, &err),
			  REEF_UNAVAILABLE, &err);
	fake_host_set_xid(cluster->fake, 7, REEF_XID_ABORTED);
	UNIT_OK(reef_repair(cluster->ns, false, ignore_action, NULL, &err), &err);
	UNIT_OK(damage_read(made.bucket, &rows, &err), &err);
	UNIT_EQUAL_STRING(rows.v[24], "");
	UNIT_EQUAL_INT(cluster_insert(cluster, 24, "x"), REEF_FRAME_DURABLE);
	cluster_close(cluster);
	reef_memory_bucket_free(made.bucket);
}

/* ---- little ---- */

UNIT_TEST(test_repair__a_table_of_one_lost_record_is_an_empty_table)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	DamageReport report;
	DamageRows	rows;
	ReefError	err;
	char		key[REEF_OBJECT_KEY_SIZE];

	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
	cluster_close(cluster);
	record_key(2, key);
	UNIT_CHECK(reef_memory_bucket_flip(bucket, key, 70, 1));
	UNIT_OK(damage_repair(bucket, false, &report, &err), &err);
	UNIT_OK(damage_read(bucket, &rows, &err), &err);
	UNIT_EQUAL_STRING(rows.v[1], "");
	UNIT_OK(damage_verify(bucket, true, &report, &err), &err);
	UNIT_EQUAL_INT(report.errors, 0);
	UNIT_OK(damage_repair(bucket, false, &report, &err), &err);
	UNIT_EQUAL_STRING(report.names, "");
	cluster = cluster_open(bucket, 2);
	UNIT_EQUAL_INT(cluster_insert(cluster, 1, "y"), REEF_FRAME_DURABLE);
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* A record of another history of the same namespace, in its right place. */
UNIT_TEST(test_repair__a_record_of_another_history_is_not_applied)
{
	DamageNamespace made;
	ReefMemoryBucket *fork;
	Cluster    *cluster;
	DamageRows	expected;
	char		key[REEF_OBJECT_KEY_SIZE];

	damage_namespace_make(&made);
	fork = damage_bucket_clone(made.bucket);
	for (uint64_t lsn = 13; lsn <= DAMAGE_RECORD_LAST; lsn++)
	{
		record_key(lsn, key);
		UNIT_CHECK(reef_memory_bucket_remove(fork, key));
	}
	cluster = cluster_open(fork, 4);
	UNIT_EQUAL_INT(cluster_insert(cluster, 26, "fork"), REEF_FRAME_DURABLE);
	cluster_close(cluster);
	record_key(14, key);
	damage_bucket_replace(made.bucket, key,
						  reef_memory_bucket_bytes(fork, key));
	reef_memory_bucket_free(fork);
	damage_expect(0, 1 << 14, &expected);
	check_case("record 14", "of another history", made.bucket, true,
			   &expected);
	reef_memory_bucket_free(made.bucket);
}

UNIT_TEST(test_repair__objects_of_another_namespace_are_not_believed)
{
	static const uint64_t lsns[] = {12, 14};
	ReefMemoryBucket *other = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(other, 6);
	DamageNamespace made;
	DamageRows	expected;
	char		key[REEF_OBJECT_KEY_SIZE];

	for (int id = 1; id < 20; id++)
	{
		UNIT_EQUAL_INT(cluster_insert(cluster, id, "other"),
					   REEF_FRAME_DURABLE);
		if (id % 5 == 0)
			UNIT_CHECK(cluster_fold(cluster).folded);
	}
	cluster_close(cluster);
	damage_namespace_make(&made);
	reef_layout_manifest_key("public/rows", 3, key);
	damage_bucket_replace(made.bucket, key,
						  reef_memory_bucket_bytes(other, key));
	for (int i = 0; i < 2; i++)
	{
		record_key(lsns[i], key);
		damage_bucket_replace(made.bucket, key,
							  reef_memory_bucket_bytes(other, key));
	}
	damage_expect(0, 1 << 12 | 1 << 14, &expected);
	check_case("manifest, records", "of another namespace", made.bucket, true,
			   &expected);
	reef_memory_bucket_free(other);
	reef_memory_bucket_free(made.bucket);
}

UNIT_TEST(test_repair__what_was_compacted_is_there_again)
{
	DamageNamespace made;
	Cluster    *cluster;
	ReefCompactResult result;
	ReefArena	arena;
	ReefBuf		bytes;
	ReefManifest manifest;
	DamageRows	expected;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefError	err;

	damage_namespace_make(&made);
	cluster = cluster_open(made.bucket, 2);
	UNIT_OK(reef_compact(cluster->ns, true, &result, &err), &err);
	UNIT_CHECK(result.compacted);
	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	UNIT_OK(reef_manifest_load_current(cluster->ns, &arena, &manifest, &bytes,
									   &err), &err);
	UNIT_EQUAL_INT(manifest.segment_count, 1);
	UNIT_EQUAL_INT(manifest.segments[0].level, 1);
	reef_layout_segment_key("public/rows", manifest.segments[0].id, key);
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	cluster_close(cluster);
	for (uint64_t lsn = 2; lsn < DAMAGE_RECORD_FIRST; lsn++)
	{
		char		record[REEF_OBJECT_KEY_SIZE];

		record_key(lsn, record);
		UNIT_CHECK(reef_memory_bucket_remove(made.bucket, record));
	}
	UNIT_CHECK(reef_memory_bucket_remove(made.bucket, key));
	damage_expect(0, 0, &expected);
	check_case("compacted segment, old manifest kept", "missing", made.bucket,
			   true, &expected);
	reef_memory_bucket_free(made.bucket);
}

/* A transaction that is saved is not done again [I6]. */
UNIT_TEST(test_repair__idempotency_keys_are_saved_with_their_rows_i6)
{
	ReefFrameHeader header = {
		.schema = fixture_schema,
		.idempotency_key = reef_slice_of_string("once")
	};
	DamageNamespace made;
	Cluster    *cluster;
	FrameBuilder builder;
	ReefFrame  *frame;
	ReefManifest manifest;
	DamageReport report;
	ReefArena	arena;
	ReefBuf		bytes;
	ReefError	err;

	damage_namespace_make(&made);
	cluster = cluster_open(made.bucket, 2);
	frame_begin(&builder, cluster);
	reef_frame_writer_free(builder.writer);
	UNIT_OK(reef_frame_writer_new(&header, &builder.writer, &err), &err);
	frame_insert(&builder, 27, "x");
	frame = frame_end(&builder, 0);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	reef_frame_free(cluster->host, frame);
	UNIT_CHECK(reef_memory_bucket_flip(made.bucket, made.segments[2], 60, 1));
	UNIT_OK(damage_repair(made.bucket, false, &report, &err), &err);
	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	UNIT_OK(reef_manifest_load_current(cluster->ns, &arena, &manifest, &bytes,
									   &err), &err);
	UNIT_EQUAL_INT(manifest.idempotency_count, 1);
	UNIT_EQUAL_BYTES(manifest.idempotency[0].key,
					 reef_slice_of_string("once"));
	UNIT_EQUAL_INT(manifest.idempotency[0].lsn, DAMAGE_RECORD_LAST + 2);
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	cluster_close(cluster);
	reef_memory_bucket_free(made.bucket);
}

UNIT_TEST(test_repair__strangers_and_orphans_are_left_alone_i9)
{
	DamageNamespace made;
	ReefMemoryBucket *before;
	DamageReport report;
	ReefError	err;

	damage_namespace_make(&made);
	damage_bucket_replace(made.bucket, PREFIX "notes.txt",
						  reef_slice_of_string("buy milk"));
	damage_bucket_replace(made.bucket,
						  PREFIX "segment/01935a00-0001-7002-8003-040506070809.parquet",
						  reef_slice_of_string("PAR1"));
	before = damage_bucket_clone(made.bucket);
	UNIT_OK(damage_verify(made.bucket, true, &report, &err), &err);
	UNIT_EQUAL_INT(report.infos, 2);
	UNIT_EQUAL_STRING(report.details, "");
	UNIT_OK(damage_repair(made.bucket, false, &report, &err), &err);
	UNIT_EQUAL_STRING(report.names, "");
	check_same_objects(before, made.bucket);
	/* neither does a repair of something else touch them */
	UNIT_CHECK(reef_memory_bucket_flip(made.bucket, made.segments[2], 60, 1));
	UNIT_OK(damage_repair(made.bucket, false, &report, &err), &err);
	UNIT_CHECK(reef_memory_bucket_bytes(made.bucket,
										PREFIX "notes.txt").size > 0);
	reef_memory_bucket_free(before);
	reef_memory_bucket_free(made.bucket);
}
