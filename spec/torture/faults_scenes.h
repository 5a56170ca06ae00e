/* faults_scenes.h - what the file store does while calls fail, and on what
** stage. */
#ifndef FAULTS_SCENES_H
#define FAULTS_SCENES_H

#include "faults.h"

#include "../c/store_kit.h"
#include "file_claim.h"
#include "file_name.h"

static const char old_text[] = "the old state", new_text[] = "the new one",
                  next_text[] = "the next", other_text[] = "of another";

/* One case: where it happens, and what is there before and after. */
static char root[PATH_MAX], dir[PATH_MAX], kept[PATH_MAX];
static da_store *store;
static da_revision seen, now, none;
static da_err err;

/* ---- scenes ---- */

enum { DURABLE = 1, FRESH = 2, VACANT = 4 };

typedef struct scene {
  const char *name;
  int flags; /* DURABLE; FRESH: the store has not opened its directory;
             ** VACANT: there is nothing yet */
  int world; /* FAULTS_NO_... */
  void (*before)(void); /* NULL, or what else is to be there */
  int (*act)(void);     /* what is done while calls fail */
  int want;             /* what it answers where nothing does */
  const char *was, *is; /* "a" before and after; NULL: not there */
} scene;

static int save(void) {
  now = seen;
  return kit_save(store, "a", new_text, &seen, &now, &err);
}

static int save_blind(void) {
  return kit_save(store, "a", new_text, NULL, &now, &err);
}

static int save_under_umask(void) {
  mode_t before = umask(0777);
  int code = save();
  umask(before);
  return code;
}

static int load(void) {
  char *text = kit_load(store, "a", &now, &err);
  int code = text ? DA_OK : err.code;
  if (text && strcmp(text, old_text) != 0)
    code = DA_ECORRUPT;
  free(text);
  now = none;
  return code;
}

static int erase(void) {
  return store->ops->remove(store, "a", &err);
}

static int quarantine(void) {
  kept[0] = '\0';
  return store->ops->quarantine(store, "a", &seen, kept, sizeof kept, &err);
}

static char aside[DA_FILE_ASIDE_SIZE]; /* the name of what was put aside */

static int note_aside(da_quarantine_list *list, const da_quarantined *q) {
  (void)list;
  CHECK(q->name.len < sizeof aside && q->id.len == 1 && *q->id.data == 'a');
  memcpy(aside, q->name.data, q->name.len);
  aside[q->name.len] = '\0';
  return DA_OK;
}

/* Whole lists only. */
static int quarantined(void) {
  da_quarantine_list list = {note_aside};
  int code;
  aside[0] = '\0';
  code = store->ops->quarantined(store, "a", &list, &err);
  return code == DA_OK && !aside[0] ? DA_ECORRUPT : code;
}

static int load_quarantined(void) {
  kit_text t = {{NULL, NULL, kit_document}, NULL, 0};
  int code = store->ops->load_quarantined(store, aside, &t.base, &err);
  if (code == DA_OK && strcmp(t.bytes, old_text) != 0)
    code = DA_ECORRUPT;
  free(t.bytes);
  return code;
}

static int restore(void) {
  return store->ops->restore(store, aside, &err);
}

static kit_names names;

static int list(void) {
  memset(&names, 0, sizeof names);
  names.base.id = kit_id;
  return store->ops->list(store, &names.base, &err);
}

/* Whole lists only: both ids and nothing else. */
static int list_both(void) {
  int code = list();
  if (code == DA_OK && (names.count != 2 || !kit_listed(&names, "a") ||
                        !kit_listed(&names, "b")))
    return DA_ECORRUPT;
  return code;
}

static int list_none(void) {
  int code = list();
  return code == DA_OK && names.count ? DA_ECORRUPT : code;
}

/* ---- what else is there ---- */

static void dead_writers(void) {
  static const char *const of[] = {"a", "c"};
  for (size_t i = 0; i < 2; i++) {
    char name[DA_FILE_NAME_SIZE], temp[DA_FILE_TEMP_SIZE];
    CHECK_INT(da_file_name(name, of[i], &err), DA_OK);
    da_file_temp(temp, da_file_slot(name));
    kit_write(dir, temp, "half of it");
  }
}

static void other_writer(void) {
  da_store *other = kit_store(dir, 0);
  da_revision theirs;
  CHECK_INT(kit_save(other, "a", other_text, NULL, &theirs, &err), DA_OK);
  kit_close(other);
}

/* By another store: this one may not have opened its directory yet. */
static void one_aside(void) {
  da_store *other = kit_store(dir, 0);
  CHECK_INT(other->ops->quarantine(other, "a", &seen, kept, sizeof kept, &err),
            DA_OK);
  CHECK_INT(quarantined(), DA_OK);
  kit_close(other);
}

static void one_aside_and_another(void) {
  one_aside();
  other_writer();
}

static void lock_lost(void) {
  CHECK(unlink(kit_path(dir, ".lock")) == 0);
}

static void directory_lost(void) {
  kit_rm(dir);
}

static void unreadable_parent(void) {
  CHECK(chmod(root, 0300) == 0);
}

static const scene scenes[] = {
    {"first save", DURABLE | FRESH | VACANT, 0, NULL, save, 0, NULL, new_text},
    {"first save, not durable", FRESH | VACANT, 0, NULL, save, 0, NULL,
     new_text},
    {"first save below a directory that cannot be read",
     DURABLE | FRESH | VACANT, 0, unreadable_parent, save, 0, NULL, new_text},
    {"first save with umask 0777", DURABLE | FRESH | VACANT, 0, NULL,
     save_under_umask, 0, NULL, new_text},
    {"save over another", DURABLE, 0, NULL, save, 0, old_text, new_text},
    {"save over another, not durable", 0, 0, NULL, save, 0, old_text,
     new_text},
    {"save over another with umask 0777", DURABLE, 0, NULL, save_under_umask,
     0, old_text, new_text},
    {"save over another, directory not open", DURABLE | FRESH, 0, NULL, save,
     0, old_text, new_text},
    {"save beside dead writers' files", DURABLE | FRESH, 0, dead_writers, save,
     0, old_text, new_text},
    {"save beside dead writers' files of no type", DURABLE | FRESH,
     FAULTS_NO_TYPES, dead_writers, save, 0, old_text, new_text},
    {"save after the lock file was lost", DURABLE, 0, lock_lost, save, 0,
     old_text, new_text},
    {"save after the directory was lost", DURABLE, 0, directory_lost,
     save_blind, 0, NULL, new_text},
    {"conflict", DURABLE, 0, other_writer, save, DA_ECONFLICT, other_text,
     other_text},
    {"load", DURABLE | FRESH, 0, NULL, load, 0, old_text, old_text},
    {"load what is not there", DURABLE | FRESH | VACANT, 0, NULL, load,
     DA_ENOTFOUND, NULL, NULL},
    {"delete", DURABLE, 0, NULL, erase, 0, old_text, NULL},
    {"delete, directory not open", FRESH, 0, NULL, erase, 0, old_text, NULL},
    {"delete what is not there", DURABLE | FRESH | VACANT, 0, NULL, erase,
     DA_ENOTFOUND, NULL, NULL},
    {"quarantine", DURABLE | FRESH, 0, NULL, quarantine, 0, old_text, NULL},
    {"quarantine without RENAME_NOREPLACE", DURABLE, FAULTS_NO_RENAME2, NULL,
     quarantine, 0, old_text, NULL},
    {"list the quarantine", DURABLE | FRESH, 0, one_aside, quarantined, 0,
     NULL, NULL},
    {"list the quarantine, of no type", 0, FAULTS_NO_TYPES, one_aside,
     quarantined, 0, NULL, NULL},
    {"load from the quarantine", DURABLE | FRESH, 0, one_aside,
     load_quarantined, 0, NULL, NULL},
    {"restore", DURABLE | FRESH, 0, one_aside, restore, 0, NULL, old_text},
    {"restore without RENAME_NOREPLACE", 0, FAULTS_NO_RENAME2, one_aside,
     restore, 0, NULL, old_text},
    {"restore in the place of another", DURABLE, 0, one_aside_and_another,
     restore, 0, other_text, old_text},
    {"restore without RENAME_EXCHANGE", 0, FAULTS_NO_RENAME2,
     one_aside_and_another, restore, DA_EUNSUPPORTED, other_text, other_text},
    {"list", DURABLE | FRESH, 0, NULL, list_both, 0, old_text, old_text},
    {"list entries of no type", DURABLE | FRESH, FAULTS_NO_TYPES, NULL,
     list_both, 0, old_text, old_text},
    {"list nothing", DURABLE | FRESH | VACANT, 0, NULL, list_none, 0, NULL,
     NULL},
};

static void open_store(const scene *s) {
  store = kit_store(dir, s->flags & DURABLE);
  ((da_file_store *)store)->patience = 0.0005;
}

static void set_stage(const scene *s) {
  faults_world = s->world;
  seen = now = none;
  kit_dir(root);
  snprintf(dir, sizeof dir, "%s", kit_path(root, "p/s"));
  open_store(s);
  if (!(s->flags & VACANT)) {
    CHECK_INT(kit_save(store, "a", old_text, &none, &seen, &err), DA_OK);
    CHECK_INT(kit_save(store, "b", other_text, NULL, &now, &err), DA_OK);
  }
  if (s->flags & FRESH) {
    kit_close(store);
    open_store(s);
  }
  if (s->before)
    s->before();
  now = none;
}

#endif
