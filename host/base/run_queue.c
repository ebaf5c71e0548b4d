// See run_queue.h.
#include "run_queue.h"

#include <stddef.h>

// --- lists ---------------------------------------------------------------------------------------

static void push_job(JobList *list, Job *job)
{
  job->next = NULL;
  if (list->last)
    list->last->next = job;
  else
    list->first = job;
  list->last = job;
}

static Job *pop_job(JobList *list)
{
  Job *job = list->first;
  list->first = job->next;
  if (!list->first)
    list->last = NULL;
  job->next = NULL;
  return job;
}

static bool remove_job(JobList *list, Job *job)
{
  Job *before = NULL, *at;
  for (at = list->first; at && at != job; at = at->next)
    before = at;
  if (!at)
    return false;
  if (before)
    before->next = job->next;
  else
    list->first = job->next;
  if (list->last == job)
    list->last = before;
  job->next = NULL;
  return true;
}

static void push_group(GroupList *list, JobGroup *group)
{
  group->next = NULL;
  group->is_queued = true;
  if (list->last)
    list->last->next = group;
  else
    list->first = group;
  list->last = group;
}

static JobGroup *pop_group(GroupList *list)
{
  JobGroup *group = list->first;
  if (!group)
    return NULL;
  list->first = group->next;
  if (!list->first)
    list->last = NULL;
  group->next = NULL;
  group->is_queued = false;
  return group;
}

static bool remove_group(GroupList *list, JobGroup *group)
{
  JobGroup *before = NULL, *at;
  for (at = list->first; at && at != group; at = at->next)
    before = at;
  if (!at)
    return false;
  if (before)
    before->next = group->next;
  else
    list->first = group->next;
  if (list->last == group)
    list->last = before;
  group->next = NULL;
  group->is_queued = false;
  return true;
}

static bool has_jobs(const JobGroup *group)
{
  return group->fresh.first || group->long_ones.first;
}

// --- coming and going ----------------------------------------------------------------------------

static bool is_parked_this_turn(const RunQueue *queue, const JobGroup *group)
{
  return group->turn == queue->turn && group->spent_ms >= LONG_MS;
}

void run_queue_post(RunQueue *queue, Job *job)
{
  JobGroup *group;
  bool is_long = false;
  if (job->is_queued)
    return;
  if (!job->group)
    job->group = &queue->other_jobs;
  group = job->group;
  job->is_queued = true;
  if (job == queue->running)
    is_long = queue->update_ms(queue) - queue->job_started_ms >= LONG_MS;
  push_job(is_long ? &group->long_ones : &group->fresh, job);
  if (!group->is_queued)
    push_group(is_parked_this_turn(queue, group) ? &queue->parked : &queue->ready, group);
}

void run_queue_cancel(RunQueue *queue, Job *job)
{
  JobGroup *group = job->group;
  if (!job->is_queued)
    return;
  if (!remove_job(&group->fresh, job))
    remove_job(&group->long_ones, job);
  job->is_queued = false;
  if (!has_jobs(group) && !remove_group(&queue->ready, group) && // its owner may free it now
      !remove_group(&queue->late, group))
    remove_group(&queue->parked, group);
}

bool run_queue_is_empty(const RunQueue *queue)
{
  return !queue->ready.first && !queue->late.first && !queue->parked.first;
}

// --- a turn --------------------------------------------------------------------------------------

static bool turn_goes_on(const RunQueue *queue, uint64_t now_ms)
{
  return queue->turn_jobs < TURN_JOBS && now_ms - queue->turn_started_ms < TURN_MS;
}

bool run_queue_goes_on(RunQueue *queue, const JobGroup *group)
{
  uint64_t now_ms;
  if ((queue->ready.first && queue->ready.first != group) || queue->late.first)
    return false;
  now_ms = queue->update_ms(queue);
  if (!turn_goes_on(queue, now_ms) || now_ms - queue->job_started_ms >= LONG_MS)
    return false;
  queue->turn_jobs++;
  return true;
}

static Job *take_job(JobGroup *group)
{
  if (!group->long_ones.first)
    return pop_job(&group->fresh);
  if (group->fresh.first && group->passed++ < MAX_PASSED)
    return pop_job(&group->fresh);
  group->passed = 0;
  return pop_job(&group->long_ones);
}

// Counts what a job of the group took. The group may have been freed with its last job: then it is
// in no list, and nothing is looked at but the lists.
static void park_if_long(RunQueue *queue, JobGroup *group, uint64_t took_ms)
{
  JobGroup *at;
  if (took_ms == 0)
    return;
  for (at = queue->ready.first; at && at != group; at = at->next)
    ;
  if (!at)
    return;
  group->spent_ms = (group->turn == queue->turn ? group->spent_ms : 0) + took_ms;
  group->turn = queue->turn;
  if (group->spent_ms < LONG_MS)
    return;
  remove_group(&queue->ready, group);
  push_group(&queue->parked, group);
}

static void move_all(GroupList *from, GroupList *to)
{
  JobGroup *group;
  while ((group = pop_group(from)) != NULL)
    push_group(to, group);
}

static JobGroup *next_group(RunQueue *queue)
{
  JobGroup *group = pop_group(&queue->ready);
  if (group)
    return group;
  if (queue->late.first && queue->turn_jobs > 0)
    queue->before_long(queue);
  // Flushing may have given cause to more.
  group = pop_group(&queue->late);
  return group ? group : pop_group(&queue->ready);
}

void run_queue_turn(RunQueue *queue, uint64_t now_ms)
{
  JobGroup *group;
  GroupList ran;
  queue->turn++;
  queue->turn_started_ms = now_ms;
  queue->turn_jobs = 0;
  move_all(&queue->parked, queue->is_late_due ? &queue->ready : &queue->late);
  while (turn_goes_on(queue, now_ms) && (group = next_group(queue)) != NULL) {
    Job *job = take_job(group);
    queue->job_started_ms = now_ms;
    queue->turn_jobs++;
    if (has_jobs(group))
      push_group(&queue->ready, group);
    job->is_queued = false;
    queue->running = job;
    job->run(job); // job and group may be gone when it returns
    queue->running = NULL;
    now_ms = queue->update_ms(queue);
    park_if_long(queue, group, now_ms - queue->job_started_ms);
  }
  queue->is_late_due = queue->late.first != NULL;
  ran = queue->parked;
  queue->parked = queue->late; // those who waited come first
  queue->late = (GroupList){ 0 };
  move_all(&ran, &queue->parked);
}
