/*
 * s3_error.c
 *	  From what an S3 store answered to what the caller should do.
 *
 * This is the one table of statuses and error codes.  Its last column says
 * what a creation may take the answer for: most refusals are certain, but
 * after an error of the server's own, or of a proxy before it, the object may
 * be there.
 *
 * A message names the object, the bucket, the status, the store's own code and
 * words, and the id by which its operator finds the request.  It never has
 * the URL or a header of the request, and the store's words are left out if
 * they contain a credential.
 */
#include "store/s3_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct ErrorRule
{
	int			status;			/* 0: any */
	const char *code;			/* NULL: any */
	ReefCode	outcome;
	const char *message;
	bool		is_uncertain;	/* for a creation */
} ErrorRule;

/* The first that fits. */
static const ErrorRule rules[] = {
	/* who we are */
	{0, "ExpiredToken", REEF_UNAUTHENTICATED,
	"session token of the store has expired", false},
	{0, "TokenRefreshRequired", REEF_UNAUTHENTICATED,
	"session token of the store has expired", false},
	{0, "InvalidToken", REEF_UNAUTHENTICATED,
	"store does not accept the session token", false},
	{0, "InvalidAccessKeyId", REEF_UNAUTHENTICATED,
	"store does not know the access key", false},
	{0, "SignatureDoesNotMatch", REEF_UNAUTHENTICATED,
	"store does not accept the secret access key", false},
	{0, "RequestTimeTooSkewed", REEF_UNAUTHENTICATED,
	"clocks of this host and of the store differ too much", false},
	{0, "RequestExpired", REEF_UNAUTHENTICATED,
	"clocks of this host and of the store differ too much", false},
	{401, NULL, REEF_UNAUTHENTICATED, "store does not accept the credentials",
	false},

	/* where the bucket is */
	{0, "AuthorizationHeaderMalformed", REEF_INVALID,
	"region of the store is another one", false},
	{0, "IllegalLocationConstraintException", REEF_INVALID,
	"region of the store is another one", false},
	{0, "PermanentRedirect", REEF_INVALID,
	"bucket is at another endpoint or in another region", false},
	{301, NULL, REEF_INVALID,
	"bucket is at another endpoint or in another region", false},
	{302, NULL, REEF_INVALID, "store redirects to another endpoint", false},
	{303, NULL, REEF_INVALID, "store redirects to another endpoint", false},
	{307, NULL, REEF_INVALID, "store redirects to another endpoint", false},
	{308, NULL, REEF_INVALID, "store redirects to another endpoint", false},
	{0, "NoSuchBucket", REEF_INVALID, "bucket does not exist", false},
	{0, "InvalidBucketName", REEF_INVALID, "bucket does not exist", false},

	/* what there is */
	{404, "NoSuchUpload", REEF_NOT_FOUND, "upload does not exist", false},
	{404, "NoSuchKey", REEF_NOT_FOUND, "object does not exist", false},
	{412, NULL, REEF_CONFLICT, "object exists already", false},
	{416, NULL, REEF_CORRUPT, "object ends before its end", false},

	/* not now */
	{0, "SlowDown", REEF_THROTTLED, "store asks for fewer requests", false},
	{0, "TooManyRequests", REEF_THROTTLED, "store asks for fewer requests",
	false},
	{0, "RequestLimitExceeded", REEF_THROTTLED,
	"store asks for fewer requests", false},
	{0, "BandwidthLimitExceeded", REEF_THROTTLED,
	"store asks for fewer requests", false},
	{0, "Throttling", REEF_THROTTLED, "store asks for fewer requests", false},
	{429, NULL, REEF_THROTTLED, "store asks for fewer requests", false},
	{503, "ServiceUnavailable", REEF_THROTTLED, "store is overloaded", true},
	{409, "ConditionalRequestConflict", REEF_UNAVAILABLE,
	"store could not decide between concurrent requests", false},
	{409, "OperationAborted", REEF_UNAVAILABLE,
	"store could not decide between concurrent requests", false},
	{409, NULL, REEF_UNAVAILABLE, "store refused the request for now", true},
	{0, "RequestTimeout", REEF_UNAVAILABLE,
	"request did not reach the store in time", false},
	{408, NULL, REEF_UNAVAILABLE, "request did not reach the store in time",
	true},

	/* the body was damaged on its way */
	{0, "XAmzContentSHA256Mismatch", REEF_UNAVAILABLE,
	"object was damaged on its way to the store", false},
	{0, "BadDigest", REEF_UNAVAILABLE,
	"object was damaged on its way to the store", false},
	{0, "IncompleteBody", REEF_UNAVAILABLE,
	"object was damaged on its way to the store", false},

	/* never */
	{0, "QuotaExceeded", REEF_NO_SPACE, "store is full", false},
	{0, "InsufficientStorage", REEF_NO_SPACE, "store is full", false},
	{507, NULL, REEF_NO_SPACE, "store is full", false},
	{0, "EntityTooLarge", REEF_LIMIT, "object is too large for the store",
	false},
	{413, NULL, REEF_LIMIT, "object is too large for the store", false},
	{0, "NotImplemented", REEF_UNSUPPORTED,
	"store does not offer what is needed", false},
	{501, NULL, REEF_UNSUPPORTED, "store does not offer what is needed", false},
	{405, NULL, REEF_UNSUPPORTED, "store does not offer what is needed", false},
	{0, "AccessDenied", REEF_DENIED, "permission denied by the store", false},
	{403, NULL, REEF_DENIED, "permission denied by the store", false},
	{0, "InternalError", REEF_UNAVAILABLE, "store failed", true},
	{500, NULL, REEF_UNAVAILABLE, "store failed", true},
	{502, NULL, REEF_UNAVAILABLE, "store could not be reached by its proxy",
	true},
	{503, NULL, REEF_UNAVAILABLE, "store is not available", true},
	{504, NULL, REEF_UNAVAILABLE, "store did not answer its proxy", true},
	{400, NULL, REEF_INVALID, "store refused the request", false},
};

static const ErrorRule no_rule = {
	0, NULL, REEF_UNAVAILABLE, "invalid answer from the store", true
};

static const ErrorRule *
find_rule(int status, const char *code)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
	{
		const ErrorRule *rule = &rules[i];

		if ((rule->status == 0 || rule->status == status) &&
			(rule->code == NULL ||
			 (code != NULL && strcmp(rule->code, code) == 0)))
			return rule;
	}
	return &no_rule;
}

ReefCode
reef_s3_code_of(const char *code)
{
	return find_rule(0, code)->outcome;
}

static bool
has_secret(const ReefS3Client *client, const char *text)
{
	const char *const secrets[] = {
		client->secret_access_key, client->session_token
	};

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
	{
		if (secrets[i] != NULL && secrets[i][0] != '\0' &&
			strstr(text, secrets[i]) != NULL)
			return true;
	}
	return false;
}

/* Where the request went, for the beginning of a detail. */
static void
describe_place(const ReefS3Client *client, const ReefS3Request *request,
			   char *text, size_t size)
{
	if (request->key != NULL)
		snprintf(text, size, "object %.300s in bucket %.63s at %.120s",
				 request->key, client->bucket, client->authority);
	else
		snprintf(text, size, "bucket %.63s at %.120s", client->bucket,
				 client->authority);
}

static void
add_advice(const ReefS3Client *client, const ReefS3Request *request,
		   const ReefS3Fault *fault, ReefError *err)
{
	const ReefHttpTransfer *transfer = &request->transfer;
	const char *region = fault->region[0] != '\0' ? fault->region :
		transfer->region;

	if (err->code == REEF_INVALID && region[0] != '\0' &&
		strcmp(region, client->region) != 0)
		(void) reef_error_add(err, "the bucket is in region %s, and requests were for %s",
							  region, client->region);
	if (err->code == REEF_UNAUTHENTICATED && transfer->date_us != 0 &&
		(strcmp(fault->code, "RequestTimeTooSkewed") == 0 ||
		 strcmp(fault->code, "RequestExpired") == 0))
		(void) reef_error_add(err, "this host's clock is %" PRId64 " s ahead of the store's",
							  (client->host->now_us(client->host->arg) -
							   transfer->date_us) / 1000000);
}

ReefCode
reef_s3_error_of_fault(const ReefS3Client *client,
					   const ReefS3Request *request, const ReefS3Fault *fault,
					   ReefError *err)
{
	const ReefHttpTransfer *transfer = &request->transfer;
	const ErrorRule *rule = find_rule(transfer->status, fault->code);
	const char *request_id = transfer->request_id[0] != '\0' ?
		transfer->request_id : fault->request_id;
	bool		is_shown = fault->message[0] != '\0' &&
		!has_secret(client, fault->message);
	char		place[512];
	ReefCode	code = rule->outcome;

	if (request->is_creation && rule->is_uncertain)
		code = REEF_UNCERTAIN;
	describe_place(client, request, place, sizeof(place));
	(void) reef_error_set(err, code, rule->message,
						  "%s: HTTP status %d%s%s%s%.150s%s%s", place,
						  transfer->status, fault->code[0] == '\0' ? "" : " ",
						  fault->code, is_shown ? ": " : "",
						  is_shown ? fault->message : "",
						  request_id[0] == '\0' ? "" : ", request id ",
						  request_id);
	err->http_status = transfer->status;
	if (code == REEF_THROTTLED)
		err->retry_after_ms = transfer->retry_after_s * 1000;
	add_advice(client, request, fault, err);
	return code;
}

ReefCode
reef_s3_error_of_status(const ReefS3Client *client,
						const ReefS3Request *request, ReefSlice body,
						ReefError *err)
{
	ReefS3Fault fault;

	memset(&fault, 0, sizeof(fault));
	if (body.size > 0 &&
		reef_s3_xml_read_error(body, &fault, err) != REEF_OK)
		memset(&fault, 0, sizeof(fault));
	reef_error_init(err);
	if (request->is_range && request->transfer.status == 200)
	{
		(void) reef_error_set(err, REEF_UNSUPPORTED,
							  "store does not offer what is needed",
							  "it ignores that a range of an object was asked for");
		return err->code;
	}

	/*
	 * That something does not exist is a strong statement, which a proxy's
	 * page or another kind of server does not make.  The answer to a HEAD has
	 * no body.
	 */
	if (request->transfer.status == 404 && fault.code[0] == '\0' &&
		request->method == REEF_HTTP_HEAD)
		memcpy(fault.code, "NoSuchKey", sizeof("NoSuchKey"));
	return reef_s3_error_of_fault(client, request, &fault, err);
}

ReefCode
reef_s3_error_of_transfer(const ReefS3Client *client,
						  const ReefS3Request *request, ReefError *err)
{
	const ReefHttpTransfer *transfer = &request->transfer;
	bool		is_sent = transfer->outcome != REEF_HTTP_NOT_SENT;
	char		place[512];

	describe_place(client, request, place, sizeof(place));
	if (request->is_creation && is_sent)
		return reef_error_set(err, REEF_UNCERTAIN,
							  "store did not say whether it has the object",
							  "%s: %s", place, transfer->fault);
	if (transfer->is_cancelled)
		return reef_error_set(err, REEF_CANCELLED,
							  "store request was cancelled", "%s", place);
	if (!is_sent)
		return reef_error_set(err, transfer->is_refused ? REEF_DENIED :
							  REEF_UNREACHABLE,
							  "could not connect to the store", "%s: %s",
							  place, transfer->fault);
	return reef_error_set(err, REEF_UNAVAILABLE,
						  "lost the connection to the store", "%s: %s", place,
						  transfer->fault);
}
