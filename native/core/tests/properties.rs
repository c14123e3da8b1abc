//! What must hold for every stream of commands, whoever wrote it.

use std::net::{SocketAddr, SocketAddrV6};

use proptest::prelude::*;
use tsloop_core::command::{Command, HEADER, Malformed, NOTIFY, Reader, TO_V4, TO_V6};
use tsloop_core::table::Id;

/// A command with the memory that it borrows from.
#[derive(Clone, Debug)]
enum Owned {
    Plain(i32, i32),
    Write(Vec<u8>, i32),
    Send(Option<SocketAddr>, Vec<u8>, bool),
}

/// The peer as JavaScript puts it before a message, and the flag that says so.
fn head(peer: Option<SocketAddr>) -> (Vec<u8>, i32) {
    let port = |port: u16| u32::from(port).to_ne_bytes();
    match peer {
        None => (Vec::new(), 0),
        Some(SocketAddr::V4(v4)) => ([&v4.ip().octets()[..], &port(v4.port())].concat(), TO_V4),
        Some(SocketAddr::V6(v6)) => ([&v6.ip().octets()[..], &v6.scope_id().to_ne_bytes(), &port(v6.port())].concat(), TO_V6),
    }
}

impl Owned {
    fn encode(&self, id: Id, into: &mut Vec<u8>) {
        let (op, a, b) = match self {
            Self::Plain(op @ (1..=2 | 8..=9), argument) => (*op, *argument, !*argument),
            Self::Plain(3, argument) => (3, *argument, 0),
            Self::Plain(op, argument) => (*op, 0, *argument),
            Self::Write(bytes, flags) => (6, i32::try_from(bytes.len()).expect("small"), *flags),
            Self::Send(peer, bytes, notify) => {
                let (head, flag) = head(*peer);
                (10, i32::try_from(head.len() + bytes.len()).expect("small"), flag | if *notify { NOTIFY } else { 0 })
            }
        };
        for word in [op, id.slot.cast_signed(), id.generation.cast_signed(), a, b] {
            into.extend(word.to_ne_bytes());
        }
        if let Self::Send(peer, ..) = self {
            into.extend(head(*peer).0);
        }
        if let Self::Write(bytes, _) | Self::Send(_, bytes, _) = self {
            into.extend(bytes);
            into.resize(into.len().next_multiple_of(4), 0xaa);
        }
    }

    fn command(&self) -> Command<'_> {
        match self {
            Self::Plain(1, fd) => Command::OpenStream(*fd, !*fd),
            Self::Plain(2, fd) => Command::OpenListener(*fd, !*fd),
            Self::Plain(3, fd) => Command::OpenConnecting(*fd),
            Self::Plain(4, flags) => Command::ReadStart(*flags),
            Self::Plain(5, _) => Command::ReadStop,
            Self::Plain(7, flags) => Command::Shutdown(*flags),
            Self::Plain(9, fd) => Command::OpenDatagram(*fd, !*fd),
            Self::Plain(11, _) => Command::Share,
            Self::Plain(12, _) => Command::KeepBuffer,
            Self::Plain(14, _) => Command::TellAgain,
            Self::Plain(_, heard) => Command::Close(*heard, !*heard),
            Self::Write(bytes, flags) => Command::Write(bytes, *flags),
            Self::Send(peer, bytes, notify) => Command::Send(*peer, bytes, head(*peer).1 | if *notify { NOTIFY } else { 0 }),
        }
    }
}

fn commands() -> impl Strategy<Value = Vec<(Id, Owned)>> {
    let id = (any::<u32>(), any::<u32>()).prop_map(|(slot, generation)| Id { slot, generation });
    let plain = (prop::sample::select(vec![1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 14]), any::<i32>()).prop_map(|(op, argument)| Owned::Plain(op, argument));
    let write = (prop::collection::vec(any::<u8>(), 0..70), any::<i32>()).prop_map(|(bytes, flags)| Owned::Write(bytes, flags));
    let v6 = (any::<[u8; 16]>(), any::<u32>(), any::<u16>()).prop_map(|(octets, scope, port)| SocketAddrV6::new(octets.into(), port, 0, scope).into());
    let v4 = (any::<[u8; 4]>(), any::<u16>()).prop_map(|(octets, port)| SocketAddr::from((octets, port)));
    let peer = prop::option::of(prop_oneof![v4, v6]);
    let send = (peer, prop::collection::vec(any::<u8>(), 0..70), any::<bool>()).prop_map(|(peer, bytes, notify)| Owned::Send(peer, bytes, notify));
    prop::collection::vec((id, prop_oneof![plain, write, send]), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 2048 }) })]

    #[test]
    fn what_is_written_is_read(sent in commands()) {
        let mut bytes = Vec::new();
        for (id, owned) in &sent {
            owned.encode(*id, &mut bytes);
        }
        let read: Vec<_> = Reader::new(&bytes).collect();
        let expected: Vec<_> = sent.iter().map(|(id, owned)| Ok((*id, owned.command()))).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let read: Vec<_> = Reader::new(&bytes).collect();
        prop_assert!(read.len() <= bytes.len() / HEADER + 1);
        prop_assert!(read.iter().rev().skip(1).all(Result::is_ok), "nothing is read after what is malformed");
    }

    /// Mostly right, as a fault in our own JavaScript would be.
    #[test]
    fn a_damaged_stream_is_read_up_to_the_damage(sent in commands(), at in any::<prop::sample::Index>(), damage in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        for (id, owned) in &sent {
            owned.encode(*id, &mut bytes);
        }
        if !bytes.is_empty() {
            *at.get_mut(&mut bytes) ^= damage;
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let length = |read| if let Ok((_, Command::Write(bytes, _) | Command::Send(_, bytes, _))) = read { bytes.len() } else { 0 };
        let payload: usize = Reader::new(&bytes).map(length).sum();
        prop_assert!(payload <= bytes.len());
        if let Some(end) = Reader::new(&bytes).position(|read| read == Err(Malformed)) {
            prop_assert_eq!(end, Reader::new(&bytes).count() - 1);
        }
    }
}
