/*
 * repair_store.c
 *	  What repair writes: fences, and copies of what it sets aside.
 */
#include <stdlib.h>

#include "engine/repair.h"

#define PUT_RETRY_DELAY_US INT64_C(100000)

ReefCode
reef_repair_put(ReefRepair *repair, const char *key, ReefSlice bytes,
				ReefError *err)
{
	const ReefHost *host = repair->ns->host;
	ReefStore  *store = repair->ns->store;
	int64_t		deadline_us = host->now_us(host->arg) +
		repair->ns->settings->commit_timeout_us;

	for (;;)
	{
		ReefBuf		found;
		bool		is_ours;
		ReefCode	rc = reef_store_put_if_absent(store, key, bytes, err);

		if (rc != REEF_CONFLICT && rc != REEF_UNCERTAIN)
			return rc;
		reef_buf_init(&found);
		rc = reef_store_get(store, key, &found, err);
		is_ours = rc == REEF_OK &&
			reef_slice_equal(reef_buf_slice(&found), bytes);
		reef_buf_release(&found);
		if (is_ours)
			return REEF_OK;
		if (rc == REEF_OK)
			return reef_error_set(err, REEF_CONFLICT,
								  "another server writes to the namespace",
								  "object \"%s\"", key);
		if (host->now_us(host->arg) > deadline_us ||
			host->wait(host->arg, NULL, 0, PUT_RETRY_DELAY_US) != REEF_OK)
			return reef_error_set(err, REEF_UNCERTAIN,
								  "the outcome of a put is unknown",
								  "object \"%s\"", key);
	}
}

ReefCode
reef_repair_put_fence(ReefRepair *repair, uint64_t lsn, uint32_t previous_crc,
					  ReefWalHeader *header, ReefError *err)
{
	const ReefHost *host = repair->ns->host;
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefBuf		bytes;
	ReefCode	rc;

	memset(header, 0, sizeof(*header));
	memcpy(header->namespace_id, repair->namespace_id, 16);
	memcpy(header->cluster_id, repair->ns->settings->cluster_id, 16);
	host->random(host->arg, header->nonce, sizeof(header->nonce));
	header->lsn = lsn;
	header->epoch = repair->epoch + 1;
	header->time_ms = host->now_us(host->arg) / 1000;
	header->previous_crc = lsn == 1 ? 0 : previous_crc;
	reef_layout_wal_key(repair->ns->prefix, lsn, key);
	reef_buf_init(&bytes);
	rc = reef_wal_encode(header, NULL, &bytes, err);
	if (rc == REEF_OK && !repair->dry_run)
		rc = reef_repair_put(repair, key, reef_buf_slice(&bytes), err);
	reef_buf_release(&bytes);
	return rc;
}

/* ---- quarantine ---- */

typedef struct Copying
{
	ReefRepair *repair;
	const char *from;
	const char *to;
	uint64_t	size;
	uint8_t    *part;			/* [REEF_VERIFY_READ_SIZE] */
	uint8_t    *copied;
} Copying;

static size_t
part_size(const Copying *copying, uint64_t offset)
{
	uint64_t	left = copying->size - offset;

	return left < REEF_VERIFY_READ_SIZE ? (size_t) left :
		REEF_VERIFY_READ_SIZE;
}

static ReefCode
copy_object(Copying *copying, ReefError *err)
{
	ReefStore  *store = copying->repair->ns->store;
	ReefStoreWriter *writer;
	uint64_t	offset;
	ReefCode	rc = REEF_OK;

	REEF_TRY(reef_store_write_begin(store, copying->to, &writer, err));
	for (offset = 0; offset < copying->size && rc == REEF_OK;)
	{
		size_t		size = part_size(copying, offset);

		rc = reef_verify_step(&copying->repair->verify, size, err);
		if (rc == REEF_OK)
			rc = reef_store_get_range(store, copying->from, offset, size,
									  copying->part, err);
		if (rc == REEF_OK)
			rc = reef_store_write(writer, reef_slice(copying->part, size),
								  err);
		offset += size;
	}
	if (rc == REEF_OK)
		return reef_store_write_commit(writer, err);
	reef_store_write_abort(writer);
	return rc;
}

/* What is deleted next must really be there twice. */
static ReefCode
compare_objects(Copying *copying, ReefError *err)
{
	ReefStore  *store = copying->repair->ns->store;
	uint64_t	offset;

	for (offset = 0; offset < copying->size;)
	{
		size_t		size = part_size(copying, offset);

		REEF_TRY(reef_store_get_range(store, copying->from, offset, size,
									  copying->part, err));
		REEF_TRY(reef_store_get_range(store, copying->to, offset, size,
									  copying->copied, err));
		if (memcmp(copying->part, copying->copied, size) != 0)
			return reef_error_set(err, REEF_CORRUPT,
								  "a copy differs from its original",
								  "objects \"%s\" and \"%s\"", copying->from,
								  copying->to);
		offset += size;
	}
	return REEF_OK;
}

static ReefCode
copy_and_compare(ReefRepair *repair, const char *from, const char *to,
				 uint64_t size, ReefError *err)
{
	Copying		copying = {
		.repair = repair,
		.from = from,
		.to = to,
		.size = size
	};
	ReefCode	rc;

	copying.part = malloc(2 * REEF_VERIFY_READ_SIZE);
	if (copying.part == NULL)
		return reef_error_no_memory(err, 2 * REEF_VERIFY_READ_SIZE);
	copying.copied = copying.part + REEF_VERIFY_READ_SIZE;
	rc = copy_object(&copying, err);
	if (rc == REEF_OK)
		rc = compare_objects(&copying, err);
	free(copying.part);
	return rc;
}

ReefCode
reef_repair_quarantine(ReefRepair *repair, const char *key, bool *is_kept,
					   ReefError *err)
{
	ReefObjectInfo object;
	char		copy[REEF_OBJECT_KEY_SIZE];
	ReefCode	rc;

	*is_kept = false;
	rc = reef_store_head(repair->ns->store, key, &object, err);
	if (rc == REEF_NOT_FOUND)
		return REEF_OK;
	if (rc != REEF_OK)
		return rc;
	if (!reef_layout_quarantine_key(repair->ns->prefix, key, repair->run,
									copy))
		return reef_action_report(repair, err, "left in place", key,
								  "the name of a copy would be too long");
	if (!repair->dry_run)
		rc = copy_and_compare(repair, key, copy, object.size, err);
	if (reef_verify_is_damage(rc, err))
		return reef_action_report(repair, err, "left in place", key,
								  "the store does not give its bytes back: %s",
								  err->detail);
	if (rc != REEF_OK)
		return rc;
	*is_kept = true;
	return reef_action_report(repair, err, "quarantine", key,
							  "copied to \"%s\"", copy);
}
