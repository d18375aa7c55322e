/*
 * scenario.h
 *	  One case of an enumeration.
 */
#ifndef REEF_SIM_SCENARIO_H
#define REEF_SIM_SCENARIO_H

#include "sim.h"

typedef enum SimRoles
{
	SIM_A_WRITES,				/* B is new */
	SIM_B_WRITES,				/* A is new */
	SIM_ONE_SERVER,
	SIM_ROLES
} SimRoles;

typedef enum SimEnd
{
	SIM_GOES_ON,
	SIM_GOES_ON_LATER,			/* after a transaction of its server */
	SIM_GETS_NO_ANSWER,
	SIM_DIES,
	SIM_ENDS
} SimEnd;

typedef enum SimWorld
{
	SIM_WORLD_SMALL,
	SIM_WORLD_EMPTY,
	SIM_WORLD_LARGE,			/* slower */
	SIM_WORLDS
} SimWorld;

typedef struct SimCase
{
	bool		is_pair;
	SimWorld	world;			/* that it begins with */
	bool		has_late_fence;
	SimRoles	roles;
	int			a;				/* operations */
	int			b;
	uint32_t	call_a;			/* that fails, or is stopped at */
	SimFault	fault;			/* alone: how it fails */
	SimPoint	point_a;
	SimEnd		end;
	uint32_t	call_b;			/* at which it dies; one more than there are: it
								 * does not */
} SimCase;

#define SIM_OPERATIONS_MAX 20

/* Those that one process does, and the first of those that only B does. */
extern const int sim_operation_count;
extern const int sim_operation_serve;
extern bool sim_operation_is_alone(int operation);

/* The store and the server that all cases begin with. */
extern Sim *sim_scenario_new(SimCounts *counts, SimWorld world);
/* How many calls does A's operation take, and of which kinds (SimCall) are the
 * first of them? */
extern uint32_t sim_case_calls(Sim *sim, const SimCase *what, uint8_t *kinds,
							   uint32_t max);
extern void sim_case_run(Sim *sim, const SimCase *what);

#endif							/* REEF_SIM_SCENARIO_H */
