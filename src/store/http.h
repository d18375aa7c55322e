/*
 * http.h
 *	  Requests over HTTP, several at a time, that can be cancelled at any point
 *	  (see http.c).
 *
 * What a request means, whether it may be repeated and what its status says
 * is the business of whoever makes it; here it only becomes clear whether the
 * server can have received it.
 */
#ifndef REEF_STORE_HTTP_H
#define REEF_STORE_HTTP_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/host.h"

typedef struct ReefHttp ReefHttp;

typedef struct ReefHttpOptions
{
	const char *ca_file;		/* NULL: the system's authorities */
	const char *proxy;			/* NULL: none, whatever the environment says */
	int64_t		connect_timeout_us;
	int64_t		stall_timeout_us;	/* without a byte in either direction */

	/* May a server be at a link-local address, or at one where a cloud tells
	 * its machines their secrets? */
	bool		allow_metadata;
} ReefHttpOptions;

typedef enum ReefHttpMethod
{
	REEF_HTTP_GET,
	REEF_HTTP_HEAD,
	REEF_HTTP_PUT,
	REEF_HTTP_POST,
	REEF_HTTP_DELETE
} ReefHttpMethod;

typedef enum ReefHttpOutcome
{
	REEF_HTTP_ANSWERED,			/* status, headers and the whole body are here */
	REEF_HTTP_NOT_SENT,			/* no server has received it */
	REEF_HTTP_BROKEN			/* it may have been received; the answer has not,
								 * or not whole */
} ReefHttpOutcome;

typedef struct ReefHttpTransfer
{
	/* The request; all of it borrowed until reef_http_run returns */
	ReefHttpMethod method;
	const char *url;
	const char *const *headers; /* "Name: value"; NULL ends them */
	ReefSlice	body;

	/*
	 * Where the answer's body goes.  That of a 206 goes to target if that is
	 * not NULL, at most target_size bytes; every other is appended to *out.
	 */
	void	   *target;
	size_t		target_size;
	ReefBuf    *out;
	size_t		out_max;		/* bytes of a body; a longer one breaks it */

	/* The answer */
	ReefHttpOutcome outcome;
	char		fault[256];		/* why it is not ANSWERED; names no URL */
	bool		is_cancelled;	/* that is why */
	int			status;
	int64_t		content_length; /* -1: not said */
	int64_t		date_us;		/* 0: not said, like the next */
	int64_t		last_modified_us;
	int64_t		elapsed_us;		/* by a clock that nobody sets */
	int			retry_after_s;
	char		etag[128];
	char		request_id[128];
	char		region[64];		/* x-amz-bucket-region */
	char		content_range[64];
	size_t		received;		/* bytes of the body */

	/* http.c's own */
	void	   *easy;
	void	   *header_list;
	ReefHttp   *http;
	char		curl_fault[256];	/* what libcurl says about it */
	bool		is_refused;		/* we did not want to connect or to go on */
} ReefHttpTransfer;

/* A client; connections are kept between runs.  Options are copied. */
extern ReefCode reef_http_open(const ReefHost *host,
							   const ReefHttpOptions *options,
							   ReefHttp **http, ReefError *err)
			REEF_MUST_CHECK;
extern void reef_http_close(ReefHttp *http);	/* accepts NULL */

/*
 * Do all transfers at the same time, until each has its outcome.  At the
 * deadline (host clock; 0: none) or when the host cancels, those that are
 * still under way get theirs as it is.  Fails only if nothing was done.
 * is_cleanup: a cancel does not count, so the deadline must be near.
 */
extern ReefCode reef_http_run(ReefHttp *http, ReefHttpTransfer *transfers,
							  int count, int64_t deadline_us, bool is_cleanup,
							  ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_STORE_HTTP_H */
