//! Any stream of commands against a real reactor over socket pairs, with turns and peers' doings in between.
//!
//! What the input names is mapped, not taken: a descriptor of a command becomes a fresh socket (or a number that is
//! none), an id one of a few that are live, stale or invented. So every input is a life that a program could lead.
#![no_main]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tsloop_core::command::{Command, NOTIFY, RESET, Reader};
use tsloop_core::env::{Caller, Request};
use tsloop_core::event::{Batch, Op, WORDS};
use tsloop_core::reactor::Reactor;
use tsloop_core::stream::write::Lent;
use tsloop_core::table::{Id, Ids};

/// Small, so that batches fill up; more than the room below which the read loop waits for the next batch.
const BYTES: usize = 8 * 1024;
const EVENTS: usize = 6;
const COMMANDS: usize = 200;
/// What lent writes point to: it outlives everything.
static LENT: [u8; 40_000] = [7; 40_000];

struct World {
    ids: Arc<Ids>,
    reactor: Reactor,
    batch: Batch,
    known: Vec<Id>,
    peers: Vec<UnixStream>,
    clients: Vec<TcpStream>,
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
        self.reactor.request(Request::Commands(stream), caller);
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

    fn turn(&mut self, with_batch: bool) {
        if !with_batch {
            self.reactor.turn(None);
            return;
        }
        self.batch.clear();
        self.reactor.turn(Some(&mut self.batch));
        for index in 0..self.batch.len() {
            let [op, _, _, a, b, _] = self.batch.record(index);
            assert!((Op::Data as i32..=Op::WriteFailed as i32).contains(&op));
            if op == Op::Data as i32 {
                let end = usize::try_from(a).expect("an offset") + usize::try_from(b).expect("a length");
                assert!(b > 0 && end <= self.batch.bytes().len());
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
            Command::OpenStream(fd, _) | Command::OpenListener(fd) | Command::OpenConnecting(fd) => {
                let op = match command {
                    Command::OpenStream(..) => 1,
                    Command::OpenListener(_) => 2,
                    _ => 3,
                };
                // An id that is taken opens nothing, and the descriptor stays its owner's: do not offer one.
                let id = self.ids.allocate();
                let fd = self.socket(*fd);
                self.known.push(id);
                self.ask(op, id, fd, 0, &[], caller);
            }
            Command::ReadStart => self.ask(4, id, 0, 0, &[], caller),
            Command::ReadStop => self.ask(5, id, 0, 0, &[], caller),
            Command::Write(bytes, flags) if bytes.len() % 5 == 4 => {
                let length = bytes.len() * 997 % LENT.len();
                // SAFETY: a static.
                let lent = unsafe { Lent::new(NonNull::from(&LENT).cast(), length) };
                self.reactor.request(Request::WriteLent(id, lent, *flags), caller);
            }
            Command::Write(bytes, flags) => {
                let bytes = bytes.repeat(1 + named.generation as usize % 64);
                self.ask(6, id, i32::try_from(bytes.len()).expect("small"), *flags, &bytes, caller);
            }
            Command::Shutdown => self.ask(7, id, 0, 0, &[], caller),
            Command::Close(flags) => {
                self.asked += 1;
                self.ask(8, id, 0, *flags, &[], caller);
            }
        }
        self.peer_acts(named);
        self.turn(named.generation % 3 != 0);
    }

    fn peer_acts(&mut self, by: Id) {
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
    let (reactor, waker) = Reactor::new(Arc::clone(&ids)).expect("descriptors");
    let (mut words, mut bytes) = (vec![0_i32; EVENTS * WORDS], vec![0_u8; BYTES]);
    // SAFETY: both outlive the world.
    let batch = unsafe { Batch::from_raw(0, NonNull::from(&mut words[..]).cast(), words.len(), NonNull::from(&mut bytes[..]).cast(), bytes.len()) };
    let mut world = World { ids, reactor, batch, known: Vec::new(), peers: Vec::new(), clients: Vec::new(), told: 0, asked: 0 };
    for command in Reader::new(input).take(COMMANDS) {
        let Ok((id, command)) = command else { break };
        world.apply(id, &command);
    }
    // The stream as it is, where no descriptor in it could be somebody else's.
    let opens = |read| matches!(read, Ok((_, Command::OpenStream(..) | Command::OpenListener(_) | Command::OpenConnecting(_))));
    if !Reader::new(input).any(opens) {
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
    for _ in 0..10_000 {
        world.turn(true);
        for id in std::mem::take(&mut world.known) {
            world.asked += 1;
            world.ask(8, id, 0, RESET | NOTIFY, &[], Caller::Gone);
        }
        if world.reactor.open_streams() == 0 && !world.reactor.is_due() {
            break;
        }
    }
    assert_eq!((world.reactor.open_streams(), world.reactor.lingering(), world.reactor.queued_bytes()), (0, 0, 0));
    assert!(!world.reactor.is_due(), "nothing spins");
    drop((world, waker));
    assert_eq!(descriptors(), before);
}
