/*
 * task.c
 *	  Processes as coroutines.
 *
 * A task runs on a stack of its own until it yields; the scheduler, on the
 * program's stack, decides who goes on.  Stacks are kept for the next task.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "sim.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define STACK_SIZE ((size_t) 4 * 1024 * 1024)
#else
#define STACK_SIZE ((size_t) 1024 * 1024)
#endif

static void *spare_stacks[SIM_TASKS_MAX];
static int	spare_stack_count;

static void *
new_stack(void)
{
	void	   *stack;

	if (spare_stack_count > 0)
		return spare_stacks[--spare_stack_count];
	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stack == MAP_FAILED)
		abort();
	return stack;
}

void
sim_tasks_free_stacks(void)
{
	while (spare_stack_count > 0)
		munmap(spare_stacks[--spare_stack_count], STACK_SIZE);
}

/* The address sanitizer wants to know about each change of stacks. */
static void
begin_switch(void **fake_stack, const void *stack, size_t size)
{
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(fake_stack, stack, size);
#else
	(void) fake_stack;
	(void) stack;
	(void) size;
#endif
}

static void
end_switch(void *fake_stack, const void **stack, size_t *size)
{
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(fake_stack, stack, size);
#else
	(void) fake_stack;
	(void) stack;
	(void) size;
#endif
}

static Sim *starting;

static void
begin_task(void)
{
	Sim		   *sim = starting;
	SimTask    *task = sim->current;

	end_switch(NULL, &sim->scheduler_stack,
			   &sim->scheduler_stack_size);
	task->main(task);
	task->state = SIM_TASK_NONE;
	begin_switch(NULL, sim->scheduler_stack, sim->scheduler_stack_size);
	swapcontext(&task->context, &sim->scheduler);
	abort();
}

static void
prepare_context(ucontext_t *context, void *stack)
{
	getcontext(context);
	context->uc_stack.ss_sp = stack;
	context->uc_stack.ss_size = STACK_SIZE;
	context->uc_link = NULL;
	makecontext(context, begin_task, 0);
}

SimTask *
sim_task_start(SimCluster *cluster, const char *name, SimTaskMain task_main,
			   int argument)
{
	Sim		   *sim = cluster->sim;
	SimTask    *task = NULL;
	SimProcess *process = NULL;

	for (int i = 0; i < SIM_PROCESSES && process == NULL; i++)
	{
		if (!cluster->processes[i].is_busy)
			process = &cluster->processes[i];
	}
	for (int i = 0; i < SIM_TASKS_MAX && task == NULL; i++)
	{
		if (sim->tasks[i].state == SIM_TASK_NONE)
			task = &sim->tasks[i];
	}
	if (process == NULL || task == NULL)
		return NULL;
	sim_process_open(cluster, process);
	process->is_busy = true;
	memset(task, 0, sizeof(*task));
	task->sim = sim;
	task->cluster = cluster;
	task->process = process;
	task->number = (int) (task - sim->tasks);
	task->name = name;
	task->main = task_main;
	task->argument = argument;
	task->ns = argument;
	task->started_us = sim->now_us;
	task->state = SIM_TASK_READY;
	task->stack = new_stack();
	prepare_context(&task->context, task->stack);
	sim_trace(sim, "c%d/%d begins to %s", cluster->number, task->number, name);
	return task;
}

void
sim_task_resume(SimTask *task)
{
	Sim		   *sim = task->sim;
	void	   *fake_stack = NULL;

	task->state = SIM_TASK_READY;
	sim->current = task;
	starting = sim;
	begin_switch(&fake_stack, task->stack, STACK_SIZE);
	swapcontext(&sim->scheduler, &task->context);
	end_switch(fake_stack, NULL, NULL);
	sim->current = NULL;
	if (task->state != SIM_TASK_NONE)
		return;
	if (!task->cluster->is_dead)
		sim_trace(sim, "c%d/%d has done its %s", task->cluster->number,
				  task->number, task->name);
	task->process->is_busy = false;
	spare_stacks[spare_stack_count++] = task->stack;
	task->stack = NULL;
}

void
sim_task_yield(SimTask *task)
{
	Sim		   *sim = task->sim;

	begin_switch(&task->fake_stack, sim->scheduler_stack,
				 sim->scheduler_stack_size);
	swapcontext(&task->context, &sim->scheduler);
	end_switch(task->fake_stack, &sim->scheduler_stack,
			   &sim->scheduler_stack_size);
}

bool
sim_task_is_runnable(const SimTask *task)
{
	switch (task->state)
	{
		case SIM_TASK_NONE:
			return false;
		case SIM_TASK_READY:
			return true;
		case SIM_TASK_SLEEPING:
			break;
		case SIM_TASK_BLOCKED:
			if (task->cluster->rights[task->lock_number][task->right] == NULL)
				return true;
			break;
	}
	return task->cluster->is_dead || task->is_cancelled ||
		task->wake_us <= task->sim->now_us;
}
