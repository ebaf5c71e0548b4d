// See mask.h. Secrets hang in a table by their first eight bytes, with a bit each in front of it,
// so that a text without one costs a look at one bit per byte, and nothing at all without secrets.
#include "mask.h"

#include <strings.h>

#include "memory.h"

enum { FILTER_BITS = 1 << 16, BUCKETS = 1024, HOOK_ID_LEN = 26 };

typedef struct Secret {
  struct Secret *next;
  uint32_t count; // how often it was added
  uint32_t len;
  char text[];
} Secret;

static struct {
  Secret *buckets[BUCKETS];
  uint32_t count;
  uint64_t filter[FILTER_BITS / 64]; // bits are set only; cleared when the last secret goes
} secrets;

static uint32_t hash_of(const char *eight)
{
  uint64_t word;
  memcpy(&word, eight, sizeof word);
  word *= 0x9e3779b97f4a7c15u;
  return (uint32_t)(word >> 40);
}

static bool may_begin(uint32_t hash)
{
  uint32_t bit = hash % FILTER_BITS;
  return secrets.filter[bit / 64] >> (bit % 64) & 1;
}

static Secret **place_of(Span secret, uint32_t hash)
{
  Secret **link = &secrets.buckets[hash % BUCKETS];
  while (*link && ((*link)->len != secret.len || memcmp((*link)->text, secret.at, secret.len) != 0))
    link = &(*link)->next;
  return link;
}

static void add(Span secret)
{
  uint32_t hash = hash_of(secret.at), bit = hash % FILTER_BITS;
  Secret **link = place_of(secret, hash);
  if (!*link) {
    *link = mem_alloc(sizeof **link + secret.len);
    **link = (Secret){ .len = (uint32_t)secret.len };
    memcpy((*link)->text, secret.at, secret.len);
    secrets.count++;
    secrets.filter[bit / 64] |= (uint64_t)1 << (bit % 64);
  }
  (*link)->count++;
}

static void forget(Span secret)
{
  Secret **link = place_of(secret, hash_of(secret.at)), *found = *link;
  if (!found || --found->count > 0)
    return;
  *link = found->next;
  explicit_bzero(found->text, found->len);
  mem_free(found);
  if (--secrets.count == 0)
    memset(secrets.filter, 0, sizeof secrets.filter);
}

// Calls `change` for the secret and, where it reads differently, for what stands in JSON for it.
static void for_both_forms(Span secret, void (*change)(Span secret))
{
  Buffer json = { 0 };
  if (secret.len < MASK_LEAST || secret.len > MASK_MOST)
    return;
  change(secret);
  buffer_reserve(&json, 6 * secret.len + 2); // it must not move, and leave a copy behind
  buffer_json_string(&json, secret.at, secret.len);
  if (json.len - 2 != secret.len)
    change((Span){ json.bytes + 1, json.len - 2 });
  explicit_bzero(json.bytes, json.cap);
  buffer_free(&json);
}

void mask_add(Span secret)
{
  for_both_forms(secret, add);
}

void mask_forget(Span secret)
{
  for_both_forms(secret, forget);
}

bool mask_is_empty(void)
{
  return secrets.count == 0;
}

// The longest secret that begins here; 0: none.
static size_t secret_at(const char *at, size_t len)
{
  uint32_t hash = hash_of(at);
  size_t most = 0;
  const Secret *secret;
  if (!may_begin(hash))
    return 0;
  for (secret = secrets.buckets[hash % BUCKETS]; secret; secret = secret->next) {
    if (secret->len <= len && secret->len > most && memcmp(secret->text, at, secret->len) == 0)
      most = secret->len;
  }
  return most;
}

// Where the next secret begins, from `i` on; `*len`: its length, 0 when there is none.
static size_t next_secret(Span text, size_t i, size_t *len)
{
  *len = 0;
  if (secrets.count == 0)
    return text.len;
  for (; i + MASK_LEAST <= text.len; i++) {
    *len = secret_at(text.at + i, text.len - i);
    if (*len > 0)
      return i;
  }
  return text.len;
}

bool mask_finds(Span text)
{
  size_t len;
  next_secret(text, 0, &len);
  return len > 0;
}

bool mask_secrets(Span text, Buffer *out)
{
  size_t len, done = 0, at = next_secret(text, 0, &len);
  if (len == 0)
    return false;
  for (; len > 0; at = next_secret(text, done, &len)) {
    buffer_append(out, text.at + done, at - done);
    buffer_string(out, MASK);
    done = at + len;
  }
  buffer_append(out, text.at + done, text.len - done);
  return true;
}

// --- what looks like one -------------------------------------------------------------------------

static bool is_id(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static void hide(char *text, size_t len)
{
  memset(text, '*', len);
}

// Runs of what hook ids are made of.
static void mask_hook_ids(char *text, size_t len)
{
  size_t i, end;
  for (i = 0; i < len; i = end + 1) {
    bool is_random = true, is_behind = i >= 3 && memcmp(text + i - 3, "/e/", 3) == 0;
    for (end = i; end < len && is_id(text[end]); end++)
      is_random &= !strchr("-0189", text[end]);
    if ((is_behind && end > i) || (is_random && end - i == HOOK_ID_LEN))
      hide(text + i, end - i);
  }
}

static void mask_behind(char *text, size_t len, const char *word)
{
  size_t word_len = strlen(word), i, end;
  for (i = 0; i + word_len < len; i++) {
    if (strncasecmp(text + i, word, word_len) != 0)
      continue;
    for (end = i + word_len;
         end < len && (unsigned char)text[end] > ' ' && !strchr("\"'\\,;)]}<>", text[end]); end++)
      ;
    if (end - i - word_len >= MASK_LEAST)
      hide(text + i + word_len, end - i - word_len);
    i = end > i ? end - 1 : i;
  }
}

void mask_shapes(char *text, size_t len)
{
  mask_hook_ids(text, len);
  mask_behind(text, len, "Bearer ");
  mask_behind(text, len, "Basic ");
}

static bool ends_with(const char *name, size_t len, const char *end)
{
  size_t end_len = strlen(end);
  return len >= end_len && strcasecmp(name + len - end_len, end) == 0;
}

bool mask_is_secret_name(const char *name)
{
  static const char *const ends[] = { "authorization", "cookie",  "password",  "passwd",
                                      "secret",        "token",   "api_key",   "api-key",
                                      "apikey",        "hook_id", "signature", "private_key",
                                      "access_key",    "_key" };
  size_t i, len = strlen(name);
  for (i = 0; i < sizeof ends / sizeof *ends; i++) {
    if (ends_with(name, len, ends[i]))
      return true;
  }
  return false;
}
