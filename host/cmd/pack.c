// moonhook plugin pack: a plugin's folder into one file, which is served as the folder is.
#include <stdio.h>

#include "../base/buffer.h"
#include "../base/memory.h"
#include "../plugin/archive.h"
#include "arguments.h"
#include "check.h"

int cmd_plugin_pack(const Arguments *arguments)
{
  const char *dir = arguments->places[0];
  Report report = { 0 };
  Package *package = check_package(&report, dir);
  Buffer path = { 0 };
  Err err;
  int rc = 0;
  if (!package || report.problems > 0) {
    package_free(package);
    return report_end(&report, dir);
  }
  if (arguments->place_count > 1)
    buffer_string(&path, arguments->places[1]);
  else
    buffer_printf(&path, "%s-%s.difypkg", package->name, package->version);
  if (archive_write(dir, path.bytes, &err) == 0) {
    printf("%s\n", path.bytes);
  } else {
    fprintf(stderr, "moonhook: %s\n", err.text);
    rc = 1;
  }
  buffer_free(&path);
  package_free(package);
  return rc;
}
