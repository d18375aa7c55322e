/*
 * fuzz_credentials.c
 *	  Any bytes as a file of profiles, as the keys of a metadata service and as
 *	  the answer of a security token service.
 */
#include <stdlib.h>

#include "store/credential_source.h"
#include "store/profile.h"
#include "store/s3_xml.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No input leads to the outside world. */
ReefCode
reef_http_open(const ReefHost *host, const ReefHttpOptions *options,
			   ReefHttp **http, ReefError *err)
{
	(void) host;
	(void) options;
	(void) http;
	(void) err;
	abort();
}

ReefCode
reef_http_run(ReefHttp *http, ReefHttpTransfer *transfers, int count,
			  int64_t deadline_us, bool is_cleanup, ReefError *err)
{
	(void) http;
	(void) transfers;
	(void) count;
	(void) deadline_us;
	(void) is_cleanup;
	(void) err;
	abort();
}

void
reef_http_close(ReefHttp *http)
{
	(void) http;
}

static void
check_keys(const ReefKeys *keys)
{
	if (keys->access_key_id[0] == '\0' || keys->secret_access_key[0] == '\0' ||
		strpbrk(keys->session_token, "\r\n") != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ReefSlice	bytes = reef_slice(data, size);
	ReefProfile profile;
	ReefKeys	keys;
	ReefS3Token token;
	ReefS3Fault fault;
	ReefError	err;

	reef_error_init(&err);
	for (int i = 0; i < 4; i++)
	{
		ReefCode	rc = reef_profile_parse(bytes, i % 2 == 0, i < 2 ? "default" :
											"a", &profile, &err);

		if (rc == REEF_OK && !profile.is_there &&
			(profile.access_key_id[0] != '\0' || profile.role_arn[0] != '\0'))
			abort();
		if (rc == REEF_OK &&
			reef_keys_set(&keys, profile.access_key_id,
						  profile.secret_access_key, profile.session_token,
						  "profile", &err) == REEF_OK)
			check_keys(&keys);
	}
	if (reef_metadata_read_keys(bytes, "fuzz", &keys, &err) == REEF_OK)
		check_keys(&keys);
	if (reef_s3_xml_read_token(bytes, &token, &fault, &err) == REEF_OK &&
		fault.code[0] == '\0' && token.session_token[0] == '\0')
		abort();
	return 0;
}
