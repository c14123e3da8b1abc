//! What must hold for every ClientHello, whoever wrote it.

use crate::writing::{hellos, message, records};
use proptest::collection::vec;
use proptest::prelude::*;
use tsloop_core::limits::HELLO_BYTES;
use tsloop_core::tls::hello::{Held, Hello, Refusal, read};

/// Pieces that a hello may come in, few enough for it to be held.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(100_usize..3000, 1..4)
}

proptest! {
    #[test]
    fn is_read_as_it_was_written_however_it_is_cut(hello in hellos(), sizes in sizes(), behind in vec(any::<u8>(), 0..50)) {
        let mut bytes = records(&message(&hello), &sizes);
        let length = bytes.len();
        bytes.extend(behind);
        prop_assert_eq!(read(&bytes), Held::Whole(Box::new(Hello { length, ..hello })));
    }

    #[test]
    fn byte_by_byte_it_asks_for_what_it_needs_and_no_more(hello in hellos(), sizes in sizes()) {
        let bytes = records(&message(&hello), &sizes);
        let mut needs = 0;
        for have in 0..bytes.len() {
            match read(&bytes[..have]) {
                Held::More(more) => {
                    prop_assert!(more > have && more <= bytes.len() && more >= needs);
                    // Who waits for so many misses nothing: fewer are the same.
                    prop_assert!(have >= needs || more == needs);
                    needs = more;
                }
                held => prop_assert!(false, "{have} of {} bytes: {held:?}", bytes.len()),
            }
        }
        prop_assert_eq!(needs, bytes.len());
    }

    #[test]
    fn nothing_that_is_changed_in_it_is_more_than_refused(hello in hellos(), sizes in sizes(), place in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut bytes = records(&message(&hello), &sizes);
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        if let Held::Whole(hello) = read(&bytes) {
            prop_assert!(hello.length <= bytes.len());
            prop_assert!(!hello.suites.is_empty() && hello.session_id.len() <= 32);
        }
    }

    #[test]
    fn what_is_cut_out_of_it_is_noticed(hello in hellos(), from in any::<prop::sample::Index>(), count in 1_usize..40) {
        let message = message(&hello);
        let from = 4 + from.index(message.len() - 4);
        let shorter = [&message[..from], &message[(from + count).min(message.len())..]].concat();
        // The header promises more than there is.
        prop_assert!(matches!(read(&records(&shorter, &[16_000])), Held::More(_)));
    }

    #[test]
    fn bytes_of_any_kind_are_answered(bytes in vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
        // As far as a hello's body, so that more than the header is looked at.
        let mut message = vec![1, 0];
        message.extend(u16::try_from(bytes.len()).expect("small").to_be_bytes());
        message.extend(&bytes);
        let held = read(&records(&message, &[16_000]));
        prop_assert!(matches!(held, Held::Whole(_) | Held::Refused(Refusal::Malformed)));
    }
}

#[test]
fn what_is_not_tls_is_known_by_its_first_bytes() {
    for bytes in [&b"GET / HTTP/1.1"[..], b"S", &[0x80, 0x2e], &[22, 2], &[23], &[21, 3, 3, 0, 2]] {
        assert_eq!(read(bytes), Held::Refused(Refusal::NotTls), "{bytes:?}");
    }
    assert_eq!(read(&[]), Held::More(5));
    assert_eq!(read(&[22, 3]), Held::More(5));
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_there() {
    // By the message's length alone, and by the record's.
    let large = u32::try_from(HELLO_BYTES).expect("small").to_be_bytes();
    assert_eq!(read(&[22, 3, 1, 0, 100, 1, large[1], large[2], large[3]]), Held::Refused(Refusal::Oversized));
    assert_eq!(read(&[22, 3, 1, 0x40, 1]), Held::Refused(Refusal::Malformed), "more than a record may hold");
    assert_eq!(read(&[22, 3, 1, 0, 0]), Held::Refused(Refusal::Malformed), "a record of nothing");
    let crumbs = records(&message(&Hello { version: 0x0303, suites: vec![0x1301; 100], ..Hello::default() }), &[1]);
    assert_eq!(read(&crumbs), Held::Refused(Refusal::Oversized));
}

#[test]
fn another_message_is_not_a_hello() {
    assert_eq!(read(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Held::Refused(Refusal::Malformed));
    // Nor is one that begins in the middle of another record's kind.
    let hello = message(&Hello { version: 0x0303, suites: vec![0x1301], ..Hello::default() });
    let mut bytes = records(&hello, &[20]);
    bytes[25] = 23;
    assert_eq!(read(&bytes), Held::Refused(Refusal::Malformed));
    let two = [hello.clone(), hello].concat();
    assert_eq!(read(&records(&two, &[16_000])), Held::Refused(Refusal::Malformed));
}

#[test]
fn a_hello_without_extensions_is_one() {
    let mut bytes = vec![1, 0, 0, 41, 3, 1];
    bytes.extend([0; 32]);
    bytes.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let Held::Whole(hello) = read(&records(&bytes, &[16_000])) else { panic!("it is whole") };
    assert_eq!((hello.version, hello.suites, hello.groups), (0x0301, vec![0x2f], None));
}

#[test]
fn what_openssl_refuses_is_not_passed_over() {
    let base = Hello { version: 0x0303, suites: vec![0x1301], ..Hello::default() };
    let refused = |change: fn(&mut Hello)| {
        let mut hello = base.clone();
        change(&mut hello);
        assert_eq!(read(&records(&message(&hello), &[16_000])), Held::Refused(Refusal::Malformed), "{hello:?}");
    };
    refused(|hello| hello.server_name = Some(Vec::new()));
    refused(|hello| hello.server_name = Some(b"a\0b".to_vec()));
    refused(|hello| hello.protocols = Some(vec![Vec::new()]));
    refused(|hello| hello.protocols = Some(Vec::new()));
    refused(|hello| hello.groups = Some(Vec::new()));
    refused(|hello| hello.suites = Vec::new());
    refused(|hello| hello.session_id = vec![0; 33]);
    refused(|hello| hello.key_shares = Some(vec![29, 29]));
    refused(|hello| hello.identities = Some(vec![Vec::new()]));
    refused(|hello| hello.psk_modes = Some(Vec::new()));
}
