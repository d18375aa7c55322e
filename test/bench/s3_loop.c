/*
 * s3_loop.c
 *	  How fast is the bare store?
 *
 *	  cc -O2 -D_GNU_SOURCE -o s3_loop test/bench/s3_loop.c -lcurl
 *	  ./s3_loop put <clients> <seconds> <bytes> <new prefix>
 *	  ./s3_loop get <parallel> <part bytes> <key>=<bytes> ...
 *
 * The store is where REEF_S3_ENDPOINT, REEF_S3_BUCKET, REEF_S3_KEY and
 * REEF_S3_SECRET say.  "put" is a loop of conditional PUTs, each under a new
 * key, over a connection that is kept; with several clients, each is a
 * process.  "get" reads whole objects in parts, so many at a time.  This is
 * libcurl and its own signatures, nothing of ours: what test/bench/s3.sh
 * compares with.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 1000000

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "s3_loop: %s: %s\n", what, why);
	exit(1);
}

static const char *
setting(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL)
		fail(name, "not set");
	return value;
}

static size_t
count_bytes(char *bytes, size_t unit, size_t count, void *arg)
{
	(void) bytes;
	*(size_t *) arg += unit * count;
	return unit * count;
}

static CURL *
open_handle(const char *key, struct curl_slist *headers, size_t *received)
{
	static char user[512];
	CURL	   *easy = curl_easy_init();
	char		url[2048];

	snprintf(user, sizeof(user), "%s:%s", setting("REEF_S3_KEY"),
			 setting("REEF_S3_SECRET"));
	snprintf(url, sizeof(url), "%s/%s/%s", setting("REEF_S3_ENDPOINT"),
			 setting("REEF_S3_BUCKET"), key);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, "aws:amz:us-east-1:s3");
	curl_easy_setopt(easy, CURLOPT_USERPWD, user);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count_bytes);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, received);
	return easy;
}

static void
check_answer(CURL *easy, CURLcode rc, long expected)
{
	char		text[32];
	long		status = 0;

	if (rc != CURLE_OK)
		fail("request", curl_easy_strerror(rc));
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	snprintf(text, sizeof(text), "status %ld", status);
	if (status != expected)
		fail("request", text);
}

/* ---- puts ---- */

static int
run_client(const char *prefix, int client, size_t size, double seconds,
		   int result)
{
	struct curl_slist *headers = NULL;
	char	   *body = malloc(size);
	float	   *samples = malloc(SAMPLES_MAX * sizeof(*samples));
	size_t		received = 0;
	CURL	   *easy;
	int			count = 0;
	double		began;

	if (body == NULL || samples == NULL)
		fail("malloc", "out of memory");
	memset(body, 'x', size);
	headers = curl_slist_append(headers, "If-None-Match: *");
	headers = curl_slist_append(headers, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
	easy = open_handle("", headers, &received);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long) size);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PUT");
	for (began = now(); now() - began < seconds && count < SAMPLES_MAX;)
	{
		char		url[2048];
		double		from = now();

		snprintf(url, sizeof(url), "%s/%s/%s/%d/%08d",
				 setting("REEF_S3_ENDPOINT"), setting("REEF_S3_BUCKET"),
				 prefix, client, count);
		curl_easy_setopt(easy, CURLOPT_URL, url);
		check_answer(easy, curl_easy_perform(easy), 200);
		samples[count++] = (float) ((now() - from) * 1e3);
	}
	for (int i = 0; i < count; i++)
	{
		if (write(result, &samples[i], sizeof(*samples)) != sizeof(*samples))
			return 1;
	}
	return 0;
}

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

static void
run_puts(int clients, double seconds, size_t size, const char *prefix)
{
	float	   *samples = malloc(SAMPLES_MAX * sizeof(*samples));
	int			count = 0;
	int			results[2];
	int			status;

	if (samples == NULL || pipe(results) != 0)
		fail("pipe", "out of memory");
	for (int i = 0; i < clients; i++)
	{
		if (fork() == 0)
			_exit(run_client(prefix, i, size, seconds, results[1]));
	}
	close(results[1]);
	while (count < SAMPLES_MAX &&
		   read(results[0], &samples[count], sizeof(*samples)) == sizeof(*samples))
		count++;
	while (wait(&status) > 0)
	{
		if (status != 0)
			fail("client", "failed");
	}
	if (count == 0)
		fail("put", "none");
	qsort(samples, (size_t) count, sizeof(*samples), compare_floats);
	printf("p50_ms %.3f p99_ms %.3f per_second %.1f\n",
		   (double) samples[count / 2], (double) samples[count * 99 / 100],
		   count / seconds);
}

/* ---- gets ---- */

typedef struct Part
{
	const char *key;
	size_t		offset;
	size_t		size;
} Part;

static Part *
make_parts(char **objects, size_t part_size, int *count)
{
	Part	   *parts = NULL;

	*count = 0;
	for (; *objects != NULL; objects++)
	{
		char	   *equals = strchr(*objects, '=');
		size_t		size;

		if (equals == NULL)
			fail(*objects, "no size");
		*equals = '\0';
		size = strtoull(equals + 1, NULL, 10);
		for (size_t offset = 0; offset < size; offset += part_size)
		{
			parts = realloc(parts, (size_t) (*count + 1) * sizeof(*parts));
			if (parts == NULL)
				fail("realloc", "out of memory");
			parts[(*count)++] = (Part) {
				*objects, offset,
				size - offset < part_size ? size - offset : part_size
			};
		}
	}
	return parts;
}

static void
run_gets(int parallel, size_t part_size, char **objects)
{
	int			count;
	Part	   *parts = make_parts(objects, part_size, &count);
	CURLM	   *multi = curl_multi_init();
	size_t		received = 0;
	int			next = 0;
	int			done = 0;
	int			running = 0;
	double		began = now();

	while (done < count)
	{
		CURLMsg    *message;
		int			left;

		for (; next < count && next - done < parallel; next++)
		{
			struct curl_slist *headers = NULL;
			char		range[96];

			snprintf(range, sizeof(range), "Range: bytes=%zu-%zu",
					 parts[next].offset,
					 parts[next].offset + parts[next].size - 1);
			headers = curl_slist_append(headers, range);
			headers = curl_slist_append(headers, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
			curl_multi_add_handle(multi, open_handle(parts[next].key, headers,
													 &received));
		}
		curl_multi_perform(multi, &running);
		while ((message = curl_multi_info_read(multi, &left)) != NULL)
		{
			check_answer(message->easy_handle, message->data.result, 206);
			curl_multi_remove_handle(multi, message->easy_handle);
			curl_easy_cleanup(message->easy_handle);
			done++;
		}
		if (running > 0)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	printf("mb_per_second %.1f bytes %zu ms %.1f\n",
		   (double) received / 1e6 / (now() - began), received,
		   (now() - began) * 1e3);
	free(parts);
}

int
main(int argc, char **argv)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (argc == 6 && strcmp(argv[1], "put") == 0)
		run_puts(atoi(argv[2]), atof(argv[3]), strtoull(argv[4], NULL, 10),
				 argv[5]);
	else if (argc >= 5 && strcmp(argv[1], "get") == 0)
		run_gets(atoi(argv[2]), strtoull(argv[3], NULL, 10), argv + 4);
	else
		fail("usage", "s3_loop put clients seconds bytes prefix | get parallel part-bytes key=bytes ...");
	return 0;
}
