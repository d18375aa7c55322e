/*
 * test_file_store.c
 *	  What only the directory store promises: durability in the right order,
 *	  no way out of its directory, many processes, kill -9.
 *
 * fsync, fdatasync and linkat are replaced for the whole test program, by
 * versions that do the same unless a test here asks for a failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../store/temp_directory.h"
#include "fake_host.h"
#include "store/store.h"
#include "unit.h"

#define RACERS 16
#define RACE_KEYS 50
#define KILL_ROUNDS 5
#define KILL_OBJECT_SIZE 300000

static int	fsync_errno;		/* 0 = works */
static int	fdatasync_errno;
static int	linkat_errno;
static bool linkat_works_but_fails;
static char calls[64];			/* one letter for each call */
static size_t call_count;

static void
note_call(char letter)
{
	if (call_count < sizeof(calls) - 1)
		calls[call_count++] = letter;
	calls[call_count] = '\0';
}

static int
fail_with(int os_errno)
{
	errno = os_errno;
	return -1;
}

int
fsync(int fd)
{
	note_call('f');
	return fsync_errno != 0 ? fail_with(fsync_errno) :
		(int) syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	note_call('d');
	return fdatasync_errno != 0 ? fail_with(fdatasync_errno) :
		(int) syscall(SYS_fdatasync, fd);
}

int
linkat(int old_fd, const char *old, int new_fd, const char *new, int flags)
{
	note_call('l');
	if (linkat_errno != 0)
		return fail_with(linkat_errno);
	if (syscall(SYS_linkat, old_fd, old, new_fd, new, flags) != 0)
		return -1;
	return linkat_works_but_fails ? fail_with(EEXIST) : 0;
}

typedef struct Fixture
{
	FakeHost   *fake;
	char		directory[TEMP_DIRECTORY_SIZE];
	char		location[TEMP_DIRECTORY_SIZE + 16];
	ReefStore  *store;
	ReefError	err;
} Fixture;

static ReefCode
open_location(Fixture *f, const char *location, bool read_only,
			  ReefStore **store)
{
	ReefStoreOptions options = {
		.location = location,
		.read_only = read_only,
		.max_retries = 2
	};

	return reef_store_open(&f->fake->host, &options, store, &f->err);
}

static void
set_up(Fixture *f)
{
	memset(f, 0, sizeof(*f));
	reef_error_init(&f->err);
	fsync_errno = fdatasync_errno = linkat_errno = 0;
	linkat_works_but_fails = false;
	f->fake = fake_host_new();
	temp_directory_make(f->directory);
	snprintf(f->location, sizeof(f->location), "file://%s", f->directory);
	UNIT_OK(open_location(f, f->location, false, &f->store), &f->err);
}

static void
tear_down(Fixture *f)
{
	reef_store_close(f->store);
	temp_directory_remove(f->directory);
	fake_host_free(f->fake);
}

static void
path_of(const Fixture *f, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", f->directory, name);
}

static int
count_files(const Fixture *f, const char *name)
{
	char		path[128];

	path_of(f, name, path);
	return temp_directory_count_files(path);
}

static ReefCode
put(Fixture *f, const char *key, const char *text)
{
	return reef_store_put_if_absent(f->store, key, reef_slice_of_string(text),
									&f->err);
}

static ReefCode
get(Fixture *f, const char *key)
{
	ReefBuf		out;
	ReefCode	rc;

	reef_buf_init(&out);
	rc = reef_store_get(f->store, key, &out, &f->err);
	reef_buf_release(&out);
	return rc;
}

/* ---- locations ---- */

UNIT_TEST(test_file_store__bad_locations_are_refused_with_a_reason)
{
	static const char *const bad[] = {
		"", "/tmp/x", "tmp", "file:", "file:/tmp", "file://", "file:///",
		"file://host/dir", "file://tmp", "file:///tmp/../etc", "file:///tmp/.",
		"file:///tmp//x", "file:///tmp/x//", "file:///tmp/x\n", "http://x/y",
		"FILE:///tmp/x"
	};
	Fixture		f;
	ReefStore  *store;

	set_up(&f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		UNIT_CODE(open_location(&f, bad[i], false, &store), REEF_INVALID,
				  &f.err);
		UNIT_CHECK(f.err.detail[0] != '\0');
	}
	UNIT_CHECK(open_location(&f, "file:///tmp/x\n", false, &store) ==
			   REEF_INVALID);
	tear_down(&f);
}

UNIT_TEST(test_file_store__a_missing_directory_is_made_if_its_parent_exists)
{
	Fixture		f;
	ReefStore  *store;
	char		location[256];
	char		path[128];
	struct stat status;

	set_up(&f);
	path_of(&f, "new", path);
	snprintf(location, sizeof(location), "file://%s", path);
	UNIT_CODE(open_location(&f, location, true, &store), REEF_INVALID,
			  &f.err);
	UNIT_CHECK(strstr(f.err.detail, path) != NULL);
	call_count = 0;
	UNIT_OK(open_location(&f, location, false, &store), &f.err);
	UNIT_EQUAL_STRING(calls, "f");
	reef_store_close(store);
	UNIT_CHECK(stat(path, &status) == 0);
	UNIT_EQUAL_INT(status.st_mode & 07777, 0700);

	snprintf(location, sizeof(location), "file://%s/missing/x", path);
	UNIT_CODE(open_location(&f, location, false, &store), REEF_INVALID,
			  &f.err);

	UNIT_OK(put(&f, "object", "x"), &f.err);
	snprintf(location, sizeof(location), "%s/object", f.location);
	UNIT_CODE(open_location(&f, location, false, &store), REEF_INVALID,
			  &f.err);
	tear_down(&f);
}

/* ---- durability ---- */

UNIT_TEST(test_file_store__a_name_is_given_to_durable_bytes_and_then_synced)
{
	Fixture		f;

	set_up(&f);
	call_count = 0;
	/* .tmp in the root, the bytes, a in the root, b in a, the name in b */
	UNIT_OK(put(&f, "a/b/1", "x"), &f.err);
	UNIT_EQUAL_STRING(calls, "fdfflf");
	call_count = 0;
	UNIT_OK(put(&f, "a/b/2", "x"), &f.err);
	UNIT_EQUAL_STRING(calls, "dlf");
	/* The first one may have been killed before it synced. */
	call_count = 0;
	UNIT_CODE(put(&f, "a/b/2", "x"), REEF_CONFLICT, &f.err);
	UNIT_EQUAL_STRING(calls, "dlf");
	UNIT_EQUAL_INT(count_files(&f, ".tmp"), 0);
	tear_down(&f);
}

UNIT_TEST(test_file_store__a_name_that_cannot_be_synced_is_uncertain)
{
	Fixture		f;

	set_up(&f);
	UNIT_OK(put(&f, "a/1", "x"), &f.err);
	fsync_errno = EIO;
	UNIT_CODE(put(&f, "a/2", "x"), REEF_UNCERTAIN, &f.err);
	UNIT_CODE(get(&f, "a/2"), REEF_UNAVAILABLE, &f.err);
	UNIT_CODE(put(&f, "a/2", "x"), REEF_UNCERTAIN, &f.err);
	UNIT_OK(get(&f, "a/1"), &f.err);
	fsync_errno = 0;
	call_count = 0;
	UNIT_OK(get(&f, "a/2"), &f.err);
	UNIT_EQUAL_STRING(calls, "f");
	call_count = 0;
	calls[0] = '\0';
	UNIT_OK(get(&f, "a/2"), &f.err);
	UNIT_EQUAL_STRING(calls, "");
	tear_down(&f);
}

UNIT_TEST(test_file_store__bytes_that_cannot_be_synced_never_get_a_name)
{
	Fixture		f;
	ReefStoreWriter *writer;

	set_up(&f);
	fdatasync_errno = EIO;
	UNIT_CODE(put(&f, "a/1", "x"), REEF_UNAVAILABLE, &f.err);
	fdatasync_errno = ENOSPC;
	UNIT_CODE(put(&f, "a/1", "x"), REEF_NO_SPACE, &f.err);
	fdatasync_errno = EIO;
	UNIT_OK(reef_store_write_begin(f.store, "a/1", &writer, &f.err), &f.err);
	call_count = 0;
	UNIT_CODE(reef_store_write_commit(writer, &f.err), REEF_UNAVAILABLE,
			  &f.err);
	/* asked once: the second answer would be "all is well" */
	UNIT_EQUAL_STRING(calls, "d");
	fdatasync_errno = 0;
	UNIT_EQUAL_INT(count_files(&f, ""), 0);
	tear_down(&f);
}

UNIT_TEST(test_file_store__a_directory_that_cannot_be_synced_is_not_kept)
{
	Fixture		f;

	set_up(&f);
	UNIT_OK(put(&f, "1", "x"), &f.err);
	fsync_errno = EIO;
	UNIT_CODE(put(&f, "a/1", "x"), REEF_UNAVAILABLE, &f.err);
	fsync_errno = 0;
	call_count = 0;
	UNIT_OK(put(&f, "a/1", "x"), &f.err);
	UNIT_EQUAL_STRING(calls, "dflf");
	tear_down(&f);
}

UNIT_TEST(test_file_store__a_link_with_an_unknown_outcome_is_uncertain)
{
	Fixture		f;

	set_up(&f);
	linkat_errno = EIO;
	UNIT_CODE(put(&f, "a", "x"), REEF_UNCERTAIN, &f.err);
	linkat_errno = ENOSPC;
	UNIT_CODE(put(&f, "a", "x"), REEF_NO_SPACE, &f.err);
	linkat_errno = 0;
	linkat_works_but_fails = true;
	UNIT_OK(put(&f, "a", "x"), &f.err);
	linkat_works_but_fails = false;
	UNIT_CODE(put(&f, "a", "x"), REEF_CONFLICT, &f.err);
	tear_down(&f);
}

UNIT_TEST(test_file_store__a_file_system_without_links_is_good_enough)
{
	Fixture		f;

	set_up(&f);
	linkat_errno = EPERM;
	UNIT_OK(put(&f, "a/1", "first"), &f.err);
	UNIT_CODE(put(&f, "a/1", "second"), REEF_CONFLICT, &f.err);
	linkat_errno = 0;
	UNIT_CODE(put(&f, "a/1", "third"), REEF_CONFLICT, &f.err);
	UNIT_EQUAL_INT(count_files(&f, "a"), 1);
	UNIT_EQUAL_INT(count_files(&f, ".tmp"), 0);
	tear_down(&f);
}

/* ---- what else may be in the directory ---- */

UNIT_TEST(test_file_store__symbolic_links_do_not_lead_out)
{
	Fixture		f;
	ReefObjectList list;
	ReefObjectInfo info;
	char		outside[TEMP_DIRECTORY_SIZE];
	char		path[128];
	char		byte;

	set_up(&f);
	temp_directory_make(outside);
	UNIT_OK(put(&f, "a/1", "x"), &f.err);
	path_of(&f, "link", path);
	UNIT_CHECK(symlink(outside, path) == 0);
	path_of(&f, "a/passwd", path);
	UNIT_CHECK(symlink("/etc/passwd", path) == 0);

	UNIT_CODE(put(&f, "link/new", "x"), REEF_DENIED, &f.err);
	UNIT_CODE(put(&f, "link/sub/new", "x"), REEF_DENIED, &f.err);
	UNIT_CODE(get(&f, "link/new"), REEF_DENIED, &f.err);
	UNIT_CODE(get(&f, "a/passwd"), REEF_DENIED, &f.err);
	UNIT_CODE(reef_store_get_range(f.store, "a/passwd", 0, 1, &byte, &f.err),
			  REEF_DENIED, &f.err);
	UNIT_CODE(reef_store_head(f.store, "a/passwd", &info, &f.err),
			  REEF_CORRUPT, &f.err);
	UNIT_CODE(put(&f, "a/passwd", "x"), REEF_INVALID, &f.err);
	reef_object_list_init(&list);
	UNIT_CODE(reef_store_list(f.store, "a/", "", 0, &list, &f.err),
			  REEF_DENIED, &f.err);
	UNIT_CODE(reef_store_list(f.store, "link/", "", 0, &list, &f.err),
			  REEF_DENIED, &f.err);
	reef_object_list_release(&list);
	UNIT_CODE(reef_store_delete(f.store, "link/x", &f.err), REEF_DENIED,
			  &f.err);

	/* a handle that has not opened .tmp yet */
	reef_store_close(f.store);
	path_of(&f, ".tmp", path);
	UNIT_CHECK(rmdir(path) == 0);
	UNIT_CHECK(symlink(outside, path) == 0);
	UNIT_OK(open_location(&f, f.location, false, &f.store), &f.err);
	UNIT_CODE(put(&f, "b", "x"), REEF_DENIED, &f.err);
	UNIT_EQUAL_INT(temp_directory_count_files(outside), 0);
	temp_directory_remove(outside);
	tear_down(&f);
}

UNIT_TEST(test_file_store__foreign_files_are_not_objects)
{
	static const char *const names[] = {
		"a/backup~", "a/.nfs000012", ".tmp/0123456789abcdef0123456789abcdef",
		"a/with blank"
	};
	Fixture		f;
	ReefObjectList list;
	char		path[128];

	set_up(&f);
	UNIT_OK(put(&f, "a/1", "x"), &f.err);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		int			fd;

		path_of(&f, names[i], path);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		UNIT_CHECK(fd >= 0);
		close(fd);
	}
	path_of(&f, "a/fifo", path);
	UNIT_CHECK(mkfifo(path, 0600) == 0);
	reef_object_list_init(&list);
	UNIT_OK(reef_store_list(f.store, "", "", 0, &list, &f.err), &f.err);
	UNIT_EQUAL_INT(list.count, 1);
	UNIT_EQUAL_STRING(list.objects[0].key, "a/1");
	reef_object_list_release(&list);

	/* does not hang on it */
	UNIT_CODE(get(&f, "a/fifo"), REEF_CORRUPT, &f.err);
	UNIT_CODE(put(&f, "a/.nfs1", "x"), REEF_INVALID, &f.err);
	UNIT_CODE(put(&f, ".tmp/1", "x"), REEF_INVALID, &f.err);
	UNIT_OK(put(&f, "a/.tmp/1", "x"), &f.err);
	UNIT_CODE(put(&f, "a/1/2", "x"), REEF_INVALID, &f.err);
	UNIT_CODE(put(&f, "a", "x"), REEF_INVALID, &f.err);
	tear_down(&f);
}

UNIT_TEST(test_file_store__only_old_temporary_files_are_removed)
{
	static const char *const names[] = {
		".tmp/00000000000000000000000000000000",	/* old */
		".tmp/11111111111111111111111111111111",	/* young */
		".tmp/somebody-elses"	/* old */
	};
	Fixture		f;
	char		path[128];
	struct timespec times[2] = {{0, 0}, {0, 0}};

	set_up(&f);
	UNIT_OK(put(&f, "a", "x"), &f.err);
	reef_store_close(f.store);
	for (int i = 0; i < 3; i++)
	{
		int			fd;

		path_of(&f, names[i], path);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		UNIT_CHECK(fd >= 0);
		close(fd);
		times[0].tv_sec = times[1].tv_sec =
			time(NULL) - (i == 1 ? 3500 : 3700);
		UNIT_CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
	}
	UNIT_OK(open_location(&f, f.location, true, &f.store), &f.err);
	reef_store_close(f.store);
	UNIT_EQUAL_INT(count_files(&f, ".tmp"), 3);
	UNIT_OK(open_location(&f, f.location, false, &f.store), &f.err);
	UNIT_EQUAL_INT(count_files(&f, ".tmp"), 2);
	path_of(&f, names[0], path);
	UNIT_CHECK(access(path, F_OK) != 0);
	tear_down(&f);
}

UNIT_TEST(test_file_store__directories_that_are_replaced_are_noticed)
{
	Fixture		f;
	char		path[128];
	char		moved[128];

	set_up(&f);
	UNIT_OK(put(&f, "a/1", "x"), &f.err);
	path_of(&f, "a", path);
	path_of(&f, "b", moved);
	UNIT_CHECK(rename(path, moved) == 0);
	UNIT_OK(put(&f, "a/1", "y"), &f.err);
	UNIT_EQUAL_INT(count_files(&f, "a"), 1);
	UNIT_EQUAL_INT(count_files(&f, "b"), 1);
	path_of(&f, ".tmp", path);
	UNIT_CHECK(rmdir(path) == 0);
	UNIT_OK(put(&f, "a/2", "y"), &f.err);
	tear_down(&f);
}

/* Run in a child that is no superuser; the number of the first wrong step. */
static int
try_without_permission(Fixture *f)
{
	ReefStore  *store;
	ReefObjectList list;

	if (geteuid() == 0 && seteuid(65534) != 0)
		return 1;
	if (open_location(f, f->location, false, &store) != REEF_OK)
		return 2;
	f->store = store;
	if (put(f, "b", "x") != REEF_DENIED)
		return 3;
	if (get(f, "a") != REEF_DENIED)
		return 4;
	reef_object_list_init(&list);
	if (reef_store_list(store, "", "", 0, &list, &f->err) != REEF_OK ||
		list.count != 1)
		return 5;
	return 0;
}

UNIT_TEST(test_file_store__missing_permissions_are_said_to_be_that)
{
	Fixture		f;
	char		path[128];
	int			status;
	pid_t		child;

	set_up(&f);
	UNIT_OK(put(&f, "a", "x"), &f.err);
	path_of(&f, "a", path);
	UNIT_CHECK(chmod(path, 0) == 0);
	path_of(&f, ".tmp", path);
	UNIT_CHECK(rmdir(path) == 0);
	UNIT_CHECK(chmod(f.directory, 0555) == 0);
	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(try_without_permission(&f));
	UNIT_CHECK(waitpid(child, &status, 0) == child);
	UNIT_CHECK(chmod(f.directory, 0700) == 0);
	UNIT_CHECK(WIFEXITED(status));
	UNIT_EQUAL_INT(WEXITSTATUS(status), 0);
	tear_down(&f);
}

/* ---- many processes ---- */

static void
race_key(int key, char text[32])
{
	snprintf(text, 32, "race/%d/%d", key % 3, key);
}

/* One racer: a line of RACE_KEYS outcomes goes to "out". */
static void
race(Fixture *f, int racer, int start, int out)
{
	uint8_t		outcomes[RACE_KEYS];
	char		key[32];
	char		body[32];
	ReefStore  *store;

	fake_host_seed(f->fake, (uint64_t) racer + 1000);
	if (open_location(f, f->location, false, &store) != REEF_OK)
		_exit(1);
	f->store = store;
	snprintf(body, sizeof(body), "racer %d", racer);
	if (read(start, key, 1) != 0)	/* until the parent closes its end */
		_exit(2);
	for (int i = 0; i < RACE_KEYS; i++)
	{
		race_key(i, key);
		outcomes[i] = (uint8_t) put(f, key, body);
	}
	if (write(out, outcomes, sizeof(outcomes)) != (ssize_t) sizeof(outcomes))
		_exit(3);
	_exit(0);
}

UNIT_TEST(test_file_store__of_16_racing_processes_exactly_one_wins_each_key)
{
	Fixture		f;
	int			start[2];
	int			results[RACERS][2];
	pid_t		children[RACERS];
	uint8_t		outcomes[RACERS][RACE_KEYS];
	char		key[32];
	char		body[32];

	set_up(&f);
	UNIT_CHECK(pipe(start) == 0);
	fflush(stdout);
	for (int i = 0; i < RACERS; i++)
	{
		UNIT_CHECK(pipe(results[i]) == 0);
		children[i] = fork();
		UNIT_CHECK(children[i] >= 0);
		if (children[i] == 0)
		{
			close(start[1]);
			race(&f, i, start[0], results[i][1]);
		}
		close(results[i][1]);
	}
	close(start[0]);
	close(start[1]);
	for (int i = 0; i < RACERS; i++)
	{
		int			status;

		UNIT_EQUAL_INT(read(results[i][0], outcomes[i], RACE_KEYS), RACE_KEYS);
		close(results[i][0]);
		UNIT_CHECK(waitpid(children[i], &status, 0) == children[i]);
		UNIT_EQUAL_INT(status, 0);
	}
	for (int k = 0; k < RACE_KEYS; k++)
	{
		int			winner = -1;
		ReefBuf		found;

		for (int i = 0; i < RACERS; i++)
		{
			if (outcomes[i][k] == REEF_OK)
			{
				UNIT_EQUAL_INT(winner, -1);
				winner = i;
			}
			else
				UNIT_EQUAL_INT(outcomes[i][k], REEF_CONFLICT);
		}
		UNIT_CHECK(winner >= 0);
		race_key(k, key);
		snprintf(body, sizeof(body), "racer %d", winner);
		reef_buf_init(&found);
		UNIT_OK(reef_store_get(f.store, key, &found, &f.err), &f.err);
		UNIT_EQUAL_BYTES(reef_buf_slice(&found), reef_slice_of_string(body));
		reef_buf_release(&found);
	}
	UNIT_EQUAL_INT(count_files(&f, ".tmp"), 0);
	UNIT_EQUAL_INT(count_files(&f, ""), RACE_KEYS);
	tear_down(&f);
}

/* Put object after object, saying after each one that it is there. */
static void
put_until_killed(Fixture *f, int round, int out)
{
	uint8_t    *bytes = malloc(KILL_OBJECT_SIZE);
	char		key[32];
	ReefStore  *store;

	fake_host_seed(f->fake, (uint64_t) round + 2000);
	if (bytes == NULL ||
		open_location(f, f->location, false, &store) != REEF_OK)
		_exit(1);
	for (int i = 0;; i++)
	{
		memset(bytes, i, KILL_OBJECT_SIZE);
		snprintf(key, sizeof(key), "kill/%d/%d", round, i);
		if (reef_store_put_if_absent(store, key,
									 reef_slice(bytes, KILL_OBJECT_SIZE),
									 &f->err) != REEF_OK ||
			write(out, "", 1) != 1)
			_exit(1);
	}
}

UNIT_TEST(test_file_store__a_killed_process_leaves_whole_objects_only)
{
	Fixture		f;
	ReefObjectList list;
	size_t		acknowledged = 0;

	set_up(&f);
	fflush(stdout);
	for (int round = 0; round < KILL_ROUNDS; round++)
	{
		int			out[2];
		pid_t		child;
		char		byte;
		int			status;

		UNIT_CHECK(pipe(out) == 0);
		child = fork();
		UNIT_CHECK(child >= 0);
		if (child == 0)
			put_until_killed(&f, round, out[1]);
		close(out[1]);
		for (int i = 0; i < 5; i++, acknowledged++)
			UNIT_EQUAL_INT(read(out[0], &byte, 1), 1);
		usleep((useconds_t) unit_random_below(3000));
		kill(child, SIGKILL);
		UNIT_CHECK(waitpid(child, &status, 0) == child);
		UNIT_CHECK(WIFSIGNALED(status));
		while (read(out[0], &byte, 1) == 1)
			acknowledged++;
		close(out[0]);
	}

	reef_object_list_init(&list);
	UNIT_OK(reef_store_list(f.store, "kill/", "", 0, &list, &f.err), &f.err);
	UNIT_CHECK(list.count >= acknowledged);
	UNIT_CHECK(list.count <= acknowledged + KILL_ROUNDS);
	for (size_t i = 0; i < list.count; i++)
	{
		const char *number = strrchr(list.objects[i].key, '/') + 1;
		uint8_t		expected = (uint8_t) atoi(number);
		ReefBuf		found;

		reef_buf_init(&found);
		UNIT_OK(reef_store_get(f.store, list.objects[i].key, &found, &f.err),
				&f.err);
		UNIT_EQUAL_INT(found.size, KILL_OBJECT_SIZE);
		for (size_t j = 0; j < found.size; j++)
		{
			if (found.data[j] != expected)
				UNIT_FAIL("%s has a wrong byte at %zu", list.objects[i].key,
						  j);
		}
		reef_buf_release(&found);
	}
	reef_object_list_release(&list);
	tear_down(&f);
}
