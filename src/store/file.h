/*
 * file.h
 *	  A directory as an object store (see file.c); used by location.c only.
 */
#ifndef REEF_STORE_FILE_H
#define REEF_STORE_FILE_H

#include "store/store.h"

/*
 * Open the directory "path", an absolute path; created if it is missing, its
 * parent exists and the store is not read-only.
 */
extern ReefCode reef_file_store_open(const ReefHost *host, const char *path,
									 bool read_only, const ReefStoreOps **ops,
									 void **impl, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_STORE_FILE_H */
