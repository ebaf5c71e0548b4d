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
  group->list = list;
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
  group->list = NULL;
  return group;
}

static void remove_group(JobGroup *group)
{
  GroupList *list = group->list;
  JobGroup *before = NULL, *at;
  for (at = list->first; at != group; at = at->next)
    before = at;
  if (before)
    before->next = group->next;
  else
    list->first = group->next;
  if (list->last == group)
    list->last = before;
  group->next = NULL;
  group->list = NULL;
}

static bool has_jobs(const JobGroup *group)
{
  return group->fresh.first || group->long_ones.first;
}

// --- coming and going ----------------------------------------------------------------------------

// To the end of the list that its past jobs say.
static void queue_group(RunQueue *queue, JobGroup *group)
{
  bool is_long = group->usual_ms >= LONG_MS * USUAL_PARTS;
  push_group(is_long ? &queue->late : &queue->ready, group);
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
  if (!group->list && group != queue->running_group) // that comes back when its job has run
    queue_group(queue, group);
}

void run_queue_cancel(Job *job)
{
  JobGroup *group = job->group;
  if (!job->is_queued)
    return;
  if (!remove_job(&group->fresh, job))
    remove_job(&group->long_ones, job);
  job->is_queued = false;
  if (!has_jobs(group) && group->list)
    remove_group(group);
}

bool run_queue_is_empty(const RunQueue *queue)
{
  return !queue->ready.first && !queue->late.first;
}

// --- a turn --------------------------------------------------------------------------------------

static bool turn_goes_on(const RunQueue *queue, uint64_t now_ms)
{
  return queue->turn_jobs < TURN_JOBS && now_ms - queue->turn_started_ms < TURN_MS;
}

bool run_queue_goes_on(RunQueue *queue)
{
  uint64_t now_ms;
  if (queue->ready.first || queue->late.first)
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

// A mean in which the last job counts an eighth.
static void note_time(RunQueue *queue, JobGroup *group, uint64_t now_ms)
{
  uint64_t took_ms = now_ms - queue->job_started_ms;
  group->usual_ms = group->usual_ms - group->usual_ms / 8 + took_ms * USUAL_PARTS / 8;
  if (took_ms >= LONG_MS)
    queue->late_due_ms = now_ms + took_ms;
}

static bool is_late_next(const RunQueue *queue, uint64_t now_ms)
{
  bool has_others = queue->ready.first || queue->late_waits;
  return queue->late.first && (!has_others || now_ms >= queue->late_due_ms);
}

static JobGroup *next_group(RunQueue *queue, uint64_t now_ms)
{
  if (queue->turn_jobs > 0 && is_late_next(queue, now_ms))
    queue->before_long(queue); // which may give cause to more
  return pop_group(is_late_next(queue, now_ms) ? &queue->late : &queue->ready);
}

void run_queue_turn(RunQueue *queue, uint64_t now_ms)
{
  JobGroup *group;
  queue->turn_started_ms = now_ms;
  queue->turn_jobs = 0;
  while (turn_goes_on(queue, now_ms) && (group = next_group(queue, now_ms)) != NULL) {
    Job *job = take_job(group);
    queue->job_started_ms = now_ms;
    queue->turn_jobs++;
    job->is_queued = false;
    queue->running = job;
    queue->running_group = group;
    job->run(job); // it may be gone when it returns
    queue->running = NULL;
    queue->running_group = NULL;
    now_ms = queue->update_ms(queue);
    note_time(queue, group, now_ms);
    if (has_jobs(group))
      queue_group(queue, group);
  }
  queue->late_waits = false;
}
