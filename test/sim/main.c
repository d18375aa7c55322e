/*
 * main.c
 *	  The simulator's command line.
 *
 *	  reef-sim random SECONDS [FIRST_SEED]	fresh seeds in parallel
 *	  reef-sim seed N						one history, with its trace
 *	  reef-sim hash N						only the hash of its trace
 *	  reef-sim shrink N						a shorter one that fails as it does
 *	  reef-sim single|pairs|years SECONDS [STRIDE]	enumerations, in parallel
 *	  reef-sim case single|pairs|years N		one case of them, with its trace
 *	  reef-sim hunt STATES [WAY]			until something fails; "seed" is a way
 *
 * Work is done in children, so that a violation, a failed assertion or a crash
 * of the engine ends one history and leaves its choices behind in memory that
 * the parent shares.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

#define TAPE_MAX 400000
#define WORKERS_MAX 64
#define SHRINK_SECONDS 30.0
#define HUNT_SECONDS 600.0

typedef struct Slot
{
	SimCounts	counts;
	volatile uint64_t current;	/* seed or case */
	uint64_t	hash;
	char		verdict[SIM_VERDICT_SIZE];
	size_t		tape_used;
	uint32_t	tape[TAPE_MAX];
} Slot;

static Slot *
new_slot(void)
{
	Slot	   *slot = mmap(NULL, sizeof(Slot), PROT_READ | PROT_WRITE,
							MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (slot == MAP_FAILED)
		abort();
	return slot;
}

/* ---- one history ---- */

static void
run_history(Slot *slot, uint64_t seed, size_t replay_size, bool is_traced)
{
	Sim		   *sim = sim_new(&slot->counts);

	slot->current = seed;
	sim_verdict = slot->verdict;
	sim->seed_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	sim->tape = slot->tape;
	sim->is_replay = replay_size > 0;
	sim->tape_size = sim->is_replay ? replay_size : TAPE_MAX;
	sim->tape_seen = &slot->tape_used;
	sim->is_traced = is_traced;
	sim_random_history(sim);
	slot->hash = sim->trace_hash;
	sim_free(sim);
}

/* What became of a child: 0, or what its verdict is. */
static bool
is_fine(int status, Slot *slot)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (slot->verdict[0] == '\0' && WIFSIGNALED(status))
		snprintf(slot->verdict, sizeof(slot->verdict), "[signal %d]",
				 WTERMSIG(status));
	else if (slot->verdict[0] == '\0')
		snprintf(slot->verdict, sizeof(slot->verdict), "[exit %d]",
				 WEXITSTATUS(status));
	return false;
}

static bool
await(pid_t pid, Slot *slot)
{
	int			status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return is_fine(status, slot);
}

static bool
run_in_child(Slot *slot, uint64_t seed, size_t replay_size, bool is_traced)
{
	pid_t		pid;

	fflush(stdout);
	slot->verdict[0] = '\0';
	slot->tape_used = 0;
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0)
	{
		alarm(is_traced ? 600 : 20);
		if (!is_traced)
			(void) freopen("/dev/null", "w", stderr);
		run_history(slot, seed, replay_size, is_traced);
		fflush(stdout);
		_exit(0);
	}
	return await(pid, slot);
}

/* ---- shrink ---- */

/* The same words, whatever the numbers. */
static bool
same_verdict(const char *a, const char *b)
{
	while (*a != '\0' && *a != '(')
	{
		while (*a >= '0' && *a <= '9')
			a++;
		while (*b >= '0' && *b <= '9')
			b++;
		if (*a != *b)
			return false;
		if (*a != '\0')
			a++, b++;
	}
	return true;
}

/* Try a tape; if it fails in the same way it becomes the best one. */
static bool
try_tape(Slot *slot, uint32_t *best, size_t *size, size_t try_size,
		 const char *verdict)
{
	if (try_size == 0 || run_in_child(slot, 0, try_size, false) ||
		!same_verdict(slot->verdict, verdict))
		return false;
	if (try_size > slot->tape_used)
		try_size = slot->tape_used;
	memcpy(best, slot->tape, try_size * sizeof(uint32_t));
	*size = try_size;
	return true;
}

static bool
shrink_round(Slot *slot, uint32_t *best, size_t *size, size_t chunk,
			 const char *verdict, double deadline)
{
	bool		has_shrunk = false;

	for (size_t at = 0; at < *size && sim_seconds() < deadline;)
	{
		size_t		end = at + chunk < *size ? at + chunk : *size;
		bool		is_zero = true;

		memcpy(slot->tape, best, at * sizeof(uint32_t));
		memcpy(slot->tape + at, best + end,
			   (*size - end) * sizeof(uint32_t));
		if (try_tape(slot, best, size, *size - (end - at), verdict))
		{
			has_shrunk = true;
			continue;
		}
		for (size_t i = at; i < end; i++)
			is_zero &= best[i] == 0;
		if (!is_zero)
		{
			memcpy(slot->tape, best, *size * sizeof(uint32_t));
			memset(slot->tape + at, 0, (end - at) * sizeof(uint32_t));
			has_shrunk |= try_tape(slot, best, size, *size, verdict);
		}
		at += chunk;
	}
	return has_shrunk;
}

static int
shrink(uint64_t seed, double seconds)
{
	Slot	   *slot = new_slot();
	double		deadline = sim_seconds() + seconds;
	char		verdict[SIM_VERDICT_SIZE];
	uint32_t   *best;
	size_t		size;

	if (run_in_child(slot, seed, 0, false))
	{
		printf("seed %llu does not fail\n", (unsigned long long) seed);
		return 0;
	}
	memcpy(verdict, slot->verdict, sizeof(verdict));
	size = slot->tape_used;
	best = malloc((size + 1) * sizeof(uint32_t));
	if (best == NULL)
		abort();
	memcpy(best, slot->tape, size * sizeof(uint32_t));
	printf("seed %llu: %s\n", (unsigned long long) seed, verdict);
	for (size_t chunk = size / 2; chunk > 0 && sim_seconds() < deadline;)
	{
		if (!shrink_round(slot, best, &size, chunk, verdict, deadline) ||
			chunk > size)
			chunk /= 2;
	}
	printf("a history of %zu choices that fails in the same way:\n", size);
	memcpy(slot->tape, best, size * sizeof(uint32_t));
	(void) run_in_child(slot, 0, size, true);
	free(best);
	return 1;
}

/* ---- many ---- */

typedef void (*Work) (Slot *slot, const SimShare *share);

/* The numbers of the share are seeds. */
static void
work_random(Slot *slot, const SimShare *share)
{
	for (uint64_t seed = share->first;
		 !sim_share_is_over(share, &slot->counts); seed += share->stride)
		run_history(slot, seed, 0, false);
}

static void
work_single(Slot *slot, const SimShare *share)
{
	sim_enumerate_single(share, &slot->counts, false, -1);
}

static void
work_pairs(Slot *slot, const SimShare *share)
{
	sim_enumerate_pairs(share, &slot->counts, false, -1);
}

static void
work_years(Slot *slot, const SimShare *share)
{
	sim_enumerate_years(share, &slot->counts, false, -1);
}

static const struct
{
	const char *name;
	Work		work;
}			ways[] =
{
	{"single", work_single},
	{"years", work_years},
	{"pairs", work_pairs},
	{"seed", work_random}
};

#define WAY_COUNT (sizeof(ways) / sizeof(ways[0]))

static void
add_counts(SimCounts *total, const SimCounts *counts)
{
	uint64_t   *to = (uint64_t *) total;
	const uint64_t *from = (const uint64_t *) counts;

	for (size_t i = 0; i < sizeof(SimCounts) / sizeof(uint64_t); i++)
		to[i] += from[i];
}

static void
print_counts(const char *what, const SimCounts *counts, double seconds)
{
	printf("%s: %llu histories, %llu states recovered and checked (%.0f a second), "
		   "%llu more with older manifests, %llu lived on, %llu damaged, "
		   "%llu reads, %llu calls, %llu transactions acknowledged; %.0f s\n",
		   what, (unsigned long long) counts->histories,
		   (unsigned long long) counts->states,
		   (double) counts->states / seconds,
		   (unsigned long long) counts->fallbacks,
		   (unsigned long long) counts->lives,
		   (unsigned long long) counts->damages,
		   (unsigned long long) counts->reads,
		   (unsigned long long) counts->calls,
		   (unsigned long long) counts->acked, seconds);
}

typedef struct Workers
{
	int			count;
	Slot	   *slots[WORKERS_MAX];
	pid_t		pids[WORKERS_MAX];	/* 0: has ended */
} Workers;

/*
 * Wait for all, and end all if one fails.  Returns whether one did; *bad is
 * what it was at, and the verdict is in its slot.
 */
static Slot *
await_workers(Workers *workers)
{
	Slot	   *failed = NULL;
	int			left = workers->count;

	while (left > 0)
	{
		int			status;
		pid_t		pid = waitpid(-1, &status, 0);

		for (int i = 0; i < workers->count; i++)
		{
			Slot	   *slot = workers->slots[i];

			if (pid <= 0 || workers->pids[i] != pid)
				continue;
			workers->pids[i] = 0;
			left--;
			if (failed == NULL && !is_fine(status, slot))
				failed = slot;
		}
		for (int i = 0; i < workers->count && failed != NULL; i++)
		{
			if (workers->pids[i] != 0)
				kill(workers->pids[i], SIGKILL);
		}
	}
	return failed;
}

static void
work_as(Slot *slot, size_t way, uint64_t first, uint64_t stride,
		double deadline, uint64_t states_max)
{
	SimShare	share = {
		.first = first,
		.stride = stride,
		.current = &slot->current,
		.deadline = deadline,
		.states_max = states_max
	};

	sim_verdict = slot->verdict;
	ways[way].work(slot, &share);
}

/*
 * True if a worker failed; *bad says at what.  Together they do every stride-th
 * case from first, until "seconds" have passed or there are states_max states
 * (0: any number).
 */
static bool
run_workers(size_t way, double seconds, uint64_t first, uint64_t stride,
			uint64_t states_max, uint64_t *bad, SimCounts *total)
{
	const char *jobs = getenv("SIM_JOBS");
	double		start = sim_seconds();
	SimCounts	counts = {0};
	Workers		workers = {0};
	Slot	   *failed;

	workers.count = jobs != NULL ? atoi(jobs) :
		(int) sysconf(_SC_NPROCESSORS_ONLN);
	if (workers.count < 1 || workers.count > WORKERS_MAX)
		workers.count = 1;
	fflush(stdout);
	for (int i = 0; i < workers.count; i++)
	{
		workers.slots[i] = new_slot();
		workers.pids[i] = fork();
		if (workers.pids[i] < 0)
			abort();
		if (workers.pids[i] == 0)
		{
			alarm((unsigned) seconds + 60);
			if (getenv("SIM_QUIET") != NULL)
				(void) !freopen("/dev/null", "w", stderr);
			work_as(workers.slots[i], way, first + (uint64_t) i * stride,
					stride * (uint64_t) workers.count, start + seconds,
					states_max / (uint64_t) workers.count);
			_exit(0);
		}
	}
	failed = await_workers(&workers);
	if (failed != NULL)
	{
		*bad = failed->current;
		printf("FAILED %s %llu: %s\n", ways[way].name, (unsigned long long) *bad,
			   failed->verdict);
	}
	for (int i = 0; i < workers.count; i++)
	{
		add_counts(&counts, &workers.slots[i]->counts);
		munmap(workers.slots[i], sizeof(Slot));
	}
	add_counts(total, &counts);
	print_counts(ways[way].name, &counts, sim_seconds() - start);
	return failed != NULL;
}

static size_t
way_of(const char *name)
{
	size_t		way = 0;

	while (way < WAY_COUNT && strcmp(ways[way].name, name) != 0)
		way++;
	return way;
}

static int
run_random(double seconds, uint64_t first)
{
	SimCounts	total = {0};
	uint64_t	bad = 0;

	if (first == 0)
		first = (uint64_t) time(NULL) * 1000003 % 1000000007 * 1000 + 1;
	printf("seeds from %llu\n", (unsigned long long) first);
	if (!run_workers(way_of("seed"), seconds, first, 1, 0, &bad, &total))
		return 0;
	printf("again with: test/sim/run.sh --seed %llu\n",
		   (unsigned long long) bad);
	(void) shrink(bad, SHRINK_SECONDS);
	return 1;
}

static int
run_enumeration(size_t way, double seconds, uint64_t stride)
{
	SimCounts	total = {0};
	uint64_t	bad;

	if (!run_workers(way, seconds, 0, stride > 0 ? stride : 1, 0, &bad,
					 &total))
		return 0;
	printf("again with: test/sim/run.sh --case %s %llu\n", ways[way].name,
		   (unsigned long long) bad);
	return 1;
}

/* Look for a planted bug in so many states of each way, or of this one. */
static int
hunt(uint64_t states, size_t only)
{
	SimCounts	total = {0};
	uint64_t	bad;
	bool		is_caught = false;

	for (size_t way = 0; way < WAY_COUNT && !is_caught; way++)
	{
		if (only == WAY_COUNT || way == only)
			is_caught = run_workers(way, HUNT_SECONDS, 1, 1, states, &bad,
									&total);
	}
	printf("%s after %llu states\n", is_caught ? "CAUGHT" : "MISSED",
		   (unsigned long long) total.states);
	return is_caught ? 0 : 1;
}

static int
run_case(const char *kind, int64_t number)
{
	Slot	   *slot = new_slot();
	SimShare	share = {
		.stride = 1,
		.current = &slot->current,
		.deadline = sim_seconds() + 600
	};

	sim_verdict = slot->verdict;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(kind, "pairs") == 0)
		sim_enumerate_pairs(&share, &slot->counts, true, number);
	else if (strcmp(kind, "years") == 0)
		sim_enumerate_years(&share, &slot->counts, true, number);
	else
		sim_enumerate_single(&share, &slot->counts, true, number);
	return 0;
}

static uint64_t
number_of(int argc, char **argv, int index, uint64_t otherwise)
{
	return index < argc ? strtoull(argv[index], NULL, 10) : otherwise;
}

int
main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	uint64_t	first = number_of(argc, argv, 2, 0);
	uint64_t	second = number_of(argc, argv, 3, 0);

	if (strcmp(command, "random") == 0)
		return run_random((double) first, second);
	if (strcmp(command, "seed") == 0 || strcmp(command, "hash") == 0)
	{
		Slot	   *slot = new_slot();

		setvbuf(stdout, NULL, _IOLBF, 0);
		run_history(slot, first, 0, strcmp(command, "seed") == 0);
		printf("seed %llu: %016llx\n", (unsigned long long) first,
			   (unsigned long long) slot->hash);
		sim_tasks_free_stacks();
		return 0;
	}
	if (strcmp(command, "shrink") == 0)
		return shrink(first, SHRINK_SECONDS);
	if (strcmp(command, "hunt") == 0)
		return hunt(first, argc > 3 ? way_of(argv[3]) : WAY_COUNT);
	if (way_of(command) < way_of("seed"))
		return run_enumeration(way_of(command), (double) first, second);
	if (strcmp(command, "case") == 0 && argc == 4)
		return run_case(argv[2], (int64_t) second);
	fprintf(stderr, "usage: see the head of main.c\n");
	return 2;
}
