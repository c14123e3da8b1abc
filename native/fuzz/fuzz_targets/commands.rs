//! Any stream of commands against a real reactor over socket pairs, with turns and peers' doings in between.
//!
//! What the input names is mapped, not taken: a descriptor of a command becomes a fresh socket (or a number that is
//! none), an id one of a few that are live, stale or invented. So every input is a life that a program could lead.
#![no_main]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use libfuzzer_sys::fuzz_target;
use tsloop_core::command::{Command, NOTIFY, RESET, Reader, TO_V4, TO_V6};
use tsloop_core::env::{Caller, Posted};
use tsloop_core::event::{Batch, Op, WORDS};
use tsloop_core::limits::DIRECT_STREAMS;
use tsloop_core::reactor::Reactor;
use tsloop_core::reactor::direct::Watch;
use tsloop_core::stream::requests::Lent;
use tsloop_core::table::{Id, Ids};

/// Small, so that batches fill up; more than the room below which the read loop waits for the next batch.
const BYTES: usize = 8 * 1024;
const EVENTS: usize = 6;
const COMMANDS: usize = 200;
/// What lent writes point to: it outlives everything.
static LENT: [u8; 40_000] = [7; 40_000];

/// What a loop watches itself, by place.
#[derive(Clone, Debug, Default)]
struct Watched(Arc<Mutex<[Option<RawFd>; DIRECT_STREAMS]>>);

impl Watch for Watched {
    fn watch(&self, place: usize, fd: RawFd) -> bool {
        let before = self.0.lock().expect("nobody panics with it")[place].replace(fd);
        assert!(before.is_none(), "watched once");
        true
    }

    fn forget(&self, place: usize) {
        let fd = self.0.lock().expect("nobody panics with it")[place].take().expect("only what is watched is forgotten");
        // SAFETY: asks about a number.
        assert!(unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0, "forgotten before it is closed");
    }
}

struct World {
    ids: Arc<Ids>,
    reactor: Reactor,
    batch: Batch,
    watched: Watched,
    in_rounds: bool,
    known: Vec<Id>,
    peers: Vec<UnixStream>,
    clients: Vec<TcpStream>,
    senders: Vec<UdpSocket>,
    /// Opened and not yet told to be closed.
    told: usize,
    asked: usize,
}

impl World {
    fn id(&self, named: Id) -> Id {
        if named.generation % 16 == 15 || self.known.is_empty() {
            return named;
        }
        self.known[named.slot as usize % self.known.len()]
    }

    fn ask(&mut self, op: i32, id: Id, a: i32, b: i32, bytes: &[u8], caller: Caller) {
        let mut stream: Vec<u8> = [op, id.slot.cast_signed(), id.generation.cast_signed(), a, b].iter().flat_map(|word| word.to_ne_bytes()).collect();
        stream.extend(bytes);
        stream.resize(stream.len().next_multiple_of(4), 0);
        self.reactor.carry_out(Posted::Commands(stream), caller);
    }

    fn socket(&mut self, named: i32) -> i32 {
        match named.rem_euclid(8) {
            0 => -1,
            1 => 1_000_000,
            2 => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                listener.set_nonblocking(true).expect("a flag");
                self.clients.extend(TcpStream::connect(listener.local_addr().expect("bound")).ok());
                listener.into_raw_fd()
            }
            _ => {
                let (ours, mut peer) = UnixStream::pair().expect("a pair");
                peer.set_nonblocking(true).expect("a flag");
                let _ = peer.write(&LENT[..named.unsigned_abs() as usize % 20_000]);
                self.peers.push(peer);
                OwnedFd::from(ours).into_raw_fd()
            }
        }
    }

    /// A socket that is connected to nobody, to a peer of ours or to one that is gone; or a number that is none.
    fn datagram_socket(&mut self, named: i32) -> i32 {
        let kind = named.rem_euclid(8);
        if kind < 2 {
            return self.socket(kind);
        }
        let host = if kind == 7 { "[::1]:0" } else { "127.0.0.1:0" };
        let (Ok(ours), Ok(peer)) = (UdpSocket::bind(host), UdpSocket::bind(host)) else { return -1 };
        ours.set_nonblocking(true).expect("a flag");
        peer.set_nonblocking(true).expect("a flag");
        let _ = peer.connect(ours.local_addr().expect("bound"));
        if kind > 3 {
            let _ = ours.connect(peer.local_addr().expect("bound"));
        }
        for _ in 0..named.unsigned_abs() % 100 {
            let _ = peer.send(&LENT[..named.unsigned_abs() as usize % 2_000]);
        }
        if kind != 5 {
            self.senders.push(peer);
        }
        ours.into_raw_fd()
    }

    /// The address of a peer of ours, or a port of this machine that is nobody's.
    fn somebody(&self, named: SocketAddr) -> SocketAddr {
        let at = named.port() as usize % (self.senders.len() + 1);
        let nobody = || if named.is_ipv6() { "[::1]:1" } else { "127.0.0.1:1" }.parse().expect("a literal");
        self.senders.get(at).and_then(|peer| peer.local_addr().ok()).unwrap_or_else(nobody)
    }

    /// As the inline driver's loop: looks at what it watches itself. True if a turn has to ask the kernel about the rest.
    fn poll(&mut self) -> bool {
        let watched = *self.watched.0.lock().expect("nobody panics with it");
        let mut asks = true;
        for (place, fd) in watched.into_iter().enumerate() {
            let mut entry = libc::pollfd { fd: fd.unwrap_or(-1), events: libc::POLLIN | libc::POLLRDHUP, revents: 0 };
            // SAFETY: one entry, a local.
            if unsafe { libc::poll(&raw mut entry, 1, 0) } > 0 {
                asks = !self.reactor.heard(place, entry.revents != libc::POLLIN);
            }
        }
        asks
    }

    fn turn(&mut self, with_batch: bool) {
        if !with_batch {
            self.reactor.take_all_back();
            self.reactor.turn(None);
            return;
        }
        self.batch.clear();
        // In rounds, as the inline driver does it, or at once, as the other.
        if self.reactor.goes_on() {
            self.reactor.next_round(&mut self.batch);
        } else if self.in_rounds {
            let asks = self.poll();
            self.reactor.first_round(&mut self.batch, asks);
        } else {
            self.reactor.take_all_back();
            self.reactor.turn(Some(&mut self.batch));
        }
        self.in_rounds = !self.in_rounds;
        for index in 0..self.batch.len() {
            let [op, _, _, a, b, _] = self.batch.record(index);
            assert!((Op::Data as i32..=Op::Exited as i32).contains(&op));
            if op == Op::Data as i32 {
                let end = usize::try_from(a).expect("an offset") + usize::try_from(b).expect("a length");
                assert!(b > 0 && end <= self.batch.bytes().len());
            } else if op == Op::Datagram4 as i32 || op == Op::Datagram6 as i32 {
                let header = if op == Op::Datagram6 as i32 { 20 } else { 0 };
                let end = usize::try_from(a).expect("an offset") + header + (b & 0xffff) as usize;
                assert!(end <= self.batch.bytes().len());
            } else if op == Op::Accept as i32 {
                self.known.push(Id { slot: a.cast_unsigned(), generation: b.cast_unsigned() });
            } else if op == Op::Closed as i32 {
                self.told += 1;
            }
        }
        assert!(self.told <= self.asked, "nothing is told closed that was not asked to");
    }

    fn apply(&mut self, id: Id, command: &Command<'_>) {
        let caller = if id.generation % 2 == 0 { Caller::Waits } else { Caller::Gone };
        let named = id;
        let id = self.id(named);
        match command {
            Command::OpenStream(fd, _) | Command::OpenListener(fd, _) | Command::OpenConnecting(fd) => {
                let op = match command {
                    Command::OpenStream(..) => 1,
                    Command::OpenListener(..) => 2,
                    _ => 3,
                };
                // An id that is taken opens nothing, and the descriptor stays its owner's: do not offer one.
                let id = self.ids.allocate();
                let fd = self.socket(*fd);
                self.known.push(id);
                self.ask(op, id, fd, 0, &[], caller);
            }
            Command::ReadStart(flags) => self.ask(4, id, 0, *flags, &[], caller),
            Command::ReadStop => self.ask(5, id, 0, 0, &[], caller),
            Command::TellAgain => self.ask(14, id, 0, 0, &[], caller),
            Command::Write(bytes, flags) if bytes.len() % 5 == 4 => {
                let length = bytes.len() * 997 % LENT.len();
                // SAFETY: a static.
                let lent = unsafe { Lent::new(NonNull::from(&LENT).cast(), length) };
                self.reactor.carry_out(Posted::WriteLent(id, lent, *flags), caller);
            }
            Command::Write(bytes, flags) => {
                let bytes = bytes.repeat(1 + named.generation as usize % 64);
                self.ask(6, id, i32::try_from(bytes.len()).expect("small"), *flags, &bytes, caller);
            }
            Command::Shutdown(flags) => self.ask(7, id, 0, *flags, &[], caller),
            Command::OpenDatagram(fd, flags) => {
                let id = self.ids.allocate();
                let fd = self.datagram_socket(*fd);
                self.known.push(id);
                self.ask(9, id, fd, *flags, &[], caller);
            }
            Command::Send(peer, bytes, flags) => {
                // To a socket of ours, or to nobody; never off this machine.
                let (head, to) = match peer.map(|peer| self.somebody(peer)) {
                    Some(SocketAddr::V4(peer)) => ([&peer.ip().octets()[..], &u32::from(peer.port()).to_ne_bytes()].concat(), TO_V4),
                    Some(SocketAddr::V6(peer)) => ([&peer.ip().octets()[..], &[0; 4], &u32::from(peer.port()).to_ne_bytes()].concat(), TO_V6),
                    None => (Vec::new(), 0),
                };
                for again in 0..1 + named.generation as usize % 80 {
                    let longer = &LENT[..if again % 7 == 6 { named.slot as usize % 3_000 } else { 0 }];
                    let bytes = [&head[..], bytes, longer].concat();
                    self.ask(10, id, i32::try_from(bytes.len()).expect("small"), (flags & NOTIFY) | to, &bytes, caller);
                }
            }
            Command::OpenProcess(fd) => {
                let id = self.ids.allocate();
                let fd = self.process(*fd);
                self.known.push(id);
                self.ask(13, id, fd, 0, &[], caller);
            }
            Command::Share => self.ask(11, id, 0, 0, &[], caller),
            Command::KeepBuffer => self.ask(12, id, 0, 0, &[], caller),
            Command::Close(heard, flags) => {
                self.asked += 1;
                self.ask(8, id, *heard, *flags, &[], caller);
            }
        }
        self.peer_acts(named);
        self.turn(named.generation % 3 != 0);
    }

    /// A process that does not end, nor is anybody's child here; or what is none.
    fn process(&mut self, named: i32) -> i32 {
        if named.rem_euclid(8) < 4 {
            return self.socket(named);
        }
        // SAFETY: a plain call, which makes a descriptor.
        i32::try_from(unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) }).expect("a number")
    }

    fn peer_acts(&mut self, by: Id) {
        match by.generation / 16 % 8 {
            6 => {
                for sender in &self.senders {
                    let _ = sender.send(&LENT[..by.slot as usize % 1_400]);
                }
            }
            7 => drop(self.senders.pop()),
            _ => {}
        }
        if self.peers.is_empty() {
            return;
        }
        let at = by.slot as usize / 8 % self.peers.len();
        match by.generation / 16 % 8 {
            0 => drop(self.peers.swap_remove(at)),
            1 => {
                let _ = self.peers[at].write(&LENT[..by.slot as usize % 30_000]);
            }
            2 | 3 => {
                let _ = self.peers[at].read(&mut [0; 10_000]);
            }
            4 => {
                let _ = self.peers[at].shutdown(std::net::Shutdown::Write);
            }
            5 => drop(self.clients.pop()),
            _ => {}
        }
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("linux").count()
}

fuzz_target!(
    init: {
        // As Node does: a write to a peer that is gone is an error, not the end of the process.
        // SAFETY: a plain call before any thread of ours runs.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    },
    |input: &[u8]| live(input)
);

/// One life of a reactor.
fn live(input: &[u8]) {
    let before = descriptors();
    let ids = Arc::new(Ids::default());
    let (mut reactor, waker) = Reactor::new(Arc::clone(&ids)).expect("descriptors");
    let (mut words, mut bytes) = (vec![0_i32; EVENTS * WORDS], vec![0_u8; BYTES]);
    // SAFETY: both outlive the world.
    let batch = unsafe { Batch::from_raw(0, NonNull::from(&mut words[..]).cast(), words.len(), NonNull::from(&mut bytes[..]).cast(), bytes.len()) };
    let watched = Watched::default();
    reactor.watch_with(Box::new(watched.clone()), true);
    let mut world = World { ids, reactor, batch, watched, in_rounds: false, known: Vec::new(), peers: Vec::new(), clients: Vec::new(), senders: Vec::new(), told: 0, asked: 0 };
    for command in Reader::new(input).take(COMMANDS) {
        let Ok((id, command)) = command else { break };
        world.apply(id, &command);
    }
    // The stream as it is, where no descriptor in it could be somebody else's.
    // Nor may a datagram leave for an address that the input names.
    let strays = |read| {
        use Command::{OpenConnecting, OpenDatagram, OpenListener, OpenProcess, OpenStream, Send};
        matches!(read, Ok((_, OpenStream(..) | OpenListener(..) | OpenConnecting(_) | OpenDatagram(..) | OpenProcess(_) | Send(Some(_), ..))))
    };
    if !Reader::new(input).any(strays) {
        world.asked += Reader::new(input).count();
        world.reactor.apply(input, Caller::Gone);
        world.turn(true);
    }
    for id in std::mem::take(&mut world.known) {
        world.asked += 1;
        world.ask(8, id, 0, RESET | NOTIFY, &[], Caller::Gone);
    }
    // What lingers ends with its peer.
    world.peers.clear();
    world.clients.clear();
    world.senders.clear();
    for _ in 0..10_000 {
        world.turn(true);
        for id in std::mem::take(&mut world.known) {
            world.asked += 1;
            world.ask(8, id, 0, RESET | NOTIFY, &[], Caller::Gone);
        }
        if world.reactor.open_streams() == 0 && world.reactor.datagrams_waiting().open == 0 && !world.reactor.is_due() {
            break;
        }
    }
    assert_eq!((world.reactor.open_streams(), world.reactor.lingering(), world.reactor.queued_bytes()), (0, 0, 0));
    let datagrams = world.reactor.datagrams_waiting();
    assert_eq!((datagrams.open, datagrams.arrived, datagrams.outbound), (0, 0, 0));
    assert!(!world.reactor.is_due(), "nothing spins");
    drop((world, waker));
    assert_eq!(descriptors(), before);
}
