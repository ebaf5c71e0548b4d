// The endpoints that were made through the admin API, as the keeper holds them: every row of the
// store, in memory, by id. A change is computed from the row as it is, written, and only then taken
// over and published; if somebody else changed the row meanwhile it is computed again. For the
// keeper and the admin API.
#ifndef MOONHOOK_PROCESS_ENDPOINT_BOOK_H
#define MOONHOOK_PROCESS_ENDPOINT_BOOK_H

#include "../dispatch/admin_host.h"
#include "../store/endpoints.h"
#include "../store/secrets.h"
#include "keeper.h"

typedef struct {
  StoredEndpoint row;
  char *problem; // {"message":...,"fields":[...]}: why it serves old settings, or nothing; or NULL
} BookEntry;

typedef struct EndpointBook EndpointBook;

// Reads the rows and opens the key file (made when there is none and nothing is sealed). Refuses to
// start when a row cannot be unsealed: "cannot decrypt settings of N endpoints (key id ...)".
EndpointBook *endpoint_book_open(Keeper *keeper, Store *store, const char *data_dir, Err *err);
void endpoint_book_free(EndpointBook *book); // NULL is fine; pending changes are detached
Secrets *endpoint_book_secrets(EndpointBook *book);

// Publishes every endpoint with the settings that fit its plugin as it is now, or the last ones
// that did; says in the log which do not fit.
void endpoint_book_apply(EndpointBook *book);

uint32_t endpoint_book_count(const EndpointBook *book);
const BookEntry *endpoint_book_at(const EndpointBook *book, uint32_t index);
uint32_t endpoint_book_behind(const EndpointBook *book, Span id); // index of the first behind it
const BookEntry *endpoint_book_find(const EndpointBook *book, Span id); // NULL: none
// The endpoint that has this hook id, or NULL. Looks at all of them.
const BookEntry *endpoint_book_find_hook(const EndpointBook *book, const char *hook_id);

// As AdminHost.change and detach.
AdminPending *endpoint_book_change(EndpointBook *book, const AdminChange *change, AdminResult *now,
                                   void (*on_done)(void *context, AdminResult *result),
                                   void *context);
void endpoint_book_detach(AdminPending *pending);

#endif
