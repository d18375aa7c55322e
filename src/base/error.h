/*
 * error.h
 *	  How everything below pg/ reports failure: a code chosen by what the caller
 *	  should do, and a message that names the object.
 *
 * Every fallible function returns ReefCode and takes `ReefError *err` last.
 * The caller owns the ReefError; it has a fixed size, so that reporting an
 * exhausted memory allocates nothing.  A message is set once, where the
 * failure is found (reef_error_set); a layer above adds to it only when it
 * knows a fact that the layer below did not (reef_error_add).  Nobody parses
 * message text.  pg/report.c is the only place that turns a code into a
 * SQLSTATE.
 */
#ifndef REEF_BASE_ERROR_H
#define REEF_BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

#define REEF_MUST_CHECK __attribute__((warn_unused_result))
#define REEF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

typedef enum ReefCode
{
	REEF_OK = 0,
	REEF_NOT_FOUND,			/* expected absence; callers usually handle it */
	REEF_CONFLICT,			/* somebody else won: re-read, then retry or give up */
	REEF_KEY_EXISTS,		/* a key that must be absent is there */
	REEF_FENCED,			/* another writer took the namespace over; nothing
							 * of ours happened: reopen, then retry */
	REEF_UNAVAILABLE,		/* store or network kept failing; nothing happened */
	REEF_UNREACHABLE,		/* no connection could be made at all */
	REEF_THROTTLED,			/* the store asked for less, beyond our retries */
	REEF_UNCERTAIN,			/* the request may or may not have taken effect */
	REEF_CANCELLED,			/* the host asked us to stop */
	REEF_DENIED,			/* permissions */
	REEF_UNAUTHENTICATED,	/* credentials are missing, wrong or expired */
	REEF_READ_ONLY,			/* this attachment may not write */
	REEF_NO_SPACE,			/* the store or its disk is full */
	REEF_INVALID,			/* the caller's argument or option is wrong */
	REEF_TYPE_MISMATCH,		/* a column's type differs from what is stored */
	REEF_COLUMN_MISMATCH,	/* a key or column is not what is stored */
	REEF_UNSUPPORTED,		/* well formed, but newer than we are, or not built */
	REEF_CORRUPT,			/* stored bytes contradict format, checksum or name */
	REEF_SNAPSHOT_TOO_OLD,	/* what a snapshot needs has been given up */
	REEF_LIMIT,				/* a documented limit was exceeded */
	REEF_NO_MEMORY,
	REEF_BUG				/* an invariant of ours is broken */
} ReefCode;

typedef struct ReefError
{
	ReefCode	code;
	int			os_errno;		/* 0 if none */
	int			http_status;	/* 0 if none */
	int			retry_after_ms; /* what a store asked for; 0 if nothing */
	char		message[200];	/* primary text: lower case, no period */
	char		detail[800];	/* innermost cause first, then "; while ..." */
} ReefError;

/* Start with no error. */
extern void reef_error_init(ReefError *err);

/*
 * Record a failure and return its code, so that callers can write
 * `return reef_error_set(...)`.  "detail" may be NULL.
 */
extern ReefCode reef_error_set(ReefError *err, ReefCode code,
							   const char *message, const char *detail,
							   ...) REEF_PRINTF(4, 5);

/* As reef_error_set, keeping errno and appending its text to the detail. */
extern ReefCode reef_error_set_errno(ReefError *err, ReefCode code,
									 int os_errno, const char *message,
									 const char *detail, ...)
			REEF_PRINTF(5, 6);

/* Add a fact known one layer up; returns err->code. */
extern ReefCode reef_error_add(ReefError *err, const char *fact, ...)
			REEF_PRINTF(2, 3);

/* "out of memory" without allocating; size in bytes. */
extern ReefCode reef_error_no_memory(ReefError *err, size_t size);

/* A stable name such as "REEF_CORRUPT", for logs and tests. */
extern const char *reef_code_name(ReefCode code);

#define REEF_TRY(expr) \
	do { \
		ReefCode	reef_try_rc_ = (expr); \
		if (reef_try_rc_ != REEF_OK) \
			return reef_try_rc_; \
	} while (0)

#endif							/* REEF_BASE_ERROR_H */
