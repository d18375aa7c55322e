/*
 * temp_directory.h
 *	  A directory for the length of a test.
 */
#ifndef REEF_TEMP_DIRECTORY_H
#define REEF_TEMP_DIRECTORY_H

#define TEMP_DIRECTORY_SIZE 64

/* Make an empty directory; aborts if it cannot. */
extern void temp_directory_make(char path[TEMP_DIRECTORY_SIZE]);
/* Remove it with everything in it. */
extern void temp_directory_remove(const char *path);
/* How many regular files are there below it? */
extern int	temp_directory_count_files(const char *path);

#endif							/* REEF_TEMP_DIRECTORY_H */
