// moonhook init: a new plugin from a template, with a spec and the editor's files. The templates
// are compiled in (lua/templates/), and so are the annotations for the editor. Nothing is
// overwritten.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buffer.h"
#include "../base/memory.h"
#include "../script/library.h"
#include "arguments.h"

#define COMMON "lua/templates/common/"
#define META "lua/moonhook/meta/"

typedef struct {
  const char *dir; // as it was given
  const char *name;
  const char *folder; // of the template
  char author[64];
} Plan;

// Where a template's files are, in the library.
static const struct {
  const char *name, *folder;
} templates[] = {
  { "hello", "lua/templates/hello/" }, { "stream", "examples/stream/" },
  { "chat", "examples/talk/" },        { "openai", "lua/templates/openai/" },
  { "webhook", "examples/webhook/" },
};

static bool begins_with(const char *text, const char *start)
{
  return strncmp(text, start, strlen(start)) == 0;
}

// --- names ---------------------------------------------------------------------------------------

static bool is_name_char(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool is_name(const char *text)
{
  size_t len = strlen(text), i;
  for (i = 0; i < len && is_name_char(text[i]); i++)
    ;
  return len > 0 && len <= 128 && i == len;
}

// Who is logged in, as far as a manifest takes it.
static void guess_author(char *author, size_t size)
{
  const char *user = getenv("USER");
  size_t len = 0;
  for (; user && *user && len + 1 < size; user++) {
    char c = *user >= 'A' && *user <= 'Z' ? (char)(*user - 'A' + 'a') : *user;
    if (is_name_char(c))
      author[len++] = c;
  }
  author[len] = '\0';
  if (len == 0 || strcmp(author, "root") == 0)
    snprintf(author, size, "me");
}

// Its folder; NULL: there is no such template.
static const char *find_template(const char *name)
{
  size_t i;
  for (i = 0; i < sizeof templates / sizeof *templates; i++) {
    if (strcmp(templates[i].name, name) == 0)
      return templates[i].folder;
  }
  return NULL;
}

// --- files ---------------------------------------------------------------------------------------

// Where a file of the library goes in the plugin's folder; false: it belongs to another template.
static bool find_place(const LibraryFile *file, const Plan *plan, Buffer *path)
{
  buffer_clear(path);
  if (begins_with(file->path, plan->folder)) {
    buffer_printf(path, "%s/%s", plan->dir, file->path + strlen(plan->folder));
  } else if (begins_with(file->path, COMMON)) {
    buffer_printf(path, "%s/.%s", plan->dir, file->path + strlen(COMMON));
  } else if (begins_with(file->path, META)) {
    buffer_printf(path, "%s/.moonhook/meta/%s", plan->dir, file->path + strlen(META));
  } else {
    return false;
  }
  return true;
}

// The template's manifest with the plugin's own author and name.
static void append_manifest(Buffer *out, const char *text, const Plan *plan)
{
  while (*text) {
    size_t len = strcspn(text, "\n");
    len += text[len] == '\n';
    if (begins_with(text, "author: "))
      buffer_printf(out, "author: %s\n", plan->author);
    else if (begins_with(text, "name: "))
      buffer_printf(out, "name: %s\n", plan->name);
    else
      buffer_append(out, text, len);
    text += len;
  }
}

static bool make_folders(const char *path)
{
  char *copy = mem_string(path), *slash;
  bool is_made = true;
  for (slash = strchr(copy + 1, '/'); slash && is_made; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    is_made = mkdir(copy, 0777) == 0 || errno == EEXIST;
    *slash = '/';
  }
  mem_free(copy);
  return is_made;
}

// 0, or an errno. A file that is there is left as it is: EEXIST.
static int write_file(const char *path, const LibraryFile *file, const Plan *plan)
{
  Buffer text = { 0 };
  FILE *out;
  bool is_written;
  int error;
  if (!make_folders(path) || !(out = fopen(path, "wxe")))
    return errno;
  if (strstr(path, "/manifest.yaml"))
    append_manifest(&text, file->text, plan);
  else
    buffer_append(&text, file->text, file->len);
  is_written = fwrite(text.bytes ? text.bytes : "", 1, text.len, out) == text.len;
  error = errno;
  is_written = fclose(out) == 0 && is_written;
  buffer_free(&text);
  return is_written ? 0 : error ? error : EIO;
}

// Everything is looked for before anything is written.
static bool is_free(const Plan *plan)
{
  Buffer path = { 0 };
  bool is_fine = true;
  size_t i;
  for (i = 0; i < library_file_count; i++) {
    if (!find_place(&library_files[i], plan, &path) || begins_with(library_files[i].path, META))
      continue;
    if (access(path.bytes, F_OK) == 0 || errno != ENOENT) {
      fprintf(stderr, "moonhook init: %s is there already; nothing was written\n", path.bytes);
      is_fine = false;
      break;
    }
  }
  buffer_free(&path);
  return is_fine;
}

static int write_all(const Plan *plan)
{
  Buffer path = { 0 };
  int error = 0;
  size_t i;
  for (i = 0; i < library_file_count && error == 0; i++) {
    const LibraryFile *file = &library_files[i];
    bool is_meta = begins_with(file->path, META);
    if (!find_place(file, plan, &path))
      continue;
    if (is_meta)
      unlink(path.bytes); // ours: an older version's
    error = write_file(path.bytes, file, plan);
    if (error)
      fprintf(stderr, "moonhook init: %s: %s\n", path.bytes, strerror(error));
    else if (!is_meta)
      printf("%s\n", path.bytes);
  }
  buffer_free(&path);
  return error ? 1 : 0;
}

int cmd_init(const Arguments *arguments)
{
  const char *given = arguments->places[0];
  const char *template_name = arguments_value(arguments, "--template");
  Plan plan;
  size_t len = strlen(given);
  char *dir, *slash;
  int rc;
  if (!template_name)
    template_name = "hello";
  if (!find_template(template_name))
    return arguments_refuse(arguments,
                            "there is no template '%s': expected hello, stream, chat, "
                            "openai or webhook",
                            template_name);
  while (len > 1 && given[len - 1] == '/')
    len--;
  dir = mem_bytes(given, len);
  slash = strrchr(dir, '/');
  plan =
      (Plan){ .dir = dir, .name = slash ? slash + 1 : dir, .folder = find_template(template_name) };
  if (!is_name(plan.name)) {
    rc = arguments_refuse(
        arguments, "a plugin's name has only a-z, 0-9, _ and -, at most 128: not '%s'", plan.name);
    mem_free(dir);
    return rc;
  }
  guess_author(plan.author, sizeof plan.author);
  rc = is_free(&plan) ? write_all(&plan) : 1;
  if (rc == 0)
    fprintf(stderr,
            "\nNext:\n"
            "  cd %s\n"
            "  moonhook dev     serves it, prints its URL, reloads it on save\n"
            "  moonhook test    runs its spec\n",
            dir);
  mem_free(dir);
  return rc;
}
