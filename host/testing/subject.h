// A plugin under test: loaded from its folder into a sandboxed state, served by a listener of its
// own, with all its calls led to the upstream that the spec plays. Everything between the client's
// socket and the upstream's is what production runs.
#ifndef MOONHOOK_TESTING_SUBJECT_H
#define MOONHOOK_TESTING_SUBJECT_H

#include "../dispatch/dispatch.h"
#include "../script/storage_faults.h"
#include "bed.h"

typedef struct {
  const char *dir;
  const char *settings_json; // as in moonhook.yaml; "{}" for none
  const char *const *names;  // of backends beside `dify`, NULL-terminated; may be NULL
  const char *const *models; // theirs, each {"llm":["gpt-4o"]}
  bool has_storage;          // false: no store can be reached
} SubjectConfig;

struct Subject {
  Bed *bed;
  Subject *next;
  uint32_t id;
  Runtime runtime;
  Dispatch *dispatch;
  HttpServer *server, *upstream;
  char hook_id[32];
  char *plugin_id; // "author#1/name": see own_space
  char *dir, *settings_json;
  char **copies; // folders that reloads made, NULL-terminated; NULL: none
  StorageFaults faults;
  bool is_client_closed;
};

// NULL: *problems has a line for each thing that is wrong with the plugin or its settings.
Subject *subject_load(Bed *bed, const SubjectConfig *config, Buffer *problems);
// Serves a changed version from now on, as a save does: the plugin's folder as it is now, with
// `texts` in place of the files `names` (NULL-terminated). -1: it does not load, which *problems
// says, and the version before goes on serving.
int subject_reload(Subject *subject, const char *const *names, const Span *texts, Buffer *problems);
Subject *subject_find(const Bed *bed, uint32_t id); // NULL: closed
int subject_port(const Subject *subject);
uint32_t subject_live_tasks(const Subject *subject);
// Breaks off what still runs and frees it.
void subject_close(Bed *bed, Subject *subject);

#endif
