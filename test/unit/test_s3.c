/*
 * test_s3.c
 *	  The S3 store against servers that lie, fail, stall and lose answers.
 *
 * They are one program, test/s3/liar.pl, whose buckets are named after what
 * they do.  What the store does with a server that keeps its word is in
 * test_store.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fake_host.h"
#include "store/store.h"
#include "unit.h"

#define SECRET "SecretThatNobodyMaySee/0123456789+abcdef"
#define TOKEN "TokenThatNobodyMaySee0123456789"
#define SECOND_US INT64_C(1000000)
#define MIB ((size_t) 1024 * 1024)

static int	liar_port = 0;
static int	prefix_count = 0;

typedef struct Fixture
{
	FakeHost   *fake;
	ReefStoreOptions options;
	char		endpoint[64];
	char		location[128];
	ReefStore  *store;
	ReefError	err;
} Fixture;

static void
start_liar(void)
{
	int			pipe_fds[2];
	char		text[16] = "";
	ssize_t		size;
	pid_t		pid;

	if (liar_port != 0)
		return;
	UNIT_CHECK(pipe(pipe_fds) == 0);
	pid = fork();
	UNIT_CHECK(pid >= 0);
	if (pid == 0)
	{
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(pipe_fds[1], 1) == 1)
			(void) execlp("perl", "perl", "test/s3/liar.pl", (char *) NULL);
		_exit(127);
	}
	close(pipe_fds[1]);
	size = read(pipe_fds[0], text, sizeof(text) - 1);
	close(pipe_fds[0]);
	UNIT_CHECK(size > 0);
	liar_port = atoi(text);
	UNIT_CHECK(liar_port > 0);
	(void) signal(SIGPIPE, SIG_IGN);
}

static int64_t
real_time_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

static void
set_up(Fixture *f, const char *bucket)
{
	start_liar();
	memset(f, 0, sizeof(*f));
	reef_error_init(&f->err);
	f->fake = fake_host_new();
	snprintf(f->endpoint, sizeof(f->endpoint), "http://127.0.0.1:%d",
			 liar_port);
	snprintf(f->location, sizeof(f->location), "s3://%s/t%d", bucket,
			 ++prefix_count);
	f->options = (ReefStoreOptions) {
		.location = f->location, .endpoint = f->endpoint,
		.access_key_id = "KEY", .secret_access_key = SECRET,
		.session_token = TOKEN, .max_retries = 5
	};
	UNIT_OK(reef_store_open(&f->fake->host, &f->options, &f->store, &f->err),
			&f->err);
}

static void
tear_down(Fixture *f)
{
	reef_store_close(f->store);
	fake_host_free(f->fake);
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

static void
expect_content(Fixture *f, const char *key, const char *expected)
{
	ReefBuf		out;

	reef_buf_init(&out);
	UNIT_OK(reef_store_get(f->store, key, &out, &f->err), &f->err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&out), reef_slice_of_string(expected));
	reef_buf_release(&out);
}

static ReefCode
list(Fixture *f, size_t *count)
{
	ReefObjectList objects;
	ReefCode	rc;

	reef_object_list_init(&objects);
	rc = reef_store_list(f->store, "", "", 0, &objects, &f->err);
	*count = objects.count;
	reef_object_list_release(&objects);
	return rc;
}

/* ---- the probe ---- */

UNIT_TEST(test_s3__liars_do_not_pass_the_probe)
{
	static const struct
	{
		const char *bucket;
		ReefCode	code;
		const char *detail;
	}			liars[] = {
		{"ignores", REEF_UNSUPPORTED, "overwrote it"},
		{"sequential", REEF_UNSUPPORTED, "more than one of several"},
		{"two-winners", REEF_UNSUPPORTED, "more than one of several"},
		{"wrong-bytes", REEF_UNSUPPORTED, "kept another one's bytes"},
		{"no-etag", REEF_UNCERTAIN, "without an ETag"},
		{"portal", REEF_UNCERTAIN, "without an ETag"},
		{"redirect", REEF_INVALID, "TemporaryRedirect"},
	};
	Fixture		f;

	for (size_t i = 0; i < sizeof(liars) / sizeof(liars[0]); i++)
	{
		set_up(&f, liars[i].bucket);
		UNIT_CODE(reef_store_probe(f.store, "p", &f.err), liars[i].code,
				  &f.err);
		if (strstr(f.err.detail, liars[i].detail) == NULL)
			UNIT_FAIL("%s: %s", liars[i].bucket, f.err.detail);
		tear_down(&f);
	}
}

UNIT_TEST(test_s3__trouble_alone_does_not_fail_the_probe)
{
	static const char *const buckets[] = {
		"honest", "conflict-storm", "slow-down", "closing", "truncated"
	};
	Fixture		f;
	size_t		count;

	for (size_t i = 0; i < sizeof(buckets) / sizeof(buckets[0]); i++)
	{
		set_up(&f, buckets[i]);
		UNIT_OK(reef_store_probe(f.store, "p", &f.err), &f.err);
		UNIT_OK(list(&f, &count), &f.err);
		UNIT_EQUAL_INT(count, 0);
		tear_down(&f);
	}
}

/* ---- puts ---- */

UNIT_TEST(test_s3__a_put_without_a_clear_answer_is_uncertain)
{
	static const char *const done[] = {"lost-response", "internal-error"};
	static const char *const not_done[] = {"error-200", "no-etag"};
	Fixture		f;

	for (int i = 0; i < 2; i++)
	{
		set_up(&f, done[i]);
		UNIT_CODE(put(&f, "a", "first"), REEF_UNCERTAIN, &f.err);
		expect_content(&f, "a", "first");
		UNIT_CODE(put(&f, "a", "second"), REEF_CONFLICT, &f.err);
		tear_down(&f);

		set_up(&f, not_done[i]);
		UNIT_CODE(put(&f, "a", "first"), REEF_UNCERTAIN, &f.err);
		UNIT_CODE(get(&f, "a"), REEF_NOT_FOUND, &f.err);
		tear_down(&f);
	}
	set_up(&f, "duplicated-put");
	UNIT_CODE(put(&f, "a", "first"), REEF_CONFLICT, &f.err);
	expect_content(&f, "a", "first");
	tear_down(&f);
}

UNIT_TEST(test_s3__a_refusal_for_now_is_tried_again)
{
	Fixture		f;
	int64_t		began_us;

	set_up(&f, "conflict-storm");
	UNIT_OK(put(&f, "a", "x"), &f.err);
	UNIT_EQUAL_INT(reef_store_counters(f.store)[REEF_REQUEST_PUT].retries, 3);
	tear_down(&f);

	/* Retry-After: 1 */
	set_up(&f, "slow-down");
	began_us = real_time_us();
	UNIT_OK(put(&f, "a", "x"), &f.err);
	UNIT_OK(put(&f, "b", "x"), &f.err);
	UNIT_CHECK(real_time_us() - began_us >= SECOND_US);
	tear_down(&f);
}

UNIT_TEST(test_s3__a_stream_settles_what_became_of_it)
{
	static const char *const buckets[] = {
		"honest", "lost-response", "error-200", "internal-error", "closing"
	};
	static const size_t sizes[] = {100, 17 * MIB, 40 * MIB + 1};
	ReefStoreWriter *writer;
	ReefObjectInfo info;
	uint8_t    *bytes = calloc(1, MIB);
	Fixture		f;

	UNIT_CHECK(bytes != NULL);
	for (int i = 0; i < 15; i++)
	{
		size_t		size = sizes[i / 5];

		set_up(&f, buckets[i % 5]);
		UNIT_OK(reef_store_write_begin(f.store, "s", &writer, &f.err),
				&f.err);
		for (size_t done = 0; done < size;)
		{
			size_t		part = size - done < MIB ? size - done : MIB;

			memset(bytes, (int) (done / MIB), part);
			UNIT_OK(reef_store_write(writer, reef_slice(bytes, part), &f.err),
					&f.err);
			done += part;
		}
		UNIT_OK(reef_store_write_commit(writer, &f.err), &f.err);
		UNIT_OK(reef_store_head(f.store, "s", &info, &f.err), &f.err);
		UNIT_EQUAL_INT(info.size, size);
		/* the parts are in order */
		UNIT_OK(reef_store_get_range(f.store, "s", size - 1, 1, bytes, &f.err),
				&f.err);
		UNIT_EQUAL_INT(bytes[0], (size - 1) / MIB);
		expect_content(&f, "open-uploads", "0");
		tear_down(&f);
	}
	free(bytes);
}

UNIT_TEST(test_s3__an_aborted_upload_leaves_nothing_even_after_a_cancel)
{
	ReefStoreWriter *writer;
	uint8_t    *bytes = calloc(1, 33 * MIB);
	Fixture		f;

	UNIT_CHECK(bytes != NULL);
	set_up(&f, "honest");
	UNIT_OK(reef_store_write_begin(f.store, "s", &writer, &f.err), &f.err);
	UNIT_OK(reef_store_write(writer, reef_slice(bytes, 33 * MIB), &f.err),
			&f.err);
	UNIT_OK(reef_store_write(writer, reef_slice(bytes, 1), &f.err), &f.err);
	expect_content(&f, "open-uploads", "1");
	fake_host_cancel(f.fake, true);
	reef_store_write_abort(writer);
	fake_host_cancel(f.fake, false);
	expect_content(&f, "open-uploads", "0");
	tear_down(&f);
	free(bytes);
}

/* ---- gets and lists ---- */

UNIT_TEST(test_s3__half_an_answer_is_not_taken_for_a_whole_one)
{
	char		bytes[8];
	Fixture		f;

	set_up(&f, "truncated");
	UNIT_OK(put(&f, "a", "0123456789"), &f.err);
	expect_content(&f, "a", "0123456789");
	UNIT_EQUAL_INT(reef_store_counters(f.store)[REEF_REQUEST_GET].retries, 1);
	tear_down(&f);

	set_up(&f, "short-range");
	UNIT_OK(put(&f, "a", "0123456789"), &f.err);
	UNIT_OK(reef_store_get_range(f.store, "a", 1, 8, bytes, &f.err), &f.err);
	UNIT_CHECK(memcmp(bytes, "12345678", 8) == 0);
	UNIT_EQUAL_INT(reef_store_counters(f.store)[REEF_REQUEST_GET].retries, 1);
	tear_down(&f);

	set_up(&f, "no-length");
	UNIT_OK(put(&f, "a", "0123456789"), &f.err);
	UNIT_CODE(get(&f, "a"), REEF_UNAVAILABLE, &f.err);
	tear_down(&f);

	set_up(&f, "no-ranges");
	UNIT_OK(put(&f, "a", "0123456789"), &f.err);
	UNIT_CODE(reef_store_get_range(f.store, "a", 1, 8, bytes, &f.err),
			  REEF_UNSUPPORTED, &f.err);
	tear_down(&f);
}

UNIT_TEST(test_s3__a_list_that_is_no_list_is_refused)
{
	Fixture		f;
	size_t		count;

	set_up(&f, "unordered");
	UNIT_OK(put(&f, "a", "x"), &f.err);
	UNIT_OK(put(&f, "b", "x"), &f.err);
	UNIT_CODE(list(&f, &count), REEF_UNSUPPORTED, &f.err);
	tear_down(&f);

	set_up(&f, "wrong-prefix");
	UNIT_OK(put(&f, "a", "x"), &f.err);
	tear_down(&f);
	set_up(&f, "wrong-prefix");
	UNIT_CODE(list(&f, &count), REEF_UNSUPPORTED, &f.err);
	tear_down(&f);

	set_up(&f, "bad-list");
	UNIT_OK(put(&f, "a", "x"), &f.err);
	UNIT_OK(list(&f, &count), &f.err);
	UNIT_EQUAL_INT(count, 1);
	UNIT_EQUAL_INT(reef_store_counters(f.store)[REEF_REQUEST_LIST].retries, 1);
	tear_down(&f);
}

UNIT_TEST(test_s3__a_list_goes_over_many_pages)
{
	ReefObjectList objects;
	char		key[32];
	Fixture		f;

	set_up(&f, "honest");
	for (int i = 0; i < 2100; i++)
	{
		snprintf(key, sizeof(key), "k/%05d", i);
		UNIT_OK(put(&f, key, ""), &f.err);
	}
	reef_object_list_init(&objects);
	UNIT_OK(reef_store_list(f.store, "k/", "k/00004", 0, &objects, &f.err),
			&f.err);
	UNIT_EQUAL_INT(objects.count, 2095);
	UNIT_EQUAL_STRING(objects.objects[0].key, "k/00005");
	UNIT_EQUAL_STRING(objects.objects[2094].key, "k/02099");
	reef_object_list_release(&objects);
	reef_object_list_init(&objects);
	UNIT_OK(reef_store_list(f.store, "k/", "", 1500, &objects, &f.err),
			&f.err);
	UNIT_EQUAL_INT(objects.count, 1500);
	reef_object_list_release(&objects);
	tear_down(&f);
}

UNIT_TEST(test_s3__a_bulk_delete_believes_only_what_it_is_told)
{
	ReefDeletion deletions[4] = {{.key = "a"}, {.key = "locked"},
	{.key = "forgotten"}, {.key = "none"}};
	Fixture		f;
	size_t		count;

	set_up(&f, "honest");
	UNIT_OK(put(&f, "a", "x"), &f.err);
	UNIT_OK(put(&f, "locked", "x"), &f.err);
	UNIT_OK(reef_store_delete_many(f.store, deletions, 4, &f.err), &f.err);
	UNIT_EQUAL_INT(deletions[0].outcome, REEF_OK);
	UNIT_EQUAL_INT(deletions[1].outcome, REEF_DENIED);
	UNIT_EQUAL_STRING(deletions[1].problem, "AccessDenied: it is locked");
	UNIT_EQUAL_INT(deletions[2].outcome, REEF_UNAVAILABLE);
	UNIT_EQUAL_INT(deletions[3].outcome, REEF_OK);
	UNIT_OK(list(&f, &count), &f.err);
	UNIT_EQUAL_INT(count, 1);
	tear_down(&f);
}

/* ---- errors ---- */

UNIT_TEST(test_s3__each_failure_has_its_code_and_says_how_to_find_it)
{
	static const struct
	{
		const char *bucket;
		ReefCode	code;
		const char *detail;
	}			failures[] = {
		{"expired", REEF_UNAUTHENTICATED, "ExpiredToken"},
		{"skewed", REEF_UNAUTHENTICATED, "clock is"},
		{"denied", REEF_DENIED, "Access Denied"},
		{"wrong-region", REEF_INVALID, "in region eu-west-1, and requests were for us-east-1"},
		{"no-bucket", REEF_INVALID, "NoSuchBucket"},
		{"redirect", REEF_INVALID, "TemporaryRedirect"},
	};
	Fixture		f;
	size_t		count;

	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
	{
		set_up(&f, failures[i].bucket);
		UNIT_CODE(get(&f, "a"), failures[i].code, &f.err);
		UNIT_CODE(put(&f, "a", "x"), failures[i].code, &f.err);
		UNIT_CODE(list(&f, &count), failures[i].code, &f.err);
		UNIT_CHECK(strstr(f.err.detail, failures[i].detail) != NULL);
		UNIT_CHECK(strstr(f.err.detail, "request id liar-") != NULL);
		UNIT_CHECK(f.err.http_status >= 300);
		tear_down(&f);
	}
}

UNIT_TEST(test_s3__no_error_shows_a_secret)
{
	Fixture		f;

	set_up(&f, "echo-secret");
	UNIT_CODE(get(&f, "a"), REEF_INVALID, &f.err);
	UNIT_CHECK(strstr(f.err.detail, "InvalidRequest") != NULL);
	UNIT_CHECK(strstr(f.err.detail, TOKEN) == NULL);
	UNIT_CHECK(strstr(f.err.detail, "Signature") == NULL);
	tear_down(&f);
}

UNIT_TEST(test_s3__a_page_of_something_else_is_no_answer)
{
	ReefObjectInfo info;
	Fixture		f;
	size_t		count;

	set_up(&f, "portal");
	UNIT_CODE(list(&f, &count), REEF_UNAVAILABLE, &f.err);
	UNIT_CODE(reef_store_head(f.store, "a", &info, &f.err), REEF_UNAVAILABLE,
			  &f.err);
	UNIT_CODE(put(&f, "a", "x"), REEF_UNCERTAIN, &f.err);
	tear_down(&f);
}

/* ---- time ---- */

static FakeHost *alarmed;

static void
cancel_it(int signal_number)
{
	(void) signal_number;
	fake_host_cancel(alarmed, true);
}

static void
cancel_after(FakeHost *fake, int64_t delay_us)
{
	struct itimerval timer = {.it_value = {0, (suseconds_t) delay_us}};
	struct sigaction action = {.sa_handler = cancel_it, .sa_flags = SA_RESTART};

	alarmed = fake;
	UNIT_CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	UNIT_CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

UNIT_TEST(test_s3__a_cancel_ends_every_wait_at_once)
{
	static const char *const buckets[] = {
		"silent", "half-head", "half-body", "drip", "tls"
	};
	char		text[1000];
	Fixture		f;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 5; i++)
	{
		bool		is_put = i < 2;
		int64_t		began_us;

		set_up(&f, buckets[i]);
		if (i == 4)
		{
			/* somebody who listens, and never greets */
			reef_store_close(f.store);
			snprintf(f.endpoint, sizeof(f.endpoint), "https://127.0.0.1:%d",
					 liar_port);
			UNIT_OK(reef_store_open(&f.fake->host, &f.options, &f.store,
									&f.err), &f.err);
		}
		if (i == 2 || i == 3)
			UNIT_OK(put(&f, "a", text), &f.err);
		began_us = real_time_us();
		cancel_after(f.fake, 200000);
		UNIT_CODE(get(&f, "a"), REEF_CANCELLED, &f.err);
		UNIT_CHECK(real_time_us() - began_us < 700000);
		UNIT_CHECK(real_time_us() - began_us >= 200000);
		fake_host_cancel(f.fake, false);

		/* What has left may have arrived. */
		cancel_after(f.fake, 200000);
		if (is_put)
			UNIT_CODE(put(&f, "b", "x"), REEF_UNCERTAIN, &f.err);
		else if (i == 4)
			UNIT_CODE(put(&f, "b", "x"), REEF_CANCELLED, &f.err);
		fake_host_cancel(f.fake, false);
		tear_down(&f);
	}
}

UNIT_TEST(test_s3__a_verb_ends_at_its_deadline)
{
	int64_t		began_us;
	Fixture		f;

	set_up(&f, "silent");
	reef_store_close(f.store);
	f.options.request_timeout_us = 400000;
	UNIT_OK(reef_store_open(&f.fake->host, &f.options, &f.store, &f.err),
			&f.err);
	began_us = real_time_us();
	UNIT_CODE(get(&f, "a"), REEF_UNAVAILABLE, &f.err);
	UNIT_CODE(put(&f, "a", "x"), REEF_UNCERTAIN, &f.err);
	UNIT_CHECK(real_time_us() - began_us < 1500000);
	UNIT_CHECK(real_time_us() - began_us >= 800000);
	tear_down(&f);
}

/* ---- where we connect to ---- */

UNIT_TEST(test_s3__metadata_addresses_are_refused_whatever_their_name)
{
	static const char *const endpoints[] = {
		"http://169.254.169.254", "http://169.254.0.1:8080",
		"http://[fe80::1]", "http://[::ffff:169.254.169.254]",
		"http://[fd00:ec2::254]", "http://[64:ff9b::a9fe:a9fe]",
		"http://0.0.0.0", "http://100.100.100.200", "http://2852039166"
	};
	Fixture		f;

	set_up(&f, "honest");
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
	{
		reef_store_close(f.store);
		f.options.endpoint = endpoints[i];
		UNIT_OK(reef_store_open(&f.fake->host, &f.options, &f.store, &f.err),
				&f.err);
		UNIT_CODE(get(&f, "a"), REEF_DENIED, &f.err);
		UNIT_CHECK(strstr(f.err.detail, "metadata") != NULL);
	}
	tear_down(&f);
}

UNIT_TEST(test_s3__the_environment_has_no_say)
{
	Fixture		f;

	(void) setenv("http_proxy", "http://127.0.0.1:1", 1);
	(void) setenv("all_proxy", "http://127.0.0.1:1", 1);
	set_up(&f, "honest");
	UNIT_OK(put(&f, "a", "x"), &f.err);
	(void) unsetenv("http_proxy");
	(void) unsetenv("all_proxy");
	tear_down(&f);

	set_up(&f, "honest");
	reef_store_close(f.store);
	f.options.proxy = "http://127.0.0.1:1";
	UNIT_OK(reef_store_open(&f.fake->host, &f.options, &f.store, &f.err),
			&f.err);
	UNIT_CODE(put(&f, "a", "x"), REEF_UNREACHABLE, &f.err);
	tear_down(&f);
}
