/*
 * sts.c
 *	  Keys from a security token service: a role assumed with other keys, or
 *	  with the token of a web identity.
 *
 * The service is asked in the region of the bucket, so that one region's
 * trouble stays there; AWS_ENDPOINT_URL_STS names another.  A request is a
 * form whose fields are in the order of their names.  The one with a web
 * identity is not signed: the token in its body is the proof.
 *
 * Of a refusal only its code is shown: its words repeat what was sent.
 */
#include <stdio.h>
#include <stdlib.h>

#include "store/credential_source.h"
#include "store/s3_request.h"
#include "store/sign.h"

#define STS_TIMEOUT_US INT64_C(5000000)
#define TOKEN_MAX_SIZE ((size_t) 20000)
#define FORM_MAX_SIZE ((size_t) 80 * 1024)
#define FORM_TYPE "application/x-www-form-urlencoded"
#define SESSION_NAME "reef_fdw"
#define PLACE "security token service"

typedef struct Endpoint
{
	char		url[512];		/* ends with a slash */
	char		authority[256];
	char		region[64];
} Endpoint;

static ReefCode
find_endpoint(const ReefCredentialSearch *search, Endpoint *endpoint,
			  ReefError *err)
{
	const char *given = reef_environment_get("AWS_ENDPOINT_URL_STS");
	const char *region = search->region;
	const char *host;
	size_t		size;

	if (region == NULL)
		region = reef_environment_get("AWS_REGION");
	if (region == NULL)
		region = reef_environment_get("AWS_DEFAULT_REGION");
	if (region == NULL)
		region = "us-east-1";
	if (strlen(region) >= sizeof(endpoint->region) ||
		strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") !=
		strlen(region))
		return reef_error_set(err, REEF_INVALID, "invalid region",
							  "region \"%.100s\"", region);
	snprintf(endpoint->region, sizeof(endpoint->region), "%s", region);
	if (given == NULL)
		snprintf(endpoint->url, sizeof(endpoint->url),
				 "https://sts.%s.amazonaws.com%s/", region,
				 strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
	else
	{
		size = strlen(given);
		while (size > 0 && given[size - 1] == '/')
			size--;
		if (size + 2 > sizeof(endpoint->url) ||
			(strncmp(given, "http://", 7) != 0 &&
			 strncmp(given, "https://", 8) != 0))
			return reef_error_set(err, REEF_INVALID, "invalid endpoint",
								  "AWS_ENDPOINT_URL_STS must begin with https://");
		snprintf(endpoint->url, sizeof(endpoint->url), "%.*s/", (int) size,
				 given);
	}
	host = strstr(endpoint->url, "://") + 3;
	size = strcspn(host, "/");
	if (size == 0 || size >= sizeof(endpoint->authority) ||
		host[size + 1] != '\0' || strcspn(host, "@?#\\ ") != strlen(host))
		return reef_error_set(err, REEF_INVALID, "invalid endpoint",
							  "AWS_ENDPOINT_URL_STS must be http[s]://host[:port]");
	memcpy(endpoint->authority, host, size);
	endpoint->authority[size] = '\0';
	return REEF_OK;
}

static ReefCode
sign_form(const ReefCredentialSearch *search, const Endpoint *endpoint,
		  const ReefKeys *base, ReefSlice form, char time_header[32],
		  ReefBuf *authorization, ReefError *err)
{
	const ReefHost *host = search->host;
	char		time[17];
	char		sha256[REEF_SHA256_HEX_SIZE];
	bool		has_token = base->session_token[0] != '\0';
	ReefSignedHeader headers[] = {
		{"content-type", FORM_TYPE}, {"host", endpoint->authority},
		{"x-amz-date", time}, {"x-amz-security-token", base->session_token}
	};
	ReefSigning signing = {
		.method = "POST", .path = "/", .query = "", .headers = headers,
		.header_count = has_token ? 4 : 3, .content_sha256 = sha256,
		.region = endpoint->region, .service = "sts", .time = time
	};
	ReefSigningKey key = {0};
	ReefCode	rc;

	reef_sign_time(host->now_us(host->arg), time);
	snprintf(time_header, 32, "x-amz-date: %s", time);
	REEF_TRY(reef_sha256_hex(form, sha256, err));
	reef_buf_append(authorization, "Authorization: ", 15);
	rc = reef_sign(&signing, base->access_key_id, base->secret_access_key,
				   &key, authorization, err);
	explicit_bzero(&key, sizeof(key));
	if (rc != REEF_OK)
		return rc;
	reef_buf_append_u8(authorization, 0);
	return reef_buf_check(authorization, err);
}

static ReefCode
read_answer(const ReefBuf *answer, int status, const char *arn,
			ReefKeys *keys, ReefError *err)
{
	ReefS3Token token;
	ReefS3Fault fault;
	ReefCode	rc;

	rc = reef_s3_xml_read_token(reef_buf_slice(answer), &token, &fault, err);
	if (rc == REEF_OK && fault.code[0] == '\0' && status == 200)
	{
		rc = reef_keys_set(keys, token.access_key_id, token.secret_access_key,
						   token.session_token, PLACE, err);
		keys->expires_us = token.expires_us;
	}
	else if (rc == REEF_OK)
	{
		bool		is_passing = strcmp(fault.code, "Throttling") == 0 ||
			strcmp(fault.code, "IDPCommunicationError") == 0;

		rc = reef_error_set(err, is_passing ? REEF_UNAVAILABLE :
							REEF_UNAUTHENTICATED,
							"role could not be assumed",
							"role %.300s: HTTP status %d %s", arn, status,
							fault.code);
	}
	else
		rc = reef_error_set(err, REEF_UNAVAILABLE, "role could not be assumed",
							"role %.300s: HTTP status %d without an answer that could be read",
							arn, status);
	explicit_bzero(&token, sizeof(token));
	return rc;
}

/* base: NULL for a request that is not signed */
static ReefCode
ask(const ReefCredentialSearch *search, const ReefKeys *base, ReefSlice form,
	const char *arn, ReefKeys *keys, ReefError *err)
{
	Endpoint	endpoint = {0};
	char		time_header[32];
	char		token_header[REEF_SESSION_TOKEN_SIZE + 32];
	ReefCredentialRequest request = {
		.place = PLACE, .method = REEF_HTTP_POST, .url = endpoint.url,
		.headers = {"Content-Type: " FORM_TYPE}, .body = form,
		.ca_file = reef_environment_get("AWS_CA_BUNDLE"),
		.proxy = search->proxy, .timeout_us = STS_TIMEOUT_US
	};
	ReefBuf		authorization;
	ReefBuf		answer;
	int			status = 0;
	ReefCode	rc;

	REEF_TRY(find_endpoint(search, &endpoint, err));
	reef_buf_init(&authorization);
	reef_buf_init(&answer);
	rc = base == NULL ? REEF_OK :
		sign_form(search, &endpoint, base, form, time_header, &authorization,
				  err);
	if (rc == REEF_OK && base != NULL)
	{
		request.headers[1] = time_header;
		request.headers[2] = (const char *) authorization.data;
		snprintf(token_header, sizeof(token_header),
				 "x-amz-security-token: %s", base->session_token);
		if (base->session_token[0] != '\0')
			request.headers[3] = token_header;
	}
	if (rc == REEF_OK)
		rc = reef_credential_request(search, &request, &status, &answer, err);
	if (rc == REEF_OK)
		rc = read_answer(&answer, status, arn, keys, err);
	explicit_bzero(token_header, sizeof(token_header));
	reef_secret_buf_release(&authorization);
	reef_secret_buf_release(&answer);
	return rc;
}

/* Fields in the order of their names. */
static void
append_form(ReefBuf *form, const char *action, const ReefRole *role,
			const char *token)
{
	char		duration[16];

	reef_s3_query_append(form, "Action", action);
	if (role->duration_s > 0)
	{
		snprintf(duration, sizeof(duration), "%d", role->duration_s);
		reef_s3_query_append(form, "DurationSeconds", duration);
	}
	if (role->external_id != NULL)
		reef_s3_query_append(form, "ExternalId", role->external_id);
	reef_s3_query_append(form, "RoleArn", role->arn);
	reef_s3_query_append(form, "RoleSessionName", role->session_name == NULL ?
						 SESSION_NAME : role->session_name);
	reef_s3_query_append(form, "Version", "2011-06-15");
	if (token != NULL)
		reef_s3_query_append(form, "WebIdentityToken", token);
}

ReefCode
reef_sts_assume_role(const ReefCredentialSearch *search, const ReefKeys *base,
					 const ReefRole *role, ReefKeys *keys, ReefError *err)
{
	ReefBuf		form;
	ReefCode	rc;

	reef_buf_init(&form);
	append_form(&form, "AssumeRole", role, NULL);
	rc = reef_buf_check(&form, err);
	if (rc == REEF_OK)
		rc = ask(search, base, reef_buf_slice(&form), role->arn, keys, err);
	reef_buf_release(&form);
	return rc;
}

ReefCode
reef_sts_web_identity(const ReefCredentialSearch *search,
					  const ReefRole *role, const char *token_file,
					  ReefKeys *keys, ReefError *err)
{
	ReefBuf		token;
	ReefBuf		form;
	ReefCode	rc;

	reef_buf_init(&token);
	reef_buf_init(&form);
	/* A token of any bytes grows to three times its size in a form. */
	rc = reef_buf_reserve(&form, FORM_MAX_SIZE) == NULL ?
		reef_error_no_memory(err, FORM_MAX_SIZE) :
		reef_secret_file_read(token_file, TOKEN_MAX_SIZE, &token, err);
	if (rc == REEF_NOT_FOUND)
		rc = reef_error_set(err, REEF_UNAUTHENTICATED,
							"token of the web identity cannot be read",
							"file %.300s does not exist", token_file);
	while (token.size > 0 && token.data[token.size - 1] <= ' ')
		token.size--;
	if (rc == REEF_OK && (token.size == 0 ||
						  memchr(token.data, '\0', token.size) != NULL))
		rc = reef_error_set(err, REEF_UNAUTHENTICATED,
							"token of the web identity cannot be read",
							"file %.300s has none", token_file);
	if (rc == REEF_OK)
	{
		reef_buf_append_u8(&token, 0);
		append_form(&form, "AssumeRoleWithWebIdentity", role,
					(const char *) token.data);
		rc = reef_buf_check(&form, err);
	}
	if (rc == REEF_OK)
		rc = ask(search, NULL, reef_buf_slice(&form), role->arn, keys, err);
	reef_secret_buf_release(&token);
	reef_secret_buf_release(&form);
	return rc;
}
