/*
 * compat.h
 *	  What differs between the PostgreSQL releases we build against (15 to 18).
 */
#ifndef REEF_PG_COMPAT_H
#define REEF_PG_COMPAT_H

#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "executor/executor.h"
#include "parser/parse_type.h"
#include "parser/parsetree.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#endif
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#include "storage/waiteventset.h"
#endif

/*
 * Where the server was built with ICU, pg_locale.h wants ICU's headers, which
 * the server's packages do not bring along.  What we use of it needs none.
 */
#pragma push_macro("USE_ICU")
#undef USE_ICU
#include "utils/pg_locale.h"
#pragma pop_macro("USE_ICU")

/* 18 has a word for it that comes first, as C11's does. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* What processes wait for. */
typedef enum ReefPgWait
{
	REEFPG_WAIT_STORE,			/* an answer, or the next try */
	REEFPG_WAIT_COMMIT,			/* a leader, or company */
	REEFPG_WAIT_RIGHT,			/* another process's job */
	REEFPG_WAIT_MEMORY,			/* a fold, because the memtable is full */
	REEFPG_WAIT_TABLE,			/* a place in the table of namespaces */
	REEFPG_WAIT_TRANSACTIONS,	/* their ends, so that they can be folded */
	REEFPG_WAIT_IDLE			/* a worker: something to do */
} ReefPgWait;

/* 17 lets extensions name what they wait for. */
#if PG_VERSION_NUM >= 170000
static inline uint32
reefpg_wait_event(ReefPgWait wait)
{
	static const char *const names[] =
	{"ReefStore", "ReefCommit", "ReefRight", "ReefMemory", "ReefTable",
	"ReefTransactions", "ReefWorkerMain"};
	static uint32 events[sizeof(names) / sizeof(names[0])];

	if (events[wait] == 0)
		events[wait] = WaitEventExtensionNew(names[wait]);
	return events[wait];
}
#else
#define reefpg_wait_event(wait) ((void) (wait), PG_WAIT_EXTENSION)
#endif

/* 17 can end a session from inside a long wait for one more reason. */
#if PG_VERSION_NUM >= 170000
#define REEFPG_TIMEOUT_PENDING (TransactionTimeoutPending)
#else
#define REEFPG_TIMEOUT_PENDING false
#endif

#if PG_VERSION_NUM >= 160000
#define REEFPG_SERVER_OWNERCHECK(serverid, userid) \
	object_ownercheck(ForeignServerRelationId, (serverid), (userid))
#define REEFPG_RELATION_OWNERCHECK(relid, userid) \
	object_ownercheck(RelationRelationId, (relid), (userid))
#else
#define REEFPG_SERVER_OWNERCHECK(serverid, userid) \
	pg_foreign_server_ownercheck((serverid), (userid))
#define REEFPG_RELATION_OWNERCHECK(relid, userid) \
	pg_class_ownercheck((relid), (userid))
#endif

/* 17 has a privilege for what used to need ownership. */
#if PG_VERSION_NUM >= 170000
#define REEFPG_MAY_MAINTAIN(relid, userid) \
	(pg_class_aclcheck((relid), (userid), ACL_MAINTAIN) == ACLCHECK_OK)
#else
#define REEFPG_MAY_MAINTAIN(relid, userid) \
	REEFPG_RELATION_OWNERCHECK((relid), (userid))
#endif

/* 17 lets the caller say whether the message is flushed at once. */
#if PG_VERSION_NUM >= 170000
#define REEFPG_LOG_MESSAGE(prefix, text, size) \
	LogLogicalMessage((prefix), (text), (size), true, false)
#else
#define REEFPG_LOG_MESSAGE(prefix, text, size) \
	LogLogicalMessage((prefix), (text), (size), true)
#endif

/* 18 asks the locale, which it caches for each collation. */
#if PG_VERSION_NUM >= 180000
#define REEFPG_COLLATE_IS_C(collation) \
	(pg_newlocale_from_collation(collation)->collate_is_c)
#else
#define REEFPG_COLLATE_IS_C(collation) lc_collate_is_c(collation)
#endif

/* The type that a text names, or InvalidOid; 16 came to know soft errors. */
static inline Oid
reefpg_type_parse(const char *text, int32 *typmod)
{
	Oid			type = InvalidOid;
#if PG_VERSION_NUM >= 160000
	ErrorSaveContext soft = {.type = T_ErrorSaveContext};

	if (!parseTypeString(text, &type, typmod, (Node *) &soft))
		return InvalidOid;
#else
	parseTypeString(text, &type, typmod, true);
#endif
	return type;
}

/*
 * Whose rights count for a relation; InvalidOid: the current user's.  15 keeps
 * them with the range table entry.
 */
#if PG_VERSION_NUM >= 160000
#define REEFPG_REL_USERID(root, rel) ((rel)->userid)
#define REEFPG_SCAN_USERID(node) \
	(castNode(ForeignScan, (node)->ss.ps.plan)->checkAsUser)
#define reefpg_target_userid(rinfo, estate) \
	ExecGetResultRelCheckAsUser((rinfo), (estate))
#else
#define REEFPG_REL_USERID(root, rel) \
	(planner_rt_fetch((rel)->relid, (root))->checkAsUser)
#define REEFPG_SCAN_USERID(node) \
	(exec_rt_fetch(castNode(ForeignScan, \
							(node)->ss.ps.plan)->scan.scanrelid, \
				   (node)->ss.ps.state)->checkAsUser)

static inline Oid
reefpg_target_userid(ResultRelInfo *rinfo, EState *estate)
{
	Index		index = rinfo->ri_RangeTableIndex;

	/* A partition that rows are routed into has the rights of its root. */
	if (index == 0 && rinfo->ri_RootResultRelInfo != NULL)
		index = rinfo->ri_RootResultRelInfo->ri_RangeTableIndex;
	return index == 0 ? InvalidOid : exec_rt_fetch(index, estate)->checkAsUser;
}
#endif

/* 17 passes restrictions along, 18 the number of disabled nodes. */
#if PG_VERSION_NUM >= 180000
#define REEFPG_FOREIGN_PATH(root, rel, rows, startup, total, outer) \
	create_foreignscan_path((root), (rel), NULL, (rows), 0, (startup), \
							(total), NIL, (outer), NULL, NIL, NIL)
#elif PG_VERSION_NUM >= 170000
#define REEFPG_FOREIGN_PATH(root, rel, rows, startup, total, outer) \
	create_foreignscan_path((root), (rel), NULL, (rows), (startup), \
							(total), NIL, (outer), NULL, NIL, NIL)
#else
#define REEFPG_FOREIGN_PATH(root, rel, rows, startup, total, outer) \
	create_foreignscan_path((root), (rel), NULL, (rows), (startup), \
							(total), NIL, (outer), NULL, NIL)
#endif

/* 17 looks the array's statistics up. */
#if PG_VERSION_NUM >= 170000
#define REEFPG_ARRAY_LENGTH(root, expr) estimate_array_length((root), (expr))
#else
#define REEFPG_ARRAY_LENGTH(root, expr) estimate_array_length(expr)
#endif

/* 18 asks whether it is ANALYZE that sleeps. */
#if PG_VERSION_NUM >= 180000
#define REEFPG_ANALYZE_DELAY_POINT() vacuum_delay_point(true)
#else
#define REEFPG_ANALYZE_DELAY_POINT() vacuum_delay_point()
#endif

/* The structure that holds the next and the oldest transaction id. */
#if PG_VERSION_NUM >= 170000
#define REEFPG_VARIABLE_CACHE TransamVariables
#else
#define REEFPG_VARIABLE_CACHE ShmemVariableCache
#endif

/* What the hook for checking permissions gets: who may do what to a table was
 * part of the range table until 15. */
#if PG_VERSION_NUM >= 160000
typedef RTEPermissionInfo ReefPgPermission;
#define REEFPG_PERMISSION_PARAMETERS \
	List *range_table, List *permissions, bool report
#define REEFPG_PERMISSION_ARGUMENTS range_table, permissions, report
#else
typedef RangeTblEntry ReefPgPermission;
#define REEFPG_PERMISSION_PARAMETERS List *permissions, bool report
#define REEFPG_PERMISSION_ARGUMENTS permissions, report
#endif

#endif							/* REEF_PG_COMPAT_H */
