// Reading a file of the package, and nothing outside it.
#include "../base/file.h"
#include "state.h"

enum { MAX_FILE_BYTES = 50 * 1024 * 1024 };

int state_read_file(const State *state, const char *file, Buffer *out, Err *err)
{
  Err why;
  int rc;
  if (!state_root(state))
    return err_set(err, UV_ENOENT, "%s: no package here", file);
  rc = file_read_inside(state_root(state), file, MAX_FILE_BYTES, out, &why);
  return rc == 0 ? 0 : err_set(err, rc, "%s: %.400s", file, why.text);
}
