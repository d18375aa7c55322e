/*
 * sign.h
 *	  AWS Signature Version 4, and the digests that S3 wants (see sign.c).
 */
#ifndef REEF_STORE_SIGN_H
#define REEF_STORE_SIGN_H

#include "base/bytes.h"
#include "base/error.h"

#define REEF_SHA256_HEX_SIZE 65 /* with NUL */
#define REEF_MD5_BASE64_SIZE 25

/* The key derived for a day; init by zeroing, and zero it at the end. */
typedef struct ReefSigningKey
{
	char		day[9];			/* "20261122"; "": none yet */
	uint8_t		key[32];
} ReefSigningKey;

typedef struct ReefSignedHeader
{
	const char *name;			/* lower case */
	const char *value;			/* without blanks around it */
} ReefSignedHeader;

/* What is signed.  path and query are as in the URL; the query is sorted by
 * name, and every parameter has a "=".  Headers are sorted by name. */
typedef struct ReefSigning
{
	const char *method;
	const char *path;
	const char *query;
	const ReefSignedHeader *headers;
	int			header_count;
	const char *content_sha256; /* of the body, in hexadecimal */
	const char *region;
	const char *service;
	const char *time;			/* "20261122T190755Z" */
} ReefSigning;

/* Append the value of the Authorization header. */
extern ReefCode reef_sign(const ReefSigning *signing, const char *access_key_id,
						  const char *secret_access_key, ReefSigningKey *key,
						  ReefBuf *authorization, ReefError *err)
			REEF_MUST_CHECK;

/* "20261122T190755Z" of microseconds since 1970. */
extern void reef_sign_time(int64_t time_us, char time[17]);

extern ReefCode reef_sha256_hex(ReefSlice bytes,
								char hex[REEF_SHA256_HEX_SIZE],
								ReefError *err) REEF_MUST_CHECK;
/* "" where the library refuses MD5. */
extern void reef_md5_base64(ReefSlice bytes,
							char base64[REEF_MD5_BASE64_SIZE]);

#endif							/* REEF_STORE_SIGN_H */
