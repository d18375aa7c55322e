/*
 * maintenance.h
 *	  One table's maintenance, as an SQL function and a procedure for all tables
 *	  do it.  All report errors.
 */
#ifndef REEF_PG_MAINTENANCE_H
#define REEF_PG_MAINTENANCE_H

#include "pg/reef_fdw.h"

/* Fold all that was committed before the call; adds up in *total. */
extern void reefpg_maintain_fold(ReefNamespace *ns, ReefFoldResult *total);
/* Merge until nothing is worth it; the number of merges, added up in *total. */
extern int	reefpg_maintain_compact(ReefNamespace *ns, bool full,
									ReefCompactResult *total);
extern void reefpg_maintain_gc(ReefNamespace *ns);

#endif							/* REEF_PG_MAINTENANCE_H */
