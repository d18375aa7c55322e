/*
 * layout.h
 *	  Every object name, and its parser.  Nothing else builds or reads a key.
 *
 *	  <namespace>/wal/<lsn, 20 digits>.wal
 *	  <namespace>/manifest/<version, 20 digits>.json
 *	  <namespace>/segment/<uuid v7>.parquet
 *	  <namespace>/quarantine/...
 *
 * Numbers are zero-padded so that LIST order is numeric order.  A namespace is
 * one or two parts ("schema/table" or "table").  Each part is escaped into
 * [A-Za-z0-9._-]: every other byte, every '_' that is followed by two
 * hexadecimal digits, a leading '.' and the names "wal", "manifest",
 * "segment", "quarantine" as a whole have the offending byte (the first one
 * for the reserved names) written as _XX, two upper-case hexadecimal digits.
 * Unescaping therefore is unambiguous, and no two names share a prefix.
 */
#ifndef REEF_FORMAT_LAYOUT_H
#define REEF_FORMAT_LAYOUT_H

#include "base/error.h"
#include "base/bytes.h"

#define REEF_NAMESPACE_MAX_SIZE 255 /* unescaped bytes, both parts and '/' */
#define REEF_OBJECT_KEY_SIZE 901	/* buffer for any key, with the NUL */

typedef enum ReefObjectKind
{
	REEF_OBJECT_WAL,
	REEF_OBJECT_MANIFEST,
	REEF_OBJECT_SEGMENT,
	REEF_OBJECT_QUARANTINE,
	REEF_OBJECT_FOREIGN			/* a key that we did not make */
} ReefObjectKind;

typedef struct ReefObjectName
{
	ReefObjectKind kind;
	uint64_t	number;			/* LSN or version */
	uint8_t		uuid[16];		/* segment */
} ReefObjectName;

/*
 * Escape a namespace name ("public/orders") into its key prefix without a
 * trailing slash.  REEF_INVALID for an empty name or part, more than two
 * parts, a NUL, or one too long.
 */
extern ReefCode reef_layout_namespace_prefix(const char *name,
											 char prefix[REEF_OBJECT_KEY_SIZE],
											 ReefError *err) REEF_MUST_CHECK;
/* The inverse; false if the prefix is not one that we would have made. */
extern bool reef_layout_namespace_name(const char *prefix, char *name,
									   size_t name_size);

extern void reef_layout_wal_key(const char *prefix, uint64_t lsn,
								char key[REEF_OBJECT_KEY_SIZE]);
extern void reef_layout_manifest_key(const char *prefix, uint64_t version,
									 char key[REEF_OBJECT_KEY_SIZE]);
extern void reef_layout_segment_key(const char *prefix,
									const uint8_t uuid[16],
									char key[REEF_OBJECT_KEY_SIZE]);
/* "<prefix>/wal/", "<prefix>/manifest/", "<prefix>/segment/" for LIST */
extern void reef_layout_list_prefix(const char *prefix, ReefObjectKind kind,
									char key[REEF_OBJECT_KEY_SIZE]);
/* Parse a key below "prefix". */
extern void reef_layout_parse(const char *prefix, const char *key,
							  ReefObjectName *name);
/*
 * If the key is some object of some namespace, copy the namespace's prefix and
 * return true: used to find the namespaces below a location.
 */
extern bool reef_layout_parse_any(const char *key,
								  char prefix[REEF_OBJECT_KEY_SIZE],
								  ReefObjectName *name);

/* 36 characters and a NUL, lower case. */
extern void reef_uuid_format(const uint8_t uuid[16], char text[37]);
extern bool reef_uuid_parse(const char *text, uint8_t uuid[16]);
/* Version 7: 48 bits of milliseconds, the rest from "random10". */
extern void reef_uuid_v7(int64_t now_us, const uint8_t random10[10],
						 uint8_t uuid[16]);

#endif							/* REEF_FORMAT_LAYOUT_H */
