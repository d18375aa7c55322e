/*
 * error.c
 *	  Filling in ReefError.
 *
 * Text goes into fixed arrays and may be cut.  A cut falls between UTF-8
 * characters, never inside one, because the text ends up on a client's
 * connection, and PostgreSQL would complain about the broken character instead
 * of showing the message.
 */
#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * "text" was cut to fill its array: drop an incomplete last character.  At
 * most three bytes can belong to one; text that is not UTF-8 stays as it is.
 */
static void
trim_partial_character(char *text)
{
	size_t		size = strlen(text);
	size_t		start = size;
	size_t		want = 1;
	unsigned char lead;

	while (start > 0 && size - start < 3 &&
		   ((unsigned char) text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return;
	lead = (unsigned char) text[start - 1];
	if (lead >= 0xf0)
		want = 4;
	else if (lead >= 0xe0)
		want = 3;
	else if (lead >= 0xc0)
		want = 2;
	if (want > size - start + 1)
		text[start - 1] = '\0';
}

/* Append to a NUL-terminated string in an array of "capacity" bytes. */
static void append_text(char *text, size_t capacity, const char *format,
						va_list args) REEF_PRINTF(3, 0);

static void
append_text(char *text, size_t capacity, const char *format, va_list args)
{
	size_t		used = strlen(text);
	int			needed;

	needed = vsnprintf(text + used, capacity - used, format, args);
	if (needed < 0)
		text[used] = '\0';
	else if ((size_t) needed >= capacity - used)
		trim_partial_character(text);
}

static void append_detail(ReefError *err, const char *format, ...)
			REEF_PRINTF(2, 3);

static void
append_detail(ReefError *err, const char *format, ...)
{
	va_list		args;

	va_start(args, format);
	append_text(err->detail, sizeof(err->detail), format, args);
	va_end(args);
}

static void
set_code_and_message(ReefError *err, ReefCode code, const char *message)
{
	assert(code != REEF_OK);
	reef_error_init(err);
	err->code = code;
	strncpy(err->message, message, sizeof(err->message) - 1);
	if (strlen(message) > sizeof(err->message) - 1)
		trim_partial_character(err->message);
}

void
reef_error_init(ReefError *err)
{
	memset(err, 0, sizeof(*err));
}

ReefCode
reef_error_set(ReefError *err, ReefCode code, const char *message,
			   const char *detail, ...)
{
	set_code_and_message(err, code, message);
	if (detail != NULL)
	{
		va_list		args;

		va_start(args, detail);
		append_text(err->detail, sizeof(err->detail), detail, args);
		va_end(args);
	}
	return code;
}

ReefCode
reef_error_set_errno(ReefError *err, ReefCode code, int os_errno,
					 const char *message, const char *detail, ...)
{
	set_code_and_message(err, code, message);
	err->os_errno = os_errno;
	if (detail != NULL)
	{
		va_list		args;

		va_start(args, detail);
		append_text(err->detail, sizeof(err->detail), detail, args);
		va_end(args);
	}
	append_detail(err, "%s%s", err->detail[0] != '\0' ? ": " : "",
				  strerror(os_errno));
	return code;
}

ReefCode
reef_error_add(ReefError *err, const char *fact, ...)
{
	va_list		args;

	assert(err->code != REEF_OK);
	if (err->detail[0] != '\0')
		append_detail(err, "; ");
	va_start(args, fact);
	append_text(err->detail, sizeof(err->detail), fact, args);
	va_end(args);
	return err->code;
}

ReefCode
reef_error_no_memory(ReefError *err, size_t size)
{
	return reef_error_set(err, REEF_NO_MEMORY, "out of memory",
						  "failed on request of size %zu", size);
}

const char *
reef_code_name(ReefCode code)
{
	switch (code)
	{
		case REEF_OK:
			return "REEF_OK";
		case REEF_NOT_FOUND:
			return "REEF_NOT_FOUND";
		case REEF_CONFLICT:
			return "REEF_CONFLICT";
		case REEF_KEY_EXISTS:
			return "REEF_KEY_EXISTS";
		case REEF_FENCED:
			return "REEF_FENCED";
		case REEF_UNAVAILABLE:
			return "REEF_UNAVAILABLE";
		case REEF_UNREACHABLE:
			return "REEF_UNREACHABLE";
		case REEF_THROTTLED:
			return "REEF_THROTTLED";
		case REEF_UNCERTAIN:
			return "REEF_UNCERTAIN";
		case REEF_CANCELLED:
			return "REEF_CANCELLED";
		case REEF_DENIED:
			return "REEF_DENIED";
		case REEF_UNAUTHENTICATED:
			return "REEF_UNAUTHENTICATED";
		case REEF_READ_ONLY:
			return "REEF_READ_ONLY";
		case REEF_NO_SPACE:
			return "REEF_NO_SPACE";
		case REEF_INVALID:
			return "REEF_INVALID";
		case REEF_TYPE_MISMATCH:
			return "REEF_TYPE_MISMATCH";
		case REEF_COLUMN_MISMATCH:
			return "REEF_COLUMN_MISMATCH";
		case REEF_UNSUPPORTED:
			return "REEF_UNSUPPORTED";
		case REEF_CORRUPT:
			return "REEF_CORRUPT";
		case REEF_SNAPSHOT_TOO_OLD:
			return "REEF_SNAPSHOT_TOO_OLD";
		case REEF_LIMIT:
			return "REEF_LIMIT";
		case REEF_NO_MEMORY:
			return "REEF_NO_MEMORY";
		case REEF_BUG:
			return "REEF_BUG";
	}
	return "unknown code";
}
