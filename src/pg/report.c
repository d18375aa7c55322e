/*
 * report.c
 *	  Turns the engine's errors into PostgreSQL's.
 *
 * This is the one table of SQLSTATEs.  A code says what the caller can do
 * about a failure; the SQLSTATE says the same to a driver: 40001 may be
 * retried, 08007 never blindly.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "pg/reef_fdw.h"

int
reefpg_sqlstate(ReefCode code)
{
	switch (code)
	{
		case REEF_OK:
			return ERRCODE_SUCCESSFUL_COMPLETION;
		case REEF_NOT_FOUND:
			return ERRCODE_FDW_TABLE_NOT_FOUND;
		case REEF_CONFLICT:
		case REEF_FENCED:
			return ERRCODE_T_R_SERIALIZATION_FAILURE;
		case REEF_KEY_EXISTS:
			return ERRCODE_UNIQUE_VIOLATION;
		case REEF_UNAVAILABLE:
			return ERRCODE_CONNECTION_FAILURE;
		case REEF_UNREACHABLE:
			return ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
		case REEF_THROTTLED:
			return ERRCODE_INSUFFICIENT_RESOURCES;
		case REEF_UNCERTAIN:
			return ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN;
		case REEF_CANCELLED:
			return ERRCODE_QUERY_CANCELED;
		case REEF_DENIED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case REEF_UNAUTHENTICATED:
			return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		case REEF_READ_ONLY:
			return ERRCODE_READ_ONLY_SQL_TRANSACTION;
		case REEF_NO_SPACE:
			return ERRCODE_DISK_FULL;
		case REEF_INVALID:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case REEF_TYPE_MISMATCH:
			return ERRCODE_FDW_INVALID_DATA_TYPE;
		case REEF_COLUMN_MISMATCH:
			return ERRCODE_FDW_INVALID_COLUMN_NAME;
		case REEF_UNSUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case REEF_CORRUPT:
			return ERRCODE_DATA_CORRUPTED;
		case REEF_SNAPSHOT_TOO_OLD:
			/* its name left PostgreSQL in 17, the code stays ours */
			return MAKE_SQLSTATE('7', '2', '0', '0', '0');
		case REEF_LIMIT:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case REEF_NO_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case REEF_BUG:
			return ERRCODE_INTERNAL_ERROR;
	}
	return ERRCODE_INTERNAL_ERROR;
}

static const char *
hint_of(ReefCode code)
{
	switch (code)
	{
		case REEF_FENCED:
			return "The table was written by another server. Retry the transaction.";
		case REEF_CONFLICT:
			return "Retry the transaction.";
		case REEF_UNCERTAIN:
			return "Look whether the transaction's rows are there before you repeat it.";
		case REEF_SNAPSHOT_TOO_OLD:
			return "Use a newer snapshot, or raise reef.memtable_size.";
		case REEF_CORRUPT:
			return "reef_verify() says what is damaged or missing. reef_repair(), or reef_rebuild() if it is the manifests, makes the table whole of what is left.";
		case REEF_UNSUPPORTED:
		case REEF_OK:
		case REEF_NOT_FOUND:
		case REEF_KEY_EXISTS:
		case REEF_UNAVAILABLE:
		case REEF_UNREACHABLE:
		case REEF_THROTTLED:
		case REEF_CANCELLED:
		case REEF_DENIED:
		case REEF_UNAUTHENTICATED:
		case REEF_READ_ONLY:
		case REEF_NO_SPACE:
		case REEF_INVALID:
		case REEF_TYPE_MISMATCH:
		case REEF_COLUMN_MISMATCH:
		case REEF_LIMIT:
		case REEF_NO_MEMORY:
		case REEF_BUG:
			return NULL;
	}
	return NULL;
}

void
reefpg_report(const ReefError *err, const char *relation)
{
	const char *hint = hint_of(err->code);

	/* If it was a cancel, PostgreSQL knows best how to call it. */
	if (err->code == REEF_CANCELLED)
		CHECK_FOR_INTERRUPTS();
	ereport(ERROR,
			(errcode(reefpg_sqlstate(err->code)),
			 errmsg("%s", err->message[0] ? err->message :
					reef_code_name(err->code)),
			 err->detail[0] ? errdetail("%s", err->detail) : 0,
			 hint ? errhint("%s", hint) : 0,
			 relation ? err_generic_string(PG_DIAG_TABLE_NAME, relation) : 0));
}
