/*
 * test_admin.c
 *	  Listing what is stored, and dropping it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_fixture.h"
#include "unit.h"

/* Two folds, a tail, fences of two servers. */
static void
fill(ReefMemoryBucket *bucket)
{
	Cluster    *first = cluster_open(bucket, 1);
	Cluster    *second = cluster_open(bucket, 2);

	UNIT_EQUAL_INT(cluster_insert(first, 1, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(first).folded);
	UNIT_EQUAL_INT(cluster_insert(second, 2, "x"), REEF_FRAME_DURABLE);
	UNIT_CHECK(cluster_fold(second).folded);
	UNIT_EQUAL_INT(cluster_insert(second, 3, "x"), REEF_FRAME_DURABLE);
	cluster_close(second);
	cluster_close(first);
}

#define TEXT_SIZE 500

static ReefCode
append_line(void *arg, const ReefObjectLine *line, ReefError *err)
{
	char	   *text = arg;

	(void) err;
	snprintf(text + strlen(text), TEXT_SIZE - strlen(text), "%llu%s%s ",
			 (unsigned long long) line->number, line->is_current ? "*" : "",
			 line->readable ? "" : "!");
	return REEF_OK;
}

static ReefCode
append_name(void *arg, const char *name, ReefError *err)
{
	char	   *text = arg;

	(void) err;
	snprintf(text + strlen(text), TEXT_SIZE - strlen(text), "%s ", name);
	return REEF_OK;
}

UNIT_TEST(test_admin__objects_are_listed_damaged_ones_too)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster;
	char		key[REEF_OBJECT_KEY_SIZE];
	char		text[TEXT_SIZE] = "";
	ReefError	err;

	fill(bucket);
	reef_layout_manifest_key("public/rows", 1, key);
	UNIT_CHECK(reef_memory_bucket_flip(bucket, key, 50, 1));
	cluster = cluster_open(bucket, 3);
	UNIT_OK(reef_namespace_manifests(cluster->ns, append_line, text, &err),
			&err);
	UNIT_EQUAL_STRING(text, "1! 2* ");
	text[0] = '\0';
	UNIT_OK(reef_namespace_wal(cluster->ns, append_line, text, &err), &err);
	UNIT_EQUAL_STRING(text, "1 2 3 4 5* ");
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

UNIT_TEST(test_admin__namespaces_are_found_by_their_objects)
{
	static const char *const keys[] = {
		"a/b/manifest/00000000000000000001.json",
		"a/b/wal/00000000000000000001.wal",
		"a/manifest/00000000000000000001.json",
		"a/n/wal/00000000000000000001.wal",
		"a/wal/00000000000000000001.wal",
		"notes.txt",
		"public/rows/wal/00000000000000000001.wal"
	};
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	Cluster    *cluster = cluster_open(bucket, 1);
	char		text[TEXT_SIZE] = "";
	ReefError	err;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		UNIT_OK(reef_store_put_if_absent(cluster->store, keys[i],
										 reef_slice_of_string("x"), &err),
				&err);
	UNIT_OK(reef_store_namespaces(cluster->store, NULL, append_name, text,
								  &err), &err);
	UNIT_EQUAL_STRING(text, "a/b a a/n public/rows ");
	text[0] = '\0';
	UNIT_OK(reef_store_namespaces(cluster->store, "a", append_name, text,
								  &err), &err);
	UNIT_EQUAL_STRING(text, "a/b a/n ");
	cluster_close(cluster);
	reef_memory_bucket_free(bucket);
}

/* What a server finds that knows nothing: rows, or -1 for damage. */
static int
rows_found(ReefMemoryBucket *bucket)
{
	Cluster    *reader = cluster_open(bucket, 99);
	ReefView   *view;
	ReefError	err;
	ReefCode	rc;
	int			count = -1;

	reef_error_init(&err);
	rc = reef_view_pin(reader->ns, NULL, 0, &view, &err);
	if (rc == REEF_OK)
	{
		reef_view_unpin(view);
		count = cluster_count(reader, NULL);
	}
	else
		UNIT_EQUAL_INT(rc, REEF_CORRUPT);
	cluster_close(reader);
	return count;
}

static bool
drop(Cluster *cluster)
{
	uint64_t	objects;
	ReefError	err;

	return reef_namespace_drop(cluster->ns, &objects, &err) == REEF_OK;
}

UNIT_TEST(test_admin__an_interrupted_drop_leaves_all_or_an_error_i10)
{
	bool		has_crashed = true;

	for (uint64_t n = 1; has_crashed; n++)
	{
		ReefMemoryBucket *bucket = reef_memory_bucket_new();
		Cluster    *cluster;
		int			rows;

		fill(bucket);
		cluster = cluster_open(bucket, 3);
		reef_faulty_store_fail_nth(cluster->faulty, n,
								   REEF_FAULT_CRASH_BEFORE);
		UNIT_CHECK(drop(cluster) ==
				   !reef_faulty_store_has_crashed(cluster->faulty));
		has_crashed = reef_faulty_store_has_crashed(cluster->faulty);
		cluster_crash(cluster);
		rows = rows_found(bucket);
		UNIT_CHECK(rows == 3 || rows == -1 || rows == 0);
		UNIT_EQUAL_INT(rows == 0, reef_memory_bucket_count(bucket) == 0);

		cluster = cluster_open(bucket, 4);
		UNIT_CHECK(drop(cluster));
		UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), 0);
		/* the name is free again */
		UNIT_EQUAL_INT(cluster_insert(cluster, 1, "x"), REEF_FRAME_DURABLE);
		UNIT_EQUAL_INT(cluster_count(cluster, NULL), 1);
		cluster_close(cluster);
		reef_memory_bucket_free(bucket);
		UNIT_CHECK(n < 200);
	}
}
