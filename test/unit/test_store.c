/*
 * test_store.c
 *	  The contract of store.h, held against every implementation, and what
 *	  store.c adds to them: retries, deadlines, counters, the probe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../store/faulty_store.h"
#include "../store/memory_store.h"
#include "../store/temp_directory.h"
#include "fake_host.h"
#include "store/store.h"
#include "unit.h"

#define SECOND_US INT64_C(1000000)

typedef enum Backend
{
	BACKEND_MEMORY,
	BACKEND_FILE,
	BACKEND_S3					/* only where REEF_S3_ENDPOINT names one */
} Backend;

#define BACKEND_COUNT 3

typedef struct Fixture
{
	Backend		backend;
	FakeHost   *fake;
	ReefMemoryBucket *bucket;
	char		directory[TEMP_DIRECTORY_SIZE];
	char		prefix[40];		/* in the bucket, this test's own */
	ReefStore  *store;
	ReefStore  *read_only;		/* a second handle on the same storage */
	ReefError	err;
} Fixture;

static int	prefix_count = 0;

static ReefStore *
open_backend(Fixture *f, bool read_only)
{
	char		location[TEMP_DIRECTORY_SIZE + 16];
	ReefStoreOptions options = {.location = location, .read_only = read_only};
	ReefStore  *store;

	if (f->backend == BACKEND_MEMORY)
	{
		UNIT_OK(reef_memory_store_open(f->bucket, &f->fake->host, read_only,
									   &store, &f->err), &f->err);
		return store;
	}
	snprintf(location, sizeof(location), "file://%s", f->directory);
	if (f->backend == BACKEND_S3)
	{
		snprintf(location, sizeof(location), "s3://%s/%s",
				 getenv("REEF_S3_BUCKET"), f->prefix);
		options.endpoint = getenv("REEF_S3_ENDPOINT");
		options.access_key_id = getenv("REEF_S3_KEY");
		options.secret_access_key = getenv("REEF_S3_SECRET");
	}
	UNIT_OK(reef_store_open(&f->fake->host, &options, &store, &f->err),
			&f->err);
	return store;
}

static void
set_up(Fixture *f, Backend backend)
{
	memset(f, 0, sizeof(*f));
	reef_error_init(&f->err);
	f->backend = backend;
	f->fake = fake_host_new();
	if (backend == BACKEND_MEMORY)
		f->bucket = reef_memory_bucket_new();
	else if (backend == BACKEND_FILE)
		temp_directory_make(f->directory);
	else
	{
		fake_host_seed(f->fake, (uint64_t) time(NULL) ^ (uint64_t) getpid());
		snprintf(f->prefix, sizeof(f->prefix), "unit/%lld-%d-%d",
				 (long long) time(NULL), (int) getpid(), ++prefix_count);
	}
	f->store = open_backend(f, false);
	f->read_only = open_backend(f, true);
}

static void
tear_down(Fixture *f)
{
	reef_store_close(f->store);
	reef_store_close(f->read_only);
	if (f->backend == BACKEND_MEMORY)
		reef_memory_bucket_free(f->bucket);
	else if (f->backend == BACKEND_FILE)
		temp_directory_remove(f->directory);
	fake_host_free(f->fake);
}

/* A test that every implementation must pass. */
#define CONTRACT_TEST(name) \
	static void name##_on(Fixture *f); \
	UNIT_TEST(name) \
	{ \
		for (int backend = 0; backend < BACKEND_COUNT; backend++) \
		{ \
			Fixture		fixture; \
			if (backend == BACKEND_S3 && getenv("REEF_S3_ENDPOINT") == NULL) \
				continue; \
			set_up(&fixture, (Backend) backend); \
			name##_on(&fixture); \
			tear_down(&fixture); \
		} \
	} \
	static void name##_on(Fixture *f)

static void
put(Fixture *f, const char *key, const char *text)
{
	UNIT_OK(reef_store_put_if_absent(f->store, key, reef_slice_of_string(text),
									 &f->err), &f->err);
}

static void
expect_content(Fixture *f, const char *key, ReefSlice expected)
{
	ReefBuf		found;

	reef_buf_init(&found);
	UNIT_OK(reef_store_get(f->store, key, &found, &f->err), &f->err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&found), expected);
	reef_buf_release(&found);
}

/* The keys of a list, joined by blanks. */
static void
expect_list(Fixture *f, const char *prefix, const char *start_after,
			size_t limit, const char *expected)
{
	ReefObjectList list;
	ReefBuf		keys;

	reef_object_list_init(&list);
	reef_buf_init(&keys);
	UNIT_OK(reef_store_list(f->read_only, prefix, start_after, limit, &list,
							&f->err), &f->err);
	for (size_t i = 0; i < list.count; i++)
		reef_buf_printf(&keys, "%s%s", i == 0 ? "" : " ", list.objects[i].key);
	reef_buf_append_u8(&keys, 0);
	UNIT_EQUAL_STRING((const char *) keys.data, expected);
	reef_buf_release(&keys);
	reef_object_list_release(&list);
}

/* ---- every implementation ---- */

CONTRACT_TEST(test_store__a_second_put_is_refused_and_changes_nothing)
{
	put(f, "a/b/1", "first");
	UNIT_CODE(reef_store_put_if_absent(f->store, "a/b/1",
									   reef_slice_of_string("second"),
									   &f->err), REEF_CONFLICT, &f->err);
	expect_content(f, "a/b/1", reef_slice_of_string("first"));
	put(f, "a/b/2", "");
	expect_content(f, "a/b/2", reef_slice_of_string(""));
}

CONTRACT_TEST(test_store__what_is_not_there_is_not_found)
{
	ReefObjectInfo info;
	ReefBuf		out;
	char		bytes[4];

	reef_buf_init(&out);
	put(f, "a/b", "x");
	UNIT_CODE(reef_store_get(f->store, "a/c", &out, &f->err), REEF_NOT_FOUND,
			  &f->err);
	UNIT_CODE(reef_store_get(f->store, "c/d/e", &out, &f->err),
			  REEF_NOT_FOUND, &f->err);
	UNIT_CODE(reef_store_get(f->store, "a/b/c", &out, &f->err),
			  REEF_NOT_FOUND, &f->err);
	UNIT_CODE(reef_store_head(f->store, "a/c", &info, &f->err),
			  REEF_NOT_FOUND, &f->err);
	UNIT_CODE(reef_store_get_range(f->store, "a/c", 0, 1, bytes, &f->err),
			  REEF_NOT_FOUND, &f->err);
	UNIT_OK(reef_store_delete(f->store, "a/c", &f->err), &f->err);
	UNIT_OK(reef_store_delete(f->store, "c/d/e", &f->err), &f->err);
	expect_list(f, "c/", "", 0, "");
	reef_buf_release(&out);
}

CONTRACT_TEST(test_store__a_deleted_object_is_gone_and_can_be_put_again)
{
	char		bytes[5];

	put(f, "a/1", "first");
	UNIT_OK(reef_store_get_range(f->store, "a/1", 0, 5, bytes, &f->err),
			&f->err);
	UNIT_OK(reef_store_delete(f->store, "a/1", &f->err), &f->err);
	UNIT_CODE(reef_store_get_range(f->store, "a/1", 0, 5, bytes, &f->err),
			  REEF_NOT_FOUND, &f->err);
	expect_list(f, "", "", 0, "");
	put(f, "a/1", "again");
	UNIT_OK(reef_store_get_range(f->store, "a/1", 0, 5, bytes, &f->err),
			&f->err);
	UNIT_CHECK(memcmp(bytes, "again", 5) == 0);
}

CONTRACT_TEST(test_store__a_get_appends_and_a_failed_get_appends_nothing)
{
	ReefBuf		out;

	reef_buf_init(&out);
	reef_buf_append(&out, "before ", 7);
	put(f, "a", "after");
	UNIT_OK(reef_store_get(f->store, "a", &out, &f->err), &f->err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&out),
					 reef_slice_of_string("before after"));
	UNIT_CODE(reef_store_get(f->store, "b", &out, &f->err), REEF_NOT_FOUND,
			  &f->err);
	UNIT_EQUAL_INT(out.size, 12);
	reef_buf_release(&out);
}

CONTRACT_TEST(test_store__a_big_object_comes_back_whole_and_in_ranges)
{
	size_t		size = 10 * 1024 * 1024 + 7;
	uint8_t    *bytes = malloc(size);
	uint8_t		part[1000];
	ReefObjectInfo info;

	UNIT_CHECK(bytes != NULL);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t) (i % 251);
	UNIT_OK(reef_store_put_if_absent(f->store, "big",
									 reef_slice(bytes, size), &f->err),
			&f->err);
	expect_content(f, "big", reef_slice(bytes, size));
	UNIT_OK(reef_store_head(f->store, "big", &info, &f->err), &f->err);
	UNIT_EQUAL_INT(info.size, size);
	UNIT_EQUAL_STRING(info.key, "big");
	for (int i = 0; i < 100; i++)
	{
		size_t		offset = unit_random_below(size - sizeof(part));

		UNIT_OK(reef_store_get_range(f->store, "big", offset, sizeof(part),
									 part, &f->err), &f->err);
		UNIT_CHECK(memcmp(part, bytes + offset, sizeof(part)) == 0);
	}
	free(bytes);
}

CONTRACT_TEST(test_store__a_range_past_the_end_is_corruption)
{
	char		bytes[10];

	put(f, "a", "12345");
	UNIT_OK(reef_store_get_range(f->store, "a", 3, 2, bytes, &f->err),
			&f->err);
	UNIT_CHECK(memcmp(bytes, "45", 2) == 0);
	UNIT_OK(reef_store_get_range(f->store, "a", 5, 0, bytes, &f->err),
			&f->err);
	UNIT_CODE(reef_store_get_range(f->store, "a", 3, 3, bytes, &f->err),
			  REEF_CORRUPT, &f->err);
	UNIT_CODE(reef_store_get_range(f->store, "a", 6, 1, bytes, &f->err),
			  REEF_CORRUPT, &f->err);
	UNIT_CODE(reef_store_get_range(f->store, "a", UINT64_MAX, 1, bytes,
								   &f->err), REEF_INVALID, &f->err);
	UNIT_CODE(reef_store_get_range(f->store, "a", 1, SIZE_MAX, bytes,
								   &f->err), REEF_INVALID, &f->err);
}

CONTRACT_TEST(test_store__many_objects_can_be_read_in_ranges_at_once)
{
	char		key[32];
	char		text[32];
	char		bytes[4];

	for (int i = 0; i < 100; i++)
	{
		snprintf(key, sizeof(key), "segment/%d", i);
		snprintf(text, sizeof(text), "%04d", i);
		put(f, key, text);
	}
	for (int i = 0; i < 1000; i++)
	{
		int			n = (int) unit_random_below(i % 2 == 0 ? 100 : 10);

		snprintf(key, sizeof(key), "segment/%d", n);
		snprintf(text, sizeof(text), "%04d", n);
		UNIT_OK(reef_store_get_range(f->store, key, 0, 4, bytes, &f->err),
				&f->err);
		UNIT_CHECK(memcmp(bytes, text, 4) == 0);
	}
}

CONTRACT_TEST(test_store__a_list_is_in_bytewise_order_of_whole_keys)
{
	put(f, "t/a/x", "");
	put(f, "t/a.b", "");
	put(f, "t/a-b/y", "");
	put(f, "t/a0", "");
	put(f, "t/a_b", "");
	put(f, "t/Z", "");
	put(f, "t/.hidden/z", "");
	put(f, "t/a.b.c/0", "");
	put(f, "tt", "");
	put(f, "s/a", "");
	expect_list(f, "t/", "", 0, "t/.hidden/z t/Z t/a-b/y t/a.b t/a.b.c/0 "
				"t/a/x t/a0 t/a_b");
	expect_list(f, "t", "", 0, "t/.hidden/z t/Z t/a-b/y t/a.b t/a.b.c/0 "
				"t/a/x t/a0 t/a_b tt");
	expect_list(f, "t/a.", "", 0, "t/a.b t/a.b.c/0");
	expect_list(f, "t/a/x", "", 0, "t/a/x");
	expect_list(f, "t/a/xx", "", 0, "");
	expect_list(f, "", "", 2, "s/a t/.hidden/z");
}

CONTRACT_TEST(test_store__a_list_starts_after_and_stops_at_the_limit)
{
	put(f, "w/1", "");
	put(f, "w/2", "");
	put(f, "w/3/a", "");
	put(f, "w/3/b", "");
	put(f, "w/4", "");
	expect_list(f, "w/", "w/2", 0, "w/3/a w/3/b w/4");
	expect_list(f, "w/", "w/2", 2, "w/3/a w/3/b");
	expect_list(f, "w/", "w/3/a", 0, "w/3/b w/4");
	expect_list(f, "w/", "w/3/", 1, "w/3/a");
	expect_list(f, "w/", "w/30", 0, "w/4");
	expect_list(f, "w/", "a", 1, "w/1");
	expect_list(f, "w/", "w/4", 0, "");
	expect_list(f, "w/3/", "w/3/a", 5, "w/3/b");
}

CONTRACT_TEST(test_store__a_list_says_size_and_time_by_the_stores_clock)
{
	ReefObjectList list;
	int64_t		before;
	int64_t		after;

	reef_object_list_init(&list);
	UNIT_OK(reef_store_now(f->store, &before, &f->err), &f->err);
	put(f, "a/b", "12345");
	UNIT_OK(reef_store_now(f->store, &after, &f->err), &f->err);
	UNIT_OK(reef_store_list(f->store, "a/", "", 0, &list, &f->err), &f->err);
	UNIT_EQUAL_INT(list.count, 1);
	UNIT_EQUAL_INT(list.objects[0].size, 5);
	UNIT_CHECK(list.objects[0].modified_us >= before);
	/* The time in an S3 store's answers is whole seconds. */
	UNIT_CHECK(list.objects[0].modified_us <=
			   after + (f->backend == BACKEND_S3 ? SECOND_US : 0));
	reef_object_list_release(&list);
}

CONTRACT_TEST(test_store__a_stream_appears_when_it_is_committed)
{
	ReefStoreWriter *writer;
	ReefObjectInfo info;

	UNIT_OK(reef_store_write_begin(f->store, "s/1", &writer, &f->err),
			&f->err);
	for (int i = 0; i < 3; i++)
		UNIT_OK(reef_store_write(writer, reef_slice_of_string("piece "),
								 &f->err), &f->err);
	UNIT_CODE(reef_store_head(f->store, "s/1", &info, &f->err),
			  REEF_NOT_FOUND, &f->err);
	expect_list(f, "", "", 0, "");
	UNIT_OK(reef_store_write_commit(writer, &f->err), &f->err);
	expect_content(f, "s/1", reef_slice_of_string("piece piece piece "));
}

CONTRACT_TEST(test_store__a_stream_does_not_replace_an_object)
{
	ReefStoreWriter *writer;

	put(f, "s/1", "first");
	UNIT_OK(reef_store_write_begin(f->store, "s/1", &writer, &f->err),
			&f->err);
	UNIT_OK(reef_store_write(writer, reef_slice_of_string("second"), &f->err),
			&f->err);
	UNIT_CODE(reef_store_write_commit(writer, &f->err), REEF_CONFLICT,
			  &f->err);
	expect_content(f, "s/1", reef_slice_of_string("first"));
}

CONTRACT_TEST(test_store__an_aborted_stream_leaves_nothing)
{
	ReefStoreWriter *writer;

	UNIT_OK(reef_store_write_begin(f->store, "s/1", &writer, &f->err),
			&f->err);
	UNIT_OK(reef_store_write(writer, reef_slice_of_string("x"), &f->err),
			&f->err);
	reef_store_write_abort(writer);
	reef_store_write_abort(NULL);
	expect_list(f, "", "", 0, "");
	if (f->backend == BACKEND_FILE)
		UNIT_EQUAL_INT(temp_directory_count_files(f->directory), 0);
	put(f, "s/1", "free");
}

CONTRACT_TEST(test_store__a_read_only_handle_reads_but_never_writes)
{
	ReefStoreWriter *writer;
	ReefBuf		out;
	int64_t		now;

	reef_buf_init(&out);
	put(f, "a", "x");
	UNIT_CODE(reef_store_put_if_absent(f->read_only, "b",
									   reef_slice_of_string("y"), &f->err),
			  REEF_READ_ONLY, &f->err);
	UNIT_CODE(reef_store_delete(f->read_only, "a", &f->err), REEF_READ_ONLY,
			  &f->err);
	UNIT_CODE(reef_store_write_begin(f->read_only, "b", &writer, &f->err),
			  REEF_READ_ONLY, &f->err);
	UNIT_CODE(reef_store_probe(f->read_only, "p", &f->err), REEF_READ_ONLY,
			  &f->err);
	UNIT_OK(reef_store_get(f->read_only, "a", &out, &f->err), &f->err);
	UNIT_OK(reef_store_now(f->read_only, &now, &f->err), &f->err);
	expect_list(f, "", "", 0, "a");
	UNIT_CHECK(reef_store_is_read_only(f->read_only));
	reef_buf_release(&out);
}

CONTRACT_TEST(test_store__keys_outside_the_alphabet_are_invalid)
{
	static const char *const bad[] = {
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b",
		"a/../b", "a b", "a\nb", "a%", "a\\b", "a~", "\xc3\xa4", "a:b", "a*"
	};
	static const char *const good[] = {"a", "...", "b/..b", ".a/b.", "_-."};
	char		key[REEF_STORE_KEY_MAX_SIZE + 2];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		UNIT_CODE(reef_store_put_if_absent(f->store, bad[i],
										   reef_slice_of_string("x"),
										   &f->err), REEF_INVALID, &f->err);
	expect_list(f, "", "", 0, "");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		put(f, good[i], "x");

	/* 4 parts of 200 bytes and one of 96 or 97 */
	memset(key, 'k', sizeof(key));
	for (int i = 200; i < 1000 && i < (int) sizeof(key); i += 201)
		key[i] = '/';
	key[REEF_STORE_KEY_MAX_SIZE] = '\0';
	put(f, key, "long");
	expect_content(f, key, reef_slice_of_string("long"));
	expect_list(f, "kk", "", 0, key);
	key[REEF_STORE_KEY_MAX_SIZE] = 'k';
	key[REEF_STORE_KEY_MAX_SIZE + 1] = '\0';
	UNIT_CODE(reef_store_put_if_absent(f->store, key,
									   reef_slice_of_string("x"), &f->err),
			  REEF_INVALID, &f->err);
}

CONTRACT_TEST(test_store__an_honest_store_passes_the_probe_without_a_trace)
{
	UNIT_OK(reef_store_probe(f->store, "public/orders", &f->err), &f->err);
	UNIT_OK(reef_store_probe(f->store, "", &f->err), &f->err);
	expect_list(f, "", "", 0, "");
	if (f->backend == BACKEND_FILE)
		UNIT_EQUAL_INT(temp_directory_count_files(f->directory), 0);
}

CONTRACT_TEST(test_store__a_cancelled_host_gets_no_request)
{
	ReefBuf		out;

	reef_buf_init(&out);
	put(f, "a", "x");
	fake_host_cancel(f->fake, true);
	UNIT_CODE(reef_store_get(f->store, "a", &out, &f->err), REEF_CANCELLED,
			  &f->err);
	UNIT_CODE(reef_store_put_if_absent(f->store, "b",
									   reef_slice_of_string("y"), &f->err),
			  REEF_CANCELLED, &f->err);
	fake_host_cancel(f->fake, false);
	expect_list(f, "", "", 0, "a");
	reef_buf_release(&out);
}

CONTRACT_TEST(test_store__requests_and_bytes_are_counted_by_kind)
{
	const ReefRequestCounters *counters = reef_store_counters(f->store);
	ReefObjectInfo info;

	put(f, "a", "12345");
	UNIT_CODE(reef_store_put_if_absent(f->store, "a",
									   reef_slice_of_string("123"), &f->err),
			  REEF_CONFLICT, &f->err);
	expect_content(f, "a", reef_slice_of_string("12345"));
	UNIT_OK(reef_store_head(f->store, "a", &info, &f->err), &f->err);
	UNIT_OK(reef_store_delete(f->store, "a", &f->err), &f->err);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_PUT].requests, 2);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_PUT].bytes, 5);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_PUT].errors, 0);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_GET].requests, 1);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_GET].bytes, 5);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_HEAD].requests, 1);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_DELETE].requests, 1);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_LIST].requests, 0);
}

CONTRACT_TEST(test_store__many_objects_are_deleted_at_once)
{
	ReefDeletion deletions[4] = {{.key = "a/1"}, {.key = "a/none"},
	{.key = "a/3"}, {.key = "b"}};

	put(f, "a/1", "x");
	put(f, "a/2", "x");
	put(f, "a/3", "x");
	put(f, "b", "x");
	UNIT_OK(reef_store_delete_many(f->store, deletions, 0, &f->err), &f->err);
	expect_list(f, "", "", 0, "a/1 a/2 a/3 b");
	UNIT_OK(reef_store_delete_many(f->store, deletions, 4, &f->err), &f->err);
	expect_list(f, "", "", 0, "a/2");
	for (int i = 0; i < 4; i++)
	{
		UNIT_EQUAL_INT(deletions[i].outcome, REEF_OK);
		UNIT_EQUAL_STRING(deletions[i].problem, "");
	}
	UNIT_CODE(reef_store_delete_many(f->read_only, deletions, 4, &f->err),
			  REEF_READ_ONLY, &f->err);
}

/* ---- retries ---- */

typedef struct FaultyFixture
{
	FakeHost   *fake;
	ReefMemoryBucket *bucket;
	ReefFaultyStore *faulty;
	ReefStore  *store;
	ReefError	err;
} FaultyFixture;

static void
set_up_faulty(FaultyFixture *f, int64_t request_timeout_us, int max_retries)
{
	ReefStoreOptions options = {
		.location = "memory://",
		.request_timeout_us = request_timeout_us,
		.max_retries = max_retries
	};

	reef_error_init(&f->err);
	f->fake = fake_host_new();
	fake_host_set_time(f->fake, 1000 * SECOND_US);
	f->bucket = reef_memory_bucket_new();
	f->faulty = reef_faulty_store_new(&reef_memory_store_ops, f->bucket);
	UNIT_OK(reef_store_new(&f->fake->host, &reef_faulty_store_ops, f->faulty,
						   &options, &f->store, &f->err), &f->err);
}

static void
tear_down_faulty(FaultyFixture *f)
{
	reef_store_close(f->store);
	reef_memory_bucket_free(f->bucket);
	fake_host_free(f->fake);
}

static ReefFault
always_refuse(void *arg, ReefFaultyCall call, const char *key)
{
	(void) arg;
	(void) call;
	(void) key;
	return REEF_FAULT_REFUSE;
}

UNIT_TEST(test_store__a_refused_request_is_repeated)
{
	FaultyFixture f;
	const ReefRequestCounters *counters;

	set_up_faulty(&f, 0, 3);
	counters = reef_store_counters(f.store);
	reef_faulty_store_fail_nth(f.faulty, 1, REEF_FAULT_REFUSE);
	UNIT_OK(reef_store_put_if_absent(f.store, "a", reef_slice_of_string("x"),
									 &f.err), &f.err);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_PUT].requests, 2);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_PUT].retries, 1);
	UNIT_EQUAL_INT(counters[REEF_REQUEST_PUT].errors, 1);
	UNIT_EQUAL_INT(f.fake->waits, 1);
	tear_down_faulty(&f);
}

UNIT_TEST(test_store__retries_end_at_their_number)
{
	FaultyFixture f;

	set_up_faulty(&f, 0, 3);
	reef_faulty_store_set_hook(f.faulty, always_refuse, NULL);
	UNIT_CODE(reef_store_put_if_absent(f.store, "a", reef_slice_of_string("x"),
									   &f.err), REEF_UNAVAILABLE, &f.err);
	UNIT_EQUAL_INT(reef_faulty_store_calls(f.faulty), 4);
	UNIT_CHECK(strstr(f.err.detail, "after 4 attempts") != NULL);
	tear_down_faulty(&f);
}

UNIT_TEST(test_store__retries_end_at_the_deadline)
{
	FaultyFixture f;
	int64_t		began;

	set_up_faulty(&f, 10 * SECOND_US, 1000000);
	began = f.fake->time_us;
	reef_faulty_store_set_hook(f.faulty, always_refuse, NULL);
	for (int i = 0; i < 20; i++)
	{
		UNIT_CODE(reef_store_put_if_absent(f.store, "a",
										   reef_slice_of_string("x"), &f.err),
				  REEF_UNAVAILABLE, &f.err);
		UNIT_CHECK(f.fake->time_us - began < 10 * SECOND_US);
		began = f.fake->time_us;
	}

	/* 2.5 s on average once grown: neither hammering nor giving up at once */
	UNIT_CHECK(reef_faulty_store_calls(f.faulty) >= 20 * 4);
	UNIT_CHECK(reef_faulty_store_calls(f.faulty) <= 20 * 20);
	tear_down_faulty(&f);
}

UNIT_TEST(test_store__a_cancel_ends_the_retries)
{
	FaultyFixture f;

	set_up_faulty(&f, 0, 1000000);
	reef_faulty_store_set_hook(f.faulty, always_refuse, NULL);
	f.fake->host.wait = NULL;	/* must not be reached */
	fake_host_cancel(f.fake, true);
	UNIT_CODE(reef_store_delete(f.store, "a", &f.err), REEF_CANCELLED, &f.err);
	tear_down_faulty(&f);
}

static ReefCode
cancel_while_waiting(void *arg, struct pollfd *fds, int count,
					 int64_t timeout_us)
{
	(void) fds;
	(void) count;
	(void) timeout_us;
	fake_host_cancel(arg, true);
	return REEF_CANCELLED;
}

UNIT_TEST(test_store__a_cancel_between_attempts_ends_the_retries)
{
	FaultyFixture f;

	set_up_faulty(&f, 0, 1000000);
	reef_faulty_store_set_hook(f.faulty, always_refuse, NULL);
	f.fake->host.wait = cancel_while_waiting;
	UNIT_CODE(reef_store_delete(f.store, "a", &f.err), REEF_CANCELLED, &f.err);
	UNIT_EQUAL_INT(reef_faulty_store_calls(f.faulty), 1);
	tear_down_faulty(&f);
}

UNIT_TEST(test_store__an_uncertain_put_is_not_repeated)
{
	FaultyFixture f;
	ReefCode	outcome;

	set_up_faulty(&f, 0, 5);
	reef_faulty_store_fail_nth(f.faulty, 1, REEF_FAULT_LOSE_RESPONSE);
	UNIT_CODE(reef_store_put_if_absent(f.store, "a", reef_slice_of_string("x"),
									   &f.err), REEF_UNCERTAIN, &f.err);
	UNIT_EQUAL_INT(reef_faulty_store_calls(f.faulty), 1);
	UNIT_EQUAL_INT(reef_memory_bucket_count(f.bucket), 1);

	reef_faulty_store_fail_nth(f.faulty, 1, REEF_FAULT_LOSE_REQUEST);
	UNIT_CODE(reef_store_put_if_absent(f.store, "b", reef_slice_of_string("x"),
									   &f.err), REEF_UNCERTAIN, &f.err);
	UNIT_EQUAL_INT(reef_memory_bucket_count(f.bucket), 1);

	reef_faulty_store_fail_nth(f.faulty, 1, REEF_FAULT_DELAY);
	UNIT_CODE(reef_store_put_if_absent(f.store, "c", reef_slice_of_string("x"),
									   &f.err), REEF_UNCERTAIN, &f.err);
	UNIT_EQUAL_INT(reef_memory_bucket_count(f.bucket), 1);
	UNIT_CHECK(reef_faulty_store_deliver(f.faulty, &outcome));
	UNIT_EQUAL_INT(outcome, REEF_OK);
	UNIT_EQUAL_INT(reef_memory_bucket_count(f.bucket), 2);
	UNIT_CHECK(!reef_faulty_store_deliver(f.faulty, &outcome));
	tear_down_faulty(&f);
}

UNIT_TEST(test_store__a_repeated_read_returns_its_bytes_once)
{
	FaultyFixture f;
	ReefObjectList list;
	ReefBuf		out;

	reef_buf_init(&out);
	reef_object_list_init(&list);
	set_up_faulty(&f, 0, 5);
	UNIT_OK(reef_store_put_if_absent(f.store, "a", reef_slice_of_string("xyz"),
									 &f.err), &f.err);
	reef_faulty_store_fail_nth(f.faulty, 1, REEF_FAULT_LOSE_RESPONSE);
	UNIT_OK(reef_store_get(f.store, "a", &out, &f.err), &f.err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&out), reef_slice_of_string("xyz"));
	reef_faulty_store_fail_nth(f.faulty, 1, REEF_FAULT_LOSE_RESPONSE);
	UNIT_OK(reef_store_list(f.store, "", "", 0, &list, &f.err), &f.err);
	UNIT_EQUAL_INT(list.count, 1);
	reef_object_list_release(&list);
	reef_buf_release(&out);
	tear_down_faulty(&f);
}

UNIT_TEST(test_store__a_stream_survives_refusals_and_reports_a_lost_commit)
{
	FaultyFixture f;
	ReefStoreWriter *writer;

	set_up_faulty(&f, 0, 2);
	UNIT_OK(reef_store_write_begin(f.store, "s", &writer, &f.err), &f.err);
	for (int i = 0; i < 3; i++)
	{
		reef_faulty_store_fail_nth(f.faulty, 1, REEF_FAULT_REFUSE);
		UNIT_OK(reef_store_write(writer, reef_slice_of_string("ab"), &f.err),
				&f.err);
	}
	reef_faulty_store_fail_nth(f.faulty, 1, REEF_FAULT_REFUSE);
	UNIT_OK(reef_store_write_commit(writer, &f.err), &f.err);
	UNIT_EQUAL_BYTES(reef_memory_bucket_bytes(f.bucket, "s"),
					 reef_slice_of_string("ababab"));

	UNIT_OK(reef_store_write_begin(f.store, "t", &writer, &f.err), &f.err);
	reef_faulty_store_fail_nth_of(f.faulty, REEF_FAULTY_WRITE_COMMIT, 1,
								  REEF_FAULT_LOSE_RESPONSE);
	UNIT_CODE(reef_store_write_commit(writer, &f.err), REEF_UNCERTAIN,
			  &f.err);
	UNIT_EQUAL_INT(reef_memory_bucket_count(f.bucket), 2);
	tear_down_faulty(&f);
}

UNIT_TEST(test_store__a_crashed_process_reaches_nothing_any_more)
{
	FaultyFixture f;
	ReefBuf		out;

	reef_buf_init(&out);
	set_up_faulty(&f, 0, 0);
	reef_faulty_store_fail_nth(f.faulty, 2, REEF_FAULT_CRASH_AFTER);
	UNIT_OK(reef_store_put_if_absent(f.store, "a", reef_slice_of_string("x"),
									 &f.err), &f.err);
	UNIT_CODE(reef_store_put_if_absent(f.store, "b", reef_slice_of_string("x"),
									   &f.err), REEF_UNAVAILABLE, &f.err);
	UNIT_CODE(reef_store_put_if_absent(f.store, "c", reef_slice_of_string("x"),
									   &f.err), REEF_UNAVAILABLE, &f.err);
	UNIT_CODE(reef_store_get(f.store, "a", &out, &f.err), REEF_UNAVAILABLE,
			  &f.err);
	UNIT_CHECK(reef_faulty_store_has_crashed(f.faulty));
	UNIT_EQUAL_INT(reef_memory_bucket_count(f.bucket), 2);
	UNIT_EQUAL_INT(reef_faulty_store_calls_of(f.faulty, REEF_FAULTY_PUT), 3);
	reef_buf_release(&out);
	tear_down_faulty(&f);
}

UNIT_TEST(test_store__an_object_that_cannot_be_deleted_keeps_no_other)
{
	ReefDeletion deletions[3] = {{.key = "a"}, {.key = "b"}, {.key = "c"}};
	FaultyFixture f;

	set_up_faulty(&f, 0, 0);
	for (int i = 0; i < 3; i++)
		UNIT_OK(reef_store_put_if_absent(f.store, deletions[i].key,
										 reef_slice_of_string("x"), &f.err),
				&f.err);
	reef_faulty_store_fail_nth_of(f.faulty, REEF_FAULTY_DELETE, 2,
								  REEF_FAULT_REFUSE);
	UNIT_OK(reef_store_delete_many(f.store, deletions, 3, &f.err), &f.err);
	UNIT_EQUAL_INT(deletions[0].outcome, REEF_OK);
	UNIT_EQUAL_INT(deletions[1].outcome, REEF_UNAVAILABLE);
	UNIT_CHECK(deletions[1].problem[0] != '\0');
	UNIT_EQUAL_INT(deletions[2].outcome, REEF_OK);
	UNIT_EQUAL_INT(reef_memory_bucket_count(f.bucket), 1);
	UNIT_EQUAL_STRING(reef_memory_bucket_key(f.bucket, 0), "b");
	tear_down_faulty(&f);
}

/* ---- liars ---- */

static ReefCode
put_overwriting(void *impl, const char *key, ReefSlice bytes, ReefError *err)
{
	(void) reef_memory_bucket_remove(impl, key);
	return reef_memory_store_ops.put_if_absent(impl, key, bytes, err);
}

static ReefCode
put_ignoring(void *impl, const char *key, ReefSlice bytes, ReefError *err)
{
	ReefCode	rc = reef_memory_store_ops.put_if_absent(impl, key, bytes,
														 err);

	return rc == REEF_CONFLICT ? REEF_OK : rc;
}

static ReefCode
put_refusing_but_overwriting(void *impl, const char *key, ReefSlice bytes,
							 ReefError *err)
{
	bool		existed = reef_memory_bucket_remove(impl, key);

	REEF_TRY(reef_memory_store_ops.put_if_absent(impl, key, bytes, err));
	return existed ? reef_error_set(err, REEF_CONFLICT, "lie", NULL) : REEF_OK;
}

static ReefCode
race_with_two_winners(void *impl, const char *key, const ReefSlice *bodies,
					  int count, ReefCode *outcomes, ReefError *err)
{
	REEF_TRY(reef_memory_store_ops.put_race(impl, key, bodies, count,
											outcomes, err));
	outcomes[0] = REEF_OK;
	return REEF_OK;
}

static ReefCode
race_with_the_wrong_bytes(void *impl, const char *key,
						  const ReefSlice *bodies, int count,
						  ReefCode *outcomes, ReefError *err)
{
	REEF_TRY(reef_memory_store_ops.put_race(impl, key, bodies, count,
											outcomes, err));
	return put_overwriting(impl, key, bodies[0], err);
}

static ReefCode
race_without_a_winner(void *impl, const char *key, const ReefSlice *bodies,
					  int count, ReefCode *outcomes, ReefError *err)
{
	(void) impl;
	(void) key;
	(void) bodies;
	(void) err;
	for (int i = 0; i < count; i++)
		outcomes[i] = REEF_CONFLICT;
	return REEF_OK;
}

static ReefCode
race_that_is_never_decided(void *impl, const char *key,
						   const ReefSlice *bodies, int count,
						   ReefCode *outcomes, ReefError *err)
{
	REEF_TRY(race_without_a_winner(impl, key, bodies, count, outcomes, err));
	outcomes[3] = REEF_UNCERTAIN;
	return REEF_OK;
}

static void
expect_probe(const ReefStoreOps *ops, ReefCode expected, const char *detail)
{
	ReefStoreOptions options = {.location = "memory://"};
	FakeHost   *fake = fake_host_new();
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	ReefStore  *store;
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_store_new(&fake->host, ops, bucket, &options, &store, &err),
			&err);
	UNIT_CODE(reef_store_probe(store, "p", &err), expected, &err);
	if (strstr(err.detail, detail) == NULL)
		UNIT_FAIL("\"%s\" does not say \"%s\"", err.detail, detail);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), 0);
	reef_store_close(store);
	reef_memory_bucket_free(bucket);
	fake_host_free(fake);
}

UNIT_TEST(test_store__the_probe_finds_each_kind_of_liar)
{
	ReefStoreOps ops = reef_memory_store_ops;

	ops.put_if_absent = put_overwriting;
	expect_probe(&ops, REEF_UNSUPPORTED, "existed, and overwrote it");
	ops.put_if_absent = put_ignoring;
	expect_probe(&ops, REEF_UNSUPPORTED, "existed, and ignored it");
	ops.put_if_absent = put_refusing_but_overwriting;
	expect_probe(&ops, REEF_UNSUPPORTED, "not what was put first");
	ops = reef_memory_store_ops;
	ops.put_race = race_with_two_winners;
	expect_probe(&ops, REEF_UNSUPPORTED, "more than one");
	ops.put_race = race_with_the_wrong_bytes;
	expect_probe(&ops, REEF_UNSUPPORTED, "kept another one's bytes");
	ops.put_race = race_without_a_winner;
	expect_probe(&ops, REEF_UNSUPPORTED, "refused all");
	ops.put_race = race_that_is_never_decided;
	expect_probe(&ops, REEF_UNAVAILABLE, "some requests failed");
}
