/*
 * profile.h
 *	  Profiles in the shared files "credentials" and "config" (see profile.c).
 */
#ifndef REEF_STORE_PROFILE_H
#define REEF_STORE_PROFILE_H

#include "base/bytes.h"
#include "store/credentials.h"

/* What one section says; "" where it says nothing.  Has a secret: zero it. */
typedef struct ReefProfile
{
	char		access_key_id[REEF_ACCESS_KEY_SIZE];
	char		secret_access_key[REEF_SECRET_KEY_SIZE];
	char		session_token[REEF_SESSION_TOKEN_SIZE];
	char		role_arn[REEF_ROLE_ARN_SIZE];
	char		source_profile[REEF_PROFILE_NAME_SIZE];
	char		credential_source[32];
	char		web_identity_token_file[1024];
	char		role_session_name[65];
	char		external_id[1225];
	char		duration_seconds[16];
	char		region[64];
	char		mfa_serial[257];
	char		credential_process[8];	/* only whether there is one */
	char		sso_session[8]; /* the same, as the next */
	char		sso_start_url[8];
	bool		is_there;
} ReefProfile;

/*
 * The profile of that name in one file's text.  Never fails for what other
 * sections say; REEF_INVALID if a value that counts is too long, or the text
 * has a NUL.
 */
extern ReefCode reef_profile_parse(ReefSlice text, bool is_config,
								   const char *name, ReefProfile *profile,
								   ReefError *err) REEF_MUST_CHECK;

/* The same of both files, where the environment or the home directory say they
 * are; REEF_NOT_FOUND if neither has it. */
extern ReefCode reef_profile_load(const char *name, ReefProfile *profile,
								  ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_STORE_PROFILE_H */
