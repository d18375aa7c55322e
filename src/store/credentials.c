/*
 * credentials.c
 *	  The keys that requests are signed with, from where a cloud's tools look
 *	  for them, renewed before they expire.
 *
 * A place that is not set up is passed over; one that is, and fails, ends the
 * search, because to go on would mean to act as somebody else than the
 * administrator had in mind.
 *
 * Keys that expire are renewed some minutes before, each process at a moment
 * of its own; those that do not are looked for again from time to time, for
 * files change.  While the old ones are good a failed renewal is only logged
 * and tried again later.  Processes do not share keys: memory that all of them
 * see is not where a server's identity should be.
 *
 * No message has a key, a token or an answer's text in it.
 */
#include "store/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/credential_source.h"
#include "store/profile.h"

#define SECOND_US INT64_C(1000000)
#define RENEW_BEFORE_US (300 * SECOND_US)
#define RENEW_JITTER_US (60 * SECOND_US)
#define RELOAD_AFTER_US (300 * SECOND_US)
#define RETRY_AFTER_US (30 * SECOND_US)
#define DISTRUST_US (5 * SECOND_US)
/* Shorter while the old keys are good, for a commit may be waiting. */
#define SEARCH_TIME_US (12 * SECOND_US)
#define RENEWAL_TIME_US (4 * SECOND_US)
#define PROFILE_DEPTH_MAX 5

struct ReefCredentials
{
	ReefCredentials *next;
	int			users;
	const ReefHost *host;
	ReefCredentialSource source;
	char		profile[REEF_PROFILE_NAME_SIZE];	/* "": not given, as the next */
	char		role_arn[REEF_ROLE_ARN_SIZE];
	char		region[64];
	char		proxy[512];
	ReefKeys	given;

	ReefKeys	keys;
	bool		has_keys;
	uint64_t	version;
	int64_t		renew_us;		/* look again from then on */
	int64_t		found_us;
};

static ReefCredentials *all = NULL;

/* ---- what the sources share ---- */

const char *
reef_environment_get(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

/* Keys end up in headers. */
static bool
copy_key(char *to, size_t size, const char *from)
{
	size_t		length = from == NULL ? 0 : strlen(from);

	if (length >= size)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		if (from[i] < '!' || from[i] > '~')
			return false;
	}
	memcpy(to, from == NULL ? "" : from, length + 1);
	return true;
}

ReefCode
reef_keys_set(ReefKeys *keys, const char *access_key_id,
			  const char *secret_access_key, const char *token,
			  const char *place, ReefError *err)
{
	explicit_bzero(keys, sizeof(*keys));
	if (copy_key(keys->access_key_id, sizeof(keys->access_key_id),
				 access_key_id) &&
		copy_key(keys->secret_access_key, sizeof(keys->secret_access_key),
				 secret_access_key) &&
		copy_key(keys->session_token, sizeof(keys->session_token), token) &&
		keys->access_key_id[0] != '\0' && keys->secret_access_key[0] != '\0')
		return REEF_OK;
	explicit_bzero(keys, sizeof(*keys));
	return reef_error_set(err, REEF_UNAUTHENTICATED, "invalid credentials",
						  "%s: one of them is missing, too long, or has a character that no key has",
						  place);
}

ReefCode
reef_secret_file_read(const char *path, size_t max, ReefBuf *out,
					  ReefError *err)
{
	/* a pipe must not make us wait */
	int			fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	size_t		start = out->size;
	ReefCode	rc = REEF_OK;

	if (fd < 0)
		return reef_error_set_errno(err, errno == ENOENT || errno == ENOTDIR ?
									REEF_NOT_FOUND : REEF_UNAUTHENTICATED,
									errno, "could not open file", "file %.300s",
									path);
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		rc = reef_error_set(err, REEF_UNAUTHENTICATED, "could not read file",
							"%.300s is no file", path);
	else if (reef_buf_reserve(out, max + 1) == NULL)
		rc = reef_error_no_memory(err, max);
	while (rc == REEF_OK && out->size - start <= max)
	{
		ssize_t		size = read(fd, out->data + out->size,
								max + 1 - (out->size - start));

		if (size == 0)
			break;
		if (size > 0)
			out->size += (size_t) size;
		else if (errno != EINTR)
			rc = reef_error_set_errno(err, REEF_UNAUTHENTICATED, errno,
									  "could not read file", "file %.300s",
									  path);
	}
	if (rc == REEF_OK && out->size - start > max)
		rc = reef_error_set(err, REEF_UNAUTHENTICATED, "could not read file",
							"file %.300s has more than %zu bytes", path, max);
	(void) close(fd);
	return rc;
}

void
reef_secret_buf_release(ReefBuf *buf)
{
	if (buf->data != NULL)
		explicit_bzero(buf->data, buf->capacity);
	reef_buf_release(buf);
}

/* ---- the environment ---- */

static ReefCode
find_in_environment(ReefKeys *keys, ReefError *err)
{
	const char *id = reef_environment_get("AWS_ACCESS_KEY_ID");
	const char *secret = reef_environment_get("AWS_SECRET_ACCESS_KEY");

	if (id == NULL && secret == NULL)
		return reef_error_set(err, REEF_NOT_FOUND,
							  "no credentials in the environment",
							  "AWS_ACCESS_KEY_ID is not set");
	return reef_keys_set(keys, id, secret,
						 reef_environment_get("AWS_SESSION_TOKEN"),
						 "environment", err);
}

static ReefCode
find_web_identity(const ReefCredentials *credentials,
				  const ReefCredentialSearch *search, ReefKeys *keys,
				  ReefError *err)
{
	const char *file = reef_environment_get("AWS_WEB_IDENTITY_TOKEN_FILE");
	ReefRole	role = {
		.arn = reef_environment_get("AWS_ROLE_ARN"),
		.session_name = reef_environment_get("AWS_ROLE_SESSION_NAME")
	};

	/* Of this source the option is the role itself, not one more. */
	if (credentials->source == REEF_CREDENTIAL_WEB_IDENTITY &&
		credentials->role_arn[0] != '\0')
		role.arn = credentials->role_arn;
	if (file == NULL || role.arn == NULL)
		return reef_error_set(err, REEF_NOT_FOUND,
							  "no web identity in the environment",
							  "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN are not both set");
	return reef_sts_web_identity(search, &role, file, keys, err);
}

/* ---- profiles ---- */

static ReefCode resolve_profile(const ReefCredentialSearch *search,
								const char *name, int depth, ReefKeys *keys,
								ReefError *err);

static ReefCode
invalid_profile(ReefError *err, const char *name, const char *fault)
{
	return reef_error_set(err, REEF_UNAUTHENTICATED,
						  "invalid profile of credentials",
						  "profile %.128s: %s", name, fault);
}

static ReefCode
profile_keys(const ReefProfile *profile, const char *name, ReefKeys *keys,
			 ReefError *err)
{
	if (reef_keys_set(keys, profile->access_key_id,
					  profile->secret_access_key, profile->session_token,
					  "profile", err) != REEF_OK)
		return reef_error_add(err, "in profile %.128s", name);
	return REEF_OK;
}

/* The keys that a profile's role is assumed with. */
static ReefCode
profile_base(const ReefCredentialSearch *search, const ReefProfile *profile,
			 const char *name, int depth, ReefKeys *keys, ReefError *err)
{
	const char *source = profile->credential_source;
	ReefCode	rc;

	if (strcmp(profile->source_profile, name) == 0)
		return profile_keys(profile, name, keys, err);
	if (profile->source_profile[0] != '\0')
		rc = resolve_profile(search, profile->source_profile, depth + 1, keys,
							 err);
	else if (strcmp(source, "Environment") == 0)
		rc = find_in_environment(keys, err);
	else if (strcmp(source, "Ec2InstanceMetadata") == 0)
		rc = reef_imds_find(search, keys, err);
	else if (strcmp(source, "EcsContainer") == 0)
		rc = reef_container_find(search, keys, err);
	else
		return invalid_profile(err, name, "a role without source_profile or a known credential_source");
	/* The profile has been found; what it leads to has not. */
	if (rc == REEF_NOT_FOUND)
		rc = err->code = REEF_UNAUTHENTICATED;
	return rc;
}

static ReefCode
assume_profile_role(const ReefCredentialSearch *search,
					const ReefProfile *profile, const char *name, int depth,
					ReefKeys *keys, ReefError *err)
{
	ReefCredentialSearch here = *search;
	ReefRole	role = {
		.arn = profile->role_arn,
		.session_name = profile->role_session_name[0] == '\0' ? NULL :
		profile->role_session_name,
		.external_id = profile->external_id[0] == '\0' ? NULL :
		profile->external_id,
		.duration_s = atoi(profile->duration_seconds)
	};
	ReefKeys	base;
	ReefCode	rc;

	if (here.region == NULL && profile->region[0] != '\0')
		here.region = profile->region;
	if (profile->mfa_serial[0] != '\0')
		return invalid_profile(err, name, "a role that wants a code from a device is not supported");
	if (profile->web_identity_token_file[0] != '\0')
		return reef_sts_web_identity(&here, &role,
									 profile->web_identity_token_file, keys,
									 err);
	memset(&base, 0, sizeof(base));
	rc = profile_base(search, profile, name, depth, &base, err);
	if (rc == REEF_OK)
		rc = reef_sts_assume_role(&here, &base, &role, keys, err);
	explicit_bzero(&base, sizeof(base));
	return rc;
}

/* A role counts before keys in the profile that was asked for, and after them
 * in those that it leads to. */
static ReefCode
resolve_profile(const ReefCredentialSearch *search, const char *name,
				int depth, ReefKeys *keys, ReefError *err)
{
	ReefProfile profile;
	bool		has_keys;
	ReefCode	rc;

	if (depth > PROFILE_DEPTH_MAX)
		return invalid_profile(err, name, "profiles lead to each other in a circle, or are too many");
	REEF_TRY(reef_profile_load(name, &profile, err));
	has_keys = profile.access_key_id[0] != '\0' ||
		profile.secret_access_key[0] != '\0';
	if (profile.role_arn[0] != '\0' && (depth == 0 || !has_keys))
		rc = assume_profile_role(search, &profile, name, depth, keys, err);
	else if (has_keys)
		rc = profile_keys(&profile, name, keys, err);
	else if (profile.credential_process[0] != '\0' ||
			 profile.sso_session[0] != '\0' ||
			 profile.sso_start_url[0] != '\0')
		rc = invalid_profile(err, name, "neither programs that print keys nor single sign-on are supported");
	else
		rc = reef_error_set(err, REEF_NOT_FOUND, "profile has no credentials",
							"profile %.128s", name);
	explicit_bzero(&profile, sizeof(profile));
	return rc;
}

static ReefCode
find_profile(const ReefCredentials *credentials,
			 const ReefCredentialSearch *search, ReefKeys *keys,
			 ReefError *err)
{
	const char *name = credentials->profile;

	if (name[0] == '\0')
		name = reef_environment_get("AWS_PROFILE");
	if (name == NULL)
		name = "default";
	return resolve_profile(search, name, 0, keys, err);
}

/* ---- the search ---- */

static ReefCode
search_one(const ReefCredentials *credentials, ReefCredentialSource source,
		   const ReefCredentialSearch *search, ReefKeys *keys, ReefError *err)
{
	switch (source)
	{
		case REEF_CREDENTIAL_GIVEN:
			*keys = credentials->given;
			if (keys->access_key_id[0] != '\0')
				return REEF_OK;
			return reef_error_set(err, REEF_NOT_FOUND,
								  "no credentials to assume the role with",
								  "role %.300s", credentials->role_arn);
		case REEF_CREDENTIAL_ENV:
			return find_in_environment(keys, err);
		case REEF_CREDENTIAL_PROFILE:
			return find_profile(credentials, search, keys, err);
		case REEF_CREDENTIAL_CONTAINER:
			return reef_container_find(search, keys, err);
		case REEF_CREDENTIAL_IMDS:
			return reef_imds_find(search, keys, err);
		case REEF_CREDENTIAL_WEB_IDENTITY:
			return find_web_identity(credentials, search, keys, err);
		case REEF_CREDENTIAL_CHAIN:
			break;
	}
	return reef_error_set(err, REEF_BUG, "unknown source of credentials",
						  NULL);
}

static ReefCode
search_chain(const ReefCredentials *credentials,
			 const ReefCredentialSearch *search, ReefKeys *keys,
			 ReefError *err)
{
	static const ReefCredentialSource order[] = {
		REEF_CREDENTIAL_ENV, REEF_CREDENTIAL_WEB_IDENTITY,
		REEF_CREDENTIAL_PROFILE, REEF_CREDENTIAL_CONTAINER,
		REEF_CREDENTIAL_IMDS
	};
	char		passed[400] = "";

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
	{
		size_t		size = strlen(passed);
		ReefCode	rc = search_one(credentials, order[i], search, keys, err);

		/* Outside a cloud nobody answers. */
		if (rc == REEF_UNAVAILABLE && order[i] == REEF_CREDENTIAL_IMDS)
			rc = REEF_NOT_FOUND;
		/* A profile that was asked for by name must be there. */
		if (rc != REEF_NOT_FOUND || (order[i] == REEF_CREDENTIAL_PROFILE &&
									 credentials->profile[0] != '\0'))
			return rc;
		snprintf(passed + size, sizeof(passed) - size, "%s%.75s",
				 size == 0 ? "" : "; ", order[i] == REEF_CREDENTIAL_IMDS ?
				 err->detail : err->message);
	}
	return reef_error_set(err, REEF_NOT_FOUND, "no credentials were found",
						  "%s", passed);
}

static ReefCode
search_keys(const ReefCredentials *credentials, int64_t deadline_us,
			ReefKeys *keys, ReefError *err)
{
	ReefCredentialSearch search = {
		.host = credentials->host, .deadline_us = deadline_us,
		.region = credentials->region[0] == '\0' ? NULL : credentials->region,
		.proxy = credentials->proxy[0] == '\0' ? NULL : credentials->proxy
	};
	ReefRole	role = {.arn = credentials->role_arn};
	ReefKeys	base;
	ReefCode	rc;

	memset(&base, 0, sizeof(base));
	if (credentials->source == REEF_CREDENTIAL_CHAIN)
		rc = search_chain(credentials, &search, &base, err);
	else
		rc = search_one(credentials, credentials->source, &search, &base, err);
	if (rc == REEF_NOT_FOUND)
		rc = err->code = REEF_UNAUTHENTICATED;
	if (rc == REEF_OK && credentials->role_arn[0] != '\0' &&
		credentials->source != REEF_CREDENTIAL_WEB_IDENTITY)
		rc = reef_sts_assume_role(&search, &base, &role, keys, err);
	else if (rc == REEF_OK)
		*keys = base;
	explicit_bzero(&base, sizeof(base));
	return rc;
}

static int64_t
jitter(const ReefHost *host, int64_t range_us)
{
	uint32_t	bits;

	host->random(host->arg, &bits, sizeof(bits));
	return (int64_t) ((uint64_t) range_us * bits >> 32);
}

/* Half of what is left, of keys that live too short for the usual margin. */
static int64_t
renewal_time(const ReefHost *host, int64_t now_us, int64_t expires_us)
{
	int64_t		margin_us = RENEW_BEFORE_US + jitter(host, RENEW_JITTER_US);

	if (expires_us == 0)
		return now_us + RELOAD_AFTER_US + jitter(host, RENEW_JITTER_US);
	if (margin_us > (expires_us - now_us) / 2)
		margin_us = (expires_us - now_us) / 2;
	return expires_us - margin_us;
}

static bool
is_good(const ReefCredentials *credentials, int64_t now_us)
{
	return credentials->has_keys && (credentials->keys.expires_us == 0 ||
									 now_us < credentials->keys.expires_us);
}

static void
take_keys(ReefCredentials *credentials, const ReefKeys *keys, int64_t now_us)
{
	if (!credentials->has_keys ||
		memcmp(&credentials->keys, keys, sizeof(*keys)) != 0)
		credentials->version++;
	credentials->keys = *keys;
	credentials->has_keys = true;
	credentials->found_us = now_us;
	credentials->renew_us = renewal_time(credentials->host, now_us,
										 keys->expires_us);
}

ReefCode
reef_credentials_get(ReefCredentials *credentials, int64_t deadline_us,
					 const ReefKeys **keys, uint64_t *version, ReefError *err)
{
	const ReefHost *host = credentials->host;
	int64_t		now_us = host->now_us(host->arg);
	ReefCode	rc = REEF_OK;

	if (!is_good(credentials, now_us) || now_us >= credentials->renew_us)
	{
		bool		was_good = is_good(credentials, now_us);
		int64_t		end_us = now_us +
			(was_good ? RENEWAL_TIME_US : SEARCH_TIME_US);
		ReefKeys	fresh;

		if (deadline_us != 0 && deadline_us < end_us)
			end_us = deadline_us;
		memset(&fresh, 0, sizeof(fresh));
		rc = search_keys(credentials, end_us, &fresh, err);
		now_us = host->now_us(host->arg);
		if (rc == REEF_OK && fresh.expires_us != 0 &&
			fresh.expires_us <= now_us)
			rc = reef_error_set(err, REEF_UNAUTHENTICATED,
								"credentials have expired",
								"those that were found expired %lld s ago",
								(long long) (now_us - fresh.expires_us) /
								SECOND_US);
		if (rc == REEF_OK)
			take_keys(credentials, &fresh, now_us);
		else if (is_good(credentials, now_us))
		{
			char		line[1100];

			if (rc != REEF_CANCELLED)
			{
				credentials->renew_us = now_us + RETRY_AFTER_US +
					jitter(host, RETRY_AFTER_US);
				snprintf(line, sizeof(line),
						 "could not renew credentials: %s (%s)", err->message,
						 err->detail);
				host->log(host->arg, REEF_LOG_WARNING, line);
			}
			reef_error_init(err);
			rc = REEF_OK;
		}
		explicit_bzero(&fresh, sizeof(fresh));
	}
	*keys = &credentials->keys;
	*version = credentials->version;
	return rc;
}

void
reef_credentials_distrust(ReefCredentials *credentials)
{
	/* Not at every request, if what is found stays wrong. */
	if (credentials->renew_us > credentials->found_us + DISTRUST_US)
		credentials->renew_us = credentials->found_us + DISTRUST_US;
}

/* ---- opening ---- */

static bool
copy_text(char *to, size_t size, const char *from)
{
	if (from != NULL && strlen(from) >= size)
		return false;
	if (from != NULL)
		memcpy(to, from, strlen(from) + 1);
	return true;
}

static bool
is_role(const char *arn)
{
	if (strncmp(arn, "arn:", 4) != 0 || strstr(arn, ":role/") == NULL)
		return false;
	for (; *arn != '\0'; arn++)
	{
		if (*arn <= ' ' || *arn > '~')
			return false;
	}
	return true;
}

static ReefCode
copy_options(ReefCredentials *credentials,
			 const ReefCredentialOptions *options, ReefError *err)
{
	credentials->source = options->source;
	if (options->given != NULL)
		credentials->given = *options->given;
	if (options->profile != NULL &&
		options->source != REEF_CREDENTIAL_PROFILE &&
		options->source != REEF_CREDENTIAL_CHAIN)
		return reef_error_set(err, REEF_INVALID,
							  "invalid source of credentials",
							  "a profile is for the sources \"profile\" and \"chain\" only");
	if (options->role_arn != NULL && !is_role(options->role_arn))
		return reef_error_set(err, REEF_INVALID, "invalid role",
							  "role \"%.300s\": it is like arn:aws:iam::123456789012:role/name",
							  options->role_arn);
	if (copy_text(credentials->profile, sizeof(credentials->profile),
				  options->profile) &&
		copy_text(credentials->role_arn, sizeof(credentials->role_arn),
				  options->role_arn) &&
		copy_text(credentials->region, sizeof(credentials->region),
				  options->region) &&
		copy_text(credentials->proxy, sizeof(credentials->proxy),
				  options->proxy))
		return REEF_OK;
	return reef_error_set(err, REEF_INVALID, "invalid source of credentials",
						  "one of its options is too long");
}

static bool
is_same(const ReefCredentials *a, const ReefCredentials *b)
{
	return a->host == b->host && a->source == b->source &&
		strcmp(a->profile, b->profile) == 0 &&
		strcmp(a->role_arn, b->role_arn) == 0 &&
		strcmp(a->region, b->region) == 0 &&
		strcmp(a->proxy, b->proxy) == 0 &&
		strcmp(a->given.access_key_id, b->given.access_key_id) == 0 &&
		strcmp(a->given.secret_access_key, b->given.secret_access_key) == 0 &&
		strcmp(a->given.session_token, b->given.session_token) == 0;
}

static void
free_credentials(ReefCredentials *credentials)
{
	explicit_bzero(credentials, sizeof(*credentials));
	free(credentials);
}

ReefCode
reef_credentials_open(const ReefHost *host,
					  const ReefCredentialOptions *options,
					  ReefCredentials **credentials, ReefError *err)
{
	ReefCredentials *fresh = calloc(1, sizeof(*fresh));
	ReefCode	rc;

	if (fresh == NULL)
		return reef_error_no_memory(err, sizeof(*fresh));
	fresh->host = host;
	rc = copy_options(fresh, options, err);
	if (rc != REEF_OK)
	{
		free_credentials(fresh);
		return rc;
	}
	for (ReefCredentials *known = all; known != NULL; known = known->next)
	{
		if (!is_same(known, fresh))
			continue;
		free_credentials(fresh);
		known->users++;
		*credentials = known;
		return REEF_OK;
	}
	fresh->users = 1;
	fresh->next = all;
	all = fresh;
	*credentials = fresh;
	return REEF_OK;
}

void
reef_credentials_close(ReefCredentials *credentials)
{
	ReefCredentials **link = &all;

	if (credentials == NULL || --credentials->users > 0)
		return;
	while (*link != credentials)
		link = &(*link)->next;
	*link = credentials->next;
	free_credentials(credentials);
}
