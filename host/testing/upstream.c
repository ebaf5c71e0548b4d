// See upstream.h.
#include "upstream.h"

#include <string.h>

#include "../base/memory.h"
#include "subject.h"

static void on_head(void *context, Request *request)
{
  (void)context;
  request->body_limit = UINT64_MAX;
}

static void on_request(void *context, Request *request)
{
  Subject *subject = context;
  Bed *bed = subject->bed;
  Call *call = mem_zero(1, sizeof *call);
  call->id = bed_new_id(bed);
  call->subject = subject;
  call->request = request;
  call->next = bed->calls;
  bed->calls = call;
  request->user = call;
  bed_tell(bed, EVENT_CALL, call->id);
}

static void on_drain(void *context, Request *request)
{
  (void)context; // a spec's answers are short
  (void)request;
}

static void on_over(void *context, Request *request, bool is_complete, const char *ended_by)
{
  Subject *subject = context;
  Call *call = request->user, **link;
  bool has_left = !is_complete && strcmp(ended_by, "server") != 0;
  if (!call)
    return;
  bed_tell(subject->bed, has_left ? EVENT_LEFT : EVENT_OVER, call->id);
  for (link = &subject->bed->calls; *link != call; link = &(*link)->next)
    ;
  *link = call->next;
  mem_free(call);
}

const HttpHandler upstream_handler = { on_head, on_request, on_drain, on_over, NULL };

Call *upstream_find(const Bed *bed, uint32_t id)
{
  Call *call = bed->calls;
  while (call && call->id != id)
    call = call->next;
  return call;
}
