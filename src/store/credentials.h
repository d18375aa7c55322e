/*
 * credentials.h
 *	  The keys that requests are signed with, from where a cloud's tools look
 *	  for them, renewed before they expire (see credentials.c).
 */
#ifndef REEF_STORE_CREDENTIALS_H
#define REEF_STORE_CREDENTIALS_H

#include "base/error.h"
#include "base/host.h"

#define REEF_ACCESS_KEY_SIZE 256
#define REEF_SECRET_KEY_SIZE 512
#define REEF_SESSION_TOKEN_SIZE 4097	/* all with NUL */
#define REEF_PROFILE_NAME_SIZE 128
#define REEF_ROLE_ARN_SIZE 2049

typedef enum ReefCredentialSource
{
	REEF_CREDENTIAL_GIVEN,		/* by whoever opens the store */
	REEF_CREDENTIAL_ENV,
	REEF_CREDENTIAL_PROFILE,
	REEF_CREDENTIAL_CONTAINER,
	REEF_CREDENTIAL_IMDS,
	REEF_CREDENTIAL_WEB_IDENTITY,
	REEF_CREDENTIAL_CHAIN		/* env, web identity, profile, container, imds:
								 * the first that is set up */
} ReefCredentialSource;

/* Zero it with explicit_bzero. */
typedef struct ReefKeys
{
	char		access_key_id[REEF_ACCESS_KEY_SIZE];
	char		secret_access_key[REEF_SECRET_KEY_SIZE];
	char		session_token[REEF_SESSION_TOKEN_SIZE]; /* "": none */
	int64_t		expires_us;		/* 0: not said */
} ReefKeys;

typedef struct ReefCredentialOptions
{
	ReefCredentialSource source;
	const char *profile;		/* NULL: AWS_PROFILE, or "default" */
	const char *role_arn;		/* the role to assume; NULL: none */
	const char *region;			/* whose STS is asked; NULL: AWS_REGION */
	const char *proxy;			/* to STS; NULL: none */
	const ReefKeys *given;		/* for REEF_CREDENTIAL_GIVEN */
} ReefCredentialOptions;

typedef struct ReefCredentials ReefCredentials;

/*
 * Keys by these options; nothing is looked for yet.  Whoever opens the same in
 * one process shares the keys.  REEF_INVALID if the options contradict each
 * other.
 */
extern ReefCode reef_credentials_open(const ReefHost *host,
									  const ReefCredentialOptions *options,
									  ReefCredentials **credentials,
									  ReefError *err) REEF_MUST_CHECK;
extern void reef_credentials_close(ReefCredentials *credentials);	/* accepts NULL */

/*
 * The keys of now, borrowed until the next call on this object; may send
 * requests, and ends by the deadline (host clock; 0: none).  *version changes
 * whenever the keys do.  REEF_UNAUTHENTICATED if there are none,
 * REEF_UNAVAILABLE if they could not be fetched this time.
 */
extern ReefCode reef_credentials_get(ReefCredentials *credentials,
									 int64_t deadline_us,
									 const ReefKeys **keys, uint64_t *version,
									 ReefError *err) REEF_MUST_CHECK;
/* A store did not accept them: look again the next time. */
extern void reef_credentials_distrust(ReefCredentials *credentials);

#endif							/* REEF_STORE_CREDENTIALS_H */
