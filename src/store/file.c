/*
 * file.c
 *	  A directory as an object store.
 *
 * An object must appear whole or not at all, at most once, and stay.  So its
 * bytes are written to a fresh file in <root>/.tmp and made durable there;
 * link(2) then gives the file its name, which fails if the name exists; and
 * fsync of the directory makes the name durable.  A crash leaves temporary
 * files at most.  Opening the store removes those that nobody has written to
 * for an hour.
 *
 * Directories are created when the first object in them is put, and made
 * durable in their parents before they are used.  Nothing removes them.
 *
 * renameat2(RENAME_NOREPLACE) would save the unlink of the temporary name,
 * but not every file system has it (NFS does not), and it is no faster.
 * Objects of 4 KiB a second (test/bench/file_publish.c), six alternating runs
 * of each on ext4 on a busy machine with 2 cores:
 *
 *	  1 client		link 667-2440 (median 868), rename 583-1118 (median 845)
 *	  8 clients		link 874-1344 (median 1057), rename 871-1199 (median 1083)
 *
 * The file system's journal commits set the pace.  Renaming serves where the
 * file system has no hard links.
 *
 * What others may have left half done counts as well.  A put that finds the
 * name taken fsyncs the directory before it says so, because whoever took it
 * may have been killed before doing it, and the caller may recognize its own
 * bytes and call them durable.  For the same reason a get of an object whose
 * directory could not be synced by this handle syncs it first.
 *
 * Ranges are read through a few descriptors that stay open, the least
 * recently used one making room.  Objects never change, so the only thing
 * such a descriptor can miss is a delete, and then it keeps readable what a
 * reader had begun to read.
 */
#include "store/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file_tree.h"

#define OPEN_FILES 32
#define TEMP_NAME_SIZE 33		/* 32 hexadecimal digits and NUL */
#define TEMP_MAX_AGE_US (INT64_C(3600) * 1000000)
#define CHUNK_SIZE ((size_t) 1024 * 1024)	/* between looks at "cancelled" */

/* An object kept open for range reads */
typedef struct OpenFile
{
	char		key[REEF_STORE_KEY_MAX_SIZE + 1];	/* "" = unused */
	int			fd;
	uint64_t	used;			/* the higher the more recently */
} OpenFile;

typedef struct FileStore
{
	const ReefHost *host;
	bool		read_only;
	int			root_fd;
	int			temp_fd;		/* <root>/.tmp, or -1: not opened yet */
	uint64_t	use_counter;
	OpenFile	files[OPEN_FILES];

	/* object whose directory could not be synced, or "" */
	char		unsynced_key[REEF_STORE_KEY_MAX_SIZE + 1];
} FileStore;

/* An object being written; also the writer of a stream. */
typedef struct TempFile
{
	int			fd;
	uint64_t	size;
	bool		damaged;		/* its bytes may not have reached the disk */
	char		name[TEMP_NAME_SIZE];
	char		key[REEF_STORE_KEY_MAX_SIZE + 1];	/* what it shall become */
} TempFile;

/* ---- temporary files ---- */

static ReefCode
open_temp_directory(FileStore *store, ReefError *err)
{
	const char *name;

	return reef_file_open_parent(store->root_fd,
								 REEF_FILE_TEMP_DIRECTORY "/", true,
								 &store->temp_fd, &name, err);
}

static void
temp_discard(FileStore *store, TempFile *temp)
{
	close(temp->fd);
	/* If this fails the next open of the store tries again. */
	(void) unlinkat(store->temp_fd, temp->name, 0);
}

static ReefCode
temp_create(FileStore *store, const char *key, TempFile *temp, ReefError *err)
{
	uint64_t	random[2];

	memset(temp, 0, sizeof(*temp));
	memcpy(temp->key, key, strlen(key) + 1);
	for (int attempt = 0;; attempt++)
	{
		if (store->temp_fd < 0)
			REEF_TRY(open_temp_directory(store, err));
		store->host->random(store->host->arg, random, sizeof(random));
		snprintf(temp->name, sizeof(temp->name), "%016llx%016llx",
				 (unsigned long long) random[0],
				 (unsigned long long) random[1]);
		temp->fd = openat(store->temp_fd, temp->name,
						  O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (temp->fd >= 0)
			return REEF_OK;
		if (errno != ENOENT || attempt > 0)
			break;
		/* Somebody has removed the directory. */
		close(store->temp_fd);
		store->temp_fd = -1;
	}
	return reef_file_error(err, errno == ENOENT ? ESTALE : errno,
						   "could not create a temporary file", key);
}

/* All of the bytes, or none as far as temp->size tells. */
static ReefCode
temp_append(const FileStore *store, TempFile *temp, ReefSlice bytes,
			ReefError *err)
{
	size_t		done = 0;

	while (done < bytes.size)
	{
		size_t		size = bytes.size - done;
		ssize_t		written;

		if (store->host->cancelled(store->host->arg))
			return reef_error_set(err, REEF_CANCELLED,
								  "store request was cancelled", NULL);
		if (size > CHUNK_SIZE)
			size = CHUNK_SIZE;
		written = pwrite(temp->fd, bytes.data + done, size,
						 (off_t) (temp->size + done));
		if (written > 0)
			done += (size_t) written;
		else if (written == 0 || errno != EINTR)
			return reef_file_error(err, written == 0 ? ENOSPC : errno,
								   "could not write an object", temp->key);
	}
	temp->size += bytes.size;
	return REEF_OK;
}

/*
 * Make the bytes durable.  After a failure the kernel may have dropped them
 * and report success the next time, so that there is no second chance.
 */
static ReefCode
temp_sync(TempFile *temp, ReefError *err)
{
	int			rc;

	if (temp->damaged)
		return reef_file_error(err, EIO, "could not make an object durable",
							   temp->key);
	do
		rc = fdatasync(temp->fd);
	while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return REEF_OK;
	temp->damaged = true;
	return reef_file_error(err, errno, "could not make an object durable",
						   temp->key);
}

/* Give the temporary file its name unless that exists; an errno or 0. */
static int
temp_link(const FileStore *store, const TempFile *temp, int directory_fd,
		  const char *name)
{
	struct stat status;
	int			os_errno;

	if (linkat(store->temp_fd, temp->name, directory_fd, name, 0) == 0)
		return 0;
	os_errno = errno;
	if (os_errno == EPERM || os_errno == EOPNOTSUPP || os_errno == ENOSYS)
	{
		/* perhaps a file system without hard links */
		if (renameat2(store->temp_fd, temp->name, directory_fd, name,
					  RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EINVAL && errno != ENOSYS)
			os_errno = errno;
	}

	/* An NFS client may have sent the request twice and met itself. */
	if (fstat(temp->fd, &status) == 0 && status.st_nlink == 2)
		return 0;
	return os_errno;
}

/*
 * Publish a complete temporary file under its key, with the outcomes of
 * put_if_absent.  The temporary name remains.
 */
static ReefCode
temp_publish(FileStore *store, TempFile *temp, ReefError *err)
{
	const char *name;
	int			directory_fd;
	int			link_errno;
	int			sync_errno = 0;
	struct stat status;
	ReefCode	rc;

	REEF_TRY(temp_sync(temp, err));
	REEF_TRY(reef_file_open_parent(store->root_fd, temp->key, true,
								   &directory_fd, &name, err));
	link_errno = temp_link(store, temp, directory_fd, name);
	if (link_errno == 0 || link_errno == EEXIST)
		sync_errno = reef_file_sync(directory_fd);

	if (sync_errno != 0)
	{
		memcpy(store->unsynced_key, temp->key, sizeof(temp->key));
		rc = reef_error_set_errno(err, REEF_UNCERTAIN, sync_errno,
								  "could not make an object's name durable",
								  "object %s", temp->key);
	}
	else if (link_errno == 0)
		rc = REEF_OK;
	else if (link_errno == EEXIST)
	{
		if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
			!S_ISREG(status.st_mode))
			rc = reef_error_set(err, REEF_INVALID,
								"something that is not an object is in its "
								"place", "object %s", temp->key);
		else
			rc = reef_error_set(err, REEF_CONFLICT, "object exists already",
								"object %s", temp->key);
	}
	else if (link_errno == EIO || link_errno == EINTR ||
			 link_errno == ETIMEDOUT)
		rc = reef_error_set_errno(err, REEF_UNCERTAIN, link_errno,
								  "could not name an object", "object %s",
								  temp->key);
	else
		rc = reef_file_error(err, link_errno == ENOENT ? ESTALE : link_errno,
							 "could not name an object", temp->key);
	close(directory_fd);
	return rc;
}

/* The file system's clock, by the time it gives to a new file. */
static ReefCode
file_system_now(FileStore *store, int64_t *now_us, ReefError *err)
{
	TempFile	temp;
	struct stat status;
	ReefObjectInfo info;
	int			os_errno = 0;

	REEF_TRY(temp_create(store, "(store clock)", &temp, err));
	if (fstat(temp.fd, &status) != 0)
		os_errno = errno;
	temp_discard(store, &temp);
	if (os_errno != 0)
		return reef_file_error(err, os_errno, "could not read the store's "
							   "clock", "(store clock)");
	reef_file_describe(&status, &info);
	*now_us = info.modified_us;
	return REEF_OK;
}

/*
 * Remove what crashes have left in the directory of temporary files.  What
 * cannot be removed is left to the next open: a full or read-only disk must
 * not keep anybody from reading.
 */
static void
remove_old_temps(FileStore *store)
{
	ReefError	err;
	int64_t		now_us = 0;		/* 0 = not asked for yet, which is not free */
	DIR		   *directory;
	struct dirent *entry;
	int			fd;

	reef_error_init(&err);
	if (open_temp_directory(store, &err) != REEF_OK)
	{
		store->host->log(store->host->arg, REEF_LOG_INFO, err.message);
		return;
	}
	fd = openat(store->temp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	directory = fd < 0 ? NULL : fdopendir(fd);
	if (directory == NULL)
	{
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(directory)) != NULL)
	{
		struct stat status;
		ReefObjectInfo info;

		if (strlen(entry->d_name) != TEMP_NAME_SIZE - 1 ||
			strspn(entry->d_name, "0123456789abcdef") != TEMP_NAME_SIZE - 1)
			continue;
		if (now_us == 0 && file_system_now(store, &now_us, &err) != REEF_OK)
		{
			store->host->log(store->host->arg, REEF_LOG_INFO, err.message);
			break;
		}
		if (fstatat(store->temp_fd, entry->d_name, &status,
					AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		reef_file_describe(&status, &info);
		if (S_ISREG(status.st_mode) &&
			now_us - info.modified_us > TEMP_MAX_AGE_US)
			(void) unlinkat(store->temp_fd, entry->d_name, 0);
	}
	closedir(directory);
}

/* ---- reading ---- */

static ReefCode
object_open(const FileStore *store, const char *key, int *fd, uint64_t *size,
			ReefError *err)
{
	struct stat status;
	const char *name;
	int			directory_fd;
	int			os_errno;

	REEF_TRY(reef_file_check_key(key, err));
	REEF_TRY(reef_file_open_parent(store->root_fd, key, false, &directory_fd,
								   &name, err));
	/* O_NONBLOCK: whatever is in the object's place, do not hang on it. */
	*fd = openat(directory_fd, name,
				 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	os_errno = errno;
	close(directory_fd);
	if (*fd < 0)
		return reef_file_error(err, os_errno, "could not open an object", key);
	if (fstat(*fd, &status) != 0)
	{
		os_errno = errno;
		close(*fd);
		return reef_file_error(err, os_errno, "could not examine an object",
							   key);
	}
	if (!S_ISREG(status.st_mode))
	{
		close(*fd);
		return reef_error_set(err, REEF_CORRUPT,
							  "object is not a regular file", "object %s",
							  key);
	}
	*size = (uint64_t) status.st_size;
	return REEF_OK;
}

static ReefCode
read_fully(const FileStore *store, int fd, const char *key, uint64_t offset,
		   size_t size, uint8_t *out, ReefError *err)
{
	size_t		done = 0;

	while (done < size)
	{
		size_t		chunk = size - done;
		ssize_t		got;

		if (done > 0 && store->host->cancelled(store->host->arg))
			return reef_error_set(err, REEF_CANCELLED,
								  "store request was cancelled", NULL);
		if (chunk > CHUNK_SIZE)
			chunk = CHUNK_SIZE;
		got = pread(fd, out + done, chunk, (off_t) (offset + done));
		if (got > 0)
			done += (size_t) got;
		else if (got == 0)
			return reef_error_set(err, REEF_CORRUPT,
								  "object is shorter than expected",
								  "object %s ends at byte %llu, expected %llu",
								  key, (unsigned long long) (offset + done),
								  (unsigned long long) (offset + size));
		else if (errno != EINTR)
			return reef_file_error(err, errno, "could not read an object",
								   key);
	}
	return REEF_OK;
}

/* Sync what an earlier put of this object could not; see the top. */
static ReefCode
settle_name(FileStore *store, const char *key, ReefError *err)
{
	const char *name;
	int			directory_fd;
	int			os_errno;

	if (strcmp(store->unsynced_key, key) != 0)
		return REEF_OK;
	REEF_TRY(reef_file_open_parent(store->root_fd, key, false, &directory_fd,
								   &name, err));
	os_errno = reef_file_sync(directory_fd);
	close(directory_fd);
	if (os_errno != 0)
		return reef_error_set_errno(err, REEF_UNAVAILABLE, os_errno,
									"could not make an object's name durable",
									"object %s", key);
	store->unsynced_key[0] = '\0';
	return REEF_OK;
}

static void
forget_file(OpenFile *file)
{
	if (file->key[0] != '\0')
		close(file->fd);
	file->key[0] = '\0';
	file->used = 0;
}

/* A descriptor of the object, kept by the store. */
static ReefCode
open_for_range(FileStore *store, const char *key, int *fd, ReefError *err)
{
	OpenFile   *file = &store->files[0];
	uint64_t	size;

	for (int i = 0; i < OPEN_FILES; i++)
	{
		if (strcmp(store->files[i].key, key) == 0)
		{
			file = &store->files[i];
			file->used = ++store->use_counter;
			*fd = file->fd;
			return REEF_OK;
		}
		if (store->files[i].used < file->used)
			file = &store->files[i];
	}
	forget_file(file);
	REEF_TRY(object_open(store, key, &file->fd, &size, err));
	memcpy(file->key, key, strlen(key) + 1);
	file->used = ++store->use_counter;
	*fd = file->fd;
	return REEF_OK;
}

/* ---- ReefStoreOps ---- */

static ReefCode
file_put_if_absent(void *impl, const char *key, ReefSlice bytes,
				   ReefError *err)
{
	FileStore  *store = impl;
	TempFile	temp;
	ReefCode	rc;

	REEF_TRY(reef_file_check_key(key, err));
	REEF_TRY(temp_create(store, key, &temp, err));
	rc = temp_append(store, &temp, bytes, err);
	if (rc == REEF_OK)
		rc = temp_publish(store, &temp, err);
	temp_discard(store, &temp);
	return rc;
}

static ReefCode
file_get(void *impl, const char *key, ReefBuf *out, ReefError *err)
{
	FileStore  *store = impl;
	uint64_t	size;
	uint8_t    *place;
	int			fd;
	ReefCode	rc;

	REEF_TRY(settle_name(store, key, err));
	REEF_TRY(object_open(store, key, &fd, &size, err));
	place = size > SIZE_MAX ? NULL : reef_buf_reserve(out, (size_t) size);
	if (place == NULL && size > 0)
		rc = reef_error_no_memory(err, (size_t) size);
	else
		rc = read_fully(store, fd, key, 0, (size_t) size, place, err);
	if (rc == REEF_OK)
		out->size += (size_t) size;
	close(fd);
	return rc;
}

static ReefCode
file_get_range(void *impl, const char *key, uint64_t offset, size_t size,
			   void *out, ReefError *err)
{
	FileStore  *store = impl;
	int			fd;

	REEF_TRY(open_for_range(store, key, &fd, err));
	return read_fully(store, fd, key, offset, size, out, err);
}

static ReefCode
file_head(void *impl, const char *key, ReefObjectInfo *info, ReefError *err)
{
	FileStore  *store = impl;
	struct stat status;
	const char *name;
	int			directory_fd;
	int			os_errno = 0;

	REEF_TRY(reef_file_check_key(key, err));
	REEF_TRY(reef_file_open_parent(store->root_fd, key, false, &directory_fd,
								   &name, err));
	if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		os_errno = errno;
	close(directory_fd);
	if (os_errno != 0)
		return reef_file_error(err, os_errno, "could not examine an object",
							   key);
	if (!S_ISREG(status.st_mode))
		return reef_error_set(err, REEF_CORRUPT,
							  "object is not a regular file", "object %s",
							  key);
	memcpy(info->key, key, strlen(key) + 1);
	reef_file_describe(&status, info);
	return REEF_OK;
}

static ReefCode
file_list(void *impl, const char *prefix, const char *start_after,
		  size_t limit, ReefObjectList *out, ReefError *err)
{
	FileStore  *store = impl;

	return reef_file_list(store->host, store->root_fd, prefix, start_after,
						  limit, out, err);
}

static ReefCode
file_delete(void *impl, const char *key, ReefError *err)
{
	FileStore  *store = impl;
	const char *name;
	int			directory_fd;
	int			os_errno = 0;
	ReefCode	rc;

	REEF_TRY(reef_file_check_key(key, err));
	for (int i = 0; i < OPEN_FILES; i++)
	{
		if (strcmp(store->files[i].key, key) == 0)
			forget_file(&store->files[i]);
	}
	rc = reef_file_open_parent(store->root_fd, key, false, &directory_fd,
							   &name, err);
	if (rc != REEF_OK)
		return rc == REEF_NOT_FOUND ? REEF_OK : rc;
	if (unlinkat(directory_fd, name, 0) != 0)
		os_errno = errno;
	close(directory_fd);
	if (os_errno != 0 && os_errno != ENOENT)
		return reef_file_error(err, os_errno, "could not delete an object",
							   key);
	return REEF_OK;
}

static ReefCode
file_write_begin(void *impl, const char *key, void **writer, ReefError *err)
{
	TempFile   *temp;
	ReefCode	rc;

	REEF_TRY(reef_file_check_key(key, err));
	temp = malloc(sizeof(*temp));
	if (temp == NULL)
		return reef_error_no_memory(err, sizeof(*temp));
	rc = temp_create(impl, key, temp, err);
	if (rc != REEF_OK)
	{
		free(temp);
		return rc;
	}
	*writer = temp;
	return REEF_OK;
}

static ReefCode
file_write(void *impl, void *writer, ReefSlice bytes, ReefError *err)
{
	return temp_append(impl, writer, bytes, err);
}

static void
file_write_abort(void *impl, void *writer)
{
	temp_discard(impl, writer);
	free(writer);
}

static ReefCode
file_write_commit(void *impl, void *writer, ReefError *err)
{
	REEF_TRY(temp_publish(impl, writer, err));
	file_write_abort(impl, writer);
	return REEF_OK;
}

static ReefCode
file_now(void *impl, int64_t *now_us, ReefError *err)
{
	FileStore  *store = impl;

	/* To ask the file system means to create a file. */
	if (!store->read_only)
		return file_system_now(store, now_us, err);
	*now_us = store->host->now_us(store->host->arg);
	return REEF_OK;
}

static void
file_close(void *impl)
{
	FileStore  *store = impl;

	for (int i = 0; i < OPEN_FILES; i++)
		forget_file(&store->files[i]);
	if (store->temp_fd >= 0)
		close(store->temp_fd);
	close(store->root_fd);
	free(store);
}

static const ReefStoreOps file_ops = {
	.kind = "file",
	.put_if_absent = file_put_if_absent,
	.get = file_get,
	.get_range = file_get_range,
	.head = file_head,
	.list = file_list,
	.delete_object = file_delete,
	.write_begin = file_write_begin,
	.write = file_write,
	.write_commit = file_write_commit,
	.write_abort = file_write_abort,
	.now = file_now,
	.close = file_close
};

ReefCode
reef_file_store_open(const ReefHost *host, const char *path, bool read_only,
					 const ReefStoreOps **ops, void **impl, ReefError *err)
{
	FileStore  *store;
	int			fd;

	REEF_TRY(reef_file_open_root(path, !read_only, &fd, err));
	store = calloc(1, sizeof(*store));
	if (store == NULL)
	{
		close(fd);
		return reef_error_no_memory(err, sizeof(*store));
	}
	store->host = host;
	store->read_only = read_only;
	store->root_fd = fd;
	store->temp_fd = -1;
	if (!read_only && faccessat(fd, REEF_FILE_TEMP_DIRECTORY, F_OK, 0) == 0)
		remove_old_temps(store);
	*ops = &file_ops;
	*impl = store;
	return REEF_OK;
}
