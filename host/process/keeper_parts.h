// What the files of the keeper share: keeper.c loads plugins and follows changes,
// keeper_endpoints.c gives endpoints their addresses and settings and publishes them. For these
// alone.
#ifndef MOONHOOK_PROCESS_KEEPER_PARTS_H
#define MOONHOOK_PROCESS_KEEPER_PARTS_H

#include "../plugin/package.h"
#include "../plugin/snapshot.h"
#include "../plugin/watch.h"
#include "../store/registry.h"
#include "keeper.h"

// A plugin that is served, as the keeper knows it.
typedef struct Served {
  struct Served *next;
  char *name, *folder;
  char *id;                               // "author/name"
  char *dir;                              // the snapshot
  char hash[CONTENT_HASH_LEN + 1];        // of the live version; "" when none could be loaded
  char failed_hash[CONTENT_HASH_LEN + 1]; // of the last version that could not: told once
  Package *package;                       // a reading of the live version
  char *error;                            // why the folder's present version is not; or NULL
  bool is_seen;
  bool is_news; // its loading is yet to be told
} Served;

// An endpoint of the configuration (in `dev`, of a plugin that has none there); kept to show it and
// to fall back to its last good settings.
typedef struct {
  char *id;     // for the admin API: "cfg_" and 26 characters that its plugin and name give
  char *plugin; // as it was written: a name, or author/name
  char *name, *hook_id;
  char *settings_json; // what handlers get; NULL: it is not served, `problem` says why
  char *shown_json;    // as they are written, secrets masked
  char *problem;       // {"message":...,"fields":[...]}, or NULL
  char *limits_json;   // what it has instead of its plugin's
  char *doubts;        // what was told of apps and models that nobody has; or NULL
  bool is_enabled;
  bool is_unasked; // nobody declared it: dev serves each plugin that no endpoint names
} Kept;

struct Keeper {
  Loop *loop;
  Store *store;
  Registry *registry;
  int public_port;
  ConfigSources sources;
  Config *config;
  Served *served;
  Kept *kept;
  uint32_t kept_count;
  struct EndpointBook *book; // endpoints made by the admin API
  bool watches;
  bool is_publishing;       // a transaction of the registry is open
  Timer republish;          // what could not be published is tried again
  bool needs_trials;        // what is served already, too
  char *trial_terms;        // under which that was tried; "": not under one kind
  Timer suspects;           // until the next look at them
  uint32_t suspect_changes; // that were kept
  bool is_url_told;         // that endpoints' URLs lead nowhere
  Watch **watch;
  uint32_t watch_count;
  void (*on_change)(void *context);
  void (*on_publish)(void *context);
  void *context;
};

const Served *keeper_find_plugin(const Keeper *keeper, const char *name); // "name", "author/name"

// --- keeper_tell.c

const char *keeper_nearest_plugin(const Keeper *keeper, const char *name); // or NULL; borrowed
void keeper_tell_missing(const Keeper *keeper, const char *plugin, const char *endpoint);
void keeper_tell_news(Keeper *keeper);       // plugins that were loaded since the last time
void keeper_log_names(const Served *served); // names in its code that are not there
void keeper_log_warnings(const Problems *problems, const char *folder); // of a package that loads
void keeper_log_problems(const Problems *problems, const char *folder);
// What choices_check found, as warnings.
void keeper_log_doubts(const Problems *problems, const char *plugin, const char *endpoint);

// --- keeper_endpoints.c

// Publishes every plugin and endpoint there is now, takes back those that are gone, and raises the
// generation if that changed anything.
void keeper_apply_endpoints(Keeper *keeper);
// Publishes one endpoint, or takes it back. Within keeper_apply_endpoints they become part of it;
// else every worker serves them so from its next request on. `settings`: as served_settings_seal
// gives them; `plugin`: "author/name".
void keeper_publish_endpoint(Keeper *keeper, const RegistryEndpoint *endpoint);
void keeper_unpublish_endpoint(Keeper *keeper, const char *hook_id);
void keeper_free_endpoints(Keeper *keeper);

// --- keeper_trials.c: what was tried before need not be tried again, in the same program

void keeper_begin_trials(Keeper *keeper, bool is_first);
void keeper_end_trials(Keeper *keeper);   // what is published has passed
void keeper_doubt_trials(Keeper *keeper); // the configuration is another

// --- keeper_suspects.c: what the scoreboard has of them outlives a restart

void keeper_restore_suspects(Keeper *keeper);
void keeper_watch_suspects(Keeper *keeper);
// From now on as if it had killed nobody. `plugin`: "author/name".
void keeper_release_suspects(Keeper *keeper, const char *plugin);
void keeper_try_suspects(void); // the operator says so: with the next request, not only in time
const Kept *keeper_find_kept(const Keeper *keeper, Span id); // NULL: none
// Whether an endpoint of the configuration has this name; `plugin` is an id.
bool keeper_has_name(const Keeper *keeper, const char *plugin, const char *name);
bool keeper_has_hook(const Keeper *keeper, const char *hook_id); // an endpoint of the configuration
// The public URL of a hook id, no final slash.
void keeper_append_url(const Keeper *keeper, const char *hook_id, Buffer *url);

#endif
