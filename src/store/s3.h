/*
 * s3.h
 *	  A bucket as an object store (see s3.c); used by location.c only.
 */
#ifndef REEF_STORE_S3_H
#define REEF_STORE_S3_H

#include "store/store.h"

/*
 * Check options->location and the options for s3 and open the store.  Nothing
 * is sent yet.  "canonical" becomes the one text for this place: buckets of
 * the same name at two endpoints are two places.
 */
extern ReefCode reef_s3_store_open(const ReefHost *host,
								   const ReefStoreOptions *options,
								   const ReefStoreOps **ops, void **impl,
								   char *canonical, size_t canonical_size,
								   ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_STORE_S3_H */
