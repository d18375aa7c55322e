/*
 * file_tree.h
 *	  The directory tree under a file store: walking, creating, listing.
 *
 * A key's parts are directories below an open root directory.  They are
 * opened one by one from there without following symbolic links, so that no
 * link leads out of the root, whoever made it.  Used by file.c only.
 */
#ifndef REEF_STORE_FILE_TREE_H
#define REEF_STORE_FILE_TREE_H

#include <sys/stat.h>

#include "store/store.h"

/* Where temporary files are, directly below the root. */
#define REEF_FILE_TEMP_DIRECTORY ".tmp"

/* Report a failed system call on an object or directory of the store. */
extern ReefCode reef_file_error(ReefError *err, int os_errno,
								const char *message, const char *key);

/* REEF_INVALID for a key whose place in the tree is not an object's. */
extern ReefCode reef_file_check_key(const char *key, ReefError *err)
			REEF_MUST_CHECK;

/*
 * Open the directory of a location, an absolute path.  With "create" it is
 * made, durably, if its parent exists.
 */
extern ReefCode reef_file_open_root(const char *path, bool create, int *fd,
									ReefError *err) REEF_MUST_CHECK;

/*
 * Open the directory that contains an object; *name is the last part of the
 * key.  With "create" missing directories are made, durably; without it they
 * are REEF_NOT_FOUND.  The caller closes *fd.
 */
extern ReefCode reef_file_open_parent(int root_fd, const char *key,
									  bool create, int *fd, const char **name,
									  ReefError *err) REEF_MUST_CHECK;

/* fsync(2), again if a signal interrupted it; an errno or 0. */
extern int	reef_file_sync(int fd);

/* ReefStoreOps.list */
extern ReefCode reef_file_list(const ReefHost *host, int root_fd,
							   const char *prefix, const char *start_after,
							   size_t limit, ReefObjectList *out,
							   ReefError *err) REEF_MUST_CHECK;

/* What an inode says about an object; the key is left alone. */
extern void reef_file_describe(const struct stat *status,
							   ReefObjectInfo *info);

#endif							/* REEF_STORE_FILE_TREE_H */
