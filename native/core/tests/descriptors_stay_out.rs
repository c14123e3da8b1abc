//! A listener of a process that has no descriptors, and whose reserve does not help: somebody else takes what was given up.
//! In a file, and so a process, of its own: limits are the process's.

mod common;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use common::{Bench, OPEN_LISTENER};
use tsloop_core::event::Op;
use tsloop_core::limits::TURN_ACCEPTS;

fn limit(current: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a local of the right type, filled in and handed back with another soft limit.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        let before = std::mem::replace(&mut limit.rlim_cur, current);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
        before
    }
}

fn listen(bench: &mut Bench) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("to set a flag");
    let address = listener.local_addr().expect("bound");
    bench.open(OPEN_LISTENER, OwnedFd::from(listener));
    address
}

fn accepted(bench: &mut Bench) -> usize {
    bench.batch.clear();
    bench.reactor.turn(Some(&mut bench.batch));
    bench.told().iter().filter(|(op, ..)| *op == Op::Accept as i32).count()
}

#[test]
fn whoever_could_not_be_shed_is_accepted_once_there_are_descriptors() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let address = listen(&mut bench);
    let peer = TcpStream::connect(address).expect("to connect");
    // Only numbers below this may be given out, and they are all taken: the reserve's own number does not come back.
    let before = limit(3);
    let during: usize = (0..3).map(|_| accepted(&mut bench)).sum();
    limit(before);
    assert_eq!(during, 0);
    let after: usize = (0..3).map(|_| accepted(&mut bench)).sum();
    assert_eq!(after, 1, "the peer that waits is accepted without another one coming");
    drop(peer);
}

#[test]
fn a_turn_sheds_no_more_than_it_would_accept() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let address = listen(&mut bench);
    let count = TURN_ACCEPTS + TURN_ACCEPTS / 2;
    let peers: Vec<TcpStream> = (0..count).map(|_| TcpStream::connect(address).expect("to connect")).collect();
    let before = limit(common::descriptors() as u64 + 8);
    // SAFETY: duplicates of a standard descriptor, until there are no more.
    let filled: Vec<i32> = std::iter::from_fn(|| Some(unsafe { libc::dup(0) }).filter(|fd| *fd >= 0)).collect();
    accepted(&mut bench);
    assert_eq!(bench.reactor.stats().shed, TURN_ACCEPTS as u64);
    assert!(bench.reactor.is_due(), "the rest is the next turn's");
    accepted(&mut bench);
    assert_eq!(bench.reactor.stats().shed, count as u64);
    assert!(!bench.reactor.is_due());
    for fd in filled {
        // SAFETY: made above, and nobody else's.
        unsafe { libc::close(fd) };
    }
    limit(before);
    drop(peers);
}
