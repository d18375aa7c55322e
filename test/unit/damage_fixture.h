/*
 * damage_fixture.h
 *	  A small namespace with one of everything, ways to damage it, and a model
 *	  of what is left.
 *
 *	  record	what								where it is
 *	  2 - 7		insert 1 to 6						segment A, manifest 1
 *	  8			update 1, delete 2 (one transaction)	segment B, manifest 2
 *	  9			insert 7							segment B
 *	  10		insert 8							record
 *	  11		update 8							record
 *	  12		insert 9, delete 3 (one transaction)	record
 *	  13		upsert 4							record
 *	  14		update 7							record
 *	  15		insert 2							record
 *	  16		update 8 again						record
 *	  17		insert 3							record
 *	  18		delete 3							record
 *	  19		attach 20, 21, 22					segment S, named by record 19
 */
#ifndef REEF_DAMAGE_FIXTURE_H
#define REEF_DAMAGE_FIXTURE_H

#include "engine_fixture.h"

#define DAMAGE_RECORD_FIRST 10	/* of those that no manifest has applied */
#define DAMAGE_RECORD_LAST 19
#define DAMAGE_IDS 32

typedef enum DamageHome
{
	DAMAGE_HOME_RECORD = 0,
	DAMAGE_HOME_A = 1,
	DAMAGE_HOME_B = 2,
	DAMAGE_HOME_S = 4
} DamageHome;

typedef struct DamageNamespace
{
	ReefMemoryBucket *bucket;
	char		segments[3][REEF_OBJECT_KEY_SIZE];	/* A, B, S */
} DamageNamespace;

/* Rows by id; "" is no row. */
typedef struct DamageRows
{
	char		v[DAMAGE_IDS][16];
} DamageRows;

extern void damage_namespace_make(DamageNamespace *made);
extern ReefMemoryBucket *damage_bucket_clone(ReefMemoryBucket *bucket);
/* Put other bytes in an object's place, which may be empty. */
extern void damage_bucket_replace(ReefMemoryBucket *bucket, const char *key,
								  ReefSlice bytes);

/*
 * What must be there when the segments of these homes and the records with
 * these bits (1 << lsn) are lost.
 */
extern void damage_expect(unsigned homes, uint32_t records, DamageRows *rows);
/*
 * Open and read everything.  The code of what failed, or REEF_OK and the rows;
 * the row count is checked.
 */
extern ReefCode damage_read(ReefMemoryBucket *bucket, DamageRows *rows,
							ReefError *err);
extern bool damage_rows_equal(const DamageRows *a, const DamageRows *b);

/* What verify or repair said, as text: "name, name". */
typedef struct DamageReport
{
	int			errors;
	int			warnings;
	int			infos;
	int			count;
	char		names[400];		/* each once */
	char		objects[4000];	/* all */
	char		details[8000];
} DamageReport;

extern ReefCode damage_verify(ReefMemoryBucket *bucket, bool deep,
							  DamageReport *report, ReefError *err);
extern ReefCode damage_repair(ReefMemoryBucket *bucket, bool dry_run,
							  DamageReport *report, ReefError *err);

#endif							/* REEF_DAMAGE_FIXTURE_H */
