// What the readers of the configuration share: problems, paths, key files (see config_read.h).
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "../base/file.h"
#include "../base/memory.h"
#include "config_read.h"

enum { MAX_SECRET_BYTES = 64 * 1024 };

int config_fail(const Reader *reader, const YamlNode *at, const char *format, ...)
{
  char what[400];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  problems_add(reader->problems, at ? reader->config->file : NULL, at ? at->line : 0,
               at ? at->column : 0, "%s", what);
  return UV_EINVAL;
}

int config_expected(const Reader *reader, const YamlNode *at, const char *key, const char *expected,
                    const YamlNode *got)
{
  char shown[96];
  return config_fail(reader, at, "%s: expected %s, got %s", key, expected,
                     yaml_show(got, shown, sizeof shown));
}

int config_check_keys(const Reader *reader, const YamlNode *map, const char *section,
                      const char *const *known)
{
  size_t i, j;
  int rc = 0;
  for (i = 0; i < map->count; i++) {
    const YamlNode *key = map->pairs[i].key;
    const char *nearest;
    for (j = 0; known[j] && strcmp(known[j], key->text) != 0; j++)
      ;
    if (known[j])
      continue;
    nearest = yaml_nearest(key->text, known);
    rc = config_fail(reader, key, "%s%s%.80s: unknown key%s%s%s", section, *section ? "." : "",
                     key->text, nearest ? ", did you mean " : "", nearest ? nearest : "",
                     nearest ? "?" : "");
  }
  return rc;
}

char *config_path(const Reader *reader, const char *path)
{
  Buffer joined = { 0 };
  while (path[0] == '.' && path[1] == '/' && path[2] != '\0')
    path += 2;
  if (*path == '/' || !reader->dir || strcmp(reader->dir, ".") == 0)
    return mem_string(path);
  if (strcmp(path, ".") == 0)
    return mem_string(reader->dir);
  buffer_string(&joined, reader->dir);
  if (joined.bytes[joined.len - 1] != '/')
    buffer_char(&joined, '/');
  buffer_string(&joined, path);
  return buffer_take(&joined);
}

void config_add_text(char ***list, uint32_t *count, const char *text)
{
  *list = mem_resize(*list, (*count + 2) * sizeof **list);
  (*list)[(*count)++] = mem_string(text);
  (*list)[*count] = NULL;
}

void config_free_texts(char **list, uint32_t count)
{
  while (count > 0)
    mem_free(list[--count]);
  mem_free(list);
}

void config_watch(Config *config, const char *path)
{
  uint32_t i;
  for (i = 0; i < config->watched_count; i++) {
    if (strcmp(config->watched[i], path) == 0)
      return;
  }
  config_add_text(&config->watched, &config->watched_count, path);
}

// What is wrong with the content of a key file, for people; NULL: nothing. Its ends are trimmed.
static const char *problem_of_key(Span key, char text[120])
{
  size_t i;
  if (key.len >= 2 && (memcmp(key.at, "\xff\xfe", 2) == 0 || memcmp(key.at, "\xfe\xff", 2) == 0))
    return "expected plain text, got UTF-16: save it as UTF-8";
  if (key.len == 0)
    return "expected a key, got an empty file";
  if (memchr(key.at, '\n', key.len))
    return "expected one line with the key";
  for (i = 0; i < key.len; i++) {
    unsigned char byte = (unsigned char)key.at[i];
    if (byte >= 0x20 && byte < 0x7f)
      continue;
    snprintf(text, 120,
             "expected letters, digits and signs of ASCII, got the byte 0x%02x as "
             "character %zu",
             byte, i + 1);
    return text;
  }
  return NULL;
}

// Without white space at its ends, and without the mark that editors put in front of UTF-8.
static Span trim(const Buffer *bytes)
{
  Span key = { bytes->bytes, bytes->len };
  if (key.len >= 3 && memcmp(key.at, "\xef\xbb\xbf", 3) == 0)
    key = (Span){ key.at + 3, key.len - 3 };
  while (key.len > 0 && strchr(" \t\r\n", key.at[key.len - 1]) && key.at[key.len - 1])
    key.len--;
  while (key.len > 0 && strchr(" \t\r\n", *key.at) && *key.at)
    key = (Span){ key.at + 1, key.len - 1 };
  return key;
}

char *config_secret(const Reader *reader, const YamlNode *node, const char *key)
{
  Buffer bytes = { 0 };
  Err why = { 0 };
  const char *problem;
  char *path, *secret = NULL, text[120];
  if (node->type != YAML_STRING || node->len == 0) {
    config_expected(reader, node, key, "the path of a file", node);
    return NULL;
  }
  path = config_path(reader, node->text);
  config_watch(reader->config, path);
  if (file_read(path, MAX_SECRET_BYTES, &bytes, &why) != 0) {
    config_fail(reader, node, "%s: %s", key, why.text);
  } else {
    Span found = trim(&bytes);
    problem = problem_of_key(found, text);
    if (problem)
      config_fail(reader, node, "%s: %s: %s", key, path, problem);
    else
      secret = mem_bytes(found.at, found.len);
    explicit_bzero(bytes.bytes, bytes.cap);
  }
  buffer_free(&bytes);
  mem_free(path);
  return secret;
}
