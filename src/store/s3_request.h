/*
 * s3_request.h
 *	  One S3 request: its URL, its headers, its signature, its outcome.  Used
 *	  by the files of the S3 store only.
 */
#ifndef REEF_STORE_S3_REQUEST_H
#define REEF_STORE_S3_REQUEST_H

#include "store/http.h"
#include "store/s3_xml.h"
#include "store/sign.h"
#include "store/store.h"

/* Where the store is and as whom we talk to it. */
typedef struct ReefS3Client
{
	const ReefHost *host;
	ReefHttp   *http;
	char	   *origin;			/* "https://host:port" */
	char	   *authority;		/* "host:port", as in the header Host */
	char	   *bucket;
	char	   *base_path;		/* "" or "/bucket" */
	char	   *prefix;			/* of every key: "" or "prefix/" */
	char	   *region;
	ReefCredentials *credentials;	/* where the next three are from; NULL: they
									 * were given */
	uint64_t	keys_version;	/* of theirs */
	char	   *access_key_id;	/* NULL: requests are not signed */
	char	   *secret_access_key;
	char	   *session_token;	/* or NULL */
	ReefSigningKey signing_key;
	int64_t		deadline_us;	/* of the verb; 0: none */
	int64_t		attempt_timeout_us; /* of one request; 0: none */
	int64_t		asked_us;		/* the store's time, see times in store.h */
	int64_t		answered_us;
} ReefS3Client;

typedef struct ReefS3Request
{
	/* set by the caller; all borrowed */
	ReefHttpMethod method;
	const char *key;			/* below the location; NULL: the bucket */
	const char *query;			/* escaped and sorted; NULL: none */
	ReefSlice	body;
	const char *content_md5;	/* or NULL */
	bool		if_absent;
	bool		is_range;		/* the next three, for a GET */
	uint64_t	offset;
	size_t		size;
	void	   *target;
	ReefBuf    *out;			/* body of the answer; NULL: *answer */
	size_t		out_max;		/* 0: what an error may have */

	/*
	 * Only a clear answer tells whether it was done; anything else is
	 * REEF_UNCERTAIN.  Of other requests it is REEF_UNAVAILABLE, because
	 * they may be repeated.
	 */
	bool		is_creation;

	/* the outcome */
	ReefHttpTransfer transfer;
	ReefBuf		answer;			/* of an error too */
	size_t		out_before;		/* size of *out */
	ReefBuf		text;			/* of the URL and the headers */
	const char *headers[10];
} ReefS3Request;

extern void reef_s3_request_init(ReefS3Request *request, ReefHttpMethod method,
								 const char *key);
extern void reef_s3_request_release(ReefS3Request *request);

/* Send them all at the same time and wait for all.  Fails if none was sent. */
extern ReefCode reef_s3_send(ReefS3Client *client, ReefS3Request *requests,
							 int count, ReefError *err) REEF_MUST_CHECK;
/* The same for what must happen although we are cancelled; takes half a
 * second at most. */
extern void reef_s3_send_cleanup(ReefS3Client *client, ReefS3Request *request);

/*
 * What became of a request that was sent: REEF_OK if its status is "expected".
 * Then the body, if any, is in *out.
 */
extern ReefCode reef_s3_outcome(const ReefS3Client *client,
								ReefS3Request *request, int expected,
								ReefError *err) REEF_MUST_CHECK;
/* Send one and return its outcome. */
extern ReefCode reef_s3_do(ReefS3Client *client, ReefS3Request *request,
						   int expected, ReefError *err) REEF_MUST_CHECK;

/* Append "&name=value" (or "name=value" at first), escaped. */
extern void reef_s3_query_append(ReefBuf *query, const char *name,
								 const char *value);

/* ---- s3_address.c ---- */

/* Fill in a zeroed client (but for its host) from the options.  What it holds
 * is given back by the store's close, also on failure. */
extern ReefCode reef_s3_client_set_up(ReefS3Client *client,
									  const ReefStoreOptions *options,
									  ReefError *err) REEF_MUST_CHECK;

/* Take the keys of now from where they come from. */
extern ReefCode reef_s3_client_renew(ReefS3Client *client, ReefError *err)
			REEF_MUST_CHECK;
extern void reef_s3_client_forget_keys(ReefS3Client *client);

/* ---- s3_error.c ---- */

/* The failure that an answer with another status than expected tells of. */
extern ReefCode reef_s3_error_of_status(const ReefS3Client *client,
										const ReefS3Request *request,
										ReefSlice body, ReefError *err)
			REEF_MUST_CHECK;
/* The same for an error that came with a good status. */
extern ReefCode reef_s3_error_of_fault(const ReefS3Client *client,
									   const ReefS3Request *request,
									   const ReefS3Fault *fault,
									   ReefError *err) REEF_MUST_CHECK;
/* The failure of a request that got no answer. */
extern ReefCode reef_s3_error_of_transfer(const ReefS3Client *client,
										  const ReefS3Request *request,
										  ReefError *err) REEF_MUST_CHECK;
/* The outcome of an S3 error code of one object of many. */
extern ReefCode reef_s3_code_of(const char *code);

/* ---- s3.c ---- */

/* The outcome of a conditional PUT that was sent. */
extern ReefCode reef_s3_put_outcome(const ReefS3Client *client,
									ReefS3Request *request, ReefError *err)
			REEF_MUST_CHECK;

/* ---- s3_write.c ---- */

extern ReefCode reef_s3_write_begin(void *impl, const char *key,
									void **writer, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_s3_write(void *impl, void *writer, ReefSlice bytes,
							  ReefError *err) REEF_MUST_CHECK;
extern ReefCode reef_s3_write_commit(void *impl, void *writer, ReefError *err)
			REEF_MUST_CHECK;
extern void reef_s3_write_abort(void *impl, void *writer);

#endif							/* REEF_STORE_S3_REQUEST_H */
