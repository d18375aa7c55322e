/*
 * guc.c
 *	  The reef.* parameters.
 *
 * Those that size shared memory exist only when the library is preloaded: a
 * postmaster parameter cannot be made later.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "pg/reef_fdw.h"

int			reefpg_memtable_size_kb;
int			reefpg_page_cache_size_kb;
int			reefpg_maintenance_workers;
int			reefpg_max_namespaces;
int			reefpg_fold_size_kb;
int			reefpg_fold_interval_ms;
int			reefpg_gc_grace_ms;
bool		reefpg_auto_compact;
bool		reefpg_auto_gc;
int			reefpg_maintenance_io_limit_kb;
int			reefpg_transaction_buffer_size_kb;
int			reefpg_commit_timeout_ms;
int			reefpg_request_timeout_ms;
int			reefpg_max_retries;
char	   *reefpg_idempotency_key;
char	   *reefpg_allowed_endpoints;
char	   *reefpg_cache_dir;
int			reefpg_cache_size_kb;

#define DAY_MS (24 * 60 * 60 * 1000)

/* The directory must be the same in every process, wherever that is at. */
static bool
check_cache_dir(char **value, void **extra, GucSource source)
{
	if (**value == '\0' || is_absolute_path(*value))
		return true;
	GUC_check_errdetail("It must be an absolute path.");
	return false;
}

static void
define_postmaster_parameters(void)
{
	DefineCustomIntVariable("reef.memtable_size",
							"Shared memory for rows that are committed but not yet folded into segments.",
							"It is one budget for all tables of the server.",
							&reefpg_memtable_size_kb,
							128 * 1024, 4 * 1024, MAX_KILOBYTES,
							PGC_POSTMASTER, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("reef.page_cache_size",
							"Shared memory for decoded pages of segments.",
							"Zero: each process keeps its own.",
							&reefpg_page_cache_size_kb,
							256 * 1024, 0, MAX_KILOBYTES,
							PGC_POSTMASTER, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomStringVariable("reef.cache_dir",
							   "Directory for a local cache of segments in buckets.",
							   "Empty: none. It must belong to this server alone.",
							   &reefpg_cache_dir,
							   "",
							   PGC_POSTMASTER, GUC_SUPERUSER_ONLY,
							   check_cache_dir, NULL, NULL);
	DefineCustomIntVariable("reef.cache_size",
							"Disk space for the local cache of segments.",
							NULL,
							&reefpg_cache_size_kb,
							1024 * 1024, 16 * 1024, INT_MAX,
							PGC_POSTMASTER, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("reef.maintenance_workers",
							"Number of background workers that fold, compact and collect garbage.",
							"The first of several only folds, so that no compaction holds folds up.",
							&reefpg_maintenance_workers,
							2, 0, 64,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("reef.max_namespaces",
							"Number of namespaces that can be open at a time.",
							NULL,
							&reefpg_max_namespaces,
							256, 1, 65536,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

void
reefpg_guc_init(void)
{
	if (process_shared_preload_libraries_in_progress)
		define_postmaster_parameters();
	DefineCustomIntVariable("reef.fold_size",
							"Unfolded data of a namespace that makes a worker fold it.",
							NULL,
							&reefpg_fold_size_kb,
							16 * 1024, 64, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("reef.fold_interval",
							"Age of the oldest unfolded record that makes a worker fold its namespace.",
							NULL,
							&reefpg_fold_interval_ms,
							60 * 1000, 100, DAY_MS,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("reef.gc_grace",
							"How long objects that nothing refers to any more are kept.",
							"A reader whose view is older reads everything anew.",
							&reefpg_gc_grace_ms,
							60 * 60 * 1000, 1000, 7 * DAY_MS,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("reef.auto_compact",
							 "Whether the workers compact tables whose shape makes it worth it.",
							 "reef_compact() does it in any case.",
							 &reefpg_auto_compact,
							 true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("reef.auto_gc",
							 "Whether the workers delete objects that nothing refers to any more.",
							 "reef_gc() does it in any case.",
							 &reefpg_auto_gc,
							 true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("reef.maintenance_io_limit",
							"Bytes a second that a compaction or verification reads and writes.",
							"Of each process. Zero: no limit.",
							&reefpg_maintenance_io_limit_kb,
							64 * 1024, 0, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("reef.transaction_buffer_size",
							"Memory for the writes of a transaction.",
							NULL,
							&reefpg_transaction_buffer_size_kb,
							64 * 1024, 64, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("reef.commit_timeout",
							"Time within which a COMMIT must reach the store.",
							"statement_timeout does not apply to COMMIT.",
							&reefpg_commit_timeout_ms,
							30 * 1000, 100, DAY_MS,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("reef.request_timeout",
							"Time for one request to the store, retries included.",
							NULL,
							&reefpg_request_timeout_ms,
							60 * 1000, 0, DAY_MS,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("reef.max_retries",
							"How often a failed request to the store is tried again.",
							NULL,
							&reefpg_max_retries,
							5, 0, 100,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("reef.allowed_endpoints",
							   "Hosts that servers of users who are no superusers may name.",
							   "Elements are host, host:port, *.domain or *. A host named by itself may have a link-local address.",
							   &reefpg_allowed_endpoints,
							   "*.amazonaws.com",
							   PGC_SIGHUP, GUC_LIST_INPUT, NULL, NULL, NULL);
	DefineCustomStringVariable("reef.idempotency_key",
							   "Apply a transaction at most once for each table and key.",
							   "Set it with SET LOCAL before the transaction first writes to a reef table.",
							   &reefpg_idempotency_key,
							   "",
							   PGC_USERSET, GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	MarkGUCPrefixReserved("reef");
}
