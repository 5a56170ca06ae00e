/* da_go_peer.h - messages as the Go peer stores them (floor 2): its struct's
** field names, capitalised. */
#ifndef DA_GO_PEER_H
#define DA_GO_PEER_H

#include "da_message.h"

/* {"Role":"user","Content":"Hi","ToolCalls":null,"ToolCallID":""} as a
** message of ours. DA_EINVAL if it is nothing of the kind. */
int da_go_message(da_message **out, da_text json, da_err *err);

#endif
