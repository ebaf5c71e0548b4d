// See form.h; multipart bodies are read by multipart.c.
#include "form.h"

#include <uv.h>

#include "../base/memory.h"
#include "../base/utf8.h"
#include "multipart.h"
#include "parameters.h"

static int hex_digit(char c);
static void decode_pair(Span piece, Buffer *name, Buffer *value, HeaderList *pairs);
static int decode_pairs(Span text, uint32_t most, HeaderList *pairs);

void percent_decode(Span text, bool is_query, Buffer *out)
{
  size_t i = 0;
  buffer_reserve(out, text.len);
  if (text.len > 0 && !memchr(text.at, '%', text.len) &&
      !(is_query && memchr(text.at, '+', text.len))) {
    buffer_append(out, text.at, text.len);
    return;
  }
  while (i < text.len) {
    char c = text.at[i];
    int high, low;
    if (c == '%' && i + 2 < text.len && (high = hex_digit(text.at[i + 1])) >= 0 &&
        (low = hex_digit(text.at[i + 2])) >= 0) {
      c = (char)(high * 16 + low);
      i += 2;
    } else if (c == '+' && is_query) {
      c = ' ';
    }
    out->bytes[out->len++] = c;
    i++;
  }
  out->bytes[out->len] = '\0';
}

void form_decode_query(Span query, HeaderList *pairs)
{
  decode_pairs(query, UINT32_MAX, pairs);
}

int form_decode_path(Span path, Buffer *made, Span *out, Err *err)
{
  *out = path;
  if (path.len == 0)
    return 0;
  if (memchr(path.at, '%', path.len)) {
    percent_decode(path, false, made);
    *out = (Span){ made->bytes, made->len };
  }
  if (memchr(out->at, '\0', out->len))
    return err_set(err, UV_EINVAL, "the path holds a zero byte");
  if (!utf8_is_valid(out->at, out->len))
    return err_set(err, UV_EINVAL, "the path is not UTF-8");
  return 0;
}

int form_parse(Span content_type, Span body, Form *form, Err *err)
{
  Span type = parameters_value(content_type);
  Buffer boundary = { 0 };
  int rc;
  if (body.len > UINT32_MAX / 2)
    return err_set(err, UV_EINVAL, "the form is too large");
  if (span_is_ignoring_case(type, "application/x-www-form-urlencoded")) {
    if (decode_pairs(body, FORM_MAX_PAIRS, &form->fields) != 0)
      return err_set(err, UV_EINVAL, "the form has more than %d fields", FORM_MAX_PAIRS);
    return 0;
  }
  if (!span_is_ignoring_case(type, "multipart/form-data"))
    return 0;
  if (!parameters_get(content_type, "boundary", &boundary)) {
    buffer_free(&boundary);
    return err_set(err, UV_EINVAL, "multipart: no boundary in the Content-Type");
  }
  rc = multipart_parse((Span){ boundary.bytes, boundary.len }, body, form, err);
  buffer_free(&boundary);
  return rc;
}

void form_free(Form *form)
{
  uint32_t i;
  for (i = 0; i < form->file_count; i++) {
    mem_free(form->files[i].strings);
    header_list_free(&form->files[i].headers);
  }
  mem_free(form->files);
  header_list_free(&form->fields);
  *form = (Form){ 0 };
}

static int hex_digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

static int decode_pairs(Span text, uint32_t most, HeaderList *pairs)
{
  Buffer name = { 0 }, value = { 0 };
  size_t at = 0;
  int rc = 0;
  while (at < text.len && rc == 0) {
    const char *end = memchr(text.at + at, '&', text.len - at);
    size_t len = end ? (size_t)(end - text.at) - at : text.len - at;
    if (len > 0 && pairs->count >= most)
      rc = UV_EINVAL;
    else if (len > 0)
      decode_pair((Span){ text.at + at, len }, &name, &value, pairs);
    at += len + 1;
  }
  buffer_free(&name);
  buffer_free(&value);
  return rc;
}

// `name` and `value` are memory to work in.
static void decode_pair(Span piece, Buffer *name, Buffer *value, HeaderList *pairs)
{
  const char *mark = memchr(piece.at, '=', piece.len);
  size_t name_len = mark ? (size_t)(mark - piece.at) : piece.len;
  buffer_clear(name);
  buffer_clear(value);
  percent_decode((Span){ piece.at, name_len }, true, name);
  if (mark)
    percent_decode((Span){ mark + 1, piece.len - name_len - 1 }, true, value);
  header_list_add(pairs, (Span){ name->bytes, name->len },
                  (Span){ value->bytes ? value->bytes : "", value->len });
}
