/*
 * enumerate.c
 *	  Every operation stopped at every call to the store.
 *
 * The cases of a family are listed, shuffled (always in the same way, so that
 * a part of them is a sample of all), and run.  Each runs in a child, which
 * begins where its parent has come with the preparations.  The number of calls
 * of an operation is found by running it once without trouble.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario.h"

#define CASE_SECONDS 60
#define CALLS_MAX 500

/* What a child has counted. */
typedef struct Counted
{
	uint32_t	calls;
	uint8_t		kinds[CALLS_MAX];	/* SimCall */
} Counted;

typedef struct Family
{
	const SimShare *share;
	SimCounts  *counts;
	SimCounts	ignored;
	bool		is_traced;
	Sim		   *worlds[SIM_WORLDS];
	Counted    *counted;		/* by a child */
	SimCase    *cases;
	size_t		count;
	size_t		capacity;
} Family;

static void
await_child(pid_t pid)
{
	int			status;

	if (waitpid(pid, &status, 0) != pid)
		abort();
	if (WIFSIGNALED(status))
	{
		/* of what it died, whoever waits for us should know */
		fflush(stdout);
		raise(WTERMSIG(status));
	}
	if (status != 0)
		_exit(WEXITSTATUS(status));
}

static Sim *
world_of(Family *family, const SimCase *what)
{
	Sim		  **world = &family->worlds[what->world];

	if (*world == NULL)
		*world = sim_scenario_new(&family->ignored, what->world);
	return *world;
}

static Counted
count_calls(Family *family, const SimCase *what)
{
	Sim		   *sim = world_of(family, what);
	pid_t		pid = fork();

	if (pid < 0)
		abort();
	if (pid == 0)
	{
		alarm(CASE_SECONDS);
		family->counted->calls = sim_case_calls(sim, what,
												family->counted->kinds,
												CALLS_MAX);
		_exit(0);
	}
	await_child(pid);
	if (family->counted->calls > CALLS_MAX)
		family->counted->calls = CALLS_MAX;
	return *family->counted;
}

static void
run_case(Family *family, const SimCase *what)
{
	Sim		   *sim = world_of(family, what);
	pid_t		pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0)
	{
		alarm(CASE_SECONDS);
		sim->counts = family->counts;
		sim->is_traced = family->is_traced;
		/* so that each case looks at other states more closely */
		sim->check_random = *family->share->current;
		sim_case_run(sim, what);
		sim_free(sim);
		fflush(stdout);
		_exit(0);
	}
	await_child(pid);
}

static void
add_case(Family *family, const SimCase *what)
{
	if (family->count == family->capacity)
	{
		family->capacity = family->capacity * 2 + 1024;
		family->cases = reallocarray(family->cases, family->capacity,
									 sizeof(SimCase));
		if (family->cases == NULL)
			abort();
	}
	family->cases[family->count++] = *what;
}

static void
run_all(Family *family, int64_t only)
{
	const SimShare *share = family->share;
	uint64_t	random = 1;

	for (size_t i = family->count; i > 1; i--)
	{
		size_t		other = sim_random_next(&random) % i;
		SimCase		swap = family->cases[i - 1];

		family->cases[i - 1] = family->cases[other];
		family->cases[other] = swap;
	}
	for (size_t i = only >= 0 ? (size_t) only : share->first;
		 i < family->count && !sim_share_is_over(share, family->counts);
		 i += share->stride)
	{
		*share->current = i;
		run_case(family, &family->cases[i]);
		if (only >= 0)
			break;
	}
	free(family->cases);
}

static void
family_init(Family *family, const SimShare *share, SimCounts *counts,
			bool is_traced)
{
	memset(family, 0, sizeof(*family));
	family->share = share;
	family->counts = counts;
	family->is_traced = is_traced;
	family->counted = mmap(NULL, sizeof(Counted), PROT_READ | PROT_WRITE,
						  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (family->counted == MAP_FAILED)
		abort();
}

void
sim_enumerate_single(const SimShare *share, SimCounts *counts, bool is_traced,
					 int64_t only)
{
	Family		family;
	SimCase		what = {0};

	family_init(&family, share, counts, is_traced);
	/* a new table; and known ones, by their writer and by somebody new */
	for (int kind = 0; kind < SIM_WORLDS + 1; kind++)
	{
		what.world = kind == SIM_WORLDS ? SIM_WORLD_SMALL : (SimWorld) kind;
		what.roles = kind == SIM_WORLDS ? SIM_B_WRITES : SIM_A_WRITES;
		for (what.a = 0; what.a < sim_operation_count; what.a++)
		{
			uint32_t	calls = count_calls(&family, &what).calls;

			for (what.call_a = 1; what.call_a <= calls; what.call_a++)
			{
				for (int fault = 1; fault < SIM_FAULT_COUNT; fault++)
				{
					what.fault = (SimFault) fault;
					add_case(&family, &what);
				}
			}
		}
	}
	run_all(&family, only);
}

/*
 * Is there something to see when A stops at such a call, there, and ends so?
 * Half an object is none; only what changes something can be left unanswered,
 * or arrive when its sender is dead; what little is read of objects that are
 * there matters when they are gone.
 */
static bool
is_worth_it(SimCall call, SimPoint point, SimEnd end)
{
	switch (call)
	{
		case SIM_CALL_PUT:
		case SIM_CALL_COMMIT:
		case SIM_CALL_DELETE:
			return true;
		case SIM_CALL_GET:
		case SIM_CALL_LIST:
			return end == SIM_GOES_ON || end == SIM_GOES_ON_LATER;
		case SIM_CALL_RANGE:
		case SIM_CALL_HEAD:
		case SIM_CALL_NOW:
			return point == SIM_POINT_BEFORE && end == SIM_GOES_ON;
		case SIM_CALL_BEGIN:
		case SIM_CALL_WRITE:
			break;
	}
	return false;
}

/* All ways in which A can stop and go on. */
static void
add_ways(Family *family, SimCase *what, const Counted *a, uint32_t calls_b)
{
	for (what->call_a = 1; what->call_a <= a->calls; what->call_a++)
	{
		for (int way = 0; way < 2 * SIM_ENDS; way++)
		{
			what->point_a = way % 2 == 0 ? SIM_POINT_BEFORE : SIM_POINT_AFTER;
			what->end = (SimEnd) (way / 2);
			if (!is_worth_it((SimCall) a->kinds[what->call_a - 1],
							 what->point_a, what->end))
				continue;
			/* what is late wants the place that a put of A's has had */
			if (what->has_late_fence &&
				(a->kinds[what->call_a - 1] != SIM_CALL_PUT ||
				 what->point_a != SIM_POINT_AFTER || what->end == SIM_DIES))
				continue;
			for (what->call_b = 1; what->call_b <= calls_b + 1; what->call_b++)
				add_case(family, what);
		}
	}
}

static void
enumerate_pairs(Family *family, int first_b, int end_b, int64_t only)
{
	bool		is_year = first_b >= sim_operation_serve;

	for (int roles = 0; roles < SIM_ROLES; roles++)
	{
		SimCase		what = {.is_pair = true, .roles = (SimRoles) roles};
		Counted		counted[SIM_OPERATIONS_MAX];

		/* as B, an operation may take more calls than as A */
		for (what.a = 0; what.a < sim_operation_count; what.a++)
			counted[what.a] = count_calls(family, &what);
		for (what.a = 0; what.a < sim_operation_count; what.a++)
		{
			for (what.b = first_b; what.b < end_b; what.b++)
			{
				if (sim_operation_is_alone(what.a) ||
					sim_operation_is_alone(what.b))
					continue;
				for (int late = 0; late <= (int) is_year; late++)
				{
					what.has_late_fence = late == 1;
					add_ways(family, &what, &counted[what.a], is_year ? 0 :
							 counted[what.b].calls + 12);
				}
			}
		}
	}
	run_all(family, only);
}

void
sim_enumerate_pairs(const SimShare *share, SimCounts *counts, bool is_traced,
					int64_t only)
{
	Family		family;

	family_init(&family, share, counts, is_traced);
	enumerate_pairs(&family, 0, sim_operation_serve, only);
}

void
sim_enumerate_years(const SimShare *share, SimCounts *counts, bool is_traced,
					int64_t only)
{
	Family		family;

	family_init(&family, share, counts, is_traced);
	enumerate_pairs(&family, sim_operation_serve, sim_operation_serve + 2,
					only);
}
