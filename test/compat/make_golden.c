/*
 * make_golden.c
 *	  Writes the stored copies of the sample objects.
 *
 *	  make_golden <directory>
 *
 * Run once when a format version is new; the files are then kept for ever, as
 * proof that what a release wrote can be read.  An existing file is never
 * overwritten.
 */
#include <stdio.h>
#include <stdlib.h>

#include "samples.h"

static void
write_file(const char *dir, const char *name, ReefBuf *bytes)
{
	char		path[1000];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "wbx");
	if (file == NULL ||
		fwrite(bytes->data, 1, bytes->size, file) != bytes->size ||
		fclose(file) != 0)
	{
		perror(path);
		exit(EXIT_FAILURE);
	}
	reef_buf_reset(bytes);
}

int
main(int argc, char **argv)
{
	ReefManifest manifest;
	ReefBuf		bytes;
	ReefError	err;

	if (argc != 2)
	{
		fprintf(stderr, "usage: make_golden <directory>\n");
		return EXIT_FAILURE;
	}
	reef_buf_init(&bytes);
	sample_record_basic(&bytes);
	write_file(argv[1], "record-basic.wal", &bytes);
	sample_record_fence(&bytes);
	write_file(argv[1], "record-fence.wal", &bytes);
	sample_record_compressed(&bytes);
	write_file(argv[1], "record-compressed.wal", &bytes);
	sample_manifest(&manifest);
	sample_check(reef_manifest_encode(&manifest, &bytes, &err), &err);
	write_file(argv[1], "manifest-basic.json", &bytes);
	reef_buf_release(&bytes);
	return EXIT_SUCCESS;
}
