/*
 * s3_write.c
 *	  Writing a large object to an S3 store.
 *
 * What is written gathers in memory.  An object that ends before there is a
 * batch of parts is one PUT.  A larger one becomes a multipart upload, its
 * parts sent a batch at a time, in parallel: until it is completed the store
 * shows nothing under the key, and an upload that is aborted leaves nothing.
 *
 * The keys that are streamed to are never reused (segments have random names),
 * so an ambiguous answer can be settled here, by looking at what is there: by
 * its bytes if they are still in memory, by its size otherwise.  And it does
 * not matter that many stores complete an upload over an existing object.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/s3_request.h"

#define PART_SIZE ((size_t) 8 * 1024 * 1024)
#define BATCH_PARTS 4
#define PARTS_MAX 10000
#define UPLOAD_ID_SIZE 1024
#define ETAG_SIZE 128
#define COMMIT_ATTEMPTS 4
#define COMMIT_DELAY_US INT64_C(100000)

typedef struct PartTag
{
	char		etag[ETAG_SIZE];
} PartTag;

typedef struct Writer
{
	ReefBuf		bytes;			/* not sent yet */
	uint64_t	sent;
	char		upload_id[UPLOAD_ID_SIZE];	/* "": none begun */
	PartTag    *parts;
	int			part_count;
	int			part_capacity;
	bool		is_open;		/* an attempt to commit may have succeeded */
	char		key[REEF_STORE_KEY_MAX_SIZE + 1];
} Writer;

ReefCode
reef_s3_write_begin(void *impl, const char *key, void **writer,
					ReefError *err)
{
	Writer	   *result = calloc(1, sizeof(*result));

	(void) impl;
	if (result == NULL)
		return reef_error_no_memory(err, sizeof(*result));
	reef_buf_init(&result->bytes);
	memcpy(result->key, key, strlen(key) + 1);
	*writer = result;
	return REEF_OK;
}

static void
free_writer(Writer *writer)
{
	reef_buf_release(&writer->bytes);
	free(writer->parts);
	free(writer);
}

/* ---- multipart uploads ---- */

static ReefCode
begin_upload(ReefS3Client *client, Writer *writer, ReefError *err)
{
	ReefS3Request request;
	ReefCode	rc;

	reef_s3_request_init(&request, REEF_HTTP_POST, writer->key);
	request.query = "uploads=";
	rc = reef_s3_do(client, &request, 200, err);
	if (rc == REEF_OK)
		rc = reef_s3_xml_read_upload(reef_buf_slice(&request.answer),
									 writer->upload_id,
									 sizeof(writer->upload_id), err);
	if (rc == REEF_CORRUPT)
		err->code = rc = REEF_UNAVAILABLE;
	reef_s3_request_release(&request);
	return rc;
}

/* "[partNumber=n&]uploadId=..." with NUL */
static ReefCode
make_query(const Writer *writer, int part_number, ReefBuf *query,
		   ReefError *err)
{
	char		number[16];

	snprintf(number, sizeof(number), "%d", part_number);
	if (part_number > 0)
		reef_s3_query_append(query, "partNumber", number);
	reef_s3_query_append(query, "uploadId", writer->upload_id);
	reef_buf_append_u8(query, 0);
	return reef_buf_check(query, err);
}

static ReefCode
part_outcome(const ReefS3Client *client, ReefS3Request *request,
			 PartTag *part, ReefError *err)
{
	const char *etag = request->transfer.etag;

	REEF_TRY(reef_s3_outcome(client, request, 200, err));
	/* It goes into a document, where nothing must be escaped. */
	if (etag[0] == '\0' || strpbrk(etag, "<>&") != NULL)
		return reef_error_set(err, REEF_UNAVAILABLE,
							  "invalid answer from the store",
							  "object %s: a part without a usable ETag",
							  request->key);
	memcpy(part->etag, etag, sizeof(part->etag));
	return REEF_OK;
}

static ReefCode
reserve_parts(Writer *writer, int count, ReefError *err)
{
	size_t		capacity = (size_t) writer->part_capacity * 2 + BATCH_PARTS;
	PartTag    *parts;

	if (writer->part_count + count > PARTS_MAX)
		return reef_error_set(err, REEF_LIMIT, "object is too large",
							  "object %s: more than %d parts", writer->key,
							  PARTS_MAX);
	if (writer->part_count + count <= writer->part_capacity)
		return REEF_OK;
	parts = reallocarray(writer->parts, capacity, sizeof(*parts));
	if (parts == NULL)
		return reef_error_no_memory(err, capacity * sizeof(*parts));
	writer->parts = parts;
	writer->part_capacity = (int) capacity;
	return REEF_OK;
}

/*
 * Send the first "size" bytes of those in memory, at most a batch, as parts.
 * All or nothing counts: a part that was sent in vain is replaced by the next
 * attempt's.
 */
static ReefCode
send_parts(ReefS3Client *client, Writer *writer, size_t size, ReefError *err)
{
	ReefS3Request requests[BATCH_PARTS];
	ReefBuf		queries[BATCH_PARTS];
	size_t		done = 0;
	int			count = 0;
	ReefCode	rc = REEF_OK;

	if (writer->upload_id[0] == '\0')
		REEF_TRY(begin_upload(client, writer, err));
	REEF_TRY(reserve_parts(writer, BATCH_PARTS, err));
	for (; done < size && rc == REEF_OK; count++)
	{
		size_t		part_size = size - done < PART_SIZE ? size - done : PART_SIZE;

		reef_buf_init(&queries[count]);
		rc = make_query(writer, writer->part_count + count + 1,
						&queries[count], err);
		reef_s3_request_init(&requests[count], REEF_HTTP_PUT, writer->key);
		requests[count].query = (const char *) queries[count].data;
		requests[count].body = reef_slice(writer->bytes.data + done, part_size);
		done += part_size;
	}
	if (rc == REEF_OK)
		rc = reef_s3_send(client, requests, count, err);
	for (int i = 0; i < count; i++)
	{
		if (rc == REEF_OK)
			rc = part_outcome(client, &requests[i],
							  &writer->parts[writer->part_count + i], err);
		reef_s3_request_release(&requests[i]);
		reef_buf_release(&queries[i]);
	}
	if (rc != REEF_OK)
		return rc;
	writer->part_count += count;
	writer->sent += size;
	memmove(writer->bytes.data, writer->bytes.data + size,
			writer->bytes.size - size);
	writer->bytes.size -= size;
	return REEF_OK;
}

ReefCode
reef_s3_write(void *impl, void *writer_arg, ReefSlice bytes, ReefError *err)
{
	Writer	   *writer = writer_arg;

	/* Before the new bytes are in it, so that a failure consumes none. */
	while (writer->bytes.size >= PART_SIZE * BATCH_PARTS)
		REEF_TRY(send_parts(impl, writer, PART_SIZE * BATCH_PARTS, err));
	if (reef_buf_reserve(&writer->bytes, bytes.size) == NULL)
	{
		writer->bytes.failed = false;
		return reef_error_no_memory(err, bytes.size);
	}
	reef_buf_append(&writer->bytes, bytes.data, bytes.size);
	return REEF_OK;
}

/* ---- commit ---- */

static ReefCode
complete_once(ReefS3Client *client, Writer *writer, ReefSlice document,
			  const char *query, ReefError *err)
{
	ReefS3Request request;
	ReefS3Fault fault;
	bool		is_complete;
	ReefCode	rc;

	reef_s3_request_init(&request, REEF_HTTP_POST, writer->key);
	request.query = query;
	request.body = document;
	request.if_absent = true;
	request.is_creation = true;
	rc = reef_s3_do(client, &request, 200, err);
	if (rc == REEF_OK)
	{
		rc = reef_s3_xml_read_complete(reef_buf_slice(&request.answer),
									   &is_complete, &fault, err);
		if (rc == REEF_CORRUPT)
			err->code = rc = REEF_UNCERTAIN;
		else if (rc == REEF_OK && !is_complete)
			rc = reef_s3_error_of_fault(client, &request, &fault, err);
	}
	reef_s3_request_release(&request);
	return rc;
}

/* Is there an object of the size that we have sent? */
static ReefCode
look_for_upload(ReefS3Client *client, const Writer *writer, ReefError *err)
{
	ReefS3Request request;
	ReefCode	rc;

	reef_s3_request_init(&request, REEF_HTTP_HEAD, writer->key);
	rc = reef_s3_do(client, &request, 200, err);
	if (rc == REEF_OK && request.transfer.content_length !=
		(int64_t) writer->sent)
		rc = reef_error_set(err, REEF_CONFLICT, "object exists already",
							"object %s: it has %" PRId64 " bytes instead of %" PRIu64,
							writer->key, request.transfer.content_length,
							writer->sent);
	reef_s3_request_release(&request);
	return rc;
}

static ReefCode
complete_upload(ReefS3Client *client, Writer *writer, ReefError *err)
{
	ReefBuf		document;
	ReefBuf		query;
	ReefCode	rc;

	reef_buf_init(&document);
	reef_buf_init(&query);
	reef_buf_printf(&document, "<CompleteMultipartUpload>");
	for (int i = 0; i < writer->part_count; i++)
		reef_buf_printf(&document, "<Part><PartNumber>%d</PartNumber>"
						"<ETag>%s</ETag></Part>", i + 1,
						writer->parts[i].etag);
	reef_buf_printf(&document, "</CompleteMultipartUpload>");
	rc = reef_buf_check(&document, err);
	if (rc == REEF_OK)
		rc = make_query(writer, 0, &query, err);
	if (rc == REEF_OK)
		rc = complete_once(client, writer, reef_buf_slice(&document),
						   (const char *) query.data, err);
	/*
	 * An upload that is gone was completed by an attempt before, perhaps one
	 * that libcurl made by itself.
	 */
	if (rc == REEF_NOT_FOUND || (writer->is_open && rc == REEF_CONFLICT))
		rc = look_for_upload(client, writer, err);
	reef_buf_release(&document);
	reef_buf_release(&query);
	return rc;
}

/* Is there an object with our bytes?  REEF_CONFLICT: with others. */
static ReefCode
look_for_bytes(ReefS3Client *client, const Writer *writer, ReefError *err)
{
	ReefS3Request request;
	ReefCode	rc;

	reef_s3_request_init(&request, REEF_HTTP_GET, writer->key);
	request.out_max = writer->bytes.size + 65536;
	rc = reef_s3_do(client, &request, 200, err);
	if ((rc == REEF_OK && !reef_slice_equal(reef_buf_slice(&request.answer),
											reef_buf_slice(&writer->bytes))))
		rc = reef_error_set(err, REEF_CONFLICT, "object exists already",
							"object %s", writer->key);
	reef_s3_request_release(&request);
	return rc;
}

static ReefCode
put_whole(ReefS3Client *client, Writer *writer, ReefError *err)
{
	ReefS3Request request;
	ReefCode	rc;

	reef_s3_request_init(&request, REEF_HTTP_PUT, writer->key);
	request.body = reef_buf_slice(&writer->bytes);
	request.if_absent = true;
	request.is_creation = true;
	rc = reef_s3_send(client, &request, 1, err);
	if (rc == REEF_OK)
		rc = reef_s3_put_outcome(client, &request, err);
	reef_s3_request_release(&request);
	return rc;
}

/* One attempt to give the object its name. */
static ReefCode
publish(ReefS3Client *client, Writer *writer, ReefError *err)
{
	ReefCode	rc;

	if (writer->upload_id[0] != '\0')
		return complete_upload(client, writer, err);
	rc = put_whole(client, writer, err);
	if (rc == REEF_CONFLICT)
		rc = look_for_bytes(client, writer, err);
	return rc;
}

/*
 * An outcome that is open is settled by trying again, because a repeated
 * attempt either succeeds or meets what an earlier one has made.
 */
ReefCode
reef_s3_write_commit(void *impl, void *writer_arg, ReefError *err)
{
	ReefS3Client *client = impl;
	const ReefHost *host = client->host;
	Writer	   *writer = writer_arg;
	ReefCode	rc = REEF_OK;

	if (writer->upload_id[0] != '\0' ||
		writer->bytes.size > PART_SIZE * BATCH_PARTS / 2)
	{
		while (writer->bytes.size > 0)
		{
			size_t		size = writer->bytes.size < PART_SIZE * BATCH_PARTS ?
				writer->bytes.size : PART_SIZE * BATCH_PARTS;

			REEF_TRY(send_parts(client, writer, size, err));
		}
	}
	for (int attempt = 0; attempt < COMMIT_ATTEMPTS; attempt++)
	{
		rc = publish(client, writer, err);
		if (rc == REEF_OK || rc == REEF_CONFLICT)
			break;
		writer->is_open |= rc == REEF_UNCERTAIN;
		if (!writer->is_open)
			break;
		if (host->wait(host->arg, NULL, 0, COMMIT_DELAY_US << attempt) != REEF_OK)
			break;
	}
	if (rc == REEF_OK)
		free_writer(writer);
	else if (writer->is_open && rc != REEF_CONFLICT)
		err->code = rc = REEF_UNCERTAIN;
	return rc;
}

void
reef_s3_write_abort(void *impl, void *writer_arg)
{
	ReefS3Client *client = impl;
	Writer	   *writer = writer_arg;
	ReefS3Request request;
	ReefBuf		query;
	ReefError	err;

	if (writer->upload_id[0] != '\0')
	{
		reef_error_init(&err);
		reef_buf_init(&query);
		reef_s3_request_init(&request, REEF_HTTP_DELETE, writer->key);
		if (make_query(writer, 0, &query, &err) == REEF_OK)
		{
			request.query = (const char *) query.data;
			reef_s3_send_cleanup(client, &request);
		}
		reef_s3_request_release(&request);
		reef_buf_release(&query);
	}
	free_writer(writer);
}
