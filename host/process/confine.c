// See confine.h.
#include "confine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "../base/scoreboard.h"
#include "config_read.h"

// Where names are resolved, certificates and shared libraries are found; what is not there is left
// out. A process's own place in /proc is what a sanitizer and the C library look at.
static const char *const SYSTEM[] = {
  "/etc",
  "/usr",
  "/lib",
  "/lib64",
  "/nix/store",
  "/gnu/store",
  "/run/systemd/resolve",
  "/run/nscd",
  "/proc/self",
  "/sys/devices/system/cpu",
  "/dev/null",
  "/dev/urandom",
};

typedef struct {
  char **list;
  uint32_t count;
} Paths;

static Paths reached; // real paths; of this process, once it is confined

static void add(Paths *paths, const char *path)
{
  char *real = path ? realpath(path, NULL) : NULL;
  if (real)
    config_add_text(&paths->list, &paths->count, real);
  free(real);
}

// A file is replaced by renaming another one over it, so its folder is what has to be reached.
static char *folder_of(const char *path)
{
  const char *slash = strrchr(path, '/');
  if (!slash)
    return mem_string(".");
  return slash == path ? mem_string("/") : mem_bytes(path, (size_t)(slash - path));
}

static void add_folder_of(Paths *paths, const char *path)
{
  char *real = path ? realpath(path, NULL) : NULL, *folder = path ? folder_of(path) : NULL;
  add(paths, folder);
  mem_free(folder);
  folder = real ? folder_of(real) : NULL; // where a link leads
  add(paths, folder);
  mem_free(folder);
  free(real);
}

static bool is_off(void)
{
  const char *wish = getenv("MOONHOOK_CONFINE");
  return wish && strcmp(wish, "off") == 0;
}

static ConfineResult confine(Paths *paths, const char *writes, bool has_network)
{
  ConfineRoom room = { .has_network = has_network };
  ConfineResult result = { false, false };
  if (is_off()) {
    config_free_texts(paths->list, paths->count);
    return result;
  }
  add(paths, getenv("MOONHOOK_LUA_PATH"));
  add(paths, writes);
  room.writes = mem_string(writes);
  room.reads = mem_zero(paths->count + 1, sizeof *room.reads);
  memcpy(room.reads, paths->list, paths->count * sizeof *room.reads);
  result = confine_process(&room);
  mem_free(room.reads);
  mem_free(room.writes);
  if (result.has_files)
    reached = *paths;
  else
    config_free_texts(paths->list, paths->count);
  return result;
}

static ConfineResult confine_to(const Config *config, const char *writes)
{
  Paths paths = { 0 };
  uint32_t i;
  for (i = 0; i < sizeof SYSTEM / sizeof *SYSTEM; i++)
    add(&paths, SYSTEM[i]);
  add_folder_of(&paths, "/etc/resolv.conf");
  add_folder_of(&paths, getenv("SSL_CERT_FILE"));
  for (i = 0; i < config->watched_count; i++)
    add_folder_of(&paths, config->watched[i]);
  return confine(&paths, writes, true);
}

void confine_loop(void)
{
  if (!is_off())
    confine_rings();
}

void confine_worker(const Config *config)
{
  const ConfineResult result = confine_to(config, config->data_dir);
  const char *calls = result.has_calls ? "filtered" : "all";
  const char *files = result.has_files ? "its own" : "all";
  ScoreLine *line = scoreboard_mine();
  line->has_calls_filtered = result.has_calls;
  line->has_files_confined = result.has_files;
  if (is_off())
    return;
  log_event(LOG_DEBUG, "confined", LOG_S("calls", calls), LOG_S("files", files));
  if (!result.has_calls || !result.has_files)
    log_event(LOG_INFO, "this system does not confine workers wholly", LOG_S("calls", calls),
              LOG_S("files", files));
}

ConfineProbe confine_probe(const Config *config)
{
  ConfineProbe probe = { .is_off = is_off(), .landlock = confine_landlock() };
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) {
    const char *data_dir = access(config->data_dir, F_OK) == 0 ? config->data_dir : NULL;
    ConfineResult result = confine_to(config, data_dir);
    _exit((result.has_calls ? 1 : 0) | (result.has_files ? 2 : 0));
  }
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  if (pid > 0 && WIFEXITED(status)) {
    probe.has_calls = (WEXITSTATUS(status) & 1) != 0;
    probe.has_files = (WEXITSTATUS(status) & 2) != 0;
  }
  return probe;
}

void confine_trial(const char *dir)
{
  Paths paths = { 0 };
  add(&paths, "/proc/self");
  add(&paths, dir);
  confine(&paths, NULL, false);
}

bool confine_is_on(void)
{
  return reached.count > 0;
}

bool confine_reaches(const char *path)
{
  char *folder, *real;
  bool is_there;
  uint32_t i;
  if (!confine_is_on())
    return true;
  folder = folder_of(path);
  real = realpath(folder, NULL);
  mem_free(folder);
  for (i = 0; real && i < reached.count; i++) {
    size_t len = strlen(reached.list[i]);
    if (len == 1 ||
        (strncmp(real, reached.list[i], len) == 0 && (real[len] == '/' || real[len] == '\0')))
      break;
  }
  is_there = real != NULL;
  free(real);
  return !is_there || i < reached.count; // what is not there, nobody reaches
}
