//! A JavaScript thread without JavaScript: memory for the batches, a loop that waits as libuv would, and commands.
#![allow(dead_code, unused_imports, reason = "every test file uses its own part")]

pub(crate) mod peers;
pub(crate) mod toy;

use std::collections::VecDeque;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tsloop_core::command::{NOTIFY, OPEN_STREAM};
use tsloop_core::env::{Applied, Caller, Environment, Posted};
use tsloop_core::event::{Batch, Op, WORDS};
use tsloop_core::limits::{BATCH_BYTES, BATCH_EVENTS, BATCHES, DIRECT_STREAMS};
use tsloop_core::net::tcp;
use tsloop_core::reactor::Reactor;
use tsloop_core::reactor::direct::Watch;
use tsloop_core::reactor::policy::{Load, Policy};
use tsloop_core::reactor::seat::{Choice, Driver};
use tsloop_core::stream::layer::Layer;
use tsloop_core::sys::Errno;
use tsloop_core::table::{Id, Ids};

pub(crate) use peers::{LAYERS, Over, Peer, reset};
pub(crate) use tsloop_core::command::op::{CLOSE, OPEN_CONNECTING, OPEN_LISTENER, READ_START, READ_STOP, SHARE, SHUTDOWN, WRITE};

/// Nothing on a loopback takes this long: whoever still waits then waits for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Both drivers, and the seat passing at random under two seeds.
pub(crate) const CHOICES: [Choice; 4] = [Choice::Fixed(Driver::Inline), Choice::Fixed(Driver::Offload), Choice::Random(0x5eed), Choice::Random(0xfeed_beef)];

/// One test at a time: they count the descriptors of the process.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("linux").count()
}

/// Runs a test under every driver, with the ledger around each run.
pub(crate) fn under_every_driver(test: impl Fn(&mut Loop, Choice)) {
    over(&[Over::Wire], test);
}

/// As [`under_every_driver`], with streams that are their own wire and with those that have a layer.
pub(crate) fn over_every_layer(test: impl Fn(&mut Loop, Choice)) {
    over(&LAYERS, test);
}

fn over(layers: &[Over], test: impl Fn(&mut Loop, Choice)) {
    let _alone = alone();
    for (over, choice) in layers.iter().flat_map(|over| CHOICES.map(|choice| (*over, choice))) {
        let before = descriptors();
        let mut tested = Loop::new(choice);
        tested.over = over;
        test(&mut tested, choice);
        drop(tested);
        assert_descriptors(before);
    }
}

/// The ledger: as many descriptors as before, at the latest when the runtime has dropped an ended term.
pub(crate) fn assert_descriptors(before: usize) {
    let deadline = Instant::now() + PATIENCE;
    while descriptors() != before {
        assert!(Instant::now() < deadline, "{} descriptors, {before} at the start", descriptors());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One record, with its bytes.
#[derive(Debug)]
pub(crate) struct Happened {
    pub(crate) op: i32,
    pub(crate) id: Id,
    pub(crate) a: i32,
    pub(crate) b: i32,
    pub(crate) c: i32,
    pub(crate) bytes: Vec<u8>,
}

impl Happened {
    pub(crate) fn is(&self, op: Op) -> bool {
        self.op == op as i32
    }

    /// The new connection of an accept.
    pub(crate) fn accepted(&self) -> Id {
        Id { slot: self.a.cast_unsigned(), generation: self.b.cast_unsigned() }
    }
}

/// Memory that a batch writes to; freed after the environment's end.
pub(crate) struct Memory(Vec<Region>, NonNull<[i32; 2]>);

/// Words and bytes of one batch.
type Region = (NonNull<[i32]>, NonNull<[u8]>);

impl Memory {
    pub(crate) fn new(batches: usize) -> Self {
        let leak = |_| {
            let (words, bytes) = (vec![0_i32; BATCH_EVENTS * WORDS].into_boxed_slice(), vec![0_u8; BATCH_BYTES].into_boxed_slice());
            (NonNull::from(Box::leak(words)), NonNull::from(Box::leak(bytes)))
        };
        Self((0..batches).map(leak).collect(), NonNull::from(Box::leak(Box::new([0; 2]))))
    }

    pub(crate) fn batches(&self) -> Vec<Batch> {
        let batch = |(index, (words, bytes)): (usize, &Region)| {
            // SAFETY: memory of ours, one batch each, freed only when this is dropped.
            unsafe { Batch::from_raw(u32::try_from(index).expect("small"), words.cast(), BATCH_EVENTS * WORDS, bytes.cast(), BATCH_BYTES) }
        };
        self.0.iter().enumerate().map(batch).collect()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for (words, bytes) in &self.0 {
            // SAFETY: leaked in `new`, and the environment has ended.
            unsafe { drop((Box::from_raw(words.as_ptr()), Box::from_raw(bytes.as_ptr()))) };
        }
        // SAFETY: see above.
        drop(unsafe { Box::from_raw(self.1.as_ptr()) });
    }
}

/// Descriptors that a loop watches itself, by place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched(Arc<Mutex<[Option<RawFd>; DIRECT_STREAMS]>>);

impl Watched {
    pub(crate) fn get(&self) -> [Option<RawFd>; DIRECT_STREAMS] {
        *self.0.lock().expect("nobody panics with it")
    }

    fn set(&self, place: usize, fd: Option<RawFd>) {
        let mut places = self.0.lock().expect("nobody panics with it");
        assert_ne!(places[place].is_some(), fd.is_some(), "watched once, and only what is watched is forgotten");
        places[place] = fd;
    }
}

impl Watch for Watched {
    fn watch(&self, place: usize, fd: RawFd) -> bool {
        self.set(place, Some(fd));
        true
    }

    fn forget(&self, place: usize) {
        let fd = self.get()[place].expect("watched");
        // SAFETY: asks about a number.
        assert!(unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0, "forgotten before it is closed");
        self.set(place, None);
    }
}

/// The loop of a JavaScript thread.
pub(crate) struct Loop {
    pub(crate) core: Arc<Environment>,
    /// What lies over the wire of its streams.
    pub(crate) over: Over,
    policy: Policy,
    wake: RawFd,
    more: bool,
    watched: Watched,
    /// A turn has to ask the kernel what is ready.
    asks: bool,
    outbox: Vec<u8>,
    batches: VecDeque<Happened>,
    _memory: Memory,
}

impl Loop {
    pub(crate) fn new(choice: Choice) -> Self {
        Self::with(choice, || ())
    }

    /// `on_wake` runs on the runtime's thread whenever it wakes this one.
    pub(crate) fn with(choice: Choice, on_wake: impl Fn() + Send + Sync + 'static) -> Self {
        // SAFETY: plain calls; the descriptor is ours and closed in `drop`.
        let wake = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        assert!(wake >= 0, "an eventfd");
        let memory = Memory::new(BATCHES);
        // SAFETY: three words, freed after `end`.
        let applied = unsafe { Applied::new(memory.1.cast()) };
        let send = move || {
            let one = 1_u64;
            // SAFETY: eight bytes of a local; a full counter is as good as a wake-up.
            unsafe { libc::write(wake, (&raw const one).cast(), 8) };
            on_wake();
        };
        let core = Environment::new(applied, memory.batches(), Box::new(send)).expect("an environment");
        let watched = Watched::default();
        core.watch_with(Box::new(watched.clone()), matches!(choice, Choice::Random(_)));
        let policy = Policy::new(choice);
        let mut this =
            Self { core, over: Over::Wire, policy, wake, more: false, watched, asks: true, outbox: Vec::new(), batches: VecDeque::new(), _memory: memory };
        let first = this.policy.first();
        this.pass(first);
        this
    }

    fn pass(&mut self, to: Driver) {
        assert_eq!(self.core.pass(to), to, "a thread can be had");
        self.more = true;
    }

    pub(crate) fn command(&mut self, op: i32, id: Id, a: i32, b: i32) {
        tsloop_core::command::append(&mut self.outbox, op, id, a, b);
    }

    /// Hands the commands over; the status of the last write.
    pub(crate) fn submit(&mut self) -> i32 {
        let (status, due) = self.core.submit(&std::mem::take(&mut self.outbox));
        self.more |= due;
        status
    }

    pub(crate) fn ask(&mut self, op: i32, id: Id, a: i32, b: i32) -> i32 {
        self.command(op, id, a, b);
        self.submit()
    }

    pub(crate) fn write(&mut self, id: Id, bytes: &[u8], flags: i32) -> i32 {
        self.command(WRITE, id, i32::try_from(bytes.len()).expect("small"), flags);
        self.outbox.extend(bytes);
        self.outbox.resize(self.outbox.len().next_multiple_of(4), 0);
        self.submit()
    }

    /// A descriptor under a new id.
    pub(crate) fn open(&mut self, op: i32, fd: OwnedFd) -> Id {
        let id = self.core.allocate();
        self.ask(op, id, fd.into_raw_fd(), 0);
        id
    }

    /// Puts a layer over a stream's wire, before anything is read or written.
    pub(crate) fn put_layer(&mut self, id: Id, layer: impl Layer + 'static) {
        let (_, due) = self.core.put_layer(id, Box::new(layer));
        self.more |= due;
    }

    /// The layer, if any, that goes with what a test runs over.
    pub(crate) fn dress(&mut self, id: Id) {
        if let Some(toy) = self.over.toy() {
            self.put_layer(id, toy);
        }
    }

    /// A listener on an ephemeral port.
    pub(crate) fn listen(&mut self) -> (Id, SocketAddr) {
        let mut slot = tcp::Slot(None);
        assert_eq!(tcp::bind(&mut slot, "127.0.0.1:0".parse().expect("a literal"), 0), Ok(0));
        tcp::listen(&mut slot, 511).expect("to listen");
        let fd = slot.0.expect("bound");
        let address = socket2::SockRef::from(&fd).local_addr().expect("bound").as_socket().expect("tcp");
        (self.open(OPEN_LISTENER, fd), address)
    }

    /// What one wait brings.
    pub(crate) fn next(&mut self) -> Option<Happened> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(happened) = self.batches.pop_front() {
                return Some(happened);
            }
            if Instant::now() > deadline {
                return None;
            }
            self.wait(100);
            self.deliver();
        }
    }

    /// Goes on until `done` says so; fails the test when nothing happens any more.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self, Happened) -> bool) {
        loop {
            let happened = self.next().unwrap_or_else(|| panic!("waited in vain: {what}"));
            if done(self, happened) {
                return;
            }
        }
    }

    /// Runs the loop for its side effects until a condition holds.
    pub(crate) fn run_until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            self.wait(5);
            self.deliver();
            self.batches.clear();
        }
    }

    fn wait(&mut self, timeout: i32) {
        let inline = self.core.driver() == Driver::Inline;
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut entries = vec![entry(self.wake), entry(if inline { self.core.descriptor() } else { -1 })];
        let direct = |fd: Option<RawFd>| libc::pollfd { events: libc::POLLIN | libc::POLLRDHUP, ..entry(fd.unwrap_or(-1)) };
        entries.extend(self.watched.get().map(direct));
        // SAFETY: so many entries, locals; then eight bytes into a local.
        unsafe {
            libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, if self.more { 0 } else { timeout });
            let mut count = 0_u64;
            libc::read(self.wake, (&raw mut count).cast(), 8);
        }
        let told = entries.drain(2..).enumerate().filter(|(_, entry)| entry.revents != 0);
        let mut alone: Vec<bool> = told.map(|(place, entry)| self.core.heard(place, entry.revents != libc::POLLIN)).collect();
        self.asks = alone.pop() != Some(true) || !alone.is_empty() || entries[1].revents != 0;
    }

    /// As `deliver` of the addon.
    fn deliver(&mut self) {
        let driver = self.core.driver();
        self.more = false;
        let mut load = Load::default();
        if let Some(batch) = self.core.take() {
            let events = u32::try_from(batch.len()).expect("small");
            load = Load::new(events, 0, events, 0);
            self.hand_over(batch);
            self.more = self.core.has_more();
        } else if driver == Driver::Inline {
            let mut round = self.core.inline_turn(std::mem::replace(&mut self.asks, true));
            while let Some((batch, turn)) = round {
                load = load.and(Load::new(turn.sockets, turn.datagrams, u32::try_from(batch.len()).expect("small"), 0));
                self.hand_over(batch);
                round = if turn.goes_on { self.core.inline_round() } else { None };
            }
        } else {
            self.more = self.core.has_more();
        }
        if !load.is_nothing() {
            let next = self.policy.next(driver, load, &self.core.clocks());
            if next != driver {
                self.pass(next);
            }
        }
        if self.core.driver() == Driver::Inline {
            self.more |= self.core.is_due();
        }
    }

    fn hand_over(&mut self, batch: Batch) {
        for index in 0..batch.len() {
            let [op, slot, generation, a, b, c] = batch.record(index);
            let mut bytes = Vec::new();
            if op == Op::Data as i32 {
                let at = usize::try_from(a).expect("an offset");
                bytes.extend(&batch.bytes()[at..at + usize::try_from(b).expect("a length")]);
            }
            let id = Id { slot: slot.cast_unsigned(), generation: generation.cast_unsigned() };
            self.batches.push_back(Happened { op, id, a, b, c, bytes });
        }
        self.core.give_back(batch);
    }

    /// Closes a socket and waits until that is done.
    pub(crate) fn close(&mut self, id: Id, flags: i32) {
        self.ask(CLOSE, id, 0, flags | NOTIFY);
        self.until("closed", |_, happened| happened.is(Op::Closed) && happened.id == id);
    }

    /// A connection: our end under its id, its descriptor, and the peer's end.
    pub(crate) fn connection(&mut self, receive_buffer: Option<usize>) -> (Id, RawFd, Peer<TcpStream>) {
        let (listener, address) = self.listen();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size).expect("a size");
        }
        socket.connect(&address.into()).expect("to connect");
        let peer = TcpStream::from(socket);
        peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut accepted = None;
        self.until("accepted", |_, happened| {
            accepted = Some((happened.accepted(), happened.c));
            happened.is(Op::Accept)
        });
        self.close(listener, 0);
        let (id, fd) = accepted.expect("accepted");
        self.dress(id);
        (id, fd, Peer::new(peer, self.over))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.core.end();
        // SAFETY: made in `with`; the core wakes nobody after its end.
        drop(unsafe { OwnedFd::from_raw_fd(self.wake) });
    }
}

/// A small send buffer, so that a test knows what fits.
pub(crate) fn shrink(fd: RawFd) {
    let size: libc::c_int = 4096;
    // SAFETY: a descriptor that the reactor holds, an option and a local of the size told.
    let result = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, (&raw const size).cast(), 4) };
    assert_eq!(result, 0);
}

pub(crate) fn read_all(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("an orderly end");
    all
}

/// Bytes that say to whom they belong and where they stand.
pub(crate) fn tagged(tag: u64, length: usize) -> Vec<u8> {
    let mut state = tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = tag.to_le_bytes().to_vec();
    while bytes.len() < length.max(8) {
        bytes.extend(next());
    }
    bytes.truncate(length.max(8));
    bytes
}

/// A non-blocking end of a pair, and the other.
pub(crate) fn pair() -> (OwnedFd, std::os::unix::net::UnixStream) {
    let (ours, peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("to set a flag");
    assert!(ours.as_raw_fd() >= 0);
    (OwnedFd::from(ours), peer)
}

/// A non-blocking end of a TCP connection, and the other.
pub(crate) fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("to connect");
    let (ours, _) = listener.accept().expect("it waits");
    ours.set_nonblocking(true).expect("a flag");
    (ours, peer)
}

/// A command as JavaScript encodes it.
pub(crate) fn encode(stream: &mut Vec<u8>, op: i32, id: Id, a: i32, b: i32, bytes: &[u8]) {
    tsloop_core::command::append(stream, op, id, a, b);
    stream.extend(bytes);
    stream.resize(stream.len().next_multiple_of(4), 0);
}

/// A reactor with one batch and no environment around it.
pub(crate) struct Bench {
    pub(crate) ids: Arc<Ids>,
    pub(crate) reactor: Reactor,
    pub(crate) batch: Batch,
    _memory: Memory,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let ids = Arc::new(Ids::default());
        let (reactor, _) = Reactor::new(Arc::clone(&ids)).expect("descriptors");
        let memory = Memory::new(1);
        let batch = memory.batches().pop().expect("one");
        Self { ids, reactor, batch, _memory: memory }
    }

    /// One command, applied at once; its status.
    pub(crate) fn ask(&mut self, op: i32, id: Id, a: i32, b: i32, bytes: &[u8]) -> i32 {
        let mut stream = Vec::new();
        encode(&mut stream, op, id, a, b, bytes);
        self.reactor.apply(&stream, Caller::Waits)
    }

    /// Puts a layer over a stream's wire.
    pub(crate) fn put_layer(&mut self, id: Id, layer: impl Layer + 'static) {
        self.reactor.carry_out(Posted::Layer(id, Box::new(layer)), Caller::Waits);
    }

    /// A socket under a new id.
    pub(crate) fn open(&mut self, op: i32, fd: impl Into<OwnedFd>) -> Id {
        let id = self.ids.allocate();
        self.ask(op, id, fd.into().into_raw_fd(), 0, &[]);
        id
    }

    /// What is in the batch, as (op, id, a).
    pub(crate) fn told(&self) -> Vec<(i32, Id, i32)> {
        let record = |index| {
            let [op, slot, generation, a, ..] = self.batch.record(index);
            (op, Id { slot: slot.cast_unsigned(), generation: generation.cast_unsigned() }, a)
        };
        (0..self.batch.len()).map(record).collect()
    }

    /// A turn of the inline driver, all rounds of it, which asks the kernel or not; what it told.
    pub(crate) fn inline_turn(&mut self, asks: bool) -> Vec<(i32, Id, i32)> {
        self.batch.clear();
        self.reactor.first_round(&mut self.batch, asks);
        while self.reactor.goes_on() {
            self.reactor.next_round(&mut self.batch);
        }
        self.told().into_iter().filter(|(op, ..)| *op != Op::Pressure as i32).map(|(op, id, _)| (op, id, 0)).collect()
    }

    /// A batch with room for so many bytes.
    pub(crate) fn narrow(&mut self, room: usize) {
        self.batch.clear();
        self.batch.advance(BATCH_BYTES - room);
    }

    /// What the reactor's descriptor has to tell now.
    pub(crate) fn rings(&self) -> bool {
        let mut entry = libc::pollfd { fd: self.reactor.descriptor(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry of ours.
        unsafe { libc::poll(&raw mut entry, 1, 0) == 1 }
    }

    /// A stream that reads, and its peer.
    pub(crate) fn reader(&mut self) -> (Id, std::os::unix::net::UnixStream) {
        let (ours, peer) = pair();
        let id = self.open(OPEN_STREAM, ours);
        self.ask(READ_START, id, 0, 0, &[]);
        (id, peer)
    }
}
