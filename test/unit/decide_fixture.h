/*
 * decide_fixture.h
 *	  Servers with several namespaces, and transactions over all of them.
 */
#ifndef REEF_TEST_DECIDE_FIXTURE_H
#define REEF_TEST_DECIDE_FIXTURE_H

#include "engine/decide.h"
#include "engine_fixture.h"

#define PARTS_MAX 3
#define XID 7					/* of the first transaction */

/* A server with some namespaces; the last one decides. */
typedef struct Server
{
	Cluster    *owner;			/* of the host and the store; one more namespace */
	int			count;
	Cluster    *parts[PARTS_MAX];
} Server;

/* A transaction that inserts one row into each. */
typedef struct Transfer
{
	Server	   *server;
	int64_t		id;
	uint64_t	xid;
	ReefTxnGroup group;
	ReefNamespace *namespaces[PARTS_MAX];
	ReefFrame  *frames[PARTS_MAX];	/* durable ones */
	ReefFrameState outcome;		/* of the last frame that was tried */
	int			next;			/* to commit */
} Transfer;

extern Server server_open(ReefMemoryBucket *bucket, uint8_t id, int count);
extern void server_close(Server *server);
extern void server_crash(Server *server);
extern FakeHost *fake_of(const Server *server);
extern bool transfer_begin(Transfer *transfer, Server *server, int64_t id);
extern bool transfer_step(Transfer *transfer, const ReefCoupling *coupling);
extern void free_frames(Transfer *transfer);
extern ReefFrameState transfer_end(Transfer *transfer);
extern ReefFrameState transfer_run(Server *server, int64_t id,
			const ReefCoupling *coupling);
extern void declare_xid(Server *server, ReefXidState state);
extern int presence_on(Server *server, int64_t id, bool writes,
			bool backwards);
extern int presence(ReefMemoryBucket *bucket, int count, int64_t id,
			bool writes, bool backwards);
extern int check_atomic(ReefMemoryBucket *bucket, int count, int64_t id,
			bool writes, bool backwards);
extern void fold_all(Server *server);

#endif							/* REEF_TEST_DECIDE_FIXTURE_H */
