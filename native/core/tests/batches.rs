//! Batches between two threads, with the mailbox as it is: also for miri, which would see a region that two sides
//! touch at once.

use std::ptr::NonNull;
use std::sync::mpsc;

use tsloop_core::event::{Batch, Event, Op, WORDS};
use tsloop_core::mailbox::Mailbox;
use tsloop_core::table::{Id, Ids};

const BYTES: usize = 64;
const EVENTS: usize = 3;
const CHUNKS: u32 = if cfg!(miri) { 60 } else { 50_000 };

#[test]
fn what_one_side_fills_the_other_reads_whole() {
    let mut memory: Vec<(Vec<i32>, Vec<u8>)> = (0..2).map(|_| (vec![0; EVENTS * WORDS], vec![0; BYTES])).collect();
    let mailbox = Mailbox::default();
    for (index, (words, bytes)) in memory.iter_mut().enumerate() {
        let (words, bytes) = (NonNull::from(&mut words[..]), NonNull::from(&mut bytes[..]));
        // SAFETY: each region is one batch's alone and outlives the threads below.
        let batch = unsafe { Batch::from_raw(u32::try_from(index).expect("small"), words.cast(), EVENTS * WORDS, bytes.cast(), BYTES) };
        let _ = mailbox.empty.post(batch);
    }
    let ids = Ids::default();
    // Wake-ups as a channel: one that is lost leaves a receiver that waits for ever.
    let ((wake_reader, reader), (wake_filler, filler)) = (mpsc::channel(), mpsc::channel());
    std::thread::scope(|scope| {
        let (mailbox, ids) = (&mailbox, &ids);
        scope.spawn(move || {
            let mut chunk = 0;
            while chunk < CHUNKS {
                let Some(mut batch) = mailbox.full.take_back().or_else(|| mailbox.empty.take()) else {
                    if mailbox.empty.fall_asleep() {
                        filler.recv().expect("a reader");
                    }
                    continue;
                };
                if batch.has_room() && batch.tail().len() >= 8 {
                    batch.tail()[..4].copy_from_slice(&chunk.to_ne_bytes());
                    let offset = batch.advance(4);
                    batch.push(Event { op: Op::Data, id: ids.allocate(), a: i32::try_from(offset).expect("small"), b: 4, c: 0 });
                    chunk += 1;
                }
                if mailbox.full.post(batch) {
                    wake_reader.send(()).expect("a reader");
                }
            }
        });
        let mut expected = 0_u32;
        while expected < CHUNKS {
            let Some(mut batch) = mailbox.full.take() else {
                if mailbox.full.fall_asleep() {
                    reader.recv().expect("a filler");
                }
                continue;
            };
            for index in 0..batch.len() {
                let [op, slot, generation, offset, length, _] = batch.record(index);
                assert_eq!((op, length), (Op::Data as i32, 4));
                let at = usize::try_from(offset).expect("an offset");
                assert_eq!(batch.bytes()[at..at + 4], expected.to_ne_bytes());
                ids.release(Id { slot: slot.cast_unsigned(), generation: generation.cast_unsigned() });
                expected += 1;
            }
            batch.clear();
            if mailbox.empty.post(batch) {
                // The filler may have ended meanwhile.
                let _ = wake_filler.send(());
            }
        }
    });
}
