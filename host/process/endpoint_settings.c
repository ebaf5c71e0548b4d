// See endpoint_settings.h.
#include "endpoint_settings.h"

#include <stdio.h>
#include <uv.h>

#include "../base/memory.h"

void given_settings_clear(GivenSettings *given)
{
  mem_free(given->plain);
  mem_free(given->sealed);
  *given = (GivenSettings){ NULL, NULL };
}

// --- small things --------------------------------------------------------------------------------

// Appends `"name":` to an object that is being written.
static void add_name(Buffer *object, const YamlNode *name)
{
  if (object->len == 0)
    buffer_char(object, '{');
  else
    buffer_char(object, ',');
  buffer_json_string(object, name->text, name->len);
  buffer_char(object, ':');
}

static char *end_object(Buffer *object)
{
  if (object->len == 0)
    buffer_char(object, '{');
  buffer_char(object, '}');
  return buffer_take(object);
}

static YamlNode *read_object(const char *json)
{
  return yaml_from_json(json ? json : "{}", json ? strlen(json) : 2, NULL);
}

static bool is_secret(const Package *package, const YamlNode *name)
{
  const Setting *setting = package ? package_setting(package, name->text) : NULL;
  return setting && setting->type == SETTING_SECRET;
}

static bool is_mask(const YamlNode *value)
{
  return value->type == YAML_STRING && span_is((Span){ value->text, value->len }, SECRET_MASK);
}

static char *secret_context(const char *endpoint_id, const char *name)
{
  Buffer context = { 0 };
  buffer_printf(&context, "secret %s %s", endpoint_id, name);
  return buffer_take(&context);
}

static void seal_value(const SettingsPlace *place, const char *name, Span json, Buffer *out)
{
  char *context = secret_context(place->endpoint_id, name);
  Buffer sealed = { 0 };
  secrets_seal(place->secrets, context, json, &sealed);
  buffer_json_string(out, sealed.bytes, sealed.len);
  buffer_free(&sealed);
  mem_free(context);
}

static int unseal_value(const SettingsPlace *place, const YamlNode *name, const YamlNode *sealed,
                        Buffer *out, Err *err)
{
  char *context = secret_context(place->endpoint_id, name->text);
  int rc = secrets_unseal(place->secrets, context, (Span){ sealed->text, sealed->len }, out, err);
  mem_free(context);
  return rc;
}

// --- changing ------------------------------------------------------------------------------------

typedef struct {
  const SettingsPlace *place;
  const YamlNode *patch, *unset; // NULL: none
  const YamlNode *plain, *sealed;
  Buffer clear, new_plain, new_sealed; // objects being written
  Problems *problems;
} Change;

static void add_problem(Change *change, const char *name, const char *what)
{
  char field[1040];
  snprintf(field, sizeof field, "settings.%.1023s", name);
  change->problems->field = field;
  problems_add(change->problems, "settings", 0, 0, "settings.%.200s: %s", name, what);
  change->problems->field = NULL;
}

static bool is_unset(const Change *change, const YamlNode *name)
{
  size_t i;
  for (i = 0; change->unset && i < change->unset->count; i++) {
    if (strcmp(change->unset->items[i]->text, name->text) == 0)
      return true;
  }
  return false;
}

// Whether the new value only says that there is a secret, which was shown as this mask.
static bool keeps_secret(const Change *change, const YamlNode *name, const YamlNode *value)
{
  return is_mask(value) &&
         (is_secret(change->place->package, name) || yaml_get(change->sealed, name->text) != NULL);
}

// Whether the old value of this name stays.
static bool is_kept(const Change *change, const YamlNode *name)
{
  const YamlNode *fresh = yaml_get(change->patch, name->text);
  return !is_unset(change, name) && (!fresh || keeps_secret(change, name, fresh));
}

// A value that is not sealed: into the clear object, and into the one where it is stored.
static void add_value(Change *change, const YamlNode *name, const YamlNode *value)
{
  Buffer json = { 0 };
  yaml_to_json(value, &json);
  add_name(&change->clear, name);
  buffer_append(&change->clear, json.bytes, json.len);
  if (is_secret(change->place->package, name) && value->type != YAML_NULL) {
    add_name(&change->new_sealed, name);
    seal_value(change->place, name->text, (Span){ json.bytes, json.len }, &change->new_sealed);
  } else {
    add_name(&change->new_plain, name);
    buffer_append(&change->new_plain, json.bytes, json.len);
  }
  buffer_free(&json);
}

// Values of settings that the plugin does not declare any more stay stored: it may be rolled back.
static void keep_old_plain(Change *change)
{
  size_t i;
  for (i = 0; i < change->plain->count; i++) {
    const YamlNode *name = change->plain->pairs[i].key, *value = change->plain->pairs[i].value;
    if (!is_kept(change, name))
      continue;
    if (package_setting(change->place->package, name->text)) {
      add_value(change, name, value);
    } else {
      add_name(&change->new_plain, name);
      yaml_to_json(value, &change->new_plain);
    }
  }
}

static void keep_old_sealed(Change *change)
{
  size_t i;
  for (i = 0; i < change->sealed->count; i++) {
    const YamlNode *name = change->sealed->pairs[i].key, *value = change->sealed->pairs[i].value;
    Buffer json = { 0 };
    Err err = { 0 };
    if (!is_kept(change, name))
      continue;
    add_name(&change->new_sealed, name);
    yaml_to_json(value, &change->new_sealed);
    if (!package_setting(change->place->package, name->text))
      continue;
    if (unseal_value(change->place, name, value, &json, &err) < 0) {
      add_problem(change, name->text, err.text);
    } else {
      add_name(&change->clear, name);
      buffer_append(&change->clear, json.bytes, json.len);
    }
    buffer_free(&json);
  }
}

static void take_patch(Change *change)
{
  size_t i;
  for (i = 0; change->patch && i < change->patch->count; i++) {
    const YamlNode *name = change->patch->pairs[i].key, *value = change->patch->pairs[i].value;
    bool is_there = yaml_get(change->sealed, name->text) || yaml_get(change->plain, name->text);
    if (is_unset(change, name)) {
      add_problem(change, name->text, "expected a value or its name in `unset`, got both");
    } else if (!keeps_secret(change, name, value)) {
      add_value(change, name, value);
    } else if (!is_there) {
      add_problem(change, name->text,
                  "expected a secret; the mask " SECRET_MASK " keeps one, and there is none");
      add_value(change, name, value); // one problem is enough: it is not missing besides
    }
  }
}

static void check_unset(Change *change)
{
  size_t i;
  for (i = 0; change->unset && i < change->unset->count; i++) {
    const char *name = change->unset->items[i]->text;
    if (!package_setting(change->place->package, name) && !yaml_get(change->plain, name) &&
        !yaml_get(change->sealed, name))
      add_problem(change, name, "there is no such setting");
  }
}

int given_settings_change(const SettingsPlace *place, const GivenSettings *old,
                          const YamlNode *patch, const YamlNode *unset, GivenSettings *result,
                          Buffer *served, Problems *problems)
{
  Change change = { .place = place, .patch = patch, .unset = unset, .problems = problems };
  YamlNode *plain = read_object(old ? old->plain : NULL);
  YamlNode *sealed = read_object(old ? old->sealed : NULL), *clear = NULL;
  size_t before = problems->count;
  char *text = NULL;
  *result = (GivenSettings){ NULL, NULL };
  if (!plain || !sealed) {
    problems_add(problems, "settings", 0, 0, "the stored settings are damaged");
  } else {
    change.plain = plain;
    change.sealed = sealed;
    check_unset(&change);
    keep_old_plain(&change);
    keep_old_sealed(&change);
    take_patch(&change);
    text = end_object(&change.clear);
    clear = read_object(text);
    if (clear)
      package_settings_json(place->package, clear, served, problems);
    else
      problems_add(problems, "settings", 0, 0, "the settings are nested too deeply");
  }
  yaml_node_free(plain);
  yaml_node_free(sealed);
  yaml_node_free(clear);
  mem_free(text);
  if (problems->count == before)
    *result = (GivenSettings){ end_object(&change.new_plain), end_object(&change.new_sealed) };
  buffer_free(&change.new_plain);
  buffer_free(&change.new_sealed);
  return problems->count == before ? 0 : UV_EINVAL;
}

// --- showing -------------------------------------------------------------------------------------

static void show_plain(const YamlNode *object, const Package *package, Buffer *json)
{
  size_t i;
  for (i = 0; object && i < object->count; i++) {
    const YamlNode *name = object->pairs[i].key, *value = object->pairs[i].value;
    if (package && !package_setting(package, name->text))
      continue;
    add_name(json, name);
    if (is_secret(package, name) && value->type != YAML_NULL)
      buffer_string(json, "\"" SECRET_MASK "\"");
    else
      yaml_to_json(value, json);
  }
}

static void close_object(Buffer *object, Buffer *out)
{
  char *text = end_object(object);
  buffer_string(out, text);
  mem_free(text);
}

void given_settings_show(const GivenSettings *given, const Package *package, Buffer *json)
{
  YamlNode *plain = read_object(given->plain), *sealed = read_object(given->sealed);
  Buffer object = { 0 };
  size_t i;
  show_plain(plain, package, &object);
  for (i = 0; sealed && i < sealed->count; i++) {
    if (package && !package_setting(package, sealed->pairs[i].key->text))
      continue;
    add_name(&object, sealed->pairs[i].key);
    buffer_string(&object, "\"" SECRET_MASK "\"");
  }
  close_object(&object, json);
  yaml_node_free(plain);
  yaml_node_free(sealed);
}

void config_settings_show(const YamlNode *settings, const Package *package, Buffer *json)
{
  Buffer object = { 0 };
  if (settings && settings->type == YAML_MAP && package) // else nobody knows what is secret
    show_plain(settings, package, &object);
  close_object(&object, json);
}

// --- sealing anew --------------------------------------------------------------------------------

int given_settings_reseal(const SettingsPlace *place, GivenSettings *given, Err *err)
{
  YamlNode *sealed = read_object(given->sealed);
  Buffer fresh = { 0 };
  size_t i;
  int rc = sealed ? 0 : err_set(err, UV_EINVAL, "the stored secrets are damaged");
  for (i = 0; rc == 0 && i < sealed->count; i++) {
    const YamlNode *name = sealed->pairs[i].key;
    Buffer json = { 0 };
    rc = unseal_value(place, name, sealed->pairs[i].value, &json, err);
    if (rc == 0) {
      add_name(&fresh, name);
      seal_value(place, name->text, (Span){ json.bytes, json.len }, &fresh);
    }
    buffer_free(&json);
  }
  if (rc == 0) {
    mem_free(given->sealed);
    given->sealed = end_object(&fresh);
  }
  buffer_free(&fresh);
  yaml_node_free(sealed);
  return rc;
}

// --- what handlers get ---------------------------------------------------------------------------

bool package_has_secrets(const Package *package)
{
  uint32_t i;
  for (i = 0; i < package->setting_count; i++) {
    if (package->settings[i].type == SETTING_SECRET)
      return true;
  }
  return false;
}

static void served_context(const char *hook_id, char *context, size_t size)
{
  snprintf(context, size, "served %s", hook_id);
}

void served_settings_seal(const Secrets *secrets, bool is_secret, const char *hook_id, Span served,
                          Buffer *out)
{
  char context[96];
  served_context(hook_id, context, sizeof context);
  if (is_secret)
    secrets_seal(secrets, context, served, out);
  else
    buffer_append(out, served.at, served.len);
}

int served_settings_open(Secrets *secrets, const char *hook_id, const char *text, Buffer *out,
                         Err *err)
{
  char context[96];
  served_context(hook_id, context, sizeof context);
  if (text[0] != '{')
    return secrets_unseal(secrets, context, span_of(text), out, err);
  buffer_string(out, text);
  return 0;
}
