// See endpoint_book.h.
#include "endpoint_book_parts.h"

#include <stdio.h>

#include "../base/log.h"
#include "../base/memory.h"

// --- entries -------------------------------------------------------------------------------------

// The index of the first entry whose id is not before `id`.
static uint32_t place_of(const EndpointBook *book, Span id)
{
  uint32_t low = 0, high = book->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const char *other = book->entries[middle]->row.id;
    size_t len = strlen(other);
    int order = memcmp(other, id.at, len < id.len ? len : id.len);
    if (order < 0 || (order == 0 && len < id.len))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const BookEntry *endpoint_book_find(const EndpointBook *book, Span id)
{
  uint32_t at = place_of(book, id);
  return at < book->count && span_is(id, book->entries[at]->row.id) ? book->entries[at] : NULL;
}

BookEntry *book_entry(const EndpointBook *book, const char *id)
{
  uint32_t at = place_of(book, span_of(id));
  return at < book->count && strcmp(book->entries[at]->row.id, id) == 0 ? book->entries[at] : NULL;
}

const BookEntry *endpoint_book_find_hook(const EndpointBook *book, const char *hook_id)
{
  uint32_t i;
  for (i = 0; i < book->count; i++) {
    if (strcmp(book->entries[i]->row.hook_id, hook_id) == 0)
      return book->entries[i];
  }
  return NULL;
}

uint32_t endpoint_book_count(const EndpointBook *book)
{
  return book->count;
}

const BookEntry *endpoint_book_at(const EndpointBook *book, uint32_t index)
{
  return book->entries[index];
}

uint32_t endpoint_book_behind(const EndpointBook *book, Span id)
{
  uint32_t at = place_of(book, id);
  return at < book->count && span_is(id, book->entries[at]->row.id) ? at + 1 : at;
}

Secrets *endpoint_book_secrets(EndpointBook *book)
{
  return book->secrets;
}

static BookEntry *insert(EndpointBook *book, StoredEndpoint *row)
{
  uint32_t at = place_of(book, span_of(row->id));
  BookEntry *entry = mem_zero(1, sizeof *entry);
  if (book->count == book->room) {
    book->room = book->room ? book->room * 2 : 64;
    book->entries = mem_resize(book->entries, book->room * sizeof *book->entries);
  }
  memmove(book->entries + at + 1, book->entries + at, (book->count - at) * sizeof *book->entries);
  book->entries[at] = entry;
  book->count++;
  return entry;
}

static bool is_namesake(const StoredEndpoint *other, const StoredEndpoint *row)
{
  return other->name && strcmp(other->name, row->name) == 0 &&
         strcmp(other->plugin, row->plugin) == 0 && strcmp(other->id, row->id) != 0;
}

bool book_has_name(const EndpointBook *book, const StoredEndpoint *row)
{
  const AdminPending *pending;
  uint32_t i;
  for (i = 0; i < book->count; i++) {
    if (is_namesake(&book->entries[i]->row, row))
      return true;
  }
  for (pending = book->pending; pending; pending = pending->next) {
    if (is_namesake(&pending->row, row))
      return true;
  }
  return keeper_has_name(book->keeper, row->plugin, row->name);
}

static void publish(EndpointBook *book, const StoredEndpoint *row, const char *served)
{
  keeper_publish_endpoint(book->keeper,
                          &(RegistryEndpoint){ row->hook_id, row->name, row->plugin, served,
                                               row->is_enabled, row->limits });
}

void book_take(EndpointBook *book, StoredEndpoint *row, char *problem)
{
  BookEntry *entry = book_entry(book, row->id);
  if (!entry)
    entry = insert(book, row);
  else if (strcmp(entry->row.hook_id, row->hook_id) != 0)
    keeper_unpublish_endpoint(book->keeper, entry->row.hook_id);
  stored_endpoint_clear(&entry->row);
  mem_free(entry->problem);
  entry->row = *row;
  entry->problem = problem;
  memset(row, 0, sizeof *row);
  publish(book, &entry->row, entry->row.served);
}

static void entry_free(BookEntry *entry)
{
  stored_endpoint_clear(&entry->row);
  mem_free(entry->problem);
  mem_free(entry);
}

void book_remove(EndpointBook *book, const char *id)
{
  uint32_t at = place_of(book, span_of(id));
  if (at == book->count || strcmp(book->entries[at]->row.id, id) != 0)
    return;
  keeper_unpublish_endpoint(book->keeper, book->entries[at]->row.hook_id);
  entry_free(book->entries[at]);
  book->count--;
  memmove(book->entries + at, book->entries + at + 1, (book->count - at) * sizeof *book->entries);
}

// --- settings ------------------------------------------------------------------------------------

static void append_fields(const Problem *list, size_t count, Buffer *json)
{
  bool is_first = json->bytes[json->len - 1] == '[';
  size_t i;
  for (i = 0; i < count; i++) {
    const Problem *problem = &list[i];
    const char *field = problem->field ? problem->field : "settings", *text = problem->what;
    size_t len = strlen(field);
    if (strncmp(text, field, len) == 0 && strncmp(text + len, ": ", 2) == 0)
      text += len + 2; // the field is said already
    buffer_string(json, i > 0 || !is_first ? ",{\"field\":" : "{\"field\":");
    buffer_json_string(json, field, len);
    buffer_string(json, ",\"message\":");
    buffer_json_string(json, text, strlen(text));
    buffer_char(json, '}');
  }
}

void book_fields_json(const Problems *problems, Buffer *json)
{
  buffer_char(json, '[');
  append_fields(problems->items, problems->count, json);
  buffer_char(json, ']');
}

void book_doubts_json(const Problems *problems, Buffer *json)
{
  buffer_char(json, '[');
  append_fields(problems->items, problems->count, json);
  append_fields(problems->warnings, problems->warning_count, json);
  buffer_char(json, ']');
}

char *book_problem_json(const Problems *problems, const char *message)
{
  Buffer json = { 0 };
  buffer_string(&json, "{\"message\":");
  buffer_json_string(&json, message, strlen(message));
  buffer_string(&json, ",\"fields\":");
  book_fields_json(problems, &json);
  buffer_char(&json, '}');
  return buffer_take(&json);
}

int book_compute(EndpointBook *book, StoredEndpoint *row, const Package *package,
                 const char *plugin_hash, const YamlNode *patch, const YamlNode *unset,
                 Problems *problems)
{
  SettingsPlace place = { package, book->secrets, row->id };
  GivenSettings old = { row->settings, row->secrets }, given;
  Buffer served = { 0 }, kept = { 0 };
  int rc = given_settings_change(&place, &old, patch, unset, &given, &served, problems);
  if (rc == 0) {
    served_settings_seal(book->secrets,
                         package_has_secrets(package) || strcmp(given.sealed, "{}") != 0,
                         row->hook_id, (Span){ served.bytes, served.len }, &kept);
    mem_free(row->settings);
    mem_free(row->secrets);
    mem_free(row->served);
    mem_free(row->plugin_hash);
    row->settings = given.plain;
    row->secrets = given.sealed;
    row->served = buffer_take(&kept);
    row->plugin_hash = mem_string(plugin_hash);
  }
  buffer_free(&served);
  return rc;
}

// Serves on with what fitted before, and says why.
static void keep_old(EndpointBook *book, BookEntry *entry, const Problems *problems)
{
  char *problem = book_problem_json(
      problems, "the settings do not fit the plugin any more; the last ones that did are served");
  bool is_news = !entry->problem || strcmp(entry->problem, problem) != 0;
  mem_free(entry->problem);
  entry->problem = problem;
  publish(book, &entry->row, entry->row.served);
  if (!is_news)
    return;
  keeper_log_problems(problems, entry->row.plugin);
  log_event(LOG_ERROR, "endpoint settings do not fit", LOG_S("plugin", entry->row.plugin),
            LOG_S("endpoint", entry->row.name), LOG_S("serving", "the last good settings"));
}

static void apply(EndpointBook *book, BookEntry *entry)
{
  static const Problems none = { 0 };
  const Served *served = keeper_find_plugin(book->keeper, entry->row.plugin);
  Problems problems = { 0 };
  StoredEndpoint fresh;
  if (!served || strcmp(entry->row.plugin_hash, served->hash) == 0) {
    mem_free(entry->problem);
    entry->problem = served ? NULL : book_problem_json(&none, "the plugin is not loaded");
    publish(book, &entry->row, entry->row.served);
    return;
  }
  stored_endpoint_copy(&fresh, &entry->row);
  if (book_compute(book, &fresh, served->package, served->hash, NULL, NULL, &problems) == 0) {
    mem_free(entry->problem);
    entry->problem = NULL;
    publish(book, &fresh, fresh.served);
    change_refresh(book, entry);
  } else {
    keep_old(book, entry, &problems);
  }
  problems_free(&problems);
  stored_endpoint_clear(&fresh);
}

void endpoint_book_apply(EndpointBook *book)
{
  uint32_t i;
  for (i = 0; i < book->count; i++)
    apply(book, book->entries[i]);
}

// --- opening -------------------------------------------------------------------------------------

static bool is_sealed(const StoredEndpoint *row)
{
  return row->served[0] != '{' || strcmp(row->secrets, "{}") != 0;
}

// The first key id that is sealed with, for messages.
static Span key_id_of(const StoredEndpoint *row)
{
  const char *dot = strchr(row->secrets, '.'); // {"api_key":"KEYID.BASE64"}
  Span id = secrets_id_of(span_of(row->served));
  if (id.at || !dot || dot - row->secrets < SECRET_KEY_ID_LEN)
    return id;
  return (Span){ dot - SECRET_KEY_ID_LEN, SECRET_KEY_ID_LEN };
}

static bool can_unseal(EndpointBook *book, const StoredEndpoint *row, Err *err)
{
  SettingsPlace place = { NULL, book->secrets, row->id };
  GivenSettings given = { mem_string("{}"), mem_string(row->secrets) };
  Buffer served = { 0 };
  bool can = given_settings_reseal(&place, &given, err) == 0 &&
             served_settings_open(book->secrets, row->hook_id, row->served, &served, err) == 0;
  buffer_free(&served);
  given_settings_clear(&given);
  return can;
}

static int open_secrets(EndpointBook *book, const char *data_dir, Err *err)
{
  Err why = { 0 };
  Span id = { NULL, 0 };
  uint32_t i, sealed = 0, bad = 0;
  for (i = 0; i < book->count; i++) {
    if (is_sealed(&book->entries[i]->row) && sealed++ == 0)
      id = key_id_of(&book->entries[i]->row);
  }
  book->secrets = secrets_open(data_dir, sealed == 0, &why);
  if (!book->secrets && sealed == 0)
    return err_set(err, why.code, "%s", why.text);
  for (i = 0; book->secrets && i < book->count; i++) {
    const StoredEndpoint *row = &book->entries[i]->row;
    if (is_sealed(row) && !can_unseal(book, row, &why) && bad++ == 0)
      id = key_id_of(row);
  }
  if (book->secrets && bad == 0)
    return 0;
  return err_set(err, UV_EINVAL, "cannot decrypt settings of %u endpoints (key id %.*s): %.300s",
                 book->secrets ? bad : sealed, (int)id.len, id.at ? id.at : "", why.text);
}

EndpointBook *endpoint_book_open(Keeper *keeper, Store *store, const char *data_dir, Err *err)
{
  EndpointBook *book = mem_zero(1, sizeof *book);
  StoredEndpoint *list = NULL;
  uint32_t i, count = 0;
  int rc;
  book->keeper = keeper;
  book->store = store;
  rc = store_endpoints_read(store, &list, &count, err);
  for (i = 0; i < count; i++)
    insert(book, &list[i])->row = list[i];
  mem_free(list);
  if (rc == 0)
    rc = open_secrets(book, data_dir, err);
  if (rc == 0)
    return book;
  endpoint_book_free(book);
  return NULL;
}

void endpoint_book_free(EndpointBook *book)
{
  uint32_t i;
  if (!book)
    return;
  while (book->pending)
    pending_free(book->pending);
  for (i = 0; i < book->count; i++)
    entry_free(book->entries[i]);
  mem_free(book->entries);
  secrets_close(book->secrets);
  mem_free(book);
}
