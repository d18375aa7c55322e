/*
 * modify.h
 *	  What the planning and the running of INSERT, UPDATE and DELETE share.
 */
#ifndef REEF_PG_MODIFY_H
#define REEF_PG_MODIFY_H

#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "nodes/execnodes.h"

#include "pg/reef_fdw.h"

/* Junk columns that carry the row's identity (scan.h), and the old row. */
#define REEFPG_JUNK_LSN "ctid"
#define REEFPG_JUNK_HIDDEN_KEY_0 "reef_hidden_key_0"
#define REEFPG_JUNK_HIDDEN_KEY_1 "reef_hidden_key_1"
#define REEFPG_JUNK_ROW "wholerow"

extern char *reefpg_key_junk_name(Form_pg_attribute attribute);

/* Of one target table while a statement runs. */
typedef struct ReefPgModifyState
{
	Relation	relation;
	ReefPgTable *table;
	ReefPgConverter *converter;
	ReefNamespace *ns;
	ReefInsertMode mode;
	CommandId	cid;

	/* made by the first row that is written */
	ReefTxn    *txn;
	bool		is_repeated;	/* nothing is to be written */
	int		   *column_map;		/* schema column to position in txn_values */
	int			txn_column_count;
	ReefValue  *txn_values;
	bool	   *txn_changed;

	ReefValue  *values;			/* in schema order */
	bool	   *changed;		/* in schema order, for UPDATE */
	MemoryContext row_context;

	/* UPDATE and DELETE: attribute numbers in the plan's slot, 0 = none */
	AttrNumber	lsn_junk;
	AttrNumber	hidden_key_junk[2];
	AttrNumber *key_junk;		/* by key position - 1 */
	AttrNumber	row_junk;
	ReefBuf		key;
} ReefPgModifyState;

/* in modify_begin.c */

/* Before each write: the transaction's buffer, and arrays of its width. */
extern void reefpg_modify_start(ReefPgModifyState *state);

#endif							/* REEF_PG_MODIFY_H */
