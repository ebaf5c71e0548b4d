// What plugins under test keep: seen and set by the spec, and made to fail.
#include <string.h>
#include <uv.h>

#include "../script/bind.h"
#include "bind_bed_parts.h"
#include "subject.h"

// storage_faults(plugin, { "ok"|"fail"|"full", delay_ms, ... }, is_lasting): what befalls its next
// calls
int bind_bed_faults(lua_State *L)
{
  static const char *const words[] = { "ok", "fail", "full", NULL };
  static const int codes[] = { 0, UV_EIO, UV_ENOSPC };
  Subject *subject = subject_find(bind_bed(L), bind_check_id(L, 1));
  StorageFaults faults = { .is_lasting = lua_toboolean(L, 3) };
  int i, count;
  luaL_checktype(L, 2, LUA_TTABLE);
  count = (int)lua_objlen(L, 2) / 2;
  luaL_argcheck(L, count <= MAX_STORAGE_FAULTS, 2, "too many");
  for (i = 0; i < count; i++) {
    lua_rawgeti(L, 2, 2 * i + 1);
    lua_rawgeti(L, 2, 2 * i + 2);
    faults.list[faults.count++] = (StorageFault){ codes[luaL_checkoption(L, -2, NULL, words)],
                                                  (uint32_t)luaL_checkinteger(L, -1) };
    lua_pop(L, 2);
  }
  if (subject)
    subject->faults = faults;
  return 0;
}

// --- seen by the spec ----------------------------------------------------------------------------

typedef struct {
  StorageResult result;
  bool is_done;
} Kept;

static void on_stored(void *context, StorageResult *result)
{
  Kept *kept = context;
  kept->result = *result;
  memset(&result->value, 0, sizeof result->value); // taken
  memset(&result->keys, 0, sizeof result->keys);
  kept->is_done = true;
}

static bool is_stored(void *context)
{
  return ((Kept *)context)->is_done;
}

int bind_bed_storage(lua_State *L)
{
  static const char *const verbs[] = { "get", "set", "delete", "list", NULL };
  static const StorageVerb meanings[] = { STORAGE_GET, STORAGE_SET, STORAGE_DELETE, STORAGE_LIST };
  Bed *bed = bind_bed(L);
  Subject *subject = subject_find(bed, bind_check_id(L, 1));
  StorageRequest request = { .verb = meanings[luaL_checkoption(L, 2, NULL, verbs)],
                             .quota_bytes = UINT64_MAX / 2,
                             .key = bind_check_span(L, 3),
                             .value = { luaL_optstring(L, 4, ""), 0 },
                             .ttl_ms = (uint64_t)luaL_optnumber(L, 5, 0),
                             .limit = 1000 };
  Kept kept = { 0 };
  request.value.at = luaL_optlstring(L, 4, "", &request.value.len);
  if (!subject || !bed->store)
    return luaL_error(L, "the plugin has no storage");
  request.plugin = subject->plugin_id;
  store_storage(bed->store, &request, on_stored, &kept);
  bed_run_until(bed, is_stored, &kept);
  if (kept.result.code < 0) {
    lua_pushstring(L, kept.result.text);
    buffer_free(&kept.result.value);
    buffer_free(&kept.result.keys);
    return lua_error(L);
  }
  if (request.verb == STORAGE_LIST)
    bind_storage_keys(L, &kept.result);
  else if (request.verb == STORAGE_GET && kept.result.found)
    lua_pushlstring(L, kept.result.value.len ? kept.result.value.bytes : "", kept.result.value.len);
  else if (request.verb == STORAGE_GET)
    lua_pushnil(L);
  else
    lua_pushboolean(L, 1);
  buffer_free(&kept.result.value);
  buffer_free(&kept.result.keys);
  return 1;
}
