/*
 * file_publish.c
 *	  How fast can a directory store give names to objects?
 *
 *	  cc -O2 -D_GNU_SOURCE -o file_publish test/bench/file_publish.c
 *	  ./file_publish link|rename <clients> <seconds> <empty directory>
 *
 * Each client, in a directory of its own, does what a put does: write 4 KiB to
 * a temporary file, fdatasync, give it its name (by linkat and unlinkat, or
 * by renameat2 with RENAME_NOREPLACE), fsync the directory.  Compare
 * alternating runs: other load on the disk moves the figures more than the
 * method does.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static int
open_directory(int parent, const char *name)
{
	int			fd;

	(void) mkdirat(parent, name, 0700); /* may exist */
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		fail(name);
	return fd;
}

/* Publish objects until the time is over; objects a second. */
static double
run_client(int root, int client, int use_link, double seconds)
{
	char		name[32];
	char		temp[32];
	char		bytes[4096];
	int			temps = open_directory(root, ".tmp");
	int			directory;
	int			count = 0;
	double		began;

	snprintf(name, sizeof(name), "client%d", client);
	directory = open_directory(root, name);
	memset(bytes, 'x', sizeof(bytes));
	for (began = now(); now() - began < seconds; count++)
	{
		int			fd;

		snprintf(temp, sizeof(temp), "%d.%d", client, count);
		snprintf(name, sizeof(name), "%d", count);
		fd = openat(temps, temp, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes) ||
			fdatasync(fd) != 0)
			fail("write");
		if (use_link ? linkat(temps, temp, directory, name, 0) :
			renameat2(temps, temp, directory, name, RENAME_NOREPLACE))
			fail("publish");
		if (fsync(directory) != 0)
			fail("fsync");
		if (use_link && unlinkat(temps, temp, 0) != 0)
			fail("unlink");
		close(fd);
	}
	return count / (now() - began);
}

int
main(int argc, char **argv)
{
	int			clients = argc == 5 ? atoi(argv[2]) : 0;
	double		total = 0;
	double		rate;
	int			results[2];
	int			root;

	if (clients < 1)
	{
		fprintf(stderr, "usage: file_publish link|rename clients seconds directory\n");
		return 1;
	}
	root = open(argv[4], O_RDONLY | O_DIRECTORY);
	if (root < 0 || pipe(results) != 0)
		fail(argv[4]);
	for (int i = 0; i < clients; i++)
	{
		if (fork() == 0)
		{
			rate = run_client(root, i, strcmp(argv[1], "link") == 0,
							  atof(argv[3]));
			_exit(write(results[1], &rate, sizeof(rate)) != sizeof(rate));
		}
	}
	close(results[1]);
	while (read(results[0], &rate, sizeof(rate)) == sizeof(rate))
		total += rate;
	while (wait(NULL) > 0)
		;
	printf("%s, %d clients: %.0f objects a second\n", argv[1], clients, total);
	return 0;
}
