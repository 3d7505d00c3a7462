// conversation.h: one client of the control socket: its requests, one after the other, until it leaves.
// Not here: who may connect and how many (control_server.h).
// Thread safety: one thread for one conversation.
#pragma once

#include <atomic>
#include <functional>

#include "fs/control/journal_calls.h"
#include "fs/control/line_socket.h"
#include "fs/control/protocol.h"
#include "fs/control/union_info.h"

namespace plyfs {

// What a request is answered from. All of it outlives the conversation.
struct ControlSource {
  JournalCalls& journal;
  const UnionInfo& info;
  const std::function<void(StatsReport*)>& session_stats;  // fills in threads and operations
  const std::atomic<bool>& stopping;  // ends a watch within a fraction of a second
};

// Answers until the client closes, takes too long or cannot be understood.
void Converse(LineSocket& socket, const ControlSource& source);

}  // namespace plyfs
