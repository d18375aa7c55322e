/*
 * reef_fdw.h
 *	  What the files of the PostgreSQL side share.
 *
 * Errors: engine calls return codes; REEFPG_CHECK turns a bad one into an
 * ereport.  Nothing here may be called from inside an engine call.
 *
 * Lifetimes: a namespace handle lives as long as the backend; a view or scan
 * lives in a memory context and is released by that context's reset callback,
 * so that an error anywhere cleans up.
 */
#ifndef REEF_PG_REEF_FDW_H
#define REEF_PG_REEF_FDW_H

#include "postgres.h"

#include "access/attnum.h"
#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "foreign/foreign.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "engine/reef.h"
#include "pg/compat.h"

/* in report.c */

/* ereport(ERROR) for a failed engine call; relation may be NULL. */
pg_noreturn extern void reefpg_report(const ReefError *err,
									  const char *relation);
/* The SQLSTATE of a code; the one table of them. */
extern int	reefpg_sqlstate(ReefCode code);

#define REEFPG_CHECK(expr, err, relation) \
	do { \
		if ((expr) != REEF_OK) \
			reefpg_report((err), (relation)); \
	} while (0)

/* in options.c */

typedef enum ReefPgOnConflict
{
	REEFPG_ON_CONFLICT_ERROR,
	REEFPG_ON_CONFLICT_UPDATE,
	REEFPG_ON_CONFLICT_NOTHING
} ReefPgOnConflict;

/* Where a store is and how to reach it: what a server's options say. */
typedef struct ReefPgServer
{
	Oid			serverid;
	Oid			userid;			/* whose mapping counts */
	char	   *name;
	char	   *location;
	bool		read_only;
	int			batch_size;
	double		startup_cost;
	double		tuple_cost;
	int			request_timeout_ms; /* -1: reef.request_timeout */
	int			max_retries;	/* -1: reef.max_retries */
} ReefPgServer;

/*
 * One foreign table as its catalog entries say, options of the server and the
 * table merged.  column_of_attribute[attnum - 1] is the index in schema, or
 * -1 for dropped columns and the reef_lsn column.
 */
typedef struct ReefPgTable
{
	Oid			relid;
	ReefPgServer *server;
	char	   *namespace_name;
	bool		read_only;
	int			batch_size;
	int			max_staleness_ms;
	ReefPgOnConflict on_conflict;
	int			compression;	/* ReefCompression, -1: default */
	int			target_segment_size_kb; /* -1: default */
	int			idempotency_retention_s;	/* -1: default */
	ReefSchema	schema;
	int			attribute_count;
	int		   *column_of_attribute;
	AttrNumber *attribute_of_column;
	AttrNumber	lsn_attribute;	/* 0: none */
	bool		has_key;
} ReefPgTable;

/* Palloc'd in the current context; ereports what is wrong with the options. */
extern ReefPgServer *reefpg_server_load(Oid serverid, Oid userid);
extern ReefPgTable *reefpg_table_load(Relation relation, Oid userid);
/* Do the options let it be written?  For the catalogs' views, which show
 * tables that cannot be loaded, too. */
extern bool reefpg_relation_is_updatable(Oid relid);
/* Permission checks on use that the validator cannot make once for all. */
extern void reefpg_server_check_use(const ReefPgServer *server);

/* in convert.c */

/* How one attribute's Datums become ReefValues and back. */
typedef struct ReefPgConverter ReefPgConverter;

/* The engine type of a PostgreSQL type; never fails (OTHER at worst).
 * pg_type is palloc'd. */
extern ReefType reefpg_type_of(Oid type, int32 typmod);
/* May a column of this type be a key? ereports if not. */
extern void reefpg_check_key_type(Oid type, int32 typmod, Oid collation,
								  const char *column);
/* Converters for the columns of a table, in schema order. */
extern ReefPgConverter *reefpg_converter_new(const ReefPgTable *table,
											 TupleDesc desc);
/*
 * Around reefpg_datum_from_vector and reefpg_value_from_datum: the settings
 * under which text forms are exact.  No expression of the query may run in
 * between.
 */
extern int	reefpg_converter_enter(const ReefPgConverter *converter);
extern void reefpg_converter_leave(int nest_level);
/* A palloc'd array of nulls. */
extern ReefValue *reefpg_values_new(int count);
/* slot -> values[schema.column_count]; bytes live in the current context. */
extern void reefpg_values_from_slot(ReefPgConverter *converter,
									TupleTableSlot *slot, ReefValue *values);
extern void reefpg_value_from_datum(ReefPgConverter *converter, int column,
									Datum datum, bool is_null,
									ReefValue *value);
/* One element of a vector as a Datum of the attribute's type, in the current
 * context. */
extern Datum reefpg_datum_from_vector(ReefPgConverter *converter, int column,
									  const ReefVector *vector, int position,
									  bool *is_null);
/* "(a, b)=(1, x)" as unique violations print it. */
extern char *reefpg_key_description(ReefPgConverter *converter,
									const ReefPgTable *table,
									const ReefValue *values);

/* in namespace.c */

/*
 * This backend's handle for a namespace of a store; opened once and kept.
 * ereports when the library was not preloaded, the table of namespaces is
 * full, or the location is not usable.
 */
extern ReefNamespace *reefpg_namespace_get(const ReefPgServer *server,
										   const char *namespace_name);
/* The same for a loaded table, checking the server's use first and applying
 * its settings. */
extern ReefNamespace *reefpg_table_namespace(const ReefPgTable *table);
/* A store connection of this backend (for IMPORT, lists). */
extern struct ReefStore *reefpg_store_get(const ReefPgServer *server);
/* Opens it if it is not; false, and no error, if that fails (for planning). */
extern bool reefpg_store_can_open(const ReefPgServer *server);
/* The host's callbacks of this process. */
extern const ReefHost *reefpg_host(void);

/*
 * Pin a view for a snapshot (NULL: as of now); unpinned when "context" is
 * reset or reefpg_view_release is called.
 */
extern ReefView *reefpg_view_pin(ReefNamespace *ns, const ReefPgTable *table,
								 Snapshot snapshot, MemoryContext context);
extern void reefpg_view_release(ReefView *view);

/* in xact.c */

/*
 * The current transaction's write buffer for a namespace, made on first use
 * (then also: a transaction id is assigned, the namespace is opened, the
 * schema is checked, SERIALIZABLE and read-only are refused).  column_map[i]:
 * position of schema column i in the values arrays of reef_txn_*.
 */
extern ReefTxn *reefpg_xact_txn(ReefNamespace *ns, const ReefPgTable *table,
								int *column_map);
/* The same if it exists, else NULL: for scans to see own writes. */
extern ReefTxn *reefpg_xact_find_txn(ReefNamespace *ns);
extern ReefTxnPoint reefpg_xact_point(CommandId cid);
/* Does the transaction repeat one with the same idempotency key, so that what
 * it writes to the namespace is to be discarded? */
extern bool reefpg_xact_is_repeated(const ReefNamespace *ns);
extern void reefpg_xact_init(void);
/* What this session last committed in the namespace; 0: nothing. */
extern uint64 reefpg_xact_last_lsn(const ReefNamespace *ns);

/* in idempotency.c */

/* Look the key up for a transaction's first write to a namespace; true, and a
 * NOTICE, if it is known. */
extern bool reefpg_idempotency_begin(ReefTxn *txn, const char *key,
									 const char *relation);
/* ereports if a transaction with a key has also written heap tables. */
extern void reefpg_idempotency_check_commit(void);
extern void reefpg_idempotency_at_end(void);
extern void reefpg_idempotency_init(void);

/* in commit_queue.c */

/*
 * Make a prepared frame durable, together with whoever else waits.  Returns
 * when its outcome is known, or is given up as unknown (cancel, terminate,
 * reef.commit_timeout).  Called in PRE_COMMIT with interrupts held.  Only a
 * durable frame still belongs to the caller afterwards.
 */
extern ReefFrameState reefpg_commit_queue_commit(ReefNamespace *ns,
												 ReefFrame *frame,
												 ReefError *err);

/* in guc.c */
extern int	reefpg_memtable_size_kb;
extern int	reefpg_maintenance_workers;
extern int	reefpg_page_cache_size_kb;
extern int	reefpg_max_namespaces;
extern int	reefpg_fold_size_kb;
extern int	reefpg_fold_interval_ms;
extern int	reefpg_gc_grace_ms;
extern bool reefpg_auto_compact;
extern bool reefpg_auto_gc;
extern int	reefpg_maintenance_io_limit_kb;
extern int	reefpg_transaction_buffer_size_kb;
extern int	reefpg_commit_timeout_ms;
extern int	reefpg_request_timeout_ms;
extern int	reefpg_max_retries;
extern char *reefpg_idempotency_key;
extern char *reefpg_allowed_endpoints;
extern char *reefpg_cache_dir;
extern int	reefpg_cache_size_kb;
extern void reefpg_guc_init(void);

/* in admin_sql.c */

/*
 * The reef table that an SQL function was called for, locked against changes
 * of its definition.  ereports if it is none, or the user may not read it, or
 * for_change, maintain it.
 */
extern ReefPgTable *reefpg_argument_table(Oid relid, bool for_change);

/* in plan.c, scan.c, modify.c, explain.c, import.c: callbacks for the
 * handler, grouped by file in fdw.h */

#endif							/* REEF_PG_REEF_FDW_H */
