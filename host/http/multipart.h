// Bodies of type multipart/form-data, as RFC 7578 and RFC 2046 section 5.1 have them.
#ifndef MOONHOOK_HTTP_MULTIPART_H
#define MOONHOOK_HTTP_MULTIPART_H

#include "form.h"

// Adds the parts to `form`. UV_EINVAL, with a text that names the part and what is wrong.
int multipart_parse(Span boundary, Span body, Form *form, Err *err);

#endif
