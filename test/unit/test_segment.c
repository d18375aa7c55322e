/*
 * test_segment.c
 *	  Segments: written, opened, searched, and refused when they are not what
 *	  their description says.
 */
#include "engine/segment_cache.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/document.h"
#include "fake_host.h"
#include "unit.h"
#include "../store/memory_store.h"

static const uint8_t namespace_id[16] = "namespace number";

typedef struct Bench
{
	ReefMemoryBucket *bucket;
	FakeHost   *fake;
	ReefStore  *store;
	ReefEngineSettings settings;
	ReefSegmentCache *cache;
	ReefArena	arena;
	ReefError	err;
} Bench;

static void
bench_open(Bench *bench)
{
	memset(bench, 0, sizeof(*bench));
	bench->bucket = reef_memory_bucket_new();
	bench->fake = fake_host_new();
	UNIT_OK(reef_memory_store_open(bench->bucket, &bench->fake->host, false,
								   &bench->store, &bench->err), &bench->err);
	reef_engine_settings_init(&bench->settings);
	UNIT_OK(reef_segment_cache_new(&bench->fake->host, bench->store, "t",
								   &bench->settings, &bench->cache,
								   &bench->err), &bench->err);
	reef_segment_cache_set_namespace(bench->cache, namespace_id);
	reef_arena_init(&bench->arena, 0);
}

static void
bench_close(Bench *bench)
{
	reef_segment_cache_free(bench->cache);
	reef_store_close(bench->store);
	reef_memory_bucket_free(bench->bucket);
	fake_host_free(bench->fake);
	reef_arena_release(&bench->arena);
}

static ReefSegmentWriter *
writer_new(Bench *bench, const ReefSchema *schema)
{
	ReefSegmentWriter *writer;

	UNIT_OK(reef_segment_writer_new(bench->store, "t", &bench->settings,
									namespace_id, schema, 0, true, &writer,
									&bench->err), &bench->err);
	return writer;
}

static ReefSlice
key_of(const ReefSchema *schema, const ReefValue *values, ReefBuf *key)
{
	ReefError	err;

	reef_buf_reset(key);
	UNIT_OK(reef_document_key(schema->columns, schema->column_count, values,
							  key, &err), &err);
	return reef_buf_slice(key);
}

/* ---- composite keys ---- */

static ReefColumn pair_columns[] = {
	{
		.name = "n",
		.type = {.kind = REEF_KIND_INT32, .length = -1, .pg_type = "integer"},
		.key_position = 2
	},
	{
		.name = "tenant",
		.type = {.kind = REEF_KIND_TEXT, .length = -1, .pg_type = "text"},
		.key_position = 1
	}
};

static const ReefSchema pair_schema = {2, pair_columns};

static void
set_pair(ReefValue values[2], char text[20], int tenant, int n)
{
	memset(values, 0, sizeof(ReefValue) * 2);
	snprintf(text, 20, "tenant%03d", tenant);
	values[0].as.int32 = n;
	values[1].as.bytes = reef_slice_of_string(text);
}

UNIT_TEST(test_segment__rows_are_found_when_many_pages_have_the_same_bounds)
{
	Bench		bench;
	ReefSegmentWriter *writer;
	ReefSegmentMeta meta;
	ReefSegment *segment;
	ReefRowPosition position;
	ReefValue	values[2];
	ReefBuf		key;
	char		text[20];
	bool		is_tombstone;
	uint64_t	lsn;
	int			tenant;
	int			n;

	bench_open(&bench);
	reef_buf_init(&key);
	writer = writer_new(&bench, &pair_schema);
	/* even numbers of three tenants: each fills several pages */
	for (tenant = 0; tenant < 3; tenant++)
	{
		for (n = 0; n < 20000; n += 2)
		{
			set_pair(values, text, tenant, n);
			UNIT_OK(reef_segment_writer_add(writer,
											key_of(&pair_schema, values, &key),
											(uint64_t) (n + 1), n % 10 == 0,
											n % 10 == 0, values, &bench.err),
					&bench.err);
		}
	}
	UNIT_OK(reef_segment_writer_finish(writer, &bench.arena, &meta,
									   &bench.err), &bench.err);
	UNIT_EQUAL_INT(meta.row_count, 30000);
	UNIT_EQUAL_INT(meta.tombstone_count, 6000);
	UNIT_EQUAL_INT(meta.superseding_count, 6000);
	UNIT_EQUAL_INT(meta.lsn_min, 1);
	UNIT_EQUAL_INT(meta.lsn_max, 19999);

	UNIT_OK(reef_segment_get(bench.cache, &meta, &pair_schema, &segment,
							 &bench.err), &bench.err);
	for (tenant = 0; tenant < 3; tenant++)
	{
		for (n = -3; n < 20010; n += 37)
		{
			ReefCode	rc;
			bool		expected = n >= 0 && n < 20000 && n % 2 == 0;

			set_pair(values, text, tenant, n);
			rc = reef_segment_find(segment,
								   key_of(&pair_schema, values, &key),
								   &position, &is_tombstone, &lsn, &bench.err);
			UNIT_EQUAL_INT(rc, expected ? REEF_OK : REEF_NOT_FOUND);
			if (!expected)
				continue;
			UNIT_EQUAL_INT(lsn, n + 1);
			UNIT_EQUAL_INT(is_tombstone, n % 10 == 0);
			UNIT_OK(reef_segment_document(segment, &position, pair_columns, 2,
										  &bench.arena, values, &bench.err),
					&bench.err);
			UNIT_EQUAL_INT(values[0].as.int32, n);
			UNIT_EQUAL_BYTES(values[1].as.bytes, reef_slice_of_string(text));
		}
	}
	reef_segment_release(segment);
	reef_buf_release(&key);
	bench_close(&bench);
}

UNIT_TEST(test_segment__rows_out_of_order_are_refused)
{
	Bench		bench;
	ReefSegmentWriter *writer;
	ReefValue	values[2];
	ReefBuf		key;
	char		text[20];

	bench_open(&bench);
	reef_buf_init(&key);
	writer = writer_new(&bench, &pair_schema);
	set_pair(values, text, 1, 1);
	key_of(&pair_schema, values, &key);
	UNIT_OK(reef_segment_writer_add(writer, reef_buf_slice(&key), 1, false,
									false, values, &bench.err), &bench.err);
	UNIT_CODE(reef_segment_writer_add(writer, reef_buf_slice(&key), 1, false,
									  false, values, &bench.err), REEF_BUG,
			  &bench.err);
	reef_segment_writer_abort(writer);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bench.bucket), 0);
	reef_buf_release(&key);
	bench_close(&bench);
}

/* ---- single keys ---- */

static ReefColumn single_columns[] = {
	{
		.name = "k",
		.type = {.kind = REEF_KIND_INT64, .length = -1, .pg_type = "bigint"},
		.key_position = 1
	},
	{
		.name = "v",
		.type = {.kind = REEF_KIND_TEXT, .length = -1, .pg_type = "text"}
	}
};

static const ReefSchema single_schema = {2, single_columns};

/* Keys step, 2 * step, ... */
static void
write_single(Bench *bench, int count, int step, ReefSegmentMeta *meta)
{
	ReefSegmentWriter *writer = writer_new(bench, &single_schema);
	ReefBuf		key;
	int			i;

	reef_buf_init(&key);
	for (i = 1; i <= count; i++)
	{
		ReefValue	values[2] = {{.as.int64 = (int64_t) i * step}};

		values[1].as.bytes = reef_slice_of_string("value");
		UNIT_OK(reef_segment_writer_add(writer,
										key_of(&single_schema, values, &key),
										7, false, false, values, &bench->err),
				&bench->err);
	}
	UNIT_OK(reef_segment_writer_finish(writer, &bench->arena, meta,
									   &bench->err), &bench->err);
	reef_buf_release(&key);
}

static bool
has_key(Bench *bench, ReefSegment *segment, int64_t id)
{
	ReefValue	values[2] = {{.as.int64 = id}, {.is_null = true}};
	ReefRowPosition position;
	ReefBuf		key;
	bool		is_tombstone;
	uint64_t	lsn;
	ReefCode	rc;

	reef_buf_init(&key);
	rc = reef_segment_find(segment, key_of(&single_schema, values, &key),
						   &position, &is_tombstone, &lsn, &bench->err);
	reef_buf_release(&key);
	if (rc == REEF_NOT_FOUND)
		return false;
	UNIT_OK(rc, &bench->err);
	UNIT_EQUAL_INT(lsn, 7);
	return true;
}

UNIT_TEST(test_segment__keys_are_found_across_row_groups)
{
	Bench		bench;
	ReefSegmentMeta meta;
	ReefSegment *segment;
	int			i;

	bench_open(&bench);
	write_single(&bench, 140000, 3, &meta);
	UNIT_OK(reef_segment_get(bench.cache, &meta, &single_schema, &segment,
							 &bench.err), &bench.err);
	UNIT_CHECK(segment->group_count > 1);
	for (i = -1; i < 140002; i += 997)
	{
		UNIT_EQUAL_INT(has_key(&bench, segment, (int64_t) i * 3),
					   i >= 1 && i <= 140000);
		UNIT_CHECK(!has_key(&bench, segment, (int64_t) i * 3 + 1));
	}
	reef_segment_release(segment);
	bench_close(&bench);
}

UNIT_TEST(test_segment__most_absent_keys_read_no_page)
{
	Bench		bench;
	ReefSegmentMeta meta;
	ReefSegment *segment;
	int			i;

	bench_open(&bench);
	write_single(&bench, 100000, 3, &meta);
	UNIT_OK(reef_segment_get(bench.cache, &meta, &single_schema, &segment,
							 &bench.err), &bench.err);
	for (i = 1; i <= 20; i++)
		UNIT_CHECK(!has_key(&bench, segment, i * 12000 + 1));
	/* 1 % false positives: 3 of 20 would be strange */
	UNIT_CHECK(reef_segment_cache_counters(bench.cache)->pages_read < 3);
	reef_segment_release(segment);
	bench_close(&bench);
}

UNIT_TEST(test_segment__pinned_pages_outlive_a_full_cache)
{
	Bench		bench;
	ReefSegmentMeta meta;
	ReefSegment *segment;
	ReefPage   *first;
	ReefPage   *again;
	int			i;

	bench_open(&bench);
	bench.settings.page_cache_size = 1;
	write_single(&bench, 50000, 1, &meta);
	UNIT_OK(reef_segment_get(bench.cache, &meta, &single_schema, &segment,
							 &bench.err), &bench.err);
	UNIT_OK(reef_segment_load_group(segment, 0, &bench.err), &bench.err);
	UNIT_OK(reef_segment_pin(segment, 0, 0, 0, REEF_PAGE_SOUGHT, &first,
							 &bench.err), &bench.err);
	for (i = 1; i <= 50000; i += 500)
		UNIT_CHECK(has_key(&bench, segment, i));
	UNIT_EQUAL_INT(((const int64_t *) first->vector.values)[10], 11);
	UNIT_OK(reef_segment_load_group(segment, 0, &bench.err), &bench.err);
	UNIT_OK(reef_segment_pin(segment, 0, 0, 0, REEF_PAGE_SOUGHT, &again,
							 &bench.err), &bench.err);
	UNIT_CHECK(again == first);
	reef_page_unpin(first);
	reef_page_unpin(again);
	reef_segment_release(segment);
	bench_close(&bench);
}

/* Is the first page still there when many others have been wanted?  Then it
 * is pinned. */
static bool
is_pinned(Bench *bench, const ReefSegmentMeta *meta)
{
	static const int64_t numbers[4096];
	ReefPageCache *shared = bench->settings.page_cache;
	const ReefHost *host = &bench->fake->host;
	ReefVector	vector = {REEF_KIND_INT64, NULL, numbers};
	ReefPageKey key = {"another segment", 0, 0, 0};
	ReefCachedPage *page;

	for (key.page = 0; key.page < 2000; key.page++)
	{
		page = reef_page_cache_insert(shared, host, &key, &vector, 4096,
									  REEF_PAGE_SOUGHT);
		if (page != NULL)
			reef_page_cache_unpin(page);
	}
	key.page = 0;
	memcpy(key.segment_id, meta->id, sizeof(key.segment_id));
	page = reef_page_cache_find(shared, host, &key, REEF_PAGE_PASSED);
	if (page != NULL)
		reef_page_cache_unpin(page);
	return page != NULL;
}

/* Two caches are two processes. */
UNIT_TEST(test_segment__processes_share_decoded_pages)
{
	enum {BUDGET = 4 << 20};
	ReefPageCache *shared = aligned_alloc(64, 1 << 20);
	Bench		bench;
	ReefSegmentCache *other;
	ReefSegmentMeta meta;
	ReefSegment *segment;
	ReefSegment *others;
	ReefPage   *first;
	ReefPage   *again;

	UNIT_CHECK(reef_page_cache_shared_size(BUDGET) <= 1 << 20);
	bench_open(&bench);
	bench.fake->cache_budget = BUDGET;
	reef_page_cache_init(shared, BUDGET,
						 FAKE_HOST_LOCKS - REEF_PAGE_CACHE_LOCKS);
	bench.settings.page_cache = shared;
	UNIT_OK(reef_segment_cache_new(&bench.fake->host, bench.store, "t",
								   &bench.settings, &other, &bench.err),
			&bench.err);
	write_single(&bench, 50000, 1, &meta);
	UNIT_OK(reef_segment_get(bench.cache, &meta, &single_schema, &segment,
							 &bench.err), &bench.err);
	UNIT_OK(reef_segment_get(other, &meta, &single_schema, &others,
							 &bench.err), &bench.err);
	UNIT_OK(reef_segment_load_group(segment, 0, &bench.err), &bench.err);
	UNIT_OK(reef_segment_pin(segment, 0, 0, 0, REEF_PAGE_SOUGHT, &first,
							 &bench.err), &bench.err);
	UNIT_OK(reef_segment_load_group(others, 0, &bench.err), &bench.err);
	UNIT_OK(reef_segment_pin(others, 0, 0, 0, REEF_PAGE_SOUGHT, &again,
							 &bench.err), &bench.err);
	UNIT_CHECK(again != first && again->vector.values == first->vector.values);
	UNIT_EQUAL_INT(((const int64_t *) first->vector.values)[10], 11);
	UNIT_EQUAL_INT(reef_segment_cache_counters(bench.cache)->pages_read, 1);
	UNIT_EQUAL_INT(reef_segment_cache_counters(other)->pages_read, 0);
	UNIT_EQUAL_INT(reef_segment_cache_counters(other)->pages_cached, 1);
	UNIT_CHECK(has_key(&bench, segment, 40000));
	UNIT_CHECK(has_key(&bench, others, 40000));
	UNIT_EQUAL_INT(reef_segment_cache_counters(other)->pages_read, 0);

	/* one gives its pins back in order, the other dies with them */
	reef_page_unpin(first);
	reef_segment_release(segment);
	UNIT_CHECK(is_pinned(&bench, &meta));
	reef_segment_cache_abandon(other);
	UNIT_CHECK(!is_pinned(&bench, &meta));
	reef_segment_release(others);
	reef_segment_cache_free(other);
	bench_close(&bench);
	free(shared);
}

UNIT_TEST(test_segment__a_shared_cache_without_room_is_done_without)
{
	ReefPageCache *shared = aligned_alloc(64, 1 << 20);
	Bench		bench;
	ReefSegmentMeta meta;
	ReefSegment *segment;
	int			i;

	bench_open(&bench);
	/* the host has less than was promised, and then nothing */
	bench.fake->cache_budget = 40 * 1024;
	reef_page_cache_init(shared, 1 << 20,
						 FAKE_HOST_LOCKS - REEF_PAGE_CACHE_LOCKS);
	bench.settings.page_cache = shared;
	bench.settings.page_cache_size = 200 * 1024;
	write_single(&bench, 50000, 1, &meta);
	UNIT_OK(reef_segment_get(bench.cache, &meta, &single_schema, &segment,
							 &bench.err), &bench.err);
	for (i = 1; i <= 50000; i += 500)
		UNIT_CHECK(has_key(&bench, segment, i));
	bench.fake->cache_budget = bench.fake->cache_used;
	for (i = 1; i <= 50000; i += 500)
		UNIT_CHECK(has_key(&bench, segment, i));
	reef_segment_release(segment);
	bench_close(&bench);
	free(shared);
}

UNIT_TEST(test_segment__a_description_of_another_file_is_refused)
{
	static const uint8_t other_id[16] = "another one     ";
	Bench		bench;
	ReefSegmentMeta meta;
	ReefSegmentMeta wrong;
	ReefSegment *segment;

	bench_open(&bench);
	write_single(&bench, 10, 1, &meta);
	wrong = meta;
	wrong.row_count++;
	UNIT_CODE(reef_segment_get(bench.cache, &wrong, &single_schema, &segment,
							   &bench.err), REEF_CORRUPT, &bench.err);
	wrong = meta;
	wrong.size--;
	UNIT_CODE(reef_segment_get(bench.cache, &wrong, &single_schema, &segment,
							   &bench.err), REEF_CORRUPT, &bench.err);
	wrong = meta;
	wrong.id[3]++;
	UNIT_CODE(reef_segment_get(bench.cache, &wrong, &single_schema, &segment,
							   &bench.err), REEF_CORRUPT, &bench.err);
	reef_segment_cache_set_namespace(bench.cache, other_id);
	UNIT_CODE(reef_segment_get(bench.cache, &meta, &single_schema, &segment,
							   &bench.err), REEF_CORRUPT, &bench.err);
	bench_close(&bench);
}

UNIT_TEST(test_segment__floating_point_keys_are_found_whatever_their_bits)
{
	static const double numbers[] = {-INFINITY, -1.5, -0.0, 1.5, INFINITY, NAN};
	ReefColumn	column = single_columns[0];
	ReefSchema	schema = {1, &column};
	Bench		bench;
	ReefSegmentWriter *writer;
	ReefSegmentMeta meta;
	ReefSegment *segment;
	ReefRowPosition position;
	ReefBuf		key;
	bool		is_tombstone;
	uint64_t	lsn;
	size_t		i;

	column.type.kind = REEF_KIND_FLOAT64;
	column.type.pg_type = "double precision";
	bench_open(&bench);
	reef_buf_init(&key);
	writer = writer_new(&bench, &schema);
	for (i = 0; i < 6; i++)
	{
		ReefValue	value = {.as.float64 = numbers[i]};

		UNIT_OK(reef_segment_writer_add(writer, key_of(&schema, &value, &key),
										1, false, false, &value, &bench.err),
				&bench.err);
	}
	UNIT_OK(reef_segment_writer_finish(writer, &bench.arena, &meta,
									   &bench.err), &bench.err);
	UNIT_OK(reef_segment_get(bench.cache, &meta, &schema, &segment,
							 &bench.err), &bench.err);
	for (i = 0; i < 6; i++)
	{
		ReefValue	value = {.is_null = false};

		value.as.float64 = numbers[i] == 0 ? 0.0 : numbers[i];
		UNIT_OK(reef_segment_find(segment, key_of(&schema, &value, &key),
								  &position, &is_tombstone, &lsn, &bench.err),
				&bench.err);
		UNIT_EQUAL_INT(position.row, i);
	}
	reef_segment_release(segment);
	reef_buf_release(&key);
	bench_close(&bench);
}

/* ---- statistics ---- */

UNIT_TEST(test_segment__long_bounds_are_cut_and_still_bounds)
{
	static const char *const endings[] = {"a", "\xc3\xa9", "\xf4\x8f\xbf\xbf"};
	Bench		bench;
	size_t		e;

	bench_open(&bench);
	for (e = 0; e < 3; e++)
	{
		ReefSegmentWriter *writer = writer_new(&bench, &single_schema);
		ReefValue	values[2] = {{.as.int64 = 1}};
		ReefSegmentMeta meta;
		ReefSlice	low;
		ReefSlice	high;
		ReefBuf		key;
		char		text[200];
		size_t		size = 0;
		size_t		i;

		/* 40 times "a", then the character again and again */
		memset(text, 'a', 40);
		for (size = 40; size < 180; size += strlen(endings[e]))
			memcpy(text + size, endings[e], strlen(endings[e]));
		values[1].as.bytes = reef_slice(text, size);
		reef_buf_init(&key);
		UNIT_OK(reef_segment_writer_add(writer,
										key_of(&single_schema, values, &key),
										1, false, false, values, &bench.err),
				&bench.err);
		UNIT_OK(reef_segment_writer_finish(writer, &bench.arena, &meta,
										   &bench.err), &bench.err);
		UNIT_EQUAL_INT(meta.stats_count, 2);
		UNIT_EQUAL_INT(meta.stats[0].min.as.int64, 1);
		UNIT_CHECK(meta.stats[1].has_min_max);
		low = meta.stats[1].min.as.bytes;
		high = meta.stats[1].max.as.bytes;
		UNIT_CHECK(low.size <= 64 && high.size <= 64);
		UNIT_CHECK(reef_slice_compare(low, values[1].as.bytes) <= 0);
		UNIT_CHECK(reef_slice_compare(high, values[1].as.bytes) >= 0);
		/* whole characters: a bound never ends inside one */
		for (i = 0; i < low.size; i++)
			UNIT_CHECK((low.data[i] & 0x80) == 0 ||
					   (low.size - 40) % strlen(endings[e]) == 0);
		reef_buf_release(&key);
	}
	bench_close(&bench);
}

/* ---- key decoding ---- */

UNIT_TEST(test_segment__a_key_of_every_kind_decodes_to_its_value)
{
	static const ReefKind kinds[] = {
		REEF_KIND_BOOL, REEF_KIND_INT16, REEF_KIND_INT32, REEF_KIND_INT64,
		REEF_KIND_FLOAT32, REEF_KIND_FLOAT64, REEF_KIND_DECIMAL64,
		REEF_KIND_DECIMAL128, REEF_KIND_TEXT, REEF_KIND_BYTES, REEF_KIND_UUID,
		REEF_KIND_DATE, REEF_KIND_TIME, REEF_KIND_TIMESTAMP,
		REEF_KIND_TIMESTAMPTZ, REEF_KIND_OTHER
	};
	enum
	{
		COUNT = sizeof(kinds) / sizeof(kinds[0])
	};
	ReefColumn	columns[COUNT];
	ReefSchema	schema = {COUNT, columns};
	ReefValue	values[COUNT];
	ReefValue	decoded[COUNT];
	ReefArena	arena;
	ReefBuf		key;
	ReefError	err;
	int			round;
	int			i;

	memset(columns, 0, sizeof(columns));
	reef_arena_init(&arena, 0);
	reef_buf_init(&key);
	for (i = 0; i < COUNT; i++)
	{
		columns[i].name = "c";
		columns[i].type.kind = kinds[i];
		columns[i].key_position = i + 1;
	}
	for (round = 0; round < 200; round++)
	{
		uint8_t		bytes[8][8];

		memset(values, 0, sizeof(values));
		for (i = 0; i < COUNT; i++)
		{
			uint64_t	random = unit_random();

			memcpy(&values[i].as, &random, sizeof(random));
			if (kinds[i] == REEF_KIND_BOOL)
				values[i].as.boolean = random % 2 == 1;
			else if (kinds[i] == REEF_KIND_FLOAT32)
				values[i].as.float32 = (float) (int32_t) random / 8;
			else if (kinds[i] == REEF_KIND_FLOAT64)
				values[i].as.float64 = (double) (int64_t) random / 8;
			else if (kinds[i] == REEF_KIND_DECIMAL128)
				values[i].as.int128 *= (int64_t) unit_random();
			else if (reef_kind_is_variable(kinds[i]))
			{
				size_t		k;

				/* many zero bytes: they are escaped */
				for (k = 0; k < 8; k++)
					bytes[i % 8][k] = (uint8_t) (random >> (8 * k)) % 3;
				values[i].as.bytes = reef_slice(bytes[i % 8], random % 9);
			}
		}
		key_of(&schema, values, &key);
		UNIT_OK(reef_key_decode(reef_buf_slice(&key), &schema, &arena, decoded,
								&err), &err);
		for (i = 0; i < COUNT; i++)
			UNIT_EQUAL_INT(reef_value_compare(kinds[i], &values[i],
											  &decoded[i]), 0);
		/* and nothing less than all of it does */
		UNIT_CODE(reef_key_decode(reef_slice(key.data, key.size - 1), &schema,
								  &arena, decoded, &err), REEF_CORRUPT, &err);
		reef_buf_append_u8(&key, 1);
		UNIT_CODE(reef_key_decode(reef_buf_slice(&key), &schema, &arena,
								  decoded, &err), REEF_CORRUPT, &err);
	}
	reef_buf_release(&key);
	reef_arena_release(&arena);
}
