// Multipart bodies: the first line of the input is the Content-Type, the rest the body. What is
// accepted is written anew and read again, and must give the same fields and files.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/http/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char BOUNDARY[] = "----moonhook-fuzz-boundary-0123456789";

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

static bool is_same(Span a, Span b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static void write_quoted(Buffer *out, Span text)
{
  size_t i;
  buffer_char(out, '"');
  for (i = 0; i < text.len; i++) {
    if (text.at[i] == '"' || text.at[i] == '\\')
      buffer_char(out, '\\');
    buffer_char(out, text.at[i]);
  }
  buffer_char(out, '"');
}

static void write_part(Buffer *out, Span name, const FormFile *file, Span body)
{
  buffer_printf(out, "--%s\r\nContent-Disposition: form-data; name=", BOUNDARY);
  write_quoted(out, name);
  if (file) {
    buffer_string(out, "; filename=");
    write_quoted(out, file->filename);
    buffer_string(out, "\r\nContent-Type: ");
    buffer_append(out, file->content_type.at, file->content_type.len);
  }
  buffer_string(out, "\r\n\r\n");
  buffer_append(out, body.at, body.len);
  buffer_string(out, "\r\n");
}

// Texts that our simple writer cannot say, or says otherwise.
static bool is_simple(Span text)
{
  size_t i;
  for (i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.at[i];
    if (c < 0x20 || c == 0x7f || c == '%')
      return false;
  }
  return text.len < 1000;
}

static void check_again(const Form *form)
{
  Buffer body = { 0 }, type = { 0 };
  Form again = { 0 };
  Err err;
  uint32_t i;
  for (i = 0; i < form->fields.count; i++)
    write_part(&body, header_list_name(&form->fields, i), NULL,
               header_list_value(&form->fields, i));
  for (i = 0; i < form->file_count; i++)
    write_part(&body, form->files[i].name, &form->files[i], form->files[i].body);
  buffer_printf(&body, "--%s--\r\n", BOUNDARY);
  buffer_printf(&type, "multipart/form-data; boundary=%s", BOUNDARY);
  must(form_parse((Span){ type.bytes, type.len }, (Span){ body.bytes, body.len }, &again, &err) ==
           0,
       "good again");
  must(again.fields.count == form->fields.count && again.file_count == form->file_count,
       "as many parts");
  for (i = 0; i < form->fields.count; i++) {
    must(is_same(header_list_name(&form->fields, i), header_list_name(&again.fields, i)), "names");
    must(is_same(header_list_value(&form->fields, i), header_list_value(&again.fields, i)),
         "values");
  }
  for (i = 0; i < form->file_count; i++) {
    must(is_same(form->files[i].name, again.files[i].name), "names of files");
    must(is_same(form->files[i].filename, again.files[i].filename), "file names");
    must(is_same(form->files[i].content_type, again.files[i].content_type), "content types");
    must(is_same(form->files[i].body, again.files[i].body), "contents");
  }
  form_free(&again);
  buffer_free(&body);
  buffer_free(&type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
  size_t type_len = line_end ? (size_t)(line_end - data) : 0, i;
  char *type = mem_bytes(data, type_len);
  char *bytes = mem_bytes(line_end ? line_end + 1 : data, line_end ? size - type_len - 1 : size);
  Span body = { bytes, line_end ? size - type_len - 1 : size };
  Form form = { 0 };
  Err err = { .text = "" };
  bool is_simple_form = !memmem(body.at, body.len, BOUNDARY, sizeof BOUNDARY - 1);
  if (form_parse((Span){ type, type_len }, body, &form, &err) == 0) {
    must(form.fields.count + form.file_count <= FORM_MAX_PAIRS, "the number of parts is limited");
    for (i = 0; i < form.fields.count; i++)
      is_simple_form &= is_simple(header_list_name(&form.fields, (uint32_t)i));
    for (i = 0; i < form.file_count; i++) {
      const FormFile *file = &form.files[i];
      must(file->body.at >= body.at && file->body.at + file->body.len <= body.at + body.len,
           "a file's content lies in the body");
      is_simple_form &= is_simple(file->name) && is_simple(file->filename);
    }
    if (is_simple_form && form.fields.count + form.file_count <= FORM_MAX_PARTS)
      check_again(&form);
  } else {
    must(err.text[0] != '\0', "a refusal says why");
  }
  form_free(&form);
  mem_free(type);
  mem_free(bytes);
  return 0;
}
