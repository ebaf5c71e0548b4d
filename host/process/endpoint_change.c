// A change of one endpoint (see endpoint_book.h): the row that shall be (endpoint_row.c) goes into
// the store, and then into the book.
#include <stdio.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "endpoint_book_parts.h"
#include "endpoint_json.h"

enum { MAX_TRIES = 200 };

// --- pending changes -----------------------------------------------------------------------------

void pending_link(EndpointBook *book, AdminPending *pending)
{
  pending->next = book->pending;
  pending->link = &book->pending;
  if (pending->next)
    pending->next->link = &pending->next;
  book->pending = pending;
}

void pending_free(AdminPending *pending)
{
  if (pending->link) {
    *pending->link = pending->next;
    if (pending->next)
      pending->next->link = pending->link;
  }
  if (pending->call)
    store_detach(pending->call);
  reseal_free(pending->reseal);
  mem_free(pending->id);
  mem_free(pending->plugin);
  mem_free(pending->name);
  mem_free(pending->slug);
  mem_free(pending->settings);
  mem_free(pending->unset);
  mem_free(pending->limits);
  mem_free(pending->problem);
  stored_endpoint_clear(&pending->row);
  mem_free(pending);
}

// The oldest change of this endpoint that waits, or is written; NULL: none.
static AdminPending *find_pending(const EndpointBook *book, const char *id, bool is_waiting)
{
  AdminPending *pending, *found = NULL;
  for (pending = book->pending; pending && id; pending = pending->next) { // the newest is first
    if (pending->id && pending->is_waiting == is_waiting && strcmp(pending->id, id) == 0)
      found = pending;
  }
  return found;
}

static bool start(AdminPending *pending, AdminResult *result);

static void start_next(EndpointBook *book, const char *id)
{
  AdminPending *pending = find_pending(book, id, false) ? NULL : find_pending(book, id, true);
  AdminResult result = { 0 };
  if (!pending)
    return;
  pending->is_waiting = false;
  if (!start(pending, &result))
    pending_finish(pending, &result);
}

void pending_finish(AdminPending *pending, AdminResult *result)
{
  EndpointBook *book = pending->book;
  char *id = mem_string(pending->id);
  if (pending->on_done)
    pending->on_done(pending->context, result);
  buffer_free(&result->json);
  buffer_free(&result->fields);
  pending_free(pending);
  start_next(book, id);
  mem_free(id);
}

void endpoint_book_detach(AdminPending *pending)
{
  pending->on_done = NULL;
}

// --- writing -------------------------------------------------------------------------------------

static void log_change(const AdminPending *pending)
{
  static const char *const words[] = { [ADMIN_CREATE] = "created",
                                       [ADMIN_CHANGE] = "changed",
                                       [ADMIN_ROTATE] = "given a new address",
                                       [ADMIN_REMOVE] = "removed",
                                       [ADMIN_RESEAL] = "sealed anew" };
  log_event(LOG_INFO, "endpoint changed", LOG_S("id", pending->row.id),
            LOG_S("plugin", pending->row.plugin), LOG_S("endpoint", pending->row.name),
            LOG_S("change", words[pending->verb]),
            LOG_S("enabled", pending->row.is_enabled ? "yes" : "no"));
}

static void on_written(void *context, int code, const char *text)
{
  AdminPending *pending = context;
  EndpointBook *book = pending->book;
  AdminResult result = { 0 };
  pending->call = NULL;
  if ((code == UV_EAGAIN || (code == UV_EEXIST && !pending->slug)) &&
      ++pending->tries < MAX_TRIES) {
    stored_endpoint_clear(&pending->row);
    if (start(pending, &result))
      return;
  } else if (code == UV_EEXIST) {
    pending_fail_field(&result, "slug", "the address is taken by another endpoint");
  } else if (code < 0) {
    pending_fail(&result, code, code == UV_EAGAIN ? "others keep changing the endpoint" : text);
    if (code == UV_ENOENT)
      pending_fail(&result, code, "there is no such endpoint");
  } else if (pending->verb == ADMIN_REMOVE) {
    log_change(pending);
    book_remove(book, pending->id);
  } else {
    const BookEntry *entry;
    char *id = mem_string(pending->row.id);
    if (!pending->is_refresh)
      log_change(pending);
    book_take(book, &pending->row, pending->problem);
    pending->problem = NULL;
    entry = book_entry(book, id);
    endpoint_json_of_entry(book->keeper, entry, &result.json);
    mem_free(id);
  }
  if (result.code < 0 && pending->is_refresh)
    log_event(LOG_WARN, "endpoint settings not kept", LOG_S("id", pending->id),
              LOG_S("error", result.text));
  pending_finish(pending, &result);
}

// Computes the row and begins to write it. False: result says why not.
static bool start(AdminPending *pending, AdminResult *result)
{
  EndpointBook *book = pending->book;
  if (!pending_make_row(pending, result))
    return false;
  if (pending->verb == ADMIN_REMOVE)
    pending->call = store_endpoint_remove(book->store, pending->row.id, pending->row.version,
                                          on_written, pending);
  else
    pending->call = store_endpoint_put(book->store, &pending->row, on_written, pending);
  return true;
}

static char *copy_span(Span span)
{
  return span.at ? mem_bytes(span.at, span.len) : NULL;
}

AdminPending *endpoint_book_change(EndpointBook *book, const AdminChange *change, AdminResult *now,
                                   void (*on_done)(void *context, AdminResult *result),
                                   void *context)
{
  AdminPending *pending = mem_zero(1, sizeof *pending);
  pending->book = book;
  pending->verb = change->verb;
  pending->id = copy_span(change->id);
  pending->plugin = copy_span(change->plugin);
  pending->name = copy_span(change->name);
  pending->slug = copy_span(change->slug);
  pending->settings = copy_span(change->settings);
  pending->unset = copy_span(change->unset);
  pending->limits = copy_span(change->limits);
  pending->enabled = change->enabled;
  pending->on_done = on_done;
  pending->context = context;
  pending->is_waiting = find_pending(book, pending->id, false) != NULL;
  pending_link(book, pending);
  if (pending->is_waiting)
    return pending;
  if (pending->verb == ADMIN_RESEAL)
    return reseal_start(pending, now);
  if (start(pending, now))
    return pending;
  pending_free(pending);
  return NULL;
}

void change_refresh(EndpointBook *book, const BookEntry *entry)
{
  AdminChange change = { .verb = ADMIN_CHANGE, .id = span_of(entry->row.id), .enabled = -1 };
  AdminPending *pending = mem_zero(1, sizeof *pending);
  AdminResult result = { 0 };
  pending->book = book;
  pending->verb = change.verb;
  pending->id = mem_string(entry->row.id);
  pending->enabled = -1;
  pending->is_refresh = true;
  pending->is_waiting = find_pending(book, pending->id, false) != NULL;
  pending_link(book, pending);
  if (pending->is_waiting || start(pending, &result))
    return;
  buffer_free(&result.fields);
  pending_free(pending);
}
