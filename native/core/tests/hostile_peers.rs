//! Peers that reset, half-close, stop reading, or never were there: what the reactor tells, and what is left behind.
//! Every test runs under both drivers and with the seat passing at random, over the wire and over a layer, and ends with the ledger.

mod common;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::{CLOSE, Happened, Loop, OPEN_CONNECTING, OPEN_LISTENER, Peer, READ_START, SHUTDOWN};
use tsloop_core::command::{MORE, NOTIFY, OPEN_STREAM, RESET};
use tsloop_core::env::Posted;
use tsloop_core::event::{Op, UV_EOF};
use tsloop_core::limits::{CHUNK_BYTES, EXIT_FLUSH_MS};
use tsloop_core::net::{pipe, tcp};
use tsloop_core::reactor::seat::{Choice, Driver};
use tsloop_core::stats::Present;
use tsloop_core::table::Id;

const SMALL: usize = 4096;

/// Runs a test under every driver and over every layer; all is closed at its end.
fn everywhere(test: impl Fn(&mut Loop, Choice)) {
    common::over_every_layer(|tested, choice| {
        test(tested, choice);
        tested.run_until("everything closed", |this| {
            let Present { streams: open, queued, lingering, .. } = this.core.stats().1;
            (open, queued, lingering) == (0, 0, 0)
        });
        assert_eq!(tested.core.stats().0.panics, 0);
    });
}

/// What an echo server does with each event; true when a connection has ended.
fn echo(this: &mut Loop, happened: &Happened) -> bool {
    let id = happened.id;
    if happened.is(Op::Accept) {
        this.dress(happened.accepted());
        this.ask(READ_START, happened.accepted(), 0, 0);
    } else if happened.is(Op::Data) {
        this.write(id, &happened.bytes, 0);
    } else if happened.is(Op::ReadEnd) {
        let ends = if happened.a == UV_EOF { (SHUTDOWN, NOTIFY) } else { (CLOSE, NOTIFY) };
        this.ask(ends.0, id, 0, ends.1);
    } else if happened.is(Op::ShutdownDone) {
        this.ask(CLOSE, id, 0, NOTIFY);
    }
    happened.is(Op::Closed)
}

/// Clients that send, half-close and compare; every fourth resets in the middle instead.
fn clients(count: u64, rounds: u64, connect: impl Fn() -> Box<dyn Connection> + Send + Sync + 'static) -> std::thread::JoinHandle<()> {
    let connect = std::sync::Arc::new(connect);
    std::thread::spawn(move || {
        let run = |client: u64| {
            let connect = std::sync::Arc::clone(&connect);
            std::thread::spawn(move || {
                for round in 0..rounds {
                    let tag = client * rounds + round;
                    let sent = common::tagged(tag, 1 + usize::try_from(tag * 7919 % 90_000).expect("small"));
                    let connection = connect();
                    if tag % 4 == 3 {
                        connection.abuse(&sent);
                    } else {
                        let received = connection.exchange(&sent);
                        assert!(received == sent, "connection {tag}: {} of {} bytes came back as they were", received.len(), sent.len());
                    }
                }
            })
        };
        let all: Vec<_> = (0..count).map(run).collect();
        for client in all {
            client.join().expect("every echo is its own");
        }
    })
}

trait Connection {
    fn exchange(self: Box<Self>, bytes: &[u8]) -> Vec<u8>;
    fn abuse(self: Box<Self>, bytes: &[u8]);
}

impl Connection for Peer<TcpStream> {
    fn exchange(mut self: Box<Self>, bytes: &[u8]) -> Vec<u8> {
        (*self).exchange(bytes)
    }

    fn abuse(mut self: Box<Self>, bytes: &[u8]) {
        let _ = self.write_all(bytes);
        common::reset(*self);
    }
}

impl Connection for Peer<UnixStream> {
    fn exchange(mut self: Box<Self>, bytes: &[u8]) -> Vec<u8> {
        (*self).exchange(bytes)
    }

    fn abuse(mut self: Box<Self>, bytes: &[u8]) {
        let _ = self.write_all(&bytes[..bytes.len().min(64)]);
    }
}

const CLIENTS: u64 = 12;
const ROUNDS: u64 = 12;

#[test]
fn every_echo_comes_back_on_its_own_connection() {
    everywhere(|this, _| {
        let (over, (listener, address)) = (this.over, this.listen());
        let running = clients(CLIENTS, ROUNDS, move || {
            let stream = TcpStream::connect(address).expect("to connect");
            stream.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
            Box::new(Peer::new(stream, over))
        });
        let mut ended = 0;
        this.until("all connections ended", |this, happened| {
            ended += u64::from(echo(this, &happened));
            ended == CLIENTS * ROUNDS
        });
        running.join().expect("every echo is its own");
        assert_eq!(this.core.stats().0.accepted, CLIENTS * ROUNDS);
        let slots = this.core.allocate().slot;
        assert!(u64::from(slots) < CLIENTS * ROUNDS / 2 + 64, "ids are used again, yet slot {slots} was handed out");
        this.close(listener, 0);
    });
}

#[test]
fn unix_domain_sockets_echo_as_well() {
    everywhere(|this, _| {
        let name = format!("\0tsloop-core-{}-{:?}", std::process::id(), Instant::now());
        let (fd, path) = pipe::bind(name.as_bytes()).expect("an abstract name");
        assert_eq!(path, None, "nothing to unlink");
        tsloop_core::sys::listen(std::os::fd::AsFd::as_fd(&fd), 128).expect("to listen");
        let (over, listener) = (this.over, this.open(OPEN_LISTENER, fd));
        let running = clients(4, 8, move || {
            let mut slot = tcp::Slot(None);
            pipe::connect(&mut slot, name.as_bytes()).expect("a socket");
            let stream = UnixStream::from(slot.0.expect("made"));
            stream.set_nonblocking(false).expect("to clear a flag");
            Box::new(Peer::new(stream, over))
        });
        let mut ended = 0;
        this.until("all connections ended", |this, happened| {
            ended += usize::from(echo(this, &happened));
            ended == 32
        });
        running.join().expect("every echo is its own");
        this.close(listener, 0);
    });
}

#[test]
fn a_storm_of_connections_is_accepted_whole() {
    const STORM: usize = 300;
    everywhere(|this, _| {
        let (listener, address) = this.listen();
        let storm = std::thread::spawn(move || {
            let open: Vec<_> = (0..STORM).map(|_| TcpStream::connect(address).expect("to connect")).collect();
            for (index, stream) in open.into_iter().enumerate() {
                if index % 2 == 0 { common::reset(stream) } else { drop(stream) }
            }
        });
        let mut ended = 0;
        this.until("all of the storm ended", |this, happened| {
            ended += usize::from(echo(this, &happened));
            ended == STORM
        });
        storm.join().expect("to connect");
        this.close(listener, 0);
    });
}

#[test]
fn a_peer_that_does_not_read_presses_and_gets_everything_in_order() {
    everywhere(|this, choice| {
        let (id, fd, mut peer) = this.connection(Some(SMALL));
        common::shrink(fd);
        let sent = common::tagged(7, 2 << 20);
        let mut waited = false;
        for chunk in sent.chunks(100_000) {
            waited |= this.write(id, chunk, 0) == 1;
        }
        let told = this.write(id, b"end", NOTIFY);
        if choice == Choice::Fixed(Driver::Offload) {
            this.until("pressure", |_, happened| happened.is(Op::Pressure) && happened.a == 1);
        } else if choice == Choice::Fixed(Driver::Inline) {
            assert!(waited && told == 1, "the caller learns that it waits");
        }
        let reader = std::thread::spawn(move || {
            let mut received = vec![0; (2 << 20) + 3];
            peer.read_exact(&mut received).expect("everything");
            (received, peer)
        });
        let (mut done, mut pressure) = (0, choice == Choice::Fixed(Driver::Offload));
        this.until("the request's end", |_, happened| {
            if happened.is(Op::Pressure) {
                pressure = happened.a == 1;
            }
            done += i32::from(happened.is(Op::WriteDone));
            done == 1
        });
        let (received, _peer) = reader.join().expect("everything");
        assert!(received[..sent.len()] == sent && received[sent.len()..] == *b"end");
        if pressure {
            this.until("relief", |_, happened| happened.is(Op::Pressure) && happened.a == 0);
        }
        this.close(id, 0);
    });
}

#[test]
fn closing_delivers_what_was_acknowledged_and_drops_the_rest() {
    everywhere(|this, _| {
        let (id, fd, mut peer) = this.connection(Some(SMALL));
        common::shrink(fd);
        let acknowledged = common::tagged(1, 1 << 20);
        this.write(id, &acknowledged, 0);
        this.write(id, &common::tagged(2, 1 << 20), NOTIFY);
        this.close(id, 0);
        this.core.settle();
        assert_eq!(this.core.stats().1.lingering, 1, "one stream lingers");
        peer.quiet = true;
        let reader = std::thread::spawn(move || common::read_all(&mut peer));
        this.run_until("nothing lingers", |this| this.core.stats().1.lingering == 0);
        assert!(reader.join().expect("an orderly end") == acknowledged);
    });
}

#[test]
fn a_reset_by_us_forgets_what_waits() {
    everywhere(|this, _| {
        let (id, fd, mut peer) = this.connection(Some(SMALL));
        common::shrink(fd);
        this.write(id, &common::tagged(1, 1 << 20), 0);
        this.close(id, RESET);
        this.core.settle();
        assert_eq!(this.core.stats().1.lingering, 0, "nothing lingers");
        let error = peer.read_to_end(&mut Vec::new()).expect_err("a reset");
        assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
    });
}

#[test]
fn copies_that_a_reset_overtakes_are_told_of_and_their_memory_is_used_again() {
    everywhere(|this, _| {
        let mut memory = HashSet::new();
        let mut write = |this: &mut Loop, id, bytes: &[u8]| {
            let copy = this.core.spares.copy(bytes);
            memory.insert(copy.as_ptr());
            this.core.submit_with(&[], Posted::WriteCopied(id, copy, 0));
            memory.len()
        };
        let failed = |this: &mut Loop, id| {
            this.until("the failure", |_, happened| {
                assert!(!happened.is(Op::WriteDone), "nobody asked for notice");
                happened.is(Op::WriteFailed) && happened.id == id
            });
        };
        for tag in 0..2 {
            let (id, fd, peer) = this.connection(Some(SMALL));
            common::shrink(fd);
            let mut made = 0;
            for _ in 0..4 {
                made = write(this, id, &common::tagged(tag, CHUNK_BYTES));
            }
            this.core.settle();
            assert!(this.core.stats().1.queued > CHUNK_BYTES, "the kernel has not taken them");
            assert!(this.core.spares.waiting() < made);
            common::reset(peer);
            failed(this, id);
            assert_eq!((this.core.stats().1.queued, this.core.spares.waiting()), (0, made), "all of it is back");
            assert_eq!(write(this, id, b"later"), made);
            this.core.settle();
            assert_eq!(this.core.spares.waiting(), made, "what fails at once is back as well");
            this.close(id, 0);
        }
    });
}

/// Reads what failed requests are told until a marker that fails as well; how many ends came.
fn ends(this: &mut Loop, id: Id) -> usize {
    this.ask(SHUTDOWN, id, 0, NOTIFY);
    let mut ends = 0;
    this.until("the marker", |_, happened| {
        ends += usize::from(happened.is(Op::WriteDone) && happened.id == id);
        happened.is(Op::ShutdownDone) && happened.id == id
    });
    ends
}

#[test]
fn a_request_of_many_pieces_on_a_reset_connection_is_told_of_once() {
    everywhere(|this, choice| {
        let (id, _, peer) = this.connection(None);
        common::reset(peer);
        // The reset is there at the latest when a write has failed.
        this.write(id, b"first", NOTIFY);
        let first = ends(this, id);
        for piece in [MORE | NOTIFY, MORE | NOTIFY, NOTIFY] {
            this.write(id, b"piece", piece);
        }
        let second = ends(this, id);
        match choice {
            Choice::Fixed(Driver::Offload) => assert_eq!((first, second), (1, 1)),
            Choice::Fixed(Driver::Inline) => assert_eq!((first, second), (0, 0), "the call's status told"),
            _ => assert!(first <= 1 && second <= 1),
        }
        this.close(id, 0);
    });
}

#[test]
fn a_half_closed_peer_still_receives() {
    everywhere(|this, _| {
        let (id, _, mut peer) = this.connection(None);
        peer.half_close().expect("to half-close");
        this.ask(READ_START, id, 0, 0);
        this.until("the end of reading", |_, happened| happened.is(Op::ReadEnd) && happened.a == UV_EOF);
        this.write(id, b"after your end", 0);
        this.ask(SHUTDOWN, id, 0, NOTIFY);
        assert_eq!(common::read_all(&mut peer), b"after your end");
        this.until("our end", |_, happened| happened.is(Op::ShutdownDone) && happened.a == 0);
        this.close(id, 0);
    });
}

#[test]
fn a_reset_ends_reading_with_its_number() {
    everywhere(|this, _| {
        let (id, _, peer) = this.connection(None);
        this.ask(READ_START, id, 0, 0);
        common::reset(peer);
        this.until("the reset", |_, happened| happened.is(Op::ReadEnd) && happened.a == -libc::ECONNRESET);
        this.close(id, 0);
    });
}

#[test]
fn a_refused_attempt_says_so_and_one_that_succeeds_talks() {
    everywhere(|this, _| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let attempt = |this: &mut Loop| {
            let mut slot = tcp::Slot(None);
            assert!(tcp::connect(&mut slot, address).is_ok());
            let id = this.open(OPEN_CONNECTING, slot.0.expect("made"));
            let mut status = None;
            this.until("an outcome", |_, happened| {
                status = Some(happened.a);
                happened.is(Op::Connected) && happened.id == id
            });
            (id, status.expect("an outcome"))
        };
        let (id, status) = attempt(this);
        assert_eq!(status, 0);
        let (peer, _) = listener.accept().expect("accepted");
        let mut peer = Peer::new(peer, this.over);
        this.dress(id);
        peer.write_all(b"hello").expect("to send");
        this.ask(READ_START, id, 0, 0);
        this.until("bytes", |_, happened| happened.is(Op::Data) && happened.bytes == b"hello");
        this.close(id, 0);
        drop((listener, peer));
        let (id, status) = attempt(this);
        // The kernel hands the outcome to whoever asks first: connect itself, or the socket.
        assert!(status == -libc::ECONNREFUSED || status == 0, "{status}");
        this.close(id, 0);
    });
}

#[test]
fn the_flush_at_exit_is_bounded_by_time_however_many_do_not_read() {
    everywhere(|this, _| {
        let mut peers = Vec::new();
        for tag in 0..3 {
            let (id, fd, peer) = this.connection(Some(SMALL));
            common::shrink(fd);
            this.write(id, &common::tagged(tag, 1 << 20), 0);
            peers.push((id, peer));
        }
        let start = Instant::now();
        let (left, _) = this.core.flush();
        let took = start.elapsed();
        assert!(left > 2 << 20, "{left} bytes could not leave");
        assert!(took >= Duration::from_millis(EXIT_FLUSH_MS / 2) && took < Duration::from_millis(EXIT_FLUSH_MS * 3), "{took:?}");
        for (id, _) in &peers {
            this.close(*id, RESET);
        }
    });
}

#[test]
fn a_panic_is_counted_and_traffic_goes_on() {
    let _alone = common::alone();
    let before = common::descriptors();
    let panicked = std::sync::atomic::AtomicBool::new(false);
    let mut this = Loop::with(Choice::Fixed(Driver::Offload), move || {
        assert!(panicked.swap(true, std::sync::atomic::Ordering::Relaxed), "planted, once");
    });
    let (ours, mut peer) = common::pair();
    let id = this.open(OPEN_STREAM, ours);
    this.ask(READ_START, id, 0, 0);
    for word in [b"one", b"two"] {
        peer.write_all(word).expect("to send");
        this.until("bytes", |_, happened| happened.is(Op::Data) && happened.bytes == word);
    }
    this.core.settle();
    assert_eq!(this.core.stats().0.panics, 1);
    this.close(id, 0);
    drop((this, peer));
    common::assert_descriptors(before);
}
