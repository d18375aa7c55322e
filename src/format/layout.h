/*
 * layout.h
 *	  Every object name, and its parser.  Nothing else builds or reads a key.
 *
 *	  <namespace>/wal/<lsn, 20 digits>.wal
 *	  <namespace>/manifest/<version, 20 digits>.json
 *	  <namespace>/segment/<uuid v7>.parquet
 *	  <namespace>/quarantine/<uuid of the repair>/<name below the namespace>
 *
 * Made by whoever writes the object; parsed from every LIST.  A name is never
 * used for two different objects.
 *
 * NUMBERS are 20 zero-padded decimal digits, so that LIST order is numeric
 * order; they run from 1 to 2^63 - 1.  UUIDs are 36 lower-case characters.
 * Everything else below a namespace is foreign: not ours, never read, never
 * deleted.
 *
 * NAMESPACES are one or two non-empty parts ("schema/table" or "table") of any
 * bytes but NUL and '/', together at most REEF_NAMESPACE_MAX_SIZE.  Each part
 * is escaped by itself into [A-Za-z0-9._-], at most REEF_NAMESPACE_PART_SIZE
 * bytes of it (what one file name may have).  _XX, with two of 0-9A-F, stands
 * for a byte that is
 *
 *	  - not in [A-Za-z0-9._-], or
 *	  - a '_' in front of two of 0-9A-F, or
 *	  - the first byte of a part, if that is '.' or the whole part is "wal",
 *		"manifest", "segment" or "quarantine"
 *
 * and every other byte stands for itself.  (A literal '_' is never in front of
 * two of 0-9A-F in the result either: it was not in the name, and an escape
 * begins with '_'.)  Hence different names have different prefixes; since no
 * part of a prefix is a folder's name, no object of one namespace has a name
 * below the folders of another, although "a" and "a/b" may both exist; and
 * since "." and ".." cannot appear, a prefix is a relative path.  Case is
 * significant: two names that differ only in case need a store (or file
 * system) that tells them apart.
 *
 * Worked examples, which are unit tests:
 *
 *	  public/orders			public/orders
 *	  public/Kunden 2024	public/Kunden_202024
 *	  sales_2024			sales_5F2024
 *	  order_items			order_items
 *	  .hidden/a.b			_2Ehidden/a.b
 *	  wal/manifest			_77al/_6Danifest
 *	  public/k\303\244se	public/k_C3_A4se
 */
#ifndef REEF_FORMAT_LAYOUT_H
#define REEF_FORMAT_LAYOUT_H

#include "base/error.h"
#include "base/bytes.h"

#define REEF_NAMESPACE_MAX_SIZE 255 /* unescaped bytes, both parts and '/' */
#define REEF_NAMESPACE_PART_SIZE 255	/* escaped bytes of one part */
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
 * parts, or one too long.
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
/*
 * Where repair puts aside the object "key" of the namespace; "run" is fresh in
 * each repair, since the same name can be damaged twice.  False if the key is
 * not below the prefix or too long.
 */
extern bool reef_layout_quarantine_key(const char *prefix, const char *key,
									   const uint8_t run[16],
									   char out[REEF_OBJECT_KEY_SIZE])
			REEF_MUST_CHECK;
/* "<prefix>/wal/", "<prefix>/manifest/", "<prefix>/segment/",
 * "<prefix>/quarantine/" for LIST; "<prefix>/" for REEF_OBJECT_FOREIGN */
extern void reef_layout_list_prefix(const char *prefix, ReefObjectKind kind,
									char key[REEF_OBJECT_KEY_SIZE]);
/* Parse a key below "prefix"; one that is not is foreign. */
extern void reef_layout_parse(const char *prefix, const char *key,
							  ReefObjectName *name);
/*
 * If the key is some object of some namespace, copy the namespace's prefix and
 * return true: used to find the namespaces below a location.
 */
extern bool reef_layout_parse_any(const char *key,
								  char prefix[REEF_OBJECT_KEY_SIZE],
								  ReefObjectName *name);

/* 36 characters and a NUL, lower case; nothing else parses. */
extern void reef_uuid_format(const uint8_t uuid[16], char text[37]);
extern bool reef_uuid_parse(const char *text, uint8_t uuid[16]);
/* Version 7: 48 bits of milliseconds, the rest from "random10". */
extern void reef_uuid_v7(int64_t now_us, const uint8_t random10[10],
						 uint8_t uuid[16]);

#endif							/* REEF_FORMAT_LAYOUT_H */
