/*
 * file_tree.c
 *	  The directory tree under a file store.
 *
 * Directories are opened afresh for each request instead of being kept: a
 * walk costs a few microseconds beside a commit's fsyncs, and a kept
 * descriptor would go on writing into a directory that somebody has renamed
 * and replaced.
 *
 * A directory lists its names in no order, and a depth-first walk of sorted
 * directories would not be in key order either ("a.b" sorts before "a/b"): a
 * list is collected whole and sorted at the end.
 */
#include "store/file_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What NFS clients rename deleted files to while somebody has them open. */
#define NFS_DELETED_PREFIX ".nfs"

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Parameters of one list */
typedef struct Listing
{
	const ReefHost *host;
	const char *prefix;
	const char *start_after;
	ReefObjectList *out;
} Listing;

static ReefCode
code_of_errno(int os_errno)
{
	switch (os_errno)
	{
		case ENOENT:
		case ENOTDIR:
			return REEF_NOT_FOUND;
		case EACCES:
		case EPERM:
		case EROFS:
		case ELOOP:				/* a symbolic link, which we do not follow */
		case EXDEV:
			return REEF_DENIED;
		case ENOSPC:
		case EDQUOT:
			return REEF_NO_SPACE;
		case ENAMETOOLONG:
			return REEF_INVALID;
		case EFBIG:
			return REEF_LIMIT;
		case ENOMEM:
			return REEF_NO_MEMORY;
		default:
			return REEF_UNAVAILABLE;
	}
}

ReefCode
reef_file_error(ReefError *err, int os_errno, const char *message,
				const char *key)
{
	return reef_error_set_errno(err, code_of_errno(os_errno), os_errno,
								message, "object %s", key);
}

/* Is this part of a key, which ends at a NUL or a slash, not an object's? */
static bool
is_reserved(const char *part, bool below_root)
{
	size_t		size = strcspn(part, "/");

	if (strncmp(part, NFS_DELETED_PREFIX, strlen(NFS_DELETED_PREFIX)) == 0)
		return true;
	return below_root && size == strlen(REEF_FILE_TEMP_DIRECTORY) &&
		memcmp(part, REEF_FILE_TEMP_DIRECTORY, size) == 0;
}

ReefCode
reef_file_check_key(const char *key, ReefError *err)
{
	const char *part = key;

	while (part != NULL)
	{
		if (is_reserved(part, part == key))
			return reef_error_set(err, REEF_INVALID, "invalid object key",
								  "key %s is reserved by the file store", key);
		part = strchr(part, '/');
		if (part != NULL)
			part++;
	}
	return REEF_OK;
}

int
reef_file_sync(int fd)
{
	while (fsync(fd) != 0)
	{
		if (errno != EINTR)
			return errno;
	}
	return 0;
}

static ReefCode
location_error(ReefError *err, int os_errno, const char *message,
			   const char *path)
{
	ReefCode	code = REEF_UNAVAILABLE;

	if (os_errno == ENOENT || os_errno == ENOTDIR || os_errno == ELOOP ||
		os_errno == ENAMETOOLONG)
		code = REEF_INVALID;
	else if (os_errno == EACCES || os_errno == EPERM || os_errno == EROFS)
		code = REEF_DENIED;
	else if (os_errno == ENOSPC || os_errno == EDQUOT)
		code = REEF_NO_SPACE;
	return reef_error_set_errno(err, code, os_errno, message, "directory %s",
								path);
}

/* Make the location's directory, durably. */
static ReefCode
create_location(const char *path, ReefError *err)
{
	const char *slash = strrchr(path, '/');
	char		parent[PATH_MAX];
	int			fd;
	int			os_errno;

	snprintf(parent, sizeof(parent), "%.*s",
			 slash == path ? 1 : (int) (slash - path), path);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return location_error(err, errno, "could not create the location's "
							  "directory", path);
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return location_error(err, errno, "could not open the parent of the "
							  "location's directory", parent);
	os_errno = reef_file_sync(fd);
	close(fd);
	if (os_errno != 0)
		return location_error(err, os_errno, "could not make the location's "
							  "directory durable", path);
	return REEF_OK;
}

ReefCode
reef_file_open_root(const char *path, bool create, int *fd, ReefError *err)
{
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 && errno == ENOENT && create)
	{
		REEF_TRY(create_location(path, err));
		*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (*fd < 0)
		return location_error(err, errno, "could not open the location's "
							  "directory", path);
	return REEF_OK;
}

/* Why could "name", a part of key, not be opened as a directory? */
static ReefCode
not_a_directory(int parent_fd, const char *name, const char *key, bool create,
				ReefError *err)
{
	struct stat status;

	if (fstatat(parent_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISLNK(status.st_mode))
		return reef_error_set(err, REEF_DENIED,
							  "symbolic link in the store",
							  "object %s, directory %s", key, name);
	return reef_error_set(err, create ? REEF_INVALID : REEF_NOT_FOUND,
						  "a part of the object key is not a directory",
						  "object %s, part %s", key, name);
}

/*
 * Open one directory below another one, creating it if asked to.  If it is
 * gone again at once, or its parent is, that is ESTALE: worth a retry, and
 * never "not found" to one who wants to put.
 */
static ReefCode
open_child(int parent_fd, const char *name, const char *key, bool create,
		   int *fd, ReefError *err)
{
	int			os_errno;

	*fd = openat(parent_fd, name, DIRECTORY_FLAGS);
	if (*fd < 0 && errno == ENOENT && create)
	{
		if (mkdirat(parent_fd, name, 0700) == 0)
		{
			os_errno = reef_file_sync(parent_fd);
			if (os_errno != 0)
			{
				/* The next one who needs it shall not take it for durable. */
				(void) unlinkat(parent_fd, name, AT_REMOVEDIR);
				return reef_file_error(err, os_errno,
									   "could not make a directory durable",
									   key);
			}
		}
		else if (errno != EEXIST)
			return reef_file_error(err, errno == ENOENT ? ESTALE : errno,
								   "could not create a directory", key);
		*fd = openat(parent_fd, name, DIRECTORY_FLAGS);
	}
	if (*fd >= 0)
		return REEF_OK;
	if (errno == ENOTDIR || errno == ELOOP)
		return not_a_directory(parent_fd, name, key, create, err);
	return reef_file_error(err, create && errno == ENOENT ? ESTALE : errno,
						   "could not open a directory", key);
}

ReefCode
reef_file_open_parent(int root_fd, const char *key, bool create, int *fd,
					  const char **name, ReefError *err)
{
	char		part[REEF_STORE_KEY_MAX_SIZE + 1];
	const char *rest = key;
	const char *slash;
	int			current;

	/* Not dup(2), which would share the position of a list in the root. */
	current = openat(root_fd, ".", DIRECTORY_FLAGS);
	if (current < 0)
		return reef_file_error(err, errno, "could not open a directory", key);
	while ((slash = strchr(rest, '/')) != NULL)
	{
		size_t		size = (size_t) (slash - rest);
		int			child;
		ReefCode	rc;

		memcpy(part, rest, size);
		part[size] = '\0';
		rc = open_child(current, part, key, create, &child, err);
		close(current);
		if (rc != REEF_OK)
			return rc;
		current = child;
		rest = slash + 1;
	}
	*fd = current;
	*name = rest;
	return REEF_OK;
}

void
reef_file_describe(const struct stat *status, ReefObjectInfo *info)
{
	info->size = (uint64_t) status->st_size;
	info->modified_us = (int64_t) status->st_mtim.tv_sec * 1000000 +
		status->st_mtim.tv_nsec / 1000;
}

/* Could a key that begins with "path" begin with the prefix? */
static bool
may_have_prefix(const char *path, size_t size, const char *prefix)
{
	size_t		prefix_size = strlen(prefix);

	return memcmp(path, prefix, size < prefix_size ? size : prefix_size) == 0;
}

static bool
is_key_name(const char *name)
{
	return name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "abcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

static ReefCode list_directory(const Listing *listing, int fd, char *path,
							   size_t size, ReefError *err);

/*
 * One name in a directory; path[0 .. size-1] is its key, NUL-terminated and
 * with room for a slash.
 */
static ReefCode
list_entry(const Listing *listing, int directory_fd, char *path, size_t size,
		   const char *name, ReefError *err)
{
	ReefObjectInfo info;
	struct stat status;

	if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? REEF_OK :
			reef_file_error(err, errno, "could not examine an object", path);
	/* To leave it out could make a whole table look empty. */
	if (S_ISLNK(status.st_mode))
		return reef_error_set(err, REEF_DENIED, "symbolic link in the store",
							  "object %s", path);
	if (S_ISDIR(status.st_mode))
	{
		int			fd;

		path[size++] = '/';
		path[size] = '\0';
		/* All its keys would be before start_after. */
		if (strncmp(path, listing->start_after, size) < 0 ||
			!may_have_prefix(path, size, listing->prefix))
			return REEF_OK;
		fd = openat(directory_fd, name, DIRECTORY_FLAGS);
		if (fd >= 0)
			return list_directory(listing, fd, path, size, err);
		return errno == ENOENT ? REEF_OK :
			reef_file_error(err, errno, "could not open a directory", path);
	}
	if (!S_ISREG(status.st_mode) || size < strlen(listing->prefix) ||
		strcmp(path, listing->start_after) <= 0)
		return REEF_OK;
	memcpy(info.key, path, size + 1);
	reef_file_describe(&status, &info);
	return reef_object_list_append(listing->out, &info, err);
}

/* Everything below a directory, whose descriptor it takes over. */
static ReefCode
list_directory(const Listing *listing, int fd, char *path, size_t size,
			   ReefError *err)
{
	DIR		   *directory = fdopendir(fd);
	ReefCode	rc = REEF_OK;

	if (directory == NULL)
	{
		rc = reef_file_error(err, errno, "could not read a directory", path);
		close(fd);
		return rc;
	}
	while (rc == REEF_OK)
	{
		struct dirent *entry;
		size_t		name_size;

		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
		{
			path[size] = '\0';
			if (errno != 0)
				rc = reef_file_error(err, errno, "could not read a directory",
									 path);
			break;
		}
		if (listing->host->cancelled(listing->host->arg))
		{
			rc = reef_error_set(err, REEF_CANCELLED,
								"store request was cancelled", NULL);
			break;
		}
		name_size = strlen(entry->d_name);
		if (strcmp(entry->d_name, ".") == 0 ||
			strcmp(entry->d_name, "..") == 0 ||
			!is_key_name(entry->d_name) ||
			is_reserved(entry->d_name, size == 0) ||
			size + name_size > REEF_STORE_KEY_MAX_SIZE)
			continue;
		memcpy(path + size, entry->d_name, name_size + 1);
		if (!may_have_prefix(path, size + name_size, listing->prefix))
			continue;
		/* Said again where the type is known; here it saves most of the work. */
		if (entry->d_type == DT_REG && strcmp(path, listing->start_after) <= 0)
			continue;
		rc = list_entry(listing, fd, path, size + name_size, entry->d_name,
						err);
	}
	closedir(directory);
	return rc;
}

static int
compare_objects(const void *a, const void *b)
{
	return strcmp(((const ReefObjectInfo *) a)->key,
				  ((const ReefObjectInfo *) b)->key);
}

ReefCode
reef_file_list(const ReefHost *host, int root_fd, const char *prefix,
			   const char *start_after, size_t limit, ReefObjectList *out,
			   ReefError *err)
{
	Listing		listing = {host, prefix, start_after, out};
	size_t		first = out->count;
	char		path[REEF_STORE_KEY_MAX_SIZE + 2];
	const char *name;
	int			fd;
	ReefCode	rc;

	rc = reef_file_open_parent(root_fd, prefix, false, &fd, &name, err);
	if (rc == REEF_NOT_FOUND)
		return REEF_OK;
	if (rc != REEF_OK)
		return rc;
	memcpy(path, prefix, (size_t) (name - prefix));
	path[name - prefix] = '\0';
	REEF_TRY(list_directory(&listing, fd, path, (size_t) (name - prefix),
							err));
	if (out->count > first)
		qsort(out->objects + first, out->count - first, sizeof(*out->objects),
			  compare_objects);
	if (limit > 0 && out->count - first > limit)
		out->count = first + limit;
	return REEF_OK;
}
