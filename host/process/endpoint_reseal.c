// `secrets rotate`: a fresh key, every secret sealed anew with it, and then the old keys forgotten.
// Until the last row is written the old keys stay in the file, so that a crash on the way loses
// nothing and doing it again ends it.
#include <stdio.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "endpoint_book_parts.h"

enum { MAX_TRIES = 200 };

typedef struct Part {
  struct Part *next;
  struct Reseal *reseal;
  StoredEndpoint row;
  StoreCall *call;
  uint32_t tries;
} Part;

struct Reseal {
  AdminPending *pending;
  Part *parts;
  uint32_t left, sealed;
  int code; // of the first part that failed
  char text[256];
};

void reseal_free(struct Reseal *reseal)
{
  if (!reseal)
    return;
  while (reseal->parts) {
    Part *part = reseal->parts;
    reseal->parts = part->next;
    if (part->call)
      store_detach(part->call);
    stored_endpoint_clear(&part->row);
    mem_free(part);
  }
  mem_free(reseal);
}

static void finish(AdminPending *pending, AdminResult *result)
{
  struct Reseal *reseal = pending->reseal;
  EndpointBook *book = pending->book;
  Err err = { 0 };
  result->code = reseal->code;
  snprintf(result->text, sizeof result->text, "%s", reseal->text);
  if (result->code < 0)
    return;
  keeper_apply_endpoints(book->keeper); // what is published is sealed with the old key
  result->code = secrets_forget_old(book->secrets, &err);
  if (result->code < 0) {
    snprintf(result->text, sizeof result->text, "%.255s", err.text);
    return;
  }
  buffer_printf(&result->json, "{\"sealed\":%u,\"key_id\":\"%s\"}", reseal->sealed,
                secrets_key_id(book->secrets));
  log_event(LOG_INFO, "secrets sealed anew", LOG_I("endpoints", reseal->sealed),
            LOG_S("key_id", secrets_key_id(book->secrets)));
}

static int reseal_row(EndpointBook *book, StoredEndpoint *row, Err *err)
{
  SettingsPlace place = { NULL, book->secrets, row->id };
  GivenSettings given = { NULL, row->secrets };
  Buffer clear = { 0 }, sealed = { 0 };
  int rc = given_settings_reseal(&place, &given, err);
  if (rc == 0 && row->served[0] != '{') {
    rc = served_settings_open(book->secrets, row->hook_id, row->served, &clear, err);
    if (rc == 0) {
      served_settings_seal(book->secrets, true, row->hook_id, (Span){ clear.bytes, clear.len },
                           &sealed);
      mem_free(row->served);
      row->served = buffer_take(&sealed);
    }
  }
  row->secrets = given.sealed;
  buffer_free(&clear);
  return rc;
}

static bool part_start(Part *part, const char *id);

static void part_over(Part *part, int code, const char *text)
{
  struct Reseal *reseal = part->reseal;
  AdminResult result = { 0 };
  if (code < 0 && reseal->code == 0) {
    reseal->code = code == UV_ENOSPC ? UV_ENOSPC : UV_EIO;
    snprintf(reseal->text, sizeof reseal->text, "%.255s", text);
  }
  if (--reseal->left > 0)
    return;
  finish(reseal->pending, &result);
  pending_finish(reseal->pending, &result);
}

static void on_written(void *context, int code, const char *text)
{
  Part *part = context;
  EndpointBook *book = part->reseal->pending->book;
  part->call = NULL;
  if (code == UV_EAGAIN && ++part->tries < MAX_TRIES) {
    char *id = mem_string(part->row.id);
    bool goes_on = part_start(part, id);
    mem_free(id);
    if (goes_on)
      return;
    code = 0; // it is gone
  }
  if (code == 0 && part->row.id) {
    const BookEntry *entry = book_entry(book, part->row.id);
    char *problem = mem_string(entry ? entry->problem : NULL);
    book_take(book, &part->row, problem);
    part->reseal->sealed++;
  }
  part_over(part, code == UV_ENOENT ? 0 : code, text);
}

// False: there is nothing to seal any more, or it failed.
static bool part_start(Part *part, const char *id)
{
  struct Reseal *reseal = part->reseal;
  EndpointBook *book = reseal->pending->book;
  const BookEntry *entry = book_entry(book, id);
  Err err = { 0 };
  stored_endpoint_clear(&part->row);
  if (!entry)
    return false;
  stored_endpoint_copy(&part->row, &entry->row);
  part->row.version++;
  if (reseal_row(book, &part->row, &err) < 0) {
    reseal->code = UV_EIO;
    snprintf(reseal->text, sizeof reseal->text, "%.255s", err.text);
    stored_endpoint_clear(&part->row);
    return false;
  }
  part->call = store_endpoint_put(book->store, &part->row, on_written, part);
  return true;
}

AdminPending *reseal_start(AdminPending *pending, AdminResult *now)
{
  EndpointBook *book = pending->book;
  struct Reseal *reseal = mem_zero(1, sizeof *reseal);
  uint32_t i;
  Err err = { 0 };
  pending->reseal = reseal;
  reseal->pending = pending;
  if (secrets_rotate(book->secrets, &err) < 0) {
    reseal->code = UV_EIO;
    snprintf(reseal->text, sizeof reseal->text, "%.255s", err.text);
  }
  for (i = 0; reseal->code == 0 && i < book->count; i++) {
    const StoredEndpoint *row = &book->entries[i]->row;
    Part *part;
    if (row->served[0] == '{' && strcmp(row->secrets, "{}") == 0)
      continue;
    part = mem_zero(1, sizeof *part);
    part->reseal = reseal;
    part->next = reseal->parts;
    reseal->parts = part;
    reseal->left += part_start(part, row->id);
  }
  if (reseal->left > 0)
    return pending;
  finish(pending, now);
  pending_free(pending);
  return NULL;
}
