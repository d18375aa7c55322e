/*
 * s3_address.c
 *	  From a location and options to where an S3 store is.
 *
 *	  location	s3://bucket[/prefix]
 *	  endpoint	[http[s]://]host[:port], https unless it says http
 *
 * Both end up in URLs that are signed, so nothing is taken over that would
 * have to be escaped: a prefix is made of the alphabet of keys, a host of that
 * of host names.  Without an endpoint it is AWS's of the region.
 */
#include <stdio.h>
#include <stdlib.h>

#include "store/credential_source.h"
#include "store/s3_request.h"

#define DEFAULT_REGION "us-east-1"
#define DEFAULT_CONNECT_TIMEOUT_US INT64_C(5000000)
#define STALL_TIMEOUT_US INT64_C(20000000)
/* With the longest key it is as long as S3 allows. */
#define PREFIX_MAX_SIZE 120
#define BUCKET_MAX_SIZE 63
#define HOST_MAX_SIZE 255

static ReefCode
invalid_location(ReefError *err, const char *location, const char *fault)
{
	return reef_error_set(err, REEF_INVALID, "invalid location",
						  "location \"%.300s\": %s", location, fault);
}

static bool
is_bucket_name(const char *name, size_t size)
{
	if (size < 3 || size > BUCKET_MAX_SIZE || name[0] == '.' ||
		name[0] == '-' || name[size - 1] == '.' || name[size - 1] == '-')
		return false;
	for (size_t i = 0; i < size; i++)
	{
		char		c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
			  (c == '.' && name[i + 1] != '.')))
			return false;
	}
	return true;
}

static ReefCode
parse_location(ReefS3Client *client, const char *location, ReefError *err)
{
	const char *bucket = location + strlen("s3://");
	size_t		bucket_size = strcspn(bucket, "/");
	const char *prefix = bucket + bucket_size;
	size_t		prefix_size;

	if (!is_bucket_name(bucket, bucket_size))
		return invalid_location(err, location, "a bucket's name has 3 to 63 "
								"lower-case letters, digits, \"-\" and \".\"");
	if (*prefix == '/')
		prefix++;
	prefix_size = strlen(prefix);
	if (prefix_size > 0 && prefix[prefix_size - 1] == '/')
		prefix_size--;
	if (prefix_size > PREFIX_MAX_SIZE)
		return invalid_location(err, location, "the prefix is too long");

	client->bucket = strndup(bucket, bucket_size);
	client->prefix = calloc(1, prefix_size + 2);
	if (client->bucket == NULL || client->prefix == NULL)
		return reef_error_no_memory(err, prefix_size);
	memcpy(client->prefix, prefix, prefix_size);
	if (prefix_size == 0)
		return REEF_OK;
	if (!reef_store_key_is_valid(client->prefix))
		return invalid_location(err, location, "a prefix is made of letters, "
								"digits, \".\", \"_\", \"-\" and single \"/\"");
	client->prefix[prefix_size] = '/';
	return REEF_OK;
}

typedef struct Endpoint
{
	const char *scheme;
	char		host[HOST_MAX_SIZE + 1];	/* in brackets if it has colons */
	char		port[6];		/* "": the scheme's */
	bool		is_address;		/* numeric: nothing can stand before it */
} Endpoint;

static bool
parse_endpoint(const char *text, Endpoint *endpoint)
{
	const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t		size;

	endpoint->scheme = "https";
	if (strncmp(text, "https://", 8) == 0)
		text += 8;
	else if (strncmp(text, "http://", 7) == 0)
	{
		endpoint->scheme = "http";
		text += 7;
	}
	if (*text == '[')
	{
		size = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
		if (text[size] != ']')
			return false;
		size++;
		endpoint->is_address = true;
	}
	else
	{
		size = strspn(text, allowed);
		endpoint->is_address = size == strspn(text, "0123456789.");
	}
	if (size == 0 || size > HOST_MAX_SIZE)
		return false;
	memcpy(endpoint->host, text, size);
	text += size;
	if (*text == ':')
	{
		size = strspn(++text, "0123456789");
		if (size == 0 || size >= sizeof(endpoint->port))
			return false;
		memcpy(endpoint->port, text, size);
		text += size;
	}
	if (*text == '/')
		text++;
	/* A port that goes without saying is not in the header Host either. */
	if (strcmp(endpoint->port, strcmp(endpoint->scheme, "http") == 0 ?
			   "80" : "443") == 0)
		endpoint->port[0] = '\0';
	return *text == '\0';
}

static ReefCode
place_bucket(ReefS3Client *client, const Endpoint *endpoint, bool in_path,
			 ReefError *err)
{
	const char *colon = endpoint->port[0] == '\0' ? "" : ":";
	int			size;

	if (in_path)
		size = asprintf(&client->authority, "%s%s%s", endpoint->host, colon,
						endpoint->port);
	else
		size = asprintf(&client->authority, "%s.%s%s%s", client->bucket,
						endpoint->host, colon, endpoint->port);
	if (size < 0)
	{
		client->authority = NULL;
		return reef_error_no_memory(err, HOST_MAX_SIZE);
	}
	if (asprintf(&client->origin, "%s://%s", endpoint->scheme,
				 client->authority) < 0)
	{
		client->origin = NULL;
		return reef_error_no_memory(err, HOST_MAX_SIZE);
	}
	if (asprintf(&client->base_path, "%s%s", in_path ? "/" : "",
				 in_path ? client->bucket : "") < 0)
	{
		client->base_path = NULL;
		return reef_error_no_memory(err, HOST_MAX_SIZE);
	}
	return REEF_OK;
}

static ReefCode
set_address(ReefS3Client *client, const ReefStoreOptions *options,
			ReefError *err)
{
	Endpoint	endpoint = {0};
	char		host[HOST_MAX_SIZE];
	const char *text = options->endpoint;
	bool		in_path = options->path_style == REEF_PATH_STYLE_ON;

	if (strspn(client->region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
		strlen(client->region) || client->region[0] == '\0' ||
		strlen(client->region) > 60)
		return reef_error_set(err, REEF_INVALID, "invalid region",
							  "region \"%.100s\"", client->region);
	if (text == NULL)
	{
		snprintf(host, sizeof(host), "s3.%s.amazonaws.com%s", client->region,
				 strncmp(client->region, "cn-", 3) == 0 ? ".cn" : "");
		text = host;
	}
	if (!parse_endpoint(text, &endpoint))
		return reef_error_set(err, REEF_INVALID, "invalid endpoint",
							  "endpoint \"%.300s\": it must be "
							  "[http[s]://]host[:port]", text);
	/* A certificate for *.host does not cover a name with another dot. */
	if (options->path_style == REEF_PATH_STYLE_AUTO)
		in_path = options->endpoint != NULL ||
			strchr(client->bucket, '.') != NULL;
	if (endpoint.is_address && !in_path)
		return reef_error_set(err, REEF_INVALID, "invalid endpoint",
							  "endpoint \"%.300s\": a bucket's name cannot "
							  "stand before an address; use path style", text);
	return place_bucket(client, &endpoint, in_path, err);
}

static ReefCode
copy_secret(const char *secret, char **copy, ReefError *err)
{
	if (secret == NULL)
		return REEF_OK;
	for (const char *p = secret; *p != '\0'; p++)
	{
		if (*p < '!' || *p > '~')
			return reef_error_set(err, REEF_INVALID, "invalid credentials",
								  "they contain a blank or control character");
	}
	*copy = strdup(secret);
	return *copy == NULL ? reef_error_no_memory(err, strlen(secret)) : REEF_OK;
}

static void
free_secret(char **secret)
{
	if (*secret != NULL)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

void
reef_s3_client_forget_keys(ReefS3Client *client)
{
	free_secret(&client->access_key_id);
	free_secret(&client->secret_access_key);
	free_secret(&client->session_token);
	explicit_bzero(&client->signing_key, sizeof(client->signing_key));
	client->keys_version = 0;
}

ReefCode
reef_s3_client_renew(ReefS3Client *client, ReefError *err)
{
	const ReefKeys *keys;
	uint64_t	version;
	const char *token;

	if (client->credentials == NULL)
		return REEF_OK;
	REEF_TRY(reef_credentials_get(client->credentials, client->deadline_us,
								  &keys, &version, err));
	if (version == client->keys_version)
		return REEF_OK;
	reef_s3_client_forget_keys(client);
	token = keys->session_token[0] == '\0' ? NULL : keys->session_token;
	REEF_TRY(copy_secret(keys->access_key_id, &client->access_key_id, err));
	REEF_TRY(copy_secret(keys->secret_access_key, &client->secret_access_key,
						 err));
	REEF_TRY(copy_secret(token, &client->session_token, err));
	client->keys_version = version;
	return REEF_OK;
}

/* Only keys that are given, and used as they are, need nobody to find them. */
static ReefCode
set_credentials(ReefS3Client *client, const ReefStoreOptions *options,
				ReefError *err)
{
	ReefKeys	given;
	ReefCredentialOptions search = {
		.source = options->credential_source, .profile = options->profile,
		.role_arn = options->role_arn, .region = options->region,
		.proxy = options->proxy, .given = &given
	};
	ReefCode	rc = REEF_OK;

	if ((options->access_key_id == NULL) !=
		(options->secret_access_key == NULL))
		return reef_error_set(err, REEF_INVALID, "invalid credentials",
							  "an access key id and a secret access key belong together");
	if (options->credential_source == REEF_CREDENTIAL_GIVEN &&
		options->role_arn == NULL && options->profile == NULL)
	{
		REEF_TRY(copy_secret(options->access_key_id, &client->access_key_id,
							 err));
		REEF_TRY(copy_secret(options->secret_access_key,
							 &client->secret_access_key, err));
		return copy_secret(options->session_token, &client->session_token,
						   err);
	}
	memset(&given, 0, sizeof(given));
	if (options->access_key_id != NULL)
		rc = reef_keys_set(&given, options->access_key_id,
						   options->secret_access_key, options->session_token,
						   "user mapping", err);
	if (rc == REEF_OK)
		rc = reef_credentials_open(client->host, &search,
								   &client->credentials, err);
	explicit_bzero(&given, sizeof(given));
	return rc;
}

ReefCode
reef_s3_client_set_up(ReefS3Client *client, const ReefStoreOptions *options,
					  ReefError *err)
{
	ReefHttpOptions http = {
		.ca_file = options->ca_file,
		.proxy = options->proxy,
		.connect_timeout_us = options->connect_timeout_us,
		.stall_timeout_us = STALL_TIMEOUT_US,
		.allow_metadata = options->allow_metadata
	};

	if (http.connect_timeout_us == 0)
		http.connect_timeout_us = DEFAULT_CONNECT_TIMEOUT_US;
	client->attempt_timeout_us = options->request_timeout_us;
	client->region = strdup(options->region == NULL ? DEFAULT_REGION :
							options->region);
	if (client->region == NULL)
		return reef_error_no_memory(err, 0);
	REEF_TRY(parse_location(client, options->location, err));
	REEF_TRY(set_address(client, options, err));
	REEF_TRY(set_credentials(client, options, err));
	return reef_http_open(client->host, &http, &client->http, err);
}
