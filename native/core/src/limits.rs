//! Every cap of the core: the number, its unit and why this number. `docs/limits.md` lists the same names.

/// Batches per environment. Four: one that JavaScript reads, one that the reactor fills, two in between so that
/// neither side waits for the other; more only adds latency and memory.
pub const BATCHES: usize = 4;

/// Bytes of received data in one batch. 128 KiB keeps a batch inside the second-level cache, and with
/// [`BATCHES`] bounds what is in flight through batches to 512 KiB for all connections together.
pub const BATCH_BYTES: usize = 128 * 1024;

/// Events in one batch; 2,048 records of [`crate::event::WORDS`] words are 48 KiB.
pub const BATCH_EVENTS: usize = 2048;

/// Largest chunk handed to JavaScript, bytes. Node's own streams read at most 64 KiB at a time and its
/// users' high-water marks are set against that.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Lent blocks of [`CHUNK_BYTES`] per environment for reads that move without a copy: with 8 of them 512 KiB are
/// in flight; together with the batches 1 MiB is the most that one connection, or all, can have under way.
pub const BLOCKS: usize = 8;

/// A read that brings at least this many bytes makes the next one go to a lent block. Half a block: what receivers
/// keep alive is then at most twice what they got, and smaller chunks are copied cheaper than blocks are lent.
pub const LARGE_CHUNK: usize = CHUNK_BYTES / 2;

/// Bytes that may wait for JavaScript before the offload driver stops reading until some are taken. One chunk: with
/// more the kernel would only be asked sooner for smaller pieces; JavaScript finds the next batch filled while it
/// works on the one before.
pub const READ_AHEAD: usize = CHUNK_BYTES;

/// Bytes that one connection may read in one turn of the offload driver before others get theirs. One chunk: what is taken from the
/// kernel for a program that pauses at the first one waits in JavaScript, and its peer is not held back.
pub const TURN_BYTES: usize = CHUNK_BYTES;

/// Whole chunks that JavaScript gets from the inline driver in one turn of the loop, 1 MiB: the price of a turn has vanished
/// by then, and timers and other connections wait for a millisecond or two. libuv reads 32 of each connection.
pub const TURN_ROUNDS: u32 = 16;

/// Streams that the inline driver's loop watches itself. Two: beyond that a turn that serves several at once is cheaper.
pub const DIRECT_STREAMS: usize = 2;

/// Turns that a stream has for itself before the loop watches it: to change who watches costs as much as is saved in three or
/// four turns.
pub const DIRECT_AFTER: u32 = 32;

/// Connections accepted from one listener in one turn, where the program has time for so many (`reactor/admission.rs`).
pub const TURN_ACCEPTS: usize = 64;

/// Readiness events taken from the kernel at once.
pub const POLL_EVENTS: usize = 256;

/// Chunks handed to one `writev`: the kernel's own bound is 1,024; beyond 64 the gain is nil.
pub const WRITE_IOVECS: usize = 64;

/// Bytes that a stream's layer seals ahead of the kernel, and bytes of its own that it may owe a peer which goes on asking without
/// taking them, before no more is read. One chunk: what is sealed cannot be taken back when the socket closes, and what
/// is not lies in JavaScript's memory, where it is counted.
pub const SEALED_AHEAD: usize = CHUNK_BYTES;

/// Bytes of memory that the outlet of a connection keeps when all of it has left: enough for most answers; more would be held by
/// every idle connection.
pub const OUTLET_KEPT_BYTES: usize = 2 * 1024;

/// Layers of one environment that may be away for their work at a time. What comes on top waits for its turn, unread: the pool
/// serves all environments of a process, in the order in which they come.
pub const LAYER_JOBS: usize = 64;

/// Copies of large writes whose memory is kept for the next ones: 1 MiB, as much as eight connections can have under
/// way that count as written.
pub const SPARE_COPIES: usize = 16;

/// Bytes of commands that may wait for the offload driver before a write is no longer acknowledged early.
pub const INBOX_BYTES: usize = 8 * 1024 * 1024;

/// Milliseconds that process exit waits for acknowledged bytes which the kernel does not take at once.
pub const EXIT_FLUSH_MS: u64 = 1_000;

/// Milliseconds between two tries at exit of what the kernel says that it takes and does not: one, as a device's queue empties
/// in less, and a thousand tries in that second cost nothing.
pub const EXIT_PAUSE_MS: u64 = 1;

/// Milliseconds that acknowledged bytes of a closed connection may wait for a peer that does not read, from the last byte
/// that it took on: about what a kernel gives an orphan.
pub const LINGER_MS: u32 = 60_000;

/// Turns in a row in which the offload driver got nothing done before it takes something to be wrong and pauses: some are usual
/// (a peer that takes what a unix-domain socket has sent is heard of each time), hundreds are not.
pub const IDLE_TURNS: u32 = 256;

/// Milliseconds of that pause: a driver whose every turn comes to nothing then takes less than a hundredth of a processor.
pub const IDLE_PAUSE_MS: u64 = 1;

/// Datagrams taken from the kernel by one call: enough to make the call's own price vanish; the memory for them is
/// two megabytes, of which pages that no large datagram touched are never there.
pub const RECEIVE_MESSAGES: usize = 32;

/// Datagrams, or groups of them that the kernel cuts apart, handed to it by one call; its own bound is 1,024.
pub const SEND_MESSAGES: usize = 32;

/// Datagrams in one group that the kernel cuts apart: its own bound (`UDP_MAX_SEGMENTS`) was 64 until Linux 6.9.
pub const GROUP_DATAGRAMS: usize = 64;

/// Largest datagram that travels in a group. What the kernel cuts must fit the route's frames, and this fits every
/// Ethernet, tunnels included; larger ones gain little.
pub const GROUP_DATAGRAM_BYTES: usize = 1_200;

/// Bytes in one group, headers included no more than one packet of the internet protocol.
pub const GROUP_BYTES: usize = 60_000;

/// Datagrams that one socket may receive in one turn before others get theirs.
pub const TURN_DATAGRAMS: usize = 512;

/// Bytes of datagrams, with [`DATAGRAM_OVERHEAD`] for each, that wait for JavaScript per socket: half a second of
/// 100,000 small ones and as much again. What comes after stays with the kernel, which drops the newest.
pub const DATAGRAM_QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// As [`DATAGRAM_QUEUE_BYTES`], for all sockets of an environment.
pub const DATAGRAMS_QUEUE_BYTES: usize = 32 * 1024 * 1024;

/// What a datagram that waits costs besides its bytes: its length and its peer.
pub const DATAGRAM_OVERHEAD: usize = 48;

/// Milliseconds that datagrams which count as sent, and which the kernel did not take when their socket was closed, have to
/// leave: its buffer empties at the speed of the network, so this is long for any that works. Nobody waits for them.
pub const CLOSE_FLUSH_MS: u64 = 100;

/// Milliseconds after which datagrams that found a device's queue full (`ENOBUFS`) are tried again: nobody is told when it has
/// room. A thousand packets, the usual queue, leave in 12 ms at a gigabit a second.
pub const SEND_RETRY_MS: u64 = 10;

/// Bytes that the kernel is asked to hold for a socket once datagrams come in crowds (it grants no more than
/// `net.core.rmem_max`, and doubles what it grants for its own use): its usual buffer is full after 270 small ones, which
/// is less than a thread may have to wait for a processor.
pub const KERNEL_BUFFER_BYTES: i32 = 2 * 1024 * 1024;

/// Microseconds that the offload driver lets datagrams gather in the kernel while they come fast and JavaScript asks
/// for nothing: each wake-up then serves dozens.
pub const GATHER_MICROS: u64 = 100;

/// Datagrams in one turn from which on they come fast.
pub const GATHER_FROM: u32 = 2;

/// Turns in which datagrams came fast, less four for each in which they did not, until they are let gather.
pub const GATHER_AFTER: u32 = 16;

/// Milliseconds without anything but datagrams until they are let gather: a connection that asked this recently may ask again,
/// and the time would be added to its answer.
pub const GATHER_ALONE_MS: u64 = 100;

/// Bytes of stack for a child until it is another program: it calls the kernel, a few calls deep, and holds nothing on it
/// that grows with what it was asked for. Small enough to be taken from the heap without asking the kernel.
pub const SPAWN_STACK_BYTES: usize = 64 * 1024;

/// Bytes of a ClientHello that are held until it is whole: with shares of ML-KEM and a ticket it has 3,000. What is larger is
/// left to OpenSSL, which takes up to 128 KB.
pub const HELLO_BYTES: usize = 16 * 1024;

/// Records that a ClientHello may come in: one, or a few where a box on the way splits them. Bounds what their headers add to
/// [`HELLO_BYTES`].
pub const HELLO_RECORDS: usize = 64;
