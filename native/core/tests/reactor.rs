//! The reactor without an environment around it: orders of events that no schedule of real threads brings about
//! reliably.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;

use common::{Bench, CLOSE, OPEN_CONNECTING, OPEN_LISTENER, READ_START, READ_STOP, SHARE, SHUTDOWN, WRITE};
use tsloop_core::command::op::{SEND, TELL_AGAIN};
use tsloop_core::command::{MORE, NOTIFY, OPEN_STREAM};
use tsloop_core::env::{Caller, Posted};
use tsloop_core::event::{Event, FULL, Op, UV_EOF, WAITS};
use tsloop_core::limits::{CHUNK_BYTES, TURN_ROUNDS};
use tsloop_core::net::tcp;
use tsloop_core::reactor::blocks::Block;
use tsloop_core::reactor::leaving::Leaving;
use tsloop_core::table::Id;

impl Bench {
    /// A turn with a batch; what it told, as (op, id, a).
    fn turn(&mut self) -> Vec<(i32, Id, i32)> {
        self.batch.clear();
        self.reactor.turn(Some(&mut self.batch));
        self.told()
    }
}

/// An address whose queue is full: attempts to connect to it stay under way.
fn full() -> (TcpListener, Vec<std::net::TcpStream>, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().expect("a literal").into()).expect("a port");
    socket.listen(0).expect("to listen");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("bound");
    let mut waiting = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(200)) {
        waiting.push(stream);
    }
    (listener, waiting, address)
}

#[test]
fn a_slot_used_again_is_not_told_of_its_predecessors_readiness() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    // More than the slots that cool down after a release, all of them waiting for room in a batch.
    let opened: Vec<_> = (0..40).map(|_| common::pair()).map(|(ours, peer)| (bench.open(OPEN_STREAM, ours), peer)).collect();
    for (id, peer) in &opened {
        (&*peer).write_all(b"waiting").expect("to send");
        bench.ask(READ_START, *id, 0, 0, &[]);
    }
    assert!(bench.reactor.turn(None).starved);
    assert!(bench.reactor.is_due());
    for (id, _) in &opened {
        bench.ask(CLOSE, *id, 0, 0, &[]);
    }
    let (_listener, _waiting, address) = full();
    let attempts: Vec<_> = (0..4)
        .map(|_| {
            let mut slot = tcp::Slot(None);
            assert_eq!(tcp::connect(&mut slot, address), Ok(tcp::Attempt::Pending));
            bench.open(OPEN_CONNECTING, slot.0.expect("made"))
        })
        .collect();
    assert!(attempts.iter().all(|id| id.generation > 0), "slots are used again");
    assert_eq!(bench.turn(), [], "nothing has been connected");
}

#[test]
fn an_id_that_was_never_handed_out_opens_nothing() {
    let _alone = common::alone();
    let before = common::descriptors();
    let mut bench = Bench::new();
    let (ours, mut peer) = common::pair();
    let fd = ours.into_raw_fd();
    for id in [Id { slot: u32::MAX, generation: 0 }, Id { slot: 1 << 20, generation: 3 }] {
        for op in [OPEN_STREAM, OPEN_LISTENER, OPEN_CONNECTING] {
            bench.ask(op, id, fd, 0, &[]);
        }
        assert!(bench.ask(WRITE, id, 2, NOTIFY, b"no") < 0);
    }
    let id = bench.ids.allocate();
    bench.ask(OPEN_STREAM, id, fd, 0, &[]);
    // Taken: the stream that is there stays.
    bench.ask(OPEN_STREAM, id, 0, 0, &[]);
    assert_eq!(bench.ask(WRITE, id, 3, 0, b"yes"), 0);
    let mut received = [0; 3];
    peer.read_exact(&mut received).expect("to receive");
    assert_eq!(&received, b"yes");
    bench.ask(CLOSE, id, 0, NOTIFY, &[]);
    assert_eq!(bench.turn(), [(Op::Closed as i32, id, 0)]);
    drop((bench, peer));
    common::assert_descriptors(before);
}

#[test]
fn a_descriptor_that_is_none_is_told_of_once() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    for op in [OPEN_STREAM, OPEN_LISTENER, OPEN_CONNECTING] {
        let id = bench.ids.allocate();
        bench.ask(op, id, 1_000_000, 0, &[]);
        assert_eq!(bench.turn(), [(Op::ReadEnd as i32, id, -libc::EBADF)]);
    }
}

#[test]
fn a_stale_id_reaches_nobody() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (ours, mut peer) = common::pair();
    let stale = bench.open(OPEN_STREAM, ours);
    bench.ask(CLOSE, stale, 0, 0, &[]);
    let mut last = stale;
    while last.slot != stale.slot || last == stale {
        let (ours, _) = common::pair();
        last = bench.open(OPEN_STREAM, ours);
        if last.slot != stale.slot {
            bench.ask(CLOSE, last, 0, 0, &[]);
        }
    }
    assert_eq!(bench.ask(WRITE, stale, 4, 0, b"lost"), -libc::EBADF);
    bench.ask(CLOSE, stale, 0, NOTIFY, &[]);
    assert_eq!(bench.turn(), []);
    assert_eq!(bench.reactor.open_streams(), 1, "the slot's new owner is untouched");
    assert_eq!(common::read_all(&mut peer), b"");
}

#[test]
fn a_request_of_an_id_that_is_gone_ends() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let gone = bench.ids.allocate();
    let mut commands = Vec::new();
    for (op, flags) in [(WRITE, 0), (WRITE, NOTIFY | MORE), (WRITE, NOTIFY), (SEND, 0), (SEND, NOTIFY)] {
        common::encode(&mut commands, op, gone, 4, flags, b"word");
    }
    bench.reactor.apply(&commands, Caller::Gone);
    assert_eq!(bench.turn(), [(Op::WriteDone as i32, gone, -libc::EBADF), (Op::SendDone as i32, gone, -libc::EBADF)], "each once");
    assert_eq!(bench.ask(WRITE, gone, 4, NOTIFY, b"word"), -libc::EBADF);
    assert_eq!(bench.turn(), [], "who waits has been told by the call");
}

/// A stream with acknowledged bytes that its peer does not read, closed.
fn lingering(bench: &mut Bench) -> (Id, std::os::unix::net::UnixStream) {
    let (ours, peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a flag");
    let id = bench.open(OPEN_STREAM, ours);
    while bench.ask(WRITE, id, 64 * 1024, 0, &[7; 64 * 1024]) == 0 {}
    bench.ask(CLOSE, id, 0, 0, &[]);
    (id, peer)
}

#[test]
fn what_lingers_is_closed_when_its_time_is_over() {
    let _alone = common::alone();
    let before = common::descriptors();
    let mut bench = Bench::new();
    let (read, mut reader) = lingering(&mut bench);
    let streams: Vec<_> = (0..200).map(|_| lingering(&mut bench)).collect();
    assert_eq!(bench.reactor.lingering(), 201);
    // One is read to its end, and gone long before its time.
    reader.set_nonblocking(true).expect("a flag");
    while bench.reactor.lingering() == 201 {
        let _ = reader.read(&mut [0; 1 << 16]);
        bench.turn();
    }
    bench.reactor.meet_deadlines(std::time::Instant::now());
    assert_eq!(bench.reactor.lingering(), 200, "none had its time, {read:?} aside");
    let later = std::time::Instant::now() + std::time::Duration::from_millis(u64::from(tsloop_core::limits::LINGER_MS));
    bench.reactor.meet_deadlines(later);
    assert_eq!((bench.reactor.lingering(), bench.reactor.open_streams()), (0, 0));
    drop((bench, streams, reader));
    common::assert_descriptors(before);
}

#[test]
fn a_peer_that_reads_however_slowly_is_not_cut_off() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (ours, mut peer) = common::pair();
    let id = bench.open(OPEN_STREAM, ours);
    assert_eq!(bench.ask(WRITE, id, 4 << 20, 0, &vec![7; 4 << 20]), 1);
    bench.ask(CLOSE, id, 0, 0, &[]);
    for _ in 0..3 {
        let deadline = bench.reactor.next_deadline().expect("it lingers");
        std::thread::sleep(std::time::Duration::from_millis(2));
        let mut taken = 0;
        while bench.reactor.next_deadline() == Some(deadline) {
            taken += peer.read(&mut [0; 16 * 1024]).expect("bytes");
            bench.turn();
            assert!(taken <= 1 << 20, "its time begins anew with what leaves");
        }
        bench.reactor.meet_deadlines(deadline);
        assert_eq!(bench.reactor.lingering(), 1);
    }
    bench.reactor.meet_deadlines(bench.reactor.next_deadline().expect("it lingers"));
    assert_eq!(bench.reactor.lingering(), 0);
}

#[test]
fn a_listener_that_fails_is_tried_again_in_every_turn() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a flag");
    let address = listener.local_addr().expect("bound");
    let handle = listener.try_clone().expect("a descriptor");
    let id = bench.open(OPEN_LISTENER, listener);
    let _peer = std::net::TcpStream::connect(address).expect("to connect");
    assert!(matches!(bench.turn()[..], [(op, _, _)] if op == Op::Accept as i32));
    // Accepting on a socket that no longer listens fails with EINVAL, without any new readiness after the first.
    socket2::Socket::from(handle).shutdown(std::net::Shutdown::Both).expect("to shut down");
    for failures in 1..4 {
        assert_eq!(bench.turn(), [], "as libuv, JavaScript is not told");
        assert_eq!(bench.reactor.stats().accept_failures, failures);
        assert!(bench.reactor.is_due());
    }
    bench.ask(CLOSE, id, 0, 0, &[]);
    assert_eq!(bench.turn(), []);
    assert!(!bench.reactor.is_due());
}

#[test]
fn a_large_read_waits_for_a_block_once_some_were_lent() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (ours, peer) = common::pair();
    let id = bench.open(OPEN_STREAM, ours);
    peer.set_nonblocking(true).expect("a flag");
    let fill = || while (&peer).write(&[5; CHUNK_BYTES]).is_ok() {};
    fill();
    bench.ask(READ_START, id, 0, 0, &[]);
    // Without a block the bytes travel in the batch.
    let told = bench.turn();
    assert!(!told.is_empty() && told.iter().all(|(op, ..)| *op == Op::Data as i32), "{told:?}");
    assert!(bench.reactor.wants_blocks());
    let mut memory = vec![0_u8; CHUNK_BYTES];
    let pointer = std::ptr::NonNull::new(memory.as_mut_ptr()).expect("a vector's");
    for round in 0..3_u8 {
        fill();
        // SAFETY: the vector outlives the bench's last turn, and is only read between turns, after it was filled.
        let block = unsafe { Block::new(u32::from(round), pointer) };
        bench.reactor.carry_out(Posted::LendBlock(block), Caller::Waits);
        assert_eq!(bench.turn(), [(Op::Block as i32, id, i32::from(round))], "one block, one piece");
        assert_eq!(bench.turn(), [], "the rest waits for the next");
        assert!(bench.reactor.is_due());
    }
    assert!(memory.iter().all(|byte| *byte == 5));
    // What is small needs none.
    let (ours, other) = common::pair();
    let small = bench.open(OPEN_STREAM, ours);
    (&other).write_all(b"small").expect("to send");
    bench.ask(READ_START, small, 0, 0, &[]);
    assert_eq!(bench.turn(), [(Op::Data as i32, small, 0)]);
}

#[test]
fn nobody_is_accepted_from_a_shared_listener_before_javascript_comes() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("ours");
    let address = listener.local_addr().expect("bound");
    let elsewhere = listener.try_clone().expect("a descriptor");
    let id = bench.open(OPEN_LISTENER, listener);
    bench.ask(SHARE, id, 0, 0, &[]);
    let connect = || std::net::TcpStream::connect(address).expect("a listener");
    let told = [(Op::Accept as i32, id, 0)];

    let _first = connect();
    assert_eq!(bench.turn(), told);
    assert_eq!(bench.batch.record(0)[5], WAITS);
    let _second = connect();
    assert_eq!(bench.turn(), [], "JavaScript knows that somebody waits");
    assert_eq!(bench.reactor.stats().accepted, 0);
    // Another process takes one of the two.
    elsewhere.accept().expect("one waits");
    assert!(bench.reactor.accept_one(id).is_ok());
    assert_eq!(bench.reactor.accept_one(id).map(drop), Err(-libc::EAGAIN));

    bench.ask(TELL_AGAIN, id, 0, 0, &[]);
    assert_eq!(bench.turn(), [], "nobody waits");
    let _third = connect();
    assert_eq!(bench.turn(), told);
    assert!(bench.reactor.accept_one(id).is_ok());
    // JavaScript looked at one only: it is told of those that may be left.
    let _fourth = connect();
    bench.ask(TELL_AGAIN, id, 0, 0, &[]);
    assert_eq!(bench.turn(), told);
    bench.ask(CLOSE, id, 0, 0, &[]);
    assert_eq!(bench.reactor.accept_one(id).map(drop), Err(-libc::EBADF));
    elsewhere.accept().expect("who was not accepted is still there");
}

#[test]
fn a_shutdown_beside_a_reset_is_told_first_with_its_own_outcome() {
    let _alone = common::alone();
    let connected = |bench: &mut Bench| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let peer = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("to connect");
        let (ours, _) = listener.accept().expect("it waits");
        ours.set_nonblocking(true).expect("ours");
        let id = bench.open(OPEN_STREAM, ours);
        bench.ask(READ_START, id, 0, 0, &[]);
        assert_eq!(bench.turn(), []);
        (id, peer)
    };
    for (reset_first, outcome) in [(false, 0), (true, -libc::ENOTCONN)] {
        let mut bench = Bench::new();
        let (id, peer) = connected(&mut bench);
        if reset_first {
            common::reset(peer);
            bench.ask(SHUTDOWN, id, 0, NOTIFY, &[]);
        } else {
            bench.ask(SHUTDOWN, id, 0, NOTIFY, &[]);
            common::reset(peer);
        }
        let told = [(Op::ShutdownDone as i32, id, outcome), (Op::ReadEnd as i32, id, -libc::ECONNRESET)];
        // What the peer answers to a shutdown is told a turn later, as libuv would.
        assert_eq!(
            [bench.turn(), bench.turn()].map(|turn| turn.into_iter().filter(|(op, ..)| *op != Op::Pressure as i32).collect::<Vec<_>>()),
            told.map(|one| vec![one])
        );
    }
}

#[test]
fn a_turn_in_rounds_reads_one_stream_on_while_it_fills_chunks() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let [(bulky, source), (small, peer), (ending, _end)] = [(); 3].map(|()| common::pair()).map(|(ours, peer)| {
        let id = bench.open(OPEN_STREAM, ours);
        bench.ask(READ_START, id, 0, 0, &[]);
        (id, peer)
    });
    source.set_nonblocking(true).expect("a flag");
    let fill = |mut source: &std::os::unix::net::UnixStream| while source.write(&[7; CHUNK_BYTES]).is_ok() {};
    fill(&source);
    (&peer).write_all(b"small").expect("to send");

    let chunk = [(Op::Data as i32, bulky, 0)];
    let mut turn = bench.reactor.first_round(&mut bench.batch, true);
    for _ in 1..TURN_ROUNDS {
        assert_eq!((bench.told().as_slice(), turn.goes_on), (&chunk[..], true));
        fill(&source);
        bench.batch.clear();
        turn = bench.reactor.next_round(&mut bench.batch);
    }
    assert_eq!((bench.told().as_slice(), turn.goes_on, turn.more), (&chunk[..], false, true), "the others are first in the next turn");
    fill(&source);
    bench.batch.clear();
    assert!(bench.reactor.first_round(&mut bench.batch, true).goes_on);
    assert_eq!(bench.told(), [(Op::Data as i32, small, 0)], "they are few, and each is a round");
    bench.batch.clear();
    assert!(bench.reactor.next_round(&mut bench.batch).goes_on);
    assert_eq!(bench.told(), chunk);
    // What JavaScript asked for meanwhile is answered in another turn of the loop.
    bench.ask(SHUTDOWN, ending, 0, NOTIFY, &[]);
    assert!(!bench.reactor.goes_on());
    bench.batch.clear();
    bench.reactor.first_round(&mut bench.batch, true);
    assert_eq!(bench.told(), [(Op::ShutdownDone as i32, ending, 0)], "what a peer answers to that is a turn of its own");
    bench.batch.clear();
    bench.reactor.first_round(&mut bench.batch, true);
    assert_eq!(bench.told(), chunk);

    // The last chunk is not whole: the turn is over.
    drop(source);
    let mut rounds = 0;
    loop {
        bench.batch.clear();
        let turn = if bench.reactor.goes_on() { bench.reactor.next_round(&mut bench.batch) } else { bench.reactor.first_round(&mut bench.batch, true) };
        rounds += 1;
        let told = bench.told();
        if let Some(end) = told.iter().position(|(op, ..)| *op == Op::ReadEnd as i32) {
            assert_eq!((told[end].1, turn.goes_on, bench.reactor.is_due()), (bulky, false, false));
            break;
        }
        assert!(rounds < 1_000, "it ends");
    }
}

#[test]
fn what_ends_in_the_last_flush_is_told_should_the_process_live_on() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (ours, mut peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a flag");
    let id = bench.open(OPEN_STREAM, ours);
    while bench.ask(WRITE, id, 64 * 1024, 0, &[7; 64 * 1024]) == 0 {}
    bench.ask(WRITE, id, 4, NOTIFY, b"last");
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).map(|_| all)
    });
    let mut leaving = Leaving::begin(&mut bench.reactor, std::time::Instant::now() + common::PATIENCE);
    while leaving.wait() {
        leaving.go_on(&mut bench.reactor);
    }
    assert_eq!(leaving.left(), 0);
    assert!(bench.reactor.is_due());
    // What counted as written met a full buffer and has left; who asked for notice gets it.
    let mut told = bench.turn();
    told.sort_unstable_by_key(|(op, ..)| *op == Op::WriteDone as i32);
    let pressure = Op::Pressure as i32;
    assert_eq!(told, [(pressure, id, FULL), (pressure, id, 0), (Op::WriteDone as i32, id, 0)]);
    bench.ask(CLOSE, id, 0, 0, &[]);
    assert!(reader.join().expect("no panic").expect("bytes").ends_with(b"last"));
}

#[test]
fn a_reset_that_comes_with_the_last_bytes_is_the_end_after_them() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    for (sent, told_at_the_end) in [(b"last".as_slice(), UV_EOF), (b"".as_slice(), -libc::ECONNRESET)] {
        let mut peer = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("to connect");
        let (ours, _) = listener.accept().expect("it waits");
        ours.set_nonblocking(true).expect("ours");
        let id = bench.open(OPEN_STREAM, ours);
        bench.ask(READ_START, id, 0, 0, &[]);
        bench.ask(WRITE, id, 6, 0, b"unread");
        assert_eq!(bench.turn(), []);
        peer.write_all(sent).expect("to send");
        // Closed with bytes unread: a reset, behind what was sent.
        drop(peer);
        let told: Vec<_> = bench.turn().into_iter().filter(|(op, ..)| *op != Op::Pressure as i32).map(|(op, _, a)| (op, a)).collect();
        let data = (!sent.is_empty()).then_some((Op::Data as i32, 0));
        assert_eq!(told, data.into_iter().chain([(Op::ReadEnd as i32, told_at_the_end)]).collect::<Vec<_>>());
        bench.ask(CLOSE, id, 0, 0, &[]);
    }
}

#[test]
fn an_end_that_came_with_the_last_bytes_is_told_a_turn_later() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, mut peer) = bench.reader();
    peer.write_all(b"last").expect("room");
    peer.shutdown(std::net::Shutdown::Write).expect("a socket");
    assert_eq!(bench.inline_turn(true), [(Op::Data as i32, id, 0)]);
    assert!(bench.reactor.is_due());
    assert_eq!(bench.inline_turn(true), [(Op::ReadEnd as i32, id, 0)]);
    assert!(!bench.reactor.is_due());

    // Without rounds: in another batch, even if the end came after the bytes.
    let (id, mut peer) = bench.reader();
    peer.write_all(b"last").expect("room");
    assert_eq!(bench.turn(), [(Op::Data as i32, id, 0)]);
    peer.shutdown(std::net::Shutdown::Write).expect("a socket");
    assert!(bench.reactor.turn(Some(&mut bench.batch)).starved);
    assert!(bench.batch.is_sealed());
    assert_eq!(bench.told().len(), 1);
    assert_eq!(bench.turn(), [(Op::ReadEnd as i32, id, UV_EOF)]);

    // A chunk that may have more behind it is followed by the end.
    let (id, mut peer) = bench.reader();
    peer.write_all(&[7; CHUNK_BYTES]).expect("room");
    peer.shutdown(std::net::Shutdown::Write).expect("a socket");
    assert_eq!(bench.inline_turn(true), [(Op::Data as i32, id, 0), (Op::ReadEnd as i32, id, 0)]);
}

#[test]
fn a_batch_without_room_for_the_last_bytes_and_the_end_gets_neither() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, mut peer) = bench.reader();
    peer.write_all(b"last").expect("room");
    drop(peer);
    bench.ask(READ_STOP, id, 0, 0, &[]);
    assert_eq!(bench.inline_turn(true), []);
    bench.ask(READ_START, id, 0, 0, &[]);
    bench.batch.clear();
    while bench.batch.has_room_for(2) {
        bench.batch.push(Event::new(Op::Pressure, id, 0));
    }
    assert!(bench.reactor.turn(Some(&mut bench.batch)).starved);
    assert!(bench.told().iter().all(|(op, ..)| *op == Op::Pressure as i32));
    assert_eq!(bench.inline_turn(true), [(Op::Data as i32, id, 0), (Op::ReadEnd as i32, id, 0)]);
}

#[test]
fn a_turn_accepts_as_many_as_the_program_has_time_for() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a flag");
    let address = listener.local_addr().expect("bound");
    let id = bench.open(OPEN_LISTENER, listener);
    let admission = bench.reactor.admission();
    let accepted = |bench: &mut Bench| bench.turn().iter().filter(|(op, ..)| *op == Op::Accept as i32).count();
    let clients: Vec<_> = (0..8).map(|_| std::net::TcpStream::connect(address).expect("room")).collect();
    assert_eq!(accepted(&mut bench), clients.len(), "an idle program has time for all");
    for _ in 0..20 {
        admission.took(std::time::Duration::from_millis(5));
    }
    let more: Vec<_> = (0..4).map(|_| std::net::TcpStream::connect(address).expect("room")).collect();
    for _ in &more {
        assert_eq!((accepted(&mut bench), bench.reactor.is_due()), (1, true), "no new edge comes for those who wait");
    }
    assert_eq!(accepted(&mut bench), 0);
    bench.ask(CLOSE, id, 0, 0, &[]);
}
