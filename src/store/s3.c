/*
 * s3.c
 *	  A bucket of an S3 store.
 *
 * The one thing that the protocol needs and that not every S3 store keeps is
 * PUT with If-None-Match: *.  Nothing else of its kind is relied on: not
 * If-Match, not conditional completion of multipart uploads, no versions.
 *
 * A put whose answer was lost, or that failed inside the store, is uncertain;
 * so is a refusal (412), as far as the caller is concerned: libcurl repeats a
 * request by itself when a connection that it wanted to use again turns out to
 * be dead, and the second may meet the first.  The caller compares nonces.
 *
 * Everything else may be repeated without harm, so that its failures are
 * unavailability.
 */
#include "store/s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/s3_request.h"

/* What a whole object may have; segments are read in ranges. */
#define OBJECT_MAX_SIZE ((size_t) 2 * 1024 * 1024 * 1024)
#define LIST_PAGE 1000
#define LIST_ANSWER_MAX_SIZE ((size_t) 16 * 1024 * 1024)
/* Larger ranges are got in parts of this, so many at a time. */
#define RANGE_PART_SIZE ((size_t) 8 * 1024 * 1024)
#define RANGE_PARTS 8
#define RACE_ROUNDS 8
#define RACE_DELAY_US INT64_C(20000)

/* ---- puts ---- */

static void
init_put(ReefS3Request *request, const char *key, ReefSlice bytes)
{
	reef_s3_request_init(request, REEF_HTTP_PUT, key);
	request->body = bytes;
	request->if_absent = true;
	request->is_creation = true;
}

/*
 * 200 alone is not enough: it must come from an S3 store, which names what it
 * has stored, and must not be an error after all.
 */
ReefCode
reef_s3_put_outcome(const ReefS3Client *client, ReefS3Request *request,
					ReefError *err)
{
	ReefS3Fault fault;

	REEF_TRY(reef_s3_outcome(client, request, 200, err));
	if (request->answer.size > 0 &&
		reef_s3_xml_read_error(reef_buf_slice(&request->answer), &fault,
							   err) == REEF_OK)
	{
		ReefCode	rc = reef_s3_error_of_fault(client, request, &fault, err);

		return rc == REEF_CONFLICT ? rc :
			reef_error_set(err, REEF_UNCERTAIN,
						   "store did not say whether it has the object",
						   "object %s: HTTP status 200 with the error %s",
						   request->key, fault.code);
	}
	if (request->transfer.etag[0] == '\0')
		return reef_error_set(err, REEF_UNCERTAIN,
							  "store did not say whether it has the object",
							  "object %s: HTTP status 200 without an ETag",
							  request->key);
	return REEF_OK;
}

static ReefCode
s3_put_if_absent(void *impl, const char *key, ReefSlice bytes, ReefError *err)
{
	ReefS3Client *client = impl;
	ReefS3Request request;
	ReefCode	rc;

	init_put(&request, key, bytes);
	rc = reef_s3_send(client, &request, 1, err);
	if (rc == REEF_OK)
		rc = reef_s3_put_outcome(client, &request, err);
	reef_s3_request_release(&request);
	return rc;
}

/* Those that the store could not decide yet get their turn again, together. */
static ReefCode
s3_put_race(void *impl, const char *key, const ReefSlice *bodies, int count,
			ReefCode *outcomes, ReefError *err)
{
	ReefS3Client *client = impl;
	ReefS3Request *requests = calloc((size_t) count, sizeof(*requests));
	int		   *racers = calloc((size_t) count, sizeof(*racers));
	int			left = count;
	ReefCode	rc = REEF_OK;

	if (requests == NULL || racers == NULL)
		rc = reef_error_no_memory(err, (size_t) count * sizeof(*requests));
	for (int i = 0; i < count && rc == REEF_OK; i++)
		racers[i] = i;
	for (int round = 0; round < RACE_ROUNDS && left > 0 && rc == REEF_OK;
		 round++)
	{
		int			open = 0;

		for (int i = 0; i < left; i++)
			init_put(&requests[i], key, bodies[racers[i]]);
		rc = reef_s3_send(client, requests, left, err);
		for (int i = 0; i < left; i++)
		{
			ReefCode	outcome = rc == REEF_OK ?
				reef_s3_put_outcome(client, &requests[i], err) : rc;

			outcomes[racers[i]] = outcome;
			if (outcome == REEF_UNAVAILABLE || outcome == REEF_THROTTLED ||
				outcome == REEF_UNREACHABLE)
				racers[open++] = racers[i];
			reef_s3_request_release(&requests[i]);
		}
		left = open;
		if (rc == REEF_OK && left > 0 &&
			client->host->wait(client->host->arg, NULL, 0,
							   RACE_DELAY_US << round) != REEF_OK)
			rc = reef_error_set(err, REEF_CANCELLED,
								"store request was cancelled", NULL);
	}
	/* What is wrong with all of them is no race. */
	if (rc == REEF_OK && outcomes[0] != REEF_OK &&
		outcomes[0] != REEF_CONFLICT && outcomes[0] != REEF_UNCERTAIN)
	{
		bool		is_same = true;

		for (int i = 1; i < count; i++)
			is_same &= outcomes[i] == outcomes[0];
		if (is_same)
			rc = err->code;
	}
	free(requests);
	free(racers);
	return rc;
}

/* ---- gets ---- */

static ReefCode
s3_get(void *impl, const char *key, ReefBuf *out, ReefError *err)
{
	ReefS3Client *client = impl;
	ReefS3Request request;
	ReefCode	rc;

	reef_s3_request_init(&request, REEF_HTTP_GET, key);
	request.out = out;
	request.out_max = OBJECT_MAX_SIZE;
	rc = reef_s3_do(client, &request, 200, err);
	/* Without a length nobody notices that the connection ended early. */
	if (rc == REEF_OK && request.transfer.content_length < 0)
		rc = reef_error_set(err, REEF_UNAVAILABLE,
							"invalid answer from the store",
							"object %s: it does not say how long it is", key);
	reef_s3_request_release(&request);
	return rc;
}

/* What the store says about the range and the object's size. */
static bool
range_agrees(const ReefHttpTransfer *transfer, uint64_t offset,
			 uint64_t *total)
{
	uint64_t	first;
	uint64_t	last;

	return sscanf(transfer->content_range, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64,
				  &first, &last, total) == 3 && first == offset;
}

static ReefCode
range_outcome(const ReefS3Client *client, ReefS3Request *request,
			  ReefError *err)
{
	const ReefHttpTransfer *transfer = &request->transfer;
	uint64_t	total = 0;

	REEF_TRY(reef_s3_outcome(client, request, 206, err));
	if (!range_agrees(transfer, request->offset, &total))
		return reef_error_set(err, REEF_UNAVAILABLE,
							  "invalid answer from the store",
							  "object %s: it sent the range \"%s\" instead of the one from %" PRIu64,
							  request->key, transfer->content_range,
							  request->offset);
	if (transfer->received == request->size)
		return REEF_OK;
	if (total >= request->offset + request->size)
		return reef_error_set(err, REEF_UNAVAILABLE,
							  "invalid answer from the store",
							  "object %s: it sent %zu of %zu bytes",
							  request->key, transfer->received, request->size);
	return reef_error_set(err, REEF_CORRUPT, "object ends before its end",
						  "object %s: %zu bytes at %" PRIu64
						  " were asked for, the object has %" PRIu64,
						  request->key, request->size, request->offset, total);
}

static ReefCode s3_head(void *impl, const char *key, ReefObjectInfo *info,
						ReefError *err);

static ReefCode
get_range_batch(ReefS3Client *client, const char *key, uint64_t offset,
				size_t size, char *out, ReefError *err)
{
	ReefS3Request requests[RANGE_PARTS];
	int			count = 0;
	ReefCode	rc;

	for (size_t done = 0; done < size; count++)
	{
		ReefS3Request *request = &requests[count];
		size_t		left = size - done;

		reef_s3_request_init(request, REEF_HTTP_GET, key);
		request->is_range = true;
		request->offset = offset + done;
		request->size = left < RANGE_PART_SIZE ? left : RANGE_PART_SIZE;
		request->target = out + done;
		done += request->size;
	}
	rc = reef_s3_send(client, requests, count, err);
	for (int i = 0; i < count; i++)
	{
		if (rc == REEF_OK)
			rc = range_outcome(client, &requests[i], err);
		reef_s3_request_release(&requests[i]);
	}
	return rc;
}

static ReefCode
s3_get_range(void *impl, const char *key, uint64_t offset, size_t size,
			 void *out, ReefError *err)
{
	ReefS3Client *client = impl;
	size_t		batch = RANGE_PART_SIZE * RANGE_PARTS;

	if (size == 0)
	{
		ReefObjectInfo info;

		REEF_TRY(s3_head(impl, key, &info, err));
		if (offset <= info.size)
			return REEF_OK;
		return reef_error_set(err, REEF_CORRUPT, "object ends before its end",
							  "object %s: it has %" PRIu64 " bytes", key,
							  info.size);
	}
	for (size_t done = 0; done < size; done += batch)
		REEF_TRY(get_range_batch(client, key, offset + done,
								 size - done < batch ? size - done : batch,
								 (char *) out + done, err));
	return REEF_OK;
}

static ReefCode
s3_head(void *impl, const char *key, ReefObjectInfo *info, ReefError *err)
{
	ReefS3Client *client = impl;
	ReefS3Request request;
	ReefCode	rc;

	reef_s3_request_init(&request, REEF_HTTP_HEAD, key);
	rc = reef_s3_do(client, &request, 200, err);
	if (rc == REEF_OK && (request.transfer.content_length < 0 ||
						  request.transfer.last_modified_us == 0))
		rc = reef_error_set(err, REEF_UNAVAILABLE,
							"invalid answer from the store",
							"object %s: neither size nor time", key);
	if (rc == REEF_OK)
	{
		memcpy(info->key, key, strlen(key) + 1);
		info->size = (uint64_t) request.transfer.content_length;
		info->modified_us = request.transfer.last_modified_us;
	}
	reef_s3_request_release(&request);
	return rc;
}

/* ---- lists ---- */

typedef struct Listing
{
	const ReefS3Client *client;
	const char *prefix;
	const char *start_after;
	size_t		limit;			/* of the list's count; 0: none */
	ReefObjectList *out;
	char		last[2 * REEF_STORE_KEY_MAX_SIZE];	/* the key before */
} Listing;

static ReefCode
list_object(void *arg, const char *key, uint64_t size, int64_t modified_us,
			ReefError *err)
{
	Listing    *listing = arg;
	const char *prefix = listing->client->prefix;
	size_t		prefix_size = strlen(prefix);
	ReefObjectInfo info;

	if (strncmp(key, prefix, prefix_size) != 0 ||
		strncmp(key + prefix_size, listing->prefix,
				strlen(listing->prefix)) != 0)
		return reef_error_set(err, REEF_UNSUPPORTED,
							  "store does not list what was asked for",
							  "prefix %s%s: it lists %.200s", prefix,
							  listing->prefix, key);
	key += prefix_size;

	/* What others have put into the bucket is not ours. */
	if (!reef_store_key_is_valid(key))
		return REEF_OK;
	if (strcmp(key, listing->last) <= 0)
		return reef_error_set(err, REEF_UNSUPPORTED,
							  "store does not list in order",
							  "prefix %s%s: %.200s after %.200s", prefix,
							  listing->prefix, key, listing->last);
	memcpy(listing->last, key, strlen(key) + 1);
	if (listing->limit > 0 && listing->out->count >= listing->limit)
		return REEF_OK;
	memcpy(info.key, key, strlen(key) + 1);
	info.size = size;
	info.modified_us = modified_us;
	return reef_object_list_append(listing->out, &info, err);
}

static void
make_list_query(const Listing *listing, const char *token, ReefBuf *query)
{
	const char *prefix = listing->client->prefix;
	size_t		left = LIST_PAGE;
	char		number[16];
	char		text[2 * REEF_STORE_KEY_MAX_SIZE];

	if (listing->limit > 0 && listing->limit - listing->out->count < left)
		left = listing->limit - listing->out->count;
	reef_buf_reset(query);
	if (token[0] != '\0')
		reef_s3_query_append(query, "continuation-token", token);
	reef_s3_query_append(query, "encoding-type", "url");
	reef_s3_query_append(query, "list-type", "2");
	snprintf(number, sizeof(number), "%zu", left);
	reef_s3_query_append(query, "max-keys", number);
	snprintf(text, sizeof(text), "%s%s", prefix, listing->prefix);
	reef_s3_query_append(query, "prefix", text);
	snprintf(text, sizeof(text), "%s%s", prefix, listing->start_after);
	if (token[0] == '\0' && listing->start_after[0] != '\0')
		reef_s3_query_append(query, "start-after", text);
	reef_buf_append_u8(query, 0);
}

static ReefCode
list_page(ReefS3Client *client, Listing *listing, const char *query,
		  ReefS3Page *page, ReefError *err)
{
	ReefS3Request request;
	ReefCode	rc;

	reef_s3_request_init(&request, REEF_HTTP_GET, NULL);
	request.query = query;
	request.out_max = LIST_ANSWER_MAX_SIZE;
	rc = reef_s3_do(client, &request, 200, err);
	if (rc == REEF_OK)
	{
		rc = reef_s3_xml_read_list(reef_buf_slice(&request.answer),
								   list_object, listing, page, err);
		/* Perhaps only the connection was bad. */
		if (rc == REEF_CORRUPT)
			err->code = rc = REEF_UNAVAILABLE;
	}
	reef_s3_request_release(&request);
	return rc;
}

static ReefCode
s3_list(void *impl, const char *prefix, const char *start_after, size_t limit,
		ReefObjectList *out, ReefError *err)
{
	ReefS3Client *client = impl;
	Listing    *listing = calloc(1, sizeof(*listing));
	ReefS3Page *page = calloc(1, sizeof(*page));
	ReefBuf		query;
	ReefCode	rc = REEF_OK;

	reef_buf_init(&query);
	if (listing == NULL || page == NULL)
		rc = reef_error_no_memory(err, sizeof(*page));
	else
	{
		listing->client = client;
		listing->prefix = prefix;
		listing->start_after = start_after;
		listing->limit = limit == 0 ? 0 : out->count + limit;
		listing->out = out;
		memcpy(listing->last, start_after, strlen(start_after) + 1);
	}
	while (rc == REEF_OK)
	{
		make_list_query(listing, page->next_token, &query);
		rc = reef_buf_check(&query, err);
		if (rc == REEF_OK)
			rc = list_page(client, listing, (const char *) query.data, page,
						   err);
		if (rc != REEF_OK || !page->is_truncated ||
			(limit > 0 && out->count >= listing->limit))
			break;
	}
	reef_buf_release(&query);
	free(listing);
	free(page);
	return rc;
}

/* ---- deletes ---- */

static ReefCode
s3_delete_object(void *impl, const char *key, ReefError *err)
{
	ReefS3Client *client = impl;
	ReefS3Request request;
	ReefCode	rc;

	reef_s3_request_init(&request, REEF_HTTP_DELETE, key);
	rc = reef_s3_do(client, &request, 204, err);
	if (rc == REEF_NOT_FOUND || (rc != REEF_OK &&
								 request.transfer.status == 200))
		rc = REEF_OK;
	reef_s3_request_release(&request);
	return rc;
}

typedef struct DeleteOutcomes
{
	const ReefS3Client *client;
	ReefDeletion *deletions;
	int			count;
	int			last;			/* the one found last: stores keep the order */
} DeleteOutcomes;

static ReefCode
note_deletion(void *arg, const char *key, const char *code,
			  const char *message, ReefError *err)
{
	DeleteOutcomes *outcomes = arg;
	size_t		prefix_size = strlen(outcomes->client->prefix);

	(void) err;
	if (strncmp(key, outcomes->client->prefix, prefix_size) != 0)
		return REEF_OK;
	key += prefix_size;
	for (int i = 0; i < outcomes->count; i++)
	{
		int			index = (outcomes->last + i) % outcomes->count;
		ReefDeletion *deletion = &outcomes->deletions[index];

		if (strcmp(deletion->key, key) != 0)
			continue;
		outcomes->last = index + 1;
		deletion->outcome = code == NULL ? REEF_OK : reef_s3_code_of(code);
		if (deletion->outcome == REEF_NOT_FOUND)
			deletion->outcome = REEF_OK;
		deletion->problem[0] = '\0';
		if (deletion->outcome != REEF_OK)
			snprintf(deletion->problem, sizeof(deletion->problem),
					 "%s: %.120s", code, message);
		break;
	}
	return REEF_OK;
}

static ReefCode
s3_delete_many(void *impl, ReefDeletion *deletions, int count,
			   ReefError *err)
{
	ReefS3Client *client = impl;
	DeleteOutcomes outcomes = {client, deletions, count, 0};
	char		md5[REEF_MD5_BASE64_SIZE];
	ReefS3Request request;
	ReefBuf		body;
	ReefCode	rc;

	reef_buf_init(&body);
	reef_buf_printf(&body, "<Delete>");
	for (int i = 0; i < count; i++)
	{
		/* The alphabet of keys needs no escapes. */
		reef_buf_printf(&body, "<Object><Key>%s%s</Key></Object>",
						client->prefix, deletions[i].key);
		deletions[i].outcome = REEF_UNAVAILABLE;
		snprintf(deletions[i].problem, sizeof(deletions[i].problem),
				 "the store does not say what became of it");
	}
	reef_buf_printf(&body, "</Delete>");
	rc = reef_buf_check(&body, err);
	reef_s3_request_init(&request, REEF_HTTP_POST, NULL);
	if (rc == REEF_OK)
	{
		reef_md5_base64(reef_buf_slice(&body), md5);
		request.query = "delete=";
		request.body = reef_buf_slice(&body);
		request.content_md5 = md5[0] == '\0' ? NULL : md5;
		request.out_max = LIST_ANSWER_MAX_SIZE;
		rc = reef_s3_do(client, &request, 200, err);
	}
	if (rc == REEF_OK)
		rc = reef_s3_xml_read_delete(reef_buf_slice(&request.answer),
									 note_deletion, &outcomes, err);
	if (rc == REEF_CORRUPT)
		err->code = rc = REEF_UNAVAILABLE;
	reef_s3_request_release(&request);
	reef_buf_release(&body);
	return rc;
}

/* ---- the clock ---- */

/* Whatever it answers, it says when: to the second. */
static ReefCode
s3_now(void *impl, int64_t *now_us, ReefError *err)
{
	ReefS3Client *client = impl;
	ReefS3Request request;
	ReefCode	rc;

	reef_s3_request_init(&request, REEF_HTTP_HEAD, NULL);
	rc = reef_s3_do(client, &request, 200, err);
	if (request.transfer.outcome == REEF_HTTP_ANSWERED &&
		request.transfer.date_us != 0)
	{
		*now_us = request.transfer.date_us;
		rc = REEF_OK;
	}
	else if (rc == REEF_OK)
		rc = reef_error_set(err, REEF_UNSUPPORTED,
							"store does not tell the time", NULL);
	reef_s3_request_release(&request);
	return rc;
}

static void
s3_mark(void *impl)
{
	ReefS3Client *client = impl;

	client->asked_us = 0;
	client->answered_us = 0;
}

static void
s3_times(void *impl, int64_t *asked_us, int64_t *answered_us)
{
	const ReefS3Client *client = impl;

	*asked_us = client->asked_us;
	*answered_us = client->answered_us;
}

static void
s3_set_deadline(void *impl, int64_t deadline_us)
{
	((ReefS3Client *) impl)->deadline_us = deadline_us;
}

/* ---- opening ---- */

static void
s3_close(void *impl)
{
	ReefS3Client *client = impl;

	reef_http_close(client->http);
	free(client->origin);
	free(client->authority);
	free(client->bucket);
	free(client->base_path);
	free(client->prefix);
	free(client->region);
	reef_s3_client_forget_keys(client);
	reef_credentials_close(client->credentials);
	explicit_bzero(client, sizeof(*client));
	free(client);
}

static const ReefStoreOps s3_ops = {
	.kind = "s3",
	.put_if_absent = s3_put_if_absent,
	.put_race = s3_put_race,
	.get = s3_get,
	.get_range = s3_get_range,
	.head = s3_head,
	.list = s3_list,
	.delete_object = s3_delete_object,
	.delete_many = s3_delete_many,
	.write_begin = reef_s3_write_begin,
	.write = reef_s3_write,
	.write_commit = reef_s3_write_commit,
	.write_abort = reef_s3_write_abort,
	.now = s3_now,
	.mark = s3_mark,
	.times = s3_times,
	.set_deadline = s3_set_deadline,
	.close = s3_close
};

ReefCode
reef_s3_store_open(const ReefHost *host, const ReefStoreOptions *options,
				   const ReefStoreOps **ops, void **impl, char *canonical,
				   size_t canonical_size, ReefError *err)
{
	ReefS3Client *client = calloc(1, sizeof(*client));
	ReefCode	rc;

	if (client == NULL)
		return reef_error_no_memory(err, sizeof(*client));
	client->host = host;
	rc = reef_s3_client_set_up(client, options, err);
	if (rc != REEF_OK)
	{
		s3_close(client);
		return rc;
	}
	snprintf(canonical, canonical_size, "s3://%s%s%.*s", client->bucket,
			 client->prefix[0] == '\0' ? "" : "/",
			 client->prefix[0] == '\0' ? 0 : (int) strlen(client->prefix) - 1,
			 client->prefix);
	if (options->endpoint != NULL)
		snprintf(canonical + strlen(canonical),
				 canonical_size - strlen(canonical), " at %s",
				 client->base_path[0] != '\0' ? client->authority :
				 client->authority + strlen(client->bucket) + 1);
	*ops = &s3_ops;
	*impl = client;
	return REEF_OK;
}
