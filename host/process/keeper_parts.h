// What the files of the keeper share: keeper.c loads plugins and follows changes,
// keeper_endpoints.c gives endpoints their addresses and settings and publishes them. For these
// alone.
#ifndef MOONHOOK_PROCESS_KEEPER_PARTS_H
#define MOONHOOK_PROCESS_KEEPER_PARTS_H

#include "../plugin/snapshot.h"
#include "../plugin/watch.h"
#include "keeper.h"

// A plugin that is served, as the keeper knows it.
typedef struct Served {
  struct Served *next;
  char *name, *folder;
  char *id;                               // "author/name"
  char hash[CONTENT_HASH_LEN + 1];        // of the live version; "" when none could be loaded
  char failed_hash[CONTENT_HASH_LEN + 1]; // of the last version that could not: told once
  Package *package;                       // a reading of the live version
  bool is_seen;
} Served;

// An endpoint that is served; kept to print its URL and to fall back to its last good settings.
typedef struct {
  char *plugin; // as it was written: a name, or author/name
  char *name, *hook_id, *settings_json;
} Kept;

struct Keeper {
  Loop *loop;
  Worker *worker;
  Store *store;
  ConfigSources sources;
  Config *config;
  Served *served;
  Kept *kept;
  uint32_t kept_count;
  bool watches;
  bool is_url_told; // that endpoints' URLs lead nowhere
  Watch **watch;
  uint32_t watch_count;
  void (*on_change)(void *context);
  void *context;
};

const Served *keeper_find_plugin(const Keeper *keeper, const char *name); // "name", "author/name"
void keeper_log_problems(const Problems *problems, const char *folder);

// Publishes every endpoint there is now, and takes back those that are gone.
void keeper_apply_endpoints(Keeper *keeper);
void keeper_free_endpoints(Keeper *keeper);

#endif
