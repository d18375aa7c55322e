/*
 * metadata.c
 *	  Keys from the services that a cloud offers to its own machines: the
 *	  metadata of the instance (version 2 only) and the endpoint of a
 *	  container.
 *
 * Whoever answers at these addresses gives us keys, and whoever may name them
 * gets our authorization; so they come from the environment of the server's
 * process, never from SQL, and a container's endpoint must be one of the
 * machine's own addresses unless it is asked over TLS.
 *
 * Version 1 of the instance's metadata is not asked: any program that can be
 * made to fetch a URL could read it, which is why a token is wanted now.  The
 * answer with the token travels no further than the instance's hop limit, so
 * in a container silence may mean that the limit is 1.
 *
 * Outside a cloud nobody answers there, so waiting is short.
 */
#include <jansson.h>
#include <stdio.h>

#include "store/credential_source.h"
#include "store/s3_xml.h"

#define ANSWER_MAX_SIZE ((size_t) 64 * 1024)
#define ATTEMPTS 2
#define ATTEMPT_DELAY_US INT64_C(100000)
#define METADATA_TIMEOUT_US INT64_C(1000000)
#define CONTAINER_TIMEOUT_US INT64_C(2000000)
#define TOKEN_MAX_SIZE 2048
#define IMDS_ROLES "/latest/meta-data/iam/security-credentials/"

/* ---- one request ---- */

static ReefCode
request_failed(const ReefCredentialRequest *request,
			   const ReefHttpTransfer *transfer, ReefError *err)
{
	if (transfer->is_cancelled)
		return reef_error_set(err, REEF_CANCELLED, "request was cancelled",
							  "%s", request->place);
	return reef_error_set(err, REEF_UNAVAILABLE,
						  "could not fetch credentials", "%s: %s",
						  request->place, transfer->fault);
}

static ReefCode
send_once(ReefHttp *http, const ReefCredentialSearch *search,
		  const ReefCredentialRequest *request, int *status, ReefBuf *answer,
		  ReefError *err)
{
	const ReefHost *host = search->host;
	int64_t		end_us = host->now_us(host->arg) + request->timeout_us;
	ReefHttpTransfer transfer = {
		.method = request->method, .url = request->url,
		.headers = request->headers, .body = request->body, .out = answer,
		.out_max = ANSWER_MAX_SIZE
	};

	if (end_us > search->deadline_us)
		end_us = search->deadline_us;
	explicit_bzero(answer->data, answer->capacity);
	reef_buf_reset(answer);
	REEF_TRY(reef_http_run(http, &transfer, 1, end_us, false, err));
	if (transfer.outcome != REEF_HTTP_ANSWERED)
		return request_failed(request, &transfer, err);
	*status = transfer.status;
	if (*status >= 500 || *status == 429)
		return reef_error_set(err, REEF_UNAVAILABLE,
							  "could not fetch credentials",
							  "%s: HTTP status %d", request->place, *status);
	return REEF_OK;
}

ReefCode
reef_credential_request(const ReefCredentialSearch *search,
						const ReefCredentialRequest *request, int *status,
						ReefBuf *answer, ReefError *err)
{
	const ReefHost *host = search->host;
	ReefHttpOptions options = {
		.ca_file = request->ca_file,
		.proxy = request->proxy,
		.connect_timeout_us = request->timeout_us,
		.stall_timeout_us = request->timeout_us,
		.allow_metadata = request->is_metadata
	};
	ReefHttp   *http = NULL;
	ReefCode	rc;

	/* All of it now, so that no copy is left behind when it grows. */
	if (reef_buf_reserve(answer, ANSWER_MAX_SIZE) == NULL)
		return reef_error_no_memory(err, ANSWER_MAX_SIZE);
	REEF_TRY(reef_http_open(host, &options, &http, err));
	for (int i = 0;; i++)
	{
		rc = send_once(http, search, request, status, answer, err);
		if (rc != REEF_UNAVAILABLE || i + 1 == ATTEMPTS ||
			host->now_us(host->arg) + ATTEMPT_DELAY_US >= search->deadline_us)
			break;
		if (host->wait(host->arg, NULL, 0, ATTEMPT_DELAY_US) == REEF_CANCELLED)
		{
			rc = reef_error_set(err, REEF_CANCELLED, "request was cancelled",
								"%s", request->place);
			break;
		}
	}
	reef_http_close(http);
	return rc;
}

/* ---- the document ---- */

static const char *
text_member(const json_t *document, const char *name)
{
	return json_string_value(json_object_get(document, name));
}

static void
zero_member(const json_t *document, const char *name)
{
	json_t	   *member = json_object_get(document, name);

	/* Of no use to anybody else: the document is ours alone, and goes now. */
	if (json_is_string(member))
		explicit_bzero((char *) (uintptr_t) json_string_value(member),
					   json_string_length(member));
}

static ReefCode
invalid_answer(ReefError *err, const char *place, const char *fault)
{
	return reef_error_set(err, REEF_UNAVAILABLE, "could not fetch credentials",
						  "%s: invalid answer: %s", place, fault);
}

static ReefCode
read_members(const json_t *document, const char *place, ReefKeys *keys,
			 ReefError *err)
{
	const char *code = text_member(document, "Code");
	const char *id = text_member(document, "AccessKeyId");
	const char *secret = text_member(document, "SecretAccessKey");
	const char *token = text_member(document, "Token");
	const char *expiration = text_member(document, "Expiration");
	int64_t		expires_us = 0;

	if (code != NULL && strcmp(code, "Success") != 0)
		return invalid_answer(err, place, "it does not say \"Success\"");
	if (id == NULL || secret == NULL)
		return invalid_answer(err, place, "it has no keys");
	if (expiration != NULL &&
		!reef_s3_xml_read_time(expiration, &expires_us))
		return invalid_answer(err, place, "it has no time of expiry");
	REEF_TRY(reef_keys_set(keys, id, secret, token, place, err));
	keys->expires_us = expires_us;
	return REEF_OK;
}

ReefCode
reef_metadata_read_keys(ReefSlice json, const char *place, ReefKeys *keys,
						ReefError *err)
{
	json_t	   *document;
	ReefCode	rc;

	document = json_loadb((const char *) json.data, json.size,
						  JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(document))
		rc = invalid_answer(err, place, "it is no JSON object");
	else
	{
		rc = read_members(document, place, keys, err);
		zero_member(document, "SecretAccessKey");
		zero_member(document, "Token");
	}
	json_decref(document);
	return rc;
}

static ReefCode
answer_keys(const char *place, int status, const ReefBuf *answer,
			ReefKeys *keys, ReefError *err)
{
	if (status == 200)
		return reef_metadata_read_keys(reef_buf_slice(answer), place, keys,
									   err);
	return reef_error_set(err, REEF_UNAUTHENTICATED,
						  "credentials were refused", "%s: HTTP status %d",
						  place, status);
}

/* ---- containers ---- */

static bool
starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* Without TLS keys come from this machine and its host only. */
static bool
is_trusted_host(const char *host, size_t size)
{
	static const char *const names[] = {
		"localhost", "[::1]", "169.254.170.2", "169.254.170.23",
		"[fd00:ec2::23]"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strlen(names[i]) == size && strncmp(host, names[i], size) == 0)
			return true;
	}
	/* 127.0.0.0/8, all of it numbers: 127.0.0.1.example.com is no address */
	return size > 4 && starts_with(host, "127.") &&
		strspn(host, "0123456789.") == size;
}

static bool
is_container_url(const char *url)
{
	const char *host;
	size_t		size;

	/* Nothing that one reader of URLs takes for another host than the next. */
	if (strcspn(url, "@\\ \t\r\n#") != strlen(url))
		return false;
	if (starts_with(url, "https://"))
		return true;
	if (!starts_with(url, "http://"))
		return false;
	host = url + strlen("http://");
	size = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?");
	return size <= strlen(host) && is_trusted_host(host, size) &&
		strchr(":/?", host[size]) != NULL;
}

static ReefCode
container_url(char *url, size_t size, ReefError *err)
{
	const char *relative =
		reef_environment_get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full =
		reef_environment_get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	int			written;

	if (relative == NULL && full == NULL)
		return reef_error_set(err, REEF_NOT_FOUND,
							  "no credentials of a container",
							  "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
	if (relative != NULL && relative[0] != '/')
		return reef_error_set(err, REEF_UNAUTHENTICATED,
							  "endpoint of the container is refused",
							  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with a slash");
	written = relative != NULL ?
		snprintf(url, size, "http://169.254.170.2%s", relative) :
		snprintf(url, size, "%s", full);
	if (written < 0 || (size_t) written >= size || !is_container_url(url))
		return reef_error_set(err, REEF_UNAUTHENTICATED,
							  "endpoint of the container is refused",
							  "AWS_CONTAINER_CREDENTIALS_FULL_URI must begin with https://, or with http:// and an address of this machine or its host");
	return REEF_OK;
}

/* "Authorization: ...", from a file that is read anew each time, because its
 * content changes, or from a variable. */
static ReefCode
container_authorization(ReefBuf *header, ReefError *err)
{
	static const char name[] = "Authorization: ";
	const char *file =
		reef_environment_get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token =
		reef_environment_get("AWS_CONTAINER_AUTHORIZATION_TOKEN");

	if (file == NULL && token == NULL)
		return REEF_OK;
	if (reef_buf_reserve(header, ANSWER_MAX_SIZE) == NULL)
		return reef_error_no_memory(err, ANSWER_MAX_SIZE);
	reef_buf_append_string(header, name);
	header->size = strlen(name);
	if (file == NULL)
		reef_buf_append(header, token, strlen(token));
	else if (reef_secret_file_read(file, ANSWER_MAX_SIZE / 2, header,
								   err) != REEF_OK)
		return reef_error_set(err, REEF_UNAUTHENTICATED,
							  "authorization of the container cannot be read",
							  "file %.300s", file);
	while (header->size > 0 && (header->data[header->size - 1] == '\n' ||
								header->data[header->size - 1] == '\r'))
		header->size--;
	for (size_t i = 0; i < header->size; i++)
	{
		if (header->data[i] < ' ' || header->data[i] > '~')
			return reef_error_set(err, REEF_UNAUTHENTICATED,
								  "authorization of the container is refused",
								  "it contains a control character");
	}
	reef_buf_append_u8(header, 0);
	return reef_buf_check(header, err);
}

ReefCode
reef_container_find(const ReefCredentialSearch *search, ReefKeys *keys,
					ReefError *err)
{
	char		url[2048];
	ReefCredentialRequest request = {
		.place = "container endpoint", .method = REEF_HTTP_GET, .url = url,
		.ca_file = reef_environment_get("AWS_CA_BUNDLE"),
		.timeout_us = CONTAINER_TIMEOUT_US, .is_metadata = true
	};
	ReefBuf		header;
	ReefBuf		answer;
	int			status = 0;
	ReefCode	rc;

	REEF_TRY(container_url(url, sizeof(url), err));
	reef_buf_init(&header);
	reef_buf_init(&answer);
	rc = container_authorization(&header, err);
	if (header.size > 0)
		request.headers[0] = (const char *) header.data;
	if (rc == REEF_OK)
		rc = reef_credential_request(search, &request, &status, &answer, err);
	if (rc == REEF_OK)
		rc = answer_keys(request.place, status, &answer, keys, err);
	reef_secret_buf_release(&header);
	reef_secret_buf_release(&answer);
	return rc;
}

/* ---- instances ---- */

static ReefCode
not_found(ReefError *err, const char *detail)
{
	return reef_error_set(err, REEF_NOT_FOUND,
						  "no credentials in the instance's metadata", "%s",
						  detail);
}

static ReefCode
imds_base(char *base, size_t size, ReefError *err)
{
	const char *disabled = reef_environment_get("AWS_EC2_METADATA_DISABLED");
	const char *endpoint =
		reef_environment_get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode =
		reef_environment_get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	size_t		length;

	if (disabled != NULL && strcasecmp(disabled, "true") == 0)
		return not_found(err, "AWS_EC2_METADATA_DISABLED is set");
	if (endpoint == NULL)
		endpoint = mode != NULL && strcasecmp(mode, "IPv6") == 0 ?
			"http://[fd00:ec2::254]" : "http://169.254.169.254";
	length = strlen(endpoint);
	while (length > 0 && endpoint[length - 1] == '/')
		length--;
	if (length >= size || (!starts_with(endpoint, "http://") &&
						   !starts_with(endpoint, "https://")))
		return reef_error_set(err, REEF_UNAUTHENTICATED,
							  "endpoint of the instance's metadata is refused",
							  "AWS_EC2_METADATA_SERVICE_ENDPOINT must begin with http://");
	memcpy(base, endpoint, length);
	base[length] = '\0';
	return REEF_OK;
}

/* The first line of an answer, if it is one word of these characters. */
static bool
copy_word(const ReefBuf *answer, const char *alphabet, char *word,
		  size_t word_size)
{
	size_t		size = 0;

	while (size < answer->size && answer->data[size] != '\n' &&
		   answer->data[size] != '\r')
	{
		char		c = (char) answer->data[size];

		if (size + 1 >= word_size || c <= ' ' || c > '~' ||
			(alphabet != NULL && strchr(alphabet, c) == NULL))
			return false;
		word[size++] = c;
	}
	word[size] = '\0';
	return size > 0;
}

/* A session of version 2: "X-aws-ec2-metadata-token: ..." */
static ReefCode
imds_token(const ReefCredentialSearch *search, const char *base,
		   char *header, size_t header_size, ReefBuf *answer, ReefError *err)
{
	char		url[512];
	char		token[TOKEN_MAX_SIZE];
	ReefCredentialRequest request = {
		.place = "instance metadata", .method = REEF_HTTP_PUT, .url = url,
		.headers = {"X-aws-ec2-metadata-token-ttl-seconds: 60"},
		.timeout_us = METADATA_TIMEOUT_US, .is_metadata = true
	};
	int			status = 0;
	ReefCode	rc;

	snprintf(url, sizeof(url), "%s/latest/api/token", base);
	rc = reef_credential_request(search, &request, &status, answer, err);
	if (rc == REEF_UNAVAILABLE)
		return reef_error_add(err, "while asking for a session token, which does not reach a container if the instance's hop limit is 1");
	if (rc != REEF_OK)
		return rc;
	if (status == 403 || status == 404 || status == 405)
		return not_found(err, "it is switched off, or does not speak version 2");
	if (status != 200 || !copy_word(answer, NULL, token, sizeof(token)))
		return invalid_answer(err, request.place, "it gives no session token");
	snprintf(header, header_size, "X-aws-ec2-metadata-token: %s", token);
	explicit_bzero(token, sizeof(token));
	return REEF_OK;
}

static ReefCode
imds_keys(const ReefCredentialSearch *search, const char *base,
		  const char *header, ReefKeys *keys, ReefBuf *answer, ReefError *err)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-";
	char		url[512];
	char		role[129];
	ReefCredentialRequest request = {
		.place = "instance metadata", .method = REEF_HTTP_GET, .url = url,
		.headers = {header}, .timeout_us = METADATA_TIMEOUT_US,
		.is_metadata = true
	};
	int			status = 0;

	snprintf(url, sizeof(url), "%s" IMDS_ROLES, base);
	REEF_TRY(reef_credential_request(search, &request, &status, answer, err));
	if (status == 404)
		return not_found(err, "the instance has no role");
	if (status != 200 || !copy_word(answer, alphabet, role, sizeof(role)))
		return invalid_answer(err, request.place, "it names no role");
	snprintf(url, sizeof(url), "%s" IMDS_ROLES "%s", base, role);
	REEF_TRY(reef_credential_request(search, &request, &status, answer, err));
	return answer_keys(request.place, status, answer, keys, err);
}

ReefCode
reef_imds_find(const ReefCredentialSearch *search, ReefKeys *keys,
			   ReefError *err)
{
	char		base[256];
	char		header[TOKEN_MAX_SIZE + 32];
	ReefBuf		answer;
	ReefCode	rc;

	REEF_TRY(imds_base(base, sizeof(base), err));
	reef_buf_init(&answer);
	rc = imds_token(search, base, header, sizeof(header), &answer, err);
	if (rc == REEF_OK)
		rc = imds_keys(search, base, header, keys, &answer, err);
	explicit_bzero(header, sizeof(header));
	reef_secret_buf_release(&answer);
	return rc;
}
