// A worker's share of the connections: how many it takes of those that come, and which it takes
// from the others or gives to them.
#include "../base/scoreboard.h"
#include "../dispatch/quarantine.h"
#include "worker_parts.h"

enum {
  BALANCE_SLACK = 4,
  HANGS_MS = 150, // whoever did nothing for so long leaves his share to the others
  LOOK_PASSED_MS = 50,
  CALM_LOOKS = 20,
};

// Whether somebody takes connections there, and has done something lately.
static bool takes_part(const ScoreLine *line, uint64_t now_ms)
{
  if (line->role != PROCESS_WORKER || line->pid == 0 || !line->is_ready || line->is_draining)
    return false;
  return line == scoreboard_mine() || line->is_idle || line->beat_ms + HANGS_MS >= now_ms;
}

// Whether this worker has its share of the connections: then the others take what comes.
static bool may_accept(const HttpServer *server)
{
  uint32_t i, mine = http_server_connections(server);
  uint64_t all = 0, workers = 0, now_ms = scoreboard_now_ms();
  const ScoreLine *line;
  for (i = 0; (line = scoreboard_line(i)) != NULL; i++) {
    if (!takes_part(line, now_ms))
      continue;
    workers++;
    all += line->connections;
  }
  return workers < 2 || (uint64_t)mine * workers <= all + (uint64_t)BALANCE_SLACK * workers;
}

int worker_listen(Worker *worker, int fd, const HttpLimits *limits, Err *err)
{
  worker->server =
      http_server_new(worker->loop, fd, limits, &dispatch_handler, worker->dispatch, err);
  if (!worker->server)
    return err->code;
  http_server_share(worker->server, may_accept, &scoreboard_mine()->connections);
  return 0;
}

// While one worker alone serves some plugin, that one takes what the others pass on. Who it is
// changes when it ends; when all are ending, each takes what is left. It listens for some time
// longer than is needed, so that what was sent last does not stay on the way.
static void on_look_passed(Timer *timer)
{
  worker_look_passed((Worker *)((char *)timer - offsetof(Worker, passed)));
}

void worker_look_passed(Worker *worker)
{
  uint32_t number = quarantine_worker();
  if (!worker->server)
    return;
  if (quarantine_watches())
    worker->calm_looks = 0;
  else if (worker->calm_looks < CALM_LOOKS)
    worker->calm_looks++;
  worker->takes_passed = worker->calm_looks < CALM_LOOKS && number == scoreboard_mine()->number &&
                         !worker->is_stopping;
  http_server_listen_passed(worker->server, worker->takes_passed);
  if (worker->calm_looks == CALM_LOOKS)
    return;
  if (number == 0)
    http_server_take_passed(worker->server);
  timer_start(worker->loop, &worker->passed, LOOK_PASSED_MS, on_look_passed);
}

void worker_join(Worker *worker, const int passing_fds[2])
{
  http_server_join(worker->server, passing_fds[0], passing_fds[1], &scoreboard_mine()->passed_on);
  worker->calm_looks = CALM_LOOKS;
  worker_look_passed(worker);
}
