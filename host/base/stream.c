// See stream.h.
#include "stream.h"

#include <stdarg.h>
#include <stdio.h>

StreamStatus stream_fail(Stream *stream, const char *code, const char *format, ...)
{
  va_list args;
  snprintf(stream->error.code, sizeof stream->error.code, "%s", code);
  stream->error.retry_after_s = -1;
  va_start(args, format);
  vsnprintf(stream->error.message, sizeof stream->error.message, format, args);
  va_end(args);
  return STREAM_ERROR;
}
