/*
 * store_spec.h
 *	  How a store is opened, as whom, and who else may know (see store_spec.c).
 */
#ifndef REEF_PG_STORE_SPEC_H
#define REEF_PG_STORE_SPEC_H

#include "postgres.h"

#include "pg/reef_fdw.h"
#include "store/store.h"

#define REEFPG_ENDPOINT_SIZE 320
#define REEFPG_REGION_SIZE 64
#define REEFPG_ACCESS_KEY_SIZE REEF_ACCESS_KEY_SIZE
#define REEFPG_SECRET_SIZE REEF_SECRET_KEY_SIZE
#define REEFPG_TOKEN_SIZE REEF_SESSION_TOKEN_SIZE
#define REEFPG_IDENTITY_SIZE 16

/*
 * Everything that a store is opened with, the reef.* defaults applied.  Flat,
 * so that it can lie in shared memory, and padded with zeros, so that memcmp
 * tells two apart.  Holds secrets: zero it with explicit_bzero.
 */
typedef struct ReefPgStoreSpec
{
	char		location[1024];
	char		endpoint[REEFPG_ENDPOINT_SIZE]; /* this and the next: "": none */
	char		region[REEFPG_REGION_SIZE];
	char		ca_file[MAXPGPATH];
	char		proxy[REEFPG_ENDPOINT_SIZE];
	int			path_style;		/* ReefPathStyle */
	int			connect_timeout_ms; /* 0: the store's default */
	int			request_timeout_ms;
	int			max_retries;
	int			credential_source;	/* ReefCredentialSource */
	bool		read_only;
	bool		allow_metadata;
	uint32		server_hash;	/* of the catalog entries that it is from; 0: */
	uint32		mapping_hash;	/* there is none */
	char		profile[REEF_PROFILE_NAME_SIZE];	/* "": none, as the next */
	char		role_arn[REEF_ROLE_ARN_SIZE];
	char		access_key_id[REEFPG_ACCESS_KEY_SIZE];
	char		secret_access_key[REEFPG_SECRET_SIZE];
	char		session_token[REEFPG_TOKEN_SIZE];
} ReefPgStoreSpec;

struct ReefPgEntry;

/*
 * What a server's options and the user's mapping say.  ereports if the user
 * has no credentials where they are needed, or the server's owner may not name
 * its endpoint; with "missing_ok" returns false instead.
 */
extern bool reefpg_spec_load(const ReefPgServer *server,
							 ReefPgStoreSpec *spec, bool missing_ok);
/* ereport what is wrong with a server's options for a bucket, and whether the
 * current user may name its endpoint. */
extern void reefpg_spec_check_server(List *options);
extern ReefCode reefpg_spec_open(const ReefPgStoreSpec *spec,
								 ReefStore **store, ReefError *err)
			REEF_MUST_CHECK;
/* A digest of where and as whom; all zeros for a directory. */
extern void reefpg_spec_identity(const ReefPgStoreSpec *spec,
								 uint8 identity[REEFPG_IDENTITY_SIZE]);

/* ---- the shared area ---- */

extern Size reefpg_spec_shared_size(void);
extern void reefpg_spec_shared_init(void);

/* Leave it to the workers, unless they have one for this entry.  The caller is
 * a user of the entry. */
extern void reefpg_spec_leave(struct ReefPgEntry *entry,
							  const ReefPgStoreSpec *spec);
/* What somebody has left for this entry, copied; false: nothing. */
extern bool reefpg_spec_take(struct ReefPgEntry *entry,
							 ReefPgStoreSpec *spec);
/* Zero the credentials of what has been unused for an hour and has nothing
 * left to fold. */
extern void reefpg_spec_expire(void);
/* Zero those that come from a catalog entry (0: from any). */
extern void reefpg_spec_forget(uint32 hash);

#endif							/* REEF_PG_STORE_SPEC_H */
