/* file_name.h - what lies in a directory of sessions (floor 3).
**
**   {encoded id}.json                        a session
**   {encoded id}.json.corrupt-{time}-{hex4}  one that was put aside
**   .tmp-{slot}-{random}                     one that is being written, each
**                                            16 lower-case hex digits
**   .lock                                    see file_claim.h
**
** Anything else is none of ours and stays as it is. An encoded id never
** begins with a dot.
*/
#ifndef FILE_NAME_H
#define FILE_NAME_H

#include <sys/stat.h>

#include "da_session_id.h"
#include "file_dir.h"

#define DA_FILE_NAME_SIZE (DA_SESSION_ID_MAX + sizeof ".json")
#define DA_FILE_TEMP_SIZE sizeof ".tmp-0123456789abcdef-0123456789abcdef"
#define DA_FILE_ASIDE_SIZE                                                    \
  (DA_FILE_NAME_SIZE + sizeof ".corrupt-20261122T093000Z-0123")

/* The file of an id; DA_EID if there can be none. */
int da_file_name(char *name, const char *id, da_err *err);

/* 1 and the id with its length, if `name` is a session's file. */
int da_file_name_id(const char *name, char *id, size_t *len);

/* A name of a temporary file for the session with this slot, another one
** each time. */
void da_file_temp(char *temp, uint64_t slot);

/* 1 and the slot, if `name` is a temporary file's. */
int da_file_temp_slot(const char *name, uint64_t *slot);

/* A name to put `name` aside under, another one each time. */
void da_file_aside(char *aside, const char *name);

/* 1, with the name of the session's file and the time (seconds since 1970), if
** `aside` is the name of one that was put aside. */
int da_file_aside_of(const char *aside, char *name, double *time);

/* The revision of what *st describes: inode, size and time of change. */
void da_file_revision(da_revision *r, const struct stat *st);

/* *st of `name` in `dir`: DA_OK after the same check, DA_ENOTFOUND, or why
** it cannot be told. */
int da_file_stat(struct stat *st, const da_file_store *f, int dir,
                 const char *name, da_err *err);

#endif
