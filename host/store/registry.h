// What is served, as rows with versions: plugins and endpoints. The keeper writes it, workers read
// what changed since they last looked. It is made from what the operator declared, so it can be
// made again: a file of its own (DATA/registry.db), without a share in the store's lock.
//
// Synchronous, on a connection of its own per process; reading does not wait for the writer.
#ifndef MOONHOOK_STORE_REGISTRY_H
#define MOONHOOK_STORE_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/error.h"

typedef struct Registry Registry;

typedef struct {
  const char *id;     // "author/name"
  const char *dir;    // its snapshot
  const char *hash;   // of its content
  const char *folder; // where it was copied from
} RegistryPlugin;

typedef struct {
  const char *hook_id;
  const char *name;
  const char *plugin;   // "author/name", or what was written when there is no such plugin
  const char *settings; // JSON, defaults filled in
  bool is_enabled;
  const char *limits; // JSON object: what it has instead of its plugin's
} RegistryEndpoint;

// --- the keeper ----------------------------------------------------------------------------------

// Opens it for writing; a file that is damaged, or of another version, is made afresh. With
// `is_first` there are no readers yet.
Registry *registry_open(const char *data_dir, bool is_first, Err *err);
void registry_close(Registry *registry); // NULL is fine

// A transaction: begin, put or remove, commit. Rows that are put as they were keep their version.
// After an error the transaction is undone by registry_commit, which gives the first error.
void registry_begin(Registry *registry);
void registry_put_plugin(Registry *registry, const RegistryPlugin *plugin);
void registry_put_endpoint(Registry *registry, const RegistryEndpoint *endpoint);
void registry_remove_endpoint(Registry *registry, const char *hook_id);
void registry_remove_others(Registry *registry); // all that was not put since registry_begin
// `*is_changed`: readers have something to read; the caller raises the generation.
int registry_commit(Registry *registry, bool *is_changed, Err *err);

// What is served already: is it this content; which version of the plugin that was in this folder
// (`*dir` and `*hash` are the caller's; NULL: none).
bool registry_has_plugin(Registry *registry, const char *id, const char *hash);
void registry_find_folder(Registry *registry, const char *folder, char **dir, char **hash);
char *registry_find_settings(Registry *registry, const char *hook_id); // the caller's; NULL: none

// A text that is kept over restarts, by its name. Gives NULL when none was kept; caller frees.
int registry_keep(Registry *registry, const char *name, const char *text, Err *err);
char *registry_kept(Registry *registry, const char *name);

// --- workers -------------------------------------------------------------------------------------

typedef struct {
  // Rows in the order in which they may be applied. Gone rows have only their key.
  void (*on_plugin)(void *context, const RegistryPlugin *plugin, bool is_gone);
  void (*on_endpoint)(void *context, const RegistryEndpoint *endpoint, bool is_gone);
  // Everything that was there before is to be forgotten: all rows follow.
  void (*on_all)(void *context);
} RegistryReader;

Registry *registry_follow(const char *data_dir, Err *err);
// Reads what changed after `*version`, 0: everything; sets it to the newest.
int registry_read(Registry *registry, uint64_t *version, const RegistryReader *reader,
                  void *context, Err *err);

#endif
