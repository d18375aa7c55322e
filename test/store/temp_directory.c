/*
 * temp_directory.c
 *	  A directory for the length of a test.
 */
#include "temp_directory.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_DEPTH 16			/* descriptors used at a time */

static int	files;

void
temp_directory_make(char path[TEMP_DIRECTORY_SIZE])
{
	snprintf(path, TEMP_DIRECTORY_SIZE, "/tmp/reef-unit-XXXXXX");
	if (mkdtemp(path) == NULL)
	{
		perror("mkdtemp");
		abort();
	}
}

static int
remove_one(const char *path, const struct stat *status, int type,
		   struct FTW *place)
{
	(void) status;
	(void) type;
	(void) place;
	return remove(path);
}

void
temp_directory_remove(const char *path)
{
	if (nftw(path, remove_one, MAX_DEPTH, FTW_DEPTH | FTW_PHYS) != 0)
		perror(path);
}

static int
count_one(const char *path, const struct stat *status, int type,
		  struct FTW *place)
{
	(void) path;
	(void) status;
	(void) place;
	if (type == FTW_F)
		files++;
	return 0;
}

int
temp_directory_count_files(const char *path)
{
	files = 0;
	return nftw(path, count_one, MAX_DEPTH, FTW_PHYS) == 0 ? files : -1;
}
