// What clients send in paths, queries and form bodies, decoded. Pure functions over bytes.
#ifndef MOONHOOK_HTTP_FORM_H
#define MOONHOOK_HTTP_FORM_H

#include <stdbool.h>

#include "../base/error.h"
#include "../base/header_list.h"

enum {
  FORM_MAX_PARTS = 1000,           // of a multipart body
  FORM_MAX_PART_HEADERS = 16,      // header fields of one part
  FORM_MAX_PART_HEAD_BYTES = 8192, // all header lines of one part
  FORM_MAX_PAIRS = 10000,          // of a urlencoded body
};

typedef struct {
  char *strings;     // name and filename lie here
  Span name;         // decoded
  Span filename;     // decoded, as the client sent it: it may hold a path
  Span content_type; // of the part; empty when it has none
  Span body;         // borrowed from the body that was parsed
  HeaderList headers;
} FormFile;

// Start with `Form form = { 0 };`.
typedef struct {
  HeaderList fields; // names and values in their order, repeats included
  FormFile *files;   // parts with a filename, in their order
  uint32_t file_count;
} Form;

// Appends `text` with its percent sequences decoded; malformed ones stay as they are. `+` is a
// space where `is_query`.
void percent_decode(Span text, bool is_query, Buffer *out);
// "a=1&b=2" to pairs in their order. A piece without '=' is a name with an empty value; empty
// pieces are left out.
void form_decode_query(Span query, HeaderList *pairs);
// A raw path, decoded: itself where there is nothing to decode, else what is put into `made`, which
// is empty. UV_EINVAL: it holds a zero byte, or is not UTF-8.
int form_decode_path(Span path, Buffer *made, Span *out, Err *err);
// Reads a body of type application/x-www-form-urlencoded or multipart/form-data (RFC 7578); of any
// other type the form is empty. UV_EINVAL: malformed or above a limit; `form` is then half-filled.
// Files' bodies point into `body`. Free the form in any case.
int form_parse(Span content_type, Span body, Form *form, Err *err);
void form_free(Form *form);

#endif
