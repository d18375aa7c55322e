/*
 * main.c
 *	  The simulator's command line.
 *
 *	  reef-sim random SECONDS [FIRST_SEED]	fresh seeds in parallel
 *	  reef-sim seed N						one history, with its trace
 *	  reef-sim hash N						only the hash of its trace
 *	  reef-sim shrink N						a shorter one that fails as it does
 *	  reef-sim single|pairs SECONDS [STRIDE]	enumerations, in parallel
 *	  reef-sim case single|pairs N			one case of them, with its trace
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
await(pid_t pid, Slot *slot)
{
	int			status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
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

typedef void (*Work) (Slot *slot, int worker, int workers, double deadline,
					  uint64_t argument);

static void
work_random(Slot *slot, int worker, int workers, double deadline,
			uint64_t first)
{
	for (uint64_t seed = first + (uint64_t) worker;
		 sim_seconds() < deadline; seed += (uint64_t) workers)
		run_history(slot, seed, 0, false);
}

static void
work_single(Slot *slot, int worker, int workers, double deadline,
			uint64_t stride)
{
	SimShare	share = {
		(uint64_t) worker, (uint64_t) workers * stride, &slot->current,
		deadline
	};

	sim_verdict = slot->verdict;
	sim_enumerate_single(&share, &slot->counts, false, -1);
}

static void
work_pairs(Slot *slot, int worker, int workers, double deadline,
		   uint64_t stride)
{
	SimShare	share = {
		(uint64_t) worker, (uint64_t) workers * stride, &slot->current,
		deadline
	};

	sim_verdict = slot->verdict;
	sim_enumerate_pairs(&share, &slot->counts, false, -1);
}

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

/* Returns how many workers failed; *bad is what one of them was at. */
static int
run_workers(const char *what, Work work, double seconds, uint64_t argument,
			uint64_t *bad)
{
	const char *jobs = getenv("SIM_JOBS");
	int			workers = jobs != NULL ? atoi(jobs) :
		(int) sysconf(_SC_NPROCESSORS_ONLN);
	double		start = sim_seconds();
	SimCounts	total = {0};
	Slot	   *slots[WORKERS_MAX];
	pid_t		pids[WORKERS_MAX];
	int			failures = 0;

	if (workers < 1 || workers > WORKERS_MAX)
		workers = 1;
	fflush(stdout);
	for (int i = 0; i < workers; i++)
	{
		slots[i] = new_slot();
		pids[i] = fork();
		if (pids[i] < 0)
			abort();
		if (pids[i] == 0)
		{
			work(slots[i], i, workers, start + seconds, argument);
			_exit(0);
		}
	}
	for (int i = 0; i < workers; i++)
	{
		if (!await(pids[i], slots[i]))
		{
			failures++;
			*bad = slots[i]->current;
			printf("FAILED %s %llu: %s\n", what, (unsigned long long) *bad,
				   slots[i]->verdict);
		}
		add_counts(&total, &slots[i]->counts);
		munmap(slots[i], sizeof(Slot));
	}
	print_counts(what, &total, sim_seconds() - start);
	return failures;
}

static int
run_random(double seconds, uint64_t first)
{
	const char *no_shrink = getenv("SIM_NO_SHRINK");
	uint64_t	bad = 0;
	int			failures;

	if (first == 0)
		first = (uint64_t) time(NULL) * 1000003 % 1000000007 * 1000 + 1;
	printf("seeds from %llu\n", (unsigned long long) first);
	failures = run_workers("seed", work_random, seconds, first, &bad);
	if (failures > 0 && no_shrink == NULL)
	{
		printf("again with: test/sim/run.sh --seed %llu\n",
			   (unsigned long long) bad);
		(void) shrink(bad, SHRINK_SECONDS);
	}
	return failures > 0;
}

static int
run_case(bool is_pair, int64_t number)
{
	Slot	   *slot = new_slot();
	SimShare	share = {0, 1, &slot->current, sim_seconds() + 600};

	sim_verdict = slot->verdict;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (is_pair)
		sim_enumerate_pairs(&share, &slot->counts, true, number);
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
	uint64_t	bad;

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
	if (strcmp(command, "single") == 0)
		return run_workers("single", work_single, (double) first,
						   second > 0 ? second : 1, &bad) > 0;
	if (strcmp(command, "pairs") == 0)
		return run_workers("pairs", work_pairs, (double) first,
						   second > 0 ? second : 1, &bad) > 0;
	if (strcmp(command, "case") == 0 && argc == 4)
		return run_case(strcmp(argv[2], "pairs") == 0, (int64_t) second);
	fprintf(stderr, "usage: see the head of main.c\n");
	return 2;
}
