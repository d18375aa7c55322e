/*
 * credential_source.h
 *	  The places that keys come from; used by credentials.c and by each other.
 *
 * All of them fail with REEF_NOT_FOUND, and a detail that says what was looked
 * for, if a place is not set up at all; then the next one's turn may come.
 */
#ifndef REEF_STORE_CREDENTIAL_SOURCE_H
#define REEF_STORE_CREDENTIAL_SOURCE_H

#include "store/credentials.h"
#include "store/http.h"

/* One search for keys. */
typedef struct ReefCredentialSearch
{
	const ReefHost *host;
	int64_t		deadline_us;	/* always set */
	const char *region;			/* or NULL, like the next */
	const char *proxy;
} ReefCredentialSearch;

/* A variable of the process's environment; NULL also if it is empty. */
extern const char *reef_environment_get(const char *name);

/* Fill *keys, which is zeroed first; REEF_UNAUTHENTICATED if they are not
 * printable, too long, or not both there.  token may be NULL. */
extern ReefCode reef_keys_set(ReefKeys *keys, const char *access_key_id,
							  const char *secret_access_key, const char *token,
							  const char *place, ReefError *err)
			REEF_MUST_CHECK;

/* Append a regular file of at most max bytes; the buffer never moves what it
 * has.  REEF_NOT_FOUND if there is none. */
extern ReefCode reef_secret_file_read(const char *path, size_t max,
									  ReefBuf *out, ReefError *err)
			REEF_MUST_CHECK;
extern void reef_secret_buf_release(ReefBuf *buf);	/* zeroes it */

/* ---- metadata.c ---- */

typedef struct ReefCredentialRequest
{
	const char *place;			/* for errors: "instance metadata" */
	ReefHttpMethod method;
	const char *url;
	const char *headers[8];		/* NULL ends them */
	ReefSlice	body;
	const char *ca_file;
	const char *proxy;
	int64_t		timeout_us;		/* of one attempt */
	bool		is_metadata;	/* at a link-local address */
} ReefCredentialRequest;

/* Send it, twice at most.  REEF_OK whatever the status; the body of the
 * answer, at most 64 kB, is in *answer. */
extern ReefCode reef_credential_request(const ReefCredentialSearch *search,
										const ReefCredentialRequest *request,
										int *status, ReefBuf *answer,
										ReefError *err) REEF_MUST_CHECK;
/* The JSON document that metadata services answer with. */
extern ReefCode reef_metadata_read_keys(ReefSlice json, const char *place,
										ReefKeys *keys, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_container_find(const ReefCredentialSearch *search,
									ReefKeys *keys, ReefError *err)
			REEF_MUST_CHECK;
extern ReefCode reef_imds_find(const ReefCredentialSearch *search,
							   ReefKeys *keys, ReefError *err)
			REEF_MUST_CHECK;

/* ---- sts.c ---- */

typedef struct ReefRole
{
	const char *arn;
	const char *session_name;	/* all but arn may be NULL */
	const char *external_id;
	int			duration_s;		/* 0: STS's default */
} ReefRole;

extern ReefCode reef_sts_assume_role(const ReefCredentialSearch *search,
									 const ReefKeys *base,
									 const ReefRole *role, ReefKeys *keys,
									 ReefError *err) REEF_MUST_CHECK;
extern ReefCode reef_sts_web_identity(const ReefCredentialSearch *search,
									  const ReefRole *role,
									  const char *token_file, ReefKeys *keys,
									  ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_STORE_CREDENTIAL_SOURCE_H */
