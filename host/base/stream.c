// See stream.h.
#include "stream.h"

#include <stdarg.h>
#include <stdio.h>

#include "memory.h"

StreamStatus stream_fail(Stream *stream, const char *code, const char *format, ...)
{
  char message[STREAM_MESSAGE_BYTES];
  va_list args;
  snprintf(stream->error.code, sizeof stream->error.code, "%s", code);
  stream->error.retry_after_s = -1;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  mem_free(stream->error.message);
  stream->error.message = mem_string(message);
  return STREAM_ERROR;
}

void stream_over(Stream *stream)
{
  charge_set(&stream->charge, 0);
  mem_free(stream->error.message);
}
