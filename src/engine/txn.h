/*
 * txn.h
 *	  What a scan needs to know of a transaction's own writes.
 *
 * Own rows are in a skip list in private memory until there are too many of
 * them; then most become segments that only this transaction knows (DESIGN
 * 5.3).  A scan may be open when that happens: it keeps the skip list it began
 * with by a reference.
 */
#ifndef REEF_ENGINE_TXN_H
#define REEF_ENGINE_TXN_H

#include "engine/internal.h"

typedef struct ReefOwnRows
{
	int			references;
	ReefArena	arena;
	ReefSkipList list;
	ReefNode   *tails[REEF_SKIPLIST_MAX_HEIGHT];	/* last node by level */
} ReefOwnRows;

typedef struct ReefOwnSegment
{
	ReefSegmentMeta meta;
	int			level;
	uint32_t	cid_min;
	uint32_t	cid_max;
	bool		is_dead;		/* its level was undone */
	struct ReefOwnSegment *older;
} ReefOwnSegment;

extern ReefOwnRows *reef_own_rows_pin(ReefTxn *txn);
extern void reef_own_rows_unpin(ReefOwnRows *rows); /* accepts NULL */
/* The newest version that commands from "cid" on see; NULL: none. */
extern const ReefVersion *reef_own_version(const ReefNode *node, uint32_t cid);
/* All columns that a transaction writes. */
extern const ReefSchema *reef_txn_schema(const ReefTxn *txn);
/* Newest first; live until the transaction is freed. */
extern const ReefOwnSegment *reef_txn_segments(const ReefTxn *txn);

#endif							/* REEF_ENGINE_TXN_H */
