/*
 * test_cache.c
 *	  The local cache: it saves requests, keeps to its size, and whatever
 *	  happens to its files, nobody gets bytes that are not the object's [I10].
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../store/memory_store.h"
#include "../store/temp_directory.h"
#include "fake_host.h"
#include "store/cache.h"
#include "store/store.h"
#include "unit.h"

#define BLOCK REEF_CACHE_BLOCK_SIZE
#define FILE_SIZE (REEF_CACHE_HEADER_SIZE + BLOCK)
#define KEY "public/t/segment/0192aaaa-0000-7000-8000-000000000001.parquet"
#define OTHER_KEY "public/t/segment/0192aaaa-0000-7000-8000-000000000002.parquet"
#define SECOND_US INT64_C(1000000)
#define SHARED_MAX ((size_t) 1024 * 1024)

typedef struct Fixture
{
	FakeHost   *fake;
	ReefMemoryBucket *bucket;
	char		directory[TEMP_DIRECTORY_SIZE];
	char		path[TEMP_DIRECTORY_SIZE + 16];
	uint64_t	cache_size;
	ReefCacheShared *shared;	/* SHARED_MAX bytes, also for children */
	ReefCache  *cache;
	ReefStore  *store;
	ReefError	err;
} Fixture;

static ReefStore *
open_store_at(Fixture *f, const char *location)
{
	ReefStoreOptions options = {.location = location, .cache = f->cache};
	ReefStore  *store;

	UNIT_OK(reef_store_new(&f->fake->host, &reef_memory_store_ops, f->bucket,
						   &options, &store, &f->err), &f->err);
	return store;
}

static void
start_server(Fixture *f)
{
	UNIT_CHECK(reef_cache_shared_size(f->cache_size) <= SHARED_MAX);
	reef_cache_shared_init(f->shared, f->cache_size);
	UNIT_OK(reef_cache_open(&f->fake->host, f->shared, f->path, &f->cache,
							&f->err), &f->err);
	f->store = open_store_at(f, "memory://");
}

static void
stop_server(Fixture *f)
{
	reef_store_close(f->store);
	reef_cache_close(f->cache);
	f->store = NULL;
	f->cache = NULL;
}

static void
set_up(Fixture *f, uint64_t files)
{
	memset(f, 0, sizeof(*f));
	reef_error_init(&f->err);
	f->fake = fake_host_new();
	f->bucket = reef_memory_bucket_new();
	temp_directory_make(f->directory);
	snprintf(f->path, sizeof(f->path), "%s/cache", f->directory);
	f->cache_size = files * FILE_SIZE;
	f->shared = mmap(NULL, SHARED_MAX, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	UNIT_CHECK(f->shared != MAP_FAILED);
	start_server(f);
}

static void
tear_down(Fixture *f)
{
	stop_server(f);
	munmap(f->shared, SHARED_MAX);
	reef_memory_bucket_free(f->bucket);
	fake_host_free(f->fake);
	temp_directory_remove(f->directory);
}

static uint8_t
byte_at(uint64_t seed, uint64_t offset)
{
	uint64_t	word = (offset / 8 + 1) * (seed * 2 + 1) *
		UINT64_C(0x9e3779b97f4a7c15);

	return (uint8_t) (word >> (offset % 8 * 8));
}

static uint8_t *
make_bytes(uint64_t seed, size_t size)
{
	uint8_t    *bytes = malloc(size);

	UNIT_CHECK(bytes != NULL);
	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(seed, i);
	return bytes;
}

static void
put(Fixture *f, const char *key, uint64_t seed, size_t size)
{
	uint8_t    *bytes = make_bytes(seed, size);

	UNIT_OK(reef_store_put_if_absent(f->store, key, reef_slice(bytes, size),
									 &f->err), &f->err);
	free(bytes);
}

static uint64_t
get_count(const Fixture *f)
{
	return reef_store_counters(f->store)[REEF_REQUEST_GET].requests;
}

static const ReefCacheCounters *
counters(const Fixture *f)
{
	return reef_store_cache_counters(f->store);
}

/* Read a range and compare every byte; the number of requests. */
static uint64_t
check_read_of(Fixture *f, ReefStore *store, const char *key, uint64_t seed,
			  size_t object_size, uint64_t offset, size_t size)
{
	uint64_t	before = reef_store_counters(store)[REEF_REQUEST_GET].requests;
	uint8_t    *out = malloc(size);
	bool		is_right = true;
	ReefCode	rc;

	UNIT_CHECK(out != NULL);
	rc = reef_store_get_cached(store, key, object_size, offset, size, out,
							   &f->err);
	for (size_t i = 0; rc == REEF_OK && i < size; i++)
		is_right &= out[i] == byte_at(seed, offset + i);
	free(out);
	UNIT_OK(rc, &f->err);
	UNIT_CHECK(is_right);
	return reef_store_counters(store)[REEF_REQUEST_GET].requests - before;
}

static uint64_t
check_read(Fixture *f, const char *key, uint64_t seed, size_t object_size,
		   uint64_t offset, size_t size)
{
	return check_read_of(f, f->store, key, seed, object_size, offset, size);
}

/* Call back for each file of the cache; their number. */
typedef void (*FileVisitor) (const Fixture *f, const char *path, void *arg);

static int
each_file(const Fixture *f, const char *prefix, FileVisitor visit, void *arg)
{
	DIR		   *entries = opendir(f->path);
	struct dirent *entry;
	int			count = 0;

	UNIT_CHECK(entries != NULL);
	while ((entry = readdir(entries)) != NULL)
	{
		char		path[400];

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		count++;
		snprintf(path, sizeof(path), "%s/%s", f->path, entry->d_name);
		if (visit != NULL)
			visit(f, path, arg);
	}
	closedir(entries);
	return count;
}

static void
add_file_size(const Fixture *f, const char *path, void *arg)
{
	struct stat status;

	(void) f;
	UNIT_CHECK(stat(path, &status) == 0);
	UNIT_EQUAL_INT(status.st_mode & 0777, 0600);
	*(uint64_t *) arg += (uint64_t) status.st_size;
}

static void
check_bound(const Fixture *f)
{
	uint64_t	sum = 0;

	(void) each_file(f, "block-", add_file_size, &sum);
	UNIT_CHECK(sum <= f->cache_size);
	UNIT_EQUAL_INT(each_file(f, "temporary-", NULL, NULL), 0);
}

/* ---- reading ---- */

UNIT_TEST(test_cache__a_warm_read_needs_no_request)
{
	size_t		size = 3 * BLOCK + 100;
	Fixture		f;

	set_up(&f, 16);
	put(&f, KEY, 1, size);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 10, 20), 1);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 10, 20), 0);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, BLOCK), 0);
	UNIT_EQUAL_INT(counters(&f)->hits, 2);
	UNIT_EQUAL_INT(counters(&f)->misses, 1);
	UNIT_EQUAL_INT(counters(&f)->hit_bytes, 20 + BLOCK);
	UNIT_EQUAL_INT(counters(&f)->filled_bytes, BLOCK);
	/* one request for what is missing, wherever it begins and ends */
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, size), 1);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, size), 0);
	UNIT_EQUAL_INT(counters(&f)->filled_bytes, size);
	tear_down(&f);
}

UNIT_TEST(test_cache__every_range_is_right)
{
	size_t		size = 9 * BLOCK + 12345;
	Fixture		f;

	set_up(&f, 7);				/* fewer than the object's blocks */
	put(&f, KEY, 2, size);
	for (int i = 0; i < 300; i++)
	{
		uint64_t	offset = unit_random_below(size);
		size_t		length = (size_t) unit_random_below(size - offset) + 1;

		if (i % 3 != 0 && length > 1000)
			length = 1000;
		(void) check_read(&f, KEY, 2, size, offset, length);
	}
	UNIT_CHECK(counters(&f)->hits > 0);
	UNIT_CHECK(counters(&f)->evictions > 0);
	check_bound(&f);
	tear_down(&f);
}

UNIT_TEST(test_cache__errors_of_the_store_are_those_of_the_read)
{
	size_t		size = 2 * BLOCK;
	uint8_t		out[10];
	Fixture		f;

	set_up(&f, 16);
	UNIT_CODE(reef_store_get_cached(f.store, KEY, size, 0, sizeof(out), out,
									&f.err), REEF_NOT_FOUND, &f.err);
	put(&f, KEY, 1, size);
	/* the object ends before its meta says */
	UNIT_CODE(reef_store_get_cached(f.store, KEY, size + 10, size, sizeof(out),
									out, &f.err), REEF_CORRUPT, &f.err);
	fake_host_cancel(f.fake, true);
	UNIT_CODE(reef_store_get_cached(f.store, KEY, size, 0, sizeof(out), out,
									&f.err), REEF_CANCELLED, &f.err);
	fake_host_cancel(f.fake, false);
	UNIT_EQUAL_INT(each_file(&f, "block-", NULL, NULL), 0);
	tear_down(&f);
}

UNIT_TEST(test_cache__plain_reads_and_directories_do_not_use_it)
{
	char		location[TEMP_DIRECTORY_SIZE + 16];
	ReefStoreOptions options = {.location = location};
	ReefStore  *store;
	uint8_t		out[10];
	Fixture		f;

	set_up(&f, 16);
	put(&f, KEY, 1, BLOCK);
	(void) check_read(&f, KEY, 1, BLOCK, 0, 10);
	UNIT_OK(reef_store_get_range(f.store, KEY, 0, 10, out, &f.err), &f.err);
	UNIT_EQUAL_INT(get_count(&f), 2);
	snprintf(location, sizeof(location), "file://%s/store", f.directory);
	options.cache = f.cache;
	UNIT_OK(reef_store_open(&f.fake->host, &options, &store, &f.err), &f.err);
	UNIT_CHECK(!reef_store_is_cached(store));
	reef_store_close(store);
	tear_down(&f);
}

/* ---- size and use ---- */

UNIT_TEST(test_cache__it_keeps_to_its_size_and_drops_what_is_not_used)
{
	size_t		size = 200 * BLOCK;
	Fixture		f;

	set_up(&f, 40);
	put(&f, KEY, 3, size);
	(void) check_read(&f, KEY, 3, size, 0, 1);
	for (uint64_t block = 1; block < 200; block++)
	{
		(void) check_read(&f, KEY, 3, size, block * BLOCK + 5, 1);
		/* what is used all the time is never the oldest */
		UNIT_EQUAL_INT(check_read(&f, KEY, 3, size, 7, 1), 0);
	}
	check_bound(&f);
	UNIT_EQUAL_INT(counters(&f)->evictions,
				   200 - each_file(&f, "block-", NULL, NULL));
	UNIT_EQUAL_INT(each_file(&f, "block-", NULL, NULL), 35);
	UNIT_EQUAL_INT(check_read(&f, KEY, 3, size, 199 * BLOCK, 1), 0);
	UNIT_EQUAL_INT(check_read(&f, KEY, 3, size, 1 * BLOCK, 1), 1);
	tear_down(&f);
}

UNIT_TEST(test_cache__one_too_small_for_a_block_is_none)
{
	UNIT_EQUAL_INT(reef_cache_shared_size(FILE_SIZE), 0);
	UNIT_CHECK(reef_cache_shared_size(2 * FILE_SIZE) > 0);
}

/* ---- damage ---- */

typedef struct Damage
{
	off_t		flip_at;		/* -1: truncate */
	off_t		size;
} Damage;

static void
damage_file(const Fixture *f, const char *path, void *arg)
{
	const Damage *damage = arg;
	uint8_t		byte;
	int			fd = open(path, O_RDWR);

	(void) f;
	UNIT_CHECK(fd >= 0);
	if (damage->flip_at < 0)
		UNIT_CHECK(ftruncate(fd, damage->size) == 0);
	else
	{
		UNIT_CHECK(pread(fd, &byte, 1, damage->flip_at) == 1);
		byte ^= 0x10;
		UNIT_CHECK(pwrite(fd, &byte, 1, damage->flip_at) == 1);
	}
	close(fd);
}

static void
check_damage(Damage damage)
{
	size_t		size = BLOCK + 1000;
	Fixture		f;

	set_up(&f, 16);
	put(&f, KEY, 4, size);
	UNIT_EQUAL_INT(check_read(&f, KEY, 4, size, 0, size), 1);
	UNIT_EQUAL_INT(each_file(&f, "block-", damage_file, &damage), 2);
	UNIT_CHECK(check_read(&f, KEY, 4, size, 0, size) >= 1);
	/* it was removed and is whole again */
	UNIT_EQUAL_INT(check_read(&f, KEY, 4, size, 0, size), 0);
	UNIT_EQUAL_INT(each_file(&f, "block-", damage_file, &damage), 2);
	/* ... also if it happened while no server ran */
	stop_server(&f);
	start_server(&f);
	UNIT_CHECK(check_read(&f, KEY, 4, size, 0, size) >= 1);
	tear_down(&f);
}

UNIT_TEST(test_cache__a_flipped_byte_is_a_miss)
{
	/* magic, both checksums, sizes, identity, padding, block */
	static const int places[] = {0, 8, 12, 16, 20, 24, 33, 45, 110, 150, 4000,
	4096, 4096 + 999};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		check_damage((Damage) {.flip_at = places[i]});
}

UNIT_TEST(test_cache__a_file_of_another_size_is_a_miss)
{
	static const int sizes[] = {0, 7, 100, 4095, 4096, 4097, 4096 + 999};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		check_damage((Damage) {.flip_at = -1, .size = sizes[i]});
	check_damage((Damage) {.flip_at = -1, .size = FILE_SIZE + 1});
}

typedef struct Names
{
	char		names[8][400];
	int			count;
} Names;

static void
note_name(const Fixture *f, const char *path, void *arg)
{
	Names	   *names = arg;

	(void) f;
	UNIT_CHECK(names->count < 8);
	snprintf(names->names[names->count++], 400, "%s", path);
}

UNIT_TEST(test_cache__swapped_files_are_misses)
{
	size_t		size = 2 * BLOCK;
	char		aside[TEMP_DIRECTORY_SIZE + 16];
	Names		names = {.count = 0};
	Fixture		f;

	set_up(&f, 16);
	put(&f, KEY, 5, size);
	UNIT_EQUAL_INT(check_read(&f, KEY, 5, size, 0, size), 1);
	UNIT_EQUAL_INT(each_file(&f, "block-", note_name, &names), 2);
	snprintf(aside, sizeof(aside), "%s/aside", f.directory);
	UNIT_CHECK(rename(names.names[0], aside) == 0);
	UNIT_CHECK(rename(names.names[1], names.names[0]) == 0);
	UNIT_CHECK(rename(aside, names.names[1]) == 0);
	UNIT_CHECK(check_read(&f, KEY, 5, size, 0, size) >= 1);
	UNIT_EQUAL_INT(check_read(&f, KEY, 5, size, 0, size), 0);
	UNIT_EQUAL_INT(each_file(&f, "block-", NULL, NULL), 2);
	/* one that is gone */
	UNIT_CHECK(unlink(names.names[0]) == 0);
	UNIT_EQUAL_INT(check_read(&f, KEY, 5, size, 0, size), 1);
	tear_down(&f);
}

/* The identity in the file has to be wrong in one thing only. */
UNIT_TEST(test_cache__a_block_is_of_one_store_object_and_size)
{
	size_t		size = BLOCK;
	ReefMemoryBucket *first;
	ReefStore  *elsewhere;
	Fixture		f;

	set_up(&f, 16);
	put(&f, KEY, 6, size);
	(void) check_read(&f, KEY, 6, size, 0, size);
	first = f.bucket;
	f.bucket = reef_memory_bucket_new();
	elsewhere = open_store_at(&f, "memory://elsewhere");
	reef_store_close(f.store);
	f.store = elsewhere;
	put(&f, KEY, 7, size);
	UNIT_EQUAL_INT(check_read(&f, KEY, 7, size, 0, size), 1);
	UNIT_EQUAL_INT(check_read(&f, KEY, 7, size, 0, size), 0);
	put(&f, OTHER_KEY, 8, size);
	UNIT_EQUAL_INT(check_read(&f, OTHER_KEY, 8, size, 0, size), 1);
	/* the same key with another size */
	UNIT_CHECK(reef_memory_bucket_remove(f.bucket, KEY));
	put(&f, KEY, 9, size + BLOCK);
	UNIT_EQUAL_INT(check_read(&f, KEY, 9, size + BLOCK, 0, size), 1);
	tear_down(&f);
	reef_memory_bucket_free(first);
}

UNIT_TEST(test_cache__a_namespace_made_again_has_other_segments)
{
	size_t		size = 2 * BLOCK;
	Fixture		f;

	set_up(&f, 16);
	put(&f, KEY, 1, size);
	(void) check_read(&f, KEY, 1, size, 0, size);
	UNIT_OK(reef_store_delete(f.store, KEY, &f.err), &f.err);
	put(&f, OTHER_KEY, 2, size);
	UNIT_EQUAL_INT(check_read(&f, OTHER_KEY, 2, size, 0, size), 1);
	UNIT_EQUAL_INT(check_read(&f, OTHER_KEY, 2, size, 0, size), 0);
	tear_down(&f);
}

/* ---- starts ---- */

static void
make_file(const Fixture *f, const char *name)
{
	char		path[400];
	int			fd;

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	UNIT_CHECK(fd >= 0);
	UNIT_CHECK(write(fd, "?", 1) == 1);
	close(fd);
}

UNIT_TEST(test_cache__a_start_keeps_blocks_and_removes_leftovers)
{
	size_t		size = 5 * BLOCK + 1;
	Fixture		f;

	set_up(&f, 16);
	put(&f, KEY, 1, size);
	(void) check_read(&f, KEY, 1, size, 0, size);
	stop_server(&f);
	make_file(&f, "temporary-00000000000000ab");
	make_file(&f, "block-0000000c");
	make_file(&f, "block-ffffffff");
	make_file(&f, "block-of-somebody");
	make_file(&f, "README");
	start_server(&f);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, size), 0);
	UNIT_EQUAL_INT(each_file(&f, "temporary-", NULL, NULL), 0);
	UNIT_EQUAL_INT(each_file(&f, "block-0", NULL, NULL), 6);
	UNIT_EQUAL_INT(each_file(&f, "block-f", NULL, NULL), 0);
	UNIT_EQUAL_INT(each_file(&f, "block-of", NULL, NULL), 1);
	UNIT_EQUAL_INT(each_file(&f, "README", NULL, NULL), 1);
	tear_down(&f);
}

UNIT_TEST(test_cache__a_smaller_one_drops_what_is_too_much)
{
	size_t		size = 100 * BLOCK;
	Fixture		f;

	set_up(&f, 200);
	put(&f, KEY, 1, size);
	(void) check_read(&f, KEY, 1, size, 0, size);
	stop_server(&f);
	f.cache_size = 20 * FILE_SIZE;
	start_server(&f);
	check_bound(&f);
	(void) check_read(&f, KEY, 1, size, 0, size);
	check_bound(&f);
	tear_down(&f);
}

UNIT_TEST(test_cache__while_one_scans_others_do_without)
{
	size_t		size = 2 * BLOCK;
	Fixture		f;

	set_up(&f, 16);
	put(&f, KEY, 1, size);
	/* a start whose first process is told to stop in the middle */
	reef_cache_shared_init(f.shared, f.cache_size);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, 10), 1);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, 10), 1);
	UNIT_EQUAL_INT(each_file(&f, "", NULL, NULL), 2);	/* "." and ".." */
	stop_server(&f);
	make_file(&f, "temporary-00000000000000ab");
	reef_cache_shared_init(f.shared, f.cache_size);
	fake_host_cancel(f.fake, true);
	UNIT_CODE(reef_cache_open(&f.fake->host, f.shared, f.path, &f.cache,
							  &f.err), REEF_CANCELLED, &f.err);
	fake_host_cancel(f.fake, false);
	UNIT_OK(reef_cache_open(&f.fake->host, f.shared, f.path, &f.cache, &f.err),
			&f.err);
	f.store = open_store_at(&f, "memory://");
	UNIT_EQUAL_INT(each_file(&f, "temporary-", NULL, NULL), 0);
	(void) check_read(&f, KEY, 1, size, 0, 10);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, 10), 0);
	tear_down(&f);
}

/* ---- the directory ---- */

static void
check_refused(Fixture *f, const char *path)
{
	ReefCacheShared *shared = calloc(1, SHARED_MAX);
	ReefCache  *cache;
	ReefCode	rc;

	reef_cache_shared_init(shared, f->cache_size);
	rc = reef_cache_open(&f->fake->host, shared, path, &cache, &f->err);
	free(shared);
	UNIT_CODE(rc, REEF_INVALID, &f->err);
}

UNIT_TEST(test_cache__a_directory_of_others_is_refused)
{
	char		path[TEMP_DIRECTORY_SIZE + 32];
	struct stat status;
	Fixture		f;

	set_up(&f, 16);
	UNIT_CHECK(stat(f.path, &status) == 0);
	UNIT_EQUAL_INT(status.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/link", f.directory);
	UNIT_CHECK(symlink(f.path, path) == 0);
	check_refused(&f, path);
	snprintf(path, sizeof(path), "%s/link/", f.directory);
	check_refused(&f, path);
	snprintf(path, sizeof(path), "%s/none/cache", f.directory);
	check_refused(&f, path);
	make_file(&f, "file");
	snprintf(path, sizeof(path), "%s/file", f.path);
	check_refused(&f, path);
	UNIT_CHECK(chmod(f.path, 0750) == 0);
	check_refused(&f, f.path);
	UNIT_CHECK(chmod(f.path, 0700) == 0);
	if (geteuid() == 0)
	{
		UNIT_CHECK(chown(f.path, 1, (gid_t) -1) == 0);
		check_refused(&f, f.path);
	}
	tear_down(&f);
}

UNIT_TEST(test_cache__a_full_disk_is_one_warning_and_no_error)
{
	size_t		size = 10 * BLOCK;
	struct rlimit old_limit;
	struct rlimit limit;
	void		(*old_handler) (int);
	Fixture		f;

	set_up(&f, 32);
	put(&f, KEY, 1, size);
	fake_host_set_time(f.fake, 1000 * SECOND_US);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, 1), 1);
	old_handler = signal(SIGXFSZ, SIG_IGN);
	UNIT_CHECK(getrlimit(RLIMIT_FSIZE, &old_limit) == 0);
	limit = old_limit;
	limit.rlim_cur = 10000;
	UNIT_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	for (int i = 0; i < 5; i++)
		UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, BLOCK, size - BLOCK), 1);
	UNIT_CHECK(setrlimit(RLIMIT_FSIZE, &old_limit) == 0);
	signal(SIGXFSZ, old_handler);
	UNIT_EQUAL_INT(f.fake->log_warnings, 1);
	UNIT_CHECK(strstr(f.fake->last_log, "File too large") != NULL);
	check_bound(&f);
	/* a minute later it is tried again */
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, 1), 1);
	fake_host_set_time(f.fake, 1061 * SECOND_US);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, 1), 0);
	(void) check_read(&f, KEY, 1, size, 0, size);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, size), 0);
	UNIT_EQUAL_INT(f.fake->log_warnings, 1);
	tear_down(&f);
}

/* ---- writing through ---- */

static ReefStoreWriter *
write_object(Fixture *f, const char *key, uint64_t seed, size_t size,
			 bool is_kept)
{
	uint8_t    *bytes = make_bytes(seed, size);
	ReefStoreWriter *writer;
	size_t		done = 0;

	UNIT_OK(reef_store_write_begin(f->store, key, &writer, &f->err), &f->err);
	if (is_kept)
		reef_store_write_keep(writer);
	while (done < size)
	{
		size_t		part = (size_t) unit_random_below(3 * BLOCK) + 1;

		if (part > size - done)
			part = size - done;
		UNIT_OK(reef_store_write(writer, reef_slice(bytes + done, part),
								 &f->err), &f->err);
		done += part;
	}
	free(bytes);
	return writer;
}

UNIT_TEST(test_cache__what_is_written_is_there)
{
	size_t		size = 6 * BLOCK + 77;
	Fixture		f;

	set_up(&f, 100);
	UNIT_OK(reef_store_write_commit(write_object(&f, KEY, 1, size, true),
									&f.err), &f.err);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, 0, size), 0);
	UNIT_OK(reef_store_write_commit(write_object(&f, OTHER_KEY, 2, size,
												 false), &f.err), &f.err);
	UNIT_EQUAL_INT(check_read(&f, OTHER_KEY, 2, size, 0, size), 1);
	check_bound(&f);
	tear_down(&f);
}

UNIT_TEST(test_cache__what_was_not_committed_is_not_there)
{
	size_t		size = 3 * BLOCK + 77;
	Fixture		f;

	set_up(&f, 100);
	reef_store_write_abort(write_object(&f, KEY, 1, size, true));
	UNIT_EQUAL_INT(each_file(&f, "", NULL, NULL), 2);
	/* somebody else's object under the key: not ours */
	put(&f, KEY, 2, size);
	UNIT_CODE(reef_store_write_commit(write_object(&f, KEY, 1, size, true),
									  &f.err), REEF_CONFLICT, &f.err);
	UNIT_EQUAL_INT(each_file(&f, "", NULL, NULL), 2);
	UNIT_EQUAL_INT(check_read(&f, KEY, 2, size, 0, size), 1);
	tear_down(&f);
}

UNIT_TEST(test_cache__a_large_object_does_not_drive_the_others_out)
{
	size_t		small = 4 * BLOCK;
	size_t		large = 60 * BLOCK;
	ReefStoreWriter *writer;
	Fixture		f;

	set_up(&f, 80);
	put(&f, KEY, 1, small);
	(void) check_read(&f, KEY, 1, small, 0, small);
	writer = write_object(&f, OTHER_KEY, 2, large, true);
	UNIT_EQUAL_INT(each_file(&f, "temporary-", NULL, NULL), 10);
	UNIT_OK(reef_store_write_commit(writer, &f.err), &f.err);
	UNIT_EQUAL_INT(check_read(&f, KEY, 1, small, 0, small), 0);
	UNIT_EQUAL_INT(check_read(&f, OTHER_KEY, 2, large, 0, 10 * BLOCK), 0);
	UNIT_EQUAL_INT(check_read(&f, OTHER_KEY, 2, large, 0, large), 1);
	check_bound(&f);
	tear_down(&f);
}

/* ---- many processes ---- */

/* Reads and writes in a cache too small for it, for a while; 0: all right. */
static int
race(Fixture *f, uint64_t seed)
{
	static const size_t size = 12 * BLOCK + 333;
	uint8_t    *out = malloc(size);
	bool		is_right = true;

	fake_host_seed(f->fake, seed);
	UNIT_OK(reef_cache_open(&f->fake->host, f->shared, f->path, &f->cache,
							&f->err), &f->err);
	f->store = open_store_at(f, "memory://");
	srandom((unsigned) seed);
	for (int i = 0; i < 400; i++)
	{
		int			object = (int) (random() % 3);
		uint64_t	offset = (uint64_t) random() % (size - 1000);
		const char *keys[] = {KEY, OTHER_KEY, KEY "2"};

		if (reef_store_get_cached(f->store, keys[object], size, offset, 1000,
								  out, &f->err) != REEF_OK)
			return 1;
		for (size_t j = 0; j < 1000; j++)
			is_right &= out[j] == byte_at((uint64_t) object + 1, offset + j);
	}
	free(out);
	return is_right ? 0 : 2;
}

UNIT_TEST(test_cache__many_processes_get_the_right_bytes)
{
	size_t		size = 12 * BLOCK + 333;
	pid_t		children[4];
	uint64_t	filled;
	Fixture		f;

	set_up(&f, 16);
	put(&f, KEY, 1, size);
	put(&f, OTHER_KEY, 2, size);
	put(&f, KEY "2", 3, size);
	for (int i = 0; i < 4; i++)
	{
		children[i] = fork();
		UNIT_CHECK(children[i] >= 0);
		if (children[i] == 0)
			_exit(race(&f, (uint64_t) i + 100));
	}
	for (int i = 0; i < 4; i++)
	{
		int			status;

		UNIT_CHECK(waitpid(children[i], &status, 0) == children[i]);
		UNIT_CHECK(WIFEXITED(status));
		UNIT_EQUAL_INT(WEXITSTATUS(status), 0);
	}
	check_bound(&f);
	/* nothing that was reserved or claimed is lost */
	filled = counters(&f)->filled_bytes;
	for (uint64_t block = 0; block < 12; block++)
	{
		(void) check_read(&f, KEY, 1, size, block * BLOCK, 1);
		UNIT_EQUAL_INT(check_read(&f, KEY, 1, size, block * BLOCK, 1), 0);
	}
	UNIT_CHECK(counters(&f)->filled_bytes >= filled);
	tear_down(&f);
}

/* A process is killed; the server starts anew, as PostgreSQL does then. */
UNIT_TEST(test_cache__a_kill_leaves_nothing_behind)
{
	size_t		size = 12 * BLOCK + 333;
	Fixture		f;

	set_up(&f, 16);
	put(&f, KEY, 1, size);
	put(&f, OTHER_KEY, 2, size);
	put(&f, KEY "2", 3, size);
	for (int round = 0; round < 10; round++)
	{
		pid_t		child = fork();
		int			status;

		UNIT_CHECK(child >= 0);
		if (child == 0)
		{
			for (;;)
			{
				if (race(&f, (uint64_t) round) != 0)
					_exit(1);
			}
		}
		usleep((useconds_t) (20000 + unit_random_below(20000)));
		UNIT_CHECK(kill(child, SIGKILL) == 0);
		UNIT_CHECK(waitpid(child, &status, 0) == child);
		UNIT_CHECK(WIFSIGNALED(status));
		stop_server(&f);
		start_server(&f);
		check_bound(&f);
		(void) check_read(&f, KEY, 1, size, 0, size);
	}
	tear_down(&f);
}
