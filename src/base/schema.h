/*
 * schema.h
 *	  Column types, columns, and how a stored type may be read as another.
 *
 * A namespace's schema is the union of what its writers declared.  Columns
 * are known by name.  A stored column may be read as a wider one of the same
 * family:
 *
 *	  int2 -> int4 -> int8, float4 -> float8,
 *	  numeric(p,s) -> numeric(q,s) with q >= p,
 *	  varchar(n) -> varchar(m) or text with m >= n,
 *
 * and in no other way: anything else is an error that names both types.  For
 * OTHER the PostgreSQL type names must be equal.
 */
#ifndef REEF_BASE_SCHEMA_H
#define REEF_BASE_SCHEMA_H

#include "base/arena.h"
#include "base/error.h"
#include "base/value.h"

/* Names that begin with this belong to the engine. */
#define REEF_RESERVED_COLUMN_PREFIX "_reef_"
/* The int64 key of a table that declares none: arrival order. */
#define REEF_HIDDEN_KEY_COLUMN "_reef_id"

#define REEF_COLUMN_NAME_MAX_SIZE 255
#define REEF_COLUMN_MAX_COUNT 1664

typedef struct ReefType
{
	ReefKind	kind;
	uint8_t		precision;		/* DECIMAL only */
	uint8_t		scale;			/* DECIMAL only */
	int32_t		length;			/* declared length of varchar/char, or -1 */
	const char *pg_type;		/* as format_type prints it: "numeric(15,2)" */
} ReefType;

typedef struct ReefColumn
{
	const char *name;
	ReefType	type;
	int			key_position;	/* 1-based place in the key, 0 = not part */
	bool		not_null;
	bool		has_bloom;		/* a bloom filter was asked for */
} ReefColumn;

typedef struct ReefSchema
{
	int			column_count;
	ReefColumn *columns;
} ReefSchema;

/* Deep copy into the arena. */
extern ReefCode reef_schema_copy(ReefArena *arena, const ReefSchema *schema,
								 ReefSchema *copy, ReefError *err)
			REEF_MUST_CHECK;
/* Index of the column, or -1. */
extern int	reef_schema_find(const ReefSchema *schema, const char *name);
extern int	reef_schema_key_count(const ReefSchema *schema);
/* Index of the column at key position 1, 2, ...; -1 if there is none. */
extern int	reef_schema_key_column(const ReefSchema *schema, int key_position);

/* May values stored as "stored" be read as "wanted" (equal or wider)? */
extern bool reef_type_widens(const ReefType *stored, const ReefType *wanted);

/*
 * Merge what a writer declares into what is stored: new columns are added,
 * wider types win (a writer with a narrower type than the stored one is
 * fine: its values fit).  Fails with REEF_TYPE_MISMATCH naming the column
 * and both types, or REEF_COLUMN_MISMATCH if the keys differ.  Result in the
 * arena; *changed tells whether it differs from "stored".
 */
extern ReefCode reef_schema_merge(ReefArena *arena, const ReefSchema *stored,
								  const ReefSchema *declared,
								  ReefSchema *merged, bool *changed,
								  ReefError *err) REEF_MUST_CHECK;

/*
 * Convert one value that was stored as "stored" for a reader of "wanted";
 * reef_type_widens must hold.  Only representation changes (int2 to int8,
 * DECIMAL64 to DECIMAL128, ...).
 */
extern void reef_value_widen(const ReefType *stored, const ReefType *wanted,
							 ReefValue *value);

#endif							/* REEF_BASE_SCHEMA_H */
