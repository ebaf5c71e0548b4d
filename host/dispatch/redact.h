// Texts of plugins that go to the log, without their endpoint's secret settings.
#ifndef MOONHOOK_DISPATCH_REDACT_H
#define MOONHOOK_DISPATCH_REDACT_H

#include "hook_request.h"

// Appends the text with each secret in it (of four bytes or more) replaced by a mask. For failures:
// it reads the settings anew.
void redact_secrets(const HookRequest *hook, Span text, Buffer *out);

#endif
