//! Any bytes as the beginning of a connection: whatever comes, it is answered, and however much of it is there, alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tsloop_core::limits::{HELLO_BYTES, HELLO_RECORDS};
use tsloop_core::tls::hello::{Held, read};

/// Most bytes that can be asked for: those of the hello and of the headers around it.
const HELD: usize = HELLO_BYTES + HELLO_RECORDS * 5;

fuzz_target!(|input: &[u8]| {
    // The contents of one record, so that the fuzzer need not find the header each time; and as they are.
    let length = u16::try_from(input.len()).unwrap_or(u16::MAX);
    let wrapped = [&[22, 3, 1][..], &length.to_be_bytes(), input].concat();
    for bytes in [input, &wrapped] {
        let held = read(bytes);
        match &held {
            Held::More(more) => assert!(*more > bytes.len() && *more <= HELD, "{more}"),
            Held::Whole(hello) => {
                assert!(hello.length <= bytes.len() && hello.length <= HELD);
                assert_eq!(read(&bytes[..hello.length]), held, "what comes behind does not matter");
                assert!(matches!(read(&bytes[..hello.length - 1]), Held::More(more) if more == hello.length));
            }
            Held::Refused(refusal) => {
                let more = [bytes, &[0; 40]].concat();
                assert_eq!(read(&more), Held::Refused(*refusal), "and nothing makes it good again");
            }
        }
    }
});
