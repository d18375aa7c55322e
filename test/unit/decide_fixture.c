/*
 * decide_fixture.c
 *	  What the tests of transactions over several namespaces are made of.
 */
#include "decide_fixture.h"

#include <string.h>

#include "unit.h"

Server
server_open(ReefMemoryBucket *bucket, uint8_t id, int count)
{
	static const char *const names[] = {"public/a", "public/c", "public/b"};
	/* in the order of the names */
	static const int order[PARTS_MAX][PARTS_MAX] = {{0}, {0, 1}, {0, 2, 1}};
	Server		server = {.owner = cluster_open(bucket, id), .count = count};

	for (int i = 0; i < count; i++)
		server.parts[i] = cluster_part_open(server.owner,
											names[order[count - 1][i]],
											10 + i);
	return server;
}

static void
close_parts(Server *server)
{
	for (int i = 0; i < server->count; i++)
		cluster_part_close(server->parts[i]);
}

void
server_close(Server *server)
{
	close_parts(server);
	cluster_close(server->owner);
}

void
server_crash(Server *server)
{
	close_parts(server);
	cluster_crash(server->owner);
}

FakeHost *
fake_of(const Server *server)
{
	return server->owner->fake;
}

/* ---- one transaction ---- */

static ReefFrame *
prepare_part(Transfer *transfer, int i, const ReefCoupling *coupling)
{
	ReefValue	values[2] = {
		{.as.int64 = transfer->id},
		{.as.bytes = reef_slice_of_string("v")}
	};
	ReefTxnPoint point = {1, 1};
	ReefFrame  *frame;
	ReefTxn    *txn;
	ReefError	err;
	bool		inserted;
	ReefCode	rc;

	reef_error_init(&err);
	rc = reef_txn_new(transfer->namespaces[i], &fixture_schema, &txn, &err);
	if (rc != REEF_OK)
		return NULL;
	rc = reef_txn_insert(txn, point, values, REEF_INSERT_ERROR, &inserted,
						 &err);
	if (rc == REEF_OK)
	{
		reef_txn_join_group(txn, &transfer->group);
		rc = reef_txn_prepare(txn, transfer->xid, coupling, &frame, &err);
	}
	reef_txn_free(txn);
	return rc == REEF_OK ? frame : NULL;
}

bool
transfer_begin(Transfer *transfer, Server *server, int64_t id)
{
	ReefError	err;

	reef_error_init(&err);
	memset(transfer, 0, sizeof(*transfer));
	transfer->server = server;
	transfer->id = id;
	transfer->xid = XID + (uint64_t) id - 1;
	transfer->outcome = REEF_FRAME_REJECTED;
	/* sorting is the engine's business */
	for (int i = 0; i < server->count; i++)
		transfer->namespaces[i] = server->parts[server->count - 1 - i]->ns;
	fake_host_set_xid(fake_of(server), transfer->xid, REEF_XID_IN_PROGRESS);
	return reef_group_begin(&transfer->group, transfer->namespaces,
							server->count, &err) == REEF_OK;
}

/* Commit the next frame; false if it is not durable. */
bool
transfer_step(Transfer *transfer, const ReefCoupling *coupling)
{
	int			i = transfer->next++;
	ReefFrame  *frame = prepare_part(transfer, i, coupling);
	ReefError	err;

	if (frame == NULL)
	{
		transfer->outcome = REEF_FRAME_REJECTED;
		return false;
	}
	reef_error_init(&err);
	(void) cluster_commit(transfer->server->parts[i], &frame, 1, &err);
	transfer->outcome = reef_frame_state(frame);
	if (transfer->outcome == REEF_FRAME_DURABLE)
		transfer->frames[i] = frame;
	else
		reef_frame_free(transfer->server->owner->host, frame);
	return transfer->outcome == REEF_FRAME_DURABLE;
}

void
free_frames(Transfer *transfer)
{
	for (int i = 0; i < PARTS_MAX; i++)
	{
		if (transfer->frames[i] != NULL)
			reef_frame_free(transfer->server->owner->host,
							transfer->frames[i]);
		transfer->frames[i] = NULL;
	}
}

/* As PostgreSQL ends it; what the client is told. */
ReefFrameState
transfer_end(Transfer *transfer)
{
	Server	   *server = transfer->server;
	int			last = server->count - 1;
	ReefFrameState decider = REEF_FRAME_REJECTED;
	ReefError	err;

	reef_error_init(&err);
	if (transfer->frames[last] != NULL)
		fake_host_set_xid(fake_of(server), transfer->xid, REEF_XID_COMMITTED);
	else
	{
		if (transfer->next == last + 1)
			decider = transfer->outcome;
		if (transfer->group.count > 0)
			UNIT_EQUAL_INT(reef_group_void(&transfer->group, transfer->frames,
										   decider, 0, &err),
						   decider == REEF_FRAME_UNKNOWN ? REEF_UNCERTAIN :
						   REEF_OK);
		fake_host_set_xid(fake_of(server), transfer->xid, REEF_XID_ABORTED);
	}
	free_frames(transfer);
	return transfer->outcome;
}

ReefFrameState
transfer_run(Server *server, int64_t id, const ReefCoupling *coupling)
{
	Transfer	transfer;

	if (transfer_begin(&transfer, server, id))
	{
		while (transfer.next < server->count &&
			   transfer_step(&transfer, coupling))
			;
	}
	return transfer_end(&transfer);
}

/* ---- the oracle ---- */

void
declare_xid(Server *server, ReefXidState state)
{
	fake_host_set_xid(fake_of(server), XID, state);
}

/* In how many namespaces is the row?  A server looks, that writes before if
 * "writes", from the first or from the last namespace on. */
int
presence_on(Server *server, int64_t id, bool writes, bool backwards)
{
	static int64_t other_id = 1000000;
	int			found = 0;
	char		v[100];

	for (int i = 0; i < server->count; i++)
	{
		int			place = backwards ? server->count - 1 - i : i;

		/* (a server that does not know that it is fenced learns it) */
		if (writes &&
			cluster_insert(server->parts[place], ++other_id,
						   "x") != REEF_FRAME_DURABLE)
			UNIT_EQUAL_INT(cluster_insert(server->parts[place], ++other_id,
										  "x"), REEF_FRAME_DURABLE);
	}
	for (int i = 0; i < server->count; i++)
	{
		int			place = backwards ? server->count - 1 - i : i;

		found += cluster_read(server->parts[place], id, NULL, v);
		(void) cluster_count(server->parts[place], NULL);
	}
	return found;
}

int
presence(ReefMemoryBucket *bucket, int count, int64_t id, bool writes,
		 bool backwards)
{
	Server		server = server_open(bucket, 99, count);
	int			found;

	declare_xid(&server, REEF_XID_COMMITTED);
	found = presence_on(&server, id, writes, backwards);
	server_close(&server);
	return found;
}

/* All or nothing, and for whoever comes later the same. */
int
check_atomic(ReefMemoryBucket *bucket, int count, int64_t id, bool writes,
			 bool backwards)
{
	int			found = presence(bucket, count, id, writes, backwards);

	UNIT_CHECK(found == 0 || found == count);
	for (int again = 0; again < 2; again++)
		UNIT_EQUAL_INT(presence(bucket, count, id, !writes, again == 0),
					   found);
	return found;
}

void
fold_all(Server *server)
{
	for (int i = 0; i < server->count; i++)
		(void) cluster_fold(server->parts[i]);
}
