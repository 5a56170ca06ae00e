/* da_journal.h - turns that are not finished, as a session's metadata keeps
** them (floor 2): a JSON array, oldest first, of
**   {"id":"<of its first message>","begun":n,"messages":["<stored line>", ...]}
** where n of the calls of the last answer may have been made, and the lines are strings, so that they survive to the byte also a store
** that takes metadata apart. The text is what is worked on: what is in it and
** we do not understand stays as it is. An empty text is an empty journal.
*/
#ifndef DA_JOURNAL_H
#define DA_JOURNAL_H

#include "da_history.h"

/* Puts the turn, which is not empty, behind all others; what there was with
** its id goes. DA_OK, or DA_ENOMEM or DA_ETOOLARGE, and then nothing has
** changed. */
int da_journal_set(da_buf *journal, const da_history *turn, size_t begun);

/* Puts the turn in the place of the last one, from which it was read: by then
** it has an id, that of its first message, whatever there was before. */
int da_journal_adopt(da_buf *journal, const da_history *turn, size_t begun);

/* Takes a turn out; 1 if it was there. Needs no memory. */
int da_journal_drop(da_buf *journal, da_text id);

/* Takes out the turn that was begun last, whatever is in it. DA_ENOTFOUND.
** Needs no memory. */
int da_journal_pop(da_buf *journal, da_err *err);

/* Takes out the oldest, but for `most` (> 0) of them: how many. Needs no
** memory. */
size_t da_journal_trim(da_buf *journal, size_t most);

/* The messages of the turn that was begun last; *begun is SIZE_MAX where it
** does not tell. DA_ENOTFOUND: there is none. DA_ECORRUPT: it has something
** that is no message. */
int da_journal_last(da_text journal, da_history *turn, size_t *begun,
                    da_err *err);

/* Appends `theirs` with what has changed from `base` to `ours`: what one of
** them has taken out is out; where both have gone on, ours counts. */
int da_journal_merge(da_buf *out, da_text base, da_text ours, da_text theirs);

#endif
