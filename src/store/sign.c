/*
 * sign.c
 *	  AWS Signature Version 4, and the digests that S3 wants.
 *
 * libcurl can sign too, but its releases disagree about which query, path and
 * headers they sign rightly (the one of Debian 12 signs an empty header that
 * it then does not send, and sorts some names wrongly), and it keeps copies
 * of the secret in memory that nobody zeroes.  The algorithm is short, public
 * and has test vectors; the cryptography is OpenSSL's.
 *
 * The secret enters only the first of a chain of keys: day, region, service.
 * The last one is kept for the day, so that it is derived once.
 */
#include "store/sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <time.h>

#define SHA256_SIZE 32

static ReefCode
crypto_error(ReefError *err)
{
	return reef_error_set(err, REEF_UNSUPPORTED,
						  "could not sign a request to the store",
						  "OpenSSL does not offer SHA-256");
}

static void
to_hex(const uint8_t *bytes, size_t size, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++)
	{
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * size] = '\0';
}

ReefCode
reef_sha256_hex(ReefSlice bytes, char hex[REEF_SHA256_HEX_SIZE],
				ReefError *err)
{
	uint8_t		digest[EVP_MAX_MD_SIZE];
	unsigned int size;

	if (EVP_Digest(bytes.data, bytes.size, digest, &size, EVP_sha256(),
				   NULL) != 1 || size != SHA256_SIZE)
		return crypto_error(err);
	to_hex(digest, size, hex);
	return REEF_OK;
}

void
reef_md5_base64(ReefSlice bytes, char base64[REEF_MD5_BASE64_SIZE])
{
	uint8_t		digest[EVP_MAX_MD_SIZE];
	unsigned int size;

	base64[0] = '\0';
	if (EVP_Digest(bytes.data, bytes.size, digest, &size, EVP_md5(),
				   NULL) == 1 && size == 16)
		(void) EVP_EncodeBlock((unsigned char *) base64, digest, 16);
}

static ReefCode
hmac(const uint8_t *key, size_t key_size, const char *text,
	 uint8_t result[SHA256_SIZE], ReefError *err)
{
	uint8_t		digest[EVP_MAX_MD_SIZE];
	unsigned int size;

	if (HMAC(EVP_sha256(), key, (int) key_size, (const unsigned char *) text,
			 strlen(text), digest, &size) == NULL || size != SHA256_SIZE)
		return crypto_error(err);
	memcpy(result, digest, SHA256_SIZE);
	explicit_bzero(digest, sizeof(digest));
	return REEF_OK;
}

static ReefCode
derive_key(const ReefSigning *signing, const char *secret,
		   ReefSigningKey *key, ReefError *err)
{
	ReefBuf		first;
	ReefCode	rc;

	if (strncmp(key->day, signing->time, 8) == 0)
		return REEF_OK;
	reef_buf_init(&first);
	(void) reef_buf_reserve(&first, strlen(secret) + 5);
	reef_buf_append(&first, "AWS4", 4);
	reef_buf_append(&first, secret, strlen(secret));
	memcpy(key->day, signing->time, 8);
	key->day[8] = '\0';
	rc = reef_buf_check(&first, err);
	if (rc == REEF_OK)
		rc = hmac(first.data, first.size, key->day, key->key, err);
	if (rc == REEF_OK)
		rc = hmac(key->key, SHA256_SIZE, signing->region, key->key, err);
	if (rc == REEF_OK)
		rc = hmac(key->key, SHA256_SIZE, signing->service, key->key, err);
	if (rc == REEF_OK)
		rc = hmac(key->key, SHA256_SIZE, "aws4_request", key->key, err);
	if (rc != REEF_OK)
		key->day[0] = '\0';
	if (first.data != NULL)
		explicit_bzero(first.data, first.size);
	reef_buf_release(&first);
	return rc;
}

static void
append_header_names(const ReefSigning *signing, ReefBuf *out)
{
	for (int i = 0; i < signing->header_count; i++)
		reef_buf_printf(out, "%s%s", i == 0 ? "" : ";",
						signing->headers[i].name);
}

ReefCode
reef_sign(const ReefSigning *signing, const char *access_key_id,
		  const char *secret_access_key, ReefSigningKey *key,
		  ReefBuf *authorization, ReefError *err)
{
	char		scope[160];
	char		hex[REEF_SHA256_HEX_SIZE];
	char		to_sign[320];
	uint8_t		signature[SHA256_SIZE];
	ReefBuf		canonical;
	ReefCode	rc;
	int			size;

	size = snprintf(scope, sizeof(scope), "%.8s/%s/%s/aws4_request",
					signing->time, signing->region, signing->service);
	if (size < 0 || (size_t) size >= sizeof(scope))
		return reef_error_set(err, REEF_INVALID, "invalid region",
							  "\"%.60s\" is too long", signing->region);
	REEF_TRY(derive_key(signing, secret_access_key, key, err));

	reef_buf_init(&canonical);
	(void) reef_buf_reserve(&canonical, 8192);	/* growing would leave copies */
	reef_buf_printf(&canonical, "%s\n%s\n%s\n", signing->method,
					signing->path, signing->query);
	for (int i = 0; i < signing->header_count; i++)
		reef_buf_printf(&canonical, "%s:%s\n", signing->headers[i].name,
						signing->headers[i].value);
	reef_buf_append_u8(&canonical, '\n');
	append_header_names(signing, &canonical);
	reef_buf_printf(&canonical, "\n%s", signing->content_sha256);
	rc = reef_buf_check(&canonical, err);
	if (rc == REEF_OK)
		rc = reef_sha256_hex(reef_buf_slice(&canonical), hex, err);
	if (canonical.data != NULL) /* a session token is among the headers */
		explicit_bzero(canonical.data, canonical.size);
	reef_buf_release(&canonical);
	if (rc != REEF_OK)
		return rc;

	snprintf(to_sign, sizeof(to_sign), "AWS4-HMAC-SHA256\n%s\n%s\n%s",
			 signing->time, scope, hex);
	REEF_TRY(hmac(key->key, SHA256_SIZE, to_sign, signature, err));
	to_hex(signature, SHA256_SIZE, hex);
	reef_buf_printf(authorization, "AWS4-HMAC-SHA256 Credential=%s/%s, "
					"SignedHeaders=", access_key_id, scope);
	append_header_names(signing, authorization);
	reef_buf_printf(authorization, ", Signature=%s", hex);
	return reef_buf_check(authorization, err);
}

void
reef_sign_time(int64_t time_us, char time[17])
{
	time_t		seconds = (time_t) (time_us / 1000000);
	struct tm	tm;

	time[0] = '\0';
	if (gmtime_r(&seconds, &tm) != NULL)
		(void) strftime(time, 17, "%Y%m%dT%H%M%SZ", &tm);
}
