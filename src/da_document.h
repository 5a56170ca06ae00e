/* da_document.h - a session as one JSON document (floor 2).
**
** What the file backend keeps, one message a line:
** {
**   "version": 1,
**   "id": "user-alice",
**   "metadata": {...},
**   "messages": [
**     {"id":"...","created_at":...,"role":"user","content":"Hi"},
**     ...
**   ],
**   "checksum": "<length>:<xxh64>"
** }
** The checksum covers all that stands before its line, and tells a fault of
** the storage (same length, other bytes) from an edit by hand (another
** length), which is accepted.
*/
#ifndef DA_DOCUMENT_H
#define DA_DOCUMENT_H

#include "da_history.h"

#define DA_DOCUMENT_VERSION 1

/* A document ready to be written: pieces of the messages' own texts, not
** copied, and a head and tail of its own. */
typedef struct da_document {
  da_text *pieces;
  size_t count;
  size_t bytes; /* sum of the pieces */
  da_buf frame; /* head and tail */
} da_document;

/* The history and `meta` (a JSON object) must live as long as *doc. */
int da_document_build(da_document *doc, const char *id, da_text meta,
                      const da_history *history, da_err *err);
void da_document_dispose(da_document *doc);

/* Reads a document, one of ours or the Go peer's bare array. `bytes` (from
** malloc) is taken, also upon failure. *history must be empty, *meta
** initialised; both are filled only upon DA_OK. `id` is what the document
** must call itself, if it does. DA_ECORRUPT, DA_EVERSION, DA_ETOOLARGE or
** DA_ENOMEM. */
int da_document_parse(da_history *history, da_buf *meta, const char *id,
                      char *bytes, size_t len, da_err *err);

/* ---- what a damaged one still holds ---- */

typedef struct da_dropped {
  size_t offset, bytes; /* within the document */
} da_dropped;

typedef struct da_salvage {
  da_history history;  /* the messages that are whole, in their order */
  da_buf meta;         /* a JSON object, or empty */
  da_dropped *dropped; /* in order, apart from each other */
  size_t dropped_count;
  size_t dropped_room;
  size_t doubles; /* messages that stood there more than once */
} da_salvage;

/* Of more dropped places than that, those at the end are one, which then
** holds also what is whole between them. */
#define DA_DROPPED_MAX 10000

void da_salvage_init(da_salvage *s);
void da_salvage_dispose(da_salvage *s);

/* One more dropped place, behind the others: DA_OK or DA_ENOMEM. */
int da_salvage_drop(da_salvage *s, size_t offset, size_t bytes);

/* *out must be fresh from init. The checksum is not looked at: of which
** message it speaks, it does not tell. What looks like messages again and
** again and is none costs no more than some readings of the whole; what comes
** after that is dropped. DA_OK, DA_ENOMEM or DA_ETOOLARGE. */
int da_document_salvage(da_salvage *out, const char *bytes, size_t len,
                        da_err *err);

#endif
