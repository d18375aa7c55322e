/*
 * s3_request.c
 *	  One S3 request: its URL, its headers, its signature, its outcome.
 *
 * The URL is built from parts that are escaped already, and the same parts are
 * signed, so that what is signed is what is sent.  All headers that we set are
 * signed: nothing on the way can take a condition or a range from a request
 * without the store noticing.  The hash of the body is among them, so a body
 * that was damaged on the way is refused by the store.
 */
#include "store/s3_request.h"

#include <stdio.h>
#include <stdlib.h>

/* Enough for any <Error> and any answer that is not a list. */
#define ANSWER_MAX_SIZE ((size_t) 256 * 1024)
#define CLEANUP_TIME_US INT64_C(500000)
#define HEADER_MAX 8

void
reef_s3_request_init(ReefS3Request *request, ReefHttpMethod method,
					 const char *key)
{
	memset(request, 0, sizeof(*request));
	request->method = method;
	request->key = key;
	reef_buf_init(&request->answer);
	reef_buf_init(&request->text);
}

void
reef_s3_request_release(ReefS3Request *request)
{
	/* a session token and a signature */
	if (request->text.data != NULL)
		explicit_bzero(request->text.data, request->text.capacity);
	reef_buf_release(&request->text);
	reef_buf_release(&request->answer);
}

static void
append_escaped(ReefBuf *out, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++)
	{
		char		c = *text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
			c == '~')
			reef_buf_append(out, &c, 1);
		else
		{
			unsigned char byte = (unsigned char) c;
			char		escape[3] = {'%', digits[byte >> 4], digits[byte & 15]};

			reef_buf_append(out, escape, 3);
		}
	}
}

void
reef_s3_query_append(ReefBuf *query, const char *name, const char *value)
{
	if (query->size > 0)
		reef_buf_append(query, "&", 1);
	append_escaped(query, name);
	reef_buf_append(query, "=", 1);
	append_escaped(query, value);
}

static const char *
method_name(ReefHttpMethod method)
{
	switch (method)
	{
		case REEF_HTTP_GET:
			return "GET";
		case REEF_HTTP_HEAD:
			return "HEAD";
		case REEF_HTTP_PUT:
			return "PUT";
		case REEF_HTTP_POST:
			return "POST";
		case REEF_HTTP_DELETE:
			return "DELETE";
	}
	return "";
}

/* The headers to sign, sorted by name; values that must live are in "values". */
typedef struct HeaderSet
{
	ReefSignedHeader list[HEADER_MAX];
	int			count;
	char		sha256[REEF_SHA256_HEX_SIZE];
	char		time[17];
	char		range[64];
} HeaderSet;

static void
add_header(HeaderSet *set, const char *name, const char *value)
{
	if (value == NULL)
		return;
	set->list[set->count++] = (ReefSignedHeader) {name, value};
}

static ReefCode
collect_headers(const ReefS3Client *client, const ReefS3Request *request,
				HeaderSet *set, ReefError *err)
{
	const ReefHost *host = client->host;

	memset(set, 0, sizeof(*set));
	REEF_TRY(reef_sha256_hex(request->body, set->sha256, err));
	reef_sign_time(host->now_us(host->arg), set->time);
	if (request->is_range)
		snprintf(set->range, sizeof(set->range), "bytes=%llu-%llu",
				 (unsigned long long) request->offset,
				 (unsigned long long) (request->offset + request->size - 1));
	add_header(set, "content-md5", request->content_md5);
	add_header(set, "content-type", request->method == REEF_HTTP_PUT ||
			   request->method == REEF_HTTP_POST ?
			   "application/octet-stream" : NULL);
	add_header(set, "host", client->authority);
	add_header(set, "if-none-match", request->if_absent ? "*" : NULL);
	add_header(set, "range", request->is_range ? set->range : NULL);
	if (client->access_key_id != NULL)
	{
		add_header(set, "x-amz-content-sha256", set->sha256);
		add_header(set, "x-amz-date", set->time);
		add_header(set, "x-amz-security-token", client->session_token);
	}
	return REEF_OK;
}

/* Texts of the request go into one buffer that is never moved. */
static const char *
end_text(ReefBuf *text, size_t *start)
{
	const char *result = (const char *) text->data + *start;

	reef_buf_append_u8(text, 0);
	*start = text->size;
	return result;
}

static ReefCode
prepare_request(ReefS3Client *client, ReefS3Request *request, ReefError *err)
{
	const char *query = request->query == NULL ? "" : request->query;
	ReefBuf    *text = &request->text;
	ReefSigning signing;
	HeaderSet	set;
	size_t		start = 0;
	size_t		room;
	const char *path;
	int			count = 0;

	REEF_TRY(reef_s3_client_renew(client, err));
	REEF_TRY(collect_headers(client, request, &set, err));
	room = 4096 + strlen(query) + 2 * REEF_STORE_KEY_MAX_SIZE +
		2 * strlen(client->prefix) + 2 * strlen(client->base_path) +
		strlen(client->origin) + strlen(client->authority) +
		strlen(client->region) +
		(client->access_key_id == NULL ? 0 : strlen(client->access_key_id)) +
		(client->session_token == NULL ? 0 : strlen(client->session_token));
	reef_buf_reset(text);
	if (reef_buf_reserve(text, room) == NULL)
		return reef_error_no_memory(err, room);

	if (request->key == NULL)
		reef_buf_printf(text, "%s",
						client->base_path[0] == '\0' ? "/" : client->base_path);
	else
		reef_buf_printf(text, "%s/%s%s", client->base_path, client->prefix,
						request->key);
	path = end_text(text, &start);
	reef_buf_printf(text, "%s%s%s%s", client->origin, path,
					query[0] == '\0' ? "" : "?", query);
	request->transfer.url = end_text(text, &start);
	for (int i = 0; i < set.count; i++)
	{
		reef_buf_printf(text, "%s: %s", set.list[i].name, set.list[i].value);
		request->headers[count++] = end_text(text, &start);
	}
	if (client->access_key_id != NULL)
	{
		signing = (ReefSigning) {
			.method = method_name(request->method), .path = path,
			.query = query, .headers = set.list, .header_count = set.count,
			.content_sha256 = set.sha256, .region = client->region,
			.service = "s3", .time = set.time
		};
		reef_buf_printf(text, "Authorization: ");
		REEF_TRY(reef_sign(&signing, client->access_key_id,
						   client->secret_access_key, &client->signing_key,
						   text, err));
		request->headers[count++] = end_text(text, &start);
	}
	request->headers[count] = NULL;
	REEF_TRY(reef_buf_check(text, err));

	request->transfer.method = request->method;
	request->transfer.headers = request->headers;
	request->transfer.body = request->body;
	request->transfer.target = request->target;
	request->transfer.target_size = request->size;
	request->transfer.out = request->out != NULL ? request->out :
		&request->answer;
	reef_buf_reset(&request->answer);
	request->out_before = request->transfer.out->size;
	request->transfer.out_max = request->out_max != 0 ? request->out_max :
		ANSWER_MAX_SIZE;
	return REEF_OK;
}

static int64_t
attempt_deadline(const ReefS3Client *client)
{
	const ReefHost *host = client->host;
	int64_t		deadline_us = client->deadline_us;

	if (client->attempt_timeout_us > 0)
	{
		int64_t		end_us = host->now_us(host->arg) +
			client->attempt_timeout_us;

		if (deadline_us == 0 || end_us < deadline_us)
			deadline_us = end_us;
	}
	return deadline_us;
}

/* The store may have served the request as long ago as we have waited. */
static void
note_time(ReefS3Client *client, const ReefHttpTransfer *transfer)
{
	if (transfer->outcome != REEF_HTTP_ANSWERED || transfer->date_us == 0)
		return;
	if (client->asked_us == 0)
		client->asked_us = transfer->date_us - transfer->elapsed_us;
	client->answered_us = transfer->date_us;
}

ReefCode
reef_s3_send(ReefS3Client *client, ReefS3Request *requests, int count,
			 ReefError *err)
{
	ReefHttpTransfer *transfers;
	ReefCode	rc = REEF_OK;

	if (count == 1)
	{
		REEF_TRY(prepare_request(client, requests, err));
		REEF_TRY(reef_http_run(client->http, &requests->transfer, 1,
							   attempt_deadline(client), false, err));
		note_time(client, &requests->transfer);
		return REEF_OK;
	}
	transfers = calloc((size_t) count, sizeof(*transfers));
	if (transfers == NULL)
		return reef_error_no_memory(err, (size_t) count * sizeof(*transfers));
	for (int i = 0; i < count && rc == REEF_OK; i++)
	{
		rc = prepare_request(client, &requests[i], err);
		transfers[i] = requests[i].transfer;
	}
	if (rc == REEF_OK)
		rc = reef_http_run(client->http, transfers, count,
						   attempt_deadline(client), false, err);
	for (int i = 0; i < count; i++)
		requests[i].transfer = transfers[i];
	free(transfers);
	return rc;
}

void
reef_s3_send_cleanup(ReefS3Client *client, ReefS3Request *request)
{
	const ReefHost *host = client->host;
	ReefError	err;

	ReefCode	rc;

	reef_error_init(&err);
	rc = prepare_request(client, request, &err);
	if (rc == REEF_OK)
		rc = reef_http_run(client->http, &request->transfer, 1,
						   host->now_us(host->arg) + CLEANUP_TIME_US, true,
						   &err);
	if (rc != REEF_OK)
		host->log(host->arg, REEF_LOG_DEBUG, err.message);
}

ReefCode
reef_s3_outcome(const ReefS3Client *client, ReefS3Request *request,
				int expected, ReefError *err)
{
	ReefHttpTransfer *transfer = &request->transfer;
	ReefSlice	body = {NULL, 0};
	ReefCode	rc;

	if (transfer->outcome == REEF_HTTP_ANSWERED &&
		transfer->status == expected)
		return REEF_OK;
	if (transfer->out->size > request->out_before)
		body = reef_slice(transfer->out->data + request->out_before,
						  transfer->out->size - request->out_before);
	if (transfer->outcome == REEF_HTTP_ANSWERED ||
		(request->is_range && transfer->status == 200))
		rc = reef_s3_error_of_status(client, request, body, err);
	else
		rc = reef_s3_error_of_transfer(client, request, err);
	if (rc == REEF_UNAUTHENTICATED && client->credentials != NULL)
		reef_credentials_distrust(client->credentials);
	transfer->out->size = request->out_before;
	return rc;
}

ReefCode
reef_s3_do(ReefS3Client *client, ReefS3Request *request, int expected,
		   ReefError *err)
{
	REEF_TRY(reef_s3_send(client, request, 1, err));
	return reef_s3_outcome(client, request, expected, err);
}
