// Header values with parameters: `form-data; name="a"; filename*=UTF-8''b`. Pure functions.
#ifndef MOONHOOK_HTTP_PARAMETERS_H
#define MOONHOOK_HTTP_PARAMETERS_H

#include <stdbool.h>

#include "../base/buffer.h"

// What stands before the first ';', trimmed.
Span parameters_value(Span text);
// Appends the value of the first parameter of that name (ignoring case), unquoted. False: there is
// none, or a parameter before it is malformed.
bool parameters_get(Span text, const char *name, Buffer *out);
// The same for an extended parameter (RFC 8187): `name` ends with '*'. Appends UTF-8.
bool parameters_get_extended(Span text, const char *name, Buffer *out);
Span span_trim(Span text); // spaces and tabs at both ends

#endif
