/*
 * fuzz_location.c
 *	  Any text as a location, and as the options of an S3 store.
 *
 * Lines are location, endpoint, region, access key id, secret access key,
 * session token; the first byte says which options are there.  What opens must
 * be one place under one text: the text that the store knows itself by opens to
 * itself, names no path that leads elsewhere and no host that a URL would take
 * for something else.  Stores are opened on nothing: the directory and the
 * network are replaced here.
 */
#include <stdlib.h>

#include "store/file.h"
#include "store/http.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINE_COUNT 6

static const char *opened_path;

static void
check(bool holds)
{
	if (!holds)
		abort();
}

ReefCode
reef_file_store_open(const ReefHost *host, const char *path, bool read_only,
					 const ReefStoreOps **ops, void **impl, ReefError *err)
{
	(void) host;
	(void) read_only;
	(void) ops;
	(void) impl;
	check(path[0] == '/' && path[1] != '\0');
	check(path[strlen(path) - 1] != '/');
	check(strstr(path, "//") == NULL && strstr(path, "/./") == NULL &&
		  strstr(path, "/../") == NULL);
	opened_path = path;
	return reef_error_set(err, REEF_UNAVAILABLE, "no directories here", NULL);
}

ReefCode
reef_http_open(const ReefHost *host, const ReefHttpOptions *options,
			   ReefHttp **http, ReefError *err)
{
	(void) host;
	(void) options;
	(void) err;
	*http = NULL;
	return REEF_OK;
}

void
reef_http_close(ReefHttp *http)
{
	check(http == NULL);
}

ReefCode
reef_http_run(ReefHttp *http, ReefHttpTransfer *transfers, int count,
			  int64_t deadline_us, bool is_cleanup, ReefError *err)
{
	(void) http;
	(void) transfers;
	(void) count;
	(void) deadline_us;
	(void) is_cleanup;
	(void) err;
	abort();
}

static void
check_host_name(const char *name)
{
	check(*name != '\0');
	check(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789.-_:[]") == strlen(name));
}

/* "s3://bucket/prefix", and " at host:port" if there is an endpoint. */
static void
check_s3(const ReefHost *host, const ReefStoreOptions *options,
		 const char *canonical)
{
	ReefStoreOptions again = *options;
	ReefStore  *store;
	ReefError	err;
	char	   *location = strdup(canonical);
	char	   *at = strstr(location, " at ");

	check((at != NULL) == (options->endpoint != NULL));
	if (at != NULL)
	{
		check_host_name(at + 4);
		*at = '\0';
	}
	check(strspn(location + 5, "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") ==
		  strlen(location + 5));
	check(strstr(location + 5, "//") == NULL &&
		  strstr(location, "/../") == NULL);
	again.location = location;
	check(reef_store_open(host, &again, &store, &err) == REEF_OK);
	check(strcmp(reef_store_location(store), canonical) == 0);
	reef_store_close(store);
	free(location);
}

static void
open_store(const ReefStoreOptions *options)
{
	static const ReefHost host;
	ReefStore  *store;
	ReefError	err;
	ReefCode	rc;

	reef_error_init(&err);
	opened_path = NULL;
	rc = reef_store_open(&host, options, &store, &err);
	if (rc == REEF_OK)
	{
		check_s3(&host, options, reef_store_location(store));
		reef_store_close(store);
	}
	else
		check(err.code == rc && (opened_path != NULL || rc == REEF_INVALID));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ReefStoreOptions options = {0};
	const char **fields[LINE_COUNT] = {
		&options.location, &options.endpoint, &options.region,
		&options.access_key_id, &options.secret_access_key,
		&options.session_token
	};
	char	   *text;
	char	   *line;
	int			i;

	if (size == 0)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	options.path_style = (ReefPathStyle) (data[0] % 3);
	line = text;
	for (i = 0; i < LINE_COUNT && line != NULL; i++)
	{
		char	   *end = strchr(line, '\n');

		if (i == 0 || (data[0] >> 2 & 1 << i) != 0)
			*fields[i] = line;
		if (end != NULL)
			*end++ = '\0';
		line = end;
	}
	open_store(&options);
	free(text);
	return 0;
}
