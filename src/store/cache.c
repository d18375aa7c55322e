/*
 * cache.c
 *	  The blocks of the local cache: their files, and who finds them.
 *
 * Problem: a request to a store costs milliseconds and money, segments never
 * change, and the same parts of them are read by many processes.  A cache of
 * them must not outgrow its size whatever dies when, must not be waited for,
 * and must never give out anything but the bytes of the object [I10].
 *
 * Mechanism: the directory has room for a fixed number of blocks, the slots;
 * a slot's file is named after its number, so that there cannot be more of
 * them.  An index in shared memory has for each slot a hash of the identity of
 * its block and when it was last used.  A block may be in any slot of one set,
 * which its hash selects; of a full set the least recently used one goes.
 * Looking for a block, or for room, is a walk over one set, without a lock.
 *
 * A file is written under a temporary name and then renamed to its slot's.
 * Those files are counted too: an eighth of the slots is set aside for them.
 *
 *	  block-<slot, 8 hexadecimal digits>
 *	  temporary-<16 hexadecimal digits>
 *
 *	   0	8	magic
 *	   8	4	CRC-32C of the header from byte 12 on
 *	  12	4	CRC-32C of the block
 *	  16	4	size of the block
 *	  20	4	size of the identity
 *	  24	8	object's size
 *	  32	8	number of the block in the object
 *	  40	64	SHA-256 of the store's location and endpoint, hexadecimal
 *	 104		object's key; then zeros up to REEF_CACHE_HEADER_SIZE
 *
 * Consequence: the index is only a hint.  Two processes may race for a slot, a
 * file may be torn, swapped or from another time: whoever opens it compares
 * the identity in it with what is wanted, and both checksums, and what
 * differs is a miss, and removed.  For the same reason nothing is fsynced:
 * after a power failure a file may be anything, and then it is not a hit.
 * Keys of segments are random and never used twice, so a namespace that was
 * dropped and made again cannot meet its old blocks.
 *
 * Memory is set up anew when the server starts, also after a crash of one of
 * its processes.  The first process then reads all headers (their order
 * of use is lost) and removes temporary files.
 *
 * An error of the disk is no error of a query: nothing is kept for a minute,
 * and a warning says so.
 */
#include "store/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "store/store.h"

#define FILE_SIZE (REEF_CACHE_HEADER_SIZE + REEF_CACHE_BLOCK_SIZE)
#define WAYS 64					/* slots of a set */
#define TAG_NONE UINT64_C(0)
#define TAG_CLAIMED UINT64_C(1) /* somebody is replacing its file */
#define TAG_FIRST UINT64_C(2)
#define CLAIM_TRIES 4
#define PAUSE_US INT64_C(60000000)
#define NAME_SIZE 32
#define MAGIC "REEFBLK1"
#define CHECKED_FROM 12			/* bytes of the header under its checksum */
#define IDENTITY_OFFSET 24
#define IDENTITY_MAX \
	(16 + REEF_CACHE_IDENTITY_SIZE + REEF_STORE_KEY_MAX_SIZE)

typedef enum CacheState
{
	STATE_NEW = 0,
	STATE_SCANNING,
	STATE_READY
} CacheState;

typedef struct CacheSlot
{
	_Atomic uint64_t tag;
	_Atomic uint64_t used;		/* the higher the more recently */
} CacheSlot;

struct ReefCacheShared
{
	_Atomic int state;
	_Atomic int64_t paused_until_us;
	_Atomic uint64_t clock;		/* counts uses */
	_Atomic uint32_t part_count;	/* temporary files */
	uint32_t	part_max;
	uint32_t	slot_count;		/* a multiple of way_count */
	uint32_t	way_count;
	CacheSlot	slots[];
};

struct ReefCache
{
	const ReefHost *host;
	ReefCacheShared *shared;
	char	   *directory;
	int			fd;
	uint8_t    *file;			/* FILE_SIZE: one file's bytes */
};

/* What a header says about the block, or shall say. */
typedef struct Identity
{
	uint8_t		bytes[IDENTITY_MAX];
	size_t		size;
	uint64_t	tag;
} Identity;

/* ---- the index ---- */

static void
count_slots(uint64_t cache_size, uint32_t *slots, uint32_t *ways,
			uint32_t *parts)
{
	uint64_t	files = cache_size / FILE_SIZE;
	uint64_t	rest;

	if (files > INT32_MAX)
		files = INT32_MAX;
	*parts = (uint32_t) (files / 8 < 1 ? 1 : files / 8);
	rest = files > *parts ? files - *parts : 0;
	*ways = (uint32_t) (rest < WAYS ? rest : WAYS);
	*slots = *ways == 0 ? 0 : (uint32_t) (rest - rest % *ways);
}

size_t
reef_cache_shared_size(uint64_t cache_size)
{
	uint32_t	slots;
	uint32_t	ways;
	uint32_t	parts;

	count_slots(cache_size, &slots, &ways, &parts);
	if (slots == 0)
		return 0;
	return sizeof(ReefCacheShared) + slots * sizeof(CacheSlot);
}

void
reef_cache_shared_init(ReefCacheShared *shared, uint64_t cache_size)
{
	memset(shared, 0, reef_cache_shared_size(cache_size));
	count_slots(cache_size, &shared->slot_count, &shared->way_count,
				&shared->part_max);
}

uint64_t
reef_cache_capacity(const ReefCacheShared *shared)
{
	return shared->slot_count * (uint64_t) REEF_CACHE_BLOCK_SIZE;
}

/* The first slot of the set. */
static uint32_t
set_of(const ReefCacheShared *shared, uint64_t tag)
{
	uint32_t	sets = shared->slot_count / shared->way_count;

	return (uint32_t) (tag >> 32) % sets * shared->way_count;
}

static void
touch(ReefCacheShared *shared, uint32_t slot)
{
	atomic_store_explicit(&shared->slots[slot].used,
						  atomic_fetch_add(&shared->clock, 1) + 1,
						  memory_order_relaxed);
}

/* The next slot from "from" on that may have the block; false: none has. */
static bool
next_slot(const ReefCacheShared *shared, uint64_t tag, uint32_t *from)
{
	uint32_t	end = set_of(shared, tag) + shared->way_count;

	for (; *from < end; (*from)++)
	{
		if (atomic_load(&shared->slots[*from].tag) == tag)
			return true;
	}
	return false;
}

/*
 * Take a slot of the set, an empty one or else the least recently used.  Who
 * has it publishes or empties it before doing anything that could end it.
 */
static bool
claim_slot(ReefCacheShared *shared, uint64_t tag, uint32_t *slot,
		   bool *is_eviction)
{
	uint32_t	first = set_of(shared, tag);

	for (int attempt = 0; attempt < CLAIM_TRIES; attempt++)
	{
		uint64_t	oldest = UINT64_MAX;
		uint64_t	victim_tag = TAG_CLAIMED;
		uint32_t	victim = first;

		for (uint32_t i = first; i < first + shared->way_count; i++)
		{
			uint64_t	here = atomic_load(&shared->slots[i].tag);
			uint64_t	used = here == TAG_NONE ? 0 :
				atomic_load(&shared->slots[i].used);

			if (here == TAG_CLAIMED || (victim_tag != TAG_CLAIMED &&
										used >= oldest))
				continue;
			oldest = used;
			victim = i;
			victim_tag = here;
			if (here == TAG_NONE)
				break;
		}
		if (victim_tag == TAG_CLAIMED)
			return false;
		*slot = victim;
		*is_eviction = victim_tag != TAG_NONE;
		if (atomic_compare_exchange_strong(&shared->slots[victim].tag,
										   &victim_tag, TAG_CLAIMED))
			return true;
	}
	return false;
}

/* ---- headers ---- */

/* FNV-1a, and what it lacks: bits that depend on all of the input. */
static uint64_t
tag_of(const uint8_t *bytes, size_t size)
{
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	hash ^= hash >> 33;
	return hash < TAG_FIRST ? hash + TAG_FIRST : hash;
}

static void
set_identity(const ReefCacheBlock *block, Identity *identity)
{
	size_t		key_size = strnlen(block->key, REEF_STORE_KEY_MAX_SIZE);

	reef_put_u64(identity->bytes, block->object_size);
	reef_put_u64(identity->bytes + 8, block->number);
	memcpy(identity->bytes + 16, block->store, REEF_CACHE_IDENTITY_SIZE);
	memcpy(identity->bytes + 16 + REEF_CACHE_IDENTITY_SIZE, block->key,
		   key_size);
	identity->size = 16 + REEF_CACHE_IDENTITY_SIZE + key_size;
	identity->tag = tag_of(identity->bytes, identity->size);
}

static void
make_header(const Identity *identity, const ReefCachePart *part,
			uint8_t *header)
{
	memset(header, 0, REEF_CACHE_HEADER_SIZE);
	memcpy(header, MAGIC, 8);
	reef_put_u32(header + 12, part->crc);
	reef_put_u32(header + 16, part->size);
	reef_put_u32(header + 20, (uint32_t) identity->size);
	memcpy(header + IDENTITY_OFFSET, identity->bytes, identity->size);
	reef_put_u32(header + 8, reef_crc32c(0, header + CHECKED_FROM,
										 REEF_CACHE_HEADER_SIZE -
										 CHECKED_FROM));
}

/* Is it a whole header, of a block of this size? */
static bool
header_is_sound(const uint8_t *header, uint64_t block_size)
{
	return memcmp(header, MAGIC, 8) == 0 &&
		reef_get_u32(header + 8) == reef_crc32c(0, header + CHECKED_FROM,
												REEF_CACHE_HEADER_SIZE -
												CHECKED_FROM) &&
		reef_get_u32(header + 16) == block_size &&
		reef_get_u32(header + 20) <= IDENTITY_MAX;
}

static bool
is_wanted(const uint8_t *header, const Identity *identity)
{
	return reef_get_u32(header + 20) == identity->size &&
		memcmp(header + IDENTITY_OFFSET, identity->bytes,
			   identity->size) == 0;
}

/* ---- files ---- */

static void
slot_name(uint32_t slot, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "block-%08" PRIx32, slot);
}

static void
part_name(const ReefCachePart *part, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "temporary-%016" PRIx64, part->name);
}

/* The disk has failed: do without the cache for a while, and say so once. */
static void
pause_cache(ReefCache *cache, const char *what, int os_errno)
{
	int64_t		now = cache->host->now_us(cache->host->arg);
	int64_t		until = atomic_load(&cache->shared->paused_until_us);
	char		text[100];
	char		line[PATH_MAX + 300];

	if (until > now ||
		!atomic_compare_exchange_strong(&cache->shared->paused_until_us,
										&until, now + PAUSE_US))
		return;
	snprintf(line, sizeof(line),
			 "local cache is not used for a minute: could not %s a file in directory \"%s\": %s",
			 what, cache->directory,
			 strerror_r(os_errno, text, sizeof(text)));
	cache->host->log(cache->host->arg, REEF_LOG_WARNING, line);
}

bool
reef_cache_is_usable(const ReefCache *cache)
{
	int64_t		until = atomic_load(&cache->shared->paused_until_us);
	int64_t		now;

	if (atomic_load(&cache->shared->state) != STATE_READY)
		return false;
	if (until == 0)
		return true;
	now = cache->host->now_us(cache->host->arg);
	/* a clock that was set back pauses nothing for longer */
	return until <= now || until > now + PAUSE_US;
}

/* All of a file that fits; -1 with errno. */
static ssize_t
read_file(const ReefCache *cache, const char *name, void *out, size_t size)
{
	int			fd = openat(cache->fd, name,
							O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	size_t		done = 0;
	int			os_errno;

	if (fd < 0)
		return -1;
	while (done < size)
	{
		ssize_t		got = read(fd, (char *) out + done, size - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
		{
			os_errno = errno;
			close(fd);
			errno = os_errno;
			return -1;
		}
		if (got == 0)
			break;
		done += (size_t) got;
	}
	close(fd);
	return (ssize_t) done;
}

static bool
write_at(int fd, const void *bytes, size_t size, size_t offset)
{
	while (size > 0)
	{
		ssize_t		done = pwrite(fd, bytes, size, (off_t) offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
		{
			if (done == 0)
				errno = ENOSPC;
			return false;
		}
		bytes = (const char *) bytes + done;
		size -= (size_t) done;
		offset += (size_t) done;
	}
	return true;
}

/* What is in the slot is not what the index says: empty it. */
static void
empty_slot(ReefCache *cache, uint32_t slot, uint64_t tag)
{
	_Atomic uint64_t *place = &cache->shared->slots[slot].tag;
	char		name[NAME_SIZE];

	/* somebody else may have put something better there meanwhile */
	if (!atomic_compare_exchange_strong(place, &tag, TAG_CLAIMED))
		return;
	slot_name(slot, name);
	(void) unlinkat(cache->fd, name, 0);
	atomic_store(place, TAG_NONE);
}

/* ---- blocks ---- */

bool
reef_cache_has(const ReefCache *cache, const ReefCacheBlock *block)
{
	Identity	identity;
	uint32_t	slot;

	if (!reef_cache_is_usable(cache))
		return false;
	set_identity(block, &identity);
	slot = set_of(cache->shared, identity.tag);
	return next_slot(cache->shared, identity.tag, &slot);
}

ReefSlice
reef_cache_find(ReefCache *cache, const ReefCacheBlock *block)
{
	ReefCacheShared *shared = cache->shared;
	const uint8_t *header = cache->file;
	Identity	identity;

	if (!reef_cache_is_usable(cache))
		return reef_slice(NULL, 0);
	set_identity(block, &identity);
	for (uint32_t slot = set_of(shared, identity.tag);
		 next_slot(shared, identity.tag, &slot); slot++)
	{
		const uint8_t *bytes = header + REEF_CACHE_HEADER_SIZE;
		char		name[NAME_SIZE];
		ssize_t		got;
		size_t		size;

		slot_name(slot, name);
		got = read_file(cache, name, cache->file, FILE_SIZE);
		if (got < 0 && (errno == EMFILE || errno == ENFILE))
			continue;
		if (got < 0 && errno != ENOENT)
			pause_cache(cache, "read", errno);
		size = got < (ssize_t) REEF_CACHE_HEADER_SIZE ? 0 :
			(size_t) got - REEF_CACHE_HEADER_SIZE;
		if (size > 0 && header_is_sound(header, size) &&
			is_wanted(header, &identity) &&
			reef_crc32c(0, bytes, size) == reef_get_u32(header + 12))
		{
			touch(shared, slot);
			return reef_slice(bytes, size);
		}
		empty_slot(cache, slot, identity.tag);
	}
	return reef_slice(NULL, 0);
}

static bool
reserve_part(ReefCacheShared *shared)
{
	if (atomic_fetch_add(&shared->part_count, 1) < shared->part_max)
		return true;
	atomic_fetch_sub(&shared->part_count, 1);
	return false;
}

bool
reef_cache_part_write(ReefCache *cache, ReefSlice bytes, ReefCachePart *part)
{
	char		name[NAME_SIZE];
	int			fd;
	int			os_errno = 0;

	part->name = 0;
	if (!reef_cache_is_usable(cache) || !reserve_part(cache->shared))
		return false;
	cache->host->random(cache->host->arg, &part->name, sizeof(part->name));
	part->name |= 1;
	part->size = (uint32_t) bytes.size;
	part->crc = reef_crc32c(0, bytes.data, bytes.size);
	part_name(part, name);
	fd = openat(cache->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
				O_CLOEXEC, 0600);
	if (fd < 0)
		os_errno = errno;
	else
	{
		if (!write_at(fd, bytes.data, bytes.size, REEF_CACHE_HEADER_SIZE))
			os_errno = errno;
		close(fd);
	}
	if (os_errno == 0)
		return true;
	if (os_errno != EMFILE && os_errno != ENFILE)
		pause_cache(cache, "write", os_errno);
	reef_cache_part_discard(cache, part);
	return false;
}

void
reef_cache_part_discard(ReefCache *cache, ReefCachePart *part)
{
	char		name[NAME_SIZE];

	if (part->name == 0)
		return;
	part_name(part, name);
	/* if this fails the next start of the server tries again */
	(void) unlinkat(cache->fd, name, 0);
	part->name = 0;
	atomic_fetch_sub(&cache->shared->part_count, 1);
}

/* Complete a temporary file by its header; 0 or errno. */
static int
write_header(const ReefCache *cache, const char *name,
			 const Identity *identity, const ReefCachePart *part)
{
	int			fd = openat(cache->fd, name,
							O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	int			os_errno = 0;

	if (fd < 0)
		return errno;
	make_header(identity, part, cache->file);
	if (!write_at(fd, cache->file, REEF_CACHE_HEADER_SIZE, 0))
		os_errno = errno;
	close(fd);
	return os_errno;
}

void
reef_cache_part_publish(ReefCache *cache, const ReefCacheBlock *block,
						ReefCachePart *part, ReefCacheCounters *counters)
{
	ReefCacheShared *shared = cache->shared;
	char		name[NAME_SIZE];
	char		slot_file[NAME_SIZE];
	Identity	identity;
	uint32_t	slot;
	bool		is_eviction;
	int			os_errno;

	set_identity(block, &identity);
	part_name(part, name);
	slot = set_of(shared, identity.tag);
	if (next_slot(shared, identity.tag, &slot))
	{
		/* another process was faster */
		reef_cache_part_discard(cache, part);
		return;
	}
	os_errno = write_header(cache, name, &identity, part);
	if (os_errno == 0 &&
		claim_slot(shared, identity.tag, &slot, &is_eviction))
	{
		slot_name(slot, slot_file);
		if (renameat(cache->fd, name, cache->fd, slot_file) != 0)
			os_errno = errno;
		else
		{
			counters->evictions += is_eviction;
			counters->filled_bytes += part->size;
			touch(shared, slot);
			part->name = 0;
			atomic_fetch_sub(&shared->part_count, 1);
		}
		atomic_store(&shared->slots[slot].tag,
					 os_errno == 0 ? identity.tag : TAG_NONE);
	}
	if (os_errno != 0 && os_errno != EMFILE && os_errno != ENFILE)
		pause_cache(cache, "write", os_errno);
	reef_cache_part_discard(cache, part);
}

void
reef_cache_insert(ReefCache *cache, const ReefCacheBlock *block,
				  ReefSlice bytes, ReefCacheCounters *counters)
{
	ReefCachePart part;

	if (!reef_cache_has(cache, block) &&
		reef_cache_part_write(cache, bytes, &part))
		reef_cache_part_publish(cache, block, &part, counters);
}

/* ---- opening ---- */

static ReefCode
cannot_open(ReefError *err, const char *directory, const char *fault)
{
	return reef_error_set(err, REEF_INVALID,
						  "directory of the local cache cannot be used",
						  "directory \"%.500s\": %s", directory, fault);
}

/* The directory, made if need be, and nobody's but ours. */
static ReefCode
open_directory(const char *directory, int *result, ReefError *err)
{
	struct stat status;
	const char *fault = NULL;
	int			fd;

	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return cannot_open(err, directory, strerror(errno));
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cannot_open(err, directory, errno == ELOOP || errno == ENOTDIR ?
						   "it is a symbolic link or no directory" :
						   strerror(errno));
	if (fstat(fd, &status) != 0)
		fault = strerror(errno);
	else if (status.st_uid != geteuid())
		fault = "it belongs to somebody else";
	else if ((status.st_mode & 0077) != 0)
		fault = "others may enter it; its mode must be 0700";
	if (fault != NULL)
	{
		close(fd);
		return cannot_open(err, directory, fault);
	}
	*result = fd;
	return REEF_OK;
}

/* Put what a file says that it is into the index; false: it is of no use. */
static bool
index_file(ReefCache *cache, const char *name, uint32_t slot)
{
	const uint8_t *header = cache->file;
	ReefCacheShared *shared = cache->shared;
	struct stat status;
	uint64_t	tag;
	uint32_t	set;

	if (slot >= shared->slot_count ||
		fstatat(cache->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
		!S_ISREG(status.st_mode) ||
		status.st_size <= (off_t) REEF_CACHE_HEADER_SIZE ||
		status.st_size > (off_t) FILE_SIZE ||
		read_file(cache, name, cache->file, REEF_CACHE_HEADER_SIZE) !=
		(ssize_t) REEF_CACHE_HEADER_SIZE ||
		!header_is_sound(header, (uint64_t) status.st_size -
						 REEF_CACHE_HEADER_SIZE))
		return false;
	tag = tag_of(header + IDENTITY_OFFSET, reef_get_u32(header + 20));
	set = set_of(shared, tag);
	if (slot < set || slot >= set + shared->way_count)
		return false;
	atomic_store(&shared->slots[slot].tag, tag);
	return true;
}

/* Is it "<prefix><so many hexadecimal digits>"? */
static bool
parse_name(const char *name, const char *prefix, size_t digits,
		   uint64_t *number)
{
	const char *rest = name + strlen(prefix);
	char	   *end;

	if (strncmp(name, prefix, strlen(prefix)) != 0 ||
		strlen(rest) != digits || strspn(rest, "0123456789abcdef") != digits)
		return false;
	*number = strtoull(rest, &end, 16);
	return true;
}

/* Find out what is there.  Files that are not named as ours are let be. */
static ReefCode
scan_directory(ReefCache *cache, ReefError *err)
{
	int			fd = openat(cache->fd, ".",
							O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR		   *entries = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (entries == NULL)
	{
		int			os_errno = errno;

		if (fd >= 0)
			close(fd);
		return cannot_open(err, cache->directory, strerror(os_errno));
	}
	while ((entry = readdir(entries)) != NULL &&
		   !cache->host->cancelled(cache->host->arg))
	{
		uint64_t	number;

		if (parse_name(entry->d_name, "temporary-", 16, &number) ||
			(parse_name(entry->d_name, "block-", 8, &number) &&
			 !index_file(cache, entry->d_name, (uint32_t) number)))
			(void) unlinkat(cache->fd, entry->d_name, 0);
	}
	closedir(entries);
	/* what was not looked at would be beyond our control */
	if (entry != NULL)
		return reef_error_set(err, REEF_CANCELLED,
							  "local cache was not opened", NULL);
	return REEF_OK;
}

/* ... unless somebody else has done it, or is about to. */
static ReefCode
scan_once(ReefCache *cache, ReefError *err)
{
	int			state = STATE_NEW;
	ReefCode	rc;

	if (!atomic_compare_exchange_strong(&cache->shared->state, &state,
										STATE_SCANNING))
		return REEF_OK;
	rc = scan_directory(cache, err);
	atomic_store(&cache->shared->state,
				 rc == REEF_OK ? STATE_READY : STATE_NEW);
	return rc;
}

ReefCode
reef_cache_open(const ReefHost *host, ReefCacheShared *shared,
				const char *directory, ReefCache **result, ReefError *err)
{
	ReefCache  *cache = calloc(1, sizeof(*cache));
	size_t		size = strlen(directory);
	ReefCode	rc = REEF_OK;

	if (cache == NULL)
		return reef_error_no_memory(err, sizeof(*cache));
	cache->host = host;
	cache->shared = shared;
	cache->fd = -1;
	/* a slash at the end would follow a symbolic link */
	while (size > 1 && directory[size - 1] == '/')
		size--;
	cache->directory = strndup(directory, size);
	cache->file = malloc(FILE_SIZE);
	if (cache->directory == NULL || cache->file == NULL)
		rc = reef_error_no_memory(err, FILE_SIZE);
	if (rc == REEF_OK)
		rc = open_directory(cache->directory, &cache->fd, err);
	if (rc == REEF_OK)
		rc = scan_once(cache, err);
	if (rc != REEF_OK)
	{
		reef_cache_close(cache);
		return rc;
	}
	*result = cache;
	return REEF_OK;
}

void
reef_cache_close(ReefCache *cache)
{
	if (cache == NULL)
		return;
	if (cache->fd >= 0)
		close(cache->fd);
	free(cache->directory);
	free(cache->file);
	free(cache);
}
