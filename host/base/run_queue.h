// The jobs that a loop has to do, by groups (plugins) that take turns.
//
// A turn ends after TURN_JOBS jobs or TURN_MS; libuv polls before the next one. Groups whose jobs
// usually take LONG_MS are kept behind the others: one of their jobs runs when nobody else has any,
// or when the others have had as much time as the last long job took. So who comes meanwhile waits
// for one long job, however many there are, and the long ones together get half of the time.
// Within a group a job that comes anew goes before one that ran for LONG_MS and is not through, but
// at most MAX_PASSED times in a row.
#ifndef MOONHOOK_BASE_RUN_QUEUE_H
#define MOONHOOK_BASE_RUN_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

enum { USUAL_PARTS = 1024 };
enum { TURN_JOBS = 16, TURN_MS = 1, LONG_MS = 1, MAX_PASSED = 16 };

typedef struct Job Job;

typedef struct JobList {
  Job *first, *last;
} JobList;

// Jobs of one group take turns with the other groups'. Zero-initialise. It must outlive its jobs'
// runs.
typedef struct JobGroup {
  JobList fresh, long_ones;
  struct JobGroup *next;  // in the list that it is in
  struct GroupList *list; // that it is in; NULL: none
  uint32_t passed;        // fresh jobs since a long one ran while there was one
  uint64_t usual_ms;      // that a job of it takes, in 1/USUAL_PARTS ms
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
  GroupList ready, late; // late: those whose jobs are usually long
  uint64_t late_due_ms;  // from here on `late` waits for nobody
  bool late_waits;       // in this turn: there is more to be read first
  JobGroup other_jobs;   // of jobs without a group
  const Job *running;
  const JobGroup *running_group;
  uint64_t (*update_ms)(struct RunQueue *queue); // looks at the clock
  // What this turn's short jobs wrote need not wait for the long one that runs next.
  void (*before_long)(struct RunQueue *queue);
  uint64_t turn_started_ms, job_started_ms;
  uint32_t turn_jobs; // of this turn so far
} RunQueue;

void run_queue_post(RunQueue *queue, Job *job); // no effect when queued already
void run_queue_cancel(Job *job);                // no effect when not queued
void run_queue_turn(RunQueue *queue, uint64_t now_ms);
bool run_queue_goes_on(RunQueue *queue); // see job_goes_on
bool run_queue_is_empty(const RunQueue *queue);

#endif
