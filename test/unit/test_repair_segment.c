/*
 * test_repair_segment.c
 *	  What is saved of a segment, page by page.
 */
#include <stdio.h>

#include "damage_fixture.h"
#include "unit.h"

#define PAGE_TEST_ROWS 9000
#define PAGE_ROWS 4096

/* The segment that is not "known". */
static void
find_segment(ReefMemoryBucket *bucket, const char *known,
			 char key[REEF_OBJECT_KEY_SIZE])
{
	for (size_t i = 0; i < reef_memory_bucket_count(bucket); i++)
	{
		const char *candidate = reef_memory_bucket_key(bucket, i);

		if (strstr(candidate, "public/rows/segment") == candidate &&
			strcmp(candidate, known) != 0)
		{
			snprintf(key, REEF_OBJECT_KEY_SIZE, "%s", candidate);
			return;
		}
	}
	UNIT_FAIL("there is no segment");
}

static void
make_large(ReefMemoryBucket *bucket, bool is_compacted,
		   char key[REEF_OBJECT_KEY_SIZE])
{
	Cluster    *cluster = cluster_open(bucket, 1);
	char		replaced[REEF_OBJECT_KEY_SIZE] = "";
	ReefCompactResult compacted;
	FrameBuilder builder;
	ReefFrame  *frame;
	ReefError	err;

	frame_begin(&builder, cluster);
	for (int id = 0; id < PAGE_TEST_ROWS; id++)
	{
		char		v[20];

		snprintf(v, sizeof(v), "%d", id * 7919);
		frame_insert(&builder, id, v);
	}
	frame = frame_end(&builder, 0);
	UNIT_OK(cluster_commit(cluster, &frame, 1, &err), &err);
	reef_frame_free(cluster->host, frame);
	UNIT_CHECK(cluster_fold(cluster).folded);
	if (is_compacted)
	{
		find_segment(bucket, "", replaced);
		UNIT_OK(reef_compact(cluster->ns, true, &compacted, &err), &err);
		UNIT_CHECK(compacted.compacted);
	}
	bucket_collect(bucket, cluster);
	find_segment(bucket, replaced, key);
	if (is_compacted)
		UNIT_CHECK(reef_memory_bucket_remove(bucket, replaced));
	cluster_close(cluster);
}

/* Which pages' rows are there: all of a page's, or none; and all are right. */
static unsigned
read_pages(ReefMemoryBucket *bucket, int *rows)
{
	Cluster    *cluster = cluster_open(bucket, 5);
	unsigned	pages = 0;

	*rows = cluster_count(cluster, NULL);
	for (int id = 0; id < PAGE_TEST_ROWS; id++)
	{
		char		expected[20];
		char		v[100];
		bool		is_there = cluster_read(cluster, id, NULL, v);

		snprintf(expected, sizeof(expected), "%d", id * 7919);
		if (is_there)
			UNIT_EQUAL_STRING(v, expected);
		if (id % PAGE_ROWS == 0 && is_there)
			pages |= 1u << (id / PAGE_ROWS);
		UNIT_EQUAL_INT(pages >> (id / PAGE_ROWS) & 1, is_there);
	}
	cluster_close(cluster);
	return pages;
}

static void
check_lost_page(const DamageReport *report, unsigned pages, int rows)
{
	UNIT_EQUAL_STRING(report->names,
					  "fence, quarantine, lost documents, salvage, manifest");
	/* one page of the three */
	UNIT_CHECK(pages == 6 || pages == 5 || pages == 3);
	UNIT_EQUAL_INT(rows, PAGE_TEST_ROWS - (pages == 3 ?
										   PAGE_TEST_ROWS % PAGE_ROWS :
										   PAGE_ROWS));
	UNIT_CHECK(strstr(report->details, pages == 3 ? "808 rows of record" :
					  "4096 rows of record") != NULL);
	UNIT_CHECK(strstr(report->details, pages == 6 ? "below 8000000000001000 (4096)" :
					  pages == 5 ? "above 8000000000000fff (4095) below 8000000000002000 (8192)" :
					  "above 8000000000001fff (8191) to") != NULL);
}

static void
check_pages(bool is_compacted)
{
	ReefMemoryBucket *start = reef_memory_bucket_new();
	char		key[REEF_OBJECT_KEY_SIZE];
	unsigned	seen = 0;
	size_t		size;

	make_large(start, is_compacted, key);
	size = reef_memory_bucket_bytes(start, key).size;
	for (int i = 1; i < 8; i++)
	{
		ReefMemoryBucket *bucket = damage_bucket_clone(start);
		DamageReport report;
		ReefError	err;
		unsigned	pages;
		int			rows;

		UNIT_CHECK(reef_memory_bucket_flip(bucket, key, size * (size_t) i / 10,
										   4));
		UNIT_OK(damage_verify(bucket, false, &report, &err), &err);
		UNIT_EQUAL_STRING(report.names, "checksum, unreadable");
		UNIT_OK(damage_repair(bucket, false, &report, &err), &err);
		pages = read_pages(bucket, &rows);
		if (pages == 7)
			/* it was the filter, which is made anew */
			UNIT_EQUAL_STRING(report.names,
							  "fence, quarantine, salvage, manifest");
		else
			check_lost_page(&report, pages, rows);
		UNIT_OK(damage_verify(bucket, true, &report, &err), &err);
		UNIT_EQUAL_STRING(report.details, "");
		seen |= 1u << pages;
		reef_memory_bucket_free(bucket);
	}
	/* not always the same page */
	seen &= 1u << 6 | 1u << 5 | 1u << 3;
	UNIT_CHECK((seen & (seen - 1)) != 0);
	reef_memory_bucket_free(start);
}

UNIT_TEST(test_repair__a_damaged_page_loses_its_rows_and_no_others)
{
	check_pages(false);
	check_pages(true);
}
