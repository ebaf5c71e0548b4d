// Shared by the files of the book: endpoint_book.c holds the entries, endpoint_change.c changes
// one, endpoint_row.c makes what it becomes, endpoint_reseal.c seals all their secrets anew. For
// these alone.
#ifndef MOONHOOK_PROCESS_ENDPOINT_BOOK_PARTS_H
#define MOONHOOK_PROCESS_ENDPOINT_BOOK_PARTS_H

#include "../plugin/problems.h"
#include "endpoint_book.h"
#include "endpoint_settings.h"
#include "keeper_parts.h"

struct EndpointBook {
  Keeper *keeper;
  Store *store;
  Secrets *secrets;
  BookEntry **entries; // by id
  uint32_t count, room;
  AdminPending *pending; // changes that are being written
};

// A change on its way. Owns copies of what was asked.
struct AdminPending {
  EndpointBook *book;
  AdminPending *next, **link;
  AdminVerb verb;
  char *id, *plugin, *name, *slug, *settings, *unset, *limits; // NULL: nothing said
  int enabled;
  bool is_waiting; // for an earlier change of the same endpoint
  bool is_refresh; // nothing is said: the settings are made anew for the plugin as it is now
  uint32_t tries;
  StoredEndpoint row; // what is being written; a removal: what was there
  char *problem;      // of the entry that it will be
  StoreCall *call;    // NULL: none is under way
  void (*on_done)(void *context, AdminResult *result); // NULL: nobody waits
  void *context;
  // ADMIN_RESEAL: the parts that are left, the code of the first that failed
  struct Reseal *reseal;
};

BookEntry *book_entry(const EndpointBook *book, const char *id); // NULL: none
// Whether another endpoint of the row's plugin, one that is being written or of the configuration
// too, has the row's name.
bool book_has_name(const EndpointBook *book, const StoredEndpoint *row);
// Takes over what was written (takes the row and the problem) and publishes it.
void book_take(EndpointBook *book, StoredEndpoint *row, char *problem);
void book_remove(EndpointBook *book, const char *id);

void pending_link(EndpointBook *book, AdminPending *pending);
void pending_free(AdminPending *pending);                        // unlinks it first
void pending_finish(AdminPending *pending, AdminResult *result); // tells who waits, and frees

// --- endpoint_row.c

// Fills pending->row. False: result says why not.
bool pending_make_row(AdminPending *pending, AdminResult *result);
void pending_fail(AdminResult *result, int code, const char *text);
void pending_fail_field(AdminResult *result, const char *field, const char *message);

// The settings of `row` made anew for `package`, changed by `patch` and `unset`. UV_EINVAL with
// problems, the row is unchanged then.
int book_compute(EndpointBook *book, StoredEndpoint *row, const Package *package,
                 const char *plugin_hash, const YamlNode *patch, const YamlNode *unset,
                 Problems *problems);
char *book_problem_json(const Problems *problems, const char *message); // the caller frees
// [{"field":...,"message":...}]
void book_fields_json(const Problems *problems, Buffer *json);
// The same of what choices_check found, its warnings included.
void book_doubts_json(const Problems *problems, Buffer *json);

// Writes the settings of one entry anew, as they fit its plugin now.
void change_refresh(EndpointBook *book, const BookEntry *entry);
AdminPending *reseal_start(AdminPending *pending, AdminResult *now);
void reseal_free(struct Reseal *reseal);

#endif
