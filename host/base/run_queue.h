// The jobs that a loop has to do, by groups (plugins) that take turns.
//
// A turn ends after TURN_JOBS jobs or TURN_MS. A group that took LONG_MS in a turn is parked until
// the next one, which begins after libuv polled: whoever came meanwhile goes first. Within a group
// a job that comes anew goes before one that ran for LONG_MS and is not through, but at most
// MAX_PASSED times in a row.
#ifndef MOONHOOK_BASE_RUN_QUEUE_H
#define MOONHOOK_BASE_RUN_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

enum { TURN_JOBS = 16, TURN_MS = 5, LONG_MS = 1, MAX_PASSED = 16 };

typedef struct Job Job;

typedef struct JobList {
  Job *first, *last;
} JobList;

// Jobs of one group take turns with the other groups'. Zero-initialise.
typedef struct JobGroup {
  JobList fresh, long_ones;
  struct JobGroup *next; // in the list that it is in
  bool is_queued;        // in one of the queue's lists
  uint32_t passed;       // fresh jobs since a long one ran while there was one
  uint64_t turn;         // of which spent_ms is
  uint64_t spent_ms;
} JobGroup;

// A piece of work; lives inside its owner. Zero-initialise, then set group and run.
struct Job {
  Job *next;
  JobGroup *group;
  void (*run)(Job *job);
  bool is_queued;
};

typedef struct GroupList {
  JobGroup *first, *last;
} GroupList;

// Zero-initialise, then set the functions.
typedef struct RunQueue {
  GroupList ready, parked;
  GroupList late;   // that were parked before this turn: their turn comes when `ready` is empty
  bool is_late_due; // they did not get it in the turn before: now they take turns with the others
  JobGroup other_jobs; // of jobs without a group
  const Job *running;
  uint64_t (*update_ms)(struct RunQueue *queue); // looks at the clock
  // What this turn's short jobs wrote need not wait for those that were parked and run next.
  void (*before_long)(struct RunQueue *queue);
  uint64_t turn;
  uint64_t turn_started_ms, job_started_ms;
  uint32_t turn_jobs; // of this turn so far
} RunQueue;

void run_queue_post(RunQueue *queue, Job *job);   // no effect when queued already
void run_queue_cancel(RunQueue *queue, Job *job); // no effect when not queued
void run_queue_turn(RunQueue *queue, uint64_t now_ms);
bool run_queue_goes_on(RunQueue *queue, const JobGroup *group); // see job_goes_on
bool run_queue_is_empty(const RunQueue *queue);

#endif
