/*
 * txn_state.h
 *	  A transaction from the inside, for the files txn*.c.
 *
 * Every write is a version on top of its key's chain in the private skip list.
 * The *first* live version of a chain knows the condition that the whole
 * chain stands under (what the key was before this transaction), the *newest*
 * one what the key is now; together they are the key's net effect.
 *
 * Savepoints: each level has the list of its versions.  Undoing a level marks
 * them dead, releasing one joins its list to the parent's.  A level's versions
 * are younger than those of the levels below it when it is undone, so what is
 * left of a chain is always its older part.
 */
#ifndef REEF_ENGINE_TXN_STATE_H
#define REEF_ENGINE_TXN_STATE_H

#include "engine/maintenance.h"
#include "engine/segment_cache.h"
#include "engine/scan.h"
#include "engine/txn.h"

typedef struct ReefOwnVersion
{
	ReefVersion version;		/* first: the list knows only this */
	struct ReefOwnVersion *next_in_level;
} ReefOwnVersion;

typedef struct ReefTxnLevel
{
	int			level;
	ReefOwnVersion *first;
	ReefOwnVersion *last;
} ReefTxnLevel;

struct ReefTxn
{
	ReefNamespace *ns;
	ReefArena	arena;			/* as long as the transaction */

	/* columns: the user's, then the hidden key if there is one */
	ReefSchema	schema;
	const ReefLayout *layout;	/* of schema */
	int			value_count;	/* without the hidden key */
	int			hidden_column;	/* -1: none */
	int			key_count;
	int		   *key_columns;
	ReefType   *declared;		/* kind of each value as it is passed in;
								 * 0: no table here knows the column */
	bool	   *is_partial;		/* some table here does not know the column */
	bool		has_partial;
	bool		has_declared;	/* some value must be widened */
	int			schema_count;	/* tables that have been added */

	ReefOwnRows *rows;
	ReefOwnSegment *segments;	/* newest first */
	uint64_t	segment_rows;	/* of the live ones */
	ReefPending pending;		/* from before the first one is begun */
	bool		has_outputs;	/* outputs is set */
	ReefOutputBase outputs;
	ReefTxnLevel *levels;		/* ascending; only those with something */
	int			level_count;
	int			level_capacity;
	size_t		spill_size;		/* write segments above this many bytes */
	uint64_t	written_bytes;	/* of keys and documents */
	bool		is_prepared;	/* a frame names the segments */
	const ReefTxnGroup *group;	/* NULL: of this namespace alone */
	ReefSlice	idempotency_key;	/* in the arena; empty: none */

	/* conditions */
	ReefView   *view;			/* as of now, more or less; NULL: none yet */
	bool		has_validated;
	uint64_t	validated_lsn;	/* of the first check */
	uint64_t	incarnation;

	/* scratch */
	ReefValue  *values;			/* a whole row */
	ReefBuf		key;
	ReefBuf		document;
	ReefBuf		unescaped;
};

/* ---- txn_buffer.c ---- */

extern ReefCode reef_own_rows_new(ReefOwnRows **rows, uint64_t seed,
								  ReefError *err) REEF_MUST_CHECK;
extern ReefNode *reef_own_rows_find(const ReefOwnRows *rows, ReefSlice key);
/* The newest version that is not undone; NULL: none. */
extern ReefVersion *reef_own_newest(const ReefNode *node);
/* Put a version, in the memory of the rows, on top of its key's. */
extern ReefCode reef_own_rows_add(ReefOwnRows *rows, ReefSlice key,
								  ReefVersion *version, ReefError *err)
			REEF_MUST_CHECK;

/* ---- txn.c ---- */

extern void reef_txn_level_append(ReefTxnLevel *level,
								  ReefOwnVersion *version);
/* The version belongs to this level from now on. */
extern ReefCode reef_txn_note(ReefTxn *txn, int level,
							  ReefOwnVersion *version, ReefError *err)
			REEF_MUST_CHECK;
/* Bring txn->view up to date. */
extern ReefCode reef_txn_refresh_view(ReefTxn *txn, ReefError *err)
			REEF_MUST_CHECK;
/* Find the live own segment that has a key; NULL if none has. */
extern ReefCode reef_txn_find_in_segments(ReefTxn *txn, ReefSlice key,
										  ReefOwnSegment **own,
										  ReefSegment **segment,
										  ReefRowPosition *position,
										  ReefError *err) REEF_MUST_CHECK;

/* ---- txn_spill.c ---- */

/* Write out what can be, because the buffer is full.  cid is the command that
 * is running. */
extern ReefCode reef_txn_spill(ReefTxn *txn, uint32_t cid, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_TXN_STATE_H */
