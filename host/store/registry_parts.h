// What the files of the registry share: registry.c opens, keeps and reads, registry_write.c writes.
// For these alone.
#ifndef MOONHOOK_STORE_REGISTRY_PARTS_H
#define MOONHOOK_STORE_REGISTRY_PARTS_H

#include <sqlite3.h>

#include "../base/buffer.h"
#include "registry.h"

typedef enum {
  PUT_PLUGIN,
  PUT_ENDPOINT,
  DROP_PLUGIN,
  DROP_ENDPOINT,
  LIST_PLUGINS,
  LIST_ENDPOINTS,
  HAS_PLUGIN,
  FIND_FOLDER,
  FIND_SETTINGS,
  READ_PLUGINS,
  READ_ENDPOINTS,
  READ_META,
  WRITE_META,
  STATEMENT_COUNT,
} StatementName;

typedef struct {
  char **items;
  size_t count, cap;
} RegistryKeys;

struct Registry {
  sqlite3 *db;
  sqlite3_stmt *statements[STATEMENT_COUNT];
  int64_t version; // of the transaction at hand
  uint32_t changes;
  RegistryKeys plugins, endpoints; // that were put in it
  Err failure;
};

sqlite3_stmt *registry_statement(Registry *registry, StatementName name);
// Gives a statement back after its step, which gave `rc`; keeps the first failure.
int registry_done(Registry *registry, sqlite3_stmt *stmt, int rc);
void registry_execute(Registry *registry, const char *sql); // without effect after a failure
int64_t registry_meta(Registry *registry, const char *name);
void registry_set_meta(Registry *registry, const char *name, int64_t value);
void registry_keys_free(RegistryKeys *keys);

#endif
