/*
 * location.c
 *	  From a location to the store it names.
 *
 *	  file:///absolute/directory
 *	  s3://bucket/prefix
 *
 * Two servers with the same location text share everything, and two with
 * different texts share nothing, as far as this side can tell; so a location
 * has one spelling: no relative path, no "." or "..", no doubled slash.  A
 * single slash at the end is allowed and means nothing.
 */
#include "store/store.h"

#include <limits.h>
#include <stdio.h>

#include "store/file.h"
#include "store/s3.h"

static ReefCode
invalid(ReefError *err, const char *location, const char *fault)
{
	return reef_error_set(err, REEF_INVALID, "invalid location",
						  "location \"%.300s\": %s", location, fault);
}

/* Copy the path of a file location without a slash at the end. */
static ReefCode
parse_file_location(const char *location, char *path, size_t path_size,
					ReefError *err)
{
	const char *rest = location + strlen("file://");
	size_t		size = strlen(rest);
	const char *p;

	if (rest[0] != '/')
		return invalid(err, location, "the directory must be absolute and on "
					   "this host, as in file:///directory");
	if (size > 1 && rest[size - 1] == '/')
		size--;
	if (size == 1)
		return invalid(err, location, "the root directory cannot be a store");
	if (size >= path_size)
		return invalid(err, location, "the path is too long");
	memcpy(path, rest, size);
	path[size] = '\0';

	for (p = path; *p != '\0'; p++)
	{
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			return invalid(err, location,
						   "the path contains a control character");
		if (*p != '/')
			continue;
		if (p[1] == '/' || p[1] == '\0')
			return invalid(err, location, "the path has a doubled slash");
		if (p[1] == '.' && (p[2] == '/' || p[2] == '\0' ||
							(p[2] == '.' && (p[3] == '/' || p[3] == '\0'))))
			return invalid(err, location,
						   "the path must not contain \".\" or \"..\"");
	}
	return REEF_OK;
}

/* By another spelling of its location a store is still the same store. */
static ReefCode
open_as(const ReefHost *host, const ReefStoreOptions *options,
		const char *location, const ReefStoreOps *ops, void *impl,
		ReefStore **store, ReefError *err)
{
	ReefStoreOptions canonical = *options;

	canonical.location = location;
	return reef_store_new(host, ops, impl, &canonical, store, err);
}

ReefCode
reef_store_open(const ReefHost *host, const ReefStoreOptions *options,
				ReefStore **store, ReefError *err)
{
	const char *location = options->location;
	char		path[PATH_MAX];
	char		canonical[PATH_MAX + 16];
	ReefStoreOptions plain = *options;
	const ReefStoreOps *ops;
	void	   *impl;

	if (strncmp(location, "file://", 7) == 0)
	{
		REEF_TRY(parse_file_location(location, path, sizeof(path), err));
		REEF_TRY(reef_file_store_open(host, path, options->read_only, &ops,
									  &impl, err));
		snprintf(canonical, sizeof(canonical), "file://%s", path);
		plain.cache = NULL;		/* it would be a copy on a like disk */
		return open_as(host, &plain, canonical, ops, impl, store, err);
	}
	if (strncmp(location, "s3://", 5) == 0)
	{
		REEF_TRY(reef_s3_store_open(host, options, &ops, &impl, canonical,
									sizeof(canonical), err));
		return open_as(host, options, canonical, ops, impl, store, err);
	}
	if (location[0] == '/')
		return invalid(err, location, "write a directory as file:///directory");
	return invalid(err, location,
				   "it must be file:///directory or s3://bucket/prefix");
}
