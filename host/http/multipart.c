// See multipart.h. The body is whole, so a part is found by searching for the next delimiter.
#include "multipart.h"

#include <uv.h>

#include "../base/memory.h"
#include "parameters.h"
#include "server.h"

enum { MAX_BOUNDARY_BYTES = 70 };

// A delimiter line: where it starts (the CRLF before it included) and where what follows starts.
typedef struct {
  size_t at, end;
  bool is_last;
} Delimiter;

// What one part's head says.
typedef struct {
  HeaderList headers;
  Buffer name, filename;
  bool is_file;
} PartHead;

static bool find_delimiter(Span body, size_t from, Span mark, Delimiter *found);
static int read_part(Span part, uint32_t number, Form *form, Err *err);
static int read_head(Span part, uint32_t number, PartHead *head, size_t *body_at, Err *err);
static int read_disposition(uint32_t number, PartHead *head, Err *err);
static void add_file(Form *form, PartHead *head, Span body);

int multipart_parse(Span boundary, Span body, Form *form, Err *err)
{
  char mark_bytes[MAX_BOUNDARY_BYTES + 4];
  Span mark = { mark_bytes, boundary.len + 4 };
  Delimiter before, after;
  uint32_t number = 0;
  int rc = 0;
  if (boundary.len == 0 || boundary.len > MAX_BOUNDARY_BYTES)
    return err_set(err, UV_EINVAL, "multipart: the boundary must have 1 to %d characters, not %zu",
                   MAX_BOUNDARY_BYTES, boundary.len);
  memcpy(mark_bytes, "\r\n--", 4);
  memcpy(mark_bytes + 4, boundary.at, boundary.len);
  if (!find_delimiter(body, 0, mark, &before))
    return err_set(err, UV_EINVAL, "multipart: the boundary does not occur in the body");
  while (!before.is_last && rc == 0) {
    if (++number > FORM_MAX_PARTS)
      return err_set(err, UV_EINVAL, "multipart: more than %d parts", FORM_MAX_PARTS);
    // A part may be empty but for its head, whose end is then the delimiter's own CRLF.
    if (!find_delimiter(body, before.end - 2, mark, &after))
      return err_set(err, UV_EINVAL, "multipart: part %u: no boundary after it", number);
    if (after.at < before.end)
      return err_set(err, UV_EINVAL, "multipart: part %u: it is empty", number);
    rc = read_part((Span){ body.at + before.end, after.at - before.end }, number, form, err);
    before = after;
  }
  return rc;
}

// `mark` is CRLF, two dashes and the boundary. The very first delimiter may lack the CRLF.
static bool find_delimiter(Span body, size_t from, Span mark, Delimiter *found)
{
  while (from < body.len) {
    const char *hit = NULL;
    size_t skip = 0, i;
    if (from == 0 && body.len >= mark.len - 2 && memcmp(body.at, mark.at + 2, mark.len - 2) == 0) {
      hit = body.at;
      skip = 2;
    } else {
      hit = memmem(body.at + from, body.len - from, mark.at, mark.len);
    }
    if (!hit)
      return false;
    found->at = (size_t)(hit - body.at);
    i = found->at + mark.len - skip;
    if (i + 2 <= body.len && memcmp(body.at + i, "--", 2) == 0) {
      found->is_last = true;
      found->end = i + 2;
      return true;
    }
    while (i < body.len && (body.at[i] == ' ' || body.at[i] == '\t'))
      i++;
    if (i + 2 <= body.len && memcmp(body.at + i, "\r\n", 2) == 0) {
      found->is_last = false;
      found->end = i + 2;
      return true;
    }
    from = found->at + 1; // only the beginning of something longer
  }
  return false;
}

static int read_part(Span part, uint32_t number, Form *form, Err *err)
{
  PartHead head = { 0 };
  size_t body_at = 0;
  int rc = read_head(part, number, &head, &body_at, err);
  if (rc == 0) {
    Span body = { part.at + body_at, part.len - body_at };
    if (head.is_file)
      add_file(form, &head, body);
    else
      header_list_add(&form->fields, (Span){ head.name.bytes, head.name.len }, body);
  }
  header_list_free(&head.headers);
  buffer_free(&head.name);
  buffer_free(&head.filename);
  return rc;
}

// Reads the header lines up to the empty one.
static int read_head(Span part, uint32_t number, PartHead *head, size_t *body_at, Err *err)
{
  size_t at = 0;
  for (;;) {
    const char *end = at < part.len ? memmem(part.at + at, part.len - at, "\r\n", 2) : NULL;
    Span line = { part.at + at, end ? (size_t)(end - part.at) - at : part.len - at }, name, value;
    const char *colon;
    if (!end && line.len > 0)
      return err_set(err, UV_EINVAL, "multipart: part %u: no empty line after its header", number);
    at += line.len + (end ? 2 : 0);
    if (at > FORM_MAX_PART_HEAD_BYTES)
      return err_set(err, UV_EINVAL, "multipart: part %u: more than %d bytes of header", number,
                     FORM_MAX_PART_HEAD_BYTES);
    if (line.len == 0) {
      *body_at = at;
      return read_disposition(number, head, err);
    }
    colon = memchr(line.at, ':', line.len);
    name = (Span){ line.at, colon ? (size_t)(colon - line.at) : 0 };
    value = span_trim((Span){ line.at + name.len + 1, line.len - name.len - 1 });
    if (!colon || !header_is_valid(name, value))
      return err_set(err, UV_EINVAL, "multipart: part %u: malformed header line", number);
    if (head->headers.count >= FORM_MAX_PART_HEADERS)
      return err_set(err, UV_EINVAL, "multipart: part %u: more than %d header fields", number,
                     FORM_MAX_PART_HEADERS);
    header_list_add(&head->headers, name, value);
  }
}

static int read_disposition(uint32_t number, PartHead *head, Err *err)
{
  static const char *const plain_encodings[] = { "", "7bit", "8bit", "binary" };
  Span disposition = header_list_get(&head->headers, "Content-Disposition");
  Span encoding = span_trim(header_list_get(&head->headers, "Content-Transfer-Encoding"));
  bool is_plain = false;
  size_t i;
  if (!span_is_ignoring_case(parameters_value(disposition), "form-data"))
    return err_set(err, UV_EINVAL, "multipart: part %u: no Content-Disposition: form-data", number);
  if (!parameters_get(disposition, "name", &head->name))
    return err_set(err, UV_EINVAL, "multipart: part %u: no name in its Content-Disposition",
                   number);
  for (i = 0; i < sizeof plain_encodings / sizeof plain_encodings[0]; i++)
    is_plain |= encoding.len == 0 || span_is_ignoring_case(encoding, plain_encodings[i]);
  if (!is_plain)
    return err_set(err, UV_EINVAL, "multipart: part %u: Content-Transfer-Encoding is obsolete",
                   number);
  head->is_file = parameters_get_extended(disposition, "filename*", &head->filename) ||
                  parameters_get(disposition, "filename", &head->filename);
  return 0;
}

static void add_file(Form *form, PartHead *head, Span body)
{
  FormFile *file;
  form->files = mem_resize(form->files, (form->file_count + 1) * sizeof *form->files);
  file = &form->files[form->file_count++];
  *file = (FormFile){ .body = body, .headers = head->headers };
  head->headers = (HeaderList){ 0 };
  file->strings = mem_alloc(head->name.len + head->filename.len + 1);
  if (head->name.len > 0)
    memcpy(file->strings, head->name.bytes, head->name.len);
  if (head->filename.len > 0)
    memcpy(file->strings + head->name.len, head->filename.bytes, head->filename.len);
  file->name = (Span){ file->strings, head->name.len };
  file->filename = (Span){ file->strings + head->name.len, head->filename.len };
  file->content_type = header_list_get(&file->headers, "Content-Type");
  if (!file->content_type.at)
    file->content_type = (Span){ "", 0 };
}
