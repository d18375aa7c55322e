/*
 * fake_host.h
 *	  A ReefHost for tests: one process, transactions by decree.
 *
 * Misuse of the host (a lock taken twice, a wait with a lock held, a size
 * that is no multiple of a page, an xid that no test has declared) aborts the
 * program with a message, because it would be a bug in the engine.
 */
#ifndef REEF_FAKE_HOST_H
#define REEF_FAKE_HOST_H

#include "base/host.h"

#define FAKE_HOST_LOCKS 64

typedef struct FakeXid
{
	uint64_t	full_xid;
	ReefXidState state;
} FakeXid;

/*
 * What tests pass as a snapshot: everything below xmax is decided, except
 * what was in progress.
 */
typedef struct FakeSnapshot
{
	uint64_t	xmax;
	const uint64_t *in_progress;
	int			in_progress_count;
} FakeSnapshot;

typedef struct FakeHost
{
	ReefHost	host;			/* pass &fake->host */
	bool		cancelled;

	int64_t		time_us;		/* 0: real time; see fake_host_set_time */
	int64_t		waited_us;		/* sum of all plain sleeps asked for */
	int			waits;
	uint64_t	random_state;

	int			log_lines;
	int			log_warnings;
	char		last_log[1024];

	size_t		shared_budget;	/* bytes; unlimited at first */
	size_t		shared_used;
	int			shared_blocks;

	size_t		cache_budget;	/* of pages of the page cache; none at first */
	size_t		cache_used;
	void	   *cache_blocks;	/* list; what is left is freed with the host */

	int			readers[FAKE_HOST_LOCKS];
	bool		writer[FAKE_HOST_LOCKS];
	int			locks_held;

	bool		rights[FAKE_HOST_LOCKS][REEF_RIGHT_COUNT];

	/*
	 * Asked when a right is held by somebody: makes the holder go on and
	 * returns REEF_OK to try again, or anything else to fail with.
	 */
	ReefCode	(*right_hook) (void *arg, int lock_number, ReefRight right,
							   int64_t timeout_us);
	void	   *right_hook_arg;

	FakeXid    *xids;			/* sorted */
	int			xid_count;
	uint64_t	horizon;		/* 0: from the table of xids */

	uint64_t	system_id;		/* our own lineage */
	uint32_t	timeline;
} FakeHost;

extern FakeHost *fake_host_new(void);
/* Aborts if shared memory, a lock or a right is still held. */
extern void fake_host_free(FakeHost *fake);
/* The same, for a host whose process is meant to have crashed. */
extern void fake_host_free_crashed(FakeHost *fake);

extern void fake_host_cancel(FakeHost *fake, bool cancelled);
/* Each new host has its own sequence; forked children must choose theirs. */
extern void fake_host_seed(FakeHost *fake, uint64_t seed);
/* From now on time stands still, except that sleeps advance it. */
extern void fake_host_set_time(FakeHost *fake, int64_t now_us);
extern void fake_host_set_xid(FakeHost *fake, uint64_t full_xid,
							  ReefXidState state);
extern void fake_host_set_horizon(FakeHost *fake, uint64_t full_xid);
/* Bytes of shared memory in use: the leak check. */
extern size_t fake_host_shared_used(const FakeHost *fake);

#endif							/* REEF_FAKE_HOST_H */
