//! Counters of one environment. Written under the reactor's lock, read for `stats()`.

/// What each number means stands beside it; all count since start or since `resetStats()`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Connections that listeners accepted.
    pub accepted: u64,
    /// Connection attempts that succeeded.
    pub connected: u64,
    /// Bytes received from peers.
    pub received: u64,
    /// Bytes the kernel took from us.
    pub sent: u64,
    /// Turns run by the inline driver.
    pub inline_turns: u64,
    /// Those of them that the loop's own watch over a stream brought about.
    pub direct_turns: u64,
    /// Turns run by the offload driver.
    pub offload_turns: u64,
    /// Connections that were accepted and shed because descriptors had run out.
    pub shed: u64,
    /// Times that accepting failed for another reason (no memory, say) and was put off to the next turn.
    pub accept_failures: u64,
    /// Times a connection's reading waited because JavaScript was behind.
    pub read_stalls: u64,
    /// Panics caught in a turn; each failed what it was working on.
    pub panics: u64,
    /// Datagrams received from the kernel.
    pub datagrams_received: u64,
    /// Datagrams that the kernel took.
    pub datagrams_sent: u64,
    /// Datagrams that counted as sent and were refused, or left behind at close.
    pub datagrams_failed: u64,
    /// Datagrams that the kernel dropped at sockets that are closed; those that are open are asked.
    pub datagrams_dropped: u64,
    /// Children that started.
    pub spawned: u64,
    /// Times that the seat has passed from one driver to the other.
    pub seat_changes: u64,
}

/// What there is of each kind now; nothing is looked through for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Present {
    /// Open streams and attempts, listeners excluded.
    pub streams: usize,
    /// Datagram sockets.
    pub datagrams: usize,
    /// Children whose end has not been seen yet.
    pub children: usize,
    /// Bytes queued for writing.
    pub queued: usize,
    /// Sockets given up of which acknowledged bytes or messages still leave.
    pub lingering: u32,
}
