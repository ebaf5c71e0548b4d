// What the values of single settings may be: from text, and shown as JSON (see config_read.h).
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "../base/memory.h"
#include "config_read.h"

#define KIB 1024.0
#define MIB (1024.0 * 1024.0)

void config_blocks_free(ConfigBlocks *blocks)
{
  mem_free(blocks->text);
  mem_free(blocks->list);
  *blocks = (ConfigBlocks){ 0 };
}

static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const formats[] = { "auto", "json", "pretty", NULL };

// --- parsing -------------------------------------------------------------------------------------

static bool read_port(const char *text, int *port)
{
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 5 || text[digits] != '\0')
    return false;
  *port = atoi(text);
  return *port <= 65535;
}

// ADDRESS:PORT, [ADDRESS]:PORT or a port alone.
static bool read_listen(const char *text, ConfigListen *listen)
{
  const char *colon = strrchr(text, ':'), *start = text, *end = colon;
  unsigned char binary[sizeof(struct in6_addr)];
  char host[64] = "127.0.0.1";
  int port;
  if (!read_port(colon ? colon + 1 : text, &port))
    return false;
  if (colon) {
    bool is_bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    if (is_bracketed) {
      start++;
      end--;
    }
    if (end == start || (size_t)(end - start) >= sizeof host)
      return false;
    snprintf(host, sizeof host, "%.*s", (int)(end - start), start);
    if (strcmp(host, "localhost") == 0)
      strcpy(host, "127.0.0.1");
    if (inet_pton(is_bracketed ? AF_INET6 : AF_INET, host, binary) != 1)
      return false;
  }
  mem_free(listen->host);
  *listen = (ConfigListen){ mem_string(host), port, true };
  return true;
}

static bool read_url(const char *text, char **url)
{
  size_t scheme = strncmp(text, "https://", 8) == 0 ? 8 : strncmp(text, "http://", 7) == 0 ? 7 : 0;
  size_t len = strlen(text), i;
  if (scheme == 0 || len == scheme || text[scheme] == '/')
    return false;
  for (i = 0; i < len; i++) {
    if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f || strchr("?#@\"<>\\", text[i]))
      return false;
  }
  while (text[len - 1] == '/')
    len--;
  mem_free(*url);
  *url = mem_bytes(text, len);
  return true;
}

static bool read_domain(const char *text, char **domain)
{
  size_t len = strlen(text), i, label = 0;
  for (i = 0; i < len; i++) {
    bool is_edge = label == 0 || i + 1 == len || text[i + 1] == '.';
    if (text[i] == '.' ? label == 0
                       : !strchr("abcdefghijklmnopqrstuvwxyz0123456789-", text[i]) ||
                             (text[i] == '-' && is_edge))
      return false;
    label = text[i] == '.' ? 0 : label + 1;
  }
  if (label == 0 || len > 253 - 64)
    return false;
  mem_free(*domain);
  *domain = mem_string(text);
  return true;
}

typedef struct {
  const char *suffix;
  double factor;
} Unit;

static const Unit NO_UNITS[] = { { "", 1 }, { NULL, 0 } };
static const Unit BYTE_UNITS[] = {
  { "", 1 }, { "B", 1 }, { "KiB", KIB }, { "MiB", MIB }, { "GiB", 1024 * MIB }, { NULL, 0 }
};
static const Unit TIME_UNITS[] = {
  { "", 1 }, { "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { NULL, 0 }
};

static bool read_number(const char *text, const Unit *units, const ConfigField *field,
                        double *value)
{
  char *end;
  if (*text < '0' || *text > '9' || text[strspn(text, "0")] == 'x')
    return false;
  *value = strtod(text, &end);
  end += strspn(end, " ");
  for (; units->suffix; units++) {
    if (strcmp(units->suffix, end) == 0) {
      *value *= units->factor;
      return *value >= field->least && *value <= field->most &&
             !(*value > (double)(uint64_t)*value);
    }
  }
  return false;
}

static bool read_word(const char *text, const char *const *words, int *value)
{
  for (*value = 0; words[*value]; (*value)++) {
    if (strcmp(words[*value], text) == 0)
      return true;
  }
  return false;
}

static bool read_path(const Reader *reader, const char *text, char **path)
{
  if (*text == '\0')
    return false;
  mem_free(*path);
  *path = config_path(reader, text);
  return true;
}

// An empty text is an empty list.
static bool read_blocks(const char *text, ConfigBlocks *blocks)
{
  ConfigBlocks fresh = { .text = mem_string(text) };
  char *copy = mem_string(text), *rest = NULL, *item;
  bool is_good = true;
  for (item = strtok_r(copy, ", ", &rest); item && is_good; item = strtok_r(NULL, ", ", &rest)) {
    fresh.list = mem_resize(fresh.list, (fresh.count + 1) * sizeof *fresh.list);
    is_good = address_block_parse(item, &fresh.list[fresh.count++]) == 0;
  }
  mem_free(copy);
  if (is_good) {
    config_blocks_free(blocks);
    *blocks = fresh;
  } else {
    config_blocks_free(&fresh);
  }
  return is_good;
}

// What the numbers of a field may be, in words.
static void describe_range(const ConfigField *field, const char *unit, const char *example,
                           char expected[96])
{
  snprintf(expected, 96, "a %snumber from %.0f to %.0f%s%s", *unit ? "" : "whole ", field->least,
           field->most, unit, example);
}

int config_field_set(const Reader *reader, const ConfigField *field, const char *text,
                     char expected[96])
{
  void *at = (char *)reader->config + field->at;
  double number = 0;
  int word = 0;
  bool is_good = false;
  switch (field->type) {
  case FIELD_LISTEN:
    snprintf(expected, 96, "ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080, or a PORT alone");
    is_good = read_listen(text, at);
    break;
  case FIELD_URL:
    snprintf(expected, 96, "a URL such as https://hooks.example.com");
    is_good = read_url(text, at);
    break;
  case FIELD_DOMAIN:
    snprintf(expected, 96, "a domain in lower case such as hooks.example.com");
    is_good = read_domain(text, at);
    break;
  case FIELD_PATH:
    snprintf(expected, 96, "a path");
    is_good = read_path(reader, text, at);
    break;
  case FIELD_BLOCKS:
    snprintf(expected, 96, "addresses and blocks of them such as 10.0.0.0/8");
    is_good = read_blocks(text, at);
    break;
  case FIELD_COUNT:
    describe_range(field, "", "", expected);
    is_good = read_number(text, NO_UNITS, field, &number);
    break;
  case FIELD_BYTES:
  case FIELD_BIG_BYTES:
    describe_range(field, " bytes", " such as 65536 or 10 MiB", expected);
    is_good = read_number(text, BYTE_UNITS, field, &number);
    break;
  case FIELD_MS:
    describe_range(field, " ms", " such as 1500, 1500 ms or 2 s", expected);
    is_good = read_number(text, TIME_UNITS, field, &number);
    break;
  case FIELD_LEVEL:
    snprintf(expected, 96, "one of debug, info, warn, error");
    is_good = read_word(text, levels, &word);
    break;
  case FIELD_FORMAT:
    snprintf(expected, 96, "one of auto, json, pretty");
    is_good = read_word(text, formats, &word);
    break;
  }
  if (!is_good)
    return UV_EINVAL;
  if (field->type == FIELD_BIG_BYTES)
    *(uint64_t *)at = (uint64_t)number;
  else if (field->type == FIELD_COUNT || field->type == FIELD_BYTES || field->type == FIELD_MS)
    *(uint32_t *)at = (uint32_t)number;
  else if (field->type == FIELD_LEVEL)
    *(LogLevel *)at = (LogLevel)word;
  else if (field->type == FIELD_FORMAT)
    *(LogFormat *)at = (LogFormat)word;
  return 0;
}

// --- showing -------------------------------------------------------------------------------------

static void append_text(Buffer *out, const char *text)
{
  if (text)
    buffer_json_string(out, text, strlen(text));
  else
    buffer_string(out, "null");
}

static void append_listen(Buffer *out, const ConfigListen *listen)
{
  bool is_v6 = strchr(listen->host, ':') != NULL;
  buffer_printf(out, "\"%s%s%s:%d\"", is_v6 ? "[" : "", listen->host, is_v6 ? "]" : "",
                listen->port);
}

void config_field_json(const Config *config, const ConfigField *field, Buffer *out)
{
  const void *at = (const char *)config + field->at;
  switch (field->type) {
  case FIELD_LISTEN:
    append_listen(out, at);
    break;
  case FIELD_URL:
  case FIELD_DOMAIN:
  case FIELD_PATH:
    append_text(out, *(char *const *)at);
    break;
  case FIELD_BLOCKS:
    append_text(out, ((const ConfigBlocks *)at)->text);
    break;
  case FIELD_COUNT:
  case FIELD_BYTES:
  case FIELD_MS:
    buffer_integer(out, *(const uint32_t *)at);
    break;
  case FIELD_BIG_BYTES:
    buffer_integer(out, (int64_t) * (const uint64_t *)at);
    break;
  case FIELD_LEVEL:
    append_text(out, levels[*(const LogLevel *)at]);
    break;
  case FIELD_FORMAT:
    append_text(out, formats[*(const LogFormat *)at]);
    break;
  }
}
